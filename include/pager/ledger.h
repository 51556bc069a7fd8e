/* SPDX-License-Identifier: MIT
 *
 * Ledgers: memory with a tag of its own on the bill, and what PAGER_EVENT_LIMIT says. A part of
 * pager/pager.h, which includes it; what is said there of all functions holds here.
 */
#ifndef PAGER_LEDGER_H
#define PAGER_LEDGER_H

#include "pager/pager.h"

#ifdef __cplusplus
extern "C" {
#endif

/* More flags of pager_allocate. Memory with a tag lies in an object of its own, which is billed as
 * tagged_footprint and not as internal, so that a program, or who looks at it, knows what it spends
 * on one purpose. The idea is that of XNU's ledger tags. With the second flag too it is billed as
 * tagged_nofootprint, and is no part of the footprint; that is for clients of root and of the
 * daemon's own user (-EPERM), because limits on the footprint do not see it. Neither goes with
 * PAGER_ALLOC_PURGEABLE, which has entries of its own (-EINVAL). What fork(2) and pager_copy make
 * of it is ordinary memory. */
#define PAGER_ALLOC_TAGGED       32
#define PAGER_ALLOC_NO_FOOTPRINT 64

/* What the value of PAGER_EVENT_LIMIT says: how much of its limit the client has, in percent (at
 * 100: it has more), and of which entry of its ledger. NULL: the limits on the process's footprint
 * and resident memory. */
PAGER_API unsigned pager_limit_percent(uint64_t value);
PAGER_API const char *pager_limit_entry(uint64_t value);

#ifdef __cplusplus
}
#endif
#endif
