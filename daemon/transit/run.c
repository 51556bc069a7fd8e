/* SPDX-License-Identifier: MIT
 *
 * Fills: frames are taken, and the books closed. Runs on: fault servers and jobs (prefetch). The
 * pages of a fill are busy from fill_begin until fill_finish, fill_abort or fill_lost.
 */
#include "transit/run.h"

#include <string.h>

#include "failpt.h"
#include "memorystatus/creation.h"
#include "pageq/pageq.h"
#include "pmap/pmap.h"
#include "pmap/uffd.h"
#include "transit/poison.h"
#include "transit/release.h"
#include "pagers/pager.h"
#include "vm/copy_link.h"
#include "vm/copy_look.h"

/* How many pages from index on, in that direction, have the kind of the first one and lie in no
 * hole. => O held */
static unsigned
same_kind(struct vm_object *o, uint64_t index, unsigned want, int direction)
{
	enum slot_kind kind = slot_kind(load_relaxed(vm_object_slot(o, index)));
	unsigned n = 1;

	lock_assert_held(&o->lock);
	for (; n < want; n++) {
		uint64_t i = direction > 0 ? index + n : index - n;

		if (slot_kind(load_relaxed(vm_object_slot(o, i))) != kind ||
		    vm_object_hole_at(o, i))
			break;
	}
	return n;
}

/* A frame that was taken becomes the page's, FILLING from the copy that its slot names, or from
 * what is below. => O and PAGEQ held */
static void
frame_assign(struct vm_object *o, uint64_t index, uint32_t frame, uint64_t slot, bool from_below,
    enum door door)
{
	struct daemon *d = o->daemon;
	struct vm_page *p = &d->frames.pages[frame];
	bool stored = slot_kind(slot) == SLOT_STORED;

	lock_assert_held(&o->lock);
	pageq_assert_held(d);
	INVARIANT(stored || slot == SLOT_ABSENT);
	p->object = o->index;
	p->index = (uint32_t)index;
	p->cref = stored ? slot_cref(slot).v : from_below ? CREF_BELOW.v : pager_absent_copy(o).v;
	store_relaxed(&p->seen_by, SEEN_BY_ANY);
	vm_page_flags_set(p, (uint32_t)(stored ? slot_door(slot) : door) << PAGE_DOOR_SHIFT |
				 (unlikely(from_below) ? PAGE_BUSY | PAGE_DUP : PAGE_BUSY));
	vm_page_commit(d, o, frame, stored ? PAGE_STORED : PAGE_ABSENT, PAGE_FILLING);
}

/* The last frames are not for guesses. But pages that are read from their places can leave again
 * for nothing: of these some may come, or a scan of a file that is larger than memory would read
 * page by page. => how many of `count` pages */
static unsigned
guesses_bound(const struct daemon *d, const struct vm_object *o, enum frame_use use, unsigned count)
{
	CHECK(count > 0);
	if (unlikely(o->external != NULL) && use == FRAME_READ)
		return (unsigned)min_u64(count, frames_available_for(d, use) / 4 + 1);
	return count > 1 && frames_available(d) < 4 * count ? 1 : count;
}

/* By which way page n of a fill comes, the one that is wanted first. => O held */
static enum door
door_of(const struct vm_object *o, const struct fill *fill, unsigned n)
{
	lock_assert_held(&((struct vm_object *)(uintptr_t)o)->lock);
	if (unlikely(fill->from_below))
		return DOOR_COPY;
	if (fill->door != DOOR_FAULT)
		return fill->door;
	if (unlikely(o->owner != fill->task))
		return DOOR_NAMED;
	return n > 0 ? DOOR_NEIGHBOUR : DOOR_FAULT;
}

/* How many of `count` pages the limits allow of which the client has that pays for them. Another
 * client does not wait for these, and makes the owner's bill grow beyond them: see
 * limits_want_of_owner. => 0: the thread must wait; O held */
static unsigned
limits_bound(const struct vm_object *o, const struct fill *fill, enum frame_use use, unsigned count)
{
	struct process *payer = o->owner ? o->owner->bill.process : NULL;
	bool is_own = payer == fill->task->bill.process;

	lock_assert_held(&((struct vm_object *)(uintptr_t)o)->lock);
	if (!payer)
		return count;
	if (is_own)
		count = (unsigned)min_u64(count, process_room(payer));
	/* New content, or a copy of somebody else's: a page that is stored, or of a file, makes the
	 * footprint no larger. */
	if (count == 0 || !(use == FRAME_FIRST || fill->from_below) || !vm_object_is_counted(o))
		return count;
	/* A guess is not what the program wants. */
	if (is_own && (fill->door == DOOR_PREFAULT ? process_over_footprint(payer, 1)
						   : process_wants_too_much(payer, 1)))
		return 0;
	return (unsigned)min_u64(count, process_footprint_room(payer));
}

enum run_begun
fill_begin(struct daemon *d, struct vm_object *o, uint64_t index, unsigned want, int direction,
    enum frame_use use, struct fill *ret)
{
	unsigned count = same_kind(o, index, want, direction), got = 0;
	struct hole *hole = vm_object_hole_at(o, index);

	lock_assert_held(&o->lock);
	CHECK(want > 0 && want <= FAULT_CLUSTER_MAX);
	if (hole) {
		hole->wanted = true;
		return RUN_BUSY;
	}
	ret->from_below = false;
	if (vm_object_is_linked(o, COPY_BELOW) &&
	    slot_kind(load_relaxed(vm_object_slot(o, index))) == SLOT_ABSENT)
		count = copy_alike(o, index, count, direction, &ret->from_below);
	if (lane_must_wait(d, ret->task) ||
	    (use == FRAME_FIRST && creation_must_wait(d, ret->task)))
		return RUN_OVER_LIMIT;
	count = limits_bound(o, ret, use, count);
	if (count == 0)
		return RUN_OVER_LIMIT;
	/* Before table memory is taken: it would stay though there is no frame. */
	if (frames_available_for(d, use) == 0)
		return RUN_NO_FRAME;
	count = vm_object_populate(o, index, count, direction);
	if (count == 0)
		return RUN_NO_TABLE;
	pageq_lock(d);
	count = guesses_bound(d, o, use, count);
	while (got < count) {
		uint32_t frame = frame_take_locked(d, use);
		uint64_t i = direction > 0 ? index + got : index - got;

		if (frame == FRAME_NONE)
			break;
		frame_assign(o, i, frame, load_relaxed(vm_object_slot(o, i)), ret->from_below,
		    door_of(o, ret, got));
		ret->frames[got++] = frame;
	}
	pageq_unlock(d);
	if (got == 0)
		return RUN_NO_FRAME;
	if (direction < 0) {
		for (unsigned i = 0; i < got / 2; i++) {
			uint32_t swap = ret->frames[i];

			ret->frames[i] = ret->frames[got - 1 - i];
			ret->frames[got - 1 - i] = swap;
		}
	}
	vm_object_get(o);
	ret->object = o;
	ret->index = direction > 0 ? index : index - (got - 1);
	ret->first = direction > 0 ? 0 : got - 1;
	ret->count = got;
	ret->seen_by = SEEN_BY_ANY;
	for (unsigned i = 0; i < got; i++)
		vm_object_slot_set(o, ret->index + i, slot_resident(ret->frames[i]));
	failpt_die(FAIL_DIE_FILL_BEGUN);
	return RUN_BEGUN;
}

/* Lets page i go, whose state is settled, and wakes the threads that met it busy. => no lock
 * held */
static void
fill_release(struct fill *fill, unsigned i)
{
	locks_assert_none();
	vm_object_unbusy(fill->object, fill->index + i, fill_page(fill, i));
}

/* A copy that is kept saves compressing the page again if it is only read, and costs memory that
 * could hold other pages. Copies of a run are kept: it does not come back to a page before that has
 * left, so more resident pages would not help it. Other copies are kept only while memory is free
 * that nobody wants, and never so many that segments would go to swap for them. */
bool
fill_retains(struct daemon *d, const struct fill *fill)
{
	/* The frame is from the reserve of the squeeze: the page must be able to leave again though
	 * nothing can be stored. Without the squeeze pageout is only late, and copies would take
	 * the memory that is lacking. */
	if (unlikely(load_relaxed(&d->park.squeezed)) && frames_available(d) == 0 && !fill->write)
		return true;
	/* What something above lacks must stay protected, and so keeps its copy. */
	if (vm_object_has_copies(fill->object, fill->index, fill->count))
		return true;
	switch (param(d, retain_copies)) {
	case 0:
		return false;
	case 1:
		return true;
	default:
		if (!pager_copies_fit(fill->object))
			return false;
		return fill->sequential ||
		       load_relaxed(&d->frames.free_count) > 2 * d->frames.free_target;
	}
}

void
fill_finish(const struct stat_shard *stats, struct fill *fill, unsigned count, enum page_state to,
    bool protected)
{
	struct daemon *d = fill->object->daemon;
	struct vm_object *o = fill->object;
	struct cref given_up[FAULT_CLUSTER_MAX];
	unsigned give = 0;

	locks_assert_none();
	CHECK(count > 0 && count <= fill->count);
	failpt_die(FAIL_DIE_FILL_PLACED);
	for (unsigned i = 0; i < count; i++) {
		struct vm_page *p = fill_page(fill, i);
		bool clean =
		    p->cref != 0 && protected && !(fill->write && i == fill->first) && !fill->wired;

		vm_page_assert(o, fill->index + i);
		store_relaxed(&p->seen_by, fill->seen_by);
		if (clean)
			continue;
		if (unlikely(fill->from_below))
			vm_page_flags_clear(p, PAGE_DUP);
		if (unlikely(fill->wired) && p->cref == 0 &&
		    page_word_door(load_relaxed(&p->word)) <= DOOR_NEIGHBOUR)
			vm_page_door_set(p, DOOR_WIRE);
		if (p->cref)
			given_up[give++].v = p->cref;
		p->cref = 0;
		vm_page_make_dirty(o, p, fill->task);
	}
	/* The policy counts neighbours as referenced too: they are mapped, and the run is about to
	 * touch them. */
	pageq_lock(d);
	for (unsigned i = 0; i < count; i++)
		pageq_filled_locked(d, o, fill->frames[i],
		    fill->wired && to == PAGE_ACTIVE ? PAGE_WIRED : to,
		    i == fill->first && fill->write ? PF_WRITE : 0);
	pageq_unlock(d);
	for (unsigned i = 0; i < give; i++)
		pager_drop(o, given_up[i]);
	for (unsigned i = 0; i < count; i++)
		fill_release(fill, i);
	if (stats && count > 1)
		stat_add(*stats, STAT_CLUSTERED, count - 1);
	if (count < fill->count)
		fill_abort(d, fill, count);
	vm_object_put(o);
}

/* Pages [from, count) go back to what they were; threads that met one are woken. wake_first: so is
 * the thread whose fault it is. => no lock held */
static void
put_back(struct daemon *d, struct fill *fill, unsigned from, bool wake_first)
{
	struct vm_object *o = fill->object;
	bool wanted = false;

	locks_assert_none();
	CHECK(from <= fill->count);
	lock_acquire(&o->lock);
	for (unsigned i = from; i < fill->count; i++) {
		struct vm_page *p = fill_page(fill, i);
		struct cref cref = { p->cref };
		uint64_t slot;

		vm_page_assert(o, fill->index + i);
		wanted |= (load_acquire(&p->word) & PAGE_WANTED) != 0;
		slot = slot_with_door(pager_slot(o, cref), page_word_door(load_relaxed(&p->word)));
		vm_object_slot_set(o, fill->index + i, slot);
		pageq_lock(d);
		vm_page_commit(d, o, fill->frames[i], PAGE_FILLING,
		    slot == SLOT_ABSENT ? PAGE_ABSENT : PAGE_STORED);
		pageq_unlock(d);
	}
	if (wanted && load_acquire(&o->waiters) > 0)
		cond_broadcast(&o->unbusy);
	lock_release(&o->lock);
	if (wanted || (wake_first && from <= fill->first))
		pmap_wake(o, fill->index + from, fill->index + fill->count);
	fill->count = from;
}

void
fill_abort(struct daemon *d, struct fill *fill, unsigned from)
{
	locks_assert_none();
	put_back(d, fill, from, true);
}

void
fill_defer(struct daemon *d, struct fill *fill)
{
	locks_assert_none();
	put_back(d, fill, 0, false);
}

void
fill_drop_front(struct daemon *d, struct fill *fill, unsigned count)
{
	struct fill front = *fill;

	locks_assert_none();
	CHECK(count <= fill->first && fill->first < fill->count);
	if (count == 0)
		return;
	front.count = count;
	fill->index += count;
	fill->count -= count;
	fill->first -= count;
	memmove(fill->frames, fill->frames + count, fill->count * sizeof(fill->frames[0]));
	put_back(d, &front, 0, false);
}

void
fill_lost(struct stat_shard stats, struct hole *hole, struct fill *fill, unsigned i, bool is_own)
{
	struct vm_object *o = fill->object;
	struct daemon *d = o->daemon;
	struct cref cref = { fill_page(fill, i)->cref };

	locks_assert_none();
	CHECK(i < fill->count && cref.v != 0);
	vm_page_assert(o, fill->index + i);
	lock_acquire(&o->lock);
	vm_object_slot_set(o, fill->index + i, SLOT_POISONED);
	pageq_lock(d);
	vm_page_commit(d, o, fill->frames[i], PAGE_FILLING, PAGE_POISONED);
	pageq_unlock(d);
	vm_object_hole_begin(o, hole, fill->index + i, fill->index + i + 1);
	if (load_acquire(&o->waiters) > 0)
		cond_broadcast(&o->unbusy);
	lock_release(&o->lock);
	pager_drop(o, cref);
	stat_add(stats, STAT_PAGES_LOST, 1);
	ledger_count(&fill->task->bill.ledger, PAGER_LEDGER_PAGES_LOST, 1);
	if (is_own) {
		poison_hole(o, hole, fill->task, fill_address(fill, i));
	} else {
		vm_object_hole_close(o, hole);
		uffd_wake(fill->task->uffd, fill_address(fill, i), d->page_bytes);
	}
	log_error_limited(
	    "page %llu of object %llu (process %d) could not be read back and is lost: "
	    "touching it is SIGBUS",
	    (unsigned long long)(fill->index + i), (unsigned long long)o->id, (int)fill->task->pid);
}
