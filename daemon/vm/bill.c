/* SPDX-License-Identifier: MIT
 *
 * Bills. Runs on: any thread; pages with PAGEQ held. Never blocks or allocates, and
 * logs only that a user has all of its share.
 */
#include "vm/bill.h"

#include "check.h"

static const struct {
	int counted;
	enum pager_ledger_entry entry;
} balances[GROUP_BALANCES] = {
	[GROUP_FOOTPRINT] = { LEDGER_OF_PHYS_FOOTPRINT, PAGER_LEDGER_PHYS_FOOTPRINT },
	[GROUP_RESIDENT] = { LEDGER_OF_PHYS_MEM, PAGER_LEDGER_PHYS_MEM },
	[GROUP_COMPRESSED] = { LEDGER_OF_INTERNAL_COMPRESSED, PAGER_LEDGER_INTERNAL_COMPRESSED },
};

/* Under PAGEQ. */
static void
bill_group_post(
    struct client_group *group, enum ledger_class from, enum ledger_class to, long long pages)
{
	for (int i = 0; i < GROUP_BALANCES; i++) {
		int delta = ledger_delta(balances[i].counted, from, to);

		if (delta != 0)
			group_post(group, (enum group_balance)i, delta * pages);
	}
}

bool
bill_group_set(struct bill *bill, struct client_group *group)
{
	CHECK(group != NULL);
	if (load_relaxed(&bill->group))
		return false;
	for (int i = 0; i < GROUP_BALANCES; i++)
		group_post(group, (enum group_balance)i,
		    (long long)ledger_pages(&bill->ledger, balances[i].entry));
	store_release(&bill->group, group);
	return true;
}

void
bill_post(struct bill *bill, enum ledger_class from, enum ledger_class to, uint64_t pages)
{
	int resident = ledger_delta(LEDGER_OF_PHYS_MEM, from, to);
	int wired = ledger_delta(LEDGER_OF_WIRED_MEM, from, to);
	int footprint = ledger_delta(LEDGER_OF_PHYS_FOOTPRINT, from, to);
	long long held;

	ledger_post(&bill->ledger, from, to, pages);
	if (load_relaxed(&bill->group))
		bill_group_post(load_relaxed(&bill->group), from, to, (long long)pages);
	if (wired != 0)
		store_relaxed(&bill->process->wired,
		    load_relaxed(&bill->process->wired) + wired * (long long)pages);
	if (footprint != 0)
		store_relaxed(&bill->process->footprint,
		    load_relaxed(&bill->process->footprint) + footprint * (long long)pages);
	if (resident == 0)
		return;
	held = load_relaxed(&bill->process->resident) + resident * (long long)pages;
	CHECK(held >= 0);
	store_relaxed(&bill->process->resident, held);
}

int
bill_tables_take(struct daemon *d, struct bill *bill, uint64_t bytes)
{
	int error = share_take(d, bill->account, SHARE_TABLES, bytes);

	CHECK(bytes > 0);
	if (!error)
		ledger_post_bytes(&bill->ledger, PAGER_LEDGER_PAGE_TABLE, (long long)bytes);
	return error;
}

void
bill_tables_take_over(struct daemon *d, struct bill *bill, uint64_t bytes)
{
	CHECK(bytes > 0);
	share_take_over(d, bill->account, SHARE_TABLES, bytes);
	ledger_post_bytes(&bill->ledger, PAGER_LEDGER_PAGE_TABLE, (long long)bytes);
}

void
bill_tables_give(struct daemon *d, struct bill *bill, uint64_t bytes)
{
	CHECK(ledger_pages(&bill->ledger, PAGER_LEDGER_PAGE_TABLE) >= bytes);
	ledger_post_bytes(&bill->ledger, PAGER_LEDGER_PAGE_TABLE, -(long long)bytes);
	share_give(d, bill->account, SHARE_TABLES, bytes);
}

void
bill_tables_move(struct bill *from, struct bill *to, uint64_t bytes)
{
	CHECK(ledger_pages(&from->ledger, PAGER_LEDGER_PAGE_TABLE) >= bytes);
	ledger_post_bytes(&from->ledger, PAGER_LEDGER_PAGE_TABLE, -(long long)bytes);
	ledger_post_bytes(&to->ledger, PAGER_LEDGER_PAGE_TABLE, (long long)bytes);
	share_move(from->account, to->account, SHARE_TABLES, bytes);
}
