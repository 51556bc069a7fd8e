/* SPDX-License-Identifier: MIT
 *
 * Limits on entries of a ledger, of which the client is told: at a percentage of its own choice,
 * and when it has more. They are XNU's: a limit with a warning level, whose callback is rearmed
 * when it is set anew or when the entry has fallen below, and with a refill for entries that only
 * grow: each period lets the client add as much as the limit again. Nothing is refused.
 *
 * Written by the control loop; looked at by the memorystatus thread, which is not in the client's
 * way. What crosses a limit and comes back between two looks is not told.
 */
#ifndef LEDGER_LIMIT_H
#define LEDGER_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#include "atomics.h"

struct ledger_limit {
	atomic_ullong most; /* (A) in what the entry counts: pages, bytes, numbers, ns. 0: none */
	atomic_uint warn;   /* (A) percent of it at which the client is told; 0: not */
	atomic_ullong refill_ns; /* (A) 0: never */
	atomic_uint turn;        /* (A) times that it was set: the thread begins anew */
	atomic_ullong
	    refilled; /* (A) of what has been added; does not count. Written by the thread */
	/* The thread's: */
	unsigned seen;     /* turn, when it last looked */
	unsigned told;     /* percent of which the client was told last */
	uint64_t since_ns; /* when it was refilled last */
};

/* What a limit is to be. */
struct ledger_limit_wish {
	uint64_t most;
	unsigned warn;
	uint64_t refill_ns;
};
/* => what it was. Runs on: the control loop */
uint64_t ledger_limit_set(struct ledger_limit *l, const struct ledger_limit_wish *wish);
/* What the entry has, as it counts against the limit. Any thread */
uint64_t ledger_limit_against(const struct ledger_limit *l, uint64_t balance);
/* => percent of which the client is to be told now: the warning level, or 100: it has more; 0:
 * there is nothing new. Runs on: one thread */
unsigned ledger_limit_look(struct ledger_limit *l, uint64_t balance, uint64_t now_ns);

#endif
