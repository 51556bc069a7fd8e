/* SPDX-License-Identifier: MIT
 *
 * Frames: units of the memory that the daemon may hold. The table has a row for each; what a page's
 * row says is in vm_page.h.
 */
#ifndef FRAME_H
#define FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "atomics.h"
#include "vm/frame_use.h"

struct daemon;
struct vm_page;

#define FRAME_NONE UINT32_MAX

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
/* => a free frame, or FRAME_NONE. Called with PAGEQ held; vm_page_commit must follow. */
uint32_t frame_take_locked(struct daemon *d, enum frame_use use);
void frame_put_locked(struct daemon *d, uint32_t frame);
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
/* All that are not wired: what shares and targets are shares of, since a wired page cannot make
 * room. Any thread. */
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
