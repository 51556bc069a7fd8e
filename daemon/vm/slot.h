/* SPDX-License-Identifier: MIT
 *
 * Slots: a word for each page of every object, which says what the page is (vm_page.h) and, in its
 * other bits, where its content is. They lie in one sparse arena, handed out to objects in runs.
 */
#ifndef SLOT_H
#define SLOT_H

#include <stdint.h>

#include "atomics.h"
#include "check.h"
#include "compressor.h"
#include "lock.h"

struct daemon;

enum slot_kind {
#define SLOT_KIND(NAME, text) SLOT_##NAME,
#include "tbl/slot_kind.h"
};
#define SLOT_KIND_BITS 3

/* By which way a page came onto the bill: tbl/door.h. */
enum door {
#define DOOR(NAME, name, text) DOOR_##NAME,
#include "tbl/door.h"
	DOOR_COUNT
};
/* Of a stored page: bits that no handle has. */
#define SLOT_DOOR_SHIFT 56
#define SLOT_DOOR_MASK  (UINT64_C(7) << SLOT_DOOR_SHIFT)
_Static_assert(DOOR_COUNT <= 8, "a door fits its bits");

static inline enum slot_kind
slot_kind(uint64_t slot)
{
	return (enum slot_kind)(slot & 7);
}
static inline uint32_t
slot_frame(uint64_t slot)
{
	INVARIANT(slot_kind(slot) == SLOT_RESIDENT);
	return (uint32_t)(slot >> SLOT_KIND_BITS);
}
static inline struct cref
slot_cref(uint64_t slot)
{
	INVARIANT(slot_kind(slot) == SLOT_STORED);
	return (struct cref){ (slot & ~SLOT_DOOR_MASK) >> SLOT_KIND_BITS };
}
static inline uint64_t
slot_resident(uint32_t frame)
{
	INVARIANT(frame != UINT32_MAX);
	return (uint64_t)frame << SLOT_KIND_BITS | SLOT_RESIDENT;
}
static inline uint64_t
slot_stored(struct cref cref)
{
	INVARIANT(cref.v != 0 && cref.v << SLOT_KIND_BITS >> SLOT_KIND_BITS == cref.v);
	INVARIANT((cref.v << SLOT_KIND_BITS & SLOT_DOOR_MASK) == 0);
	return cref.v << SLOT_KIND_BITS | SLOT_STORED;
}

static inline enum door
slot_door(uint64_t slot)
{
	return slot_kind(slot) == SLOT_STORED
		   ? (enum door)((slot & SLOT_DOOR_MASK) >> SLOT_DOOR_SHIFT)
		   : DOOR_FAULT;
}
/* The slot, if it is a stored page's, of a page that came by that door. */
static inline uint64_t
slot_with_door(uint64_t slot, enum door door)
{
	if (slot_kind(slot) != SLOT_STORED)
		return slot;
	return (slot & ~SLOT_DOOR_MASK) | (uint64_t)door << SLOT_DOOR_SHIFT;
}

/* Slots per block (block.c): one hardware page of slots. */
#define SLOTS_PER_BLOCK 512u
/* Slots are handed out in runs of these: a policy's entries for one, of a byte or more, are whole
 * hardware pages, so that no two objects have entries in one. */
#define SLOTS_PER_RUN 4096u
/* A block's word: how many of its slots are not ABSENT, and this. */
#define BLOCK_POPULATED 0x8000u /* it has memory, and is billed for it */

struct slot_extent {
	uint32_t start, count;
};

struct slot_table {
	_Atomic uint64_t *slots; /* (C) the arena; a slot is (O), or (A) where only looked at */
	atomic_ushort *blocks; /* (C) a word for each block of it; a word is (A), written under O */
	uint32_t count;
	int fd;
	struct lock lock; /* covers extents; leaf */
	struct slot_extent *extents;
	unsigned extent_count, extent_room;
	unsigned runs;         /* taken */
	atomic_uint populated; /* (A) blocks that have memory */
	atomic_uint idle;      /* (A) of those: without a page */
	atomic_uint own; /* (A) of those: of the daemon's own objects, which nobody is billed for */
};

/* Stands for the slots of a block without memory. */
extern const _Atomic uint64_t vm_slot_absent;
/* A slot by its number, to be read only. The number may be out of date: where a block has no memory
 * its slots are not looked at, since that would give it memory that nobody is billed for.
 * => held meanwhile: PAGEQ, or O of the object that has the slot, or a hole around it, or a busy
 * page of its block */
static inline const _Atomic uint64_t *
slot_look(const struct slot_table *t, uint32_t number)
{
	if (unlikely(load_relaxed(&t->blocks[number / SLOTS_PER_BLOCK]) == 0))
		return &vm_slot_absent;
	return &t->slots[number];
}

int slots_create(struct daemon *d);
void slots_destroy(struct daemon *d);
int slots_take(struct daemon *d, uint64_t count, uint32_t *ret_start);
/* Those of an object that a worker before this one has left. => 0, -EINVAL: they are another's, or
 * -ENOMEM */
int slots_take_at(struct daemon *d, uint32_t start, uint64_t count);
/* What nobody has taken of them is empty, whatever was there. */
void slots_clear_rest(struct daemon *d);
void slots_put(struct daemon *d, uint32_t start, uint64_t count);

#endif
