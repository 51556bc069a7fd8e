/* SPDX-License-Identifier: MIT
 *
 * Bodies of the messages about fork(2): FORK_BEGIN, FORK_CHILD, FORK_STEP. A part of pager/proto.h.
 */
#ifndef PAGER_PROTO_FORK_H
#define PAGER_PROTO_FORK_H

#include <stdint.h>

/* The client is about to fork, and does so between this answer and FORK_STEP END. Its child's
 * session is made, with the map that the child inherits, as it is at this moment: from now on no
 * write of the client's changes its memory until END, or until the child has said FORK_CHILD.
 * Errors: those of ALLOCATE; -EDQUOT, -ENFILE: no further session can be had; -E2BIG: more ranges
 * than PAGER_FORK_PHYSICAL_MAX would have to be copied. The client forks all the same, and the
 * child has none of its memory. */
struct pager_req_fork_begin {
	uint32_t flags; /* 0 */
	uint32_t reserved;
};
#define PAGER_FORK_PHYSICAL_MAX 512
/* Flags of the answer. */
#define PAGER_FORK_SHARES_READS 1 /* the child is to ask for FORK_SHARE */
/* The daemon has a keeper, and copies nothing: all that is the child's own is in `physical`. The
 * child waits for ATTACH's answer; if the daemon dies before that it keeps what its parent has
 * read, as memory that is not the daemon's. A range whose address has the lowest bit set, too, is
 * zeroes, and need not be read. */
#define PAGER_FORK_PHYSICAL 2
#define PAGER_FORK_ZEROES   1 /* that bit */
struct pager_wire_range {
	uint64_t address, size;
};
struct pager_rep_fork_begin { /* carries the child's end of its socket */
	uint64_t session_id;  /* the child's */
	uint32_t count;
	uint32_t flags; /* PAGER_FORK_SHARES_READS, PAGER_FORK_PHYSICAL */
	/* What the daemon has not copied: the client reads it before it forks, and the child writes
	 * it into its own. Only `count` of them are sent. */
	struct pager_wire_range physical[PAGER_FORK_PHYSICAL_MAX];
};

/* The child's first message on its socket, of which the kernel tells the daemon which process it
 * is.
 *
 * When FORK_BEGIN is answered, messages lie in the socket already, with the sequence number 0: one
 * as FORK_CHILD's answer, with the /dev/userfaultfd descriptor; then, as answers to FORK_STEP MAP,
 * what the child has inherited, of PAGER_FORK_TOLD objects at most. So the child need not ask, and
 * need not wait: it takes these, maps, says FORK_CHILD and ATTACH, and reads both answers when it
 * next asks for something. What was not told it asks for with MAP between the two.
 * -ETIMEDOUT: the barrier has ended before; ATTACH will fail, and touching what it has inherited
 * is SIGBUS. */
struct pager_req_fork_child {
	uint64_t reserved; /* 0 */
};
#define PAGER_FORK_TOLD 16
struct pager_rep_fork_child { /* the answer to a request carries no descriptor */
	uint64_t session_id;
	uint64_t page_size;
	uint64_t uffd_features; /* as in HELLO's answer */
	uint32_t regions;       /* that it has inherited */
	uint32_t reserved;
};

enum pager_fork_step {
	PAGER_FORK_END = 1, /* the parent: it has forked, or could not */
	PAGER_FORK_MAP = 2, /* the child, before ATTACH: tells regions */
	/* The child: its descriptors are out of the program's reach from now on, so the end of its
	 * socket is the end of its session. Until then the end of its memory is. */
	PAGER_FORK_SETTLED = 3,
	/* A client without threads of its connection's: its descriptors are within the program's
	 * reach, as a forked child's are. The end of its memory is the end of its session. */
	PAGER_FORK_LIGHT = 4,
};
struct pager_req_fork_step {
	uint64_t cursor; /* MAP: 0 at first, then the reply's; else 0 */
	uint32_t step;   /* enum pager_fork_step */
	uint32_t reserved;
};
struct pager_wire_fork_region {
	uint64_t address, size, object_offset;
	uint32_t protection;
	uint32_t is_private; /* 1: the memfd can only be read, and is mapped MAP_PRIVATE */
};
#define PAGER_FORK_REGIONS_PER_REPLY 128
/* MAP: regions that follow one another and are of one object, whose memfd it carries; -ENOENT:
 * there is none from the cursor on. Other steps: all 0. */
struct pager_rep_fork_step {
	uint64_t next_cursor; /* 0: that was all */
	uint32_t count, reserved;
	struct pager_wire_fork_region
	    regions[PAGER_FORK_REGIONS_PER_REPLY]; /* only `count` of them are sent */
};

/* A settled child: the first large region from the cursor on that it has inherited as a copy is to
 * be seen where it was copied from, as SHARE_READS says. The answer is about [address, +size), and
 * the next cursor is its end. No thread touches inherited memory meanwhile. Errors: -ENOENT: there
 * is none; -ENOMEM. */
struct pager_req_fork_share {
	uint64_t cursor;
};
#define PAGER_FORK_SHARE_BYTES (1u << 20) /* that a region has at least */
struct pager_rep_fork_share {
	uint64_t address, size, offset;
	uint32_t protection, reserved;
};

_Static_assert(sizeof(struct pager_req_fork_share) == 8, "wire layout");
_Static_assert(sizeof(struct pager_rep_fork_share) == 32, "wire layout");

#endif
