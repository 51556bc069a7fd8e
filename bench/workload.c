/* SPDX-License-Identifier: MIT
 *
 * Order of things in a run: own memory, gate, allocate, fill, warm up, measure, verify, free.
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

#include "base.h"
#include "clock.h"
#include "pattern.h"
#include "process.h"
#include "ticks.h"
#include "workload_priv.h"

#define WARM_SHARE 0.2

const struct scenario scenarios[] = {
    {"first-touch", SCENARIO_FILL, 0, 2.0, 5, 100,
     "write fresh memory from end to end, again and again"},
    {"scan", SCENARIO_SCAN, 0, 2.0, 5, 0, "read from end to end, again and again"},
    {"random-read", SCENARIO_RANDOM, 0, 2.0, 5, 0, "read pages at random"},
    {"random-write", SCENARIO_RANDOM, 0, 2.0, 5, 100, "read and write pages at random"},
    {"zipf", SCENARIO_ZIPF, 0, 4.0, 5, 0, "read pages, few of them often (zipf 0.99)"},
    {"fits", SCENARIO_RANDOM, SCENARIO_BATCHED, 0.8, 5, 0, "read at random, everything fits"},
    {"soft-fault", SCENARIO_COOLED, SCENARIO_SHARED | SCENARIO_NO_CLUSTER, 0.5, 3, 0,
     "touch resident pages whose mappings were taken away"},
    {"swap-in", SCENARIO_STORED, SCENARIO_NO_CLUSTER | SCENARIO_TO_DISK, 4.0, 5, 0,
     "read at random pages that are on disk"},
    {"swap-out", SCENARIO_PAGEOUT, SCENARIO_TO_DISK, 0.75, 3, 100,
     "page out at once what is all resident, pages go to disk"},
    {"fill-to-disk", SCENARIO_FILL, SCENARIO_TO_DISK | SCENARIO_ONCE, 6.0, 60, 100,
     "fill far beyond memory, pages go to disk"},
    {"stall", SCENARIO_RANDOM, 0, 4.0, 60, 100, "the worst touch of a long random-write"},
    {NULL, 0, 0, 0, 0, 0, NULL},
};

const struct scenario *
scenario_find(const char *name)
{
	for (const struct scenario *s = scenarios; s->name; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

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

/* Runs one phase on all threads and waits for it. => wall nanoseconds, first start to last end. */
static uint64_t
phase_run(struct worker *workers, void (*run)(struct worker *), double seconds, uint64_t touches)
{
	const struct workload_config *c = workers->workload->config;
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
			/* The others wait at the barrier for ever. */
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

/* The median cost of making a page's content in memory that is there already, in ticks. */
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
	int error =
	    c->ops->allocate(load->backend, c->units * UNIT_BYTES,
			     c->scenario->flags & SCENARIO_SHARED ? BACKEND_SHARED : 0, &addr);

	if (error)
		return error;
	load->base = addr;
	load->object = mix64(load->object);
	if (c->scenario->flags & SCENARIO_NO_CLUSTER)
		error = c->ops->expect_random(load->backend, addr, c->units * UNIT_BYTES);
	return error;
}

static int
memory_free(struct workload *load)
{
	int error = load->config->ops->deallocate(load->backend, load->base,
						  load->config->units * UNIT_BYTES);

	load->base = NULL;
	return error;
}

/* One request, whoever carries it out: the threads that fill and verify have no part in it. */
static int
measure_page_out(struct workload *load, struct workload_result *r)
{
	const struct workload_config *c = load->config;
	uint64_t start = ticks_now();
	int error = c->ops->page_out(load->backend, load->base, c->units * UNIT_BYTES);

	r->wall_s += 1e-9 * (double)ticks_to_ns(ticks_now() - start);
	r->touches += c->units;
	return error;
}

static int
measure_touches(struct workload *load, struct worker *workers, uint64_t touches, double seconds,
	struct workload_result *r)
{
	static void (*const bodies[])(struct worker *) = {
	    [SCENARIO_FILL] = workload_fill,           [SCENARIO_SCAN] = workload_touch,
	    [SCENARIO_RANDOM] = workload_touch,        [SCENARIO_ZIPF] = workload_touch,
	    [SCENARIO_COOLED] = workload_touch_cooled, [SCENARIO_STORED] = workload_touch_stored,
	};
	const struct workload_config *c = load->config;
	bool batched = c->scenario->flags & SCENARIO_BATCHED;

	r->wall_s +=
	    1e-9 * (double)phase_run(workers,
				     batched ? workload_touch_batched : bodies[c->scenario->kind],
				     seconds, touches);
	for (unsigned i = 0; i < c->threads; i++)
		r->touches += workers[i].touches;
	return 0;
}

/* The measured part of one round. */
static int
measure(struct workload *load, struct worker *workers, uint64_t touches, double seconds,
	struct workload_result *r)
{
	struct meter before, after;
	int error = meter_read(load, &before);

	if (!error)
		error = load->config->scenario->kind == SCENARIO_PAGEOUT
			    ? measure_page_out(load, r)
			    : measure_touches(load, workers, touches, seconds, r);
	if (error)
		return error;
	error = meter_read(load, &after);
	meter_difference(&before, &after, r);
	return error;
}

/* Scenarios that measure in rounds, each of which needs preparation outside of the clock. */
static int
measure_rounds(struct workload *load, struct worker *workers, struct workload_result *r)
{
	const struct workload_config *c = load->config;
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
		error = measure(load, workers, cooled ? c->touches : 0, left, r);
		now = clock_now_ns();
		again = !error && now < end_ns && !(c->scenario->flags & SCENARIO_ONCE) &&
			!(c->touches && r->touches >= c->touches);
		if (!cooled && again) {
			error = memory_free(load);
			if (!error)
				error = memory_allocate(load);
			if (!error && c->scenario->kind == SCENARIO_PAGEOUT)
				phase_run(workers, workload_fill, 0, 0);
		}
	} while (again && !error);
	return error;
}

static int
run_phases(struct workload *load, struct worker *workers, struct workload_result *r)
{
	const struct workload_config *c = load->config;
	enum scenario_kind kind = c->scenario->kind;
	bool rounds = kind == SCENARIO_FILL || kind == SCENARIO_COOLED || kind == SCENARIO_PAGEOUT;
	double warm_s = c->seconds * WARM_SHARE;
	int error = memory_allocate(load);

	if (error)
		return error;
	if (kind != SCENARIO_FILL)
		r->fill_per_page_ns =
		    (double)phase_run(workers, workload_fill, 0, 0) * c->threads / (double)c->units;
	if (!rounds && kind != SCENARIO_STORED)
		phase_run(workers, workload_touch, warm_s, c->touches);
	/* A page-out has no touches to be timed. */
	for (unsigned i = 0; i < c->threads && kind != SCENARIO_PAGEOUT; i++) {
		workers[i].touch = calloc(1, sizeof(*workers[i].touch));
		if (!workers[i].touch)
			return -ENOMEM;
	}
	error = rounds ? measure_rounds(load, workers, r)
		       : measure(load, workers, c->touches, c->seconds, r);
	if (error)
		return error;
	for (unsigned i = 0; i < c->threads && workers[i].touch; i++)
		histogram_merge(&r->touch, workers[i].touch);
	r->generate_ns = (double)ticks_to_ns(load->generate_ticks);
	r->per_page_ns = r->touches ? r->wall_s * 1e9 / (double)r->touches : 0.0;
	if (kind != SCENARIO_PAGEOUT)
		r->per_page_ns *= c->threads;
	if (kind == SCENARIO_FILL)
		r->per_page_ns =
		    r->per_page_ns > r->generate_ns ? r->per_page_ns - r->generate_ns : 0.0;
	if (c->ops->daemon_pid(load->backend))
		r->daemon_private_bytes = process_private_bytes(c->ops->daemon_pid(load->backend));
	phase_run(workers, workload_verify, 0, 0);
	for (uint64_t i = 0; i < c->units; i++)
		r->bad_pages += (atomic_load(&load->generation[i]) & GENERATION_BAD) != 0;
	if (c->verified)
		error = c->verified(c->verified_context);
	return error ? error : memory_free(load);
}

int
workload_run(const struct workload_config *c, struct workload_result *ret)
{
	size_t generation_bytes = c->units * sizeof(_Atomic uint32_t);
	struct workload load = {.config = c, .object = mix64(c->seed)};
	struct worker *workers = calloc(c->threads, sizeof(*workers));
	int error = 0;

	load.generation = mmap(NULL, generation_bytes, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (!workers || load.generation == MAP_FAILED) {
		free(workers);
		return -ENOMEM;
	}
	for (unsigned i = 0; i < c->threads; i++) {
		workers[i].workload = &load;
		workers[i].id = i;
		workers[i].rng.state = mix64(c->seed ^ mix64(i + 1));
	}
	if (c->scenario->kind == SCENARIO_ZIPF)
		zipf_init(&load.zipf, c->units, 0.99);
	load.generate_ticks = generate_calibrate(c->pool);
	memset(ret, 0, sizeof(*ret));
	ret->scale = c->scenario->flags & SCENARIO_BATCHED ? 1.0 / WORKLOAD_BATCH : 1.0;
	error = c->ops->open(c->socket, &load.backend);
	if (!error) {
		if (c->gate)
			error = c->gate(c->gate_context);
		if (!error)
			error = run_phases(&load, workers, ret);
		c->ops->close(load.backend);
	}
	for (unsigned i = 0; i < c->threads; i++)
		free(workers[i].touch);
	free(workers);
	munmap((void *)load.generation, generation_bytes);
	return error;
}
