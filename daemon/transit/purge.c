/* SPDX-License-Identifier: MIT
 *
 * Purging. Runs on: jobs, pageout workers. Allocates nothing. No lock is held across a system call:
 * the object's pages are busy, or in the hole.
 */
#include "transit/purge.h"

#include <errno.h>

#include "failpt.h"
#include "pmap/pmap.h"
#include "transit/blocks.h"
#include "transit/empty.h"
#include "transit/release.h"
#include "vm/kept_task.h"

/* Pages below `end` that the caller has busy are let go. => no lock held */
static void
pages_let_go(struct vm_object *o, uint64_t end)
{
	locks_assert_none();
	for (uint64_t i = 0; (i = vm_object_next_live(o, i, end)) < end; i++) {
		uint64_t slot = load_acquire(vm_object_slot(o, i));

		if (slot_kind(slot) == SLOT_RESIDENT)
			vm_object_unbusy(o, i, &o->daemon->frames.pages[slot_frame(slot)]);
	}
}

/* Makes all resident pages of the object, which is in a hole, busy. => false: one is in transit,
 * and none is busy by the caller; no lock held */
static bool
pages_take(struct vm_object *o, bool waits)
{
	uint64_t i = 0;

	locks_assert_none();
	while ((i = vm_object_next_live(o, i, o->page_count)) < o->page_count) {
		uint64_t end =
		    min_u64(round_down_u64(i, SLOTS_PER_BLOCK) + SLOTS_PER_BLOCK, o->page_count);
		bool taken = true;

		/* Faults of the object wait for O. */
		lock_acquire(&o->lock);
		for (; taken && i < end; i += taken) {
			uint64_t slot = load_relaxed(vm_object_slot(o, i));
			struct vm_page *p;

			if (slot_kind(slot) != SLOT_RESIDENT)
				continue;
			p = &o->daemon->frames.pages[slot_frame(slot)];
			taken = vm_page_busy_only(p);
			if (taken || !waits)
				continue;
			/* In the order of pages, as all who hold some while they wait. */
			vm_object_wait_unbusy(o, p);
			break;
		}
		lock_release(&o->lock);
		if (!taken && !waits) {
			pages_let_go(o, i);
			return false;
		}
	}
	return true;
}

/* The object begins to be purged: all of it becomes a hole. => O held */
static void
begin_locked(struct vm_object *o, struct hole *hole)
{
	lock_assert_held(&o->lock);
	CHECK(!o->purgeable.is_purging);
	o->purgeable.is_purging = true;
	vm_object_hole_begin(o, hole, 0, o->page_count);
}

static void
end(struct vm_object *o, struct hole *hole)
{
	bool wanted;

	lock_acquire(&o->lock);
	o->purgeable.is_purging = false;
	kept_object_purgeable_locked(o, false);
	wanted = vm_object_hole_end(o, hole);
	lock_release(&o->lock);
	if (wanted)
		pmap_wake(o, hole->low, hole->high);
}

/* The object, whose pages are busy, or in the hole, is emptied, and the hole ends. => pages that
 * had content */
static uint64_t
empty(struct stat_shard stats, struct hole *hole, struct vm_object *o)
{
	struct daemon *d = o->daemon;
	uint64_t gone;

	lock_acquire(&o->lock);
	pageq_lock(d);
	vm_object_purgeable_switch_locked(o, PURGEABLE_EMPTY, 0, true);
	pageq_unlock(d);
	lock_release(&o->lock);
	failpt_die(FAIL_DIE_PURGING);
	gone = vm_object_empty_busy(o, 0, o->page_count);
	end(o, hole);
	/* Another worker may have been there first. */
	stat_add(stats, STAT_PURGES, gone > 0);
	stat_add(stats, STAT_PURGED, gone);
	return gone;
}

enum purge_outcome
vm_object_purge(struct stat_shard stats, struct hole *hole, struct vm_object *o, bool waits,
    uint64_t *ret_pages)
{
	enum purge_outcome outcome = PURGE_DONE;

	locks_assert_none();
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECK(o->is_purgeable);
	*ret_pages = 0;
	lock_acquire(&o->lock);
	/* Threads that put poison into page tables have a hole around it. */
	if (waits)
		vm_object_wait_holes(o, 0, o->page_count);
	if (o->holes)
		outcome = PURGE_BUSY;
	else if (!vm_object_is_volatile(o))
		outcome = PURGE_KEPT;
	else
		begin_locked(o, hole);
	lock_release(&o->lock);
	if (outcome == PURGE_DONE && !pages_take(o, waits)) {
		end(o, hole);
		outcome = PURGE_BUSY;
	}
	if (outcome == PURGE_DONE)
		*ret_pages = empty(stats, hole, o);
	return outcome;
}

/* Whether somebody has wired some of it, or a page list has. => O held */
static bool
is_held_locked(const struct vm_object *o)
{
	lock_assert_held(&o->lock);
	if (o->upls || o->purgeable.wirers > 0)
		return true;
	for (struct vm_mapping *m = o->mappings; m; m = m->next)
		if (load_acquire(&m->wired_bytes) > 0)
			return true;
	return false;
}

int
vm_object_purgeable_set(struct stat_shard stats, struct vm_object *o, uint32_t word,
    struct task_record *record, uint32_t *ret_before)
{
	enum purgeable_state wanted = (enum purgeable_state)(word & PAGER_PURGEABLE_STATE_MASK),
			     before, state;
	uint32_t how = word & PURGEABLE_HOW_MASK;
	enum purgeable_action action;
	struct daemon *d = o->daemon;
	struct hole hole;

	locks_assert_none();
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECK(o->is_purgeable && purgeable_word_is_valid(word));
	lock_acquire(&o->lock);
	if (wanted == PURGEABLE_EMPTY)
		vm_object_wait_holes(o, 0, o->page_count);
	vm_object_wait_purged(o);
	if (wanted != PURGEABLE_NONVOLATILE && is_held_locked(o)) {
		lock_release(&o->lock);
		return -EBUSY;
	}
	before = o->purgeable.state;
	*ret_before = task_record_purgeable(record, (uint32_t)before | o->purgeable.how,
	    before == PURGEABLE_EMPTY && wanted == PURGEABLE_NONVOLATILE);
	state = purgeable_next(before, wanted, &action);
	if (action == PURGEABLE_EMPTIES) {
		begin_locked(o, &hole);
	} else if (action != PURGEABLE_STAYS) {
		pageq_lock(d);
		vm_object_purgeable_switch_locked(
		    o, state, action == PURGEABLE_LEAVES ? 0 : how, false);
		pageq_unlock(d);
	}
	lock_release(&o->lock);
	if (action == PURGEABLE_EMPTIES) {
		CHECK(pages_take(o, true));
		(void)empty(stats, &hole, o);
	}
	/* A worker that has purged it has left the tables. */
	if (action == PURGEABLE_EMPTIES || before == PURGEABLE_EMPTY)
		blocks_release(o, 0, o->page_count);
	failpt_die(FAIL_DIE_PURGEABLE);
	return 0;
}

uint32_t
vm_object_purgeable_get(struct vm_object *o)
{
	uint32_t word;

	CHECK(o->is_purgeable);
	lock_acquire(&o->lock);
	vm_object_wait_purged(o);
	word = (uint32_t)o->purgeable.state | o->purgeable.how;
	lock_release(&o->lock);
	return word;
}
