/* SPDX-License-Identifier: MIT
 *
 * What a keeper keeps for the workers that follow one another, and what a worker is told.
 */
#ifndef KEEPER_KEPT_H
#define KEEPER_KEPT_H

#include <stdint.h>

/* What a descriptor is of; with a number it is a name. */
enum kept_kind {
	KEPT_LISTENER,   /* 0; likewise all that the daemon has one of */
	KEPT_STATISTICS, /* 0 */
	KEPT_FRAMES,     /* 0 */
	KEPT_SLOTS,      /* 0 */
	KEPT_OBJECTS,    /* 0: the rows of objects */
	KEPT_TABLES,     /* 0: the compressor's */
	KEPT_SEGMENTS,   /* 0: likewise */
	KEPT_SWAP,       /* swap's: its own kind and number in one (swapspace.c) */
	KEPT_OBJECT,     /* an object's number: its memfd */
	KEPT_SOCKET,     /* a session's number, here and below */
	KEPT_USERFAULTFD,
	KEPT_AGENT,
	KEPT_PROCESS,
	KEPT_RECORD,
	KEPT_NAME,   /* what a named entry is, in one number (vm/kept_name.h): the daemon's end */
	KEPT_COUNTS, /* 0: the manager's own (manager.c) */
	KEPT_PARAMS, /* 0: parameters that were changed */
	KEPT_PROCESSES,   /* 0: rows of processes that have limits or bands */
	KEPT_AGENTS_END,  /* a session's number: the client's end of its agent, until it has it */
	KEPT_LIMITED,     /* such a row's number: the process */
	KEPT_GROUPS,      /* 0: rows of groups */
	KEPT_POLICY,      /* 0: which policy was chosen */
	KEPT_GROUP_MAKER, /* such a row's number: the process that has made it */
	KEPT_KIND_COUNT
};

/* Another number with each change of keeper_message, keeper_table, or what either side expects.
 * What kinds there are is compared by itself. */
#define KEEPER_PROTOCOL 1u

struct kept {
	uint32_t kind; /* enum kept_kind */
	int fd;
	uint64_t id;
};

#define KEEPER_TEXT 160u

/* A worker's end of the keeper. */
struct keeper_link {
	int channel;        /* -1: there is no keeper, or it has gone */
	int store;          /* of a service manager that is the keeper; -1: it is not */
	struct kept *found; /* what the worker before has left: this process's descriptors */
	unsigned count;     /* of these */
	uint64_t takeovers; /* workers that came before it and died */
	uint64_t
	    waited_ns;    /* from the deaths of all of those but the last until others were ready */
	uint64_t died_ns; /* clock: when the last of them died; 0: it is the first */
	uint32_t upgrades;              /* upgrades that were begun so far */
	int32_t upgrade_error;          /* of the last: 0: its program serves; or -errno */
	char upgrade_text[KEEPER_TEXT]; /* why not; "": it does */
};

#endif
