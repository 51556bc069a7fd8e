/* SPDX-License-Identifier: MIT */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

/* Monotonic nanoseconds. Any thread. */
uint64_t clock_now_ns(void);
/* Replaces the clock, for tests; NULL restores the machine's. Not thread-safe. */
void clock_inject(uint64_t (*now_ns)(void));

#endif
