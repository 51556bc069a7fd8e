/* SPDX-License-Identifier: MIT
 *
 * Processes that map one submap, and what all of them know of it: for each page what may be done
 * with it, and which generation of content it has.
 */
#ifndef LIVE_SEER_H
#define LIVE_SEER_H

#include "share.h"
#include "view.h"

enum state { HOLE, NONE, READ, WRITE };

/* What all processes know of the submap, beside the notes and locks of its pages. */
struct truth {
	struct common *c;
	atomic_uchar *states; /* by page */
	atomic_uint *floors;  /* by page: older generations have been removed */
	atomic_bool *unknown; /* by page: a process was killed while it may have written */
	atomic_uint loops;    /* of the process that is stopped */
	atomic_bool loops_end;
	atomic_uintptr_t base; /* where that one has mapped the submap */
	atomic_uint rounds;    /* of the one that changes */
};

struct truth *truth_make(struct live *d);

/* A client with its book of the submap. */
struct seer {
	struct view view;
	struct book book;
	struct truth *truth;
	uint64_t rng;
};

/* Makes the submap and sends its name to all sharers. */
struct seer seer_make(struct live *d, struct truth *t);
/* Maps the submap whose name has come. */
struct seer seer_join(struct live *d, struct truth *t, unsigned number);
/* The page is what the books say: a hole, or some of what its protection allows. */
void seer_verify(struct seer *s, uint32_t page);
void seer_verify_all(struct seer *s);
void seer_write(struct seer *s, uint32_t page);
/* Writes each page with a probability of 1 / one_of. */
void seer_write_some(struct seer *s, uint32_t page, uint32_t count, unsigned one_of);
/* Changes of the submap, which are in the books afterwards. */
void seer_add(struct seer *s, uint32_t page, uint32_t count, enum state state);
void seer_remove(struct seer *s, uint32_t page, uint32_t count);
void seer_protect(struct seer *s, uint32_t page, uint32_t count, enum state state);

#endif
