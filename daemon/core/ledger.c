/* SPDX-License-Identifier: MIT
 *
 * Ledgers. Runs on: any thread, PAGEQ held for pages. Never blocks, allocates or logs.
 */
#include "core/ledger.h"

#include "check.h"

static const enum {
	COUNT,
	PAGES,
	BYTES,
	TIME_NS
} ledger_kinds[] = {
#define LEDGER(NAME, name, unit, kind, text) kind,
#include "tbl/ledger.h"
};

static long long
add(struct ledger *l, enum pager_ledger_entry entry, long long value)
{
	long long balance = load_relaxed(&l->entries[entry]) + value;

	CHECKF(balance >= 0, "ledger entry %d went negative: %lld after %+lld", (int)entry, balance,
	    value);
	store_relaxed(&l->entries[entry], balance);
	return balance;
}

void
ledger_post_pages(struct ledger *l, int internal, int compressed, int wired)
{
	long long footprint;

	if (internal) {
		add(l, PAGER_LEDGER_INTERNAL, internal);
		add(l, PAGER_LEDGER_PHYS_MEM, internal);
	}
	if (compressed)
		add(l, PAGER_LEDGER_INTERNAL_COMPRESSED, compressed);
	if (wired)
		add(l, PAGER_LEDGER_WIRED_MEM, wired);
	if (internal + compressed) {
		footprint = add(l, PAGER_LEDGER_PHYS_FOOTPRINT, internal + compressed);
		if (footprint > load_relaxed(&l->footprint_peak))
			store_relaxed(&l->footprint_peak, footprint);
	}
}

uint64_t
ledger_value(const struct ledger *l, enum pager_ledger_entry entry, uint64_t page_bytes)
{
	uint64_t value = ledger_pages(l, entry);

	return ledger_kinds[entry] == PAGES ? value * page_bytes : value;
}

bool
ledger_is_zero(const struct ledger *l)
{
	for (int i = 0; i < PAGER_LEDGER_COUNT; i++)
		if ((ledger_kinds[i] == PAGES || ledger_kinds[i] == BYTES) &&
		    ledger_pages(l, (enum pager_ledger_entry)i) != 0)
			return false;
	return true;
}
