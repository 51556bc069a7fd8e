/* SPDX-License-Identifier: MIT
 *
 * Frames: units of the memory that the daemon may hold. The table has a row for each; vm_page.h
 * describes the row of a page.
 */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomics.h"
#include "vm/frame_use.h"

struct daemon;
#define FRAME_NONE UINT32_MAX

/* The word of a frame. State in the low bits, changed only by vm_page_commit (vm_page.h) while the
 * frame holds a page and else by frame.c; the flags are changed by any thread that may. */
#define PAGE_STATE_MASK 0x0fu
#define PAGE_BUSY       0x10u  /* see above */
#define PAGE_WANTED     0x20u  /* somebody faulted on it while it was busy, or waits for it */
#define PAGE_DIRTY      0x40u  /* (B) differs from every stored copy */
#define PAGE_REPLAYED   0x80u  /* (Q) mark used while a policy is switched */
#define PAGE_LISTED     0x100u /* (O,Q) a page list has it busy: upl/upl.h */
#define PAGE_WRITING                                                                               \
	0x200u /* (B) to set: dirty, protected and copied, and that copy is being written to its   \
		  place; whoever lets a mapping write clears it. Anybody may clear it */

/* States of a frame. Values below FRAME_PAGE are states of a page (vm_page.h). */
enum frame_state {
	FRAME_PAGE = 12,
#define FRAME_STATE(NAME, text) FRAME_##NAME,
#include "tbl/frame_state.h"
	FRAME_STATE_END
};
_Static_assert(FRAME_STATE_END - 1 <= PAGE_STATE_MASK, "states fit their bits");

static inline enum frame_state
frame_word_state(uint32_t word)
{
	uint32_t state = word & PAGE_STATE_MASK;

	return state < FRAME_PAGE ? FRAME_PAGE : (enum frame_state)state;
}

/* Through which mapping a page of an object that several see has been put into page tables: the
 * mapping's number (struct vm_mapping), or one of these. */
#define SEEN_BY_ANY    0u /* through several, or it is not known */
#define SEEN_BY_NOBODY 1u
#define SEEN_BY_FIRST  2u

/* A row of the table. */
struct vm_page {
	_Atomic uint32_t word;
	uint32_t object; /* (Q,B) index in the object table */
	uint32_t index;  /* (Q,B) page index in the object */
	uint32_t next;   /* (Q) on the free, the compressor's or the speculative list */
	uint64_t cref;   /* (B) stored copy of a clean page, or of a page being filled or cleaned */
	uint32_t prev;   /* (Q) on the speculative list */
	atomic_uint seen_by; /* (B) where its object is shareable */
};
_Static_assert(sizeof(struct vm_page) == 32, "two a cache line");

struct frame_table {
	struct vm_page *pages;    /* (C) the arena */
	uint32_t count;           /* (C) frames */
	uint32_t free_head;       /* (Q) */
	uint32_t compressor_head; /* (Q) */
	atomic_uint free_count;   /* (Q) to write, (A) to look at */
	uint32_t reserved; /* (C) frames that first touches leave to the compressor and to stored
			      pages */
	uint32_t last; /* (C) of those, the lowest: stored pages and, squeezed, the compressor */
	atomic_uint free_min, free_target; /* (Q) to write, (A) to look at */
	atomic_llong compressor_credit; /* (A) bytes taken from the free frames and not populated */
	uint32_t compressor_least;      /* (C) frames without which the compressor cannot work */
	atomic_uint compressor_share;   /* (A) frames that it has before it is crammed; the writer
					   tells it after each pass */
	atomic_uint listed;             /* (Q) to write, (A) to look at: frames that page lists have
					   busy */
	int fd;
};

/* compressor_least: frames without which the compressor cannot work. => 0, -ERANGE (too few or too
 * many) or -errno */
int frames_create(struct daemon *d, uint32_t compressor_least);
void frames_destroy(struct daemon *d);
/* Free frames that this use must leave. Squeezed: FRAME_READ leaves none, so a stored page can
 * always be read. */
uint32_t frames_floor(const struct frame_table *t, enum frame_use use, bool squeezed);
/* Frames that may be taken now. => hint without PAGEQ. */
uint32_t frames_available_for(const struct daemon *d, enum frame_use use);
static inline uint32_t
frames_available(const struct daemon *d)
{
	return frames_available_for(d, FRAME_FIRST);
}
/* => a free frame, now TAKEN, or FRAME_NONE. PAGEQ held; vm_page_commit must follow. */
uint32_t frame_take_locked(struct daemon *d, enum frame_use use);
/* Frames are needed: the first worker wakes. Any thread, no lock at or below PAGEQ held. */
void frames_want(struct daemon *d);
/* The frame is free. => PAGEQ held */
void frame_put_locked(struct daemon *d, uint32_t frame);
/* For messages. */
const char *frame_state_name(enum frame_state state);
/* Moves free frames to the compressor until its credit is at least `bytes`, down to the floor of
 * FRAME_STORE.
 * => false: not enough free. */
bool frames_credit_compressor_locked(struct daemon *d, size_t bytes);
/* Gives credit above `keep_bytes` back. => frames freed. */
uint32_t frames_reclaim_credit_locked(struct daemon *d, size_t keep_bytes);
/* The wired frames or a parameter have changed: the targets follow. => PAGEQ held, or at start */
void frames_targets_refresh(struct daemon *d);
/* A parameter has changed: the targets and the share of wired memory follow. => PAGEQ held, or at
 * start */
void frames_params_refresh(struct daemon *d);
/* Page lists have that many frames more busy, or less. => PAGEQ held */
void frames_listed_add_locked(struct daemon *d, int frames);
/* Most frames that may be wired, those of devices among them: wire_percent, and less where too few
 * would be left for pages to come and go. Any thread. */
uint64_t frames_wire_most(const struct daemon *d);
/* All that are neither wired nor in a page list: what shares and targets are shares of, since the
 * others cannot make room. Any thread. */
uint32_t frames_movable(const struct daemon *d);
/* The same of resident pages. */
uint64_t frames_resident_movable(const struct daemon *d);
/* Squeezed, and the compressor has all of its share: first touches get nothing. Any thread. */
bool frames_are_crammed(const struct daemon *d);
/* For the compressor, which grows only on credit that a worker has taken before, so that the budget
 * is never exceeded. ctx: the daemon. => 0 or -ENOMEM. Any thread; no lock is taken */
int frames_memory_take(void *ctx, size_t bytes);
void frames_memory_give(void *ctx, size_t bytes);

#endif
