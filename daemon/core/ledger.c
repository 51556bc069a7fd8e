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
#define LEDGER(NAME, name, unit, kind, classes, text) kind,
#include "tbl/ledger.h"
};

/* The PAGES rows. */
static const struct {
	enum pager_ledger_entry entry;
	int counted;
} balances[] = {
#define ROW_PAGES(NAME) { PAGER_LEDGER_##NAME, LEDGER_OF_##NAME },
#define ROW_BYTES(NAME)
#define ROW_COUNT(NAME)
#define ROW_TIME_NS(NAME)
#define LEDGER(NAME, name, unit, kind, classes, text) ROW_##kind(NAME)
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
ledger_post(struct ledger *l, enum ledger_class from, enum ledger_class to, uint64_t pages)
{
	CHECK(from < LEDGER_CLASS_COUNT && to < LEDGER_CLASS_COUNT);
	for (unsigned i = 0; i < ARRAY_LEN(balances); i++) {
		int delta = ledger_delta(balances[i].counted, from, to);
		long long balance;

		if (delta == 0)
			continue;
		balance = add(l, balances[i].entry, delta * (long long)pages);
		if (balances[i].entry == PAGER_LEDGER_PHYS_FOOTPRINT &&
		    balance > load_relaxed(&l->footprint_peak))
			store_relaxed(&l->footprint_peak, balance);
	}
}

uint64_t
ledger_value(const struct ledger *l, enum pager_ledger_entry entry, uint64_t page_bytes)
{
	uint64_t value = ledger_pages(l, entry);

	CHECK(entry < PAGER_LEDGER_COUNT && page_bytes > 0);
	return ledger_kinds[entry] == PAGES ? value * page_bytes : value;
}

bool
ledger_is_zero(const struct ledger *l)
{
	CHECK(l != NULL);
	for (int i = 0; i < PAGER_LEDGER_COUNT; i++)
		if ((ledger_kinds[i] == PAGES || ledger_kinds[i] == BYTES) &&
		    ledger_pages(l, (enum pager_ledger_entry)i) != 0)
			return false;
	return true;
}
