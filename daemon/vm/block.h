/* SPDX-License-Identifier: MIT
 *
 * An object's slots and the blocks of memory that they lie in.
 */
#ifndef BLOCK_H
#define BLOCK_H

#include "check.h"
#include "daemon.h"
#include "vm/books.h"
#include "vm/slot.h"

/* To be read only. => as slot_look */
static inline const _Atomic uint64_t *
vm_object_slot(const struct vm_object *o, uint64_t index)
{
	INVARIANT(index < o->page_count);
	return slot_look(&o->daemon->slots, o->slot_base + (uint32_t)index);
}
/* Whether the pager has every page of [low, high), and none has a frame. => as slot_look; a hint
 * unless O is held */
static inline bool
vm_object_all_away(const struct vm_object *o, uint64_t low, uint64_t high)
{
	enum slot_kind kind = o->external ? SLOT_ABSENT : SLOT_STORED;

	INVARIANT(low <= high && high <= o->page_count);
	for (uint64_t i = low; i < high; i++)
		if (slot_kind(load_relaxed(vm_object_slot(o, i))) != kind)
			return false;
	return true;
}
/* Up to this many stored pages may lie between two pages of one call. */
#define VM_GAP_MAX 15u
/* Up to `count` pages from index on (in the direction) may be published: their blocks have
 * memory.
 * => how many; 0: the client may have no more table memory. O held */
unsigned vm_object_populate(struct vm_object *o, uint64_t index, unsigned count, int direction);
/* The object ends: its slots go, with the memory of those blocks that have any. => no lock held */
void vm_object_slots_end(struct vm_object *o);
/* Publishes a slot. => O held; vm_object_populate has answered for it */
void vm_object_slot_set(struct vm_object *o, uint64_t index, uint64_t slot);
/* The first index >= index and < end whose block is not wholly ABSENT; end if there is none. */
uint64_t vm_object_next_live(const struct vm_object *o, uint64_t index, uint64_t end);
/* Takes the blocks' memory from their client's bill, after it has been given back. */
void vm_object_blocks_give(struct vm_object *o, unsigned blocks);
static inline uint64_t
vm_object_block_count(const struct vm_object *o)
{
	return (o->page_count + SLOTS_PER_BLOCK - 1) / SLOTS_PER_BLOCK;
}
static inline bool
vm_object_block_is_empty(const struct vm_object *o, uint64_t block)
{
	INVARIANT(block < vm_object_block_count(o));
	return (load_relaxed(&o->blocks[block]) & ~BLOCK_POPULATED) == 0;
}

#endif
