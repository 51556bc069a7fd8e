/* SPDX-License-Identifier: MIT
 *
 * `pagerbench greedy`: nine quiet clients touch pages now and then, and all that they have
 * fits. Then a tenth allocates without end, under a limit of a quarter of memory. It is measured
 * when that has taken twice as much as memory holds. How long a touch of the quiet ones takes with
 * it and without it, in the same run, says whether one client can starve the rest.
 */
#include "options.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "chan.h"
#include "histogram.h"
#include "pager/pager.h"
#include "pattern.h"
#include "private_daemon.h"
#include "rng.h"
#include "ticks.h"

enum { QUIET = 9 };
#define GREEDY_MEMORY (256ull << 20)
/* Its limit is a quarter of memory: 64 MiB. */
#define GREEDY_PART 4u
#define GREEDY_STEP (8ull << 20)
/* Percent of memory that the quiet ones have together. */
#define QUIET_PERCENT 56u
/* A touch follows the one before after this time, 200 000 of them a second at most. */
#define QUIET_PAUSE_NS 200000
#define TARGET         1.5

enum phase { PHASE_BEGIN, PHASE_WITHOUT, PHASE_BETWEEN, PHASE_WITH, PHASE_OVER, PHASES };

struct scene {
	_Atomic unsigned phase, ready, bad, ended;
	_Atomic uint64_t greedy_bytes;      /* written by the greedy one */
	_Atomic uint64_t greedy_most_ns;    /* the longest that one page of it has taken */
	struct histogram touches[QUIET][2]; /* without and with it */
};

struct greedy {
	const char *path;
	const struct options *options;
	struct pool pool;
	struct scene *scene;
	pid_t clients[QUIET + 1];
	uint64_t memory, quiet_bytes; /* quiet_bytes: of each */
	uint64_t written[PHASES];
};

static void
pause_ns(long ns)
{
	const struct timespec pause = { .tv_nsec = ns };

	nanosleep(&pause, NULL);
}

/* --- clients --- */

static void
quiet_main(const struct greedy *g, unsigned number)
{
	const uint64_t units = g->quiet_bytes / UNIT_BYTES, overhead = ticks_overhead_ns();
	struct scene *s = g->scene;
	struct pager *p;
	struct rng rng = { g->options->seed + number };
	unsigned phase;
	void *base;

	if (pager_connect(g->path, NULL, &p) != 0 ||
	    pager_allocate(p, g->quiet_bytes, 0, &base) != 0)
		_exit(EXIT_FAILURE);
	for (uint64_t i = 0; i < units; i++)
		page_fill((char *)base + i * UNIT_BYTES, number, i, 0, &g->pool);
	atomic_fetch_add(&s->ready, 1);
	while ((phase = atomic_load(&s->phase)) != PHASE_OVER) {
		uint64_t i = rng_below(&rng, units), start, ns;

		pause_ns(QUIET_PAUSE_NS);
		start = ticks_now();
		if (!page_check((char *)base + i * UNIT_BYTES, number, i, 0))
			atomic_fetch_add(&s->bad, 1);
		ns = ticks_to_ns(ticks_now() - start);
		if (phase == PHASE_WITHOUT || phase == PHASE_WITH)
			histogram_record(&s->touches[number][phase == PHASE_WITH],
			    ns > overhead ? ns - overhead : 0);
	}
	for (uint64_t i = 0; i < units; i++)
		if (!page_verify((char *)base + i * UNIT_BYTES, number, i, 0, &g->pool))
			atomic_fetch_add(&s->bad, 1);
	atomic_fetch_add(&s->ended, 1);
	pager_disconnect(p);
	_exit(EXIT_SUCCESS);
}

/* Takes more and more, and touches no page twice. */
static void
greedy_main(const struct greedy *g)
{
	struct scene *s = g->scene;
	uint64_t page = 0;
	struct pager *p;

	if (pager_connect(g->path, NULL, &p) != 0)
		_exit(EXIT_FAILURE);
	atomic_fetch_add(&s->ready, 1);
	while (atomic_load(&s->phase) < PHASE_BETWEEN)
		pause_ns(1000000);
	while (atomic_load(&s->phase) != PHASE_OVER) {
		void *base;

		if (pager_allocate(p, GREEDY_STEP, 0, &base) != 0)
			_exit(EXIT_FAILURE);
		for (uint64_t i = 0; i < GREEDY_STEP / UNIT_BYTES; i++) {
			uint64_t start = ticks_now(), ns;

			page_fill((char *)base + i * UNIT_BYTES, QUIET, page++, 0, &g->pool);
			ns = ticks_to_ns(ticks_now() - start);
			if (ns > atomic_load(&s->greedy_most_ns))
				atomic_store(&s->greedy_most_ns, ns);
			atomic_fetch_add(&s->greedy_bytes, UNIT_BYTES);
			if (atomic_load(&s->phase) == PHASE_OVER)
				break;
		}
	}
	_exit(EXIT_SUCCESS);
}

static bool
client_start(struct greedy *g, unsigned number)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (number < QUIET)
			quiet_main(g, number);
		greedy_main(g);
	}
	g->clients[number] = pid;
	return pid > 0;
}

/* --- the run --- */

static bool
limit_set(const char *path, pid_t pid, uint64_t bytes)
{
	struct pager_req_limit request = { .pid = (uint32_t)pid, .bytes = bytes };
	struct pager_rep_limit reply;
	struct chan_call call = { CHAN_CALL(LIMIT, &request, &reply) };
	struct pager_rep_hello hello;
	struct chan chan;
	int error;

	chan_init(&chan);
	error = chan_open(&chan, path);
	if (!error)
		error = chan_hello(&chan, PAGER_ROLE_TOOL, "pagerbench", &hello, NULL);
	if (!error)
		error = chan_exchange(&chan, &call);
	chan_close(&chan);
	return error == 0;
}

/* Waits until the condition says yes, or a client has ended. */
static bool
wait_until(const struct greedy *g, bool (*holds)(const struct greedy *g))
{
	while (!holds(g)) {
		int status;
		pid_t ended = waitpid(-1, &status, WNOHANG);

		for (unsigned i = 0; ended > 0 && i <= QUIET; i++)
			if (ended == g->clients[i] && status != 0) {
				fprintf(stderr, "pagerbench: client %u has ended, status %#x\n", i,
				    (unsigned)status);
				return false;
			}
		pause_ns(1000000);
	}
	return true;
}

static bool
all_are_ready(const struct greedy *g)
{
	return atomic_load(&g->scene->ready) == QUIET + 1;
}

static bool
greedy_is_far(const struct greedy *g)
{
	return atomic_load(&g->scene->greedy_bytes) >= 2 * g->memory;
}

static bool
quiet_have_ended(const struct greedy *g)
{
	return atomic_load(&g->scene->ended) == QUIET;
}

static void
measure(struct greedy *g, enum phase phase)
{
	double seconds = g->options->seconds > 0 ? g->options->seconds : 5;

	g->written[phase] = atomic_load(&g->scene->greedy_bytes);
	atomic_store(&g->scene->phase, phase);
	for (double left = seconds; left > 0; left -= 0.1)
		pause_ns(100000000);
	atomic_store(&g->scene->phase, phase + 1);
	g->written[phase] = atomic_load(&g->scene->greedy_bytes) - g->written[phase];
}

static void
times_add(struct json_object *object, const char *name, const struct histogram *h)
{
	struct json_object *times = json_object_new_object();

	json_object_object_add(times, "touches", json_object_new_uint64(h->count));
	json_object_object_add(times, "mean_ns", json_object_new_double(histogram_mean(h)));
	json_object_object_add(
	    times, "p50_ns", json_object_new_uint64(histogram_percentile(h, 0.50)));
	json_object_object_add(
	    times, "p99_ns", json_object_new_uint64(histogram_percentile(h, 0.99)));
	json_object_object_add(
	    times, "p999_ns", json_object_new_uint64(histogram_percentile(h, 0.999)));
	json_object_object_add(times, "max_ns", json_object_new_uint64(h->max_ns));
	json_object_object_add(object, name, times);
}

static void
times_print(const char *name, const struct histogram *h)
{
	printf("%-8s %9llu %10.0f %10llu %10llu %10llu %12llu\n", name,
	    (unsigned long long)h->count, histogram_mean(h),
	    (unsigned long long)histogram_percentile(h, 0.50),
	    (unsigned long long)histogram_percentile(h, 0.99),
	    (unsigned long long)histogram_percentile(h, 0.999), (unsigned long long)h->max_ns);
}

/* => whether the target is met */
static bool
report(const struct greedy *g)
{
	static struct histogram sum[2];
	double seconds = g->options->seconds > 0 ? g->options->seconds : 5, ratio, rate;
	uint64_t p99;

	for (unsigned i = 0; i < QUIET; i++)
		for (unsigned with = 0; with < 2; with++)
			histogram_merge(&sum[with], &g->scene->touches[i][with]);
	p99 = histogram_percentile(&sum[0], 0.99);
	ratio = (double)histogram_percentile(&sum[1], 0.99) / (double)(p99 > 0 ? p99 : 1);
	rate = (double)g->written[PHASE_WITH] / seconds / (1 << 20);
	if (g->options->json) {
		struct json_object *object = json_object_new_object();

		times_add(object, "without", &sum[0]);
		times_add(object, "with", &sum[1]);
		json_object_object_add(object, "p99_ratio", json_object_new_double(ratio));
		json_object_object_add(object, "target", json_object_new_double(TARGET));
		json_object_object_add(object, "met", json_object_new_boolean(ratio <= TARGET));
		json_object_object_add(
		    object, "greedy_mib_per_second", json_object_new_double(rate));
		json_object_object_add(object, "greedy_longest_ns",
		    json_object_new_uint64(atomic_load(&g->scene->greedy_most_ns)));
		printf("%s\n", json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY));
		json_object_put(object);
		return ratio <= TARGET;
	}
	printf("touches of nine quiet clients, ns, without and with one that allocates without end "
	       "under a limit of %llu MiB:\n",
	    (unsigned long long)(g->memory / GREEDY_PART >> 20));
	printf("%-8s %9s %10s %10s %10s %10s %12s\n", "", "TOUCHES", "MEAN", "P50", "P99", "P99.9",
	    "MAX");
	times_print("without", &sum[0]);
	times_print("with", &sum[1]);
	printf("p99: %.2f times as long (%.1f: %s); the greedy one wrote %.0f MiB a second, and "
	       "waited at most %.1f ms for a page\n",
	    ratio, TARGET, ratio <= TARGET ? "met" : "missed", rate,
	    (double)atomic_load(&g->scene->greedy_most_ns) / 1e6);
	return ratio <= TARGET;
}

static int
greedy_run(struct greedy *g)
{
	bool good = true, met = false;

	for (unsigned i = 0; i <= QUIET && good; i++)
		good = client_start(g, i);
	good = good && wait_until(g, all_are_ready) &&
	       limit_set(g->path, g->clients[QUIET], g->memory / GREEDY_PART);
	if (good) {
		measure(g, PHASE_WITHOUT);
		good = wait_until(g, greedy_is_far);
	}
	if (good) {
		measure(g, PHASE_WITH);
		good = wait_until(g, quiet_have_ended);
	}
	if (good)
		met = report(g);
	else
		fprintf(stderr, "pagerbench: a client has ended, or could not be set up\n");
	if (atomic_load(&g->scene->bad) > 0) {
		fprintf(stderr, "pagerbench: %u pages are wrong\n", atomic_load(&g->scene->bad));
		good = false;
	}
	for (unsigned i = 0; i <= QUIET; i++)
		if (g->clients[i] > 0) {
			kill(g->clients[i], SIGKILL);
			waitpid(g->clients[i], NULL, 0);
		}
	return !good ? EXIT_FAILURE : met || !g->options->strict ? EXIT_SUCCESS : 3;
}

int
greedy_command(const struct options *o)
{
	struct private_daemon daemon;
	struct private_daemon_config config = { .program = o->daemon,
		.directory = o->directory,
		.memory_bytes = o->memory_given ? o->memory_bytes : GREEDY_MEMORY,
		.page_size = o->page_size,
		.more_config = o->daemon_config };
	struct greedy g = { .options = o };
	unsigned failures = 1;
	int result = EXIT_FAILURE;

	if (private_daemon_start(&config, &daemon) != 0)
		return EXIT_FAILURE;
	g.path = daemon.socket;
	g.memory = config.memory_bytes;
	g.quiet_bytes = config.memory_bytes * QUIET_PERCENT / 100 / QUIET >> 20 << 20;
	g.scene =
	    mmap(NULL, sizeof(*g.scene), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (g.scene != MAP_FAILED && g.quiet_bytes > 0 &&
	    pool_create(&g.pool, POOL_HALF, 4096, o->seed) == 0) {
		result = greedy_run(&g);
		pool_close(&g.pool);
	}
	if (private_daemon_check(daemon.socket, &failures) != 0 || failures > 0)
		result = EXIT_FAILURE;
	if (private_daemon_stop(&daemon) != 0)
		result = EXIT_FAILURE;
	return result;
}
