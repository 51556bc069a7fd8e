/* SPDX-License-Identifier: MIT
 *
 * Bodies of messages about wired memory and about the daemon's own; a part of pager/proto.h.
 */
#ifndef PAGER_PROTO_OWN_H
#define PAGER_PROTO_OWN_H

#include <stdint.h>

enum pager_own {
#define OWN(NAME, name, unit, text) PAGER_OWN_##NAME,
#include "tbl/own_memory.h"
	PAGER_OWN_COUNT
};
enum pager_own_unit {
#define OWN_UNIT(NAME, name, text) PAGER_OWN_UNIT_##NAME,
#include "tbl/own_unit.h"
	PAGER_OWN_UNIT_COUNT
};

/* What a client has wired, and why. Bytes */
struct pager_wire_wired {
	uint64_t session_id;
	uint32_t pid, uid;
	uint64_t wired;       /* resident wired pages that it pays for (its ledger's wired_mem) */
	uint64_t promised;    /* of its regions that are wired or pinned, touched or not */
	uint64_t called;      /* of those: wired by pager_wire */
	uint64_t pinned;      /* of those: pinned by memory descriptors; a region may be both */
	uint64_t listed;      /* pages that its page lists have busy */
	uint64_t device;      /* its mappings of devices */
	uint32_t regions;     /* that are wired or pinned */
	uint32_t calls, pins; /* how often, summed over regions */
	uint32_t lists;       /* page lists */
	char name[64];
};
#define PAGER_WIRED_PER_REPLY 64
struct pager_req_wired {
	uint64_t cursor; /* 0 at first, then the reply's */
};
struct pager_rep_wired {
	uint64_t wired;       /* of all clients and devices: resident */
	uint64_t device;      /* memory of devices that clients map, in each mapping */
	uint64_t listed;      /* resident pages that page lists have busy; not in `wired` */
	uint64_t promised;    /* of the limit: regions that are wired, and page lists */
	uint64_t limit;       /* on that, of all clients (wire_percent) */
	uint64_t next_cursor; /* 0: that was all; of one's own clients, or with CONTROL of all */
	uint32_t count, reserved;
	struct pager_wire_wired clients[PAGER_WIRED_PER_REPLY]; /* only `count` of them are sent */
};

struct pager_wire_own {
	uint64_t count; /* pieces */
	uint64_t bytes; /* that they take */
};
struct pager_req_tables {
	uint64_t reserved;
};
struct pager_rep_tables {
	struct pager_wire_own own[PAGER_OWN_COUNT];
	uint64_t units[PAGER_OWN_UNIT_COUNT]; /* how many there are of each */
	uint64_t heap;      /* bytes that malloc has given out in all; 0: it does not say */
	uint64_t heap_own;  /* of those: in `own` */
	uint64_t anonymous; /* private memory of the daemon's process that is resident (RssAnon) */
	uint64_t anonymous_own; /* of that: in `own` */
};

#endif
