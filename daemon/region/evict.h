/* SPDX-License-Identifier: MIT
 *
 * PAGEOUT: a range leaves memory because its owner says so.
 */
#ifndef REGION_EVICT_H
#define REGION_EVICT_H

#include "pageq/eviction.h"
#include "region/range.h"

/* Has the pages of a piece taken out, and waits until all have left that can. => pages. Runs on:
 * jobs, no lock held */
uint64_t region_evict(struct range *range);

/* Pages [first, last) of the object are taken out by all workers of its lane; `behind` more are
 * known to follow. apart: they keep apart from others', with what was stored before; nobody
 * waits for page lists. => `pages` and `gathered` of it count
 * what has moved, when all has that could. Runs on: jobs, no lock held */
struct eviction region_evict_pages(
    struct vm_object *o, uint64_t first, uint64_t last, uint64_t behind, bool apart);

#endif
