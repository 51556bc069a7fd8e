/* SPDX-License-Identifier: MIT
 *
 * Ranges that leave memory at their owners' wish (region/evict.c asks): the workers' half.
 */
#ifndef EVICT_H
#define EVICT_H

#include "pageout/worker.h"

/* The compressor's acceleration for the next batch, after a batch with `now`; at most
 * `most`, but at least `least`. goes_on_to_swap: the pages will soon leave memory as well; refused:
 * that batch found no room. => 0: as for any other pages. Pure. */
unsigned evict_acceleration(
    unsigned now, unsigned least, unsigned most, bool goes_on_to_swap, bool refused);
/* Whether some range has pages for a worker of that lane. => PAGEQ held */
bool evict_wanted_locked(const struct daemon *d, unsigned lane);
/* Takes out a batch of the worker's part of a range; the worker takes up a part if it has none.
 * *ret_freed grows by the frames freed. => false: there was nothing to do, or no room; no lock held
 */
bool evict_round(struct pageout_worker *w, unsigned *ret_freed);

/* Whether the worker fills a segment with pages that keep apart, of which no more come. => PAGEQ
 * held */
bool evict_apart_is_over_locked(const struct pageout_worker *w);
/* That segment may be written. No lock held. */
void evict_apart_end(struct pageout_worker *w);

#endif
