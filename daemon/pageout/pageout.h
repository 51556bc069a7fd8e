/* SPDX-License-Identifier: MIT
 *
 * Pageout: keeps frames free. Each worker does the whole of it: it ages active pages (their
 * mappings go), takes the policy's victims with their neighbours, and launders them (write-protect,
 * compress, punch, publish, free). Work starts below free_min and stops at free_target; the second
 * and later workers join only when the first does not keep up.
 */
#ifndef PAGEOUT_H
#define PAGEOUT_H

#include "pageout/worker.h"

int pageout_start(struct daemon *d);
void pageout_stop(struct daemon *d);
void pageout_fini(struct daemon *d);

/* Ends a turn, which freed so many frames, and in which w->passed_over grew from `before`. =>
 * whether the turn met only victims that a side lane must launder. Such a turn says nothing about
 * whether memory is full: it does not count for the patience of faults, and the worker chooses
 * other pages at once, without a wait. False after PASSED_OVER_MAX such victims in a row, since
 * there may be no other pages. */
bool worker_has_passed_over(struct pageout_worker *w, unsigned before, unsigned freed);

/* Gives the worker's duty, and all pages that it has not begun, to another one that stands by. Runs
 * on: the watcher. => duty_lock held; the worker is inside of a call, or has come back from it
 * relieved and touches none of these pages */
void worker_hand_over_locked(
    struct daemon *d, struct pageout_worker *w, struct pageout_worker *next);

#endif
