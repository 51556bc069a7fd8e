/* SPDX-License-Identifier: MIT
 *
 * `pagerbench fork`: what fork(2) costs a process with paged memory, beside the same on plain
 * memory in the same run, and what many forks leave behind. There are pairs of processes that fork,
 * with a little memory, with memory that fits, and with the whole working set. One of each pair has
 * paged memory, the other one plain memory; they are measured in turn.
 */
#include "options.h"

#include <dirent.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chan.h"
#include "pager/pager.h"
#include "pattern.h"
#include "private_daemon.h"
#include "spread.h"
#include "statread.h"
#include "ticks.h"

#define FORKS_DEFAULT  1000u
#define MEMORY_DEFAULT (256ull << 20)
#define ROUNDS_MAX     100u
#define PROGRAM        "/bin/true"

/* What is measured, in nanoseconds. */
enum measure {
	MEASURE_FORK,  /* fork(2), in the parent */
	MEASURE_EXEC,  /* fork(2), execve(2), and waiting for the program's end */
	MEASURE_TOUCH, /* the child's first touch, of a page that its parent has */
	MEASURES,
};
static const char *const measure_names[] = { "fork", "fork_exec", "first_touch" };

enum order { ORDER_WRITE = MEASURES, ORDER_COUNT };

/* Of each pair the first process has paged memory. */
enum pair { LITTLE, FITS, LARGE, PAIRS };
enum { WORKERS = 2 * PAIRS };
static const char *const pair_names[] = { "little", "fits", "large" };
#define LITTLE_BYTES (1ull << 20)

struct answer {
	uint64_t ns;
	uint32_t descriptors, mappings, zombies; /* ORDER_COUNT */
};

struct worker {
	pid_t pid;
	int socket;
};

/* What many forks could leave. */
struct leftovers {
	int64_t descriptors, mappings, zombies; /* of the process that forks */
	int64_t daemon_descriptors, daemon_mappings;
	int64_t frames, stored, sessions;
};

struct forks {
	const char *path;
	uint64_t bytes[PAIRS];
	unsigned rounds, forks;
	struct worker workers[WORKERS];
	double ns[WORKERS][MEASURES][ROUNDS_MAX];
	pid_t daemon;
	struct chan chan;
	struct statread stats;
	int64_t *values;
	struct leftovers before, after;
};

/* --- a process that forks --- */

/* Entries of /proc/PID/fd, or lines of /proc/PID/maps. */
static uint32_t
descriptors_count(pid_t pid)
{
	char path[40];
	uint32_t count = 0;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	directory = opendir(path);
	while (directory && readdir(directory))
		count++;
	if (directory)
		closedir(directory);
	return count;
}

static uint32_t
mappings_count(pid_t pid)
{
	char path[40];
	uint32_t count = 0;
	FILE *file;
	int c;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	file = fopen(path, "r");
	while (file && (c = getc(file)) != EOF)
		count += c == '\n';
	if (file)
		fclose(file);
	return count;
}

/* As much as is resident at a time of the large one, so that it may be written to when a fork
 * begins, and is resident. */
static void
memory_write(char *base, uint64_t bytes, uint64_t most, uint64_t *seed)
{
	uint64_t first = bytes > most ? bytes - most : 0;

	(*seed)++;
	for (uint64_t at = first; at < bytes; at += UNIT_BYTES)
		*(uint64_t *)(void *)(base + at) = at + *seed;
}

static void
child_main(enum measure what, const char *touched, uint64_t *shared)
{
	static char *const arguments[] = { (char *)(uintptr_t) "true", NULL };
	uint64_t start;

	switch (what) {
	case MEASURE_TOUCH:
		start = ticks_now();
		(void)*(const volatile char *)touched;
		*shared = ticks_to_ns(ticks_now() - start);
		break;
	case MEASURE_EXEC:
		execv(PROGRAM, arguments);
		_exit(EXIT_FAILURE);
	default:
		break;
	}
	_exit(EXIT_SUCCESS);
}

/* => whether the child has ended as it should */
static bool
fork_measure(enum measure what, const char *touched, uint64_t *shared, uint64_t *ret_ns)
{
	uint64_t start = ticks_now(), forked;
	pid_t pid = fork();
	int status;

	forked = ticks_now();
	if (pid == 0)
		child_main(what, touched, shared);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0)
		return false;
	*ret_ns = what == MEASURE_TOUCH  ? *shared
		  : what == MEASURE_EXEC ? ticks_to_ns(ticks_now() - start)
					 : ticks_to_ns(forked - start);
	return true;
}

static void
worker_main(const struct forks *t, unsigned number, int socket)
{
	uint64_t bytes = t->bytes[number / 2], seed = 0;
	uint64_t *shared =
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	bool is_paged = number % 2 == 0;
	struct pager *p = NULL;
	void *base = MAP_FAILED;
	uint32_t order;

	if (is_paged) {
		if (pager_connect(t->path, NULL, &p) != 0 ||
		    pager_allocate(p, bytes, 0, &base) != 0)
			base = MAP_FAILED;
	} else {
		base =
		    mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (base != MAP_FAILED)
			madvise(base, bytes, MADV_NOHUGEPAGE);
	}
	if (shared == MAP_FAILED || base == MAP_FAILED)
		_exit(EXIT_FAILURE);
	memory_write(base, bytes, bytes, &seed);
	order = ORDER_COUNT;
	do {
		struct answer answer = { 0 };
		const char *last = (char *)base + bytes - UNIT_BYTES;

		if (order == ORDER_WRITE) {
			memory_write(base, bytes, t->bytes[FITS], &seed);
		} else if (order == ORDER_COUNT) {
			answer.descriptors = descriptors_count(getpid());
			answer.mappings = mappings_count(getpid());
			while (waitpid(-1, NULL, WNOHANG) > 0)
				answer.zombies++;
		} else if (!fork_measure((enum measure)order, last, shared, &answer.ns)) {
			_exit(EXIT_FAILURE);
		}
		if (write(socket, &answer, sizeof(answer)) != sizeof(answer))
			_exit(EXIT_FAILURE);
	} while (read(socket, &order, sizeof(order)) == sizeof(order));
	if (p)
		pager_disconnect(p);
	_exit(EXIT_SUCCESS);
}

/* --- the process that measures --- */

static bool
worker_do(const struct worker *w, uint32_t order, struct answer *ret)
{
	return write(w->socket, &order, sizeof(order)) == sizeof(order) &&
	       read(w->socket, ret, sizeof(*ret)) == sizeof(*ret);
}

static bool
worker_start(struct forks *t, unsigned number)
{
	struct worker *w = &t->workers[number];
	struct answer answer;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	w->pid = fork();
	if (w->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		worker_main(t, number, pair[1]);
	}
	close(pair[1]);
	w->socket = pair[0];
	/* Its memory has been written. */
	return w->pid > 0 && read(w->socket, &answer, sizeof(answer)) == sizeof(answer);
}

/* A later one has inherited the earlier ones' sockets: all are closed before any is waited for. */
static void
workers_stop(struct forks *t)
{
	for (unsigned i = 0; i < WORKERS; i++)
		if (t->workers[i].pid > 0)
			close(t->workers[i].socket);
	for (unsigned i = 0; i < WORKERS; i++)
		if (t->workers[i].pid > 0)
			waitpid(t->workers[i].pid, NULL, 0);
	memset(t->workers, 0, sizeof(t->workers));
}

/* Both of a pair, in turn; the one with paged memory begins in every other round. */
static bool
pair_measure(struct forks *t, enum pair which)
{
	unsigned paged = 2 * which;
	bool good = worker_start(t, paged) && worker_start(t, paged + 1);

	for (unsigned round = 0; good && round < t->rounds; round++)
		for (unsigned what = 0; good && what < MEASURES; what++)
			for (unsigned i = 0; good && i < 2; i++) {
				unsigned kind = paged + (i + round) % 2;
				struct answer answer = { 0 };

				good = worker_do(&t->workers[kind], ORDER_WRITE, &answer) &&
				       worker_do(&t->workers[kind], what, &answer);
				t->ns[kind][what][round] = (double)answer.ns;
			}
	return good;
}

static int64_t
statistic(const struct forks *t, const char *name)
{
	int index = statread_find(&t->stats, name);

	return index < 0 ? 0 : t->values[index];
}

/* When the daemon has forgotten every child, and has no more descriptors than `most` if it will
 * have: they are closed by and by. */
static bool
leftovers_look(struct forks *t, int64_t most, struct leftovers *ret)
{
	struct answer answer = { 0 };

	if (!worker_do(&t->workers[2 * FITS], ORDER_COUNT, &answer))
		return false;
	for (unsigned tries = 0;; tries++) {
		if (statread_refresh(&t->chan) != 0)
			return false;
		while (statread_snapshot(&t->stats, t->values) != 0)
			continue;
		/* Tools are not counted. */
		if ((statistic(t, "sessions") <= 1 && descriptors_count(t->daemon) <= most) ||
		    tries == 500)
			break;
		usleep(10000);
	}
	*ret = (struct leftovers){ answer.descriptors, answer.mappings, answer.zombies,
		descriptors_count(t->daemon), mappings_count(t->daemon), statistic(t, "internal"),
		statistic(t, "internal_compressed"), statistic(t, "sessions") };
	return true;
}

static bool
many_forks(struct forks *t)
{
	const struct worker *w = &t->workers[2 * FITS];
	struct answer answer;
	bool good = true;

	/* What is opened once is open after the first. */
	for (unsigned i = 0; good && i < MEASURES; i++)
		good = worker_do(w, i, &answer);
	good = good && leftovers_look(t, INT64_MAX, &t->before);
	for (unsigned i = 0; good && i < t->forks; i++)
		good = worker_do(w, i % MEASURES, &answer);
	return good && leftovers_look(t, t->before.daemon_descriptors, &t->after);
}

static bool
forks_begin(struct forks *t)
{
	struct pager_rep_hello hello;

	if (chan_open(&t->chan, t->path) != 0 ||
	    chan_hello(&t->chan, PAGER_ROLE_TOOL, NULL, &hello, NULL) != 0 ||
	    statread_open(&t->chan, &t->stats) != 0)
		return false;
	t->values = calloc(t->stats.count, sizeof(*t->values));
	return t->values != NULL;
}

static void
forks_end(struct forks *t)
{
	workers_stop(t);
	free(t->values);
	if (t->stats.header)
		statread_close(&t->stats);
	chan_close(&t->chan);
}

/* --- the report --- */

/* The median of what paged memory adds, round by round. */
static double
added(const struct forks *t, enum pair which, unsigned what)
{
	double differences[ROUNDS_MAX];

	for (unsigned i = 0; i < t->rounds; i++)
		differences[i] = t->ns[2 * which][what][i] - t->ns[2 * which + 1][what][i];
	return spread_of(differences, t->rounds).median;
}

static void
pair_print(const struct forks *t, enum pair which)
{
	for (unsigned what = 0; what < MEASURES; what++) {
		struct spread own = spread_of(t->ns[2 * which][what], t->rounds),
			      plain = spread_of(t->ns[2 * which + 1][what], t->rounds);

		printf("%5" PRIu64 " MiB  %-12s paged %8.3f ms (%.3f-%.3f)  plain %8.3f ms "
		       "(%.3f-%.3f)  adds %+.3f ms\n",
		    t->bytes[which] >> 20, measure_names[what], own.median / 1e6, own.min / 1e6,
		    own.max / 1e6, plain.median / 1e6, plain.min / 1e6, plain.max / 1e6,
		    added(t, which, what) / 1e6);
	}
}

static void
leftovers_print(const struct forks *t)
{
	const struct leftovers *b = &t->before, *a = &t->after;

	printf("%u forks, before and after: descriptors %" PRId64 " %" PRId64 ", mappings %" PRId64
	       " %" PRId64 ", zombies %" PRId64 " %" PRId64 "; the daemon's descriptors %" PRId64
	       " %" PRId64 ", mappings %" PRId64 " %" PRId64 "; frames %" PRId64 " %" PRId64
	       ", stored %" PRId64 " %" PRId64 ", sessions %" PRId64 " %" PRId64 "\n",
	    t->forks, b->descriptors, a->descriptors, b->mappings, a->mappings, b->zombies,
	    a->zombies, b->daemon_descriptors, a->daemon_descriptors, b->daemon_mappings,
	    a->daemon_mappings, b->frames, a->frames, b->stored, a->stored, b->sessions,
	    a->sessions);
}

static void
json_add(struct json_object *object, const char *key, struct json_object *value)
{
	json_object_object_add(object, key, value);
}

static struct json_object *
spread_json(const double *ns, unsigned count)
{
	struct spread s = spread_of(ns, count);
	struct json_object *object = json_object_new_object();

	json_add(object, "min_ms", json_object_new_double(s.min / 1e6));
	json_add(object, "median_ms", json_object_new_double(s.median / 1e6));
	json_add(object, "max_ms", json_object_new_double(s.max / 1e6));
	return object;
}

static struct json_object *
pair_json(const struct forks *t, enum pair which)
{
	struct json_object *object = json_object_new_object();

	json_add(object, "bytes", json_object_new_uint64(t->bytes[which]));
	for (unsigned what = 0; what < MEASURES; what++) {
		struct json_object *one = json_object_new_object();

		json_add(one, "paged", spread_json(t->ns[2 * which][what], t->rounds));
		json_add(one, "plain", spread_json(t->ns[2 * which + 1][what], t->rounds));
		json_add(one, "adds_ms", json_object_new_double(added(t, which, what) / 1e6));
		json_add(object, measure_names[what], one);
	}
	return object;
}

static struct json_object *
leftovers_json(const struct leftovers *l)
{
	struct json_object *object = json_object_new_object();

	json_add(object, "descriptors", json_object_new_int64(l->descriptors));
	json_add(object, "mappings", json_object_new_int64(l->mappings));
	json_add(object, "zombies", json_object_new_int64(l->zombies));
	json_add(object, "daemon_descriptors", json_object_new_int64(l->daemon_descriptors));
	json_add(object, "daemon_mappings", json_object_new_int64(l->daemon_mappings));
	json_add(object, "frames", json_object_new_int64(l->frames));
	json_add(object, "stored", json_object_new_int64(l->stored));
	json_add(object, "sessions", json_object_new_int64(l->sessions));
	return object;
}

static void
forks_print_json(const struct forks *t)
{
	struct json_object *object = json_object_new_object();

	json_add(object, "rounds", json_object_new_int64(t->rounds));
	for (unsigned i = 0; i < PAIRS; i++)
		json_add(object, pair_names[i], pair_json(t, i));
	json_add(object, "forks", json_object_new_int64(t->forks));
	json_add(object, "before", leftovers_json(&t->before));
	json_add(object, "after", leftovers_json(&t->after));
	printf("%s\n", json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY));
	json_object_put(object);
}

static int
forks_run(struct forks *t, bool json)
{
	bool good;

	chan_init(&t->chan);
	good = forks_begin(t);
	for (unsigned i = 0; i < PAIRS && good; i++) {
		good = pair_measure(t, i) && (i != FITS || many_forks(t));
		workers_stop(t);
	}
	if (!good) {
		fprintf(stderr, "pagerbench: a process that forks, or its child, has failed\n");
	} else if (json) {
		forks_print_json(t);
	} else {
		for (unsigned i = 0; i < PAIRS; i++)
			pair_print(t, i);
		leftovers_print(t);
	}
	forks_end(t);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
fork_command(const struct options *o)
{
	uint64_t memory = o->memory_given ? o->memory_bytes : MEMORY_DEFAULT;
	struct private_daemon daemon;
	struct private_daemon_config config = { .program = o->daemon,
		.directory = o->directory,
		.memory_bytes = memory,
		.page_size = o->page_size,
		.more_config = o->daemon_config };
	unsigned failures = 1;
	struct forks *t = calloc(1, sizeof(*t));
	int result;

	if (!t || private_daemon_start(&config, &daemon) != 0) {
		free(t);
		return EXIT_FAILURE;
	}
	t->path = daemon.socket;
	t->daemon = daemon.pid;
	t->bytes[LITTLE] = LITTLE_BYTES;
	t->bytes[FITS] = memory / 4;
	t->bytes[LARGE] = o->working_set_bytes
			      ? o->working_set_bytes
			      : (uint64_t)((double)memory * (o->ratio > 0 ? o->ratio : 4));
	t->bytes[LARGE] &= ~(uint64_t)(UNIT_BYTES - 1);
	t->forks = o->touches ? (unsigned)o->touches : FORKS_DEFAULT;
	t->rounds = t->forks / 40;
	t->rounds = t->rounds < 5 ? 5 : t->rounds > ROUNDS_MAX ? ROUNDS_MAX : t->rounds;
	result = forks_run(t, o->json);
	if (private_daemon_check(daemon.socket, &failures) != 0 || failures > 0)
		result = EXIT_FAILURE;
	if (private_daemon_stop(&daemon) != 0)
		result = EXIT_FAILURE;
	free(t);
	return result;
}
