/* SPDX-License-Identifier: MIT
 *
 * Copies outlive what they were copied from. Runs on: jobs.
 */
#include "transit/copy_leave.h"

#include "pageq/pageq.h"
#include "pagers/returns.h"
#include "pmap/pmap.h"
#include "record/window.h"
#include "transit/copy_push.h"
#include "transit/empty.h"
#include "transit/release.h"
#include "transit/unshow.h"
#include "vm/copy_link.h"
#include "vm/hole.h"

/* Pages that are moved before their own frames are freed. */
#define LEAVE_STEP 16u
/* The largest page. */
#define PAGE_MOST 65536u

/* The page has no frame: its handle, or its loss, moves. => O held, dropped */
static void
slot_move(struct vm_object *o, uint64_t index, uint64_t slot)
{
	struct daemon *d = o->daemon;
	struct hole hole;

	lock_assert_held(&o->lock);
	vm_object_hole_begin(o, &hole, index, index + 1);
	lock_release(&o->lock);
	if (copy_push_slot(NULL, o, index)) {
		/* The page above is lost now, and this one is as if it had never been. */
		if (slot_kind(slot) == SLOT_POISONED)
			pmap_clear(o, index);
		lock_acquire(&o->lock);
		vm_object_slot_set(o, index, SLOT_ABSENT);
		pageq_lock(d);
		vm_page_commit_slot(d, o,
		    slot_kind(slot) == SLOT_STORED ? PAGE_STORED : PAGE_POISONED, PAGE_ABSENT);
		pageq_forget_locked(d, o, vm_object_pol_page(o, index));
		pageq_unlock(d);
		if (trace_is_on(d))
			trace_forgotten(d, o, index);
		lock_release(&o->lock);
	}
	vm_object_hole_close(o, &hole);
}

/* => whether the page's content is where it belongs; if not, it is to be tried again: the page was
 * in transit, or there was no frame */
static bool
page_move(struct vm_object *o, uint64_t index, void *page)
{
	struct daemon *d = o->daemon;
	struct vm_page *p;
	bool moved;
	uint64_t slot;

	lock_acquire(&o->lock);
	vm_object_wait_holes(o, index, index + 1);
	slot = load_relaxed(vm_object_slot(o, index));
	if (slot_kind(slot) == SLOT_STORED || slot_kind(slot) == SLOT_POISONED) {
		slot_move(o, index, slot);
		return true;
	}
	if (slot_kind(slot) == SLOT_ABSENT) {
		lock_release(&o->lock);
		return true;
	}
	p = &d->frames.pages[slot_frame(slot)];
	if (!vm_page_busy_only(p)) {
		vm_object_wait_unbusy(o, p);
		lock_release(&o->lock);
		return false;
	}
	lock_release(&o->lock);
	/* What is equal to what is below need not move. */
	moved = load_acquire(&p->word) & PAGE_DUP ||
		copy_push(NULL, o, index, page, COPY_AS_IT_LEAVES) == COPY_PUSHED;
	vm_object_unbusy(o, index, p);
	if (!moved)
		frames_wait(d);
	return moved;
}

/* Moves what something above lacks of [first, end), which has links above. */
static void
range_move(struct vm_object *o, uint64_t first, uint64_t end)
{
	char page[PAGE_MOST];

	CHECK(o->daemon->page_bytes <= sizeof(page));
	for (uint64_t i = first; (i = vm_object_next_live(o, i, end)) < end;) {
		uint64_t last = min_u64(i + LEAVE_STEP, end);

		for (uint64_t at = i; at < last; at++)
			while (!page_move(o, at, page))
				continue;
		vm_object_empty(o, i, last);
		i = last;
	}
}

/* Threads that met a page of those that leave busy are not on the line any more. */
static void
besides_wake(const struct copy_besides *besides)
{
	for (unsigned i = 0; i < besides->count; i++) {
		const struct copy_beside *b = &besides->ranges[i];

		/* Nobody waits there for what followed a file. Perhaps nobody sees the file any
		 * more: the cleaner looks. */
		if (b->at.object->external)
			returns_ring(b->at.object->daemon);
		else
			pmap_wake(b->at.object, b->at.index, b->at.index + b->count);
		vm_object_put(b->at.object);
	}
}

static void
links_leave(struct vm_object *o, uint64_t first, uint64_t end)
{
	struct copy_besides besides;

	CHECK(first < end);
	while (copy_links_leave(o, first, end, &besides))
		besides_wake(&besides);
}

void
vm_object_copies_leave(struct vm_object *o, uint64_t first, uint64_t end)
{
	struct copy_place above;
	uint64_t at = first, count;

	locks_assert_none();
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECK(first < end && end <= o->page_count);
	copy_links_leave_begin(o, first, end);
	/* A push that was decided before has made its page busy when O has been had. */
	vm_object_settle(o);
	for (; at < end; at += count) {
		copies_lock(o->daemon);
		count = copy_link_next_locked(o, true, &at, end, &above);
		copies_unlock(o->daemon);
		if (count == 0)
			break;
		vm_object_put(above.object);
		range_move(o, at, at + count);
	}
	links_leave(o, first, end);
	/* Threads of its own that wait for what was below. */
	pmap_wake(o, first, end);
	windows_unshow(o, first, end);
}

void
vm_object_copies_part(struct vm_object *o, uint64_t first, uint64_t end)
{
	locks_assert_none();
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECK(first < end && end <= o->page_count);
	copy_links_leave_begin(o, first, end);
	/* As above. */
	vm_object_settle(o);
	links_leave(o, first, end);
}
