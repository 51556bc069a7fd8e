/* SPDX-License-Identifier: MIT */
#include "load.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend.h"
#include "clock.h"
#include "pattern.h"
#include "rng.h"

#define LOAD_TIMEOUT_S 300u /* a client that takes longer is killed */
#define PHASES         8u

struct load {
	const struct policies *plan;
	struct rng rng;
	struct zipf zipf;
	uint64_t position; /* of the scan */
	uint64_t object;   /* what the heads of the pages carry */
	char *base;
	uint32_t *generation;
};

static uint64_t
next_random(struct load *l, uint64_t i)
{
	(void)i;
	return rng_below(&l->rng, l->plan->pages);
}

static uint64_t
next_zipf(struct load *l, uint64_t i)
{
	(void)i;
	return permute(zipf_next(&l->zipf, &l->rng), l->plan->pages, l->plan->seed);
}

/* Four touches of five go to a tenth of the pages; the fifth scans the rest. */
static uint64_t
next_scan(struct load *l, uint64_t i)
{
	uint64_t n = l->plan->pages, hot = n / 10;

	(void)i;
	if (rng_below(&l->rng, 5) > 0)
		return rng_below(&l->rng, hot);
	l->position = (l->position + 1) % (n - hot);
	return hot + l->position;
}

static uint64_t
next_loop(struct load *l, uint64_t i)
{
	return i % l->plan->pages;
}

static uint64_t
next_phase(struct load *l, uint64_t i)
{
	uint64_t each = l->plan->pages / PHASES;

	return i * PHASES / l->plan->touches * each + rng_below(&l->rng, each);
}

static const struct {
	const char *name, *text;
	uint64_t (*next)(struct load *l, uint64_t i);
} loads[] = {
	{ "random", "uniform: all online policies are equal", next_random },
	{ "zipf", "a few pages often (0.99)", next_zipf },
	{ "scan", "a hot tenth and a scan through the rest", next_scan },
	{ "loop", "from end to end, again and again", next_loop },
	{ "phase", "eight working sets, one after the other", next_phase },
};

const char *
load_name(unsigned i)
{
	return i < sizeof(loads) / sizeof(loads[0]) ? loads[i].name : NULL;
}

const char *
load_text(unsigned i)
{
	return loads[i].text;
}

static uint64_t
touch_all(struct load *l, unsigned load)
{
	const struct policies *p = l->plan;
	uint64_t start = clock_now_ns(), bad = 0;

	for (uint64_t i = 0; i < p->touches; i++) {
		uint64_t page = loads[load].next(l, i);
		bool write = p->write_percent && rng_below(&l->rng, 100) < p->write_percent;
		void *unit = l->base + page * UNIT_BYTES;

		bad += !page_check(unit, l->object, page, l->generation[page]);
		if (write)
			page_set_generation(unit, ++l->generation[page]);
	}
	if (bad)
		fprintf(stderr, "pagerbench: %llu touches found wrong content\n",
		    (unsigned long long)bad);
	return clock_now_ns() - start;
}

/* Runs in the client process. */
static int
client_run(
    struct load *l, unsigned load, const char *socket, int to, int from, struct load_result *ret)
{
	const struct policies *p = l->plan;
	size_t bytes = p->pages * UNIT_BYTES;
	struct pool pool;
	void *state, *base;
	char byte = 0;
	int error = pool_open(&pool, p->options->pool_fd);

	if (!error)
		error = backend_pagerd.open(socket, &state);
	if (!error)
		error = backend_pagerd.allocate(state, bytes, 0, &base);
	if (!error)
		error = backend_pagerd.expect_random(state, base, bytes);
	if (error)
		return error;
	l->base = base;
	for (uint64_t i = 0; i < p->pages; i++)
		page_fill(l->base + i * UNIT_BYTES, l->object, i, 0, &pool);
	ret->seconds = 1e-9 * (double)touch_all(l, load);
	if (write(to, &byte, 1) != 1 || read(from, &byte, 1) != 1)
		return -EPIPE;
	for (uint64_t i = 0; i < p->pages; i++)
		ret->bad_pages +=
		    !page_verify(l->base + i * UNIT_BYTES, l->object, i, l->generation[i], &pool);
	backend_pagerd.deallocate(state, base, bytes);
	backend_pagerd.close(state);
	return 0;
}

static void
client_main(const struct policies *p, unsigned load, const char *socket, int to, int from,
    struct load_result *ret)
{
	struct load l = { .plan = p, .rng.state = mix64(p->seed), .object = mix64(p->seed + 1) };

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	alarm(LOAD_TIMEOUT_S);
	l.generation = calloc(p->pages, sizeof(*l.generation));
	zipf_init(&l.zipf, p->pages, 0.99);
	ret->error = l.generation ? client_run(&l, load, socket, to, from, ret) : -ENOMEM;
	_exit(0);
}

/* => 0; -ECHILD: the client ended before its last touch. */
static int
client_watch(int from, int to, int (*done)(void *context), void *context)
{
	char byte;
	int error;

	if (read(from, &byte, 1) != 1)
		return -ECHILD;
	error = done ? done(context) : 0;
	return write(to, "", 1) == 1 ? error : -ECHILD;
}

int
load_run(const struct policies *p, unsigned load, const char *socket, int (*done)(void *context),
    void *context, struct load_result *ret)
{
	struct load_result *shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int up[2], down[2], error, status = 0;
	pid_t pid;

	if (shared == MAP_FAILED || pipe(up) || pipe(down))
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		close(up[0]);
		close(down[1]);
		client_main(p, load, socket, up[1], down[0], shared);
	}
	close(up[1]);
	close(down[0]);
	error = pid < 0 ? -errno : client_watch(up[0], down[1], done, context);
	close(up[0]);
	close(down[1]);
	if (pid > 0)
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	*ret = *shared;
	munmap(shared, sizeof(*shared));
	if (error == -ECHILD && ret->error)
		error = ret->error;
	if (error || status || ret->bad_pages) {
		fprintf(stderr, "pagerbench: workload %s: %s (status %d, %llu bad pages)\n",
		    loads[load].name, strerror(-error), status, (unsigned long long)ret->bad_pages);
		return error ? error : -EIO;
	}
	return 0;
}
