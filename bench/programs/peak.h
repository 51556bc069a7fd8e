/* SPDX-License-Identifier: MIT
 *
 * The memory of a process and its children at their peak, as /proc shows it. It is looked at every
 * few milliseconds, in runs that are not timed.
 */
#ifndef BENCH_PROGRAMS_PEAK_H
#define BENCH_PROGRAMS_PEAK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct peak {
	uint64_t bytes;       /* private anonymous memory, managed or not */
	uint64_t table_bytes; /* of page tables, at any moment */
	/* By smaps, at the moment of the greatest sum of the three. Copies of files' pages are made
	 * by writes to private mappings of them: no anonymous memory, and none that could be
	 * managed. */
	uint64_t managed_bytes, ordinary_bytes, file_copy_bytes;
};

/* Looks at all processes of the group. smaps: also at who has their memory, if it is the most so
 * far; that walks page tables. */
void peak_look(struct peak *p, pid_t group, bool smaps);
/* => the share of private anonymous memory that is managed; 0: nothing has been seen */
double peak_coverage(const struct peak *p);

#endif
