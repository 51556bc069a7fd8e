/* SPDX-License-Identifier: MIT
 *
 * The table of comparisons: each row is a run, its peer, and the targets of its result.
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
	AGAINST_KERNEL, /* the peer of --peer */
	AGAINST_PLAIN,  /* plain memory without a limit */
	AGAINST_FLOOR,
	AGAINST_MMAP, /* mmap(2) of the file in a memory cgroup without swap */
};

struct target {
	enum figure figure;
	double at_most; /* 0: no target */
	double or_ns;   /* also met if pagerd's own figure is at most this; 0: no */
};

struct row {
	const char *scenario;
	unsigned threads;
	double ratio;
	uint64_t memory_bytes; /* without --memory; 0: the same as most rows */
	enum against against;
	bool pin;
	struct target targets[TARGETS_MAX];
};

extern const struct row compare_rows[];
extern const unsigned compare_row_count;

/* One side of one pair. */
struct sample {
	double figure[FIGURES_COUNT]; /* FIGURE_CPU: per million touches */
	double touches, bad_pages, check_failures, memory_bytes, pool_ratio, faults, soft_faults,
	    cpu_client_share, swap_out_rate, data_ratio, bytes_written, file_cached_bytes;
	double cpu_seconds;
};

struct row_result {
	struct row row;
	unsigned pairs;
	struct sample *a, *b; /* [pairs]; a: the peer, b: pagerd */
	struct sample *again; /* [pairs] if a is another build: its second runs; else NULL */
	unsigned oom_kills;
	bool failed;       /* a run failed, so the row is incomplete */
	const char *doubt; /* why the figures mean little, or NULL */
};

void sample_from_json(struct sample *s, json_object *run);
/* Makes each figure a multiple of the other sample's; 0 where that has none. */
void sample_divide(struct sample *s, const struct sample *by);
/* For a row that compares two builds: replaces the table's targets by `limit` (0: none), for each
 * figure with a target; a row without targets gets one for its first figure. */
void row_targets_limit(struct row *row, double limit);
/* Whether the median of the row meets the target. */
bool row_target_met(const struct row_result *r, const struct target *t, double *ret_ratio);
/* The sums over both sides of all pairs. */
double row_bad_pages(const struct row_result *r);
double row_check_failures(const struct row_result *r);
void row_print(const struct row_result *r);
json_object *row_json(
    const struct row_result *r, const struct options *o, const struct floors *floors);
void floors_print(const struct floors *f);

#endif
