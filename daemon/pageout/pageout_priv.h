/* SPDX-License-Identifier: MIT
 *
 * What the files of pageout/ call of one another's workers. Runs on: the worker's own thread, no
 * lock held.
 */
#ifndef PAGEOUT_PRIV_H
#define PAGEOUT_PRIV_H

#include "pageout/pageout.h"

/* pageout.c */
/* The pages made inactive since the last time lose their mappings, a client's after another's: so
 * the watcher finds those that a worker has not come to. */
void worker_age(struct pageout_worker *w);
/* So many more in deactivated[]. */
void worker_made_inactive(struct pageout_worker *w, unsigned count);
/* The batch is laundered. When pages had to stay, the next is smaller; then the worker waits for
 * room. => frames freed */
unsigned worker_launder(struct pageout_worker *w);

/* The end of a turn, in which passed_over grew from `before`. => whether it met nothing but victims
 * that a side lane must launder. That says nothing of whether memory is full: the turn does not
 * count for the patience of faults, and the worker chooses others' pages at once, without a wait.
 * False after PASSED_OVER_MAX of them in a row, for there may be no others. */
bool worker_has_passed_over(struct pageout_worker *w, unsigned before, unsigned freed);

/* What the worker has not begun becomes that of another, which stands by, and so does its duty.
 * Runs on: the watcher. => duty_lock held; the worker is inside of a call, or has come back from it
 * relieved and touches none of it */
void worker_hand_over_locked(
    struct daemon *d, struct pageout_worker *w, struct pageout_worker *next);

/* limit.c */
/* Pages of those clients leave. => frames freed */
unsigned round_limits(struct pageout_worker *w);

#endif
