/* SPDX-License-Identifier: MIT
 *
 * The wire: a client's ledger in full, and what makes its bill. Included by proto.h.
 */
#ifndef PAGER_PROTO_LEDGER_H
#define PAGER_PROTO_LEDGER_H

#include <stdint.h>

/* Ledger entries in the order of tbl/ledger.h; PAGES rows in bytes. */
enum pager_ledger_entry {
#define LEDGER(NAME, name, unit, kind, classes, text) PAGER_LEDGER_##NAME,
#include "tbl/ledger.h"
	PAGER_LEDGER_COUNT
};

/* After the answer a new interval begins: interval_most is the most since then. */
#define PAGER_LEDGER_BEGIN_INTERVAL 1u
#define PAGER_LEDGER_FLAGS          PAGER_LEDGER_BEGIN_INTERVAL
struct pager_req_ledger {
	uint32_t pid, flags; /* PAGER_LEDGER_* */
	uint64_t session;
};
/* balance = credit - debit. Entries that only grow have no debit, and no maxima. */
struct pager_wire_ledger_entry {
	uint64_t balance, credit, debit;
	uint64_t lifetime_most, interval_most; /* of the balance; of several sessions: the sums */
	uint64_t limit;   /* LEDGER_LIMIT; 0: none; of several sessions: the first one's */
	uint64_t against; /* what counts against it: the balance, or since the last refill */
	uint32_t warn, refill_ms;
};
struct pager_rep_ledger {
	uint32_t sessions, reserved;
	struct pager_wire_ledger_entry entries[PAGER_LEDGER_COUNT];
};

/* A limit on an entry. At `warn` percent of it, and above it, the client is told
 * (PAGER_AGENT_LIMIT). refill_ms: after each such time `limit` more may be added; only of entries
 * that grow. Errors: -EINVAL: no such entry, a percentage above 100, a refill of a balance or
 * without a limit; -ERANGE: less than a page. */
struct pager_req_ledger_limit {
	uint32_t pid, entry; /* enum pager_ledger_entry */
	uint64_t session;
	uint64_t limit; /* bytes, or as the entry counts; 0: none */
	uint32_t warn, refill_ms;
};
struct pager_rep_ledger_limit {
	uint64_t previous; /* of the first session */
	uint32_t sessions, reserved;
};

/* Rows of tbl/door.h, and room for more. */
#define PAGER_DOORS 8
/* An object that the client pays for. Numbers are bytes. */
struct pager_wire_billed {
	uint64_t object_id;
	uint64_t address;          /* where the client maps some of it; 0: nowhere */
	uint32_t standing;         /* row of tbl/ledger_standing.h */
	uint32_t flags;            /* PAGER_BILLED_* */
	uint32_t own, all;         /* mappings and names of it: the client's; all */
	uint64_t footprint;        /* what it is to the client's phys_footprint */
	uint64_t resident, stored; /* stored: compressed or swapped */
	uint64_t wired, reusable;  /* of resident */
	/* Its pages by the way in which they came, counted a moment later. */
	uint64_t resident_by[PAGER_DOORS], stored_by[PAGER_DOORS];
};
#define PAGER_BILLED_SHAREABLE 1u /* others may map it */
#define PAGER_BILLED_COPIED    2u /* some of it is, or was copied from, a copy of other memory */
#define PAGER_BILLED_DEVICE    4u /* of a client: its mappings are billed, not its pages */

#define PAGER_EXPLAIN_PER_REPLY 64
struct pager_req_explain {
	uint32_t pid, reserved;
	uint64_t session;
	uint64_t cursor; /* 0 at first, then the reply's */
};
struct pager_rep_explain {
	uint64_t next_cursor; /* 0: that was all */
	uint32_t count, reserved;
	struct pager_wire_billed objects[PAGER_EXPLAIN_PER_REPLY]; /* only `count` are sent */
};
_Static_assert(sizeof(struct pager_rep_explain) < 16384 - 24, "a reply fits a message");

#endif
