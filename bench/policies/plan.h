/* SPDX-License-Identifier: MIT
 *
 * `pagerbench policies`: page-out policies live against each other, against what pagersim predicts
 * for them, and against Belady's MIN.
 *
 *   policies.c          the plan: what is run, in which order
 *   policies_load.c     the workloads: one thread, a fixed string of touches
 *   policies_daemon.c   pagerd of one's own, told how to page
 *   policies_predict.c  pagersim over the recording
 *   policies_report.c   table, TSV, JSON
 *   policies_plot.c     the two pictures
 */
#ifndef BENCH_PLAN_H
#define BENCH_PLAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "options.h"

#define POLICIES_MAX  24u
#define FRACTIONS_MAX 16u
#define LOADS_MAX     8u

/* What a run, or a prediction, has counted. */
struct policy_counts {
	uint64_t major, soft, written;
	uint64_t deactivations, write_faults; /* live only */
	uint64_t violations, rescues;         /* live only */
};

struct policy_run {
	unsigned load, fraction, policy, block,
	    order;  /* indices into the plan; order: within the block */
	bool again; /* the default's second run in the block: A/A */
	struct policy_counts counts;
	double seconds; /* of the touches behind the fill */
	double steal;   /* of the machine's processor time, percent */
};

struct policies {
	const struct options *options;
	char *names[POLICIES_MAX]; /* the first one is the default that the others are compared with
				    */
	unsigned name_count;
	unsigned fractions[FRACTIONS_MAX]; /* percent of the working set */
	unsigned fraction_count;
	unsigned loads[LOADS_MAX]; /* load_name */
	unsigned load_count;
	uint64_t pages, touches, seed;
	unsigned repeat, window, write_percent;
	struct policy_run *runs;
	unsigned run_count;
	/* [load][fraction][policy]; MIN and FIFO stand behind the policies. */
	struct policy_counts predicted[LOADS_MAX][FRACTIONS_MAX][POLICIES_MAX + 2];
	uint64_t references[LOADS_MAX], dropped[LOADS_MAX];
};

static inline uint32_t
policies_frames(const struct policies *p, unsigned fraction)
{
	uint64_t frames = p->pages * p->fractions[fraction] / 100;

	return frames ? (uint32_t)frames : 1;
}
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

/* --- policies_load.c --- */
struct load_result {
	int error;
	uint64_t bad_pages;
	double seconds;
};
/* NULL beyond the last. */
const char *load_name(unsigned i);
const char *load_text(unsigned i);
/* A client process. done() is called when the touches have ended and before all pages are verified
 * (which would be counted as well). => 0 or -errno; says what went wrong */
int load_run(const struct policies *p, unsigned load, const char *socket,
    int (*done)(void *context), void *context, struct load_result *ret);

/* --- policies_daemon.c --- */
struct policy_daemon;
int policy_daemon_start(const struct policies *p, struct policy_daemon **ret);
void policy_daemon_stop(struct policy_daemon *pd);
const char *policy_daemon_socket(const struct policy_daemon *pd);
/* frames 0: as many as there are. => 0 or -errno; says what went wrong */
int policy_daemon_set(struct policy_daemon *pd, const char *policy, uint32_t frames);
/* Counts since the start. */
int policy_daemon_counts(struct policy_daemon *pd, struct policy_counts *ret);
int policy_daemon_record(struct policy_daemon *pd, const char *path, unsigned window);
int policy_daemon_record_end(struct policy_daemon *pd);

/* --- policies_predict.c --- */
/* Fills predicted[load] from a recording. => 0 or -errno; says what went wrong */
int policies_predict(struct policies *p, unsigned load, const char *trace);

/* --- policies_report.c --- */
/* Median of what was counted live. */
struct policy_counts policies_live(
    const struct policies *p, unsigned load, unsigned fraction, unsigned policy);
/* (live - predicted) / predicted of major faults. */
double policies_error(const struct policies *p, unsigned load, unsigned fraction, unsigned policy);
void policies_markdown(const struct policies *p, FILE *f);
int policies_tsv(const struct policies *p, const char *path);
void policies_json(const struct policies *p);

/* --- policies_plot.c --- */
int policies_plot(const struct policies *p, const char *path);

#endif
