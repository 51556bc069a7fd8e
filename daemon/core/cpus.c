/* SPDX-License-Identifier: MIT
 *
 * The daemon's CPUs. Runs on: found at start; any thread asks.
 */
#include "core/cpus.h"

#include <unistd.h>

#include "check.h"

void
cpus_find(struct cpus *cpus)
{
	cpu_set_t set;

	/* Refused on a machine with more CPUs than the set has room for. */
	if (sched_getaffinity(0, sizeof(set), &set) != 0 || CPU_COUNT(&set) == 0) {
		long online = sysconf(_SC_NPROCESSORS_ONLN);

		CPU_ZERO(&set);
		for (int cpu = 0; cpu < CPU_SETSIZE && (cpu == 0 || cpu < online); cpu++)
			CPU_SET(cpu, &set);
	}
	cpus->count = 0;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set))
			cpus->numbers[cpus->count++] = (uint16_t)cpu;
	CHECK(cpus->count > 0);
}

unsigned
cpus_place(const struct cpus *cpus, unsigned number)
{
	/* Without a mask a CPU's place is its number. */
	if (number < cpus->count && cpus->numbers[number] == number)
		return number;
	for (unsigned place = 0; place < cpus->count; place++)
		if (cpus->numbers[place] == number)
			return place;
	return number % cpus->count;
}

uint64_t
cpus_mask(const struct cpus *cpus, uint64_t places)
{
	uint64_t mask = 0;

	for (unsigned place = 0; place < cpus->count && place < 64; place++)
		if (places >> place & 1 && cpus->numbers[place] < 64)
			mask |= 1ull << cpus->numbers[place];
	return mask;
}
