/* SPDX-License-Identifier: MIT
 *
 * One user takes all that the daemon gives to him; another user, and root, still get their share of
 * everything.
 *
 * usage: e_shares sessions|virtual|objects|descriptors|wired
 */
#include "harness.h"

#include <sys/resource.h>
#include <sys/socket.h>

#define MIB    (1ull << 20)
#define NOBODY 65534u

struct meeting {
	_Atomic uint64_t taken; /* set by the greedy client when it has been refused */
	_Atomic bool over;
};

static void
wait_until_over(struct live *d, struct meeting *m, uint64_t taken)
{
	(void)d;
	m->taken = taken;
	while (!m->over)
		usleep(1000);
}

/* The greedy user is nobody, the other one the test's user. */
static void
meet(struct live *d, client_body *greedy, client_body *other)
{
	struct meeting *m = shared_alloc(sizeof(*m));
	pid_t nobody = client_start_as(d, NOBODY, greedy, m);

	WAIT_UNTIL(d, m->taken > 0);
	/* The log says whose share it is. */
	WAIT_UNTIL(d, live_log_count(d, "user 65534 has its share") > 0);
	client_join(d, client_start(d, other, m), true);
	live_check(d);
	m->over = true;
	client_join(d, nobody, true);
}

/* --- connections, some of which say nothing --- */

enum { SESSIONS = 40 };

static void
connects(struct live *d, void *argument)
{
	struct pager *pagers[SESSIONS];
	unsigned n = 0;
	int error = 0;

	for (; n < SESSIONS && !error; n++)
		error = pager_connect(d->socket, NULL, &pagers[n]);
	EQ(error, -EDQUOT);
	EQ(n - 1, SESSIONS * 75 / 100);
	wait_until_over(d, argument, n);
	for (unsigned i = 0; i + 1 < n; i++)
		OK(pager_disconnect(pagers[i]));
}

static void
finds_a_place(struct live *d, void *argument)
{
	(void)argument;
	OK(pager_disconnect(client_connect(d)));
}

static void
says_nothing(struct live *d, void *argument)
{
	struct chan chans[SESSIONS];
	struct pager_rep_hello hello;
	struct meeting *m = argument;
	struct pager *p;
	char byte;

	for (unsigned i = 0; i < SESSIONS; i++) {
		chan_init(&chans[i]);
		OK(chan_open(&chans[i], d->socket));
		/* One connection says hello, and stays. */
		if (i == 0)
			OK(chan_hello(&chans[0], PAGER_ROLE_TOOL, "speaks", &hello, NULL));
	}
	for (unsigned i = 1; i < SESSIONS; i++) {
		/* Closed at once because there is no room, or later because it said nothing in
		 * time. */
		ssize_t got;

		do
			got = recv(chans[i].fd, &byte, 1, 0);
		while (got > 0);
		close(chans[i].fd);
	}
	WAIT_UNTIL(d, pager_connect(d->socket, NULL, &p) == 0);
	OK(pager_disconnect(p));
	EQ(recv(chans[0].fd, &byte, 1, MSG_DONTWAIT), -1);
	EQ(errno, EAGAIN);
	m->taken = 1;
}

static void
test_sessions(void)
{
	struct meeting *m = shared_alloc(sizeof(*m));
	char text[4096];
	struct live d;

	live_start(&d, "16M", "--socket-mode", "0666", "--param", "max_sessions=40", NULL);
	meet(&d, connects, finds_a_place);
	/* The greedy one's places are free again. */
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	live_rest(&d);
	/* Time for a hello on a busy machine. */
	live_param(&d, "hello_seconds", "3");
	client_join(&d, client_start_as(&d, NOBODY, says_nothing, m), true);
	/* All connections except the one that said hello and those that found no room. */
	WAIT_UNTIL(&d, live_stat(&d, "hello_timeouts") >= SESSIONS / 2);
	live_param(&d, "hello_seconds", "60");
	REQUIRE(live_pagerctl(&d, text, sizeof(text), "clients", NULL) == 0, "%s", text);
	live_stop(&d);
}

/* --- allocations --- */

static uint64_t
allocate_all(struct live *d, uint64_t bytes)
{
	struct pager *p = client_connect(d);
	uint64_t n = 0;
	void *at;
	int error;

	while ((error = pager_allocate(p, bytes, 0, &at)) == 0)
		n++;
	EQ(error, -ENOMEM);
	return n;
}

static void
allocates_large(struct live *d, void *argument)
{
	uint64_t n = allocate_all(d, 128 * MIB);

	/* Of a GiB, or of 1024 objects. */
	REQUIRE(n == 6 || n == 768, "%llu allocations of 128 MiB", (unsigned long long)n);
	wait_until_over(d, argument, n);
}

static void
allocates_one(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	volatile uint64_t *at = client_allocate(p, 128 * MIB);

	(void)argument;
	*at = 17;
	EQ(*at, 17);
	OK(pager_disconnect(p));
}

static void
test_virtual(void)
{
	struct live d;

	live_start(&d, "16M", "--socket-mode", "0666", "--param", "max_virtual_bytes=1G", NULL);
	meet(&d, allocates_large, allocates_one);
	live_stop(&d);
}

static void
test_objects(void)
{
	struct live d;

	live_start(&d, "16M", "--socket-mode", "0666", "--param", "max_objects=1024", NULL);
	meet(&d, allocates_large, allocates_one);
	live_stop(&d);
}

static void
allocates_many(struct live *d, void *argument)
{
	uint64_t n = allocate_all(d, 128 * MIB);

	REQUIRE(n >= 30, "%llu objects only", (unsigned long long)n);
	wait_until_over(d, argument, n);
}

static void
test_descriptors(void)
{
	struct live d;

	/* A part of the hard limit, to which the daemon raises the soft one. */
	REQUIRE(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 256, 256 }) == 0, "setrlimit: %s",
	    strerror(errno));
	live_start(&d, "16M", "--socket-mode", "0666", NULL);
	meet(&d, allocates_many, allocates_one);
	EQ(live_log_count(&d, "no descriptor"), 0);
	live_stop(&d);
}

/* --- wired memory --- */

static uint64_t
wire_all(struct live *d, uint64_t bytes)
{
	struct pager *p = client_connect(d);
	unsigned char *at = client_allocate(p, bytes);
	uint64_t wired = 0;

	for (uint64_t size = bytes / 2; size >= d->page_bytes && wired < bytes;) {
		int error = wired + size <= bytes ? pager_wire(p, at + wired, size) : -EAGAIN;

		if (error == 0) {
			wired += size;
			continue;
		}
		EQ(error, -EAGAIN);
		size /= 2;
	}
	return wired;
}

static void
wires_all(struct live *d, void *argument)
{
	wait_until_over(d, argument, wire_all(d, 16 * MIB));
}

static void
wires_some(struct live *d, void *argument)
{
	struct meeting *m = argument;
	uint64_t wired = wire_all(d, 16 * MIB);

	/* The other user has three quarters. */
	REQUIRE(wired >= m->taken / 4, "%llu bytes beside %llu", (unsigned long long)wired,
	    (unsigned long long)m->taken);
	REQUIRE(wired <= m->taken / 2, "%llu bytes beside %llu", (unsigned long long)wired,
	    (unsigned long long)m->taken);
}

static void
test_wired(void)
{
	struct live d;

	live_start(&d, "16M", "--socket-mode", "0666", "--param", "wire_percent=30", NULL);
	meet(&d, wires_all, wires_some);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "sessions", test_sessions },
		{ "virtual", test_virtual },
		{ "objects", test_objects },
		{ "descriptors", test_descriptors },
		{ "wired", test_wired },
	};

	live_init(argc, argv);
	if (geteuid() != 0) {
		printf("needs root, to be two users\n");
		return 77;
	}
	return LIVE_RUN(argc, argv, tests);
}
