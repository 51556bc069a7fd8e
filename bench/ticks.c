/* SPDX-License-Identifier: MIT */
#include "ticks.h"

#include <stdio.h>
#include <string.h>

#include "clock.h"

#define CALIBRATE_NS 20000000u

bool ticks_use_tsc;
uint64_t ticks_ns_mult = (uint64_t)1 << 32;

static bool
tsc_is_constant(void)
{
#if defined(__x86_64__)
	char line[4096];
	bool constant = false;
	FILE *f = fopen("/proc/cpuinfo", "re");

	if (!f)
		return false;
	while (!constant && fgets(line, sizeof(line), f))
		if (strncmp(line, "flags", 5) == 0) {
			constant = strstr(line, " constant_tsc") && strstr(line, " rdtscp");
			break;
		}
	fclose(f);
	return constant;
#else
	return false;
#endif
}

void
ticks_init(void)
{
	uint64_t ns0, ns1, t0, t1;

	if (!tsc_is_constant())
		return;
	ticks_use_tsc = true;
	ns0 = clock_now_ns();
	t0 = ticks_now();
	do {
		ns1 = clock_now_ns();
		t1 = ticks_now();
	} while (ns1 - ns0 < CALIBRATE_NS);
	ticks_ns_mult = (uint64_t)(((unsigned __int128)(ns1 - ns0) << 32) / (t1 - t0));
}

uint64_t
ticks_overhead_ns(void)
{
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < 2000; i++) {
		uint64_t t0 = ticks_now();
		uint64_t t1 = ticks_now();

		if (t1 - t0 < least)
			least = t1 - t0;
	}
	return ticks_to_ns(least);
}
