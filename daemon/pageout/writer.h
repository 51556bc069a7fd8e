/* SPDX-License-Identifier: MIT
 *
 * The swap writer with what it has under way, and what its parts share: memory and places that it
 * gives back, places and swap files that it takes. Runs on: the writer's own thread, no lock held.
 */
#ifndef WRITER_H
#define WRITER_H

#include "core/stats.h"
#include "swap.h"

struct daemon;

#define WRITES_MAX 64u

/* One segment under way to disk. */
struct write {
	uint32_t segment;
	struct swap_slot slot;
	size_t length;
	bool used;
};

struct writer {
	struct daemon *daemon;
	struct stat_shard stats;
	struct write writes[WRITES_MAX];
	unsigned in_flight, depth;
	unsigned written; /* segments that went to swap in this pass */
	bool failed;      /* a write failed in this pass: it begins no more */
};

/* Memory may have come back: it becomes free frames, and waiting threads go on. made: the writer
 * knows that it has made room. */
void writer_made_room(struct daemon *d, bool made);
/* Gives back the places of segments whose last page is gone. */
void writer_release_places(struct daemon *d);
/* Makes and deletes swap files. => the file whose segments the caller should move, or -1 */
int writer_balance(struct writer *w);
/* Reserves a place, in a new file if need be. => whether there is one */
bool writer_reserve(struct writer *w, struct swap_slot *ret);

#endif
