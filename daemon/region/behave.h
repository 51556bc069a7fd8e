/* SPDX-License-Identifier: MIT
 *
 * BEHAVIOR: how a range will be used (a note in its entries), or what is done with its pages once.
 * PAGEOUT is in region/evict.h, WILLNEED in region/prefetch.h.
 */
#ifndef BEHAVE_H
#define BEHAVE_H

#include "region/range.h"

/* The entries remember a lasting behavior. => 0, -EINVAL or -ENOMEM. Runs on: jobs, no lock held */
int region_behave(struct range *range, uint32_t behavior);
/* Whether pages of the range may be taken out. => 0; -EINVAL: not all of it is allocated; -ENOTSUP:
 * there is memory of a device, which stays; -EBUSY: page_list_around. No lock held, here and below
 */
int region_may_leave(struct range *range);
/* Whether its content may be thrown away. => likewise; -EBUSY: some of it is pinned */
int region_may_be_discarded(struct range *range);
/* DONTNEED: active pages of a piece become inactive and lose their mappings. => pages */
uint64_t region_cool(struct range *range);
/* REUSABLE: what a piece has is not needed, and leaves the footprint. Passed over: what is wired,
 * shared, purgeable, of a file, or has to do with a copy. => pages */
uint64_t region_reusable(struct range *range);
/* REUSE: and what is there still of it is needed again. => pages that were */
uint64_t region_reuse(struct range *range);
/* FREE: discards the content of a piece, which stays allocated. => pages that were there */
uint64_t region_discard(struct range *range);

#endif
