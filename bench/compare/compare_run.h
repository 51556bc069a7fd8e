/* SPDX-License-Identifier: MIT
 *
 * Runs one side of one pair, or both at once: executes this program, or that of the other build, as
 * `pagerbench run ... --json`.
 */
#ifndef BENCH_COMPARE_RUN_H
#define BENCH_COMPARE_RUN_H

#include <json-c/json.h>

#include "builds.h"
#include "compare_rows.h"
#include "journal.h"

enum run_outcome {
	RUN_DONE,
	RUN_OOM,     /* the kernel killed it */
	RUN_FAILED,  /* printed on standard error */
	RUN_STOPPED, /* a signal asked this process to end */
};

struct run_request {
	const struct options *options;
	const struct row *row;
	const struct journal *journal; /* with the cgroup of a run on the kernel; else NULL */
	const struct build *build;     /* NULL: this build, with the daemon that the options name */
	bool plain;                    /* on plain memory, without a daemon */
	bool beside_plain; /* also on plain memory, in slices in turn; that result is "beside" */
	uint64_t memory_bytes;
	const char *directory;
};

/* The caller must put *ret when the outcome is RUN_DONE. */
enum run_outcome run_once(const struct run_request *request, json_object **ret);

#endif
