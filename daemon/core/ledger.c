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

/* The PAGES rows that count each class, a bit each, made of the table before main begins. */
static uint64_t entries_of[LEDGER_CLASS_COUNT];

static const struct {
	uint8_t resident, wired, stored;
} standings[STANDING_COUNT] = {
#define LEDGER_STANDING(NAME, RESIDENT, WIRED, STORED, text)                                       \
	[STANDING_##                                                                               \
	    NAME] = { LEDGER_CLASS_##RESIDENT, LEDGER_CLASS_##WIRED, LEDGER_CLASS_##STORED },
#include "tbl/ledger_standing.h"
};

__attribute__((constructor)) static void
entries_of_make(void)
{
	static const int counted[] = {
#define LEDGER(NAME, name, unit, kind, classes, text) LEDGER_OF_##NAME,
#include "tbl/ledger.h"
	};

	for (unsigned entry = 0; entry < ARRAY_LEN(counted); entry++)
		for (unsigned c = 0; c < LEDGER_CLASS_COUNT; c++)
			entries_of[c] |= (uint64_t)(counted[entry] >> c & 1) << entry;
}

enum ledger_class
ledger_class_of(enum ledger_standing standing, enum ledger_class class)
{
	CHECK(standing < STANDING_COUNT);
	switch (class) {
	case LEDGER_CLASS_INTERNAL:
		return standings[standing].resident;
	case LEDGER_CLASS_INTERNAL_WIRED:
		return standings[standing].wired;
	case LEDGER_CLASS_INTERNAL_COMPRESSED:
		CHECK(standings[standing].stored != LEDGER_CLASS_NONE);
		return standings[standing].stored;
	default:
		return class;
	}
}

static void
credit(struct ledger_entry *entry, long long pages)
{
	long long balance = load_relaxed(&entry->balance) + pages;

	store_relaxed(&entry->balance, balance);
	store_relaxed(&entry->credit, load_relaxed(&entry->credit) + pages);
	if (balance > load_relaxed(&entry->interval_most)) {
		store_relaxed(&entry->interval_most, balance);
		if (balance > load_relaxed(&entry->lifetime_most))
			store_relaxed(&entry->lifetime_most, balance);
	}
}

static void
debit(struct ledger *l, unsigned i, long long pages)
{
	long long balance = load_relaxed(&l->entries[i].balance) - pages;

	CHECKF(balance >= 0, "ledger entry %u went negative: %lld after -%lld", i, balance, pages);
	store_relaxed(&l->entries[i].balance, balance);
}

void
ledger_post(struct ledger *l, enum ledger_class from, enum ledger_class to, uint64_t pages)
{
	uint64_t before, after;

	CHECK(from < LEDGER_CLASS_COUNT && to < LEDGER_CLASS_COUNT);
	before = entries_of[from];
	after = entries_of[to];
	for (uint64_t left = before & ~after; left; left &= left - 1)
		debit(l, (unsigned)__builtin_ctzll(left), (long long)pages);
	for (uint64_t left = after & ~before; left; left &= left - 1)
		credit(&l->entries[__builtin_ctzll(left)], (long long)pages);
}

void
ledger_interval_begin(struct ledger *l)
{
	for (int i = 0; i < PAGER_LEDGER_COUNT; i++)
		store_relaxed(&l->entries[i].interval_most, load_relaxed(&l->entries[i].balance));
}

bool
ledger_is_pages(enum pager_ledger_entry entry)
{
	CHECK(entry < PAGER_LEDGER_COUNT);
	return ledger_kinds[entry] == PAGES;
}

bool
ledger_only_grows(enum pager_ledger_entry entry)
{
	CHECK(entry < PAGER_LEDGER_COUNT);
	return ledger_kinds[entry] == COUNT || ledger_kinds[entry] == TIME_NS;
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
