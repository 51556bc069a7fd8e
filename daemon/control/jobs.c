/* SPDX-License-Identifier: MIT
 *
 * The jobs threads: several for the common lane, one for each side lane, and stand-bys. A lane's
 * jobs are begun in the order in which they came; a long one lets the others pass now and then.
 */
#include "control/jobs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "own.h"
#include "watch/watcher.h"

struct jobs_thread {
	struct jobs *jobs;
	pthread_t thread;
	unsigned number;  /* (C) below JOBS_THREADS */
	struct duty duty; /* its lane */
	struct watch watch;
};

struct jobs {
	struct daemon *daemon;
	struct jobs_thread threads[JOBS_THREADS];
	struct lock lock;
	/* By lane: its threads wait for a job. A job that is queued wakes one of them, jobs_stop
	 * wakes all. */
	struct cond conds[1 + SIDE_LANES];
	struct list queued[1 + SIDE_LANES]; /* (J) by lane */
	struct list finished;               /* (J) */
	bool stopping;                      /* (J) */
	void (*notify)(void *context);
	void *context;
};

static unsigned
lane_of(const struct job *job)
{
	struct task *task = job->task;

	if (!task)
		return LANE_COMMON;
	return load_acquire(
	    load_acquire(&task->state) == TASK_ATTACHING ? &task->lane_before : &task->lane);
}

static void
put_locked(struct jobs *jobs, struct job *job)
{
	unsigned lane = lane_of(job);

	lock_assert_held(&jobs->lock);
	CHECK(lane <= SIDE_LANES);
	list_add_tail(&jobs->queued[lane], &job->node);
	/* A thread that is awake looks before it waits again. */
	cond_signal(&jobs->conds[lane]);
}

/* The lane's next job. Jobs of clients that have been moved meanwhile go to their lanes. => NULL:
 * none */
static struct job *
next_locked(struct jobs *jobs, unsigned lane)
{
	struct list *queue = &jobs->queued[lane];

	lock_assert_held(&jobs->lock);
	while (!list_empty(queue)) {
		struct job *job = list_first(queue, struct job, node);

		list_remove(&job->node);
		if (lane_of(job) == lane)
			return job;
		put_locked(jobs, job);
	}
	return NULL;
}

/* Something that the job waits for may have come while it ran. */
static void
park_locked(struct jobs *jobs, struct job *job)
{
	lock_assert_held(&jobs->lock);
	CHECK(!job->is_parked);
	if (job->is_woken)
		put_locked(jobs, job);
	else
		job->is_parked = true;
	job->is_woken = false;
}

static void
serve_lane(struct jobs_thread *t, unsigned lane, const struct jobs_place *place)
{
	struct jobs *jobs = t->jobs;

	CHECK(lane <= SIDE_LANES);
	lock_acquire(&jobs->lock);
	while (!watch_is_relieved()) {
		struct job *job = next_locked(jobs, lane);

		if (!job && jobs->stopping)
			break;
		if (!job) {
			cond_wait(&jobs->conds[lane], &jobs->lock);
			continue;
		}
		lock_release(&jobs->lock);
		watch_client(job->task ? task_cookie(job->task) : 0);
		job->again = job->parks = false;
		job->run(job, place);
		pulse_beat(&t->jobs->daemon->pulse);
		lock_acquire(&jobs->lock);
		if (job->parks) {
			park_locked(jobs, job);
			continue;
		}
		if (job->again) {
			put_locked(jobs, job);
			continue;
		}
		list_add_tail(&jobs->finished, &job->node);
		lock_release(&jobs->lock);
		jobs->notify(jobs->context);
		lock_acquire(&jobs->lock);
	}
	lock_release(&jobs->lock);
}

static void *
jobs_main(void *argument)
{
	struct jobs_thread *t = argument;
	struct daemon *d = t->jobs->daemon;
	struct jobs_place place = {
		.stats = stats_shard(&d->stats, shard_index_extra(d, SHARD_JOBS + t->number)),
		.number = t->number,
	};
	int lane;

	CHECK(t->number < JOBS_THREADS);
	watch_begin(&t->watch);
	while ((lane = duty_wait(d, &t->duty)) != DUTY_NONE) {
		char name[16];

		snprintf(name, sizeof(name), "jobs-%d", lane);
		own_thread(name);
		watch_on_duty(&t->watch, (unsigned)lane);
		serve_lane(t, (unsigned)lane, &place);
		if (!watch_is_relieved())
			break;
		duty_end(d, &t->duty);
	}
	return NULL;
}

/* A stand-by takes over the lane; the job that is held up stays where it is. Runs on: the watcher.
 */
static void
relieve(struct daemon *d, struct watch *w)
{
	struct jobs_thread *t = container_of(w, struct jobs_thread, watch), *next = NULL;

	CHECK(t->jobs == d->jobs);
	lock_acquire(&d->duty_lock);
	for (unsigned i = 0; i < JOBS_THREADS && !next; i++)
		if (d->jobs->threads[i].duty.number == DUTY_NONE)
			next = &d->jobs->threads[i];
	if (next && !d->duties_end && watch_relieved(w))
		duty_give_locked(d, &next->duty, t->duty.number);
	lock_release(&d->duty_lock);
}

/* The duties from the start. => the lane; DUTY_NONE: the thread stands by */
static int
first_duty(unsigned number)
{
	CHECK(number < JOBS_THREADS);
	if (number < JOBS_COMMON)
		return LANE_COMMON;
	return number < JOBS_COMMON + SIDE_LANES ? (int)(number - JOBS_COMMON + 1) : DUTY_NONE;
}

int
jobs_start(struct daemon *d, void (*finished)(void *context), void *context)
{
	struct jobs *jobs = calloc(1, sizeof(*jobs));

	CHECK(!d->jobs && finished);
	if (!jobs)
		return -ENOMEM;
	jobs->daemon = d;
	jobs->notify = finished;
	jobs->context = context;
	lock_init(&jobs->lock, RANK_JOBS);
	for (unsigned lane = 0; lane <= SIDE_LANES; lane++) {
		cond_init(&jobs->conds[lane]);
		list_init(&jobs->queued[lane]);
	}
	list_init(&jobs->finished);
	d->jobs = jobs;
	for (unsigned i = 0; i < JOBS_THREADS; i++) {
		struct jobs_thread *t = &jobs->threads[i];

		t->jobs = jobs;
		t->number = i;
		t->duty = (struct duty){ first_duty(i), first_duty(i) != DUTY_NONE };
		watch_add(d, &t->watch, relieve);
		if (pthread_create(&t->thread, NULL, jobs_main, t) != 0)
			return -EAGAIN;
	}
	return 0;
}

void
jobs_submit(struct daemon *d, struct job *job)
{
	struct jobs *jobs = d->jobs;

	CHECK(job->run);
	CHECK(!job->task || job->task->magic == TASK_MAGIC);
	lock_acquire(&jobs->lock);
	put_locked(jobs, job);
	lock_release(&jobs->lock);
}

void
jobs_wake(struct daemon *d, struct job *job)
{
	struct jobs *jobs = d->jobs;

	CHECK(job->run);
	lock_acquire(&jobs->lock);
	CHECK(!job->is_woken);
	if (job->is_parked)
		put_locked(jobs, job);
	else
		job->is_woken = true;
	job->is_parked = false;
	lock_release(&jobs->lock);
}

struct job *
jobs_collect(struct daemon *d)
{
	struct job *job = NULL;

	CHECK(d->jobs);
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

	CHECK(!jobs->stopping && d->duties_end);
	lock_acquire(&jobs->lock);
	jobs->stopping = true;
	for (unsigned lane = 0; lane <= SIDE_LANES; lane++)
		cond_broadcast(&jobs->conds[lane]);
	lock_release(&jobs->lock);
	for (unsigned i = 0; i < JOBS_THREADS; i++)
		pthread_join(jobs->threads[i].thread, NULL);
	for (unsigned lane = 0; lane <= SIDE_LANES; lane++)
		CHECK(list_empty(&jobs->queued[lane]));
}

void
jobs_fini(struct daemon *d)
{
	CHECK(d->jobs->stopping && list_empty(&d->jobs->finished));
	lock_fini(&d->jobs->lock);
	for (unsigned lane = 0; lane <= SIDE_LANES; lane++)
		cond_fini(&d->jobs->conds[lane]);
	free(d->jobs);
	d->jobs = NULL;
}
