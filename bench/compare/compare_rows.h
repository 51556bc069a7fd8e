/* SPDX-License-Identifier: MIT
 *
 * The table of comparisons: what is run, against what, and what the result must be at most.
 */
#ifndef BENCH_COMPARE_ROWS_H
#define BENCH_COMPARE_ROWS_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>

#include "floors.h"
#include "options.h"

#define FIGURES_COUNT 7
#define TARGETS_MAX   3

enum figure {
	FIGURE_MEAN,
	FIGURE_P50,
	FIGURE_P99,
	FIGURE_P999,
	FIGURE_MAX,
	FIGURE_PER_PAGE,
	FIGURE_CPU
};
extern const char *const figure_names[FIGURES_COUNT];

enum against {
	AGAINST_KERNEL, /* the peer that was asked for */
	AGAINST_PLAIN,  /* plain memory without a limit */
	AGAINST_FLOOR,
};

struct target {
	enum figure figure;
	double at_most; /* 0: no target */
	double or_ns;   /* met as well when pagerd's own figure is at most this */
};

struct row {
	const char *scenario;
	unsigned threads;
	double ratio;
	enum against against;
	bool pin;
	struct target targets[TARGETS_MAX];
};

extern const struct row compare_rows[];
extern const unsigned compare_row_count;

/* One side of one pair. */
struct sample {
	double figure[FIGURES_COUNT]; /* cpu_s: per million touches */
	double touches, bad_pages, check_failures, memory_bytes, pool_ratio, faults, soft_faults,
	    cpu_client_share, swap_out_rate, data_ratio, bytes_written;
	double cpu_seconds;
};

struct row_result {
	struct row row;
	unsigned pairs;
	struct sample *a, *b; /* a: what is compared with; b: pagerd. [pairs] each */
	struct sample *again; /* a once more, when a is another build; else NULL */
	unsigned oom_kills;
	bool failed;       /* could not be finished */
	const char *doubt; /* why the figures mean little, or NULL */
};

void sample_from_json(struct sample *s, json_object *run);
/* Each figure as a multiple of the other's; 0 where the other has none. */
void sample_divide(struct sample *s, const struct sample *by);
/* For a row that compares two builds, where the table's own targets do not count: `limit` (0: none)
 * is the target of each figure that the table has one for, or of what the row is about. */
void row_targets_limit(struct row *row, double limit);
/* Whether target t of the row was met by the median. */
bool row_target_met(const struct row_result *r, const struct target *t, double *ret_ratio);
/* Of both sides, in all pairs. */
double row_bad_pages(const struct row_result *r);
double row_check_failures(const struct row_result *r);
void row_print(const struct row_result *r);
json_object *row_json(
    const struct row_result *r, const struct options *o, const struct floors *floors);
void floors_print(const struct floors *f);

#endif
