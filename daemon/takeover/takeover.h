/* SPDX-License-Identifier: MIT
 *
 * A worker takes over from one that has died: books, frames and stored pages are made anew from the
 * arenas that the keeper has kept. doc/design.md, "Keeper and worker", has the table of what is
 * found at which death. Runs on: the main thread, before there are others.
 */
#ifndef TAKEOVER_H
#define TAKEOVER_H

#include "daemon.h"
#include "takeover/successor.h"

/* Tables that were left become this worker's; d->successors are the clients. Without a keeper, or
 * in a first worker, nothing is done. => 0, or -errno with a message for people */
int takeover_begin(struct daemon *d, char *message, size_t message_size);

#endif
