/* SPDX-License-Identifier: MIT
 *
 * The workloads. One thread and no clock in the loop: the same seed gives the same string of
 * touches in every run, so a recording of one run predicts the others.
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "plan.h"

struct load_result {
	int error;
	uint64_t bad_pages;
	double seconds; /* of the touches after the fill */
};

/* => NULL after the last. */
const char *load_name(unsigned i);
const char *load_text(unsigned i);
/* Runs a workload in a client process. done() is called after the last touch and before all pages
 * are verified, because verifying causes faults, too. => 0 or -errno; prints what went wrong. */
int load_run(const struct policies *p, unsigned load, const char *socket,
    int (*done)(void *context), void *context, struct load_result *ret);

#endif
