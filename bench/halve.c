/* SPDX-License-Identifier: MIT
 *
 * `pagerbench halve`: clients that know what each of their pages must hold write and read them at
 * random, while the daemon is told to hold half as much memory, and then as much as before. What it
 * really holds is looked at from outside, in the blocks of its memfds.
 */
#include "options.h"

#include <dirent.h>
#include <errno.h>
#include <json-c/json.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "chan.h"
#include "pager/pager.h"
#include "pattern.h"
#include "private_daemon.h"
#include "rng.h"
#include "ticks.h"

enum { LOADERS = 3 };
#define HALVE_MEMORY (128ull << 20)
/* What the clients have together, as a multiple of memory. */
#define HALVE_RATIO 2.0
/* The audit must follow within this time. */
#define TARGET_MS 5000.0
/* Beyond the size there may be a page for each thread that fills one. */
#define SLACK_BYTES (1ull << 20)

struct scene {
	_Atomic unsigned ready, ended, bad;
	_Atomic bool over;
	_Atomic uint64_t touches[LOADERS];
};

struct halve {
	const struct options *options;
	const struct private_daemon *daemon;
	struct pool pool;
	struct scene *scene;
	struct chan chan;
	pid_t clients[LOADERS];
	uint64_t memory, load; /* bytes; load: of each client */
};

struct row {
	const char *what;
	uint64_t bytes;     /* that the daemon is to hold */
	double ms;          /* until it did; below 0: not within the time that it was given */
	uint64_t held_most; /* afterwards, in a second */
	uint64_t touches;   /* in that second */
};

static void
pause_ms(unsigned ms)
{
	const struct timespec pause = { .tv_nsec = (long)ms * 1000000 };

	nanosleep(&pause, NULL);
}

/* --- clients --- */

static void
loader_main(const struct halve *h, unsigned number)
{
	const uint64_t units = h->load / UNIT_BYTES;
	uint32_t *known = calloc(units, sizeof(*known));
	struct rng rng = { h->options->seed + number };
	struct scene *s = h->scene;
	struct pager *p;
	void *base;

	if (!known || pager_connect(h->daemon->socket, NULL, &p) != 0 ||
	    pager_allocate(p, h->load, 0, &base) != 0)
		_exit(EXIT_FAILURE);
	for (uint64_t i = 0; i < units; i++)
		page_fill((char *)base + i * UNIT_BYTES, number, i, 0, &h->pool);
	atomic_fetch_add(&s->ready, 1);
	while (!atomic_load(&s->over)) {
		uint64_t i = rng_below(&rng, units);
		char *unit = (char *)base + i * UNIT_BYTES;

		if (!page_check(unit, number, i, known[i]))
			atomic_fetch_add(&s->bad, 1);
		if (rng_below(&rng, 2) == 0)
			page_set_generation(unit, ++known[i]);
		atomic_fetch_add(&s->touches[number], 1);
	}
	for (uint64_t i = 0; i < units; i++)
		if (!page_verify((char *)base + i * UNIT_BYTES, number, i, known[i], &h->pool))
			atomic_fetch_add(&s->bad, 1);
	atomic_fetch_add(&s->ended, 1);
	pager_disconnect(p);
	_exit(EXIT_SUCCESS);
}

static bool
loader_start(struct halve *h, unsigned number)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		loader_main(h, number);
	}
	h->clients[number] = pid;
	return pid > 0;
}

/* => false: a client has ended before */
static bool
wait_for(const struct halve *h, const _Atomic unsigned *count)
{
	while (atomic_load(count) < LOADERS) {
		if (waitpid(-1, NULL, WNOHANG) > 0 && atomic_load(count) < LOADERS &&
		    !atomic_load(&h->scene->over))
			return false;
		pause_ms(1);
	}
	return true;
}

static uint64_t
touches(const struct halve *h)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < LOADERS; i++)
		sum += atomic_load(&h->scene->touches[i]);
	return sum;
}

/* --- the audit --- */

/* Bytes that lie in the daemon's memfds, its tables not included: objects' and the compressor's. */
static uint64_t
held_bytes(const struct halve *h)
{
	char path[64], name[320], target[256];
	uint64_t bytes = 0;
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)h->daemon->pid);
	dir = opendir(path);
	while (dir && (e = readdir(dir)) != NULL) {
		struct stat st;
		ssize_t length;

		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		length = readlink(name, target, sizeof(target) - 1);
		if (length <= 0)
			continue;
		target[length] = '\0';
		if ((strstr(target, "memfd:pagerd-object") ||
			strstr(target, "memfd:pagerd-compressor")) &&
		    stat(name, &st) == 0)
			bytes += (uint64_t)st.st_blocks * 512;
	}
	if (dir)
		closedir(dir);
	return bytes;
}

static bool
memory_set(struct halve *h, uint64_t bytes)
{
	struct pager_req_memory request = { .bytes = bytes };
	struct pager_rep_memory reply;
	struct chan_call call = { CHAN_CALL(MEMORY, &request, &reply) };

	return chan_exchange(&h->chan, &call) == 0 && !reply.is_refused;
}

static bool
is_there(uint64_t held, uint64_t bytes, bool grows)
{
	return grows ? held >= bytes * 9 / 10 : held <= bytes + SLACK_BYTES;
}

/* The daemon is told to hold that much; it is waited for as long as four times the target. */
static bool
row_run(struct halve *h, struct row *row, bool grows)
{
	uint64_t start = ticks_now(), second, before;

	row->ms = -1;
	if (!memory_set(h, row->bytes))
		return false;
	while (row->ms < 0 && (double)ticks_to_ns(ticks_now() - start) < 4e6 * TARGET_MS) {
		if (is_there(held_bytes(h), row->bytes, grows))
			row->ms = (double)ticks_to_ns(ticks_now() - start) / 1e6;
		else
			pause_ms(2);
	}
	second = ticks_now();
	before = touches(h);
	do {
		uint64_t held = held_bytes(h);

		if (held > row->held_most)
			row->held_most = held;
		pause_ms(10);
	} while (ticks_to_ns(ticks_now() - second) < 1000000000u);
	row->touches = touches(h) - before;
	return true;
}

/* --- what it says --- */

static bool
is_met(const struct row *row)
{
	return row->ms >= 0 && row->ms <= TARGET_MS && row->held_most <= row->bytes + SLACK_BYTES;
}

static void
rows_print(const struct halve *h, const struct row *rows, unsigned count)
{
	struct json_object *array = json_object_new_array();

	for (unsigned i = 0; i < count; i++) {
		const struct row *row = &rows[i];
		struct json_object *object = json_object_new_object();

		json_object_object_add(object, "what", json_object_new_string(row->what));
		json_object_object_add(object, "bytes", json_object_new_uint64(row->bytes));
		json_object_object_add(object, "followed_ms", json_object_new_double(row->ms));
		json_object_object_add(
		    object, "held_most_bytes", json_object_new_uint64(row->held_most));
		json_object_object_add(
		    object, "touches_per_second", json_object_new_uint64(row->touches));
		json_object_object_add(object, "met", json_object_new_boolean(is_met(row)));
		json_object_array_add(array, object);
		if (!h->options->json)
			printf("%-7s to %4llu MiB: followed within %.0f ms (%.0f: %s); held at "
			       "most %llu KiB of %llu in the second after it, with %llu touches\n",
			    row->what, (unsigned long long)(row->bytes >> 20), row->ms, TARGET_MS,
			    is_met(row) ? "met" : "missed",
			    (unsigned long long)(row->held_most >> 10),
			    (unsigned long long)(row->bytes >> 10),
			    (unsigned long long)row->touches);
	}
	if (h->options->json)
		printf("%s\n", json_object_to_json_string_ext(array, JSON_C_TO_STRING_PRETTY));
	json_object_put(array);
}

static int
halve_run(struct halve *h)
{
	struct row rows[] = { { .what = "halved", .bytes = h->memory / 2 },
		{ .what = "back", .bytes = h->memory } };
	struct pager_rep_hello hello;
	bool good = true, met = true;

	chan_init(&h->chan);
	for (unsigned i = 0; i < LOADERS && good; i++)
		good = loader_start(h, i);
	good = good && wait_for(h, &h->scene->ready) &&
	       chan_open(&h->chan, h->daemon->socket) == 0 &&
	       chan_hello(&h->chan, PAGER_ROLE_TOOL, "pagerbench", &hello, NULL) == 0;
	for (unsigned i = 0; i < 2 && good; i++) {
		good = row_run(h, &rows[i], i == 1);
		met &= is_met(&rows[i]);
	}
	atomic_store(&h->scene->over, true);
	good = good && wait_for(h, &h->scene->ended);
	chan_close(&h->chan);
	if (good)
		rows_print(h, rows, 2);
	else
		fprintf(stderr, "pagerbench: a client has ended, or memory could not be set\n");
	for (unsigned i = 0; i < LOADERS; i++)
		if (h->clients[i] > 0) {
			kill(h->clients[i], SIGKILL);
			waitpid(h->clients[i], NULL, 0);
		}
	if (atomic_load(&h->scene->bad) > 0) {
		fprintf(stderr, "pagerbench: %u pages are wrong\n", atomic_load(&h->scene->bad));
		return EXIT_FAILURE;
	}
	if (good && !h->options->json)
		printf("%llu pages of %u clients verified: none was lost\n",
		    (unsigned long long)(LOADERS * h->load / UNIT_BYTES), (unsigned)LOADERS);
	return !good ? EXIT_FAILURE : met || !h->options->strict ? EXIT_SUCCESS : 3;
}

int
halve_command(const struct options *o)
{
	struct private_daemon daemon;
	struct private_daemon_config config = { .program = o->daemon,
		.directory = o->directory,
		.memory_bytes = o->memory_given ? o->memory_bytes : HALVE_MEMORY,
		.page_size = o->page_size,
		.more_config = o->daemon_config };
	double ratio = o->ratio > 0 ? o->ratio : HALVE_RATIO;
	struct halve h = { .options = o, .daemon = &daemon, .memory = config.memory_bytes };
	unsigned failures = 1;
	int result = EXIT_FAILURE;

	if (private_daemon_start(&config, &daemon) != 0)
		return EXIT_FAILURE;
	h.load = (uint64_t)((double)h.memory * ratio) / LOADERS >> 20 << 20;
	h.scene =
	    mmap(NULL, sizeof(*h.scene), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (h.scene != MAP_FAILED && h.load > 0 &&
	    pool_create(&h.pool, POOL_HALF, 4096, o->seed) == 0) {
		result = halve_run(&h);
		pool_close(&h.pool);
	}
	if (private_daemon_check(daemon.socket, &failures) != 0 || failures > 0)
		result = EXIT_FAILURE;
	if (private_daemon_stop(&daemon) != 0)
		result = EXIT_FAILURE;
	return result;
}
