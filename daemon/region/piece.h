/* SPDX-License-Identifier: MIT
 *
 * Ranges of a client's map in pieces. A request whose range is large is carried out piece by piece,
 * and others' jobs pass between two. A piece is bounded by what is looked at, also where nothing is
 * found: PIECE_WORK slots of blocks with live ones, a block without any counting PIECE_EMPTY, an
 * entry PIECE_ENTRY. Runs on: jobs.
 */
#ifndef PIECE_H
#define PIECE_H

#include "control/control.h"
#include "vm/vm_object.h"

#define PIECE_WORK    32768u
#define PIECE_EMPTY   4u
#define PIECE_ENTRY   16u
#define PIECE_DISCARD 8u /* cost of a page that is discarded */

struct piece {
	struct vm_map *map;
	unsigned page_shift;
	uint64_t at, end; /* addresses: [at, end) is yet to be done */
	unsigned cost;    /* of a slot in a block with live ones: how much longer than looking at it
			     takes what is done with it */
	unsigned work;    /* spent so far */
};

/* A part of it: pages [first, last) of an entry's object. */
struct part {
	struct vm_entry entry; /* a copy; with a reference on the object */
	uint64_t first, last;
};

/* A piece of [address, address + size), which begins where the request is. */
struct piece piece_begin(struct request *r, uint64_t address, uint64_t size, unsigned cost);
/* The next part, in the order of addresses. => false: the piece, or all of the range, is done. No
 * lock held; the caller puts the object. */
bool piece_next(struct piece *p, struct part *ret);
/* The request goes on there, if that is not the end. */
void piece_end(struct request *r, uint64_t address, const struct piece *p);
/* How far one may go from page `first` of the object. Adds what that takes to *work. => a page >
 * first, at most last */
uint64_t piece_reach(
    const struct vm_object *o, uint64_t first, uint64_t last, unsigned cost, unsigned *work);
/* Takes the front of entry i out of the map, as much of it as a piece may discard. Adds what that
 * takes to *work. => with a reference on the object; M held */
struct vm_entry piece_take(struct vm_map *m, uint32_t i, unsigned page_shift, unsigned *work);

#endif
