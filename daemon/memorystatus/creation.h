/* SPDX-License-Identifier: MIT
 *
 * Clients that make pages fast: pages that had no content before. While frames are short such a
 * client's first touches wait behind the faults of all others, so that one client that allocates
 * without end does not make the rest wait for frames. XNU puts such threads to sleep;
 * here they wait for what others do not need, and no longer. Likewise the client that has more than
 * a quarter of all stored pages when space runs out. Pure: numbers in, a decision out;
 * creation_must_wait looks at the daemon.
 */
#ifndef CREATION_H
#define CREATION_H

#include <stdbool.h>
#include <stdint.h>

#include "vm/books.h"

struct daemon;

/* XNU's numbers. */
#define CREATION_WINDOW_NS  6000000000ull
#define CREATION_FORGIVE_NS 18000000000ull

/* A part of all stored pages: a client that has more hoards them, where space is short. */
#define CREATION_HOARD_PART 4u

/* made: pages so far; most: a second, 0: no client is fast; hoards: it has a large part of what is
 * stored, and space is short. A client is fast as soon as it has made what it may in a window, and
 * until it was not for CREATION_FORGIVE_NS; and while it hoards. => whether it is fast */
bool creation_look(
    struct task_creation *c, uint64_t made, uint64_t most, bool hoards, uint64_t now_ns);
/* Whether the task's first touches wait now: it is fast, frames are short and others, who are not,
 * wait for one. Any thread */
bool creation_must_wait(const struct daemon *d, const struct task *task);

#endif
