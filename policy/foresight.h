/* SPDX-License-Identifier: MIT
 *
 * Foresight: of what a program came back to in its last run, and what it comes back to now, what is
 * next. Each process has a cursor, which stands in the last run where this one is. A page to which
 * the process comes back moves it to where that page stood a little further on; what follows there
 * comes next. Where a page stood somewhere else two pages in succession must agree before the
 * cursor goes there, so that one that is out of the row does not lead away, and little is foreseen
 * until more have agreed.
 *
 * Whether that helps is judged by what became of the pages that were brought in: as soon as half of
 * a number of them in succession were not wanted it ends.
 */
#ifndef FORESIGHT_H
#define FORESIGHT_H

#include <stdbool.h>
#include <stdint.h>

#include "profile.h"

#define FORESIGHT_NEAR     128u  /* pages: a little further on, or back */
#define FORESIGHT_AHEAD    48u   /* pages that are foreseen behind the cursor */
#define FORESIGHT_JUDGED   512u  /* outcomes that are judged together */
#define FORESIGHT_PAUSE    1024u /* touches after a judgement that it did not help */
#define FORESIGHT_FAILURES 3u    /* of these in succession: it ends */
#define FORESIGHT_STRIKES  3u    /* runs without help until it rests */
#define FORESIGHT_RESTS    16u   /* runs for which it then rests */

struct foresight {
	const struct profile_page *pages;
	const struct profile_region *regions;
	uint32_t *order; /* positions in pages, sorted by page and then by position */
	uint32_t count;
};

struct foresight_cursor {
	uint32_t from, end; /* positions of its process */
	uint32_t at;        /* of what comes next */
	uint32_t told;      /* positions below have been told */
	uint32_t trust;     /* touches since it last went elsewhere, up to FORESIGHT_AHEAD */
	uint32_t other;     /* where it may be instead, if has_other */
	bool has_other;
};

/* order: room for page_count numbers; stays the caller's. */
void foresight_init(struct foresight *f, const struct profile *p, uint32_t *order);
/* A cursor at the beginning of what the process did. */
void foresight_begin(const struct foresight *f, uint32_t process, struct foresight_cursor *ret);
/* The process has come back to that page. => whether the cursor knows where it is */
bool foresight_touch(
    const struct foresight *f, struct foresight_cursor *c, struct profile_page page);
/* The next page that is foreseen and was not told yet, after a touch of which the cursor knows
 * where it is. => false: there is none until the next touch */
bool foresight_next(
    const struct foresight *f, struct foresight_cursor *c, struct profile_page *ret);

/* What became of pages that were brought in. */
struct foresight_judge {
	uint32_t hits, wasted; /* since the last judgement */
	uint32_t pause;        /* touches until something is brought in again */
	uint32_t failures;     /* judgements in succession that it did not help */
	bool has_ended;        /* it does not help: nothing is brought in any more */
};
/* => whether it has just ended */
bool foresight_outcome(struct foresight_judge *j, bool was_hit);
/* At a touch. => whether something may be brought in */
bool foresight_may(struct foresight_judge *j);

/* What is kept for the next run: old has the counts that were loaded (all 0: there was none); the
 * run has gathered that many pages, and, if it tried, has ended or not. => whether anything is to
 * be written; *strikes and *rests of it; with rests there are no pages in it */
struct foresight_kept {
	uint32_t strikes, rests;
	bool with_pages;
};
bool foresight_keep(
    const struct profile *old, uint32_t gathered, bool has_ended, struct foresight_kept *ret);

#endif
