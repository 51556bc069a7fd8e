/* SPDX-License-Identifier: MIT
 *
 * Which process is frozen without being asked for (parameter freeze), from numbers alone. After
 * XNU's freezer: while memory is short, of the processes in the bands up to aging2 the one that has
 * been quiet longest; so many of them at most, and so much a day. XNU takes suspended programs;
 * here quiet means that no fault of the process's was seen.
 */
#ifndef FREEZE_POLICY_H
#define FREEZE_POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct freeze_candidate {
	int band; /* in which it is now */
	bool is_dying;
	bool is_free;   /* it is not frozen, nor on its way there or back */
	unsigned thaws; /* times that a touch has thawed it: it has to be quiet for as much longer
			   each time */
	uint64_t pages; /* that it has in memory */
	uint64_t quiet_since_ns; /* no fault of its was seen since then */
};
struct freeze_rules {
	unsigned below;    /* permille of the movable frames that are free or hold files: it runs
			      below that */
	unsigned most;     /* processes that may be frozen at a time */
	uint64_t least;    /* pages: smaller ones are not worth it */
	uint64_t quiet_ns; /* for which it has to have been quiet */
	uint64_t budget;   /* pages that may still go today */
};
/* What memory has, and what has been done. */
struct freeze_input {
	uint64_t now_ns;
	unsigned left;   /* permille of the movable frames that are free or hold files */
	unsigned frozen; /* processes that are, or are on their way */
};
/* => whether one is to be frozen, and which */
bool freeze_choose(const struct freeze_candidate *candidates, size_t count,
    const struct freeze_rules *rules, const struct freeze_input *in, size_t *ret);

#endif
