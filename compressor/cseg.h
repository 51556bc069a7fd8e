/* SPDX-License-Identifier: MIT
 *
 * One segment: its state, pins, directory and bytes.
 */
#ifndef CSEG_H
#define CSEG_H

#include "compressor_priv.h"

const char *cseg_state_name(enum cseg_state state);
bool cseg_state_is_away(enum cseg_state state);
/* Whether handles into such a segment can be. */
bool cseg_state_has_pages(enum cseg_state state);

/* The only place where a state changes. => false, and nothing has changed, when the segment is not
 * in `from` or does not fulfil `needs`; *ret_word (may be NULL) is the word found or left. */
bool cseg_switch(struct compressor *c, uint32_t segment, enum cseg_state from, enum cseg_state to,
    unsigned needs, uint64_t *ret_word);

/* => the row of a handle's segment and *ret_slot; panics on a handle that was never given out. */
struct cseg *cref_row(
    struct compressor *c, struct cref cref, uint32_t *ret_segment, uint32_t *ret_slot);
/* => the live entry of a handle; panics when the page has been freed. */
uint64_t cref_entry(struct compressor *c, uint32_t segment, uint32_t slot);

/* Pins the bytes in core for a reader; cseg_load_unpin (csettle.h) ends it. Waits while they move.
 * => 0, or -EAGAIN: they are away. */
int cseg_load_pin(struct compressor *c, uint32_t segment);
/* The same for a writer into a vacancy: only of a FULL segment, which then stays FULL, or is taken
 * apart by a thread that may miss a page that is added meanwhile. */
bool cseg_full_pin(struct compressor *c, uint32_t segment);
/* Pins the bytes at the place for a reader; cseg_read_unpin (csettle.h) ends it.
 * => 0, or -EAGAIN: they are in core. */
int cseg_read_pin(struct compressor *c, uint32_t segment);

/* Describes the segment in the arena, for a daemon that is started again. */
void cseg_header_write(struct compressor *c, uint32_t segment, enum cseg_state state);

/* Slides the live pages down. => segment is SLIDING, its slide lock held. */
void cseg_slide(struct compressor *c, uint32_t segment);
struct lock *cseg_slide_lock(struct compressor *c, uint32_t segment);

#endif
