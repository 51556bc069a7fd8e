/* SPDX-License-Identifier: MIT
 *
 * Unmapping after a fault. Runs on: fault servers.
 */
#include "pmap/settle.h"

#include "pageq/exact.h"
#include "pageq/victim.h"
#include "pmap/zap.h"

/* Pages that are unmapped at a time. After one fault it is one or two pages. */
#define SETTLE_MAX 16u

void
settle_unmap(struct daemon *d, struct stat_shard stats)
{
	struct victim victims[SETTLE_MAX];
	unsigned count;

	locks_assert_none();
	if (likely(param(d, resident_frames) == 0))
		return;
	do {
		pageq_lock(d);
		count = exact_settle_locked(d, victims, SETTLE_MAX);
		pageq_unlock(d);
		stat_add(stats, STAT_DEACTIVATIONS, count);
		zap_now(d, stats, victims, count);
	} while (count == SETTLE_MAX);
}
