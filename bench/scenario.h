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
	SCENARIO_STORED,  /* random, only pages that are on disk */
	SCENARIO_PAGEOUT, /* all resident, then all paged out at once */
};

enum scenario_flags {
	SCENARIO_SHARED = 1,     /* plain memory must be a shared mapping */
	SCENARIO_NO_CLUSTER = 2, /* announce random touches: no clustering */
	SCENARIO_BATCHED = 4,    /* too short to be timed alone: WORKLOAD_BATCH touches at once */
	SCENARIO_TO_DISK = 8,    /* the private daemon keeps little in its compressor */
	SCENARIO_ONCE = 16,      /* one round, however long it takes */
	SCENARIO_FILE = 32,      /* the memory is a mapped file, made for the run */
	SCENARIO_SYNC = 64,      /* the measured part ends with an msync of everything */
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

/* The last row has the name NULL. */
extern const struct scenario scenarios[];
const struct scenario *scenario_find(const char *name);
/* Whether it measures in rounds, with memory prepared before each. */
bool scenario_has_rounds(const struct scenario *scenario);

struct workload_config {
	const struct scenario *scenario;
	const struct backend_ops *ops;
	const char *socket;
	const char *directory; /* SCENARIO_FILE: where the file is made */
	const struct pool *pool;
	uint64_t units; /* working set, in UNIT_BYTES */
	unsigned threads;
	double seconds;
	uint64_t touches; /* by all threads together at most; 0: no limit but the seconds */
	uint64_t seed;
	unsigned write_percent;
	bool pin; /* thread i on processor i */
	unsigned
	    stride; /* SCENARIO_COOLED: units in a page of the daemon; one of them is touched */
	/* Called once, after the engine has its own memory and before the working set is allocated.
	 * May be NULL. => 0 or -errno. */
	int (*gate)(void *context);
	void *gate_context;
	/* Called once, after all pages have been verified and before the working set is freed. May
	 * be NULL. => 0 or -errno. */
	int (*verified)(void *context);
	void *verified_context;
};

struct workload_result {
	struct histogram touch; /* ns of one touch, or of WORKLOAD_BATCH touches: see scale */
	double scale;           /* 1, or 1 / WORKLOAD_BATCH */
	uint64_t touches, bad_pages;
	double fill_per_page_ns; /* thread time per page of the preparing fill */
	double per_page_ns;      /* thread time per touch; making the content is not counted */
	double generate_ns;      /* for making a page's content, measured on plain memory */
	double wall_s, cpu_client_s, cpu_daemon_s;
	uint64_t bytes_written; /* daemon: to any file; plain memory: to swap, whole system */
	uint64_t daemon_private_bytes;
	double sync_s; /* SCENARIO_SYNC: of the msync, which is also a part of wall_s */
	uint64_t file_cached_bytes; /* SCENARIO_FILE: of the file in the kernel's page cache, at the
				       end of the measured part */
	struct fault_counts counts; /* of the measured part */
};

#endif
