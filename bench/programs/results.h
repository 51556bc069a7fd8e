/* SPDX-License-Identifier: MIT
 *
 * What `pagerbench programs` has measured.
 */
#ifndef BENCH_PROGRAMS_RESULTS_H
#define BENCH_PROGRAMS_RESULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"
#include "peak.h"
#include "spread.h"
#include "table.h"

#define LEVELS_MAX     8
#define PROGRAMS_MAX   16
#define PLAIN_RUNS     3    /* of which the first is looked at, and not timed */
#define SLOW_TIMES     10   /* plain: then a run is ended */
#define TOTAL_WITHIN   0.03 /* the kernel's total memory, of what it is to have */
#define LEVEL_ENOUGH   100  /* percent: the program runs beside plain, too */
#define LONG_RUN_S     5.0
#define COVERAGE_LEAST 0.95

enum side_end {
	SIDE_NONE,    /* not run */
	SIDE_ENDED,   /* by itself */
	SIDE_SLOW,    /* ended after SLOW_TIMES plain */
	SIDE_KILLED,  /* by the OOM killer, each time */
	SIDE_UNFOUND, /* no limit gave it its total */
	SIDE_BROKEN,  /* printed on standard error */
};

struct cell {
	unsigned level;        /* memory, percent of the program's own peak */
	uint64_t memory_bytes; /* pagerd's */
	unsigned pairs;
	/* [options.pairs], 0: there is none. plain_s: in the same rounds, where memory is enough */
	double *pagerd_s, *peer_s, *plain_s;
	enum side_end pagerd, peer;
	/* The kernel's total is its limit and the greatest size of the zram pool. */
	uint64_t total_wanted_bytes, limit_bytes, total_bytes;
	unsigned kills, searched; /* of the kernel's runs: killed; ended, with another total */
	double cpu_program_s, cpu_daemon_s; /* of pagerd's last run */
	bool differs;                       /* an output of pagerd's runs did */
	bool peer_differs;
	unsigned check_failures;
};

struct program_result {
	const struct program *program;
	const char *skipped; /* why; NULL */
	struct peak plain, managed;
	uint64_t output_bytes;
	double plain_s; /* median of the timed runs */
	struct cell cells[LEVELS_MAX];
	unsigned cell_count;
};

struct results {
	struct program_result programs[PROGRAMS_MAX];
	unsigned count;
	double run_adds_s; /* to /bin/true, with a daemon that runs; median */
	unsigned run_pairs;
};

/* Of one level. */
struct level_summary {
	unsigned level;
	unsigned cells;                            /* of which there is a ratio to the peer */
	unsigned plain_cells, slow, kills, killed; /* killed: cells without any ratio by that */
	double peer_mean, peer_worst;              /* geometric mean, greatest */
	double plain_mean, plain_worst;            /* pagerd / plain */
	double long_worst; /* of runs of LONG_RUN_S and more; 0: there is none */
};

/* pagerd / peer, pair by pair. */
struct spread cell_ratio(const struct cell *c, unsigned *ret_count);
/* pagerd / plain: in the same rounds, or else over the program's plain time. */
struct spread cell_plain_ratio(const struct program_result *p, const struct cell *c);
void level_summarize(const struct results *r, unsigned level, struct level_summary *ret);

/* A figure with what it must be. */
struct goal {
	char text[96];
	double value, limit;
	bool at_least; /* else at most */
	bool is_met;
};
#define GOALS_MAX 24
/* Those of which something has been measured. => their number */
unsigned goals_judge(const struct results *r, const struct options *o, struct goal *ret);
/* Whether an output differed, a run under pagerd broke, or an invariant did not hold. */
bool results_failed(const struct results *r);

/* --- programs_report.c, programs_plot.c --- */
void program_print(const struct program_result *p, const struct options *o);
void programs_report(const struct results *r, const struct options *o);
/* Prints what went wrong. => 0 or -errno */
int programs_plot(const struct results *r, const char *path);

#endif
