/* SPDX-License-Identifier: MIT
 *
 * Clients whose faults direct servers read (daemon/fault/direct.h): how that begins and ends, and
 * that no fault is lost.
 *
 * usage: e_direct threads|quiet|disk|disk-sleeping|nonblock|killed|never
 */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "book.h"
#include "raw.h"

struct shared {
	_Atomic uint64_t operations;
	atomic_bool stop;
	atomic_uint phase; /* set by the test; the client follows */
	atomic_uint done;  /* the client's */
};
static struct shared *shared;

struct worker {
	struct live *daemon;
	struct pager *pager;
	uint64_t rounds; /* operations; 0: until told to stop */
	uint32_t object, pages;
};

/* The session leaves its count before its direct servers leave theirs. */
static void
wait_for_ends(struct live *d)
{
	WAIT_UNTIL(d, live_stat(d, "direct_ends") == live_stat(d, "direct_begins"));
}

static void
touch(struct book *b, uint64_t operations, uint64_t *rng)
{
	for (uint64_t n = 0; (operations == 0 || n < operations) && !atomic_load(&shared->stop);
	     n++) {
		uint32_t page = (uint32_t)rng_below(rng, b->count);

		book_verify(b, page);
		if (n % 3 == 0)
			book_write(b, page, mixture_draw(&mixture_usual, rng));
		atomic_fetch_add(&shared->operations, 1);
	}
}

static void *
worker_main(void *argument)
{
	struct worker *w = argument;
	size_t page = w->daemon->page_bytes;
	uint64_t rng = mix64(live_seed + w->object);
	struct book b;

	book_open(&b, client_allocate(w->pager, w->pages * page), page, w->pages, w->object);
	touch(&b, w->rounds, &rng);
	book_verify_all(&b);
	return NULL;
}

/* The client's part of a phase: it waits for the phase, goes on touching until direct servers
 * have begun to read for it this many times, and reports. */
static void
touch_in_phase(struct live *d, struct book *b, uint64_t *rng, unsigned phase, int64_t begins)
{
	WAIT_UNTIL(d, atomic_load(&shared->phase) >= phase);
	do
		touch(b, live_scaled(30000), rng);
	while (live_stat(d, "direct_begins") < begins);
	atomic_store(&shared->done, phase);
}

/* --- several threads, and never --- */

static void
crowd(struct live *d, void *argument)
{
	enum { THREADS = 3 };
	struct pager *p = client_connect(d);
	struct worker workers[THREADS];
	pthread_t ids[THREADS];

	(void)argument;
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i] = (struct worker){ d, p, live_scaled(40000), i + 1,
			(uint32_t)(d->memory_bytes / d->page_bytes) };
		REQUIRE(pthread_create(&ids[i], NULL, worker_main, &workers[i]) == 0);
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(ids[i], NULL);
	OK(pager_disconnect(p));
}

static void
test_threads(const char *rate)
{
	bool begins = strcmp(rate, "direct_faults=0") != 0;
	struct live d;
	pid_t pids[2];

	live_start(&d, "8M", "--param", "compressor_percent=80", "--param", rate, NULL);
	/* Another client may have the direct servers at the moment: touch until this client gets
	 * one. */
	do {
		pids[0] = client_start(&d, crowd, NULL);
		pids[1] = client_start(&d, crowd, NULL);
		client_join(&d, pids[0], true);
		client_join(&d, pids[1], true);
		WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	} while (begins && live_stat(&d, "direct_faults") == 0);
	EQ(live_stat(&d, "direct_begins") > 0, begins);
	EQ(live_stat(&d, "direct_faults") > 0, begins);
	wait_for_ends(&d);
	live_stop(&d);
}

/* --- quiet for a while --- */

static void
moody(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes * 3 / 2);
	uint64_t rng = live_seed;
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	for (unsigned phase = 1; phase <= 3; phase++)
		touch_in_phase(d, &b, &rng, phase, phase);
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

static void
test_quiet(const char *rate)
{
	struct live d;
	pid_t pid;

	live_start(&d, "8M", "--param", rate, NULL);
	pid = client_start(&d, moody, NULL);
	for (unsigned phase = 1; phase <= 3; phase++) {
		atomic_store(&shared->phase, phase);
		WAIT_UNTIL(&d, atomic_load(&shared->done) >= phase);
		REQUIRE(live_stat(&d, "direct_begins") >= phase,
		    "in phase %u it was not read directly", phase);
		WAIT_UNTIL(&d,
		    phase == 3 || live_stat(&d, "direct_ends") == live_stat(&d, "direct_begins"));
	}
	client_join(&d, pid, false);
	live_stop(&d);
}

/* --- pages on disk: faults are handed over, and direct reading ends soon --- */

static void
test_disk(const char *latency)
{
	struct live d;
	bool asks =
	    strcmp(latency, "latency_reads=0") != 0 && access("/dev/cpu_dma_latency", W_OK) == 0;

	live_start(&d, "8M", "--param", "compressor_percent=10", "--param", "direct_faults=1",
	    "--param", "swap_file_bytes=16777216", "--param", latency, NULL);
	/* Direct servers stop reading for a client whose pages begin to come from the disk, also
	 * if the client gets no processor for a while. */
	do {
		client_join(&d, client_start(&d, crowd, NULL), true);
		WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	} while (live_stat(&d, "handed_faults") == 0 ||
		 (asks && live_stat(&d, "latency_requests") == 0));
	EQ(live_stat(&d, "latency_requests") > 0, asks);
	WAIT_UNTIL(&d, live_stat(&d, "latency_held") == 0);
	REQUIRE(live_stat(&d, "swapins") > live_stat(&d, "handed_faults"));
	wait_for_ends(&d);
	live_stop(&d);
}

/* --- the client changes its userfaultfd's mode --- */

struct toggler {
	int uffd;
	atomic_bool stop;
};

static void *
toggler_main(void *argument)
{
	struct toggler *t = argument;

	for (unsigned n = 0; !atomic_load(&t->stop); n++)
		REQUIRE(fcntl(t->uffd, F_SETFL, n % 2 ? O_NONBLOCK : 0) == 0);
	return NULL;
}

static void
stubborn(struct live *d, void *argument)
{
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes * 3 / 2);
	uint64_t rng = live_seed, offset = 0;
	struct toggler t = { 0 };
	int64_t begins;
	pthread_t id;
	struct raw r;
	struct book b;
	void *memory;
	int memfd = -1;

	(void)argument;
	raw_connect(d, &r);
	t.uffd = r.uffd;
	memory = raw_memory(&r, count * d->page_bytes, &memfd, &offset);
	book_open(&b, memory, d->page_bytes, count, 1);
	touch_in_phase(d, &b, &rng, 1, 1);
	REQUIRE(pthread_create(&id, NULL, toggler_main, &t) == 0);
	WAIT_UNTIL(d, atomic_load(&shared->phase) >= 2);
	/* Until no direct server begins any more: the client has been refused. */
	do {
		begins = live_stat(d, "direct_begins");
		touch(&b, live_scaled(30000), &rng);
	} while (live_stat(d, "direct_begins") != begins);
	atomic_store(&t.stop, true);
	pthread_join(id, NULL);
	/* A client may leave it in this mode. */
	REQUIRE(fcntl(r.uffd, F_SETFL, 0) == 0);
	atomic_store(&shared->done, 2);
	touch_in_phase(d, &b, &rng, 3, 0);
	book_verify_all(&b);
	raw_close(&r);
}

static void
test_nonblock(const char *rate)
{
	struct live d;
	int64_t begins = 0;
	pid_t pid;

	live_start(&d, "8M", "--param", rate, NULL);
	pid = client_start(&d, stubborn, NULL);
	for (unsigned phase = 1; phase <= 3; phase++) {
		atomic_store(&shared->phase, phase);
		WAIT_UNTIL(&d, (live_sample(&d, false), atomic_load(&shared->done) >= phase));
		if (phase == 1)
			REQUIRE(live_stat(&d, "direct_begins") > 0);
		live_rest(&d);
		if (phase == 2)
			begins = live_stat(&d, "direct_begins");
	}
	/* Its faults have gone back to the polling servers, and stay there. */
	EQ(live_stat(&d, "direct_begins"), begins);
	EQ(live_stat(&d, "direct_ends"), begins);
	client_join(&d, pid, false);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	wait_for_ends(&d);
	live_stop(&d);
}

/* --- killed while direct servers read for it --- */

static void
endless(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	struct worker w = { d, p, 0, 1, (uint32_t)(d->memory_bytes / d->page_bytes * 3 / 2) };

	(void)argument;
	worker_main(&w);
}

static void
test_killed(const char *rate)
{
	struct live d;
	int64_t begins = 0;

	live_start(&d, "8M", "--param", rate, NULL);
	for (uint64_t n = 0; n < live_scaled(20) + 2; n++) {
		pid_t pid = client_start(&d, endless, NULL);

		WAIT_UNTIL(&d, live_stat(&d, "direct_begins") > begins);
		client_kill(pid);
		WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
		begins = live_stat(&d, "direct_begins");
		wait_for_ends(&d);
	}
	live_check(&d);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(const char *param);
		const char *param;
	} tests[] = {
		{ "threads", test_threads, "direct_faults=1" },
		{ "never", test_threads, "direct_faults=0" },
		{ "quiet", test_quiet, "direct_faults=1" },
		{ "disk", test_disk, "latency_reads=1" },
		{ "disk-sleeping", test_disk, "latency_reads=0" },
		{ "nonblock", test_nonblock, "direct_faults=1" },
		{ "killed", test_killed, "direct_faults=1" },
	};
	const char *name = argc > 1 ? argv[1] : "";

	live_init(argc, argv);
	shared = shared_alloc(sizeof(*shared));
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++)
		if (strcmp(name, tests[i].name) == 0) {
			tests[i].run(tests[i].param);
			return 0;
		}
	FAIL("usage: e_direct threads|quiet|disk|disk-sleeping|nonblock|killed|never");
}
