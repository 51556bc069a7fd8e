/* SPDX-License-Identifier: MIT
 *
 * The words of the compressor's tables, and what their bits mean: a segment's state word, a slot's
 * directory entry, a handle.
 */
#ifndef CWORD_H
#define CWORD_H

#include <stdbool.h>
#include <stdint.h>

#include "codec.h"

/* --- states ------------------------------------------------------------------------------- */

/*
 * X(NAME, what a load meets, where it is counted, text)
 *
 *   FREE --> FILLING --> FULL --> SLIDING --> BUSY --> WRITING --> DEPARTING --> AWAY
 *
 *   and besides:
 *     FULL      --> BUSY, WRITING      its pages move elsewhere; it has no waste worth sliding
 *     BUSY      --> FULL               it was trimmed, or some of its pages stayed
 *     WRITING   --> FULL               the write failed, or no page lives in it any more
 *     FULL      --> RELEASING          its last page has gone
 *     FULL      --> FILLING            compaction left room at its end
 *     RELEASING --> FREE               its memory was given back
 *     AWAY      --> PLACING --> AWAY   its content was moved to another place
 *     AWAY      --> EMPTY              its last page has gone
 *     EMPTY     --> FREE               its place was collected
 *
 * Whatever is done with a segment in core begins from FULL, which is left and entered under the
 * pool lock, together with the lists. SLIDING and PLACING are held under the row's slide lock, for
 * which a reader that meets them waits. DEPARTING: the place is known; loads that have begun
 * finish, and the last of them gives the memory back.
 */
#define CSEG_STATES(X)                                                                             \
	X(FREE, NEVER, NOWHERE, "on the list of free rows")                                        \
	X(FILLING, HERE, CORE, "one worker appends pages")                                         \
	X(FULL, HERE, CORE, "closed; on the age list and a class list")                            \
	X(SLIDING, WAIT, CORE, "bytes are moving")                                                 \
	X(BUSY, HERE, CORE, "one thread owns it: trims it or moves its pages elsewhere")           \
	X(WRITING, HERE, CORE, "content stable for a write")                                       \
	X(DEPARTING, GONE, OFF, "written; memory goes with the last reader")                       \
	X(AWAY, GONE, OFF, "on secondary storage")                                                 \
	X(PLACING, WAIT, OFF, "its place is being changed")                                        \
	X(RELEASING, NEVER, NOWHERE, "no pages; memory is being given back")                       \
	X(EMPTY, NEVER, NOWHERE, "no pages, no memory; its place waits to be collected")

enum cseg_state {
#define X(name, load, counted, text) CSEG_##name,
	CSEG_STATES(X)
#undef X
	    CSEG_STATE_COUNT
};

/* Conditions of a switch, besides the state that it comes from. */
enum {
	NEED_NO_LOADS = 1, /* nobody reads the bytes in core */
	NEED_NO_READS = 2, /* nobody reads the bytes at the place */
	NEED_NO_PAGES = 4,
};

/*
 * One word holds a segment's state, counts and pins, so that "the last page was freed while it was
 * away" is one atomic step. Bits from the lowest: state 4 | live pages 11 | units of 8 bytes that
 * they need 18 | loads in core 14 | reads at the place 14.
 */
#define WORD_LIVE_SHIFT  4
#define WORD_UNITS_SHIFT 15
#define WORD_LOADS_SHIFT 33
#define WORD_READS_SHIFT 47
#define WORD_STATE_MASK  UINT64_C(0xf)
#define WORD_LIVE_ONE    (UINT64_C(1) << WORD_LIVE_SHIFT)
#define WORD_LOADS_ONE   (UINT64_C(1) << WORD_LOADS_SHIFT)
#define WORD_READS_ONE   (UINT64_C(1) << WORD_READS_SHIFT)
#define UNIT_BYTES       8u

static inline enum cseg_state
word_state(uint64_t w)
{
	return (enum cseg_state)(w & WORD_STATE_MASK);
}

static inline uint32_t
word_live(uint64_t w)
{
	return (uint32_t)(w >> WORD_LIVE_SHIFT) & 0x7ff;
}

static inline uint32_t
word_bytes(uint64_t w)
{
	return ((uint32_t)(w >> WORD_UNITS_SHIFT) & 0x3ffff) * UNIT_BYTES;
}

static inline uint32_t
word_loads(uint64_t w)
{
	return (uint32_t)(w >> WORD_LOADS_SHIFT) & 0x3fff;
}

static inline uint32_t
word_reads(uint64_t w)
{
	return (uint32_t)(w >> WORD_READS_SHIFT) & 0x3fff;
}

/* What one page that needs `bytes` (padded) adds to the word. */
static inline uint64_t
word_page(uint32_t bytes)
{
	return WORD_LIVE_ONE + ((uint64_t)(bytes / UNIT_BYTES) << WORD_UNITS_SHIFT);
}

/* --- directory entries -------------------------------------------------------------------- */

/* A slot's directory entry: offset 20 | room 14, in units | length 17 | codec 3 | vacant 1. 0 = no
 * page and no vacancy. The room is the space that the page has from its offset on, header and
 * padding included: more than it needs if it filled a larger vacancy. Freeing turns the entry into
 * a vacancy. A thread that moves bytes replaces the entry by compare-and-set, so that a free wins,
 * and leaves 0 in place of a vacancy. */
#define ENTRY_ROOM_SHIFT   20
#define ENTRY_LENGTH_SHIFT 34
#define ENTRY_CODEC_SHIFT  51
#define ENTRY_VACANT       (UINT64_C(1) << 54)
#define ENTRY_PLACE_MASK   ((UINT64_C(1) << ENTRY_LENGTH_SHIFT) - 1)

static inline bool
entry_is_page(uint64_t e)
{
	return e != 0 && !(e & ENTRY_VACANT);
}

static inline uint32_t
entry_offset(uint64_t e)
{
	return (uint32_t)e & 0xfffff;
}

static inline uint32_t
entry_room(uint64_t e)
{
	return ((uint32_t)(e >> ENTRY_ROOM_SHIFT) & 0x3fff) * UNIT_BYTES;
}

static inline uint32_t
entry_length(uint64_t e)
{
	return (uint32_t)(e >> ENTRY_LENGTH_SHIFT) & 0x1ffff;
}

static inline enum codec_id
entry_codec(uint64_t e)
{
	return (enum codec_id)(e >> ENTRY_CODEC_SHIFT & 7);
}

static inline uint64_t
entry_make(uint32_t offset, uint32_t room, uint32_t length, enum codec_id codec)
{
	return offset | (uint64_t)(room / UNIT_BYTES) << ENTRY_ROOM_SHIFT |
	       (uint64_t)length << ENTRY_LENGTH_SHIFT | (uint64_t)codec << ENTRY_CODEC_SHIFT;
}

/* The same page in another place. */
static inline uint64_t
entry_moved(uint64_t e, uint32_t offset, uint32_t room)
{
	return (e & ~ENTRY_PLACE_MASK) | entry_make(offset, room, 0, 0);
}

/* --- handles ------------------------------------------------------------------------------ */

#define CREF_SLOT_BITS 10
#define CSEG_SLOTS_MAX (1u << CREF_SLOT_BITS)

#endif
