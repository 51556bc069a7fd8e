/* SPDX-License-Identifier: MIT
 *
 * A replay: the policies and sizes that the user asked for, and the results. The command, the
 * runner and the reports share it.
 */
#ifndef PAGERSIM_REPLAY_H
#define PAGERSIM_REPLAY_H

#include "sim.h"

/* One --policy entry. */
struct replay_policy {
	const struct pol_ops *ops;
	char *label;        /* the user's text, made fit to be shown */
	char *text;         /* name or name:params */
	const char *params; /* inside text; NULL: none */
};

struct replay_cell {
	struct sim_result result;
	int error;
	bool done;
};

struct replay {
	const char *path;
	char *title; /* the path as it is shown: UTF-8 without control characters */
	struct trace *trace;
	enum sim_model model;
	uint32_t window; /* of mapped pages: pages, or percent of the frames */
	bool window_percent;
	bool check, one_pass, baseline;
	uint64_t seed;
	unsigned jobs;
	struct replay_policy *policies;
	unsigned npolicies; /* in the reports; after them come up to two more, for the baseline */
	unsigned nall;
	int min, fifo; /* indices of the baseline, -1: none */
	uint32_t *frames;
	unsigned nframes;
	struct replay_cell *cells; /* nall rows of nframes */
};

static inline struct replay_cell *
replay_cell(const struct replay *r, unsigned policy, unsigned size)
{
	return &r->cells[policy * r->nframes + size];
}

uint32_t replay_window(const struct replay *r, uint32_t frames);

/* Runs everything in r->jobs threads, with progress. => 0 or a negative errno, message printed. */
int replay_run(struct replay *r);

/* Derived figures; NAN where they are undefined. */
double replay_x_min(const struct replay *r, unsigned policy, unsigned size);
double replay_gap(const struct replay *r, unsigned policy, unsigned size);

#endif
