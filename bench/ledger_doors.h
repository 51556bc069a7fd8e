/* SPDX-License-Identifier: MIT
 *
 * The doors of `pagerbench ledger`: every way by which pages come onto a bill and leave it, each
 * with what it must make of the footprints.
 */
#ifndef BENCH_LEDGER_DOORS_H
#define BENCH_LEDGER_DOORS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "pager/pager.h"
#include "pager/port.h"

/* Pages of most steps. */
#define DOOR_PAGES 64u

/* The clients: the one that runs the steps, one beside it, and a forked child. */
enum client { CLIENT_MAIN, CLIENT_OTHER, CLIENT_CHILD, CLIENTS };

struct doors {
	struct pager *pager;
	uint64_t page_bytes;
	const char *directory; /* for a file */
	struct pager_port *port;
	int other, child;    /* sockets to the other client and to the child; -1: none */
	pid_t pids[CLIENTS]; /* 0: there is none */
	/* Memory that one step leaves for the next one. */
	unsigned char *touched, *wired, *source, *copy, *inherited, *sent, *shared, *file, *device;
	/* Pages by which each footprint must grow in this step. */
	int64_t expected[CLIENTS];
};

struct door {
	const char *name, *text;
	bool (*run)(struct doors *d);
};
extern const struct door doors[];
extern const unsigned door_count;

/* Starts the other client, which creates the port; before the caller has a connection. => false:
 * errno says why */
bool doors_other_start(struct doors *d, const char *socket);
/* Ends those that are left. */
void doors_end(struct doors *d);

#endif
