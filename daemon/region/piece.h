/* SPDX-License-Identifier: MIT
 *
 * Ranges of a client's map in pieces. An operation on a large range is carried out piece by piece,
 * and others' jobs pass between two. A piece is bounded by what is looked at, also where nothing is
 * found: PIECE_WORK slots of blocks with live ones, where a block without any counts PIECE_EMPTY
 * and an entry PIECE_ENTRY. Runs on: jobs.
 */
#ifndef PIECE_H
#define PIECE_H

#include "region/range.h"
#include "vm/vm_object.h"

#define PIECE_WORK    32768u
#define PIECE_EMPTY   4u
#define PIECE_ENTRY   16u
#define PIECE_DISCARD 8u /* cost of a page that is discarded */

struct piece {
	struct range *range;
	unsigned cost; /* of a slot in a block with live ones: how many times as long as looking at
			  it the operation takes */
	unsigned work; /* spent so far */
};

/* A part of it: pages [first, last) of an entry's object. */
struct part {
	struct vm_entry entry; /* a copy; with a reference on the mapping */
	uint64_t first, last;
};

/* A piece of the range, which begins where the range is. */
struct piece piece_begin(struct range *range, unsigned cost);
/* The next part, in the order of addresses; the range is moved behind it. => false: the piece, or
 * all of the range, is done. No lock held; the caller puts the mapping. */
bool piece_next(struct piece *p, struct part *ret);
/* How far a piece may go from page `first` of the object. Adds what that takes to *work. => a page
 * > first, at most last */
uint64_t piece_reach(
    const struct vm_object *o, uint64_t first, uint64_t last, unsigned cost, unsigned *work);
/* Takes the front of entry i out of the map, as much of it as a piece may discard. Adds what that
 * takes to *work. => with a reference on the mapping; M held */
struct vm_entry piece_take_locked(
    struct vm_map *m, uint32_t i, unsigned page_shift, unsigned *work);
/* The same at the end of the map's last entry. */
struct vm_entry piece_take_last_locked(struct vm_map *m, unsigned page_shift, unsigned *work);

/* Goes through the pages of a piece that have a slot in use. */
struct walk {
	struct range *range;
	void (*page)(struct walk *w, const struct vm_mapping *m, uint64_t index);
	unsigned cost;    /* as of a piece */
	bool skips_wired; /* passes over wired entries */
	uint64_t acted;   /* pages that `page` has acted on, counted by it */
};
/* => w->acted; no lock held */
uint64_t piece_walk(struct walk *w);
/* The cost of an operation that moves what is in the pages. */
static inline unsigned
piece_content_cost(const struct daemon *d, unsigned cost)
{
	return cost * (unsigned)(d->page_bytes / d->hw_bytes);
}

#endif
