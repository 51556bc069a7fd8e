/* SPDX-License-Identifier: MIT
 *
 * The map of slots.
 */
#ifndef SWAPMAP_H
#define SWAPMAP_H

#include "swap_priv.h"

int swapmap_init(struct swap *s);
void swapmap_fini(struct swap *s);
/* The only writer of state and error; keeps free_slots. => called with M held. */
void swapmap_file_switch(
    struct swap *s, struct swap_file *f, enum swap_file_state state, int error);
/* Room for so many slots in the file's books. => 0 or -ENOMEM. => file is CREATING. */
int swapmap_file_fill(struct swap_file *f, unsigned slots);
/* Marks whose time is over go. => called with M held. */
void swapmap_marks_expire(struct swap *s, uint64_t now_ns);
/* All suspects get another chance. => how many. => called with M held. */
unsigned swapmap_suspects_release(struct swap *s);
/* => file is CREATING or DELETING. */
void swapmap_file_empty(struct swap_file *f);

/* Keeps slot and file for one transfer. => 0 and the place, -ESTALE, or -EINVAL (out of the slot,
 * unaligned, a read of a slot that is not VALID, a write to one that is not RESERVED). */
int swapmap_io_begin(struct swap *s, struct swap_slot slot, int direction, size_t offset,
    size_t length, struct swap_place *ret);
void swapmap_io_end(
    struct swap *s, struct swap_slot slot, int direction, size_t length, int result);

#endif
