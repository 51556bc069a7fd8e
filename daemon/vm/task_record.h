/* SPDX-License-Identifier: MIT
 *
 * The layout of a client's record: kept_task.h.
 */
#ifndef TASK_RECORD_H
#define TASK_RECORD_H

#include <stdint.h>

#include "atomics.h"
#include "pager/proto.h"
#include "vm/policy_choice.h"

/* An entry, without pointers. */
struct kept_entry {
	uint64_t start, end;
	uint64_t object; /* its number */
	uint64_t offset; /* bytes in it */
	uint32_t behavior, inheritance, protection, max_protection, tag;
	uint32_t mapping; /* which of its object's it is: KEPT_READ_ONLY, and the rest */
	uint32_t user_wired_count;
	uint32_t reserved;
};
#define KEPT_READ_ONLY 1u
_Static_assert(sizeof(struct kept_entry) == 64, "layout of the arena");

/* A limit on an entry of the ledger. */
struct kept_ledger_limit {
	atomic_ullong most; /* 0: none */
	atomic_ullong refill_ns;
	atomic_uint warn;
	uint32_t reserved;
};

struct task_record {
	uint64_t id;
	uint32_t pid, uid;
	uint32_t is_control;
	atomic_uint
	    outlives_socket;     /* the end of its memory is the session's, and not the socket's */
	atomic_uint is_attached; /* the client knows that it is: the last thing that is written */
	char name[64];
	atomic_ullong map; /* times that it was written 32 | entries 32; an odd time: second half */
	uint64_t counted[2];    /* of each half: vm_map.counted */
	atomic_ullong begun;    /* number of the request that was begun last */
	atomic_ullong answered; /* likewise, and its answer stands below; it may have been sent */
	uint32_t answer_bytes;
	uint32_t room; /* entries of a half */
	/* Number of the last request that was about to change the state of purgeable memory, and
	 * what that was before. */
	atomic_ullong purgeable_by;
	atomic_uint purgeable_before;
	atomic_ullong group;         /* the number of the group that it is in; 0: none */
	struct policy_choice policy; /* its own */
	struct kept_ledger_limit ledger_limits[PAGER_LEDGER_COUNT];
	_Alignas(8) unsigned char answer[PAGER_MSG_BYTES_MAX];
};

#endif
