/* SPDX-License-Identifier: MIT
 *
 * The swap writer with its writes under way, and what its parts share: the memory and the places
 * that it gives back, the places and the swap files that it takes. Runs on: the writer's own
 * thread, with no lock held.
 */
#ifndef WRITER_H
#define WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/stats.h"
#include "swap.h"

struct daemon;

#define WRITES_MAX 64u

/* One segment under way to disk. */
struct write {
	uint32_t segment;
	struct swap_slot slot;
	size_t length;    /* bytes */
	unsigned backend; /* of the slot */
	bool used;
};

struct writer {
	struct daemon *daemon;
	struct stat_shard stats;
	struct swap_channel *channel; /* NULL: no swap. For segments, which are written from where
					 they lie: its buffers are not used */
	struct swap_channel *mover;   /* NULL: no swap. For one segment that moves between files,
					 through its buffer */
	struct write writes[WRITES_MAX];
	unsigned in_flight;  /* of writes[]: those that are used; after a pass, those on backends
				that do not answer */
	unsigned depth;      /* of writes[]: those that may be used at a time */
	unsigned depth_each; /* likewise for one backend, so that one that does not answer leaves
				the rest to others */
	unsigned written;    /* segments that went to swap in this pass */
	bool failed;         /* a write has failed in this pass, which begins no more */
	bool is_busy;        /* the pass has done something, or has failed to: there may be more */
};

/* Turns memory that the compressor does not need into free frames, and wakes the threads that wait
 * for frames or for room. made: there is room now, whether or not frames came of it. */
void writer_made_room(struct daemon *d, bool made);
/* Gives back the places of segments whose last page is gone. */
void writer_release_places(struct daemon *d);
/* Makes and deletes swap files. => the file whose segments the caller should move, or -1. There is
 * swap. */
int writer_balance(struct writer *w);
/* Reserves a place, in a new file if need be. => whether there is one. There is swap. */
bool writer_reserve(struct writer *w, struct swap_slot *ret);

#endif
