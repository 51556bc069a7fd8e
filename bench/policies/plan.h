/* SPDX-License-Identifier: MIT
 *
 * `pagerbench policies`: page-out policies live against each other, against what pagersim predicts
 * for them, and against Belady's MIN. This header is what the files share: the plan, the runs made
 * by it, and the predictions.
 *
 *   policies.c          makes the plan and runs it
 *   load.c              the workloads: one thread, a fixed string of touches
 *   policy_daemon.c     a private pagerd that is told how to page
 *   predict.c           pagersim over a recording
 *   policies_report.c   tables, TSV, JSON
 *   policies_plot.c     the pictures
 *   bootstrap.c         intervals of medians
 */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

#define POLICIES_MAX  24u
#define FRACTIONS_MAX 16u
#define LOADS_MAX     8u

/* The counts of a run, or of a prediction. */
struct policy_counts {
	uint64_t major, soft, written;
	uint64_t deactivations, write_faults; /* live only */
	uint64_t violations, rescues;         /* live only */
};

struct policy_run {
	unsigned load, fraction, policy; /* indices into the plan */
	unsigned block, order;           /* order: the run's place within its block */
	bool again;                      /* the first policy's second run in the block: A/A */
	struct policy_counts counts;
	double seconds; /* of the touches after the fill */
	double steal;   /* stolen processor time of the machine, percent of all */
};

struct policies {
	const struct options *options;
	char *names[POLICIES_MAX]; /* the others are compared with the first */
	unsigned name_count;
	unsigned fractions[FRACTIONS_MAX]; /* frames, in percent of the working set */
	unsigned fraction_count;
	unsigned loads[LOADS_MAX]; /* indices of load_name */
	unsigned load_count;
	uint64_t pages, touches, seed;
	unsigned repeat, window, write_percent;
	struct policy_run *runs;
	unsigned run_count;
	/* [load][fraction][policy]; MIN and FIFO come after the policies. */
	struct policy_counts predicted[LOADS_MAX][FRACTIONS_MAX][POLICIES_MAX + 2];
	uint64_t references[LOADS_MAX], dropped[LOADS_MAX]; /* in the recordings */
};

static inline uint32_t
policies_frames(const struct policies *p, unsigned fraction)
{
	uint64_t frames = p->pages * p->fractions[fraction] / 100;

	return frames ? (uint32_t)frames : 1;
}

/* The indices of MIN and FIFO in `predicted`. */
static inline unsigned
policies_min(const struct policies *p)
{
	return p->name_count;
}
static inline unsigned
policies_fifo(const struct policies *p)
{
	return p->name_count + 1;
}

#endif
