/* SPDX-License-Identifier: MIT */
#include "clock.h"

#include <stddef.h>
#include <time.h>

static uint64_t (*injected)(void);

uint64_t
clock_now_ns(void)
{
	struct timespec now;

	if (injected)
		return injected();
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void
clock_inject(uint64_t (*now_ns)(void))
{
	injected = now_ns;
}
