/* SPDX-License-Identifier: MIT
 *
 * `pagerbench shared`: what it costs to take pages out that several processes have mapped, against
 * pages that one has, in the same run. Each round writes both objects, has all sharers touch every
 * page of the shared one, and times PAGEOUT of each, one after the other.
 */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "descriptors.h"
#include "pager/pager.h"
#include "pattern.h"
#include "private_daemon.h"
#include "spread.h"
#include "ticks.h"

enum { SHARERS = 8, ROUNDS = 9 };
#define SHARED_BYTES (32ull << 20)
#define SHARED_UNITS (SHARED_BYTES / UNIT_BYTES)

struct sharer {
	pid_t pid;
	int socket;
};

/* A sharer: touches every page when it is told to, and answers with how many were wrong. */
static void
sharer_main(const char *path, int socket)
{
	int fd = descriptor_take(socket);
	struct pager *p;
	uint32_t round;
	void *base;

	if (fd < 0 || pager_connect(path, NULL, &p) != 0 ||
	    pager_map_entry(p, fd, 0, SHARED_BYTES, PROT_READ | PROT_WRITE, 0, &base) != 0)
		_exit(EXIT_FAILURE);
	while (read(socket, &round, sizeof(round)) == sizeof(round)) {
		uint32_t bad = 0;

		for (uint64_t i = 0; i < SHARED_UNITS; i++)
			bad += !page_check((char *)base + i * UNIT_BYTES, 2, i, round);
		if (write(socket, &bad, sizeof(bad)) != sizeof(bad))
			break;
	}
	_exit(EXIT_SUCCESS);
}

static bool
sharer_start(struct sharer *s, const char *path)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	s->pid = fork();
	if (s->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		sharer_main(path, pair[1]);
	}
	close(pair[1]);
	s->socket = pair[0];
	return s->pid > 0;
}

/* => nanoseconds a page, or -1 */
static double
evict(struct pager *p, void *base)
{
	uint64_t start = ticks_now();

	if (pager_behavior(p, base, SHARED_BYTES, PAGER_BEHAVIOR_PAGEOUT) != 0)
		return -1;
	return (double)ticks_to_ns(ticks_now() - start) / (double)SHARED_UNITS;
}

/* => 0, or EXIT_FAILURE after a message */
static int
round_run(struct pager *p, struct sharer *sharers, void *own, void *shared, const struct pool *pool,
    uint32_t round, double *ret_own, double *ret_shared)
{
	for (uint64_t i = 0; i < SHARED_UNITS; i++) {
		page_fill((char *)own + i * UNIT_BYTES, 1, i, round, pool);
		page_fill((char *)shared + i * UNIT_BYTES, 2, i, round, pool);
	}
	for (unsigned i = 0; i < SHARERS - 1; i++) {
		uint32_t bad = 1;

		if (write(sharers[i].socket, &round, sizeof(round)) != sizeof(round) ||
		    read(sharers[i].socket, &bad, sizeof(bad)) != sizeof(bad) || bad) {
			fprintf(stderr, "pagerbench: sharer %u found %u wrong pages, or ended\n", i,
			    bad);
			return EXIT_FAILURE;
		}
	}
	/* The order alternates, for what the first leaves behind. */
	if (round % 2)
		*ret_own = evict(p, own);
	*ret_shared = evict(p, shared);
	if (round % 2 == 0)
		*ret_own = evict(p, own);
	return *ret_own < 0 || *ret_shared < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int
shared_run(const char *path, const struct options *o)
{
	struct sharer sharers[SHARERS - 1] = { 0 };
	double own_ns[ROUNDS], shared_ns[ROUNDS];
	void *own = NULL, *shared = NULL;
	struct pager *p = NULL;
	struct pool pool;
	int fd = -1, result = EXIT_FAILURE;
	bool good = pool_create(&pool, POOL_HALF, 4096, o->seed) == 0;

	for (unsigned i = 0; i < SHARERS - 1 && good; i++)
		good = sharer_start(&sharers[i], path);
	good = good && pager_connect(path, NULL, &p) == 0 &&
	       pager_allocate(p, SHARED_BYTES, PAGER_ALLOC_SHAREABLE, &own) == 0 &&
	       pager_allocate(p, SHARED_BYTES, PAGER_ALLOC_SHAREABLE, &shared) == 0 &&
	       pager_make_entry(p, shared, SHARED_BYTES, PROT_READ | PROT_WRITE, 0, &fd) == 0;
	for (unsigned i = 0; i < SHARERS - 1 && good; i++)
		good = descriptor_give(sharers[i].socket, fd);
	if (!good)
		fprintf(stderr, "pagerbench: the sharers could not be set up\n");
	for (uint32_t round = 0; round < ROUNDS && good; round++)
		good = round_run(p, sharers, own, shared, &pool, round + 1, &own_ns[round],
			   &shared_ns[round]) == EXIT_SUCCESS;
	if (good) {
		struct spread one = spread_of(own_ns, ROUNDS), many = spread_of(shared_ns, ROUNDS);

		printf("eviction of a page, %u rounds: mapped by 1 %.0f ns, by %d %.0f ns "
		       "(medians): ratio %.2f\n",
		    (unsigned)ROUNDS, one.median, SHARERS, many.median, many.median / one.median);
		result = EXIT_SUCCESS;
	}
	/* A later sharer has inherited the earlier ones' sockets: all are closed before any is
	 * waited for. */
	for (unsigned i = 0; i < SHARERS - 1; i++)
		if (sharers[i].pid > 0)
			close(sharers[i].socket);
	for (unsigned i = 0; i < SHARERS - 1; i++)
		if (sharers[i].pid > 0)
			waitpid(sharers[i].pid, NULL, 0);
	if (fd >= 0)
		close(fd);
	if (p)
		pager_disconnect(p);
	pool_close(&pool);
	return result;
}

int
shared_command(const struct options *o)
{
	struct private_daemon daemon;
	struct private_daemon_config config = { .program = o->daemon,
		.directory = o->directory,
		.memory_bytes = 6 * SHARED_BYTES,
		.page_size = o->page_size };
	unsigned failures = 1;
	int result;

	if (private_daemon_start(&config, &daemon) != 0)
		return EXIT_FAILURE;
	result = shared_run(daemon.socket, o);
	if (private_daemon_check(daemon.socket, &failures) != 0 || failures > 0)
		result = EXIT_FAILURE;
	if (private_daemon_stop(&daemon) != 0)
		result = EXIT_FAILURE;
	return result;
}
