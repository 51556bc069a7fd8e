/* SPDX-License-Identifier: MIT
 *
 * Sessions and their table. Runs on: any thread; the table's lock is the outermost. A session is
 * freed by whoever drops the last reference.
 */
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/closer.h"
#include "clock.h"
#include "failpt.h"
#include "fault/fault.h"
#include "pmap/uffd.h"
#include "vm/vm_object.h"
#include "watch.h"

int
session_table_create(struct daemon *d)
{
	struct session_table *t = &d->sessions;

	shares_create(d);
	tasks_create(d);
	t->room = (uint32_t)param(d, max_sessions);
	t->sessions = calloc(t->room, sizeof(*t->sessions));
	t->generations = calloc(t->room, sizeof(*t->generations));
	lock_init(&t->lock, RANK_SESSION_TABLE);
	return t->sessions && t->generations ? 0 : -ENOMEM;
}

void
session_table_destroy(struct daemon *d)
{
	CHECK(d->sessions.count == 0);
	free(d->sessions.sessions);
	free(d->sessions.generations);
	lock_fini(&d->sessions.lock);
	tasks_destroy(d);
	shares_destroy(d);
}

static void
shares_give(struct session *s)
{
	share_give(s->daemon, s->account, SHARE_DESCRIPTORS, SESSION_DESCRIPTORS);
	share_give(s->daemon, s->account, SHARE_SESSIONS, 1);
}

/* => 0, -EDQUOT or -ENFILE */
static int
shares_take(struct session *s)
{
	int error = share_take(s->daemon, s->account, SHARE_SESSIONS, 1);

	if (!error) {
		error = share_take(s->daemon, s->account, SHARE_DESCRIPTORS, SESSION_DESCRIPTORS);
		if (error)
			share_give(s->daemon, s->account, SHARE_SESSIONS, 1);
	}
	return error == -ENOSPC ? -ENFILE : error;
}

static int
table_add(struct session *s)
{
	struct session_table *t = &s->daemon->sessions;
	int error = -ENFILE;

	lock_acquire(&t->lock);
	for (uint32_t i = 0; i < t->room; i++) {
		if (t->sessions[i])
			continue;
		t->sessions[i] = s;
		s->index = i;
		s->generation = ++t->generations[i];
		t->count++;
		error = 0;
		break;
	}
	lock_release(&t->lock);
	return error;
}

int
session_create(struct daemon *d, int socket, pid_t pid, uid_t uid, int pidfd, struct session **ret)
{
	static atomic_ullong next_id = 1;
	struct session *s;
	int error = failpt_hit(FAIL_SESSION_CREATE_ENOMEM);

	if (error)
		return error;
	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->magic = SESSION_MAGIC;
	s->daemon = d;
	s->socket = socket;
	s->pid = pid;
	s->uid = uid;
	s->pidfd = pidfd;
	store_relaxed(&s->pagemap, -1);
	s->uffd = s->agent = -1;
	s->is_control = uid == 0 || uid == geteuid();
	s->id = fetch_add_relaxed(&next_id, 1);
	s->created_ns = clock_now_ns();
	store_relaxed(&s->lane_before, watch_lane_of(d, uid));
	store_relaxed(&s->references, 1);
	error = -ENOMEM;
	s->task = task_get(d, pid, pidfd);
	if (!s->task)
		goto fail_task;
	s->account = share_account_get(d, uid, s->is_control);
	if (!s->account)
		goto fail_account;
	error = shares_take(s);
	if (error)
		goto fail_shares;
	park_session_init(s);
	vm_map_init(&s->map);
	s->map.session = s;
	error = table_add(s);
	if (error)
		goto fail_table;
	*ret = s;
	return 0;

fail_table:
	vm_map_fini(&s->map);
	shares_give(s);
fail_shares:
	share_account_put(d, s->account);
fail_account:
	task_put(d, s->task);
fail_task:
	free(s);
	return error;
}

struct session *
session_get(struct session *s)
{
	fetch_add_relaxed(&s->references, 1);
	return s;
}

void
session_put(struct session *s)
{
	struct daemon *d = s->daemon;

	CHECK_OBJ(s, SESSION_MAGIC);
	if (fetch_sub_acq_rel(&s->references, 1) != 1)
		return;
	lock_acquire(&d->sessions.lock);
	d->sessions.sessions[s->index] = NULL;
	d->sessions.count--;
	lock_release(&d->sessions.lock);
	vm_map_fini(&s->map);
	CHECKF(ledger_is_zero(&s->ledger), "session %llu ends with a ledger that is not zero",
	    (unsigned long long)s->id);
	closer_close(d, s->uffd, s->pid, s->uid);
	closer_close(d, s->agent, s->pid, s->uid);
	closer_close(d, s->pidfd, s->pid, s->uid);
	closer_close(d, load_relaxed(&s->pagemap), s->pid, s->uid);
	shares_give(s);
	share_account_put(d, s->account);
	task_put(d, s->task);
	s->magic = 0;
	free(s);
}

/* A session whose last reference is being dropped is still in the table: it must not come back to
 * life. */
static struct session *
get_unless_ending(struct session *s)
{
	unsigned references = load_relaxed(&s->references);

	while (references > 0)
		if (cas_acq_rel(&s->references, &references, references + 1))
			return s;
	return NULL;
}

struct session *
session_find_cookie(struct daemon *d, uint64_t cookie)
{
	struct session_table *t = &d->sessions;
	uint32_t index = (uint32_t)cookie;
	struct session *s = NULL;

	lock_acquire(&t->lock);
	if (index < t->room && t->sessions[index] && t->sessions[index]->generation == cookie >> 32)
		s = get_unless_ending(t->sessions[index]);
	lock_release(&t->lock);
	return s;
}

struct session *
session_at(struct daemon *d, uint32_t index)
{
	struct session_table *t = &d->sessions;
	struct session *s = NULL;

	lock_acquire(&t->lock);
	if (index < t->room && t->sessions[index])
		s = get_unless_ending(t->sessions[index]);
	lock_release(&t->lock);
	return s;
}

struct session *
session_next(struct daemon *d, uint32_t *cursor)
{
	struct session_table *t = &d->sessions;
	struct session *s = NULL;

	lock_acquire(&t->lock);
	while (*cursor < t->room && !s) {
		struct session *candidate = t->sessions[(*cursor)++];

		if (candidate && load_acquire(&candidate->state) == SESSION_CLIENT)
			s = get_unless_ending(candidate);
	}
	lock_release(&t->lock);
	return s;
}

struct session *
session_next_silent(struct daemon *d, uint32_t *cursor, uint64_t before_ns)
{
	struct session_table *t = &d->sessions;
	struct session *s = NULL;

	lock_acquire(&t->lock);
	while (*cursor < t->room && !s) {
		struct session *candidate = t->sessions[(*cursor)++];

		if (candidate && load_acquire(&candidate->state) == SESSION_NEW &&
		    candidate->created_ns < before_ns)
			s = get_unless_ending(candidate);
	}
	lock_release(&t->lock);
	return s;
}

void
session_wired_settle(struct session *s)
{
	uint64_t less;

	lock_acquire(&s->map.lock);
	less = s->wired_billed - s->map.wired_bytes;
	s->wired_billed -= less;
	lock_release(&s->map.lock);
	if (less == 0)
		return;
	fetch_sub_relaxed(&s->task->wired_bytes, less);
	share_give(s->daemon, s->account, SHARE_WIRED, less);
}

bool
session_exists(struct daemon *d, uint64_t id)
{
	uint32_t cursor = 0;
	struct session *s;
	bool found = false;

	while (!found && (s = session_next(d, &cursor)) != NULL) {
		found = s->id == id;
		session_put(s);
	}
	return found;
}

uint32_t
session_count(struct daemon *d)
{
	uint32_t cursor = 0, count = 0;
	struct session *s;

	while ((s = session_next(d, &cursor)) != NULL) {
		count++;
		session_put(s);
	}
	return count;
}

void
session_wake_all(struct session *s)
{
	uint64_t from = 0;

	for (;;) {
		struct vm_entry *e;
		uint64_t start = 0, end = 0;

		lock_acquire(&s->map.lock);
		e = vm_map_lookup_from(&s->map, from);
		if (e) {
			start = e->start;
			end = e->end;
		}
		lock_release(&s->map.lock);
		if (!e)
			return;
		uffd_wake(s->uffd, start, end - start);
		from = end;
	}
}
