/* SPDX-License-Identifier: MIT
 *
 * `pagerbench first-write`: the first write to each page of memory that has been copied virtually,
 * beside the kernel's own copy-on-write after fork(2), in turns. What was copied from (the source)
 * is written in the order of addresses and at random, and the copy (its holder) in the order of
 * addresses. After each round all pages of both sides are checked.
 */
#include "options.h"

#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pager/pager.h"
#include "pattern.h"
#include "private_daemon.h"
#include "rng.h"
#include "spread.h"
#include "ticks.h"

enum { ROUNDS = 5 };
#define SIDE_BYTES (32ull << 20)
#define SIDE_UNITS (SIDE_BYTES / UNIT_BYTES)

enum row { SOURCE_RUNS, SOURCE_RANDOM, HOLDER_RUNS, ROWS };
static const struct {
	const char *name;
	bool is_random, is_holder;
	double limit; /* of the time of a page beside the kernel's */
} rows[ROWS] = {
	[SOURCE_RUNS] = { "source-runs", false, false, 2 },
	[SOURCE_RANDOM] = { "source-random", true, false, 6 },
	[HOLDER_RUNS] = { "holder-runs", false, true, 3 },
};

/* Memory that has been copied, or is to be. */
struct memory {
	char *base;
	uint64_t stride, count; /* from one page that is written to the next; pages */
	uint64_t seed;          /* of the random order */
	const struct pool *pool;
};

/* Other sides of the test. */
struct first_write {
	struct pager *pager;
	struct memory source, copy;
	int socket; /* to the process that has the kernel's memory */
	pid_t plain;
	double ns[ROWS][2][ROUNDS]; /* of a page: the daemon's, the kernel's */
};

static void
memory_fill(const struct memory *m, uint32_t generation)
{
	for (uint64_t i = 0; i < m->count; i++)
		page_fill(m->base + i * m->stride, 1, i, generation, m->pool);
}

static bool
memory_verify(const struct memory *m, uint32_t generation)
{
	for (uint64_t i = 0; i < m->count; i++)
		if (!page_verify(m->base + i * m->stride, 1, i, generation, m->pool)) {
			fprintf(stderr, "pagerbench: page %llu is not what it was\n",
			    (unsigned long long)i);
			return false;
		}
	return true;
}

/* => nanoseconds a page */
static double
memory_write(const struct memory *m, bool is_random, uint32_t generation)
{
	uint64_t start = ticks_now();

	for (uint64_t i = 0; i < m->count; i++)
		page_set_generation(
		    m->base + (is_random ? permute(i, m->count, m->seed) : i) * m->stride,
		    generation);
	return (double)ticks_to_ns(ticks_now() - start) / (double)m->count;
}

/* --- the kernel's own --- */

struct order {
	enum row row;
	uint32_t generation; /* what is there; the next one is written */
};

/* The child writes, or keeps what it has until it is ended. */
static double
plain_write(const struct memory *m, struct order order)
{
	uint32_t written = order.generation + 1;
	double ns = -1;
	int ends[2];
	char byte = 0;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -1;
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		if (rows[order.row].is_holder)
			ns = memory_write(m, rows[order.row].is_random, written);
		if (write(ends[1], &ns, sizeof(ns)) != sizeof(ns) || read(ends[1], &byte, 1) != 0)
			_exit(EXIT_FAILURE);
		_exit(EXIT_SUCCESS);
	}
	close(ends[1]);
	if (child > 0 && read(ends[0], &ns, sizeof(ns)) == sizeof(ns) && !rows[order.row].is_holder)
		ns = memory_write(m, rows[order.row].is_random, written);
	close(ends[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	return ns;
}

/* A process of its own, whose forks concern no pager. */
static void
plain_main(struct memory m, int socket)
{
	struct order order;

	m.base = mmap(NULL, SIDE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (m.base == MAP_FAILED)
		_exit(EXIT_FAILURE);
	(void)madvise(m.base, SIDE_BYTES, MADV_NOHUGEPAGE);
	m.stride = UNIT_BYTES;
	while (read(socket, &order, sizeof(order)) == sizeof(order)) {
		double ns;

		memory_fill(&m, order.generation);
		ns = plain_write(&m, order);
		if (write(socket, &ns, sizeof(ns)) != sizeof(ns))
			break;
	}
	_exit(EXIT_SUCCESS);
}

static bool
plain_start(struct first_write *t)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	t->plain = fork();
	if (t->plain == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		plain_main(t->source, pair[1]);
	}
	close(pair[1]);
	t->socket = pair[0];
	return t->plain > 0;
}

static bool
plain_ask(struct first_write *t, struct order order, double *ret_ns)
{
	return write(t->socket, &order, sizeof(order)) == sizeof(order) &&
	       read(t->socket, ret_ns, sizeof(*ret_ns)) == sizeof(*ret_ns) && *ret_ns > 0;
}

/* --- the daemon's --- */

static bool
paged_write(struct first_write *t, struct order order, double *ret_ns)
{
	bool is_holder = rows[order.row].is_holder;
	const struct memory *written = is_holder ? &t->copy : &t->source,
			    *kept = is_holder ? &t->source : &t->copy;
	int error;

	memory_fill(&t->source, order.generation);
	error =
	    pager_copy(t->pager, t->source.base, t->source.count * t->source.stride, t->copy.base);
	if (error) {
		fprintf(stderr, "pagerbench: cannot copy: %s\n", strerror(-error));
		return false;
	}
	*ret_ns = memory_write(written, rows[order.row].is_random, order.generation + 1);
	return memory_verify(kept, order.generation) &&
	       memory_verify(written, order.generation + 1);
}

static bool
round_run(struct first_write *t, unsigned round)
{
	for (unsigned i = 0; i < ROWS; i++) {
		struct order order = { (enum row)i, 1 + 2 * (ROWS * round + i) };
		bool good;

		/* The order alternates, for what the first leaves behind. */
		if (round % 2)
			good = plain_ask(t, order, &t->ns[i][1][round]) &&
			       paged_write(t, order, &t->ns[i][0][round]);
		else
			good = paged_write(t, order, &t->ns[i][0][round]) &&
			       plain_ask(t, order, &t->ns[i][1][round]);
		if (!good)
			return false;
	}
	return true;
}

static void
show(const struct first_write *t, bool json)
{
	struct json_object *array = json ? json_object_new_array() : NULL;

	for (unsigned i = 0; i < ROWS; i++) {
		double ratios[ROUNDS];
		size_t n = ratios_of(t->ns[i][0], t->ns[i][1], ROUNDS, ratios);
		struct spread ratio = spread_of(ratios, n), ours = spread_of(t->ns[i][0], ROUNDS),
			      kernel = spread_of(t->ns[i][1], ROUNDS);
		bool met = ratio.median <= rows[i].limit;
		struct json_object *object;

		if (!json) {
			printf("%-14s %6.0f ns a page, the kernel's own copy-on-write %6.0f: ratio "
			       "%.2f (%.2f-%.2f) limit %.0f: %s\n",
			    rows[i].name, ours.median, kernel.median, ratio.median, ratio.min,
			    ratio.max, rows[i].limit, met ? "met" : "missed");
			continue;
		}
		object = json_object_new_object();
		json_object_object_add(object, "name", json_object_new_string(rows[i].name));
		json_object_object_add(object, "page_ns", json_object_new_double(ours.median));
		json_object_object_add(
		    object, "kernel_page_ns", json_object_new_double(kernel.median));
		json_object_object_add(object, "ratio", json_object_new_double(ratio.median));
		json_object_object_add(object, "ratio_min", json_object_new_double(ratio.min));
		json_object_object_add(object, "ratio_max", json_object_new_double(ratio.max));
		json_object_object_add(object, "limit", json_object_new_double(rows[i].limit));
		json_object_object_add(object, "met", json_object_new_boolean(met));
		json_object_array_add(array, object);
	}
	if (json)
		printf("%s\n", json_object_to_json_string_ext(array, JSON_C_TO_STRING_PRETTY));
	json_object_put(array);
}

static int
first_write_run(struct first_write *t, const char *path, const struct options *o)
{
	bool good = plain_start(t) && pager_connect(path, NULL, &t->pager) == 0;
	struct pager_statistics s;
	void *source, *copy;

	good = good && pager_statistics(t->pager, &s) == 0 &&
	       pager_allocate(t->pager, SIDE_BYTES, 0, &source) == 0 &&
	       pager_allocate(t->pager, SIDE_BYTES, 0, &copy) == 0;
	if (!good) {
		fprintf(stderr, "pagerbench: no memory from the daemon\n");
	} else {
		/* A write for each page of the daemon. */
		t->source.stride = s.page_size;
		t->source.count = SIDE_BYTES / t->source.stride;
		t->source.base = source;
		t->copy = t->source;
		t->copy.base = copy;
	}
	for (unsigned round = 0; round < ROUNDS && good; round++)
		good = round_run(t, round);
	if (good)
		show(t, o->json);
	if (t->pager)
		pager_disconnect(t->pager);
	if (t->plain > 0) {
		close(t->socket);
		waitpid(t->plain, NULL, 0);
	}
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
first_write_command(const struct options *o)
{
	struct private_daemon daemon;
	struct private_daemon_config config = { .program = o->daemon,
		.directory = o->directory,
		.memory_bytes = 8 * SIDE_BYTES,
		.page_size = o->page_size };
	struct pool pool;
	struct first_write t = { .socket = -1 };
	unsigned failures = 1;
	int result = EXIT_FAILURE;

	if (private_daemon_start(&config, &daemon) != 0)
		return EXIT_FAILURE;
	if (pool_create(&pool, POOL_HALF, 4096, o->seed) == 0) {
		t.source = (struct memory){
			.stride = UNIT_BYTES, .count = SIDE_UNITS, .seed = o->seed, .pool = &pool
		};
		result = first_write_run(&t, daemon.socket, o);
		pool_close(&pool);
	}
	if (private_daemon_check(daemon.socket, &failures) != 0 || failures > 0)
		result = EXIT_FAILURE;
	if (private_daemon_stop(&daemon) != 0)
		result = EXIT_FAILURE;
	return result;
}
