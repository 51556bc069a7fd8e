/* SPDX-License-Identifier: MIT
 *
 * Shared by workload.c (order of things) and workload_touch.c (the loops that touch).
 */
#ifndef BENCH_WORKLOAD_TOUCH_H
#define BENCH_WORKLOAD_TOUCH_H

#include <pthread.h>
#include <stdatomic.h>

#include "rng.h"
#include "scenario.h"

#define GENERATION_BAD 0x80000000u /* flag in workload.generation: found wrong once */

struct workload {
	const struct workload_config *config;
	void *backend;
	bool backend_open;
	char *base;
	uint64_t object;              /* what page heads carry; new with each allocation */
	_Atomic uint32_t *generation; /* what each page must carry. Written by the one thread that
					 writes the page */
	struct zipf zipf;
	uint64_t fill_first, fill_units; /* what workload_fill fills */
	uint64_t generate_ticks;
	atomic_uint complaints;
	struct worker *workers; /* [config->threads] */
	struct workload_result *result;
};

struct worker {
	struct workload *workload;
	unsigned id;
	pthread_t thread;
	pthread_barrier_t *barrier;
	void (*run)(struct worker *);
	struct rng rng;
	uint64_t position; /* of a scan or a permutation */
	uint64_t round;
	uint64_t deadline_ticks, touches_left; /* the first to be reached ends a phase */
	uint64_t touches, start_ticks, end_ticks;
	struct histogram *touch; /* NULL: do not record */
};

/* Each is the body of a phase, run by every thread at once. */
void workload_fill(struct worker *w);
void workload_touch(struct worker *w);
void workload_touch_batched(struct worker *w);
void workload_touch_stored(struct worker *w);
void workload_touch_cooled(struct worker *w);
void workload_verify(struct worker *w);

#endif
