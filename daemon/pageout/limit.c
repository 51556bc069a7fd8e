/* SPDX-License-Identifier: MIT
 *
 * Clients at their limit: their own pages leave, and nobody else's. Runs on: worker 0 of the common
 * lane, and side lanes' workers.
 */
#include "pageout/limit.h"

#include "memorystatus/limits.h"
#include "pageout/batch.h"
#include "vm/task.h"

/* The pages of one object, clock-wise from the task's hand: inactive ones leave, active ones
 * become inactive.
 * => whether the object had any */
static bool
sweep_object(
    struct pageout_worker *w, struct task *task, struct vm_object *o, unsigned want, unsigned *aged)
{
	struct daemon *d = w->daemon;
	uint64_t i = task->reclaim.page;
	bool any = false;

	for (; w->chosen < want && *aged < want &&
	       (i = vm_object_next_live(o, i, o->page_count)) < o->page_count;
	     i++) {
		pageq_lock(d);
		if (pageq_choose_page_locked(d, o, i, &w->victims[w->chosen])) {
			w->chosen++;
			any = true;
		} else if (pageq_deactivate_page_locked(d, o, i)) {
			vm_object_get(o);
			w->deactivated[*aged] =
			    (struct victim){ vm_object_pol_page(o, i), FRAME_NONE, o };
			++*aged;
			any = true;
		}
		pageq_unlock(d);
	}
	task->reclaim.page = i >= o->page_count ? 0 : (uint32_t)i;
	return any;
}

/* The next object of the task in its map, at or behind its hand; with a reference, or NULL. */
static struct vm_object *
next_object(struct task *task)
{
	struct vm_object *o = NULL;

	lock_acquire(&task->map.lock);
	if (task->map.count > 0) {
		if (task->reclaim.entry >= task->map.count)
			task->reclaim.entry = 0;
		o = task->map.entries[task->reclaim.entry].mapping->object;
		vm_object_get(o);
	}
	lock_release(&task->map.lock);
	return o;
}

/* Takes pages of a client that is over its limit, and of nobody else. => frames freed; *ret_moved:
 * or pages aged */
static unsigned
round_task(struct pageout_worker *w, struct task *task, bool *ret_moved)
{
	unsigned want = (unsigned)param(w->daemon, pageout_batch), freed = 0;
	uint32_t tries = 2 * task->map.count + 2;

	w->refused = false;
	/* deactivated[] is filled from its beginning below. */
	worker_age(w);
	while (tries-- > 0 && freed < want && !w->refused && !watch_is_relieved()) {
		struct vm_object *o = next_object(task);
		unsigned aged = 0;

		if (!o)
			break;
		sweep_object(w, task, o, w->batch, &aged);
		if (task->reclaim.page == 0)
			task->reclaim.entry++;
		*ret_moved |= aged + w->chosen > 0;
		worker_made_inactive(w, aged);
		worker_age(w);
		freed += worker_launder(w);
		vm_object_put(o);
	}
	return freed;
}

/* Own reclaim works until so many pages are free below the limit. */
#define LIMIT_SLACK 32u

unsigned
round_limits(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	struct task *task;
	uint32_t cursor = 0;
	unsigned freed = 0;
	bool again = false;

	store_release(&d->limits.wanted[w->lane], false);
	while ((task = task_next(d, &cursor)) != NULL) {
		bool is_ours = load_acquire(&task->lane) == w->lane && !watch_is_relieved();

		/* Taken back first: a fault that parks from here on asks again. */
		if (is_ours && exchange_acq_rel(&task->reclaim.queued, false)) {
			bool moved = false, waited_for;

			if (process_over_limit(task->bill.process, LIMIT_SLACK))
				freed += round_task(w, task, &moved);
			waited_for = load_acquire(&task->bill.process->limit_parked) > 0;
			/* Below the limit, by our work or its owner's: who waits may go on. */
			if (waited_for && !process_over_limit(task->bill.process, 1))
				bells_ring_one(&d->bells);
			/* A limit set below what is held is worked down to without a fault, as long
			 * as pages move. */
			if (waited_for || (moved && process_over_limit(task->bill.process, 0))) {
				store_release(&task->reclaim.queued, true);
				again = true;
			}
		}
		task_put(task);
	}
	if (again)
		store_release(&d->limits.wanted[w->lane], true);
	return freed;
}
