/* SPDX-License-Identifier: MIT
 *
 * The cleaner's own, as its files share it.
 */
#ifndef CLEANER_PRIV_H
#define CLEANER_PRIV_H

#include <pthread.h>

#include "core/stats.h"
#include "daemon.h"
#include "swap.h"
#include "vm/vm_object.h"

/* Runs under way at a time: of all files, of one user's, and of one object. A file system that does
 * not answer keeps its own. */
#define RUNS_MAX        16u
#define RUNS_USER_MAX   8u
#define RUNS_OBJECT_MAX 4u
/* Bytes and pages of a run. */
#define RUN_BYTES     (256u << 10)
#define RUN_PAGES_MAX 64u

enum run_stage { RUN_FREE, RUN_SIZE, RUN_WHOLE, RUN_TAIL };

/* Neighbouring pages on their way to their places. Their content is in the buffer. */
struct clean_run {
	enum run_stage stage;
	struct vm_object *object; /* with a reference */
	uint64_t index;           /* of the first page */
	unsigned count;           /* pages */
	bool is_wired;            /* they are wired, and stay dirty */
	bool leaves;              /* they are to leave memory */
	bool is_late;             /* it has taken long: others do not count on it */
	uid_t uid;                /* of the task that pays */
	void *buffer;
	uint64_t number;         /* ascending */
	uint64_t start_ns;       /* when it was begun */
	uint64_t bytes, written; /* from its first byte on: within the content, and those written */
	uint32_t frames[RUN_PAGES_MAX];
};

struct cleaner {
	struct daemon *daemon;
	pthread_t thread;
	struct stat_shard stats;
	struct watch watch;
	struct hole hole;
	int epoll;
	atomic_bool stopping;
	struct swap_channel *channel;
	struct clean_run runs[RUNS_MAX];
	unsigned in_flight; /* runs that are not free */
	uint64_t number;    /* of the last run */
	struct clean_request *active;
	bool must_try_again; /* something was in transit: the next turn comes soon */
	bool is_due;         /* the objects are to be gone through */
	uint64_t looked_ns;  /* when they last were */
	uint64_t asked_ns;   /* when refused faults were last looked at */
};

/* Begins a run of the request's pages at r->at, and moves r->at on. => false: none can be begun
 * now; cleaner.must_try_again says whether nobody will ring when it can */
bool clean_run_begin(struct cleaner *c, struct clean_request *r);
/* A transfer of the run has ended. */
void clean_run_step(struct cleaner *c, struct clean_run *run, int error, uint64_t bytes);

#endif
