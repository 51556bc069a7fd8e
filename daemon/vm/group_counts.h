/* SPDX-License-Identifier: MIT
 *
 * What a group counts, and what is known of it after its clients have ended.
 */
#ifndef GROUP_COUNTS_H
#define GROUP_COUNTS_H

#include "atomics.h"
#include "core/ledger.h"

/* The balances that are followed for all clients together. */
enum group_balance { GROUP_FOOTPRINT, GROUP_RESIDENT, GROUP_COMPRESSED, GROUP_BALANCES };

struct group_counts {
	atomic_ullong ever;                      /* (A) clients so far */
	atomic_llong most[GROUP_BALANCES];       /* (Q) to write, (A) to look at: pages */
	atomic_ullong ended[PAGER_LEDGER_COUNT]; /* (A) what only grows, of clients that are gone */
};

#endif
