/* SPDX-License-Identifier: MIT
 *
 * A range leaves at its owner's wish (region/evict.c asks): the workers' half.
 */
#ifndef EVICT_H
#define EVICT_H

#include "pageout/worker.h"

/* What to press the next batch with, after one that was pressed with `now`; 0: as any other pages.
 * Pure. */
unsigned evict_acceleration(
    unsigned now, unsigned least, unsigned most, bool goes_on_to_swap, bool refused);
/* Whether a worker of that lane finds a part of one to take up. => PAGEQ held */
bool evict_wanted_locked(const struct daemon *d, unsigned lane);
/* Takes out a batch of the worker's part. *ret_freed: frames. => false: there was nothing to do, or
 * no room */
bool evict_round(struct pageout_worker *w, unsigned *ret_freed);

#endif
