/* SPDX-License-Identifier: MIT
 *
 * The CPUs that the daemon may use: those of the affinity mask that it was started with
 * (taskset(1), CPUAffinity= of systemd, a cpuset). There is a fault server and a pageout worker for
 * each of them, and no thread goes to any other. Places count them from 0; numbers are the
 * kernel's.
 */
#ifndef CPUS_H
#define CPUS_H

#include <sched.h>
#include <stdint.h>

struct cpus {
	unsigned count; /* at least 1 */
	uint16_t numbers[CPU_SETSIZE];
};

/* The calling thread's. Runs on: start, before there are other threads */
void cpus_find(struct cpus *cpus);
static inline unsigned
cpus_number(const struct cpus *cpus, unsigned place)
{
	return cpus->numbers[place % cpus->count];
}
/* The place of a CPU; for one that is not ours, any. */
unsigned cpus_place(const struct cpus *cpus, unsigned number);
/* A mask of places as one of numbers. What does not fit into it is left out. */
uint64_t cpus_mask(const struct cpus *cpus, uint64_t places);

#endif
