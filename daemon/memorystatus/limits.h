/* SPDX-License-Identifier: MIT
 *
 * Clients over their limit ask for pages of their own to leave; a worker of their lane takes them
 * (pageout/limit.c).
 */
#ifndef LIMITS_H
#define LIMITS_H

#include "atomics.h"

struct daemon;
struct task;

/* The flag that says whether some client of that lane must give pages. Any thread */
atomic_bool *limits_wanted(struct daemon *d, unsigned lane);
/* This client's process is over its limit: its own pages must leave. Any thread, no lock held. */
void limits_want(struct daemon *d, struct task *task);

#endif
