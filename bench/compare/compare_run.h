/* SPDX-License-Identifier: MIT
 *
 * One side of one pair, or both at once: this program, or the other build's, is executed as
 * `pagerbench run ... --json`.
 */
#ifndef BENCH_COMPARE_RUN_H
#define BENCH_COMPARE_RUN_H

#include <json-c/json.h>
#include <signal.h>

#include "builds.h"
#include "compare_rows.h"
#include "peer.h"

enum run_outcome {
	RUN_DONE,
	RUN_OOM,     /* the kernel killed it */
	RUN_FAILED,  /* said on standard error */
	RUN_STOPPED, /* a signal asked this process to end */
};

struct run_request {
	const struct options *options;
	const struct row *row;
	struct peer *peer;         /* NULL: not in the cgroup */
	const struct build *build; /* NULL: this one, and the daemon that the options say */
	bool plain;
	bool beside_plain; /* of pagerd's: plain memory's, in slices in turn, stands under "beside"
			    */
	uint64_t memory_bytes;
	const char *directory;
};

/* Blocks SIGINT, SIGTERM and SIGHUP but while a run is waited for; => the signal that came, or 0.
 */
void run_signals_block(void);
int run_signal(void);

/* *ret is the caller's when RUN_DONE. */
enum run_outcome run_once(const struct run_request *request, json_object **ret);

#endif
