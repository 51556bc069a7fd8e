/* SPDX-License-Identifier: MIT
 *
 * Memory that is full, with nowhere else to go. Stored pages can always be read; content that fits
 * can be replaced by as much other content; a write that does not fit is SIGBUS, is counted, and
 * leaves the old content; when there is room again everything works, also the refused pages.
 * Nothing hangs and nothing churns.
 *
 * usage: f_full exchange|exchange-swap|threads|room|chunks
 */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>

#include "book.h"
#include "bus.h"

struct shared {
	_Atomic uint64_t first, stored; /* SIGBUS on first touches; on pages that had content */
	atomic_uint reached, phase;
};
static struct shared *shared;

/* Writes noise until a page is refused. => the number of pages with content; the next page is
 * the refused one */
static uint32_t
fill(struct book *b)
{
	for (uint32_t i = 0; i < b->count; i++)
		if (!touch(b, i, true) || !write_noise(b, i)) {
			atomic_fetch_add(&shared->first, 1);
			return i;
		}
	FAIL("%u pages, and nothing was refused", b->count);
}

/* Dirty pages for dirty pages, nothing to spare. */
static void
exchanger(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(8 * d->memory_bytes / d->page_bytes), filled;
	uint64_t rng = live_seed, refused;
	bool with_swap = argument != NULL;
	struct book b;

	expect_bus();
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	filled = fill(&b);
	printf("%u pages of %llu and then no more\n", filled,
	    (unsigned long long)(d->memory_bytes / d->page_bytes));
	/* The refused page may have been written in part: its content is unknown. */
	for (unsigned pass = 0; pass < (with_swap ? 1 : 3); pass++)
		for (uint32_t n = 0; n < filled; n++)
			REQUIRE(
			    verify(&b, (uint32_t)rng_below(&rng, filled)), "a read was refused");
	/* On swap, overwritten pages leave holes that cannot be written to, so some writes must
	 * be refused. */
	refused = 0;
	for (uint64_t n = 0, most = live_scaled((with_swap ? 1 : 4) * filled);
	     n < most && refused < 30; n++) {
		uint32_t page = (uint32_t)rng_below(&rng, filled);

		refused = atomic_load(&shared->stored);
		/* Read first or not: a write to a clean page, or to a stored one. */
		if (n % 2 && !verify(&b, page)) {
			atomic_fetch_add(&shared->stored, 1);
			continue;
		}
		if (!touch(&b, page, true)) {
			atomic_fetch_add(&shared->stored, 1);
			continue;
		}
		if (!write_noise(&b, page)) {
			/* A write torn by a SIGBUS in its middle is begun again where possible. */
			atomic_fetch_add(&shared->stored, 1);
			book_discard(p, &b, page, 1);
		}
	}
	/* SIGBUS, or the content that was written. */
	for (uint32_t i = 0; i < filled; i++)
		if (!verify(&b, i))
			atomic_fetch_add(&shared->stored, 1);
	/* A third is discarded: then all other pages can be used, also the refused ones. */
	book_discard(p, &b, 0, filled / 3);
	for (uint32_t i = 0; i < filled; i++)
		WAIT_UNTIL(d, verify(&b, i));
	for (uint32_t i = 0; i < filled / 6; i++)
		REQUIRE(write_noise(&b, i), "page %u: there is room", i);
	for (uint32_t i = 0; i < filled; i++)
		book_verify(&b, i);
	OK(pager_disconnect(p));
}

/* --- several threads, so that faults compete --- */

struct thread {
	struct pager *pager;
	struct book *b;
	uint32_t from, count;
	uint64_t rng;
	pthread_t thread;
};

static void *
thread_main(void *argument)
{
	struct thread *t = argument;

	for (uint64_t n = 0, most = live_scaled(3 * t->count); n < most; n++) {
		uint32_t page = t->from + (uint32_t)rng_below(&t->rng, t->count);

		if (!verify(t->b, page) || (n % 3 == 0 && !touch(t->b, page, true))) {
			atomic_fetch_add(&shared->stored, 1);
		} else if (n % 3 == 0 && !write_noise(t->b, page)) {
			atomic_fetch_add(&shared->stored, 1);
			book_discard(t->pager, t->b, page, 1);
		}
	}
	return NULL;
}

static void
threads(struct live *d, void *argument)
{
	enum { THREADS = 6 };
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes), filled;
	struct thread t[THREADS];
	struct book b;

	(void)argument;
	expect_bus();
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	filled = fill(&b);
	printf("%u pages and then no more\n", filled);
	for (uint32_t i = 0; i < THREADS; i++) {
		t[i] = (struct thread){ p, &b, filled / THREADS * i, filled / THREADS,
			live_seed + i, 0 };
		REQUIRE(pthread_create(&t[i].thread, NULL, thread_main, &t[i]) == 0);
	}
	/* One thread wants more memory now and then. */
	for (uint32_t i = 0; i < 20; i++)
		if (!touch(&b, filled + 1 + i, true))
			atomic_fetch_add(&shared->first, 1);
	for (uint32_t i = 0; i < THREADS; i++)
		pthread_join(t[i].thread, NULL);
	OK(pager_disconnect(p));
}

/* --- room --- */

static void
hog(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / 2 / d->page_bytes);
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 2);
	for (uint32_t i = 0; i < count; i++)
		book_write(&b, i, KIND_NOISE);
	atomic_fetch_add(&shared->reached, 1);
	WAIT_UNTIL(d, atomic_load(&shared->phase) == 1);
	OK(pager_disconnect(p));
}

/* Each refused page can be touched as soon as the other client has ended. */
static void
needy(struct live *d, void *argument)
{
	enum { WISHES = 40 };
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes), filled, refused = 0;
	bool gone[WISHES];
	struct book b;

	(void)argument;
	expect_bus();
	WAIT_UNTIL(d, atomic_load(&shared->reached) == 1);
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	filled = fill(&b);
	for (uint32_t i = 0; i < WISHES; i++) {
		gone[i] = !touch(&b, filled + 1 + i, i % 2);
		refused += gone[i];
	}
	REQUIRE(refused > 0);
	atomic_fetch_add(&shared->first, refused);
	for (uint32_t i = 0; i < WISHES; i++)
		REQUIRE(touch(&b, filled + 1 + i, false) == !gone[i],
		    "page %u: before there is room", i);
	/* One refused page is discarded first: it too works as soon as there is room. */
	book_discard(p, &b, filled + 1, 1);
	gone[0] = false;
	atomic_store(&shared->phase, 1);
	for (uint32_t i = 0; i < WISHES; i++)
		if (gone[i])
			WAIT_UNTIL(d, touch(&b, filled + 1 + i, false));
	WAIT_UNTIL(d, live_stat(d, "squeezed") == 0);
	for (uint32_t i = 0; i < WISHES; i++) {
		REQUIRE(verify(&b, filled + 1 + i));
		book_write(&b, filled + 1 + i, KIND_NOISE);
	}
	book_discard(p, &b, filled, 1);
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

/* --- the arena has no more segments --- */

/* Segments are left a little more than half full, too full to be merged: their memory comes
 * back, the room in the arena does not. */
static void
sparse(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t lot = (uint32_t)(d->memory_bytes / d->page_bytes * 45 / 100), count = 4 * lot;
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	/* The compressor has nearly all memory. */
	live_limit(d, getpid(), 200 * d->page_bytes);
	for (uint64_t pass = 0, passes = live_scaled(8); pass < passes; pass++) {
		for (uint32_t i = 0; i < count; i++) {
			book_write(&b, i, KIND_NOISE);
			if (i % lot == lot - 1)
				for (uint32_t page = i + 1 - lot; page <= i && i / lot < 2; page++)
					if (page % 5 < 2)
						book_discard(p, &b, page, 1);
			if (i / lot == 2 && i % lot == lot / 3)
				break;
		}
		book_verify_all(&b);
		book_discard(p, &b, 0, count);
	}
	OK(pager_disconnect(p));
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	bool chunks = strcmp(name, "chunks") == 0, swap = strcmp(name, "exchange-swap") == 0;
	struct live d;

	live_init(argc, argv);
	shared = shared_alloc(sizeof(*shared));
	if (swap)
		live_start(
		    &d, "8M", "--swap-max", "8M", "--param", "swap_file_bytes=8388608", NULL);
	else
		live_start(&d, "8M", "--no-swap", "--param",
		    chunks ? "arena_factor=1" : "arena_factor=8", NULL);
	if (swap || strcmp(name, "exchange") == 0) {
		client_join(&d, client_start(&d, exchanger, swap ? &d : NULL), true);
	} else if (strcmp(name, "threads") == 0) {
		client_join(&d, client_start(&d, threads, NULL), true);
	} else if (strcmp(name, "room") == 0) {
		pid_t first = client_start(&d, hog, NULL), second = client_start(&d, needy, NULL);

		client_join(&d, first, true);
		client_join(&d, second, true);
	} else if (chunks) {
		client_join(&d, client_start(&d, sparse, NULL), true);
	} else {
		FAIL("no such test: \"%s\"", name);
	}
	printf("SIGBUS: %llu first touches, %llu stored pages; counted %lld, %lld; pageouts %lld, "
	       "failures %lld, compactions "
	       "%lld\n",
	    (unsigned long long)atomic_load(&shared->first),
	    (unsigned long long)atomic_load(&shared->stored),
	    (long long)live_stat(&d, "refused_zero_fills"),
	    (long long)live_stat(&d, "refused_refills"), (long long)live_stat(&d, "pageouts"),
	    (long long)live_stat(&d, "pageout_failures"), (long long)live_stat(&d, "compactions"));
	/* A page that has been refused is SIGBUS again until there is room, and counted once. */
	REQUIRE(live_stat(&d, "refused_zero_fills") + live_stat(&d, "refused_refills") <=
		(int64_t)(atomic_load(&shared->first) + atomic_load(&shared->stored)));
	if (atomic_load(&shared->stored) > 0)
		REQUIRE(live_stat(&d, "refused_refills") > 0);
	if (chunks)
		REQUIRE(live_stat(&d, "compactions") > 0);
	if (atomic_load(&shared->first) == 0)
		EQ(live_stat(&d, "refused_zero_fills"), 0);
	EQ(live_stat(&d, "pages_lost"), 0);
	REQUIRE(live_stat(&d, "pageout_failures") <= 100 + live_stat(&d, "pageouts") / 4);
	live_stop(&d);
	return 0;
}
