/* SPDX-License-Identifier: MIT
 *
 * What a major fault costs, in soft faults: measured from counters and told to the policies that
 * take it (page_policy_tune).
 */
#ifndef COST_H
#define COST_H

#include <stdbool.h>
#include <stdint.h>

struct daemon;

/* What faults have taken so far. */
struct fault_times {
	uint64_t soft, soft_ns;      /* soft faults, and the time in them */
	uint64_t refills, refill_ns; /* faults on stored pages, and the time in them */
	uint64_t pages;              /* pages that those brought in */
};

/* Letters on fields: daemon.h. */
struct fault_cost {
	uint32_t measured;        /* (L) of a major fault, in soft ones; 0: not measured yet */
	struct fault_times since; /* (L) where the next measurement begins */
};

/* The cost from differences of counters. measured: the last one, or 0. => whether it clearly
 * differs from that; pure */
bool cost_measure(const struct fault_times *times, uint32_t measured, uint32_t *ret_cost);
/* Measures and tells the policies. Runs on: the control loop, every few seconds, no lock held */
void cost_refresh(struct daemon *d);

#endif
