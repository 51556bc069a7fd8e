/* SPDX-License-Identifier: MIT
 *
 * Pageout: keeps frames free. Each worker runs the whole of it: ages active pages (their mappings
 * go), takes the policy's victims with their neighbours, and launders them: write-protect,
 * compress, punch, publish, free. Work starts below free_min and stops at free_target; the second
 * and later workers join only when the first does not keep up.
 */
#ifndef PAGEOUT_H
#define PAGEOUT_H

#include "pageout/worker.h"

int pageout_start(struct daemon *d);
void pageout_stop(struct daemon *d);
void pageout_fini(struct daemon *d);

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

#endif
