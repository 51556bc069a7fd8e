/* SPDX-License-Identifier: MIT
 *
 * The touching side of `pagerbench takeover`: threads that read and write pages at random, know
 * what each must have in it, and how long each touch has taken.
 */
#ifndef BENCH_TAKEOVER_TOUCH_H
#define BENCH_TAKEOVER_TOUCH_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "rng.h"

#define TOUCHERS_MOST 64u

struct touchers;

struct toucher {
	struct touchers *all;
	pthread_t thread;
	unsigned index;
	struct rng rng;
	_Atomic uint64_t touches;
	/* Since the last kill: the longest part of a touch that lies behind it. */
	_Atomic uint64_t longest_ns;
};

struct touchers {
	unsigned char *base;
	uint64_t units;       /* unit i is thread i % count's alone */
	uint32_t *generation; /* [units] */
	uint64_t seed;
	unsigned count;
	atomic_bool stop;
	_Atomic uint64_t killed_ns; /* clock: the last kill; 0: none yet */
	_Atomic uint64_t bad, poisoned;
	struct toucher threads[TOUCHERS_MOST];
};

/* Writes all units and starts the threads. t is zero but for base, units, seed and count. => 0 or
 * -errno */
int touchers_start(struct touchers *t);
/* How often each has touched until now, and whether all have done so that often again since. */
void touchers_look(const struct touchers *t, uint64_t before[TOUCHERS_MOST]);
bool touchers_went_on(const struct touchers *t, const uint64_t before[TOUCHERS_MOST], uint64_t by);
/* A kill is about to come: from here on a wait counts. */
void touchers_kill_comes(struct touchers *t);
/* => the longest wait of a touch since then, from the kill at the earliest */
uint64_t touchers_longest_ns(struct touchers *t);
/* Ends them, and checks each unit once more; then `bad` and `poisoned` are final. */
void touchers_stop(struct touchers *t);

#endif
