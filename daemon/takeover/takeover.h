/* SPDX-License-Identifier: MIT
 *
 * A worker takes over from one that has died: books, frames and stored pages are made anew from the
 * arenas that the keeper has kept. doc/design.md, "Keeper and worker", has the table of what is
 * found at which death. Runs on: the main thread, before there are others.
 */
#ifndef TAKEOVER_H
#define TAKEOVER_H

#include "daemon.h"

/* A client of the worker before this one, which is to get its session. */
struct successor {
	struct successor *next;
	struct task *task; /* with a reference, not served yet */
	int socket;
};

/* Likewise a named entry, which is not watched yet. */
struct left_name {
	struct left_name *next;
	struct named_entry *entry;
};

/* Tables that were left become this worker's; d->successors are the clients. Without a keeper, or
 * in a first worker, nothing is done. => 0, or -errno with a message for people */
int takeover_begin(struct daemon *d, char *message, size_t message_size);

#endif
