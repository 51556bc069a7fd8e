/* SPDX-License-Identifier: MIT
 *
 * Clients over their limit ask for pages of their own to leave; a worker of their lane takes them
 * (pageout/limit.c).
 */
#ifndef LIMITS_H
#define LIMITS_H

#include "atomics.h"
#include "core/watch.h"

struct daemon;
struct task;
struct vm_object;

/* With less the client would never go on: one instruction may touch several pages. */
#define LIMIT_PAGES_LEAST 16u

struct limits {
	atomic_bool wanted[1 + SIDE_LANES]; /* (A) by lane: some client of it must give pages */
};

/* This client's process is over its limit: its own pages must leave. Any thread, no lock held. */
void limits_want(struct daemon *d, struct task *task);
/* Another client has brought in pages of a shared object, or of what its memory was copied from, or
 * has made pages of a copy. If its owner is over its limit with them, some of the owner's must
 * leave, and over a fatal limit on its footprint it is ended; the other client waits for its own
 * limits only. No lock held */
void limits_want_of_owner(struct vm_object *o);

#endif
