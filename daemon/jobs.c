/* SPDX-License-Identifier: MIT
 *
 * The jobs thread. Jobs are run in the order they came; a long one lets the others pass now and then.
 */
#include "jobs.h"

#include <errno.h>
#include <stdlib.h>

struct jobs {
	struct daemon *daemon;
	pthread_t thread;
	struct lock lock;
	struct cond cond;      /* waited by the jobs thread, signalled by jobs_submit and jobs_stop */
	struct list queued;    /* (J) */
	struct list finished;  /* (J) */
	bool stopping;         /* (J) */
	void (*notify)(void *context);
	void *context;
};

static void *
jobs_main(void *argument)
{
	struct jobs *jobs = argument;
	struct daemon *d = jobs->daemon;
	struct stat_shard stats = stats_shard(&d->stats, shard_index_extra(d, SHARD_JOBS));

	pthread_setname_np(pthread_self(), "jobs");
	lock_acquire(&jobs->lock);
	for (;;) {
		struct job *job;

		if (list_empty(&jobs->queued)) {
			if (jobs->stopping)
				break;
			cond_wait(&jobs->cond, &jobs->lock);
			continue;
		}
		job = list_first(&jobs->queued, struct job, node);
		list_remove(&job->node);
		lock_release(&jobs->lock);
		job->again = false;
		job->run(job, stats);
		lock_acquire(&jobs->lock);
		if (job->again) {
			/* A dead session's teardown may be queued: nothing of it may come behind that. */
			if (session_is_dead(job->session))
				list_add_head(&jobs->queued, &job->node);
			else
				list_add_tail(&jobs->queued, &job->node);
			continue;
		}
		list_add_tail(&jobs->finished, &job->node);
		lock_release(&jobs->lock);
		jobs->notify(jobs->context);
		lock_acquire(&jobs->lock);
	}
	lock_release(&jobs->lock);
	return NULL;
}

int
jobs_start(struct daemon *d, void (*finished)(void *context), void *context)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs));

	if (!jobs)
		return -ENOMEM;
	jobs->daemon = d;
	jobs->notify = finished;
	jobs->context = context;
	lock_init(&jobs->lock, RANK_JOBS);
	cond_init(&jobs->cond);
	list_init(&jobs->queued);
	list_init(&jobs->finished);
	d->jobs = jobs;
	return pthread_create(&jobs->thread, NULL, jobs_main, jobs) ? -EAGAIN : 0;
}

void
jobs_submit(struct daemon *d, struct job *job)
{
	lock_acquire(&d->jobs->lock);
	list_add_tail(&d->jobs->queued, &job->node);
	cond_signal(&d->jobs->cond);
	lock_release(&d->jobs->lock);
}

struct job *
jobs_collect(struct daemon *d)
{
	struct job *job = NULL;

	lock_acquire(&d->jobs->lock);
	if (!list_empty(&d->jobs->finished)) {
		job = list_first(&d->jobs->finished, struct job, node);
		list_remove(&job->node);
	}
	lock_release(&d->jobs->lock);
	return job;
}

void
jobs_stop(struct daemon *d)
{
	struct jobs *jobs = d->jobs;

	lock_acquire(&jobs->lock);
	jobs->stopping = true;
	cond_signal(&jobs->cond);
	lock_release(&jobs->lock);
	pthread_join(jobs->thread, NULL);
}

void
jobs_fini(struct daemon *d)
{
	lock_fini(&d->jobs->lock);
	cond_fini(&d->jobs->cond);
	free(d->jobs);
	d->jobs = NULL;
}
