/* SPDX-License-Identifier: MIT
 *
 * Discarding: content, stored copies and frames of a range of pages are given up. Runs on: jobs. O
 * is never held across a system call on the memfd or the userfaultfd.
 */
#include "transit/discard.h"

#include "memorystatus/frame_wait.h"
#include "pmap/pmap.h"
#include "transit/blocks.h"
#include "transit/copy_leave.h"
#include "transit/empty.h"
#include "transit/release.h"
#include "vm/copy_link.h"
#include "vm/task.h"
#include "vm/vm_share.h"

/* Takes the poison of a refused page out of the page tables, unless the page has got a frame after
 * all. => no lock held */
static void
unrefuse_page(struct vm_object *o, uint64_t index)
{
	bool resident;
	struct hole hole;

	locks_assert_none();
	lock_acquire(&o->lock);
	vm_object_wait_holes(o, index, index + 1);
	vm_object_hole_begin(o, &hole, index, index + 1);
	resident = slot_kind(load_relaxed(vm_object_slot(o, index))) == SLOT_RESIDENT;
	lock_release(&o->lock);
	if (!resident)
		pmap_clear(o, index);
	vm_object_hole_close(o, &hole);
}

/* The refused faults on [first, end) are forgotten, with their poison. They are kept by address:
 * each mapping has its own. => no lock held */
static void
unrefuse(struct vm_object *o, uint64_t first, uint64_t end)
{
	struct daemon *d = o->daemon;
	const struct mapper *m;
	struct mapper_walk w;
	uint64_t address;

	locks_assert_none();
	mapper_walk_begin(&w, o, first, end);
	while ((m = mapper_walk_next(&w)) != NULL)
		while (refused_forget(d, m->task, m->base + (m->low << d->page_shift),
		    m->base + (m->high << d->page_shift), &address))
			if (!task_is_dead(m->task))
				unrefuse_page(
				    o, (round_down_u64(address, d->page_bytes) - m->base) >>
					   d->page_shift);
	mapper_walk_end(&w);
}

void
vm_object_unrefuse(struct vm_object *o, uint64_t first, uint64_t end)
{
	locks_assert_none();
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECK(end <= o->page_count);
	/* Threads that are refusing a page of the range have noted it when their holes end. */
	lock_acquire(&o->lock);
	vm_object_wait_holes(o, first, end);
	lock_release(&o->lock);
	unrefuse(o, first, end);
}

uint64_t
vm_object_discard(struct vm_object *o, uint64_t first, uint64_t count)
{
	uint64_t end = first + count, gone;

	locks_assert_none();
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECK(end <= o->page_count);
	/* Passes through O, as vm_object_settle does. It also waits for threads that are refusing a
	 * page of the range, so that their poison is taken away too. */
	lock_acquire(&o->lock);
	vm_object_wait_holes(o, first, end);
	lock_release(&o->lock);
	if (vm_object_is_linked(o, COPY_ABOVE | COPY_BELOW))
		vm_object_copies_leave(o, first, end);
	gone = vm_object_empty(o, first, end);
	unrefuse(o, first, end);
	blocks_release(o, first, end);
	return gone;
}

uint64_t
vm_object_discard_uncovered(
    struct vm_object *o, const struct vm_mapping *except, uint64_t first, uint64_t end)
{
	uint64_t gone = 0, low, high;

	locks_assert_none();
	CHECK(o->is_shareable);
	for (; first < end && vm_object_uncovered(o, except, first, end, &low, &high); first = high)
		gone += vm_object_discard(o, low, high - low);
	return gone;
}
