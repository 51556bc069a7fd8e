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
/* The same for a page that another client's write makes: it does not fail, be it that the owner's
 * user has its share. */
void vm_object_populate_over(struct vm_object *o, uint64_t index);
/* The object ends: its slots go, with the memory of those blocks that have any. => no lock held */
void vm_object_slots_end(struct vm_object *o);
/* Publishes a slot. => O held; vm_object_populate has answered for it */
void vm_object_slot_set(struct vm_object *o, uint64_t index, uint64_t slot);
/* Slots of a block as a worker before this one has left them: so many are not ABSENT. The block is
 * billed for. => O held */
void vm_object_block_restore(struct vm_object *o, uint64_t block, unsigned live);
/* A slot is set against the arrows, while a worker takes over. => O held */
void vm_object_slot_restore(struct vm_object *o, uint64_t index, uint64_t slot);
/* The first index >= index and < end whose block is not wholly ABSENT; end if there is none. */
uint64_t vm_object_next_live(const struct vm_object *o, uint64_t index, uint64_t end);
/* Blocks [low, high), which have no page, have no memory any more as far as anybody can see. => how
 * many had some, which vm_object_blocks_give is owed; O held */
unsigned vm_object_blocks_clear(struct vm_object *o, uint64_t low, uint64_t high);
/* Takes the memory of blocks that had no page from their client's bill, after it has been given
 * back. => O held */
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
