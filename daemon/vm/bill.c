/* SPDX-License-Identifier: MIT
 *
 * Bills. Runs on: any thread; pages with PAGEQ held. Never blocks, allocates or logs (but for the
 * line that names a user who has their share).
 */
#include "vm/bill.h"

#include "check.h"

void
bill_post_pages_locked(struct bill *bill, int internal, int compressed, int wired)
{
	if (internal | compressed | wired)
		ledger_post_pages(&bill->ledger, internal, compressed, wired);
	if (internal)
		store_relaxed(
		    &bill->process->resident, load_relaxed(&bill->process->resident) + internal);
}

int
bill_tables_take(struct daemon *d, struct bill *bill, uint64_t bytes)
{
	int error = share_take(d, bill->account, SHARE_TABLES, bytes);

	if (!error)
		ledger_post_bytes(&bill->ledger, PAGER_LEDGER_PAGE_TABLE, (long long)bytes);
	return error;
}

void
bill_tables_give(struct daemon *d, struct bill *bill, uint64_t bytes)
{
	ledger_post_bytes(&bill->ledger, PAGER_LEDGER_PAGE_TABLE, -(long long)bytes);
	share_give(d, bill->account, SHARE_TABLES, bytes);
}
