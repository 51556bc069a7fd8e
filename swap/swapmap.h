/* SPDX-License-Identifier: MIT
 *
 * The map of slots.
 */
#ifndef SWAPMAP_H
#define SWAPMAP_H

#include "swap_priv.h"

static inline unsigned
slot_file(struct swap_slot slot)
{
	return (unsigned)(slot.v >> SWAP_FILE_SHIFT) & ((1u << (32 - SWAP_FILE_SHIFT)) - 1);
}

static inline unsigned
slot_index(struct swap_slot slot)
{
	return (unsigned)slot.v & (SWAP_SLOTS_MAX - 1);
}

static inline uint32_t
slot_generation(struct swap_slot slot)
{
	return (uint32_t)(slot.v >> SWAP_GENERATION_SHIFT);
}

static inline uint32_t
generation_after(uint32_t generation)
{
	return generation == UINT32_MAX ? 1 : generation + 1;
}

static inline bool
file_has_slots(const struct swap_file *f)
{
	return f->state == FILE_ACTIVE || f->state == FILE_DRAINING;
}

/* => called with M held. */
static inline void
swapmap_free_change(struct swap *s, const struct swap_file *f, int by)
{
	lock_assert_held(&s->lock);
	if (swapmap_file_is_reservable(f))
		s->backends[f->backend].free_slots += (unsigned)by;
}

int swapmap_init(struct swap *s);
void swapmap_fini(struct swap *s);
/* The only writer of state and error; keeps free_slots right. => called with M held. */
void swapmap_file_switch(
    struct swap *s, struct swap_file *f, enum swap_file_state state, int error);
/* Makes the file's tables for `slots` slots. => 0 or -ENOMEM. => file is CREATING. */
int swapmap_file_fill(struct swap *s, struct swap_file *f, unsigned slots);
/* The same, but entries are as they were left where swap outlives the process, and no bit is set.
 */
int swapmap_file_room(struct swap *s, struct swap_file *f, unsigned slots);
/* => the slot's entry and file, or NULL when the handle's use is over. => called with M held. */
struct swap_entry *swapmap_lookup(
    struct swap *s, struct swap_slot slot, struct swap_file **ret_file);
/* Removes marks whose time is over. => called with M held. */
void swapmap_marks_expire(struct swap *s, uint64_t now_ns);
/* How many slots can be reserved now, on backends that answer. => called with M held. */
unsigned swapmap_free_slots(const struct swap *s, uint64_t now_ns);
/* Makes all suspects FREE. => how many. => called with M held. */
unsigned swapmap_suspects_release(struct swap *s);
/* Nobody before this process writes any more. => called with M held. */
void swapmap_left_release(struct swap *s);
/* Frees the file's tables. => file is CREATING or DELETING. */
void swapmap_file_empty(struct swap *s, struct swap_file *f);

/* Keeps slot and file until swapmap_io_end. => 0 and the place of the transfer; -ESTALE; or -EINVAL
 * (beyond the slot, unaligned, a read of a slot that is not VALID, a write to one that is not
 * RESERVED). */
int swapmap_io_begin(struct swap *s, struct swap_slot slot, int direction, size_t offset,
    size_t length, struct swap_place *ret);
/* So many blocks could not be opened. */
void swapmap_io_damaged(struct swap *s, struct swap_slot slot, unsigned blocks);
/* A write under way may reach the slot at any later time, however it ends. */
void swapmap_io_stray(struct swap *s, struct swap_slot slot);
void swapmap_io_end(
    struct swap *s, struct swap_slot slot, int direction, size_t length, int result);

#endif
