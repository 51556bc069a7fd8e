/* SPDX-License-Identifier: MIT
 *
 * MSYNC, and what goes before an unmapping: pages of files in a range, and their files, are brought
 * into agreement.
 */
#ifndef REGION_SYNC_H
#define REGION_SYNC_H

#include "region/range.h"
#include "vm/books.h"

/* The next pages of the range whose pager has a place for each, from range->at on, which moves
 * behind them. *ret: object, with a reference, task, low and high are set. => false: there are no
 * more; no lock held */
bool region_place_next(struct range *range, struct clean_request *ret);
/* The clean pages among them are dropped, so that they are read again. => pages; no lock held */
uint64_t region_place_drop(struct range *range, const struct clean_request *pages);

#endif
