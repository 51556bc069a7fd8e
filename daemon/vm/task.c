/* SPDX-License-Identifier: MIT
 *
 * Tasks and their table. Runs on: any thread; the table's lock is the outermost. A task is
 * freed by the thread that drops the last reference.
 */
#include "vm/task.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/closer.h"
#include "own.h"
#include "text.h"
#include "vm/kept_task.h"
#include "vm/lineage.h"
#include "vm/vm_map.h"

int
task_table_create(struct daemon *d)
{
	struct task_table *t = &d->tasks;

	CHECK(!t->tasks);
	shares_create(d);
	processes_create(d);
	groups_create(d);
	t->room = (uint32_t)param(d, max_sessions);
	share_tell(d, SHARE_SESSIONS, t->room);
	t->tasks = own_alloc(OWN_TASK_TABLE, t->room * sizeof(*t->tasks));
	t->generations = own_alloc(OWN_TASK_TABLE, t->room * sizeof(*t->generations));
	lock_init(&t->lock, RANK_TASK_TABLE);
	return t->tasks && t->generations ? 0 : -ENOMEM;
}

void
task_table_destroy(struct daemon *d)
{
	CHECK(d->tasks.count == 0);
	own_free(OWN_TASK_TABLE, d->tasks.tasks);
	own_free(OWN_TASK_TABLE, d->tasks.generations);
	lock_fini(&d->tasks.lock);
	groups_destroy(d);
	processes_destroy(d);
	shares_destroy(d);
}

static void
shares_give(struct task *task)
{
	CHECK(task->bill.account != NULL);
	share_give(task->daemon, task->bill.account, SHARE_DESCRIPTORS, SESSION_DESCRIPTORS);
	share_give(task->daemon, task->bill.account, SHARE_SESSIONS, 1);
}

static int
table_add(struct task *task)
{
	struct task_table *t = &task->daemon->tasks;
	int error = -ENFILE;

	lock_acquire(&t->lock);
	for (uint32_t i = 0; i < t->room; i++) {
		if (t->tasks[i])
			continue;
		t->tasks[i] = task;
		task->index = i;
		task->generation = ++t->generations[i];
		t->count++;
		error = 0;
		break;
	}
	lock_release(&t->lock);
	return error;
}

static const bool arrows[TASK_DEAD + 1][TASK_DEAD + 1] = {
#define TASK_ARROW(FROM, TO, when) [TASK_##FROM][TASK_##TO] = true,
#include "tbl/session_arrow.h"
};

bool
task_commit(struct task *task, enum task_state from, enum task_state to)
{
	CHECK_OBJ(task, TASK_MAGIC);
	CHECK_ARROW(arrows, from, to, "task", task->id);
	return cas_acq_rel(&task->state, &from, to);
}

static void
group_end(struct task *task)
{
	struct client_group *group = load_acquire(&task->bill.group);

	CHECK_OBJ(task, TASK_MAGIC);
	if (!group)
		return;
	group_leave(task->daemon, group, &task->bill.ledger);
	group_put(task->daemon, group);
}

struct task *
task_create(struct daemon *d, const struct task_birth *birth)
{
	struct task *task = own_alloc(OWN_TASK, sizeof(*task));

	CHECK(birth->name && birth->lane <= SIDE_LANES);
	if (!task)
		return NULL;
	task->magic = TASK_MAGIC;
	task->daemon = d;
	store_relaxed(&task->pid, birth->pid);
	store_relaxed(&task->pidfd, birth->pidfd);
	task->uid = birth->uid;
	store_relaxed(&task->pagemap, -1);
	task->uffd = task->agent = -1;
	task->id = birth->id;
	snprintf(task->name, sizeof(task->name), "%s", birth->name);
	text_clean(task->name);
	store_relaxed(&task->lane_before, birth->lane);
	store_relaxed(&task->references, 1);
	task->bill.process = process_get(d, birth->pid, birth->pidfd);
	if (!task->bill.process)
		goto fail_process;
	task->bill.account = share_account_get(d, birth->uid, birth->is_control);
	if (!task->bill.account)
		goto fail_account;
	if (birth->group) {
		store_relaxed(&task->bill.group, group_get(d, birth->group));
		group_enter(d, birth->group);
	}
	vm_map_init(&task->map);
	task->map.daemon = d;
	task->map.bill = &task->bill;
	if (table_add(task))
		goto fail_table;
	return task;

fail_table:
	vm_map_fini(&task->map);
	group_end(task);
	share_account_put(d, task->bill.account);
fail_account:
	process_put(d, task->bill.process);
fail_process:
	own_free(OWN_TASK, task);
	return NULL;
}

void
task_born(struct task *task, pid_t pid, int pidfd)
{
	CHECK_OBJ(task, TASK_MAGIC);
	CHECK(task->pidfd < 0 && pidfd >= 0 && load_acquire(&task->is_unborn));
	store_relaxed(&task->pid, pid);
	store_release(&task->pidfd, pidfd);
	process_born(task->daemon, task->bill.process, pid, pidfd);
}

struct task *
task_get(struct task *task)
{
	CHECK_OBJ(task, TASK_MAGIC);
	fetch_add_relaxed(&task->references, 1);
	return task;
}

/* Nobody takes the client over any more. */
static void
record_drop(struct task *task)
{
	static const enum kept_kind kinds[] = { KEPT_RECORD, KEPT_SOCKET, KEPT_USERFAULTFD,
		KEPT_AGENT, KEPT_AGENTS_END, KEPT_PROCESS };

	CHECK(task->map.count == 0);
	for (unsigned i = 0; i < ARRAY_LEN(kinds); i++)
		keeper_drop(task->daemon->keeper, kinds[i], task->id);
	task_record_close(task->daemon, task->map.record);
	task->map.record = NULL;
}

void
task_put(struct task *task)
{
	struct daemon *d = task->daemon;

	CHECK_OBJ(task, TASK_MAGIC);
	if (fetch_sub_acq_rel(&task->references, 1) != 1)
		return;
	lock_acquire(&d->tasks.lock);
	CHECK(d->tasks.tasks[task->index] == task && d->tasks.count > 0);
	d->tasks.tasks[task->index] = NULL;
	d->tasks.count--;
	lock_release(&d->tasks.lock);
	CHECK(load_relaxed(&task->objects) == 0 && task->waits.count == 0 && !task->lists &&
	      !task->ports);
	vm_map_fini(&task->map);
	if (unlikely(task->map.record != NULL))
		record_drop(task);
	CHECKF(ledger_is_zero(&task->bill.ledger),
	    "session %llu ends with a ledger that is not zero", (unsigned long long)task->id);
	closer_close(d, task->uffd, task->pid, task->uid);
	closer_close(d, task->agent, task->pid, task->uid);
	closer_close(d, task->pidfd, task->pid, task->uid);
	closer_close(d, load_relaxed(&task->pagemap), task->pid, task->uid);
	shares_give(task);
	group_end(task);
	share_account_put(d, task->bill.account);
	process_put(d, task->bill.process);
	lineage_put(task->lineage);
	task->magic = 0;
	own_free(OWN_TASK, task);
}

/* A task whose last reference is being dropped is still in the table: it must not come back to
 * life. */
static struct task *
get_unless_ending(struct task *task)
{
	CHECK_OBJ(task, TASK_MAGIC);
	return reference_get_try(&task->references) ? task : NULL;
}

struct task *
task_find_cookie(struct daemon *d, uint64_t cookie)
{
	struct task_table *t = &d->tasks;
	uint32_t index = (uint32_t)cookie;
	struct task *task = NULL;

	lock_acquire(&t->lock);
	if (index < t->room && t->tasks[index] && t->tasks[index]->generation == cookie >> 32)
		task = get_unless_ending(t->tasks[index]);
	lock_release(&t->lock);
	return task;
}

struct task *
task_at(struct daemon *d, uint32_t index)
{
	struct task_table *t = &d->tasks;
	struct task *task = NULL;

	lock_acquire(&t->lock);
	if (index < t->room && t->tasks[index])
		task = get_unless_ending(t->tasks[index]);
	lock_release(&t->lock);
	return task;
}

struct task *
task_next(struct daemon *d, uint32_t *cursor)
{
	struct task_table *t = &d->tasks;
	struct task *task = NULL;

	lock_acquire(&t->lock);
	while (*cursor < t->room && !task) {
		struct task *candidate = t->tasks[(*cursor)++];

		if (candidate && load_acquire(&candidate->state) == TASK_ATTACHED)
			task = get_unless_ending(candidate);
	}
	lock_release(&t->lock);
	return task;
}

int
task_wired_take(struct task *task, uint64_t bytes)
{
	struct process *process = task->bill.process;
	uint64_t limit = process_held_to(process), pages = bytes >> task->daemon->page_shift;
	uint64_t wired = fetch_add_relaxed(&process->wired_promised, pages) + pages;

	if ((!limit || pages == 0 || wired <= limit / 2) &&
	    share_take(task->daemon, task->bill.account, SHARE_WIRED, bytes) == 0)
		return 0;
	fetch_sub_relaxed(&process->wired_promised, pages);
	return -EAGAIN;
}

void
task_wired_restore(struct task *task)
{
	uint64_t bytes;

	lock_acquire(&task->map.lock);
	bytes = task->map.wired_bytes;
	CHECK(task->wired_billed == 0);
	task->wired_billed = bytes;
	lock_release(&task->map.lock);
	fetch_add_relaxed(&task->bill.process->wired_promised, bytes >> task->daemon->page_shift);
	share_take_over(task->daemon, task->bill.account, SHARE_WIRED, bytes);
}

void
task_wired_give(struct task *task, uint64_t bytes)
{
	uint64_t pages = bytes >> task->daemon->page_shift;

	CHECK(load_relaxed(&task->bill.process->wired_promised) >= pages);
	fetch_sub_relaxed(&task->bill.process->wired_promised, pages);
	share_give(task->daemon, task->bill.account, SHARE_WIRED, bytes);
}

void
task_wired_settle(struct task *task)
{
	uint64_t less;

	CHECK_OBJ(task, TASK_MAGIC);
	lock_acquire(&task->map.lock);
	CHECK(task->wired_billed >= task->map.wired_bytes);
	less = task->wired_billed - task->map.wired_bytes;
	task->wired_billed -= less;
	lock_release(&task->map.lock);
	if (less > 0)
		task_wired_give(task, less);
}

bool
task_exists(struct daemon *d, uint64_t id)
{
	uint32_t cursor = 0;
	struct task *task;
	bool found = false;

	while (!found && (task = task_next(d, &cursor)) != NULL) {
		found = task->id == id;
		task_put(task);
	}
	return found;
}

uint32_t
task_count(struct daemon *d)
{
	uint32_t cursor = 0, count = 0;
	struct task *task;

	while ((task = task_next(d, &cursor)) != NULL) {
		count++;
		task_put(task);
	}
	return count;
}
