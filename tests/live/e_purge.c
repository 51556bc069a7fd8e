/* SPDX-License-Identifier: MIT
 *
 * Purgeable memory under pressure. Whatever happens, an object has all of its content or none of
 * it, and its owner is told which; nothing of it is stored while it is volatile; and nobody is
 * ended while there is volatile memory.
 *
 * usage: e_purge order|oracle|killed|jetsam [4K|16K|64K]
 */
#include "purgeable.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "band.h"
#include "memorystatus/jetsam.h"

static const char *page_size = "4K";

static void
start(struct live *d, const char *memory)
{
	live_start(
	    d, memory, "--page-size", page_size, "--param", "swap_file_bytes=33554432", NULL);
}

/* --- the order under pressure --- */

enum { ORDERED = 8 };

/* Objects of one size in groups 7 to 0; then others' need is felt, until some have gone. */
static void
order_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	const uint64_t size = d->memory_bytes / 32, pages = size / d->page_bytes;
	unsigned char *bases[ORDERED], *rest;
	uint64_t touched = 0;
	int found[ORDERED];
	unsigned gone = 0;

	(void)argument;
	for (int i = 0; i < ORDERED; i++) {
		bases[i] = make(p, size, 0);
		fill(d, bases[i], pages, (unsigned)i, 1);
		EQ(set(p, bases[i], VOLATILE | PAGER_PURGEABLE_GROUP(ORDERED - 1 - i)),
		    NONVOLATILE);
	}
	rest = client_allocate(p, 4 * d->memory_bytes);
	while (live_stat(d, "purges") < ORDERED / 2) {
		REQUIRE(touched < 4 * d->memory_bytes);
		fill(d, rest + touched, 1, 99, 1 + touched);
		touched += d->page_bytes;
	}
	for (int i = 0; i < ORDERED; i++) {
		for (uint64_t n = 0; get(p, bases[i]) != EMPTY && n < pages; n++) {
			unsigned disposition;

			OK(pager_page_query(p, bases[i] + n * d->page_bytes, &disposition));
			/* In memory, or all gone. */
			REQUIRE((disposition & (PAGER_PAGE_COMPRESSED | PAGER_PAGE_SWAPPED)) == 0 ||
				    get(p, bases[i]) == EMPTY,
			    "object %d page %llu: %x", i, (unsigned long long)n, disposition);
		}
	}
	/* From the last to the first group: states are read while others may go yet. */
	for (int i = 0; i < ORDERED; i++)
		found[i] = set(p, bases[i], NONVOLATILE);
	for (int i = 0; i < ORDERED; i++) {
		gone += found[i] == EMPTY;
		REQUIRE(i == 0 || found[i] == EMPTY || found[i - 1] != EMPTY,
		    "object %d has gone, and %d has not", i - 1, i);
		expect(d, bases[i], pages, (unsigned)i, found[i] != EMPTY);
	}
	REQUIRE(gone >= ORDERED / 2, "%u", gone);
	for (uint64_t at = 0; at < touched; at += d->page_bytes)
		expect(d, rest + at, 1, 99, 1 + at);
	OK(pager_disconnect(p));
}

static void
order(void)
{
	struct live d;

	start(&d, page_size[0] == '6' ? "32M" : "8M");
	client_join(&d, client_start(&d, order_run, NULL), true);
	REQUIRE(live_stat(&d, "purges") >= ORDERED / 2);
	live_stop(&d);
}

/* --- the oracle --- */

enum { OBJECTS = 6, READERS = 2 };

/* One object. Its state changes with the lock held for writing; readers hold it for reading, so
 * what they see belongs to one time of being volatile. */
struct known {
	pthread_rwlock_t lock;
	unsigned char *base;
	uint64_t version; /* 0: it was told to be empty, and has nothing */
	int state;        /* that it was set to */
	atomic_bool seen_empty;
};
static struct oracle {
	struct live *d;
	struct pager *p;
	uint64_t pages;
	struct known objects[OBJECTS];
	atomic_bool over;
	_Atomic uint64_t reads, found_empty, found_intact;
} oracle;

/* Whoever has seen a page empty sees no page that is not, of one time of being volatile. */
static void
look(struct known *k, unsigned object, uint64_t page)
{
	const volatile uint64_t *at = (const void *)(k->base + page * oracle.d->page_bytes);
	bool before;
	uint64_t word;

	pthread_rwlock_rdlock(&k->lock);
	before = atomic_load(&k->seen_empty);
	word = *at;
	if (word == 0 && k->version != 0) {
		REQUIRE(k->state == VOLATILE, "object %u page %llu is lost", object,
		    (unsigned long long)page);
		atomic_store(&k->seen_empty, true);
	} else {
		REQUIRE(word == (k->version ? word_of(object, k->version, page) : 0),
		    "object %u page %llu: %llx", object, (unsigned long long)page,
		    (unsigned long long)word);
		REQUIRE(!before || k->version == 0, "object %u page %llu is there again", object,
		    (unsigned long long)page);
	}
	pthread_rwlock_unlock(&k->lock);
	atomic_fetch_add(&oracle.reads, 1);
}

static void *
reader_main(void *argument)
{
	uint64_t seed = live_seed + (uintptr_t)argument;

	while (!atomic_load(&oracle.over)) {
		unsigned i = (unsigned)rng_below(&seed, OBJECTS);

		look(&oracle.objects[i], i, rng_below(&seed, oracle.pages));
	}
	return NULL;
}

static void
step(uint64_t *seed, uint64_t version)
{
	unsigned i = (unsigned)rng_below(seed, OBJECTS);
	struct known *k = &oracle.objects[i];
	uint64_t random = rng_next(seed);
	int how = (int)(random & (0x20 | 0x40 | 0x700 | 0x10000)), before;

	pthread_rwlock_wrlock(&k->lock);
	if (k->state != VOLATILE) {
		if (k->version == 0) {
			k->version = version;
			fill(oracle.d, k->base, oracle.pages, i, version);
		}
		EQ(set(oracle.p, k->base, VOLATILE | how), NONVOLATILE);
		k->state = VOLATILE;
		atomic_store(&k->seen_empty, false);
	} else {
		before = set(oracle.p, k->base, NONVOLATILE);
		REQUIRE(before == VOLATILE || before == EMPTY);
		REQUIRE(before == EMPTY || !atomic_load(&k->seen_empty));
		if (before == EMPTY)
			k->version = 0;
		k->state = NONVOLATILE;
		expect(oracle.d, k->base, oracle.pages, i, k->version);
		atomic_fetch_add(before == EMPTY ? &oracle.found_empty : &oracle.found_intact, 1);
	}
	pthread_rwlock_unlock(&k->lock);
	if (random >> 60 == 0)
		OK(pager_purgeable_control(oracle.p, NULL, PAGER_PURGEABLE_PURGE_ALL, NULL));
}

/* argument: not NULL: it is to be killed */
static void
oracle_run(struct live *d, void *argument)
{
	pthread_t readers[READERS];
	uint64_t seed = live_seed, ops = live_scaled(400);

	oracle.d = d;
	oracle.p = client_connect(d);
	oracle.pages = d->memory_bytes / 32 / d->page_bytes;
	for (unsigned i = 0; i < OBJECTS; i++) {
		pthread_rwlock_init(&oracle.objects[i].lock, NULL);
		oracle.objects[i].base =
		    make(oracle.p, oracle.pages * d->page_bytes, i % 2 ? PAGER_ALLOC_SHAREABLE : 0);
	}
	for (unsigned i = 0; i < READERS; i++)
		REQUIRE(pthread_create(
			    &readers[i], NULL, reader_main, (void *)(uintptr_t)(i + 1)) == 0);
	/* On until both outcomes were had. */
	for (uint64_t n = 0; argument || n < ops || !atomic_load(&oracle.found_empty) ||
			     !atomic_load(&oracle.found_intact);
	     n++)
		step(&seed, n + 1);
	atomic_store(&oracle.over, true);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	REQUIRE(oracle.reads > 0);
	OK(pager_disconnect(oracle.p));
}

/* Uses more than memory, and knows what each page has. */
static void
presser_run(struct live *d, void *argument)
{
	_Atomic bool *over = argument;
	struct pager *p = client_connect(d);
	const uint64_t pages = d->memory_bytes / d->page_bytes * 5 / 4;
	unsigned char *base = client_allocate(p, pages * d->page_bytes);
	uint64_t seed = live_seed + 77;

	for (uint64_t i = 0; i < pages; i++)
		fill(d, base + i * d->page_bytes, 1, 50, 1 + i);
	while (!*over) {
		uint64_t i = rng_below(&seed, pages);

		expect(d, base + i * d->page_bytes, 1, 50, 1 + i);
		fill(d, base + i * d->page_bytes, 1, 50, 1 + i);
	}
	for (uint64_t i = 0; i < pages; i++)
		expect(d, base + i * d->page_bytes, 1, 50, 1 + i);
	OK(pager_disconnect(p));
}

static const char *
oracle_memory(void)
{
	return page_size[0] == '6' ? "32M" : "8M";
}

static void
under_pressure(void)
{
	_Atomic bool *over = shared_alloc(sizeof(*over));
	pid_t presser, client;
	struct live d;

	start(&d, oracle_memory());
	presser = client_start(&d, presser_run, (void *)(uintptr_t)over);
	client = client_start(&d, oracle_run, NULL);
	client_join(&d, client, true);
	*over = true;
	client_join(&d, presser, true);
	REQUIRE(live_stat(&d, "purges") > 0);
	live_stop(&d);
}

/* Clients are killed in the midst of it; the books hold, and others lose nothing. */
static void
killed(void)
{
	_Atomic bool *over = shared_alloc(sizeof(*over));
	pid_t presser;
	struct live d;

	start(&d, oracle_memory());
	presser = client_start(&d, presser_run, (void *)(uintptr_t)over);
	for (unsigned i = 0; i < 6; i++) {
		int64_t purges = live_stat(&d, "purges");
		pid_t client = client_start(&d, oracle_run, (void *)1);

		WAIT_UNTIL(&d, live_stat(&d, "purges") > purges + 3 * i);
		client_kill(client);
		WAIT_UNTIL(&d, live_stat(&d, "sessions") == 1);
		live_check(&d);
	}
	*over = true;
	client_join(&d, presser, true);
	live_stop(&d);
}

/* --- nobody is ended while there is volatile memory --- */

struct scene {
	_Atomic unsigned ready, grown;
	_Atomic bool grow, more, ended;
};
static struct scene *scene;

static void
random_fill(unsigned char *base, uint64_t bytes, uint64_t seed)
{
	for (uint64_t at = 0; at < bytes; at += sizeof(seed))
		*(uint64_t *)(void *)(base + at) = rng_next(&seed);
}

/* Idle, with memory that it needs and memory that it does not. */
static void
idle_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *needed = client_allocate(p, 3 * MIB);
	unsigned char *spare;

	(void)argument;
	random_fill(needed, 3 * MIB, 1);
	for (unsigned i = 0; i < 6; i++) {
		spare = make(p, MIB, 0);
		random_fill(spare, MIB, 2 + i);
		EQ(set(p, spare, VOLATILE | PAGER_PURGEABLE_GROUP(i)), NONVOLATILE);
	}
	/* A fault that is answered late would bring a page into what has been purged. */
	live_rest(d);
	scene->ready++;
	for (;;)
		pause();
}

static void
growing_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, 64 * MIB);

	(void)argument;
	scene->ready++;
	while (!scene->grow)
		usleep(1000);
	random_fill(base, 7 * MIB, 99);
	scene->grown = 1;
	while (!scene->more)
		usleep(1000);
	/* Until somebody has to go for it. */
	for (uint64_t at = 7 * MIB; live_stat(d, "jetsam_kills") == 0; at += 64 * 1024)
		random_fill(base + at, 64 * 1024, at);
	while (!scene->ended)
		usleep(1000);
	OK(pager_disconnect(p));
}

static void
jetsam(void)
{
	struct live d;
	pid_t idle, growing;
	int status;

	scene = shared_alloc(sizeof(*scene));
	live_start(&d, "16M", "--no-swap", "--page-size", page_size, "--param",
	    "jetsam_aging_seconds=0", NULL);
	idle = client_start(&d, idle_run, NULL);
	client_forget(idle);
	WAIT_UNTIL(&d, scene->ready == 1);
	growing = client_start(&d, growing_run, NULL);
	WAIT_UNTIL(&d, scene->ready == 2);
	band_set(&d, idle, BAND_IDLE);
	band_set(&d, growing, BAND_FOREGROUND);
	/* What is wanted is to be had of volatile memory. */
	scene->grow = true;
	WAIT_UNTIL(&d, scene->grown == 1);
	EQ(live_stat(&d, "jetsam_kills"), 0);
	REQUIRE(live_stat(&d, "purges") > 0);
	/* And when that has gone the idle one does. */
	scene->more = true;
	REQUIRE(waitpid(idle, &status, 0) == idle);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %d", status);
	EQ(live_stat(&d, "purges"), 6);
	EQ(live_stat(&d, "jetsam_kills"), 1);
	scene->ended = true;
	client_join(&d, growing, false);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "order", order }, { "oracle", under_pressure },
		{ "killed", killed }, { "jetsam", jetsam } };

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	return LIVE_RUN(argc, argv, tests);
}
