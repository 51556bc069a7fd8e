/* SPDX-License-Identifier: MIT
 *
 * Requests about wired memory and the daemon's own tables: WIRED, TABLES (jobs).
 */
#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/request.h"
#include "own.h"
#include "threads.h"
#include "vm/port.h"
#include "vm/vm_map.h"

_Static_assert((int)OWN_COUNT == (int)PAGER_OWN_COUNT, "one table, two names");
_Static_assert(
    sizeof(struct pager_rep_wired) < PAGER_MSG_BYTES_MAX - sizeof(struct pager_msg_header),
    "a reply fits a message");

/* --- wired memory of clients --- */

/* Why a map's regions are wired. */
static void
map_reasons(struct vm_map *m, struct pager_wire_wired *ret)
{
	locks_assert_none();
	lock_acquire(&m->lock);
	ret->promised = m->wired_bytes;
	for (uint32_t i = 0; i < m->count; i++) {
		const struct vm_entry *e = &m->entries[i];
		uint64_t bytes = e->end - e->start;

		if (e->wired_count == 0)
			continue;
		ret->regions++;
		ret->calls += e->user_wired_count;
		ret->pins += e->pin_count;
		ret->called += e->user_wired_count > 0 ? bytes : 0;
		ret->pinned += e->pin_count > 0 ? bytes : 0;
	}
	lock_release(&m->lock);
}

static void
wired_describe(struct task *task, struct pager_wire_wired *ret)
{
	unsigned shift = task->daemon->page_shift;
	const struct ledger *ledger = &task->bill.ledger;

	CHECK_OBJ(task, TASK_MAGIC);
	*ret = (struct pager_wire_wired){
		.session_id = task->id,
		.pid = (uint32_t)task->pid,
		.uid = task->uid,
		.wired = ledger_pages(ledger, PAGER_LEDGER_WIRED_MEM) << shift,
		.device = ledger_pages(ledger, PAGER_LEDGER_IOKIT_MAPPED) << shift,
		.listed = load_relaxed(&task->list_bytes),
		.lists = load_relaxed(&task->list_count),
	};
	snprintf(ret->name, sizeof(ret->name), "%s", task->name);
	map_reasons(&task->map, ret);
}

int
handle_wired(struct request *r)
{
	const struct pager_req_wired *in = r->body;
	struct pager_rep_wired *out = r->reply;
	struct daemon *d = r->daemon;
	uint32_t cursor = (uint32_t)in->cursor;
	struct task *task = NULL;

	out->wired = (uint64_t)load_relaxed(&d->stats.levels[STAT_FRAMES_WIRED]) << d->page_shift;
	out->device = (uint64_t)load_relaxed(&d->stats.levels[STAT_PAGES_DEVICE]) << d->page_shift;
	out->listed = (uint64_t)load_relaxed(&d->frames.listed) << d->page_shift;
	out->promised = share_used(&d->shares, SHARE_WIRED);
	out->limit = share_total(d, SHARE_WIRED);
	while (out->count < PAGER_WIRED_PER_REPLY && (task = task_next(d, &cursor)) != NULL) {
		if (r->session->is_control || r->session->uid == task->uid)
			wired_describe(task, &out->clients[out->count++]);
		task_put(task);
	}
	out->next_cursor = task ? cursor : 0;
	r->reply_bytes =
	    offsetof(struct pager_rep_wired, clients) + out->count * sizeof(out->clients[0]);
	return 0;
}

/* --- the daemon's own --- */

static bool
thread_count(pid_t pid, pid_t thread, void *argument)
{
	++*(uint64_t *)argument;
	return true;
}

/* => bytes; 0: /proc does not say */
static uint64_t
anonymous_bytes(void)
{
	char status[4096];
	const char *line;

	if (!thread_file_read(getpid(), getpid(), "status", status, sizeof(status)))
		return 0;
	line = strstr(status, "\nRssAnon:");
	return line ? strtoull(line + strlen("\nRssAnon:"), NULL, 10) << 10 : 0;
}

static uint64_t
regions_count(struct daemon *d)
{
	uint32_t cursor = 0;
	uint64_t count = 0;
	struct task *task;

	while ((task = task_next(d, &cursor)) != NULL) {
		lock_acquire(&task->map.lock);
		count += task->map.count;
		lock_release(&task->map.lock);
		task_put(task);
	}
	return count;
}

static void
units_count(struct daemon *d, const struct own_use *own, uint64_t *ret)
{
	const atomic_llong *levels = d->stats.levels;
	struct compressor_stats c;

	compressor_stats(d->compressor, &c);
	ret[PAGER_OWN_UNIT_FIXED] = 1;
	ret[PAGER_OWN_UNIT_CLIENT] = own[OWN_TASK].count;
	ret[PAGER_OWN_UNIT_CONNECTION] = own[OWN_CONNECTION].count;
	ret[PAGER_OWN_UNIT_USER] = own[OWN_ACCOUNT].count;
	threads_each(getpid(), thread_count, &ret[PAGER_OWN_UNIT_THREAD]);
	ret[PAGER_OWN_UNIT_REGION] = regions_count(d);
	ret[PAGER_OWN_UNIT_MAPPING] = own[OWN_MAPPING].count;
	ret[PAGER_OWN_UNIT_OBJECT] = own[OWN_OBJECT].count;
	ret[PAGER_OWN_UNIT_LIBRARY] = own[OWN_VNODE].count;
	ret[PAGER_OWN_UNIT_NAME] = own[OWN_NAMED_ENTRY].count;
	ret[PAGER_OWN_UNIT_PORT] = own[OWN_PORT].count;
	ret[PAGER_OWN_UNIT_COPY] = own[OWN_COPY_LINK].count + own[OWN_COPY_HELD].count;
	ret[PAGER_OWN_UNIT_FRAME] = load_relaxed(&d->frames.count);
	ret[PAGER_OWN_UNIT_PAGE] = (uint64_t)load_relaxed(&levels[STAT_PAGES_INTERNAL]) +
				   (uint64_t)load_relaxed(&levels[STAT_PAGES_REUSABLE]) +
				   (uint64_t)load_relaxed(&levels[STAT_PAGES_EXTERNAL]) +
				   (uint64_t)load_relaxed(&levels[STAT_PAGES_COMPRESSED]);
	ret[PAGER_OWN_UNIT_STORED] = c.pages;
}

int
handle_tables(struct request *r)
{
	const struct pager_req_tables *in = r->body;
	struct pager_rep_tables *out = r->reply;
	struct own_use own[OWN_COUNT];
	uint32_t cursor = 0;
	struct task *task;

	if (in->reserved != 0)
		return -EINVAL;
	own_measure(own);
	for (unsigned i = 0; i < OWN_COUNT; i++) {
		out->own[i] = (struct pager_wire_own){ own[i].count, own[i].bytes };
		out->heap_own += own[i].heap;
		out->anonymous_own += own[i].anonymous;
	}
	units_count(r->daemon, own, out->units);
	while ((task = task_next(r->daemon, &cursor)) != NULL) {
		out->units[PAGER_OWN_UNIT_LIST] += load_relaxed(&task->list_count);
		task_put(task);
	}
#if defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 33)
	struct mallinfo2 info = mallinfo2();

	out->heap = info.uordblks + info.hblkhd;
#endif
	out->anonymous = anonymous_bytes();
	return 0;
}
