/* SPDX-License-Identifier: MIT */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Monotonic nanoseconds. Any thread. */
uint64_t clock_now_ns(void);
/* The same in seconds, for rates. */
static inline double
clock_seconds(void)
{
	return (double)clock_now_ns() / 1e9;
}
/* Replaces the clock, for tests; NULL restores the machine's. Not thread-safe. */
void clock_inject(uint64_t (*now_ns)(void));

#endif
