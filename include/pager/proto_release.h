/* SPDX-License-Identifier: MIT
 *
 * Bodies of the messages about letting go: RELEASE, RELEASE_STEP. A part of pager/proto.h.
 */
#ifndef PAGER_PROTO_RELEASE_H
#define PAGER_PROTO_RELEASE_H

#include <stdint.h>

/* How far a client is. It is gone from the daemon's books when it has been let go of. */
enum pager_wire_release_state {
	PAGER_WIRE_RELEASE_NONE,
	PAGER_WIRE_RELEASE_ASKED,   /* its agent has been sent word */
	PAGER_WIRE_RELEASE_RUNS,    /* its memory is on its way to it */
	PAGER_WIRE_RELEASE_REFUSED, /* nothing has changed */
};
/* Why a client is not let go of. */
enum release_why {
#define RELEASE_WHY(number, NAME, text) RELEASE_WHY_##NAME = (number),
#include "tbl/release_why.h"
};
/* The same in words, with what can be done about it. */
static inline const char *
release_why_text(uint32_t why)
{
	static const char *const texts[] = {
#define RELEASE_WHY(number, NAME, text) [number] = text,
#include "tbl/release_why.h"
	};

	return why < sizeof(texts) / sizeof(texts[0]) ? texts[why] : "pagerd is newer";
}
/* Why, where, and the sizes, in bytes. */
struct pager_wire_release_refusal {
	uint32_t why;       /* enum release_why */
	int32_t error;      /* -errno of the client's own; 0: none */
	uint64_t address;   /* of what stands in the way; 0: no particular place */
	uint64_t away;      /* what is not in memory, and has to come */
	uint64_t available; /* what there is for that */
};

enum pager_wire_release_what {
	PAGER_WIRE_RELEASE_ASK,
	PAGER_WIRE_RELEASE_LOOK,
	PAGER_WIRE_RELEASE_TAKE_BACK, /* what has not begun is not to begin */
};
struct pager_req_release {
	uint32_t pid;
	uint32_t what; /* enum pager_wire_release_what */
	uint64_t session;
};
struct pager_rep_release {
	uint32_t clients; /* that there are yet */
	uint32_t state; /* enum pager_wire_release_state: REFUSED if one of them is, ASKED if one of
			   them has not begun, else RUNS, else NONE */
	uint64_t resident, away;                   /* bytes that they have yet */
	uint64_t session;                          /* that is refused; 0: none */
	struct pager_wire_release_refusal refusal; /* of that one */
};

enum pager_wire_step {
	PAGER_WIRE_STEP_BEGIN,  /* from here on the client makes no request that adds memory */
	PAGER_WIRE_STEP_PINS,   /* which pages of a list are pinned; no mapping has them any more */
	PAGER_WIRE_STEP_CANCEL, /* it could not be prepared: `error`; all is as before */
	PAGER_WIRE_STEP_END,    /* -EBUSY: there is memory yet */
};
struct pager_req_release_step {
	uint32_t what; /* enum pager_wire_step */
	int32_t error; /* CANCEL: -errno */
	uint64_t list; /* PINS */
};
struct pager_rep_release_step {
	uint64_t pinned;                           /* PINS: pages */
	struct pager_wire_release_refusal refusal; /* BEGIN */
};

_Static_assert(sizeof(struct pager_wire_release_refusal) == 32, "wire layout");
_Static_assert(sizeof(struct pager_req_release) == 16, "wire layout");
_Static_assert(sizeof(struct pager_rep_release) == 64, "wire layout");
_Static_assert(sizeof(struct pager_req_release_step) == 16, "wire layout");
_Static_assert(sizeof(struct pager_rep_release_step) == 40, "wire layout");

#endif
