/* SPDX-License-Identifier: MIT
 *
 * Clients that end, are stopped, are many, are user nobody, or have much more memory than they
 * touch.
 *
 * usage: e_client killed|stopped|stopped-agent|many|nobody|sparse
 */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "book.h"

/* --- killed at random instants --- */

struct progress {
	_Atomic uint64_t operations;
	atomic_bool stop;
};
static struct progress *progress; /* shared */

struct victim_thread {
	struct pager *pager;
	struct live *daemon;
	struct progress *progress;
	uint64_t seed;
	uint32_t object;
	uint64_t rounds; /* 0: until it is killed or told to stop */
};

/* Writes and reads, maps and unmaps, wires and hints, for as long as it lives. */
static void *
victim_main(void *argument)
{
	struct victim_thread *v = argument;
	size_t page = v->daemon->page_bytes;
	uint64_t rng = v->seed;

	for (uint64_t n = 0; !atomic_load(&v->progress->stop) && (v->rounds == 0 || n < v->rounds);
	     n++) {
		uint32_t count = 16 + (uint32_t)rng_below(&rng, 700);
		struct book b;
		void *memory = client_allocate(v->pager, count * page);

		book_open(&b, memory, page, count, v->object + (uint32_t)n * 16);
		for (uint32_t i = 0; i < 3 * count; i++) {
			uint32_t at = (uint32_t)rng_below(&rng, count);

			if (rng_below(&rng, 3))
				book_write(&b, at, mixture_draw(&mixture_usual, &rng));
			else
				book_verify(&b, at);
			atomic_fetch_add(&v->progress->operations, 1);
		}
		if (pager_wire(v->pager, memory, 8 * page) == 0 && n % 2)
			OK(pager_unwire(v->pager, memory, 8 * page));
		OK(pager_behavior(v->pager, memory, count * page, PAGER_BEHAVIOR_DONTNEED));
		OK(pager_behavior(v->pager, memory, count * page, PAGER_BEHAVIOR_WILLNEED));
		OK(pager_behavior(v->pager, memory, count / 2 * page, PAGER_BEHAVIOR_PAGEOUT));
		book_verify_all(&b);
		if (n % 4 != 3)
			OK(pager_deallocate(v->pager, memory, count * page));
		book_close(&b);
	}
	return NULL;
}

static void
victim(struct live *d, void *argument)
{
	struct victim_thread threads[2];
	pthread_t ids[2];
	struct pager *p = client_connect(d);

	(void)argument;
	for (unsigned i = 0; i < 2; i++) {
		threads[i] =
		    (struct victim_thread){ p, d, progress, mix64((uint64_t)getpid() + i), i, 0 };
		REQUIRE(pthread_create(&ids[i], NULL, victim_main, &threads[i]) == 0);
	}
	for (unsigned i = 0; i < 2; i++)
		pthread_join(ids[i], NULL);
}

/* Stays until the end: its memory must not change. */
static void
bystander(struct live *d, void *argument)
{
	struct progress *own = argument;
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes);
	uint64_t rng = live_seed;
	struct book b;

	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 9999);
	book_write_all(&b, &mixture_usual, &rng);
	for (uint64_t n = 0; !atomic_load(&own->stop); n++) {
		uint32_t page = (uint32_t)rng_below(&rng, count);

		book_verify(&b, page);
		if (n % 3 == 0)
			book_write(&b, page, mixture_draw(&mixture_usual, &rng));
		atomic_fetch_add(&own->operations, 1);
	}
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

static void
test_killed(void)
{
	struct progress *other = shared_alloc(sizeof(*other));
	uint64_t rng = mix64(live_seed), kills = live_scaled(40);
	struct live d;
	pid_t by, pids[2];

	progress = shared_alloc(sizeof(*progress));
	live_start(&d, "8M", "--param", "compressor_percent=30", "--param",
	    "swap_file_bytes=33554432", NULL);
	by = client_start(&d, bystander, other);
	pids[0] = client_start(&d, victim, NULL);
	pids[1] = client_start(&d, victim, NULL);
	for (uint64_t n = 0; n < kills; n++) {
		uint64_t until = atomic_load(&progress->operations) + rng_below(&rng, 6000);

		/* Sometimes while it is still connecting. */
		if (n % 8 != 7)
			WAIT_UNTIL(&d,
			    (live_sample(&d, false), atomic_load(&progress->operations) >= until));
		client_kill(pids[n % 2]);
		pids[n % 2] = client_start(&d, victim, NULL);
	}
	client_kill(pids[0]);
	client_kill(pids[1]);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 1);
	live_check(&d);
	atomic_store(&other->stop, true);
	client_join(&d, by, false);
	printf("%llu killed, %llu operations by them, %llu by the one that stayed\n",
	    (unsigned long long)kills, (unsigned long long)atomic_load(&progress->operations),
	    (unsigned long long)atomic_load(&other->operations));
	live_stop(&d);
}

/* --- stopped while others take its memory --- */

struct stopped {
	atomic_bool filled, go_on;
	atomic_uint verified;
};

static void
sleeper(struct live *d, void *argument)
{
	struct stopped *s = argument;
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes / 2);
	uint64_t rng = live_seed;
	struct book b;

	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&b, &mixture_usual, &rng);
	atomic_store(&s->filled, true);
	WAIT_UNTIL(d, atomic_load(&s->go_on));
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

static void
presser(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes * 2);
	uint64_t rng = live_seed + 1;
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 2);
	for (unsigned round = 0; round < 2; round++) {
		book_write_all(&b, &mixture_usual, &rng);
		book_verify_all(&b);
	}
	OK(pager_disconnect(p));
}

static int64_t
resident_of(struct live *d, pid_t pid)
{
	struct pager_req_footprint request = { .pid = (uint32_t)pid };
	struct pager_rep_footprint reply;
	struct chan_call call = { CHAN_CALL(FOOTPRINT, &request, &reply) };

	OK(chan_exchange(&d->chan, &call));
	return (int64_t)reply.client.ledger[PAGER_LEDGER_INTERNAL];
}

static void
stopped_by(const char *zap)
{
	struct stopped *s = shared_alloc(sizeof(*s));
	int64_t before, after;
	struct live d;
	pid_t pid;

	live_start(&d, "8M", "--param", zap, NULL);
	pid = client_start(&d, sleeper, s);
	WAIT_UNTIL(&d, atomic_load(&s->filled));
	kill(pid, SIGSTOP);
	waitpid(pid, NULL, WUNTRACED);
	before = resident_of(&d, pid);
	REQUIRE(before > 0);
	client_join(&d, client_start(&d, presser, NULL), true);
	after = resident_of(&d, pid);
	printf("%s: the stopped client held %lld KiB, and %lld under pressure\n", zap,
	    (long long)before >> 10, (long long)after >> 10);
	REQUIRE(after < before / 2,
	    "a stopped client's memory is not taken: %lld of %lld bytes stay", (long long)after,
	    (long long)before);
	kill(pid, SIGCONT);
	atomic_store(&s->go_on, true);
	client_join(&d, pid, false);
	live_stop(&d);
}

static void
test_stopped(void)
{
	stopped_by("zap=1");
}

static void
test_stopped_agent(void)
{
	stopped_by("zap=2");
}

/* --- many at once --- */

struct crowd {
	_Atomic uint32_t ready;
	atomic_bool go;
};

static void
one_of_many(struct live *d, void *argument)
{
	struct crowd *c = argument;
	struct pager *p = client_connect(d);
	uint64_t rng = mix64((uint64_t)getpid());
	struct book b;

	book_open(
	    &b, client_allocate(p, 200 * d->page_bytes), d->page_bytes, 200, (uint32_t)getpid());
	atomic_fetch_add(&c->ready, 1);
	WAIT_UNTIL(d, atomic_load(&c->go));
	book_write_all(&b, &mixture_usual, &rng);
	for (uint32_t i = 0; i < 2 * b.count; i++) {
		book_verify(&b, (uint32_t)rng_below(&rng, b.count));
		book_write(
		    &b, (uint32_t)rng_below(&rng, b.count), mixture_draw(&mixture_usual, &rng));
	}
	book_verify_all(&b);
	if (getpid() % 2)
		OK(pager_disconnect(p));
}

static void
test_many(void)
{
	enum { MANY = 200 };
	struct crowd *c = shared_alloc(sizeof(*c));
	static char text[1000000];
	unsigned listed = 0;
	pid_t pids[MANY];
	struct live d;

	live_start(&d, "32M", "--param", "compressor_percent=40", NULL);
	for (int i = 0; i < MANY; i++)
		pids[i] = client_start(&d, one_of_many, c);
	WAIT_UNTIL(&d, atomic_load(&c->ready) == MANY);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == MANY);
	REQUIRE(live_pagerctl(&d, text, sizeof(text), "clients", "--json", NULL) == 0, "%s", text);
	for (int i = 0; i < MANY; i++) {
		char pid[32];

		snprintf(pid, sizeof(pid), "%d", (int)pids[i]);
		listed += strstr(text, pid) != NULL;
	}
	EQ(listed, MANY);
	atomic_store(&c->go, true);
	for (int i = 0; i < MANY; i++) {
		client_join(&d, pids[i], false);
		live_sample(&d, i % 8 == 0);
	}
	live_stop(&d);
}

/* --- uid nobody, four times the memory --- */

static void
nobody(struct live *d, void *argument)
{
	struct pager *p;
	uint32_t count = (uint32_t)(4 * d->memory_bytes / d->page_bytes);
	uint64_t rng = live_seed;
	struct book b;

	(void)argument;
	EQ(geteuid(), 65534);
	REQUIRE(open("/dev/userfaultfd", O_RDWR | O_CLOEXEC) < 0 || getenv("LIVE_OPEN_UFFD"),
	    "/dev/userfaultfd is open to everybody here");
	p = client_connect(d);
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&b, &mixture_usual, &rng);
	book_verify_all(&b);
	for (uint32_t i = 0; i < count; i++)
		book_write(
		    &b, (uint32_t)rng_below(&rng, count), mixture_draw(&mixture_usual, &rng));
	book_verify_all(&b);
	/* Administrators' requests are refused, and the session goes on. */
	{
		char text[1000];

		REQUIRE(live_pagerctl(
			    d, text, sizeof(text), "debug", "fail", "FRAME_TAKE:0:0", NULL) != 0,
		    "user nobody may arm fail points");
		REQUIRE(live_pagerctl(d, text, sizeof(text), "param", "fault_cluster=1", NULL) != 0,
		    "user nobody may set parameters");
		REQUIRE(live_pagerctl(d, text, sizeof(text), "limit", "1", "1M", NULL) != 0,
		    "user nobody may set limits");
	}
	OK(pager_disconnect(p));
}

static void
test_nobody(void)
{
	struct live d;

	if (geteuid() != 0) {
		fprintf(stderr, "skipped: only root can become nobody\n");
		exit(77);
	}
	live_start(&d, "16M", NULL);
	client_join(&d, client_start_as(&d, 65534, nobody, NULL), true);
	EQ(live_stat(&d, "pages_lost"), 0);
	live_stop(&d);
}

/* --- 64 GiB, mostly never touched --- */

static void
sparse(struct live *d, void *argument)
{
	const uint64_t size = 64ull << 30, pages = size / d->page_bytes;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, size);
	enum { TOUCHED = 8000 };
	uint64_t seed = mix64(live_seed), rng = seed, sum = 0;
	struct pager_region_info info;
	struct pager_statistics statistics;

	(void)argument;
	for (int i = 0; i < TOUCHED; i++) {
		uint64_t page = rng_below(&rng, pages);

		*(volatile uint64_t *)(void *)(base + page * d->page_bytes + 8) = mix64(page);
	}
	OK(pager_statistics(p, &statistics));
	EQ(statistics.virtual_size, size);
	REQUIRE(statistics.phys_footprint <= (uint64_t)TOUCHED * d->page_bytes, "%llu bytes billed",
	    (unsigned long long)statistics.phys_footprint);
	OK(pager_region(p, base, &info));
	EQ(info.size_bytes, size);
	rng = seed;
	for (int i = 0; i < TOUCHED; i++) {
		uint64_t page = rng_below(&rng, pages),
			 word = *(volatile uint64_t *)(void *)(base + page * d->page_bytes + 8);

		REQUIRE(word == mix64(page), "page %llu has another word: %llx",
		    (unsigned long long)page, (unsigned long long)word);
		REQUIRE(*(volatile uint64_t *)(void *)(base + page * d->page_bytes) == 0,
		    "page %llu", (unsigned long long)page);
	}
	for (uint64_t i = 0; i < 200; i++)
		sum += base[size - 1 - i * (size / 256)];
	EQ(sum, 0);
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_FREE));
	OK(pager_statistics(p, &statistics));
	EQ(statistics.phys_footprint, 0);
	EQ(base[0], 0);
	OK(pager_deallocate(p, base, size));
	OK(pager_statistics(p, &statistics));
	EQ(statistics.virtual_size, 0);
	OK(pager_disconnect(p));
}

static void
test_sparse(void)
{
	struct live d;

	live_start(&d, "16M", NULL);
	client_join(&d, client_start(&d, sparse, NULL), true);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "killed", test_killed },
		{ "stopped", test_stopped },
		{ "stopped-agent", test_stopped_agent },
		{ "many", test_many },
		{ "nobody", test_nobody },
		{ "sparse", test_sparse },
	};

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
