/* SPDX-License-Identifier: MIT
 *
 * Bodies of messages about an upgrade; a part of pager/proto.h.
 */
#ifndef PAGER_PROTO_UPGRADE_H
#define PAGER_PROTO_UPGRADE_H

#include <stdint.h>

/* Asks the program that comes along whether it can take over. Nothing is changed by that. */
struct pager_req_upgrade {
	uint32_t deadline_ms; /* within which it is to serve, once it is told to */
	uint32_t reserved;    /* 0 */
};
struct pager_rep_upgrade {
	uint64_t number; /* for UPGRADE_GO; 0: it cannot, and text says why, and what helps */
	char text[1000]; /* NUL-terminated */
};

/* The worker ends, and that program takes over; or only tells what has become of the last one. */
struct pager_req_upgrade_go {
	uint64_t
	    number; /* of UPGRADE; 0: only tells. -ESTALE: another program has been asked since */
};
struct pager_rep_upgrade_go {
	uint32_t upgrades; /* begun so far, without this one */
	int32_t error;     /* of the last of them: 0, or why its program did not serve */
	char text[160];    /* likewise, for people; "": it serves */
	char version[24];  /* of this program */
};

#endif
