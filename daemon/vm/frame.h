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
#include "lock.h"
#include "vm/frame_use.h"

struct daemon;
#define FRAME_NONE UINT32_MAX

/* The word of a frame. State in the low bits, changed only by vm_page_commit (vm_page.h) while the
 * frame holds a page and else by frame.c; the flags are changed by any thread that may. */
#define PAGE_STATE_MASK 0x1fu
#define PAGE_BUSY       0x20u  /* see above */
#define PAGE_WANTED     0x40u  /* somebody faulted on it while it was busy, or waits for it */
#define PAGE_DIRTY      0x80u  /* (B) differs from every stored copy */
#define PAGE_REPLAYED   0x100u /* (Q) mark used while a policy is switched */
#define PAGE_LISTED     0x200u /* (O,Q) a page list has it busy: upl/upl.h */
#define PAGE_WRITING                                                                               \
	0x400u /* (B) to set: a page list of the cleaning form (upl/upl.h) has it; it is dirty,    \
		  protected and copied, and that copy is being written to its place; whoever lets  \
		  a mapping write clears it. Anybody may clear it */
#define PAGE_REUSABLE 0x1000u /* (Q) billed as reusable; gone when it is wired or leaves */
#define PAGE_DUP      0x800u  /* (B) as what is below it (copy_link.h); its copy is CREF_BELOW */
/* (B) By which way the page came: enum door. */
#define PAGE_DOOR_SHIFT 13u
#define PAGE_DOOR_MASK  0xe000u
/* (B) Of a dirty page of a file: who is billed for it, vm/dirty.h. 0 in others. */
#define PAGE_PAYER_SHIFT 16u
#define PAGE_PAYER_MASK  0xffff0000u
/* (B) Instead of a payer, of anonymous pages: a window (window.h) may have the page in page tables;
 * it is taken out of these before anybody may write it. */
#define PAGE_SHOWN PAGE_PAYER_MASK

static inline bool
page_word_is_shown(uint32_t word)
{
	return (word & PAGE_PAYER_MASK) == PAGE_SHOWN;
}

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
#define SEEN_AHEAD     2u /* likewise; it was read ahead of a run (vm/ahead_ratio.h) */
#define SEEN_BY_FIRST  3u

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
	struct vm_page *pages; /* (C) the arena */
	uint32_t rows;         /* (C) that it has room for */
	atomic_uint count;     /* (Q) to write, (A) to look at: rows in use, among them retired
				  ones; never less */
	atomic_uint size;      /* (Q) to write, (A) to look at: frames that there are to be. While
				  STAT_FRAMES_TOTAL is more, frames retire as they become free */
	uint32_t retired;      /* (Q) rows that are no frames now */
	uint32_t retired_head; /* (Q) */
	uint32_t free_head;    /* (Q) */
	uint32_t compressor_head; /* (Q) */
	atomic_uint free_count;   /* (Q) to write, (A) to look at */
	uint32_t reserved; /* (C) frames that first touches leave to the compressor and to stored
			      pages */
	uint32_t last; /* (C) of those, the lowest: stored pages and, squeezed, the compressor */
	atomic_uint free_min, free_target; /* (Q) to write, (A) to look at; here and below */
	atomic_uint free_guesses; /* above that many free frames some may be taken for pages that
				     nobody has asked for: free_target, but for is_foreseen */
	bool is_foreseen; /* (Q) pages are brought in ahead of use: free_min and free_target are
			     higher, so that there is room for that */
	uint32_t foreseen_kept; /* (Q) of those the youngest, which do not leave before others */
	atomic_llong compressor_credit; /* (A) bytes taken from the free frames and not populated */
	uint32_t compressor_least;      /* (C) frames without which the compressor cannot work */
	atomic_uint compressor_share;   /* (A) frames that it has before it is crammed; the writer
					   tells it after each pass */
	struct cond freed;              /* jobs wait for a frame with PAGEQ; broadcast as one is
					   freed */
	uint32_t waiting;               /* (Q) jobs that do */
	atomic_uint listed;             /* (Q) to write, (A) to look at: frames that page lists have
					   busy */
	int fd;
	uint8_t
	    *named; /* while a worker takes over: a bit for each row that a slot names; else NULL */
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
/* Waits until a frame has been freed, or for a moment; pageout is woken. Jobs, no lock held */
void frames_wait(struct daemon *d);
/* The frame is free. => PAGEQ held */
void frame_put_locked(struct daemon *d, uint32_t frame);
/* What the number of frames can be. */
struct frame_sizes {
	uint64_t least; /* with what is wired now */
	uint64_t most;  /* for which there are rows */
};
struct frame_sizes frames_sizes(const struct daemon *d);
/* There are to be that many frames. More are there at once; fewer when pages have left: pageout
 * makes room for it, and no page is lost. => 0; -ERANGE: not within what frames_sizes says. No lock
 * held
 */
int frames_resize(struct daemon *d, uint64_t size);
/* Frames that are free now retire, where there are too many; pageout is woken if that is not
 * enough. Cheap where there is nothing to do. Any thread, no lock held */
void frames_retire(struct daemon *d);
/* Where pages cannot leave: there are to be as many frames as there are. => how many fewer there
 * were to be; no lock held */
uint64_t frames_retire_end(struct daemon *d);
/* Frames that are still to retire. Any thread. */
uint64_t frames_to_retire(const struct daemon *d);
/* Whether pages are brought in ahead of use for some client. No lock held */
void frames_foresee(struct daemon *d, bool is_foreseen);
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
