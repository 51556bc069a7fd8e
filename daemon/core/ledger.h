/* SPDX-License-Identifier: MIT
 *
 * A client's ledger: the rows of tbl/ledger.h. PAGES rows are balances, changed only by
 * vm_page_commit under PAGEQ, so that their sums over clients equal the daemon's gauges at any
 * moment the lock is held. BYTES rows are balances of things that need no lock. COUNT and TIME rows
 * only grow. These may be posted from any thread.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include "atomics.h"
#include "check.h"
#include "pager/proto.h"

struct ledger {
	atomic_llong entries[PAGER_LEDGER_COUNT]; /* (Q) to write PAGES rows, (A) to read */
	atomic_llong footprint_peak;              /* (Q) pages */
};

enum ledger_class {
#define LEDGER_CLASS(NAME, text) LEDGER_CLASS_##NAME,
#include "tbl/ledger_class.h"
	LEDGER_CLASS_COUNT
};

/* The classes that each entry counts, a bit each. */
enum {
#define IN(NAME)                                      (1 << LEDGER_CLASS_##NAME)
#define LEDGER(NAME, name, unit, kind, classes, text) LEDGER_OF_##NAME = (classes),
#include "tbl/ledger.h"
#undef IN
};

/* The change of an entry that counts `counted` when a page moves between classes: -1, 0 or 1. */
static inline int
ledger_delta(int counted, enum ledger_class from, enum ledger_class to)
{
	INVARIANT(from < LEDGER_CLASS_COUNT && to < LEDGER_CLASS_COUNT);
	return (counted >> to & 1) - (counted >> from & 1);
}

/* That many pages move between classes: every PAGES row that counts one of the two follows. A
 * negative balance is a panic. => PAGEQ held */
void ledger_post(struct ledger *l, enum ledger_class from, enum ledger_class to, uint64_t pages);
static inline void
ledger_count(struct ledger *l, enum pager_ledger_entry entry, uint64_t value)
{
	INVARIANT(entry < PAGER_LEDGER_COUNT);
	fetch_add_relaxed(&l->entries[entry], (long long)value);
}
/* A BYTES row, from any thread. */
static inline void
ledger_post_bytes(struct ledger *l, enum pager_ledger_entry entry, long long bytes)
{
	INVARIANT(entry < PAGER_LEDGER_COUNT);
	fetch_add_relaxed(&l->entries[entry], bytes);
}
/* Pages (or bytes) as they stand, without a lock. */
static inline uint64_t
ledger_pages(const struct ledger *l, enum pager_ledger_entry entry)
{
	INVARIANT(entry < PAGER_LEDGER_COUNT);
	return (uint64_t)load_relaxed(&((struct ledger *)l)->entries[entry]);
}
/* PAGES rows in bytes, others as they are. */
uint64_t ledger_value(const struct ledger *l, enum pager_ledger_entry entry, uint64_t page_bytes);
/* Whether every balance reads zero, as it must for an ended client. */
bool ledger_is_zero(const struct ledger *l);

#endif
