/* SPDX-License-Identifier: MIT
 *
 * Refaults: pages that are read from a disk before as many others have left memory as it holds.
 * With that much more memory they would still have been there, so many of them mean that what
 * clients use does not fit (memorystatus/thrash.h). The distance is that of Linux's workingset
 * detection, the table of ghosts XNU's phantom cache: when a page leaves, its mark and the time,
 * counted in pages that have left, go to a place that follows from its object and number. Another
 * page may overwrite it, and one in a few thousand is mistaken for another one: this is a
 * statistic. Nothing is allocated, and no lock taken.
 */
#ifndef REFAULT_H
#define REFAULT_H

#include <stdbool.h>
#include <stdint.h>

#include "atomics.h"

struct daemon;
struct vm_object;

struct refaults {
	atomic_uint *ghosts;  /* (A) each; the pointer (C). NULL: there is none, in tests */
	uint32_t most_places; /* (C) that there is room for: a power of two, as places is */
	atomic_uint places;   /* (A) in use: one or two for each frame */
	unsigned unit_shift;  /* (C) of the time in a ghost: 2^n pages */
	atomic_ullong left;   /* (A) pages that have left memory so far: the time */
	atomic_ullong read;   /* (A) pages that were read from a disk so far */
	atomic_ullong came;   /* (A) of these, refaults */
};

/* For `rows` frames at most. => 0 or -ENOMEM */
int refaults_create(struct refaults *r, uint32_t rows);
void refaults_destroy(struct refaults *r);
/* There are to be so many frames: where that changes the places, most ghosts are lost. */
void refaults_size(struct refaults *r, uint32_t frames);
/* That many pages of an object leave memory now. => the time, for refault_mark of each */
uint64_t refaults_leave(struct refaults *r, unsigned pages);
void refault_mark(struct refaults *r, const struct vm_object *o, uint64_t index, uint64_t time);
/* The page has been read from a disk. frames: that there are. => whether it is a refault; it is
 * counted, and its ghost is gone */
bool refault_came(struct refaults *r, const struct vm_object *o, uint64_t index, uint64_t frames);

#endif
