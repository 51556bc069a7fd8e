/* SPDX-License-Identifier: MIT
 *
 * What calls pageout's workers of the common lane to work, and ends them. A side lane's worker is
 * called by its queue (side.h).
 */
#ifndef WORKER_CALLS_H
#define WORKER_CALLS_H

#include <stdbool.h>

#include "lock.h"

/* Letters on fields: daemon.h. */
struct worker_calls {
	struct cond pageout_wanted; /* waited for by worker 0, signalled by the thread that takes a
				       frame below free_min */
	struct cond help_wanted;    /* waited for by the other workers, broadcast by a worker that
				       does not keep up */
	struct cond room_wanted;    /* waited for by workers when nothing can leave, broadcast by
				       the writer */
	bool first_asleep;          /* (Q) worker 0 waits for pageout_wanted */
	unsigned helpers_asleep;    /* (Q) workers that wait for help_wanted */
	bool stopping;              /* (Q) */
};

#endif
