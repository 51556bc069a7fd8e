/* SPDX-License-Identifier: MIT
 *
 * Bills for dirty pages of files. Runs on: any thread. Allocates nothing, never blocks.
 */
#include "vm/dirty.h"

#include "clock.h"
#include "daemon.h"
#include "vm/task.h"

/* A file that can be written may have this part of a session's bound, whatever other files have. */
#define OBJECT_PART 16u
/* All users together may have this many times what one may; beyond it a user still has this part of
 * its own. */
#define ALL_USERS 2u
#define USER_PART 8u

/* The task that is billed; it is kept by the page. */
static struct task *
payer_task(const struct daemon *d, uint32_t payer)
{
	struct task *task;

	CHECK(payer != DIRTY_NOBODY && payer <= d->tasks.room);
	task = d->tasks.tasks[payer - 1];
	CHECK_OBJ(task, TASK_MAGIC);
	return task;
}

static void
count(struct vm_object *o, struct task *task, int pages)
{
	struct daemon *d = o->daemon;
	unsigned more = (unsigned)pages;

	/* Balances: what is taken off has been put there before. */
	fetch_add_relaxed(&o->external->dirty_pages, more);
	fetch_add_relaxed(&task->dirty.pages, more);
	fetch_add_relaxed(&task->bill.account->dirty_pages, more);
	fetch_add_relaxed(&d->dirty.pages, more);
}

uint32_t
dirty_bill(struct vm_object *o, struct task *task, bool is_wired)
{
	CHECK_OBJ(task, TASK_MAGIC);
	/* The last number is PAGE_SHOWN. */
	CHECK(o->external && task->index + 1 < PAGE_SHOWN >> PAGE_PAYER_SHIFT);
	/* In this order, and the other way round in dirty_release: one of the two sees the other.
	 */
	atomic_fetch_add(&task->dirty.billed, 1);
	if (!atomic_load(&task->dirty.is_held) && !atomic_exchange(&task->dirty.is_held, true)) {
		task_get(task);
		fetch_add_relaxed(&o->daemon->dirty.held, 1);
	}
	if (!is_wired)
		count(o, task, 1);
	store_relaxed(&o->external->payer, task->index + 1);
	return task->index + 1;
}

void
dirty_unbill(struct vm_object *o, uint32_t payer, bool is_wired)
{
	struct task *task = payer_task(o->daemon, payer);

	if (!is_wired)
		count(o, task, -1);
	CHECK(atomic_fetch_sub(&task->dirty.billed, 1) > 0);
}

void
dirty_wired(struct vm_object *o, uint32_t payer, bool is_wired)
{
	count(o, payer_task(o->daemon, payer), is_wired ? -1 : 1);
}

static uint64_t
most(const struct daemon *d, uint64_t percent)
{
	return max_u64(frames_movable(d) * percent / 100, OBJECT_PART);
}

uint64_t
dirty_most_of_session(const struct daemon *d)
{
	return min_u64(most(d, param(d, dirty_session_percent)), dirty_most_of_user(d));
}

uint64_t
dirty_most_of_user(const struct daemon *d)
{
	return most(d, param(d, dirty_user_percent));
}

uint64_t
dirty_patience_ns(const struct daemon *d)
{
	return param(d, file_patience_ms) * 1000000u;
}

/* Whether the task and its user are below so much, in quarters of their bounds. */
static bool
is_below(const struct task *task, unsigned quarters)
{
	struct daemon *d = task->daemon;
	uint64_t of_user = load_relaxed(&task->bill.account->dirty_pages);
	uint64_t user = dirty_most_of_user(d);

	if (load_relaxed(&((struct task *)(uintptr_t)task)->dirty.pages) * 4ull >=
		dirty_most_of_session(d) * quarters ||
	    of_user * 4ull >= user * quarters)
		return false;
	return load_relaxed(&d->dirty.pages) < ALL_USERS * user || of_user < user / USER_PART;
}

bool
dirty_has_room(const struct task *task)
{
	return is_below(task, 4);
}

bool
dirty_is_much(const struct task *task)
{
	return !is_below(task, 2);
}

bool
dirty_object_is_much(struct vm_object *o)
{
	uint32_t payer = load_relaxed(&o->external->payer);
	struct task *task = payer != DIRTY_NOBODY ? task_at(o->daemon, payer - 1) : NULL;
	bool is_much;

	locks_assert_none();
	/* If that one has ended, and another has its place, pages go out a little early. */
	if (!task)
		return false;
	is_much = dirty_is_much(task);
	task_put(task);
	return is_much;
}

enum dirty_answer
dirty_may_store(struct task *task, struct vm_object *o)
{
	struct external *x = o->external;
	bool is_stuck = load_relaxed(&x->is_failing) || load_relaxed(&x->late) > 0;
	unsigned long long since = load_relaxed(&task->dirty.stopped_ns);
	uint64_t now;

	if (likely(is_below(task, 4)) ||
	    (!is_stuck && is_below(task, 5) &&
		load_relaxed(&x->dirty_pages) < dirty_most_of_session(o->daemon) / OBJECT_PART)) {
		if (unlikely(since != 0))
			store_relaxed(&task->dirty.stopped_ns, 0);
		return DIRTY_MAY;
	}
	if (is_stuck)
		return DIRTY_REFUSED;
	now = clock_now_ns();
	if (since == 0 && cas_acq_rel(&task->dirty.stopped_ns, &since, now))
		return DIRTY_WAITS;
	return now >= since && now - since >= dirty_patience_ns(o->daemon) ? DIRTY_REFUSED
									   : DIRTY_WAITS;
}

void
dirty_progress(struct vm_object *o, uint32_t payer)
{
	struct task *task = payer_task(o->daemon, payer);

	ledger_count(&task->bill.ledger, PAGER_LEDGER_LOGICAL_WRITES, o->daemon->page_bytes);
	store_relaxed(&task->dirty.stopped_ns, 0);
	fetch_add_relaxed(&task->bill.account->dirty_turn, 1);
}

static void
task_release(struct task *task)
{
	struct daemon *d = task->daemon;

	if (!task_is_dead(task) || atomic_load(&task->dirty.billed) > 0 ||
	    !atomic_exchange(&task->dirty.is_held, false))
		return;
	/* A page that was billed meanwhile may have relied on that: then it is held again, by this
	 * thread or by the one that billed it. */
	if (atomic_load(&task->dirty.billed) > 0 && !atomic_exchange(&task->dirty.is_held, true))
		return;
	CHECK(fetch_sub_relaxed(&d->dirty.held, 1) > 0);
	task_put(task);
}

void
dirty_release(struct daemon *d)
{
	locks_assert_none();
	for (uint32_t i = 0; load_relaxed(&d->dirty.held) > 0 && i < d->tasks.room; i++) {
		struct task *task = task_at(d, i);

		if (!task)
			continue;
		task_release(task);
		task_put(task);
	}
}
