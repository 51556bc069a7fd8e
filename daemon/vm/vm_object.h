/* SPDX-License-Identifier: MIT
 *
 * A VM object: a run of slots in the slot arena and a memfd that holds its resident pages at
 * page index * page size. Anonymous objects take the allocations of their client that lie beside
 * what they have, so object page i is always mapped at base_address + i * page size. A page that no
 * region maps is ABSENT.
 *
 * References: one per map entry, one per operation under way (a fault, an I/O, a laundered page). A
 * page that is busy keeps the object: whoever takes it apart waits for busy pages first.
 */
#ifndef VM_OBJECT_H
#define VM_OBJECT_H

#include "daemon.h"
#include "vm/books.h"
#include "vm/vm_page.h"

int object_table_create(struct daemon *d);
void object_table_destroy(struct daemon *d);
/* => 0, -ENOMEM, -EMFILE, -ENOSPC (no slots, or all of a share is in use), -EDQUOT (the user has
 * its share). One reference for the caller. */
int vm_object_create(struct daemon *d, struct task *task, uint64_t page_count,
    uint64_t base_address, struct vm_object **ret);
/* The last reference frees it: every slot must be ABSENT by then. */
void vm_object_put(struct vm_object *o);

/* What stands for the slots of a block without memory. */
extern const _Atomic uint64_t vm_slot_absent;
/* To be read only. => O or PAGEQ held. Without them it is a hint, which may meet a block that is
 * just being released: its slots have a page again then that nobody is billed for, until the block
 * or its object is released. */
static inline const _Atomic uint64_t *
vm_object_slot(const struct vm_object *o, uint64_t index)
{
	if (unlikely(load_relaxed(&o->blocks[index / SLOTS_PER_BLOCK]) == 0))
		return &vm_slot_absent;
	return &o->daemon->slots.slots[o->slot_base + index];
}
/* Whether every page of [low, high) is stored. A hint unless O is held. */
static inline bool
vm_object_all_stored(const struct vm_object *o, uint64_t low, uint64_t high)
{
	for (uint64_t i = low; i < high; i++)
		if (slot_kind(load_relaxed(vm_object_slot(o, i))) != SLOT_STORED)
			return false;
	return true;
}
/* So many stored pages between two that are worked on do not part them: one call serves both. */
#define VM_GAP_MAX 15u
/* block.c: up to `count` pages from index on (in the direction) may be published: their blocks have
 * memory.
 * => how many; 0: the client may have no more table memory. O held */
unsigned vm_object_populate(struct vm_object *o, uint64_t index, unsigned count, int direction);
/* Gives the memory of blocks of pages [first, last) back in which nothing is left. Runs on: jobs.
 * No lock held. */
void vm_object_release(struct vm_object *o, uint64_t first, uint64_t last);
/* The object ends: what is left is not billed any more. */
void vm_object_blocks_end(struct vm_object *o);
/* Publishes a slot. => O held; vm_object_populate has answered for it */
void vm_object_slot_set(struct vm_object *o, uint64_t index, uint64_t slot);
static inline uint64_t
vm_object_address(const struct vm_object *o, uint64_t index)
{
	return o->base_address + (index << o->daemon->page_shift);
}
/* What the compressor writes beside a stored page. */
struct cowner vm_object_owner(const struct vm_object *o, uint64_t page);
/* The object that may be meant, with a reference, and the page in it; or NULL. */
struct vm_object *vm_object_of_owner(struct daemon *d, struct cowner owner, uint64_t *ret_page);
/* The first object at or behind *cursor, with a reference; moves the cursor behind it. NULL at the
 * end. */
struct vm_object *vm_object_next(struct daemon *d, uint32_t *cursor);
/* The page's number for the policy. */
static inline pol_page
vm_object_pol_page(const struct vm_object *o, uint64_t index)
{
	return o->slot_base + (uint32_t)index;
}
/* Passes once through O. find_target takes O while it still has M: a fault that has found what a
 * map was before it changed has published its pages when this returns, and vm_object_next_live sees
 * them. Before a walk of what has changed. */
void vm_object_settle(struct vm_object *o);
/* The first index >= index and < end whose block is not wholly ABSENT; end if there is none. */
uint64_t vm_object_next_live(const struct vm_object *o, uint64_t index, uint64_t end);
/* Lets a page go and wakes whoever wanted it (client threads by UFFDIO_WAKE, jobs by the
 * condition).
 * => called with no lock held */
void vm_object_unbusy(struct vm_object *o, uint64_t index, struct vm_page *p);
/* Waits until the page at index is not busy. => called with O held; drops and retakes it. */
void vm_object_wait_unbusy(struct vm_object *o, struct vm_page *p);
/* The hole that the page lies in, or NULL. Who may not go on sets ->wanted: its owner wakes the
 * range. => O held */
struct hole *vm_object_hole_at(const struct vm_object *o, uint64_t index);
/* [low, high) becomes a hole. => O held */
void vm_object_hole_begin(struct vm_object *o, struct hole *hole, uint64_t low, uint64_t high);
/* And ceases to be one; jobs that wait for that are told. => whether the range must be woken; O
 * held */
bool vm_object_hole_end(struct vm_object *o, struct hole *hole);
/* Waits until no hole is left in [low, high). => whether it waited; O held, dropped and retaken
 * then. Runs on: jobs */
bool vm_object_wait_holes(struct vm_object *o, uint64_t low, uint64_t high);
/* vm_object_hole_end by a job, which wakes whoever wanted the range. => no lock held */
void vm_object_hole_close(struct vm_object *o, struct hole *hole);
/* Discards pages [first, first + count): content, stored copies and frames. Waits for busy pages.
 * => returns how many were there. Runs on: jobs. No lock held. */
uint64_t vm_object_discard(struct vm_object *o, uint64_t first, uint64_t count);

#endif
