/* SPDX-License-Identifier: MIT
 *
 * Long requests: whatever walks pages, waits for busy ones or takes objects apart runs on jobs
 * threads, so that the control loop never touches a page. The common lane has JOBS_COMMON of them
 * and each side lane one. A finished job goes back to the loop, which sends the reply.
 *
 * A lane's threads begin jobs in the order in which they came, and jobs of different clients run
 * at the same time. Jobs of one client do not: its session has one request under way, and its
 * teardown is submitted when that has come back. Operations on a range rely on this
 * (region/range.h: between two pieces the map stays as it is). Requests of tools about the same
 * client (MAP, POLICY, CHECK) may run meanwhile; they take the locks of everything they look at.
 */
#ifndef JOBS_H
#define JOBS_H

#include "daemon.h"
#include "vm/task.h"

/* What a jobs thread has of its own. */
struct jobs_place {
	struct stat_shard stats;
	unsigned number; /* below JOBS_THREADS */
};

struct job {
	struct list node;
	void (*run)(struct job *job, const struct jobs_place *place); /* on a jobs thread */
	void (*done)(struct job *job); /* on the control loop; frees the job */
	struct task *task; /* of the client; it stays until the job is done. NULL: a tool's job */
	bool parks;        /* set by run: it is not to run again, nor done, before jobs_wake */
	bool is_parked, is_woken; /* (J) */
	bool again; /* set by run: there is more to do, which may be put behind jobs that wait by
		       now */
};

/* finished: called on a jobs thread when a job can be collected. */
int jobs_start(struct daemon *d, void (*finished)(void *context), void *context);
void jobs_submit(struct daemon *d, struct job *job);
/* A job that parks, or is about to, runs again. Once for each time that it parks; any thread. */
void jobs_wake(struct daemon *d, struct job *job);
/* A finished job; NULL: there is none. Runs on: the control loop. */
struct job *jobs_collect(struct daemon *d);
/* Runs all queued jobs, then ends the threads. => duties_stop has been called, or threads that
 * stand by do not end */
void jobs_stop(struct daemon *d);
/* => stopped, and the control loop, which collects, has ended. */
void jobs_fini(struct daemon *d);

#endif
