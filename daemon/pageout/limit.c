/* SPDX-License-Identifier: MIT
 *
 * Clients at their limit: their own pages leave, and those of no other client. Runs on: worker 0 of
 * the common lane, and side lanes' workers. Allocates nothing.
 */
#include "pageout/limit.h"

#include "clock.h"
#include "memorystatus/limits.h"
#include "memorystatus/memorystatus.h"
#include "pageout/age.h"
#include "pageout/batch.h"
#include "pageout/purge.h"
#include "pageout/writeback.h"
#include "pagers/store.h"
#include "vm/task.h"

/* Goes through the pages of one object, from the task's hand on: inactive and speculative ones
 * become victims, active ones inactive, up to `want` of each. *aged grows by the pages in
 * w->deactivated. */
static void
sweep_object(
    struct pageout_worker *w, struct task *task, struct vm_object *o, unsigned want, unsigned *aged)
{
	struct daemon *d = w->daemon;
	uint64_t i = load_relaxed(&task->reclaim.page);

	CHECK(want <= PAGEOUT_BATCH_MAX && w->chosen == 0 && *aged == 0);
	for (; w->chosen < want && *aged < want &&
	       (i = vm_object_next_live(o, i, o->page_count)) < o->page_count;
	     i++) {
		struct victim *victim = &w->victims[w->chosen];

		pageq_lock(d);
		if (pageq_choose_page_locked(d, o, i, victim) ||
		    pageq_choose_speculative_page_locked(d, o, i, victim)) {
			w->chosen++;
		} else if (pageq_deactivate_page_locked(d, o, i)) {
			vm_object_get(o);
			w->deactivated[*aged] =
			    (struct victim){ vm_object_pol_page(o, i), FRAME_NONE, o };
			++*aged;
		}
		pageq_unlock(d);
	}
	store_relaxed(&task->reclaim.page, i >= o->page_count ? 0 : (uint32_t)i);
}

/* Whether the task pays for the object's pages: those of others are not taken for its limit. */
static bool
is_billed(struct vm_object *o, const struct task *task)
{
	bool is_owner;

	if (likely(!o->is_shareable))
		return true;
	lock_acquire(&o->lock);
	is_owner = o->owner == task;
	lock_release(&o->lock);
	return is_owner;
}

/* The object at the task's hand in its map, with a reference, or NULL: the map is empty. */
static struct vm_object *
next_object(struct task *task)
{
	uint32_t entry = load_relaxed(&task->reclaim.entry);
	struct vm_object *o = NULL;

	locks_assert_none();
	lock_acquire(&task->map.lock);
	if (task->map.count > 0) {
		if (entry >= task->map.count) {
			entry = 0;
			store_relaxed(&task->reclaim.entry, 0);
		}
		o = task->map.entries[entry].mapping->object;
		vm_object_get(o);
	}
	lock_release(&task->map.lock);
	return o;
}

static uint32_t
entries_count(struct task *task)
{
	uint32_t count;

	lock_acquire(&task->map.lock);
	count = task->map.count;
	lock_release(&task->map.lock);
	return count;
}

/* Whether fewer frames are free than clients at their limits should leave to others; part 4: than a
 * quarter of that, beside what pageout keeps free. Where there is swap, what such a client has goes
 * there then, and not at the cost of others' pages. */
static bool
is_short(const struct daemon *d, unsigned part)
{
	uint64_t left = (uint64_t)frames_movable(d) * param(d, limit_free_permille) / 1000;

	return swap_has_room(d) && load_relaxed(&d->frames.free_count) <
				       load_relaxed(&d->frames.free_target) + left / part;
}

/* Whether frames are so few that the next pages have to wait until those before them are in swap.
 */
static bool
must_wait(const struct daemon *d)
{
	return is_short(d, 4) && compressor_apart_segments(d->compressor) > worker_thread_count(d);
}

/* Launders the victims, pages of one client that is over its limit. Where frames are short they
 * keep apart from others', so that they go to swap before these; and the client waits for the
 * writer rather than take the last ones. => frames freed */
static unsigned
launder_own(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	bool apart = is_short(d, 1);
	unsigned freed;

	if (!apart)
		return worker_launder(w);
	compressor_apart(d->compressor, w->index, true);
	freed = worker_launder(w);
	compressor_apart(d->compressor, w->index, false);
	writeback_want(d);
	return freed;
}

static bool
is_mapped(struct vm_object *o, const struct task *task)
{
	const struct vm_mapping *m;

	lock_acquire(&o->lock);
	for (m = o->mappings; m && m->task != task; m = m->next)
		continue;
	lock_release(&o->lock);
	return m != NULL;
}

/* The same of what the task pays for without mapping it: a file of which there are private mappings
 * only, a message. => frames freed */
static unsigned
round_unmapped(struct pageout_worker *w, struct task *task, unsigned want, bool *ret_moved)
{
	unsigned freed = 0;
	uint32_t cursor = 0;
	struct vm_object *o;

	while (freed < want && !w->refused && !watch_is_relieved() &&
	       (o = vm_object_next(w->daemon, &cursor)) != NULL) {
		unsigned aged = 0;

		if (o->is_shareable && !o->is_device && is_billed(o, task) && !is_mapped(o, task)) {
			store_relaxed(&task->reclaim.page, 0);
			sweep_object(w, task, o, w->batch, &aged);
			store_relaxed(&task->reclaim.page, 0);
			*ret_moved |= aged + w->chosen > 0;
			worker_made_inactive(w, aged);
			worker_age(w);
			freed += launder_own(w);
		}
		vm_object_put(o);
	}
	return freed;
}

/* Takes out up to a batch of pages of a client that is over its limit. => frames freed; *ret_moved:
 * some pages became victims or inactive */
static unsigned
round_task(struct pageout_worker *w, struct task *task, bool *ret_moved)
{
	struct daemon *d = w->daemon;
	unsigned want = (unsigned)param(d, pageout_batch), freed = 0;
	uint32_t tries = 2 * entries_count(task) + 2;

	w->refused = false;
	/* sweep_object fills w->deactivated from its beginning. */
	worker_age(w);
	while (tries-- > 0 && freed < want && !w->refused && !watch_is_relieved()) {
		struct vm_object *o = NULL;
		unsigned aged = 0, purged = 0;

		w->refused = must_wait(d);
		if (!w->refused)
			o = next_object(task);
		if (!o)
			break;
		if (unlikely(o->is_purgeable) && is_billed(o, task))
			purged = purge_object(w, o);
		freed += purged;
		/* A relieved worker's victims would be nobody's. */
		if (purged == 0 && !watch_is_relieved() && is_billed(o, task))
			sweep_object(w, task, o, w->batch, &aged);
		else
			store_relaxed(&task->reclaim.page, 0);
		if (load_relaxed(&task->reclaim.page) == 0)
			fetch_add_relaxed(&task->reclaim.entry, 1);
		*ret_moved |= aged + w->chosen > 0;
		worker_made_inactive(w, aged);
		worker_age(w);
		freed += launder_own(w);
		vm_object_put(o);
	}
	return freed < want ? freed + round_unmapped(w, task, want - freed, ret_moved) : freed;
}

/* Pages below its limit that a client is worked down to. */
#define LIMIT_SLACK 32u

unsigned
round_limits(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	struct task *task;
	uint32_t cursor = 0;
	unsigned freed = 0;
	bool again = false;

	locks_assert_none();
	CHECK(w->lane <= SIDE_LANES && w->chosen == 0);
	store_release(&d->limits.wanted[w->lane], false);
	while ((task = task_next(d, &cursor)) != NULL) {
		bool is_ours = load_acquire(&task->lane) == w->lane && !watch_is_relieved();

		/* The flag is cleared first: a fault that parks from here on sets it again. */
		if (is_ours && exchange_acq_rel(&task->reclaim.queued, false)) {
			bool moved = false, waited_for;
			unsigned left = 0;

			if (process_over_limit(task->bill.process, LIMIT_SLACK))
				left = round_task(w, task, &moved);
			freed += left;
			waited_for = load_acquire(&task->bill.process->limit_parked) > 0;
			if (process_stuck(task->bill.process,
				waited_for && left == 0 && !moved &&
				    process_over_limit(task->bill.process, 1),
				clock_now_ns()))
				memorystatus_want(d);
			/* Below the limit, by this work or its owner's: waiting faults may go on.
			 */
			if (waited_for && !process_over_limit(task->bill.process, 1))
				bells_ring_one(&d->bells);
			/* Where a limit was set below what the client holds, the work goes on
			 * without a fault as long as pages move. */
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
