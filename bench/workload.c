/* SPDX-License-Identifier: MIT
 *
 * The order of a run: own memory, gate, allocate, fill, warm up, measure, verify, free.
 */
#include "workload.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base.h"
#include "clock.h"
#include "data_file.h"
#include "pattern.h"
#include "process.h"
#include "ticks.h"
#include "workload_touch.h"

#define WARM_SHARE 0.2 /* length of the warm-up, as a share of the measured part */
/* A slice, where several runs are measured in turn: short against the time in which the machine's
 * speed changes, long against the 1 to 2 ms in which a slice refills the caches. */
#define SLICE_S          0.03
#define FILL_PIECE_UNITS 256u /* several runs are filled in turn in pieces of this size */

static void
pin_to(unsigned n)
{
	cpu_set_t allowed, one;
	unsigned seen = 0;

	if (sched_getaffinity(0, sizeof(allowed), &allowed))
		return;
	n %= (unsigned)CPU_COUNT(&allowed);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &allowed) && seen++ == n) {
			CPU_ZERO(&one);
			CPU_SET(cpu, &one);
			sched_setaffinity(0, sizeof(one), &one);
			return;
		}
}

static void *
worker_main(void *arg)
{
	struct worker *w = arg;

	if (w->workload->config->pin)
		pin_to(w->id);
	pthread_barrier_wait(w->barrier);
	w->start_ticks = ticks_now();
	w->run(w);
	w->end_ticks = ticks_now();
	return NULL;
}

/* Runs one phase on all threads and waits until it ends. => wall nanoseconds from the first start
 * to the last end. */
static uint64_t
phase_run(struct workload *load, void (*run)(struct worker *), double seconds, uint64_t touches)
{
	const struct workload_config *c = load->config;
	struct worker *workers = load->workers;
	uint64_t start = UINT64_MAX, end = 0;
	pthread_barrier_t barrier;

	pthread_barrier_init(&barrier, NULL, c->threads);
	for (unsigned i = 0; i < c->threads; i++) {
		struct worker *w = &workers[i];

		w->barrier = &barrier;
		w->run = run;
		w->touches = 0;
		w->touches_left = touches ? touches / c->threads : UINT64_MAX;
		w->deadline_ticks =
		    ticks_now() + (uint64_t)(seconds * 1e9 * 4294967296.0 / (double)ticks_ns_mult);
		if (pthread_create(&w->thread, NULL, worker_main, w)) {
			/* The threads already started would never leave the barrier. */
			fputs("pagerbench: cannot create a thread\n", stderr);
			_Exit(1);
		}
	}
	for (unsigned i = 0; i < c->threads; i++) {
		pthread_join(workers[i].thread, NULL);
		if (workers[i].start_ticks < start)
			start = workers[i].start_ticks;
		if (workers[i].end_ticks > end)
			end = workers[i].end_ticks;
	}
	pthread_barrier_destroy(&barrier);
	return ticks_to_ns(end - start);
}

/* => the median time of making a page's content in memory that is already mapped, in ticks. */
static uint64_t
generate_calibrate(const struct pool *pool)
{
	enum { PAGES = 512, ROUNDS = 4 };
	struct histogram *h = calloc(1, sizeof(*h));
	char *buffer = mmap(NULL, PAGES * UNIT_BYTES, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	uint64_t median = 0;

	if (h && buffer != MAP_FAILED) {
		for (uint64_t i = 0; i < PAGES * ROUNDS; i++) {
			uint64_t t0 = ticks_now();

			page_fill(buffer + i % PAGES * UNIT_BYTES, 1, i, 0, pool);
			histogram_record(h, ticks_now() - t0);
		}
		median = histogram_percentile(h, 0.5);
	}
	if (buffer != MAP_FAILED)
		munmap(buffer, PAGES * UNIT_BYTES);
	free(h);
	return median;
}

struct meter {
	struct fault_counts counts;
	double cpu_client_s, cpu_daemon_s;
	uint64_t bytes_written;
};

static int
meter_read(const struct workload *load, struct meter *ret)
{
	pid_t daemon = load->config->ops->daemon_pid(load->backend);
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	ret->cpu_client_s = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
			    (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
	ret->cpu_daemon_s = daemon ? process_cpu_seconds(daemon) : 0.0;
	ret->bytes_written = daemon ? process_write_bytes(daemon) : swapped_out_bytes();
	return load->config->ops->counts(load->backend, &ret->counts);
}

static void
meter_difference(const struct meter *a, const struct meter *b, struct workload_result *r)
{
	r->cpu_client_s += b->cpu_client_s - a->cpu_client_s;
	r->cpu_daemon_s += b->cpu_daemon_s - a->cpu_daemon_s;
	r->bytes_written += b->bytes_written - a->bytes_written;
#define COUNT(name) r->counts.name += b->counts.name - a->counts.name;
#include "fault_counts.tbl"
}

static int
memory_allocate(struct workload *load)
{
	const struct workload_config *c = load->config;
	void *addr;
	size_t bytes = c->units * UNIT_BYTES;
	int error;

	if (load->file >= 0) {
		error = c->ops->map_file(
		    load->backend, load->file, bytes, c->write_percent ? BACKEND_WRITE : 0, &addr);
	} else {
		error = c->ops->allocate(load->backend, bytes,
		    c->scenario->flags & SCENARIO_SHARED ? BACKEND_SHARED : 0, &addr);
		load->object = mix64(load->object);
	}
	if (error)
		return error;
	load->base = addr;
	if (c->scenario->flags & SCENARIO_NO_CLUSTER)
		error = c->ops->expect_random(load->backend, addr, bytes);
	return error;
}

static int
memory_free(struct workload *load)
{
	int error = load->config->ops->deallocate(
	    load->backend, load->base, load->config->units * UNIT_BYTES);

	load->base = NULL;
	return error;
}

static int
memory_sync(struct workload *load)
{
	const struct workload_config *c = load->config;

	return c->ops->sync(load->backend, load->base, c->units * UNIT_BYTES);
}

/* One request: the threads that fill and verify have no part in it. */
static int
measure_page_out(struct workload *load)
{
	const struct workload_config *c = load->config;
	uint64_t start = ticks_now();
	int error = c->ops->page_out(load->backend, load->base, c->units * UNIT_BYTES);

	load->result->wall_s += 1e-9 * (double)ticks_to_ns(ticks_now() - start);
	load->result->touches += c->units;
	return error;
}

static int
measure_touches(struct workload *load, uint64_t touches, double seconds)
{
	static void (*const bodies[])(struct worker *) = {
		[SCENARIO_FILL] = workload_fill,
		[SCENARIO_SCAN] = workload_touch,
		[SCENARIO_RANDOM] = workload_touch,
		[SCENARIO_ZIPF] = workload_touch,
		[SCENARIO_COOLED] = workload_touch_cooled,
		[SCENARIO_STORED] = workload_touch_stored,
	};
	const struct workload_config *c = load->config;
	bool batched = c->scenario->flags & SCENARIO_BATCHED;

	load->result->wall_s +=
	    1e-9 * (double)phase_run(load,
		       batched ? workload_touch_batched : bodies[c->scenario->kind], seconds,
		       touches);
	for (unsigned i = 0; i < c->threads; i++)
		load->result->touches += load->workers[i].touches;
	return 0;
}

static int
measure_sync(struct workload *load)
{
	uint64_t start = ticks_now();
	int error = memory_sync(load);
	double seconds = 1e-9 * (double)ticks_to_ns(ticks_now() - start);

	load->result->sync_s += seconds;
	load->result->wall_s += seconds;
	return error;
}

/* Measures all of the measured part, or one round or slice of it. */
static int
measure(struct workload *load, uint64_t touches, double seconds)
{
	struct meter before, after;
	int error = meter_read(load, &before);

	if (!error)
		error = load->config->scenario->kind == SCENARIO_PAGEOUT
			    ? measure_page_out(load)
			    : measure_touches(load, touches, seconds);
	if (!error && load->config->scenario->flags & SCENARIO_SYNC)
		error = measure_sync(load);
	if (error)
		return error;
	error = meter_read(load, &after);
	meter_difference(&before, &after, load->result);
	return error;
}

/* Measures in rounds: memory is prepared before each, and that time is not counted. */
static int
measure_rounds(struct workload *load)
{
	const struct workload_config *c = load->config;
	const struct workload_result *r = load->result;
	uint64_t end_ns = clock_now_ns() + (uint64_t)(c->seconds * 1e9), now;
	bool cooled = c->scenario->kind == SCENARIO_COOLED, again;
	int error;

	do {
		double left = c->seconds;

		if (cooled) {
			error = c->ops->cool(load->backend, load->base, c->units * UNIT_BYTES);
			if (error)
				return error;
			left -= r->wall_s;
		}
		error = measure(load, cooled ? c->touches : 0, left);
		now = clock_now_ns();
		again = !error && now < end_ns && !(c->scenario->flags & SCENARIO_ONCE) &&
			!(c->touches && r->touches >= c->touches);
		if (!cooled && again) {
			error = memory_free(load);
			if (!error)
				error = memory_allocate(load);
			if (!error && c->scenario->kind == SCENARIO_PAGEOUT)
				phase_run(load, workload_fill, 0, 0);
		}
	} while (again && !error);
	return error;
}

/* Gives each run a slice in each turn. The order alternates, because a slice that follows one of
 * the same run finds warm caches, and each run must get equally many of these. A slice has no
 * warm-up, because a page lost during the other slices must be counted. The number of turns is
 * fixed, and not the sum of seconds: a slice that was delayed must not give the others more turns.
 */
static int
measure_slices(struct workload *loads, unsigned count)
{
	const struct workload_config *c = loads->config;
	unsigned turns = 1 + (unsigned)(c->seconds / SLICE_S);
	int error = 0;

	for (unsigned turn = 0; turn < turns; turn++)
		for (unsigned i = 0; i < count && !error; i++) {
			struct workload *load = &loads[(turn + i) % count];
			uint64_t left = c->touches - load->result->touches;

			/* measure() takes 0 for no limit. */
			if (!c->touches || left)
				error = measure(load, c->touches ? left : 0, SLICE_S);
		}
	return error;
}

/* Fills several runs piece by piece in turn. The cost of a touch differs by some percent with the
 * number of 2 MiB blocks that the pages lie in, and a run that was filled first would get the
 * fragments of the free lists. */
static void
fill(struct workload *loads, unsigned count)
{
	uint64_t units = loads->config->units, piece = count > 1 ? FILL_PIECE_UNITS : units;

	for (uint64_t first = 0; first < units; first += piece)
		for (unsigned i = 0; i < count; i++) {
			struct workload *load = &loads[i];

			load->fill_first = first;
			load->fill_units = units - first < piece ? units - first : piece;
			load->result->fill_per_page_ns +=
			    (double)phase_run(load, workload_fill, 0, 0) * load->config->threads /
			    (double)units;
		}
}

/* Warms up the filled working set, and allocates the histograms of the measured part. */
static int
measure_prepare(struct workload *load)
{
	const struct workload_config *c = load->config;
	enum scenario_kind kind = c->scenario->kind;

	if (!scenario_has_rounds(c->scenario) && kind != SCENARIO_STORED)
		phase_run(load, workload_touch, c->seconds * WARM_SHARE, c->touches);
	if (c->scenario->flags & SCENARIO_SYNC) {
		int error = memory_sync(load);

		if (error)
			return error;
	}
	/* A page-out has no touches to time. */
	for (unsigned i = 0; i < c->threads && kind != SCENARIO_PAGEOUT; i++) {
		load->workers[i].touch = calloc(1, sizeof(*load->workers[i].touch));
		if (!load->workers[i].touch)
			return -ENOMEM;
	}
	return 0;
}

/* Computes the figures, verifies every page, then frees the working set. */
static int
measure_finish(struct workload *load)
{
	const struct workload_config *c = load->config;
	enum scenario_kind kind = c->scenario->kind;
	struct workload_result *r = load->result;
	int error = 0;

	for (unsigned i = 0; i < c->threads && load->workers[i].touch; i++)
		histogram_merge(&r->touch, load->workers[i].touch);
	r->generate_ns = (double)ticks_to_ns(load->generate_ticks);
	r->per_page_ns = r->touches ? r->wall_s * 1e9 / (double)r->touches : 0.0;
	if (kind != SCENARIO_PAGEOUT)
		r->per_page_ns *= c->threads;
	if (kind == SCENARIO_FILL)
		r->per_page_ns =
		    r->per_page_ns > r->generate_ns ? r->per_page_ns - r->generate_ns : 0.0;
	if (c->ops->daemon_pid(load->backend))
		r->daemon_private_bytes = process_private_bytes(c->ops->daemon_pid(load->backend));
	if (load->file >= 0)
		r->file_cached_bytes = data_file_cached_bytes(load->file);
	phase_run(load, workload_verify, 0, 0);
	if (load->file >= 0) {
		if (c->write_percent)
			error = memory_sync(load);
		phase_run(load, workload_verify_file, 0, 0);
	}
	for (uint64_t i = 0; i < c->units; i++)
		r->bad_pages += (atomic_load(&load->generation[i]) & GENERATION_BAD) != 0;
	if (!error && c->verified)
		error = c->verified(c->verified_context);
	return error ? error : memory_free(load);
}

static int
run_phases(struct workload *loads, unsigned count)
{
	const struct workload_config *c = loads->config;
	int error = 0;

	for (unsigned i = 0; i < count && !error; i++)
		error = memory_allocate(&loads[i]);
	if (!error && c->scenario->kind != SCENARIO_FILL && loads->file < 0)
		fill(loads, count);
	for (unsigned i = 0; i < count && !error; i++)
		error = measure_prepare(&loads[i]);
	if (error)
		return error;
	if (scenario_has_rounds(c->scenario))
		error = measure_rounds(loads);
	else if (count > 1)
		error = measure_slices(loads, count);
	else
		error = measure(loads, c->touches, c->seconds);
	for (unsigned i = 0; i < count && !error; i++)
		error = measure_finish(&loads[i]);
	return error;
}

static void
load_close(struct workload *load)
{
	const struct workload_config *c = load->config;

	if (load->backend_open)
		c->ops->close(load->backend);
	for (unsigned i = 0; i < c->threads && load->workers; i++)
		free(load->workers[i].touch);
	free(load->workers);
	if (load->file >= 0)
		close(load->file);
	if (load->generation != MAP_FAILED)
		munmap((void *)load->generation, c->units * sizeof(*load->generation));
}

/* Allocates the engine's own memory, opens the backend, passes the gate. => 0; or -errno: nothing
 * is open. */
static int
load_open(struct workload *load, const struct workload_config *c, struct workload_result *ret)
{
	int error = 0;

	*load = (struct workload){ .config = c,
		.object = mix64(c->seed),
		.file = -1,
		.fill_units = c->units,
		.result = ret };
	load->workers = calloc(c->threads, sizeof(*load->workers));
	load->generation = mmap(NULL, c->units * sizeof(*load->generation), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (!load->workers || load->generation == MAP_FAILED)
		error = -ENOMEM;
	for (unsigned i = 0; i < c->threads && !error; i++) {
		load->workers[i].workload = load;
		load->workers[i].id = i;
		load->workers[i].rng.state = mix64(c->seed ^ mix64(i + 1));
	}
	if (!error && c->scenario->kind == SCENARIO_ZIPF)
		zipf_init(&load->zipf, c->units, 0.99);
	load->generate_ticks = generate_calibrate(c->pool);
	memset(ret, 0, sizeof(*ret));
	ret->scale = c->scenario->flags & SCENARIO_BATCHED ? 1.0 / WORKLOAD_BATCH : 1.0;
	if (!error && c->scenario->flags & SCENARIO_FILE)
		error = data_file_make(c->directory, load->object, c->units, c->pool, &load->file);
	if (!error) {
		error = c->ops->open(c->socket, &load->backend);
		load->backend_open = !error;
	}
	if (!error && c->gate)
		error = c->gate(c->gate_context);
	if (error)
		load_close(load);
	return error;
}

int
workload_run(const struct workload_config *configs, unsigned count, struct workload_result *ret)
{
	struct workload *loads = calloc(count, sizeof(*loads));
	unsigned opened = 0;
	int error = loads ? 0 : -ENOMEM;

	if (count > 1 && scenario_has_rounds(configs->scenario))
		error = -EINVAL;
	while (!error && opened < count) {
		error = load_open(&loads[opened], &configs[opened], &ret[opened]);
		opened += !error;
	}
	if (!error)
		error = run_phases(loads, count);
	while (opened)
		load_close(&loads[--opened]);
	free(loads);
	return error;
}
