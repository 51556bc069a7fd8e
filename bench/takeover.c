/* SPDX-License-Identifier: MIT
 *
 * `pagerbench takeover`: a daemon of its own under a keeper, threads that read and write pages at
 * random, and a worker that is killed again and again at moments nobody has chosen. What counts is
 * that no page is wrong, that no touch waits for ever, and how long one waits.
 */
#include "takeover_touch.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "options.h"
#include "pager/pager.h"
#include "pattern.h"
#include "private_daemon.h"
#include "process.h"
#include "report.h"
#include "spread.h"

#define RATIO_DEFAULT   4.0
#define THREADS_DEFAULT 2u
#define KILLS_DEFAULT   50u
/* A worker lives so long at most, once it has served. */
#define LIFE_MOST_NS 500000000u
/* Nobody touches resident pages only so often when most pages are not: then the successor serves.
 */
#define GOES_ON_TOUCHES 64u
/* Whoever waits longer waits for ever. */
#define HANG_NS          30000000000u
#define TARGET_MEDIAN_MS 500.0
#define TARGET_MOST_MS   2000.0

struct takeover {
	const struct options *options;
	struct private_daemon daemon;
	struct touchers touchers;
	struct rng rng;
	unsigned kills, done, hangs, check_failures;
	struct pager_statistics statistics;
	double *waits_ms; /* [kills] */
};

static void
pause_ns(uint64_t ns)
{
	const struct timespec pause = { (time_t)(ns / 1000000000u), (long)(ns % 1000000000u) };

	nanosleep(&pause, NULL);
}

/* => the keeper's child; 0: it has none now */
static pid_t
worker_now(const struct private_daemon *daemon)
{
	char path[64], text[32];

	snprintf(
	    path, sizeof(path), "/proc/%d/task/%d/children", (int)daemon->pid, (int)daemon->pid);
	return file_read(path, text, sizeof(text)) == 0 ? (pid_t)atoi(text) : 0;
}

/* => false: it takes too long */
static bool
all_go_on(const struct touchers *t)
{
	uint64_t before[TOUCHERS_MOST], until_ns = clock_now_ns() + HANG_NS;

	touchers_look(t, before);
	while (!touchers_went_on(t, before, GOES_ON_TOUCHES)) {
		if (clock_now_ns() > until_ns)
			return false;
		pause_ns(1000000);
	}
	return true;
}

/* => whether the threads went on */
static bool
kill_once(struct takeover *w)
{
	struct touchers *t = &w->touchers;
	pid_t worker;

	pause_ns(rng_below(&w->rng, LIFE_MOST_NS));
	worker = worker_now(&w->daemon);
	if (worker <= 0) {
		fprintf(stderr, "pagerbench: the keeper has no worker\n");
		return false;
	}
	touchers_kill_comes(t);
	kill(worker, SIGKILL);
	if (!all_go_on(t)) {
		w->hangs++;
		return false;
	}
	w->waits_ms[w->done++] = (double)touchers_longest_ns(t) / 1e6;
	return true;
}

static json_object *
result_json(const struct takeover *w, const struct spread *waits)
{
	const struct touchers *t = &w->touchers;
	json_object *object = json_object_new_object(), *list = json_object_new_array();
	uint64_t touches = 0;

	for (unsigned i = 0; i < t->count; i++)
		touches += atomic_load(&t->threads[i].touches);
	for (unsigned i = 0; i < w->done; i++)
		json_object_array_add(list, json_number(w->waits_ms[i], 3));
#define ADD(NAME, VALUE)                                                                           \
	json_object_object_add(object, NAME, json_object_new_int64((int64_t)(VALUE)))
	ADD("memory_bytes", w->options->memory_bytes);
	ADD("working_set_bytes", t->units * UNIT_BYTES);
	ADD("threads", t->count);
	ADD("touches", touches);
	ADD("kills", w->done);
	ADD("bad_pages", atomic_load(&t->bad) + atomic_load(&t->poisoned));
	ADD("poisoned", atomic_load(&t->poisoned));
	ADD("hangs", w->hangs);
	ADD("check_failures", w->check_failures);
	ADD("takeovers", w->statistics.takeovers);
	ADD("takeover_ns", w->statistics.takeover_ns);
#undef ADD
	json_object_object_add(object, "wait_least_ms", json_number(waits->min, 3));
	json_object_object_add(object, "wait_median_ms", json_number(waits->median, 3));
	json_object_object_add(object, "wait_most_ms", json_number(waits->max, 3));
	json_object_object_add(object, "waits_ms", list);
	return object;
}

static void
result_text(const struct takeover *w, const struct spread *waits)
{
	const struct touchers *t = &w->touchers;

	printf("%u kills of the worker under %u threads, %llu MiB of pages in %llu MiB\n"
	       "bad_pages %llu, hangs %u, check_failures %u\n"
	       "takeovers %llu, which took the daemon %.1f ms each\n"
	       "the longest wait of a touch at a kill: median %.1f ms (target %.0f), most %.1f ms "
	       "(target %.0f), least %.1f ms\n",
	    w->done, t->count, (unsigned long long)(t->units * UNIT_BYTES >> 20),
	    (unsigned long long)(w->options->memory_bytes >> 20),
	    (unsigned long long)(atomic_load(&t->bad) + atomic_load(&t->poisoned)), w->hangs,
	    w->check_failures, (unsigned long long)w->statistics.takeovers,
	    w->statistics.takeovers
		? (double)w->statistics.takeover_ns / 1e6 / (double)w->statistics.takeovers
		: 0.0,
	    waits->median, TARGET_MEDIAN_MS, waits->max, TARGET_MOST_MS, waits->min);
}

/* => the exit status */
static int
result_show(const struct takeover *w)
{
	const struct spread waits = spread_of(w->waits_ms, w->done);
	const struct touchers *t = &w->touchers;

	if (w->options->json) {
		json_object *object = result_json(w, &waits);

		json_print(object);
		json_object_put(object);
	} else {
		result_text(w, &waits);
	}
	if (w->done < w->kills || w->hangs || w->check_failures || atomic_load(&t->bad) ||
	    atomic_load(&t->poisoned))
		return EXIT_FAILURE;
	return w->options->strict && (waits.median > TARGET_MEDIAN_MS || waits.max > TARGET_MOST_MS)
		   ? 3
		   : EXIT_SUCCESS;
}

static int
takeover_run(struct takeover *w)
{
	struct touchers *t = &w->touchers;
	struct pager *pager;
	void *base;
	int error = pager_connect(w->daemon.socket, NULL, &pager), status;

	if (!error)
		error = pager_allocate(pager, t->units * UNIT_BYTES, 0, &base);
	if (!error) {
		t->base = base;
		error = touchers_start(t);
	}
	if (error) {
		fprintf(stderr, "pagerbench: the client cannot be started: %s\n", strerror(-error));
		return EXIT_FAILURE;
	}
	if (!all_go_on(t))
		w->hangs++;
	while (w->done < w->kills && w->hangs == 0 && kill_once(w))
		continue;
	if (w->hangs == 0) {
		touchers_stop(t);
		if (private_daemon_check(w->daemon.socket, &w->check_failures) != 0)
			w->check_failures = 1;
		if (pager_statistics(pager, &w->statistics) != 0)
			w->check_failures++;
	}
	status = result_show(w);
	if (w->hangs == 0)
		pager_disconnect(pager);
	return status;
}

int
takeover_command(const struct options *o)
{
	struct private_daemon_config config = { .program = o->daemon,
		.directory = o->directory,
		.memory_bytes = o->memory_bytes,
		.page_size = o->page_size,
		.more_config = o->daemon_config,
		.under_keeper = true };
	struct takeover *w = calloc(1, sizeof(*w));
	uint64_t bytes =
	    o->working_set_bytes
		? o->working_set_bytes
		: (uint64_t)((double)o->memory_bytes * (o->ratio > 0 ? o->ratio : RATIO_DEFAULT));
	int status;

	if (!w)
		return EXIT_FAILURE;
	w->options = o;
	w->kills = o->kills ? o->kills : KILLS_DEFAULT;
	w->rng.state = o->seed;
	w->waits_ms = calloc(w->kills, sizeof(*w->waits_ms));
	w->touchers.count = o->threads ? o->threads : THREADS_DEFAULT;
	w->touchers.seed = o->seed;
	w->touchers.units = bytes / UNIT_BYTES;
	if (!w->waits_ms || w->touchers.count > TOUCHERS_MOST ||
	    w->touchers.units < w->touchers.count) {
		fprintf(
		    stderr, "pagerbench: at most %u threads, and a page for each\n", TOUCHERS_MOST);
		return 2;
	}
	if (private_daemon_start(&config, &w->daemon) != 0)
		return EXIT_FAILURE;
	status = takeover_run(w);
	if (status == EXIT_FAILURE)
		private_daemon_show_log(&w->daemon);
	if (private_daemon_stop(&w->daemon) != 0)
		status = EXIT_FAILURE;
	free(w->waits_ms);
	free(w);
	return status;
}
