/* SPDX-License-Identifier: MIT
 *
 * A client's ledger: the rows of tbl/ledger.h. PAGES rows are balances, changed only where a page
 * changes its class (vm_page_commit, and the standing of its object) under PAGEQ, so that their
 * sums over clients equal the daemon's gauges at any moment the lock is held. Each has what was
 * credited so far, of which what is not in the balance was debited, and the most that the balance
 * has been: ever, and since the interval began. BYTES rows are balances of things that need no
 * lock. COUNT and TIME rows only grow: they are all credit. These may be posted from any thread.
 */
#ifndef LEDGER_H
#define LEDGER_H

#include "atomics.h"
#include "check.h"
#include "pager/proto.h"

/* PAGES rows: (Q) to write, (A) to read, in pages. Others: (A), and only the balance is used. */
struct ledger_entry {
	atomic_llong balance;
	atomic_llong credit;        /* so far; the debit is what is not in the balance */
	atomic_llong lifetime_most; /* of the balance */
	atomic_llong interval_most; /* since ledger_interval_begin */
};

struct ledger {
	struct ledger_entry entries[PAGER_LEDGER_COUNT];
};
_Static_assert(PAGER_LEDGER_COUNT <= 64, "a set of entries is a word");

enum ledger_class {
#define LEDGER_CLASS(NAME, text) LEDGER_CLASS_##NAME,
#include "tbl/ledger_class.h"
	LEDGER_CLASS_COUNT
};

/* How an object stands on its owner's bill: tbl/ledger_standing.h. */
enum ledger_standing {
#define LEDGER_STANDING(NAME, RESIDENT, WIRED, STORED, text) STANDING_##NAME,
#include "tbl/ledger_standing.h"
	STANDING_COUNT
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

/* The class of a page of an object of that standing, of which a row of tbl/page_arrow.h says that
 * it is in `class`. */
enum ledger_class ledger_class_of(enum ledger_standing standing, enum ledger_class class);
/* That many pages move between classes: every PAGES row that counts one of the two follows. A
 * negative balance is a panic. => PAGEQ held */
void ledger_post(struct ledger *l, enum ledger_class from, enum ledger_class to, uint64_t pages);
/* From now on interval_most is the most since now. => PAGEQ held */
void ledger_interval_begin(struct ledger *l);
/* Whether the entry is a balance in pages. */
bool ledger_is_pages(enum pager_ledger_entry entry);
static inline void
ledger_count(struct ledger *l, enum pager_ledger_entry entry, uint64_t value)
{
	INVARIANT(entry < PAGER_LEDGER_COUNT);
	fetch_add_relaxed(&l->entries[entry].balance, (long long)value);
}
/* A BYTES row, from any thread. */
static inline void
ledger_post_bytes(struct ledger *l, enum pager_ledger_entry entry, long long bytes)
{
	INVARIANT(entry < PAGER_LEDGER_COUNT);
	fetch_add_relaxed(&l->entries[entry].balance, bytes);
}
/* Pages (or bytes) as they stand, without a lock. */
static inline uint64_t
ledger_pages(const struct ledger *l, enum pager_ledger_entry entry)
{
	INVARIANT(entry < PAGER_LEDGER_COUNT);
	return (uint64_t)load_relaxed(&((struct ledger *)l)->entries[entry].balance);
}
/* Whether the entry is no balance. */
bool ledger_only_grows(enum pager_ledger_entry entry);
/* PAGES rows in bytes, others as they are. */
uint64_t ledger_value(const struct ledger *l, enum pager_ledger_entry entry, uint64_t page_bytes);
/* Whether every balance reads zero, as it must for an ended client. */
bool ledger_is_zero(const struct ledger *l);

#endif
