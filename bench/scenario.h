/* SPDX-License-Identifier: MIT
 *
 * The scenarios; what one run of a scenario is asked for, and what it has measured.
 */
#ifndef BENCH_SCENARIO_H
#define BENCH_SCENARIO_H

#include <stdbool.h>
#include <stdint.h>

#include "backend.h"
#include "histogram.h"
#include "pool.h"

#define WORKLOAD_BATCH 64u

enum scenario_kind {
	SCENARIO_FILL,   /* write fresh memory from end to end, again and again */
	SCENARIO_SCAN,   /* read from end to end, again and again */
	SCENARIO_RANDOM, /* uniform */
	SCENARIO_ZIPF,
	SCENARIO_COOLED,  /* all resident, mappings taken away, then each touched once at random */
	SCENARIO_STORED,  /* random, only pages that are out */
	SCENARIO_PAGEOUT, /* all resident, then all paged out at once */
};

enum scenario_flags {
	SCENARIO_SHARED = 1,     /* plain memory must be a shared mapping */
	SCENARIO_NO_CLUSTER = 2, /* say that touches are random */
	SCENARIO_BATCHED = 4,    /* too short to be timed alone: WORKLOAD_BATCH touches at once */
	SCENARIO_TO_DISK = 8,    /* the private daemon is told to leave little in its compressor */
	SCENARIO_ONCE = 16,      /* one round, however long */
};

struct scenario {
	const char *name;
	enum scenario_kind kind;
	unsigned flags;
	double ratio;           /* default: working set / memory */
	double seconds;         /* default */
	unsigned write_percent; /* default */
	const char *text;
};

/* Ends with a row whose name is NULL. */
extern const struct scenario scenarios[];
const struct scenario *scenario_find(const char *name);
/* It measures in rounds, and prepares memory before each. */
bool scenario_has_rounds(const struct scenario *scenario);

struct workload_config {
	const struct scenario *scenario;
	const struct backend_ops *ops;
	const char *socket;
	const struct pool *pool;
	uint64_t units; /* working set, in UNIT_BYTES */
	unsigned threads;
	double seconds;
	uint64_t touches; /* of all threads, 0: as many as fit in the seconds */
	uint64_t seed;
	unsigned write_percent;
	bool pin;        /* thread i on processor i */
	unsigned stride; /* SCENARIO_COOLED touches one unit of so many (a daemon's page); 0: 1 */
	/* Called once when all of the engine's own memory is in place, before the working set is
	 * allocated. May be NULL. => 0 or -errno. */
	int (*gate)(void *context);
	void *gate_context;
	/* Called once when all has been verified and the working set is still there. May be NULL.
	 * => 0 or -errno. */
	int (*verified)(void *context);
	void *verified_context;
};

struct workload_result {
	struct histogram touch; /* ns of a touch, or of WORKLOAD_BATCH of them: see scale */
	double scale;           /* 1, or 1 / WORKLOAD_BATCH */
	uint64_t touches, bad_pages;
	double fill_per_page_ns; /* of the preparation */
	double per_page_ns;      /* thread time per touch, without making the content */
	double generate_ns;      /* of making a page's content, calibrated on plain memory */
	double wall_s, cpu_client_s, cpu_daemon_s;
	uint64_t bytes_written; /* daemon: to any file; plain: to swap, by the whole system */
	uint64_t daemon_private_bytes;
	struct fault_counts counts; /* during the measured part */
};

#endif
