/* SPDX-License-Identifier: MIT
 *
 * What goes up into copies: what it costs, and for whom it waits.
 *
 * usage: e_copy_push TEST [4K|16K|64K]
 */
#include "side.h"

#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "hold.h"

/* --- what a copy of which one percent is written costs --- */

static void
one_percent_body(struct live *d, void *argument)
{
	struct side s = { .d = d, .p = client_connect(d), .page = d->page_bytes };
	size_t bytes = 32u << 20, pages = bytes / s.page, written = pages / 100;
	/* Memory that the store takes ahead of pages, and gives back when it is lacking. */
	size_t ahead = (512u << 10) / s.page;
	struct pager_statistics before, after;
	int64_t free_before;
	uint64_t rng = mix64(live_seed);

	(void)argument;
	s.source = client_allocate(s.p, bytes);
	s.copy = client_allocate(s.p, bytes);
	/* It does not compress. */
	for (size_t i = 0; i < bytes / sizeof(uint64_t); i++)
		((uint64_t *)(void *)s.source)[i] = mix64(i + live_seed);
	live_rest(d);
	free_before = live_stat(d, "free");
	OK(pager_copy(s.p, s.source, bytes, s.copy));
	/* It may have had a page before: one that came with a run of the source. */
	REQUIRE(live_stat(d, "free") >= free_before, "a copy takes frames");
	OK(pager_statistics(s.p, &before));
	for (size_t i = 0; i < written; i++) {
		size_t at = i * (pages / written) + rng_below(&rng, pages / written);

		((uint64_t *)(void *)(s.source + at * s.page))[1] ^= 1;
	}
	live_rest(d);
	OK(pager_statistics(s.p, &after));
	/* Each that was written, and no other. */
	EQ(after.phys_mem, before.phys_mem);
	EQ(after.internal_compressed - before.internal_compressed, written * s.page);
	REQUIRE(live_stat(d, "free") >= free_before - (int64_t)(written + written / 8 + ahead),
	    "%lld frames are free of %lld, when %zu pages of %zu were written",
	    (long long)live_stat(d, "free"), (long long)free_before, written, pages);
	EQ(live_stat(d, "copy_pushes"), (int64_t)written);
	for (size_t i = 0; i < bytes / sizeof(uint64_t); i += 2 + rng_below(&rng, 64)) {
		uint64_t *words = (void *)s.copy;

		REQUIRE(words[i] == mix64(i + live_seed), "word %zu of the copy is wrong", i);
	}
	OK(pager_disconnect(s.p));
}

static void
one_percent(void)
{
	run_client("96M", one_percent_body);
}

/* --- the copy's holder holds the lock of its memory --- */

static void
held_body(struct live *d, void *argument)
{
	struct side s = { .d = d, .p = client_connect(d), .page = d->page_bytes };
	static struct held_write w = { .how = HOLD_WRITE };
	int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC), memfd;

	(void)argument;
	s.source = client_allocate(s.p, PAGES * s.page);
	/* Memory of its own, with a page at which the holder writes. */
	OK(pager_allocate(s.p, (PAGES + 1) * s.page, PAGER_ALLOC_CONTIGUOUS, (void **)&s.copy));
	for (unsigned i = 0; i < PAGES; i++)
		fill(&s, s.source, i, i + 1);
	copy(&s);
	memfd = hold_open(s.copy);
	if (memfd < 0 || device < 0) {
		fprintf(stderr, "skipped: map_files or /dev/userfaultfd may not be opened\n");
		exit(77);
	}
	hold(&w, device, memfd, PAGES * s.page, s.page);
	/* In runs, and one by one. */
	for (unsigned i = 0; i < PAGES; i++)
		fill(&s, s.source, i < PAGES / 2 ? i : PAGES / 2 + i * 7 % (PAGES / 2), 200);
	/* No call waits, as it would for as long as the lock is held: that is no sleep to
	 * live_rest. And nobody is ended for it. */
	live_rest(d);
	EQ(live_stat(d, "copy_pushes"), PAGES);
	/* And as the source goes. */
	copy(&s);
	for (unsigned i = 0; i < PAGES; i++)
		expect(&s, s.source, i, 200);
	OK(pager_deallocate(s.p, s.source, PAGES * s.page));
	live_rest(d);
	close(w.uffd);
	for (unsigned i = 0; i < PAGES; i++)
		expect(&s, s.copy, i, 200);
	OK(pager_disconnect(s.p));
}

static void
held(void)
{
	run_client("64M", held_body);
}

/* --- trap 6: a hole that the source's client makes itself frees what a copy has --- */

static void
punched_body(struct live *d, void *argument)
{
	struct side s = { .d = d, .p = client_connect(d), .page = d->page_bytes };
	int memfd;

	(void)argument;
	OK(pager_allocate(s.p, PAGES * s.page, PAGER_ALLOC_CONTIGUOUS, (void **)&s.source));
	s.copy = client_allocate(s.p, PAGES * s.page);
	for (unsigned i = 0; i < PAGES; i++)
		fill(&s, s.source, i, i + 1);
	/* Half of them are clean, and have a stored copy. */
	OK(pager_behavior(s.p, s.source, PAGES / 2 * s.page, PAGER_BEHAVIOR_PAGEOUT));
	for (unsigned i = 0; i < PAGES / 2; i++)
		expect(&s, s.source, i, i + 1);
	copy(&s);
	memfd = hold_open(s.source);
	if (memfd < 0) {
		fprintf(stderr, "skipped: map_files may not be opened\n");
		exit(77);
	}
	for (unsigned i = 0; i < PAGES; i += 4)
		REQUIRE(fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    (off_t)(i * s.page), (off_t)s.page) == 0,
		    "%s", strerror(errno));
	close(memfd);
	/* Read and written at the source first, or read at the copy first. */
	for (unsigned i = 0; i < PAGES; i++) {
		if (i % 8 == 0)
			expect(&s, s.source, i, 0);
		if (i % 3 == 0)
			fill(&s, s.source, i, 200);
		expect(&s, s.copy, i, i % 4 == 0 && s.copy[i * s.page] == 0 ? 0 : i + 1);
	}
	for (unsigned i = 0; i < PAGES; i++)
		expect(&s, s.source, i, i % 3 == 0 ? 200 : i % 4 == 0 ? 0 : i + 1);
	OK(pager_disconnect(s.p));
}

static void
trap_6_punched(void)
{
	run_client("64M", punched_body);
}

/* --- trap 9: only those are woken who wait at the page itself --- */

struct toucher {
	struct side *s;
	unsigned char *base;
	atomic_uint *round;
	atomic_uint done;
	bool writes;
};

static void *
toucher_main(void *argument)
{
	struct toucher *t = argument;

	for (unsigned seen = 0, round; (round = atomic_load(t->round)) != UINT_MAX;) {
		if (round == seen) {
			sched_yield();
			continue;
		}
		for (unsigned i = 0; i < PAGES; i++) {
			volatile unsigned char *at = page_of(t->s, t->base, i);

			if (t->writes)
				at[1] = (unsigned char)round;
			else
				(void)*at;
		}
		seen = round;
		atomic_store(&t->done, round);
	}
	return NULL;
}

/* Threads meet the same pages at all places of a line at the same time: busy for one another. */
static void
woken_body(struct live *d, void *argument)
{
	enum { PLACES = 4 };
	struct side s = side_make(d);
	unsigned char *places[PLACES] = { s.source, s.copy, client_allocate(s.p, PAGES * s.page),
		client_allocate(s.p, PAGES * s.page) };
	struct toucher touchers[PLACES];
	pthread_t threads[PLACES];
	atomic_uint round = 0;
	unsigned rounds = (unsigned)live_scaled(100);

	(void)argument;
	for (unsigned n = 0; n < PLACES; n++) {
		touchers[n] = (struct toucher){
			.s = &s, .base = places[n], .round = &round, .writes = n % 2 == 0
		};
		REQUIRE(pthread_create(&threads[n], NULL, toucher_main, &touchers[n]) == 0);
	}
	for (unsigned r = 1; r <= rounds; r++) {
		for (unsigned i = 0; i < PAGES; i++)
			fill(&s, s.source, i, r % 100 + i);
		for (unsigned n = 1; n < PLACES; n++)
			OK(pager_copy(s.p, places[n - 1], PAGES * s.page, places[n]));
		atomic_store(&round, r);
		for (unsigned n = 0; n < PLACES; n++)
			WAIT_UNTIL(d, atomic_load(&touchers[n].done) == r);
		for (unsigned n = 0; n < PLACES; n++)
			for (unsigned i = 0; i < PAGES; i++) {
				const unsigned char *at = page_of(&s, places[n], i);

				EQ(at[0], (unsigned char)(r % 100 + i));
				EQ(at[1], (unsigned char)(n % 2 == 0 ? r : r % 100 + i));
			}
	}
	atomic_store(&round, UINT_MAX);
	for (unsigned n = 0; n < PLACES; n++)
		pthread_join(threads[n], NULL);
	OK(pager_disconnect(s.p));
}

static void
trap_9_woken(void)
{
	run_client("64M", woken_body);
}

/* --- page lists of what has been copied, and of copies --- */

static void
listed_body(struct live *d, void *argument)
{
	struct side s = side_make(d);
	unsigned char *second = client_allocate(s.p, PAGES * s.page), byte;
	struct pager_upl_info info;
	struct pager_upl *u;
	int empty;

	(void)argument;
	/* Resident, stored, and never touched; the copy in the middle has some duplicates, and some
	 * pages of its own. */
	for (unsigned i = 0; i < 48; i++)
		fill(&s, s.source, i, i + 1);
	OK(pager_behavior(s.p, page_of(&s, s.source, 16), 16 * s.page, PAGER_BEHAVIOR_PAGEOUT));
	copy(&s);
	OK(pager_copy(s.p, s.copy, PAGES * s.page, second));
	for (unsigned i = 0; i < PAGES; i += 3)
		expect(&s, s.copy, i, i < 48 ? i + 1 : 0);
	for (unsigned i = 1; i < PAGES; i += 7)
		fill(&s, s.copy, i, 150);
	/* All of the middle one is held. What is above and below needs none of it. */
	OK(pager_upl_create(s.p, s.copy, PAGES * s.page, PAGER_UPL_SET_INTERNAL, &u));
	OK(pager_upl_info(u, &info));
	EQ(info.pages_held, PAGES);
	EQ(info.pages[62], PAGER_UPL_PAGE_HELD | PAGER_UPL_PAGE_ABSENT);
	for (unsigned i = 0; i < PAGES; i++) {
		fill(&s, s.source, i, 200);
		expect(&s, second, i, i < 48 ? i + 1 : 0);
	}
	for (unsigned i = 0; i < 48; i++) {
		OK(pager_upl_read(u, i * s.page, &byte, 1));
		EQ(byte, i % 7 == 1 ? 150 : i + 1);
	}
	live_check(d);
	byte = 99;
	for (unsigned i = 0; i < 8; i++)
		OK(pager_upl_write(u, i * s.page, &byte, 1));
	OK(pager_upl_commit(u, PAGER_UPL_COMMIT_FREE_ON_EMPTY, &empty));
	for (unsigned i = 0; i < 48; i++) {
		EQ(s.copy[i * s.page], i < 8 ? 99 : i % 7 == 1 ? 150 : i + 1);
		EQ(s.copy[i * s.page + 1], i % 7 == 1 ? 150 : i + 1);
		expect(&s, second, i, i + 1);
	}
	/* The source is written out and given up: its copies keep what they have. */
	copy(&s);
	OK(pager_upl_create(s.p, s.source, PAGES * s.page, PAGER_UPL_COPYOUT_FROM, &u));
	for (unsigned i = 0; i < 8; i++)
		fill(&s, s.copy, i, 50);
	OK(pager_upl_commit(u, PAGER_UPL_COMMIT_FREE_ON_EMPTY, &empty));
	for (unsigned i = 0; i < PAGES; i++) {
		expect(&s, s.source, i, 0);
		expect(&s, s.copy, i, i < 8 ? 50 : 200);
	}
	/* While a list has pages of it, it is copied by content. */
	fill(&s, s.source, 63, 3);
	OK(pager_upl_create(s.p, s.source, 4 * s.page, PAGER_UPL_COPYOUT_FROM, &u));
	OK(pager_copy(s.p, page_of(&s, s.source, 8), 56 * s.page, page_of(&s, s.copy, 8)));
	expect(&s, s.copy, 63, 3);
	OK(pager_upl_abort(u, PAGER_UPL_ABORT_FREE_ON_EMPTY, &empty));
	OK(pager_disconnect(s.p));
}

static void
listed(void)
{
	run_client("64M", listed_body);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "one-percent", one_percent },
		{ "held", held },
		{ "trap-6-punched", trap_6_punched },
		{ "trap-9-woken", trap_9_woken },
		{ "listed", listed },
	};

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	return LIVE_RUN(argc, argv, tests);
}
