/* SPDX-License-Identifier: MIT
 *
 * Runs all policies at all sizes: a few threads take jobs from one counter. A job is one
 * simulation, or one pass that fills a complete row (LRU and MIN). The main thread shows progress.
 */
#include "replay.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "curve.h"
#include "message.h"

/* From this number of sizes on, one pass for the curve costs less than a simulation for each size.
 * MIN's is greater because its pass walks the stack. */
enum { ONE_PASS_LRU = 4, ONE_PASS_MIN = 200 };

struct job {
	unsigned policy, size;
	bool row; /* all sizes at once */
};

struct runner {
	struct replay *replay;
	struct job *jobs;
	unsigned njobs;
	atomic_uint next;
	atomic_ullong progress;
	pthread_mutex_t mutex; /* covers live */
	pthread_cond_t idle;   /* signalled when a thread ends; the main thread waits for it */
	unsigned live;
};

uint32_t
replay_window(const struct replay *r, uint32_t frames)
{
	uint64_t window = r->window_percent ? (uint64_t)frames * r->window / 100 : r->window;

	return window < UINT32_MAX ? (uint32_t)window : UINT32_MAX;
}

static bool
replay_by_row(const struct replay *r, unsigned policy)
{
	const struct replay_policy *p = &r->policies[policy];
	bool min = strcmp(p->ops->name, "min") == 0, lru = strcmp(p->ops->name, "lru") == 0;

	if (!r->one_pass || r->trace->has_forgets || r->check)
		return false;
	return (min && r->nframes >= ONE_PASS_MIN) ||
	       (lru && r->nframes >= ONE_PASS_LRU && r->model == SIM_TEXTBOOK);
}

static struct sim_config
runner_config(struct runner *run, unsigned policy, unsigned size)
{
	struct replay *r = run->replay;

	return (struct sim_config){
		.ops = r->policies[policy].ops,
		.params = r->policies[policy].params,
		.nframes = r->frames[size],
		.model = r->model,
		.window = replay_window(r, r->frames[size]),
		.seed = r->seed,
		.check = r->check,
		.progress = &run->progress,
	};
}

/* Fills a cell with what a simulation would report. The curve itself knows neither the policy's
 * memory nor its parameters. */
static void
runner_row_cell(struct runner *run, unsigned policy, unsigned size, const struct curve *curve)
{
	struct replay_cell *cell = replay_cell(run->replay, policy, size);
	struct sim_config config = runner_config(run, policy, size);
	double bytes = sim_bytes_per_page(run->replay->trace, &config);

	if (bytes > 0) {
		curve_result(curve, config.nframes, &cell->result);
		cell->result.bytes_per_page = bytes;
	} else {
		cell->error = -EINVAL;
	}
	cell->done = true;
}

static void
runner_row(struct runner *run, unsigned policy)
{
	struct replay *r = run->replay;
	bool lru = strcmp(r->policies[policy].ops->name, "lru") == 0;
	uint32_t largest = 0;
	struct curve curve;
	int error;

	for (unsigned i = 0; i < r->nframes; i++)
		largest = r->frames[i] > largest ? r->frames[i] : largest;
	error = curve_make(r->trace, lru ? CURVE_LRU : CURVE_MIN, largest, &run->progress, &curve);
	for (unsigned i = 0; i < r->nframes; i++) {
		if (error == 0)
			runner_row_cell(run, policy, i, &curve);
		else
			replay_cell(r, policy, i)->error = error;
	}
	if (error == 0)
		curve_fini(&curve);
}

static void
runner_cell(struct runner *run, unsigned policy, unsigned size)
{
	struct replay_cell *cell = replay_cell(run->replay, policy, size);
	struct sim_config config = runner_config(run, policy, size);

	cell->error = sim_run(run->replay->trace, &config, &cell->result);
	cell->done = true;
}

static void *
runner_thread(void *arg)
{
	struct runner *run = arg;
	unsigned i;

	while ((i = atomic_fetch_add_explicit(&run->next, 1, memory_order_relaxed)) < run->njobs) {
		struct job *job = &run->jobs[i];

		if (job->row)
			runner_row(run, job->policy);
		else
			runner_cell(run, job->policy, job->size);
	}
	pthread_mutex_lock(&run->mutex);
	run->live--;
	pthread_cond_signal(&run->idle);
	pthread_mutex_unlock(&run->mutex);
	return NULL;
}

static int
runner_fill(struct runner *run)
{
	struct replay *r = run->replay;

	run->jobs = calloc((size_t)r->nall * r->nframes, sizeof(*run->jobs));
	if (run->jobs == NULL)
		return -ENOMEM;
	for (unsigned p = 0; p < r->nall; p++) {
		bool row = replay_by_row(r, p);

		for (unsigned i = 0; i < (row ? 1 : r->nframes); i++)
			run->jobs[run->njobs++] =
			    (struct job){ .policy = p, .size = i, .row = row };
	}
	return 0;
}

static void
runner_wait(struct runner *run)
{
	uint64_t total = (uint64_t)run->njobs * run->replay->trace->count;

	pthread_mutex_lock(&run->mutex);
	while (run->live > 0) {
		struct timespec until;

		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 200000000;
		until.tv_sec += until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&run->idle, &run->mutex, &until);
		progress_update(
		    "replaying", atomic_load_explicit(&run->progress, memory_order_relaxed), total);
	}
	pthread_mutex_unlock(&run->mutex);
	progress_end();
}

static int
replay_report_errors(const struct replay *r)
{
	for (unsigned p = 0; p < r->nall; p++) {
		for (unsigned i = 0; i < r->nframes; i++) {
			const struct replay_cell *cell = replay_cell(r, p, i);
			const char *label = r->policies[p].label;

			if (cell->error == -EINVAL)
				return error_print(-EINVAL, "%s: bad parameters (known: %s)", label,
				    r->policies[p].ops->params);
			if (cell->error != 0)
				return error_print(
				    cell->error, "%s: %s", label, strerror(-cell->error));
			if (cell->result.broken != NULL)
				return error_print(-EPROTO,
				    "%s, %u frames: check failed after event %llu: %s", label,
				    r->frames[i], (unsigned long long)cell->result.broken_at,
				    cell->result.broken);
		}
	}
	return 0;
}

int
replay_run(struct replay *r)
{
	struct runner run = {
		.replay = r,
		.mutex = PTHREAD_MUTEX_INITIALIZER,
		.idle = PTHREAD_COND_INITIALIZER,
	};
	pthread_t *threads = calloc(r->jobs, sizeof(*threads));
	unsigned started = 0;
	int error = runner_fill(&run);

	if (error == 0 && threads != NULL) {
		pthread_mutex_lock(&run.mutex);
		for (; started < r->jobs && started < run.njobs; started++, run.live++)
			if (pthread_create(&threads[started], NULL, runner_thread, &run) != 0)
				break;
		pthread_mutex_unlock(&run.mutex);
		runner_wait(&run);
	}
	for (unsigned i = 0; i < started; i++)
		pthread_join(threads[i], NULL);
	if (error != 0 || started == 0)
		error = error_print(-ENOMEM, "no memory or no thread to replay with");
	else
		error = replay_report_errors(r);
	free(threads);
	free(run.jobs);
	return error;
}

double
replay_x_min(const struct replay *r, unsigned policy, unsigned size)
{
	if (r->min < 0)
		return NAN;
	return (double)replay_cell(r, policy, size)->result.majors /
	       (double)replay_cell(r, (unsigned)r->min, size)->result.majors;
}

double
replay_gap(const struct replay *r, unsigned policy, unsigned size)
{
	double min, fifo;

	if (r->min < 0 || r->fifo < 0)
		return NAN;
	min = (double)replay_cell(r, (unsigned)r->min, size)->result.majors;
	fifo = (double)replay_cell(r, (unsigned)r->fifo, size)->result.majors;
	return fifo > min
		   ? (fifo - (double)replay_cell(r, policy, size)->result.majors) / (fifo - min)
		   : NAN;
}
