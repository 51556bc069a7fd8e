/* SPDX-License-Identifier: MIT
 *
 * A program in a memory cgroup with zram, on a given total: the limit and the greatest size of the
 * zram pool together. Only after a run one knows how large the pool has been, so the limit is
 * searched.
 */
#ifndef BENCH_PROGRAMS_KERNEL_H
#define BENCH_PROGRAMS_KERNEL_H

#include "one.h"
#include "peer.h"
#include "results.h"

struct kernel_search {
	uint64_t limit_bytes;  /* for the next run */
	uint64_t killed_bytes; /* the greatest limit of a killed run; 0: none */
};

/* needs_bytes: what the program needs so that nothing leaves memory. */
void kernel_search_begin(struct kernel_search *s, const struct cell *c, uint64_t needs_bytes);
/* Runs the program until a run has had the total that the cell wants; counts in the cell the runs
 * that were killed, and those that were for the search only. => 0, with how it ended in ret_end;
 * -EINTR; or another -errno */
int kernel_run(struct kernel_search *s, struct peer *peer, const struct one_request *request,
    struct cell *c, enum side_end *ret_end, struct one_result *ret);

/* For tests: the next limit after a run with `limit_bytes` that ended and had total_bytes. */
void kernel_search_ended(struct kernel_search *s, uint64_t wanted_bytes, uint64_t total_bytes);
/* ... that was killed. */
void kernel_search_killed(struct kernel_search *s, uint64_t wanted_bytes);

#endif
