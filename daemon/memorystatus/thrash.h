/* SPDX-License-Identifier: MIT
 *
 * Thrashing: most of what is read from disks is what has just left memory (vm/refault.h). Pure:
 * numbers in, a decision out. The rule is much like that of XNU's phantom cache: in a quarter of a
 * second at least `most` pages have come back too soon, which is half or more of those that were
 * read; and that twice in a row. A scan of a large file reads as much, and is none.
 */
#ifndef THRASH_H
#define THRASH_H

#include <stdbool.h>
#include <stdint.h>

#define THRASH_PERIOD_NS 250000000ull
#define THRASH_PERIODS   2u

struct thrash {
	uint64_t since_ns;   /* when the period began; 0: at the next look */
	uint64_t read, came; /* as they were then */
	unsigned periods;    /* in a row in which it was so; at most THRASH_PERIODS */
};
/* so far */
struct thrash_input {
	uint64_t now_ns, read, came;
	uint64_t most; /* pages in a period; 0: nothing is thrashing */
};
/* => whether memory is thrashing. Looks may come at any time: a period is as long as it is. */
bool thrash_look(struct thrash *t, const struct thrash_input *in);

#endif
