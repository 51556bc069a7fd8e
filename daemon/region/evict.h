/* SPDX-License-Identifier: MIT
 *
 * PAGEOUT: a range leaves memory because its owner says so.
 */
#ifndef REGION_EVICT_H
#define REGION_EVICT_H

#include "region/range.h"

/* Has the pages of a piece taken out, and waits until all have left that can. => pages. Runs on:
 * jobs, no lock held */
uint64_t region_evict(struct range *range);

#endif
