/* SPDX-License-Identifier: MIT
 *
 * The clock for single touches: the time stamp counter if it is constant, else CLOCK_MONOTONIC.
 * ticks_init is called once, before any thread starts.
 */
#ifndef BENCH_TICKS_H
#define BENCH_TICKS_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

extern bool ticks_use_tsc;
extern uint64_t ticks_ns_mult; /* nanoseconds per tick, 32.32 fixed point */

void ticks_init(void);
/* => the nanoseconds that an empty measurement takes: the least of many. */
uint64_t ticks_overhead_ns(void);

static inline uint64_t
ticks_now(void)
{
	struct timespec now;
#if defined(__x86_64__)
	unsigned cpu;
	uint64_t t;

	if (ticks_use_tsc) {
		/* rdtscp waits for earlier loads; the fence holds back later ones. */
		t = __rdtscp(&cpu);
		_mm_lfence();
		return t;
	}
#endif
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline uint64_t
ticks_to_ns(uint64_t ticks)
{
	return (uint64_t)(((unsigned __int128)ticks * ticks_ns_mult) >> 32);
}

#endif
