/* SPDX-License-Identifier: MIT
 *
 * Faults that wait. There is a list for each use of a frame, since the use decides which faults may
 * run, and one for each client at its limit. Only heads are looked at, because no fault stands
 * behind one that waits for something else.
 *
 * Runs on: fault servers, jobs (drop), the writer (judge). Allocates nothing.
 */
#include "memorystatus/frame_wait.h"

#include "clock.h"
#include "daemon.h"
#include "memorystatus/creation.h"
#include "memorystatus/memorystatus.h"
#include "pagers/store.h"
#include "vm/task.h"

/* A store that waits is tried again after this time, in nanoseconds, whatever has been written: its
 * file may fail by now. */
#define STORE_LOOK_NS 400000000u

/* The most faults of one client that may wait: a client can make as many as it likes, and others
 * need places too. */
static uint32_t
task_share(const struct park *k)
{
	return k->room / 4;
}

static void
limited_add_locked(struct park *k, struct task *task)
{
	struct task **at = &k->limited;

	lock_assert_held(&k->lock);
	while (*at) {
		CHECK(*at != task);
		at = &(*at)->limited_next;
	}
	task->limited_next = NULL;
	*at = task;
}

static void
limited_remove_locked(struct park *k, struct task *task)
{
	struct task **at = &k->limited;

	lock_assert_held(&k->lock);
	while (*at && *at != task)
		at = &(*at)->limited_next;
	if (*at)
		*at = task->limited_next;
}

static void
overflow_locked(struct park *k, struct task *task)
{
	lock_assert_held(&k->lock);
	if (task->waits.is_overflowed)
		return;
	task->waits.is_overflowed = true;
	task->overflow_next = k->overflowed;
	k->overflowed = task_get(task);
}

/* Waits until half of the client's share is free: waking it wakes all its threads. */
struct task *
frame_wait_overflowed(struct daemon *d)
{
	struct park *k = &d->park;
	struct task **at, *task = NULL;

	locks_assert_none();
	lock_acquire(&k->lock);
	if (load_relaxed(&k->count) <= k->room / 4) {
		for (at = &k->overflowed; *at && (*at)->waits.count > task_share(k) / 2;)
			at = &(*at)->overflow_next;
		task = *at;
		if (task) {
			CHECK(task->waits.is_overflowed);
			*at = task->overflow_next;
			task->waits.is_overflowed = false;
		}
	}
	lock_release(&k->lock);
	return task;
}

static enum frame_use
use_of(enum wait_for wait)
{
	CHECK(wait < WAIT_LIMIT);
	return wait == WAIT_READ ? FRAME_READ : wait == WAIT_WRITE ? FRAME_WRITE : FRAME_FIRST;
}

bool
frame_wait_keep(struct daemon *d, const struct fault *fault, enum wait_for wait)
{
	bool limit = wait == WAIT_LIMIT, store = wait == WAIT_DIRTY;
	struct task *task = fault->task;
	struct park *k = &d->park;
	uint32_t i = PARK_NONE;
	bool ask = false;

	CHECK(wait <= WAIT_DIRTY);
	lock_acquire(&k->lock);
	if (task_is_dead(task)) {
		/* frame_wait_drop has been here, or waits for the lock: it must not miss this
		 * one. */
		lock_release(&k->lock);
		return false;
	}
	if (limit && task->waits.limited.head == PARK_NONE && task->waits.count < task_share(k) &&
	    k->free_head != PARK_NONE)
		limited_add_locked(k, task);
	if (task->waits.count < task_share(k))
		i = park_keep_locked(k,
		    limit   ? &task->waits.limited
		    : store ? &k->storing
			    : &k->waiting[use_of(wait)],
		    fault, wait);
	if (i == PARK_NONE && fault->is_refused)
		refused_keep_locked(k, fault, REFUSED_FRAMES);
	else if (i == PARK_NONE)
		overflow_locked(k, task);
	if (i != PARK_NONE && limit)
		fetch_add_relaxed(&task->bill.process->limit_parked, 1);
	if (limit && load_relaxed(&task->bill.process->is_over_fatal))
		ask = true;
	if (i != PARK_NONE && store) {
		k->pool[i].fault.again_ns = clock_now_ns() + STORE_LOOK_NS;
		k->pool[i].fault.dirty_turn = load_relaxed(&task->bill.account->dirty_turn);
	}
	if (i != PARK_NONE && !limit && !store && !fault->has_waited) {
		k->pool[i].fault.has_waited = true;
		k->pool[i].fault.since = moment_now(d);
	}
	lock_release(&k->lock);
	if (unlikely(ask))
		memorystatus_want(d);
	return true;
}

struct moment
moment_now(const struct daemon *d)
{
	return (
	    struct moment){ load_relaxed(&d->pageq.rounds), load_relaxed(&d->writeback.passes) };
}

bool
lane_must_wait(const struct daemon *d, const struct task *task)
{
	return unlikely(load_relaxed(&task->lane) != LANE_COMMON) &&
	       load_relaxed(&d->park.frame_count) > 0 && !load_relaxed(&d->park.squeezed);
}

static struct moment
tried_least(struct moment a, struct moment b)
{
	return (struct moment){ a.rounds < b.rounds ? a.rounds : b.rounds,
		a.passes < b.passes ? a.passes : b.passes };
}

/* What has been tried since the fault began to wait, since one of its use was served, and since it
 * was last certain that memory is not full: the least of these. */
static struct moment
tried_for_locked(const struct park *k, const struct parked_fault *parked, struct moment now)
{
	lock_assert_held(&k->lock);
	return tried_least(moment_tried(k->progress, now),
	    tried_least(moment_tried(parked->fault.since, now),
		moment_tried(k->served[use_of(parked->wait)], now)));
}

static enum wait_verdict
judge_locked(struct daemon *d, const struct parked_fault *parked, struct moment now)
{
	struct task *task = parked->fault.task;
	struct park *k = &d->park;

	lock_assert_held(&k->lock);
	if (task_is_dead(task))
		return VERDICT_SERVE;
	if (parked->wait == WAIT_LIMIT)
		return process_over_limit(task->bill.process, 1) ||
			       load_relaxed(&task->bill.process->is_over_fatal) ||
			       lane_must_wait(d, task) || creation_must_wait(d, task)
			   ? VERDICT_WAIT
			   : VERDICT_SERVE;
	if (frames_available_for(d, use_of(parked->wait)) > 0)
		return VERDICT_SERVE;
	/* As long as a process can be ended to make room nobody is refused. */
	if (load_acquire(&d->park.squeezed) && !load_relaxed(&d->memorystatus.can_help) &&
	    squeeze_refuses(use_of(parked->wait),
		tried_least(tried_for_locked(k, parked, now), moment_tried(k->squeezed_since, now)),
		swap_has_room(d)))
		return VERDICT_REFUSE;
	return VERDICT_WAIT;
}

/* Makes the list the best one if its head may run and came before the best one's. */
static void
look_locked(struct daemon *d, struct park_list *l, struct moment now, struct park_list **best,
    enum wait_verdict *best_verdict)
{
	const struct parked_fault *pool = d->park.pool;
	enum wait_verdict verdict;

	lock_assert_held(&d->park.lock);
	if (l->head == PARK_NONE || (*best && pool[(*best)->head].ticket < pool[l->head].ticket))
		return;
	verdict = judge_locked(d, &pool[l->head], now);
	if (verdict == VERDICT_WAIT)
		return;
	*best = l;
	*best_verdict = verdict;
}

enum wait_verdict
frame_wait_take(struct daemon *d, struct fault *ret, enum wait_for *ret_wait)
{
	struct park *k = &d->park;
	struct moment now = moment_now(d);
	struct park_list *best = NULL;
	enum wait_verdict verdict = VERDICT_WAIT;

	locks_assert_none();
	lock_acquire(&k->lock);
	for (unsigned use = 0; use < FRAME_USE_COUNT; use++)
		look_locked(d, &k->waiting[use], now, &best, &verdict);
	for (struct task *task = k->limited; task; task = task->limited_next)
		look_locked(d, &task->waits.limited, now, &best, &verdict);
	if (best) {
		uint32_t i = best->head;
		bool limit = k->pool[i].wait == WAIT_LIMIT;

		*ret = k->pool[i].fault;
		*ret_wait = k->pool[i].wait;
		if (verdict == VERDICT_SERVE && !limit)
			k->served[use_of(*ret_wait)] = now;
		park_unlink_locked(k, best, i, PARK_NONE);
		if (limit && best->head == PARK_NONE)
			limited_remove_locked(k, ret->task);
		CHECK(!limit || load_relaxed(&ret->task->bill.process->limit_parked) > 0);
		if (limit)
			fetch_sub_relaxed(&ret->task->bill.process->limit_parked, 1);
	}
	lock_release(&k->lock);
	return verdict;
}

bool
frame_wait_take_store(struct daemon *d, struct fault *ret)
{
	struct park *k = &d->park;
	uint64_t now_ns = clock_now_ns();
	uint32_t previous = PARK_NONE, i;

	locks_assert_none();
	lock_acquire(&k->lock);
	for (i = k->storing.head; i != PARK_NONE; previous = i, i = k->pool[i].next) {
		const struct fault *f = &k->pool[i].fault;

		if (task_is_dead(f->task) || f->again_ns <= now_ns ||
		    f->dirty_turn != load_relaxed(&f->task->bill.account->dirty_turn) ||
		    dirty_has_room(f->task))
			break;
	}
	if (i != PARK_NONE) {
		*ret = k->pool[i].fault;
		park_unlink_locked(k, &k->storing, i, previous);
	}
	lock_release(&k->lock);
	return i != PARK_NONE;
}

void
frame_wait_stores_changed(struct daemon *d)
{
	locks_assert_none();
	if (load_acquire(&d->park.storing_count) == 0)
		return;
	fetch_add_acq_rel(&d->park.storing_changed, 1);
	bells_ring_one(&d->bells);
}

void
frame_wait_freed(struct daemon *d)
{
	/* Each refused fault is for the servers of its client's lane. */
	if (unlikely(load_acquire(&d->park.refused_count) > 0) && refused_have_room(d))
		bells_ring_all(&d->bells);
	else if (load_acquire(&d->park.count) > 0)
		bells_ring_one(&d->bells);
}

bool
frame_wait_longest(struct daemon *d, struct moment *ret_tried)
{
	struct park *k = &d->park;
	struct moment now = moment_now(d);
	bool any = false;

	if (load_acquire(&k->count) == 0)
		return false;
	lock_acquire(&k->lock);
	for (unsigned use = 0; use < FRAME_USE_COUNT; use++) {
		struct moment tried;

		if (k->waiting[use].head == PARK_NONE)
			continue;
		tried = tried_for_locked(k, &k->pool[k->waiting[use].head], now);
		if (any && tried.passes <= ret_tried->passes)
			continue;
		*ret_tried = tried;
		any = true;
	}
	lock_release(&k->lock);
	return any;
}

void
frame_wait_progress(struct daemon *d)
{
	struct park *k = &d->park;

	if (load_acquire(&k->count) == 0)
		return;
	lock_acquire(&k->lock);
	k->progress = moment_now(d);
	lock_release(&k->lock);
}

static void
squeeze_begin(struct daemon *d)
{
	CHECK(!load_relaxed(&d->park.squeezed));
	lock_acquire(&d->park.lock);
	d->park.squeezed_since = moment_now(d);
	store_release(&d->park.squeezed, true);
	lock_release(&d->park.lock);
}

void
frame_wait_judge(struct daemon *d)
{
	bool room = load_relaxed(&d->frames.free_count) >= d->frames.free_min;
	struct moment tried;
	uint64_t given_up;

	locks_assert_none();
	if (load_relaxed(&d->park.squeezed)) {
		if (room) {
			store_release(&d->park.squeezed, false);
			log_info_limited("there is room again");
		}
	} else if (!room && frame_wait_longest(d, &tried) && squeeze_begins(tried)) {
		squeeze_begin(d);
		given_up = frames_retire_end(d);
		if (given_up > 0)
			log_warning_limited(
			    "memory cannot be made as small as it was to be: %llu frames do not "
			    "become free, because pages cannot leave",
			    (unsigned long long)given_up);
		log_info_limited("nothing can leave: memory is squeezed");
		memorystatus_want(d);
	}
	/* Waiting faults are judged again. Clients may have given frames back, of which nobody has
	 * been told; and a fault may have been refused just after there was room again, or have met
	 * what kept it from being answered then. */
	frame_wait_freed(d);
	refused_tableless_look(d);
}

static unsigned
drop_locked(struct park *k, struct park_list *l, struct task *task)
{
	uint32_t previous = PARK_NONE, next;
	unsigned dropped = 0;

	lock_assert_held(&k->lock);
	for (uint32_t i = l->head; i != PARK_NONE; i = next) {
		next = k->pool[i].next;
		if (k->pool[i].fault.task == task) {
			park_unlink_locked(k, l, i, previous);
			dropped++;
		} else {
			previous = i;
		}
	}
	return dropped;
}

/* Takes a dead task off the overflowed. => 1 if it was there: their reference is the caller's to
 * put; 0 if not */
static unsigned
overflow_drop_locked(struct park *k, struct task *task)
{
	struct task **at = &k->overflowed;

	lock_assert_held(&k->lock);
	if (!task->waits.is_overflowed)
		return 0;
	while (*at != task) {
		CHECK(*at != NULL);
		at = &(*at)->overflow_next;
	}
	*at = task->overflow_next;
	task->waits.is_overflowed = false;
	return 1;
}

void
frame_wait_drop(struct daemon *d, struct task *task)
{
	struct park *k = &d->park;
	unsigned dropped, limited;

	locks_assert_none();
	lock_acquire(&k->lock);
	if (task->waits.limited.head != PARK_NONE)
		limited_remove_locked(k, task);
	limited = drop_locked(k, &task->waits.limited, task);
	CHECK(load_relaxed(&task->bill.process->limit_parked) >= limited);
	fetch_sub_relaxed(&task->bill.process->limit_parked, limited);
	dropped = limited + drop_locked(k, &k->refused, task) +
		  drop_locked(k, &k->tableless, task) + drop_locked(k, &k->placeless, task) +
		  drop_locked(k, &k->storing, task) + overflow_drop_locked(k, task);
	for (unsigned use = 0; use < FRAME_USE_COUNT; use++)
		dropped += drop_locked(k, &k->waiting[use], task);
	CHECK(task->waits.count == 0);
	lock_release(&k->lock);
	while (dropped-- > 0)
		task_put(task);
	/* Clients of side lanes, and those that make pages fast, may have waited for frames only
	 * because this one did (lane_must_wait, creation_must_wait). */
	frame_wait_freed(d);
}
