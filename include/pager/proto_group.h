/* SPDX-License-Identifier: MIT
 *
 * Bodies of the messages about groups: programs that were started together (pagerctl run), with
 * what they fork and go on to. proto.h includes this.
 */
#ifndef PAGER_PROTO_GROUP_H
#define PAGER_PROTO_GROUP_H

#include <stdint.h>

#include "pager/pager.h"
#include "pager/proto_ledger.h"

/* The group stays until the process that has made it has ended and no client is in it. */
struct pager_req_group_make {
	uint64_t limit_bytes; /* on the resident memory of each of its processes; 0: none */
	int32_t band;         /* of each of its processes, or PAGER_WIRE_BAND_NONE; one above what a
				 process has that was given none needs CONTROL */
	uint32_t reserved;
	char name[64]; /* NUL-terminated */
};
struct pager_rep_group_make {
	uint64_t id;
	uint64_t key; /* who has it may join */
};

/* The client belongs to the group from now on, and so do its children. A limit or a band that its
 * process has already stays. Errors: -ESRCH: there is no such group (any more); -EALREADY: the
 * client is in one. */
struct pager_req_group_join {
	uint64_t id, key;
};
struct pager_rep_group_join {
	uint64_t reserved;
};

/* Asked by the group's owner or CONTROL. */
struct pager_req_group {
	uint64_t id;
};
struct pager_rep_group {
	uint32_t uid, maker; /* maker: the process that has made it */
	uint32_t now, ever;  /* clients that are in it, and that have been in it */
	int32_t band;        /* or PAGER_WIRE_BAND_NONE */
	uint32_t reserved;
	uint64_t limit_bytes; /* 0: none */
	/* The most that all its clients together had at one moment, bytes. */
	uint64_t footprint_most, resident_most, compressed_most;
	/* Of all its clients together, balances as they are, and for what only grows those
	 * that have ended, too. */
	uint64_t ledger[PAGER_LEDGER_COUNT];
	char name[64];
};

/* Which clients are in groups: of one's own clients, or for CONTROL of all. */
struct pager_wire_group_member {
	uint64_t session_id;
	uint64_t group;
	char name[64]; /* the group's */
};
#define PAGER_GROUP_MEMBERS_PER_REPLY 64
struct pager_req_groups {
	uint64_t cursor; /* 0 at first, then the reply's */
};
struct pager_rep_groups {
	uint64_t next_cursor; /* 0: that was all */
	uint32_t count, reserved;
	struct pager_wire_group_member
	    members[PAGER_GROUP_MEMBERS_PER_REPLY]; /* only `count` of them are sent */
};

/* Profiles of a group's programs: what each comes back to is gathered, and what its last run came
 * back to next is brought in. A profile is of an image, the file that a process runs, and of the
 * group's user. BEGIN: the group's programs have profiles from now on. SHOW, nth 0: what has come
 * of all of them together, with the state and path of that one which came back to most; nth from 1
 * on: of one of them. Errors: -ESRCH: there is no such group; -EOPNOTSUPP: the daemon keeps no
 * profiles; -EALREADY: the group has begun; SHOW: -ENOENT: it has not, or there is no such image.
 */
enum pager_profile_op { PAGER_PROFILE_BEGIN = 1, PAGER_PROFILE_SHOW = 2 };
enum pager_profile_state {
	PAGER_PROFILE_LOADING, /* it is being read */
	PAGER_PROFILE_NEW,     /* there is none: this is the first run */
	PAGER_PROFILE_USED,
	PAGER_PROFILE_ENDED, /* it did not help, and is not used any more in this run */
	PAGER_PROFILE_RESTS, /* it did not help in the last runs, and is not tried for a while */
	PAGER_PROFILE_STATES
};
#define PAGER_PROFILE_PROGRAM 1024
struct pager_req_profile {
	uint64_t group;
	uint32_t op, nth;
};
struct pager_rep_profile {
	uint32_t state, reserved;
	uint64_t gathered; /* pages to which it came back, for the next run */
	uint64_t refills;  /* times that a thread waited for a page to which it came back */
	uint64_t brought, hits, wasted; /* pages brought in; of those: touched, and not in time */
	char program[PAGER_PROFILE_PROGRAM]; /* path of the image; empty: there is none yet */
};

_Static_assert(sizeof(struct pager_req_profile) == 16, "wire layout");
_Static_assert(sizeof(struct pager_req_group_make) == 80, "wire layout");
_Static_assert(sizeof(struct pager_rep_groups) < 16384 - 24, "a reply fits a message");

#endif
