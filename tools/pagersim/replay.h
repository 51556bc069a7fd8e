/* SPDX-License-Identifier: MIT
 *
 * What `pagersim replay` is asked for and what it has found: shared by the command, the runner and
 * the reports.
 */
#ifndef PAGERSIM_REPLAY_H
#define PAGERSIM_REPLAY_H

#include <stdio.h>

#include "sim.h"

/* One --policy entry. */
struct replay_policy {
	const struct pol_ops *ops;
	char *label;        /* name or name:params, as given but for what cannot be shown */
	const char *params; /* inside label, or NULL */
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
	uint32_t window; /* pages, or percent of the frames */
	bool window_percent;
	bool check, one_pass, baseline;
	uint64_t seed;
	unsigned jobs;
	struct replay_policy *policies;
	unsigned npolicies; /* shown; behind them up to two more for the baseline */
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

/* Derived figures; NAN where there is none. */
double replay_x_min(const struct replay *r, unsigned policy, unsigned size);
double replay_gap(const struct replay *r, unsigned policy, unsigned size);

void report_table(const struct replay *r, FILE *out);
void report_tsv(const struct replay *r, FILE *out);
int report_json(const struct replay *r, FILE *out);
/* => 0 or a negative errno, message printed. */
int report_plot(const struct replay *r, const char *path);

#endif
