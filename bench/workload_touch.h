/* SPDX-License-Identifier: MIT
 *
 * A run while it is under way, and the loops that touch its pages. workload.c decides which loop
 * runs when.
 */
#ifndef BENCH_WORKLOAD_TOUCH_H
#define BENCH_WORKLOAD_TOUCH_H

#include <pthread.h>
#include <stdatomic.h>

#include "rng.h"
#include "scenario.h"

#define GENERATION_BAD 0x80000000u /* flag in workload.generation: the page was once wrong */

struct workload {
	const struct workload_config *config;
	void *backend;
	bool backend_open;
	char *base;
	int file;        /* SCENARIO_FILE: its descriptor; else -1 */
	uint64_t object; /* what the heads of the pages carry; new with each allocation */
	/* What each page must carry. Only the thread that writes the page changes it. */
	_Atomic uint32_t *generation;
	struct zipf zipf;
	uint64_t fill_first, fill_units; /* the range that workload_fill fills */
	uint64_t generate_ticks;         /* of making a page's content */
	atomic_uint complaints;          /* bad pages, of which the first ten are printed */
	struct worker *workers;          /* [config->threads] */
	struct workload_result *result;
};

struct worker {
	struct workload *workload;
	unsigned id;
	pthread_t thread;
	pthread_barrier_t *barrier;
	void (*run)(struct worker *);
	struct rng rng;
	uint64_t position;                     /* of a scan or a permutation */
	uint64_t round;                        /* of workload_touch_cooled */
	uint64_t deadline_ticks, touches_left; /* a phase ends at whichever comes first */
	uint64_t touches, start_ticks, end_ticks;
	struct histogram *touch; /* NULL: do not record */
};

/* The bodies of phases: all threads run the same one at the same time. */
void workload_fill(struct worker *w);
void workload_touch(struct worker *w);
void workload_touch_batched(struct worker *w);
void workload_touch_stored(struct worker *w);
void workload_touch_cooled(struct worker *w);
void workload_verify(struct worker *w);
/* The file, as read(2) gives it. */
void workload_verify_file(struct worker *w);

#endif
