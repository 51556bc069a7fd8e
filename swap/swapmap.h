/* SPDX-License-Identifier: MIT
 *
 * The map of slots.
 */
#ifndef SWAPMAP_H
#define SWAPMAP_H

#include "swap_priv.h"

int swapmap_init(struct swap *s);
void swapmap_fini(struct swap *s);
/* The only writer of state and error; keeps free_slots right. => called with M held. */
void swapmap_file_switch(
    struct swap *s, struct swap_file *f, enum swap_file_state state, int error);
/* Makes the file's tables for `slots` slots. => 0 or -ENOMEM. => file is CREATING. */
int swapmap_file_fill(struct swap_file *f, unsigned slots);
/* Removes marks whose time is over. => called with M held. */
void swapmap_marks_expire(struct swap *s, uint64_t now_ns);
/* Makes all suspects FREE. => how many. => called with M held. */
unsigned swapmap_suspects_release(struct swap *s);
/* Frees the file's tables. => file is CREATING or DELETING. */
void swapmap_file_empty(struct swap_file *f);

/* Keeps slot and file until swapmap_io_end. => 0 and the place of the transfer; -ESTALE; or -EINVAL
 * (beyond the slot, unaligned, a read of a slot that is not VALID, a write to one that is not
 * RESERVED). */
int swapmap_io_begin(struct swap *s, struct swap_slot slot, int direction, size_t offset,
    size_t length, struct swap_place *ret);
void swapmap_io_end(
    struct swap *s, struct swap_slot slot, int direction, size_t length, int result);

#endif
