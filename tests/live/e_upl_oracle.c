/* SPDX-License-Identifier: MIT
 *
 * Page lists of programs under pressure, beside plain writers: the content oracle; clients that die
 * with their lists, and clients that keep them.
 *
 * usage: e_upl_oracle oracle|killed|kept [page size]
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "harness.h"

#include "book.h"

#define COPYOUT  PAGER_UPL_COPYOUT_FROM
#define INTERNAL PAGER_UPL_SET_INTERNAL

static const struct mixture mixture = { 5, 10, 40 };

static struct pager_upl_info
info_of(struct pager_upl *u)
{
	struct pager_upl_info info;

	OK(pager_upl_info(u, &info));
	return info;
}

/* --- oracle --- */

enum { THREADS = 3, REGION_PAGES = 192, LIST_PAGES = 24 };

struct worker {
	pthread_t thread;
	struct live *d;
	struct pager *pager;
	struct book book;
	uint64_t rng, ops;
	unsigned char *copy; /* LIST_PAGES pages */
	/* Pages that are filled by lists only, and read by another thread. */
	unsigned char *stamps;
	atomic_bool *end;
};

/* A list of some pages; it may be shorter. => NULL: the wire limit */
static struct pager_upl *
list_make(struct worker *w, uint32_t first, uint32_t count, unsigned flags)
{
	struct book *b = &w->book;
	struct pager_upl *u;
	int error = pager_upl_create(
	    w->pager, b->base + first * b->page_bytes, count * b->page_bytes, flags | INTERNAL, &u);

	REQUIRE(error == 0 || error == -EAGAIN, "list: %s", strerror(-error));
	return error ? NULL : u;
}

static bool
is_held(struct pager_upl *u, uint32_t i)
{
	return info_of(u).pages[i] & PAGER_UPL_PAGE_HELD;
}

static void
page_put(struct worker *w, struct pager_upl *u, uint32_t i, const void *from)
{
	const size_t half = w->book.page_bytes / 2;

	OK(pager_upl_write(u, 2 * i * half, from, half));
	OK(pager_upl_write(u, (2 * i + 1) * half, (const char *)from + half, half));
}

/* What is read through a list is what the program wrote; then the program is the pages' store for a
 * while. */
static void
out_and_in(struct worker *w, uint32_t first, uint32_t count)
{
	struct book *b = &w->book;
	bool away[LIST_PAGES] = { false };
	struct pager_upl *u = list_make(w, first, count, COPYOUT);

	if (!u)
		return;
	count = info_of(u).page_count;
	for (uint32_t i = 0; i < count; i++) {
		away[i] = is_held(u, i);
		if (!away[i])
			continue;
		OK(pager_upl_read(
		    u, i * b->page_bytes, w->copy + i * b->page_bytes, b->page_bytes));
		book_verify_copy(b, first + i, w->copy + i * b->page_bytes, "a list");
	}
	OK(pager_upl_commit(u, 0, NULL));
	OK(pager_upl_destroy(u));
	for (uint32_t done = 0; done < count;) {
		uint32_t n;

		u = list_make(w, first + done, count - done, PAGER_UPL_RET_ONLY_ABSENT);
		if (!u)
			continue;
		n = info_of(u).page_count;
		for (uint32_t i = 0; i < n; i++) {
			REQUIRE(is_held(u, i) || !away[done + i]);
			if (away[done + i])
				page_put(w, u, i, w->copy + (done + i) * b->page_bytes);
			else if (is_held(u, i))
				OK(pager_upl_abort_range(
				    u, i * b->page_bytes, b->page_bytes, 0, NULL));
		}
		OK(pager_upl_commit(u,
		    rng_below(&w->rng, 2) ? PAGER_UPL_COMMIT_INACTIVATE
					  : PAGER_UPL_COMMIT_SPECULATE,
		    NULL));
		OK(pager_upl_destroy(u));
		done += n;
	}
}

static void
clean(struct worker *w, uint32_t first, uint32_t count)
{
	struct book *b = &w->book;
	unsigned flags = COPYOUT | PAGER_UPL_CLEAN_IN_PLACE |
			 (rng_below(&w->rng, 2) ? PAGER_UPL_RET_ONLY_DIRTY : 0);
	struct pager_upl *u = list_make(w, first, count, flags);

	if (!u)
		return;
	for (uint32_t i = 0; i < info_of(u).page_count; i++)
		if (is_held(u, i)) {
			OK(pager_upl_read(u, i * b->page_bytes, w->copy, b->page_bytes));
			book_verify_copy(b, first + i, w->copy, "a list");
		}
	if (rng_below(&w->rng, 2))
		OK(pager_upl_commit(u, (unsigned)rng_below(&w->rng, 8), NULL));
	OK(pager_upl_destroy(u));
}

/* New content comes in by a list, for some of its pages; others are given up, with what was written
 * to those that had none, or whose content was away. */
static void
refill(struct worker *w, uint32_t first, uint32_t count)
{
	struct book *b = &w->book;
	struct pager_upl *u =
	    list_make(w, first, count, rng_below(&w->rng, 2) ? PAGER_UPL_NOBLOCK : 0);

	if (!u)
		return;
	for (uint32_t i = 0; i < info_of(u).page_count; i++) {
		unsigned was = info_of(u).pages[i];

		if (!(was & PAGER_UPL_PAGE_HELD))
			continue;
		OK(pager_upl_read(u, i * b->page_bytes, w->copy, b->page_bytes));
		book_verify_copy(b, first + i, w->copy, "a list");
		/* A resident page keeps what was written to it, committed or not. */
		if (rng_below(&w->rng, 2)) {
			book_note(b, first + i, mixture_draw(&mixture, &w->rng));
			page_expect(b, first + i, w->copy);
			page_put(w, u, i, w->copy);
			if (was & PAGER_UPL_PAGE_PRESENT && rng_below(&w->rng, 2))
				OK(pager_upl_abort_range(
				    u, i * b->page_bytes, b->page_bytes, 0, NULL));
			else
				OK(pager_upl_commit_range(
				    u, i * b->page_bytes, b->page_bytes, 0, NULL));
		} else if (was & (PAGER_UPL_PAGE_ABSENT | PAGER_UPL_PAGE_PAGED_OUT)) {
			OK(pager_upl_write(u, i * b->page_bytes, "garbage", 7));
			OK(pager_upl_abort_range(u, i * b->page_bytes, b->page_bytes,
			    rng_below(&w->rng, 2) ? PAGER_UPL_ABORT_ERROR : 0, NULL));
		}
	}
	if (rng_below(&w->rng, 2))
		OK(pager_upl_commit(u, 0, NULL));
	OK(pager_upl_destroy(u));
}

static void
dump(struct worker *w, uint32_t first, uint32_t count)
{
	struct pager_upl *u = list_make(w, first, count, rng_below(&w->rng, 2) ? COPYOUT : 0);

	if (!u)
		return;
	for (uint32_t i = 0; i < info_of(u).page_count; i++)
		if (is_held(u, i))
			book_forget(&w->book, first + i);
	OK(pager_upl_abort(u, PAGER_UPL_ABORT_DUMP_PAGES, NULL));
	OK(pager_upl_destroy(u));
}

static void
work(struct worker *w)
{
	struct book *b = &w->book;
	uint32_t first = (uint32_t)rng_below(&w->rng, b->count),
		 count = 1 + (uint32_t)rng_below(&w->rng, LIST_PAGES);

	if (count > b->count - first)
		count = b->count - first;
	switch (rng_below(&w->rng, 12)) {
	case 0:
		out_and_in(w, first, count);
		break;
	case 1:
		clean(w, first, count);
		break;
	case 2:
		refill(w, first, count);
		break;
	case 3:
		if (rng_below(&w->rng, 4) == 0)
			dump(w, first, count);
		break;
	case 4:
		OK(pager_behavior(w->pager, b->base + first * b->page_bytes, count * b->page_bytes,
		    PAGER_BEHAVIOR_PAGEOUT));
		break;
	case 5:
	case 6:
		for (uint32_t i = 0; i < count; i++)
			book_verify(b, first + i);
		break;
	default:
		book_write(b, first, mixture_draw(&mixture, &w->rng));
	}
}

static void *
worker_main(void *argument)
{
	struct worker *w = argument;

	for (uint64_t n = 0; n < w->ops; n++)
		work(w);
	book_verify_all(&w->book);
	return NULL;
}

static void
worker_open(struct worker *w, struct live *d, struct pager *p, unsigned index, uint32_t pages)
{
	w->d = d;
	w->pager = p;
	w->rng = mix64(live_seed * 100 + index);
	w->copy = malloc(LIST_PAGES * d->page_bytes);
	REQUIRE(w->copy);
	book_open(
	    &w->book, client_allocate(p, pages * d->page_bytes), d->page_bytes, pages, index + 1);
}

static void
worker_close(struct worker *w)
{
	book_close(&w->book);
	free(w->copy);
}

/* --- nobody sees what is not committed --- */

enum { STAMPS = 8 };

/* The first word is written first, and read first: whoever sees it early sees an old last word. */
static void *
reader_main(void *argument)
{
	struct worker *w = argument;
	uint64_t rng = w->rng + 1;
	const size_t page = w->d->page_bytes;

	while (!atomic_load(w->end)) {
		volatile uint64_t *at =
		    (volatile uint64_t *)(void *)(w->stamps + rng_below(&rng, STAMPS) * page);
		uint64_t first = at[0], last;

		atomic_thread_fence(memory_order_seq_cst);
		last = at[page / 8 - 1];
		REQUIRE(first <= last, "a page shows %llu at its front, %llu at its end",
		    (unsigned long long)first, (unsigned long long)last);
	}
	return NULL;
}

static void
stamp(struct worker *w, uint64_t value)
{
	const size_t page = w->d->page_bytes;
	struct pager_upl *u;

	OK(pager_upl_create(w->pager, w->stamps, STAMPS * page, 0, &u));
	for (unsigned i = 0; i < info_of(u).page_count; i++) {
		OK(pager_upl_write(u, i * page, &value, 8));
		if (value % 4 == 0)
			sched_yield();
		OK(pager_upl_write(u, (i + 1) * page - 8, &value, 8));
	}
	OK(pager_upl_commit(u, 0, NULL));
	OK(pager_upl_destroy(u));
}

static void
oracle_client(struct live *d, void *argument)
{
	unsigned index = *(unsigned *)argument;
	struct pager *p = client_connect(d);
	struct worker workers[THREADS] = { 0 }, stamper = { .d = d, .pager = p };
	uint64_t ops = live_scaled(d->page_bytes > 4096 ? 150 : 400);
	atomic_bool end = false;
	pthread_t reader;

	stamper.stamps = client_allocate(p, STAMPS * d->page_bytes);
	stamper.end = &end;
	for (unsigned i = 0; i < THREADS; i++) {
		uint64_t bytes = d->memory_bytes * 4 / 2 / THREADS;

		worker_open(
		    &workers[i], d, p, index * THREADS + i, (uint32_t)(bytes / d->page_bytes));
		workers[i].ops = ops;
		REQUIRE(pthread_create(&workers[i].thread, NULL, worker_main, &workers[i]) == 0);
	}
	REQUIRE(pthread_create(&reader, NULL, reader_main, &stamper) == 0);
	for (uint64_t n = 1; n <= ops; n++)
		stamp(&stamper, n);
	atomic_store(&end, true);
	pthread_join(reader, NULL);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(workers[i].thread, NULL);
		worker_close(&workers[i]);
	}
	OK(pager_disconnect(p));
}

static const char *page_size = "4K";

static void
start(struct live *d)
{
	live_start(d, strcmp(page_size, "64K") == 0 ? "32M" : "16M", "--page-size", page_size,
	    "--param", "swap_file_bytes=33554432", NULL);
}

static void
oracle(void)
{
	unsigned index[2] = { 0, 1 };
	struct live d;
	pid_t pids[2];

	start(&d);
	for (unsigned i = 0; i < 2; i++)
		pids[i] = client_start(&d, oracle_client, &index[i]);
	for (unsigned i = 0; i < 3; i++)
		live_check(&d);
	for (unsigned i = 0; i < 2; i++)
		client_join(&d, pids[i], true);
	REQUIRE(live_stat(&d, "compressions") > 0, "there was no pressure");
	EQ(live_stat(&d, "pages_lost"), 0);
	EQ(live_stat(&d, "planted"), 0);
	live_stop(&d);
}

/* --- killed: clients that end with their lists --- */

static void
endless(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	struct worker w = { 0 };
	atomic_uint *lists = argument;
	unsigned char *kept = client_allocate(p, LIST_PAGES * d->page_bytes);

	worker_open(&w, d, p, 77, REGION_PAGES);
	for (;;) {
		struct pager_upl *u;

		memset(kept, 1, d->page_bytes);
		OK(pager_upl_create(
		    p, kept, LIST_PAGES * d->page_bytes, rng_below(&w.rng, 2) ? COPYOUT : 0, &u));
		atomic_fetch_add(lists, 1);
		for (unsigned n = 0; n < 8; n++)
			work(&w);
		OK(pager_upl_commit(u, 0, NULL));
		OK(pager_upl_destroy(u));
	}
}

static void
killed(void)
{
	atomic_uint *lists = shared_alloc(sizeof(*lists));
	uint64_t rng = live_seed;
	struct live d;

	start(&d);
	for (uint64_t n = 0; n < live_scaled(20); n++) {
		unsigned until = atomic_load(lists) + 1 + (unsigned)rng_below(&rng, 40);
		pid_t pid = client_start(&d, endless, lists);

		WAIT_UNTIL(&d, atomic_load(lists) >= until);
		client_kill(pid);
	}
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	WAIT_UNTIL(&d, live_stat(&d, "listed") == 0);
	live_stop(&d);
}

/* --- kept: others go on --- */

static void
keeper(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	const size_t page = d->page_bytes;
	atomic_uint *stage = argument;
	struct pager_upl *u[64];
	unsigned count = 0;
	int error = 0;

	/* As much as it may have. */
	for (size_t pages = 256; pages > 0 && count < 64;) {
		unsigned char *base = client_allocate(p, pages * page);

		error =
		    pager_upl_create(p, base, pages * page, count % 2 ? 0 : INTERNAL, &u[count]);
		if (error == 0)
			count++;
		else
			pages /= 2;
	}
	EQ(error, -EAGAIN);
	REQUIRE(count > 0);
	atomic_store(stage, 1);
	while (atomic_load(stage) < 2)
		live_tick(d);
	/* They are still its own. */
	for (unsigned i = 0; i < count; i++)
		OK(pager_upl_write(u[i], 0, "mine", 4));
	for (unsigned i = 0; i < count; i += 2)
		OK(pager_upl_commit(u[i], 0, NULL));
	REQUIRE(memcmp(info_of(u[0]).addr, "mine", 4) == 0);
	atomic_store(stage, 3);
	for (;;)
		pause();
}

static void
plain_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	struct worker w = { 0 };
	uint64_t ops = live_scaled(6000);
	unsigned char *own;

	worker_open(
	    &w, d, p, *(unsigned *)argument, (uint32_t)(d->memory_bytes * 16 / 2 / d->page_bytes));
	for (uint64_t n = 0; n < ops; n++) {
		uint32_t page = (uint32_t)rng_below(&w.rng, w.book.count);

		if (n % 3 == 0)
			book_verify(&w.book, page);
		else
			book_write(&w.book, page, mixture_draw(&mixture_usual, &w.rng));
	}
	book_verify_all(&w.book);
	/* Jobs of others are served, too. */
	own = client_allocate(p, 4 * d->page_bytes);
	own[0] = 1;
	OK(pager_behavior(p, own, 4 * d->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
	EQ(own[0], 1);
	OK(pager_deallocate(p, own, 4 * d->page_bytes));
	worker_close(&w);
	OK(pager_disconnect(p));
}

static void
kept(void)
{
	atomic_uint *stage = shared_alloc(sizeof(*stage));
	unsigned index[2] = { 1, 2 };
	pid_t keeper_pid, pids[2];
	struct live d;

	start(&d);
	keeper_pid = client_start(&d, keeper, stage);
	WAIT_UNTIL(&d, atomic_load(stage) == 1);
	WAIT_UNTIL(&d, live_stat(&d, "listed") > 0);
	for (unsigned i = 0; i < 2; i++)
		pids[i] = client_start(&d, plain_client, &index[i]);
	live_check(&d);
	for (unsigned i = 0; i < 2; i++)
		client_join(&d, pids[i], true);
	WAIT_UNTIL(&d, live_stat(&d, "listed") > 0);
	EQ(live_stat(&d, "refused_zero_fills"), 0);
	EQ(live_stat(&d, "refused_refills"), 0);
	atomic_store(stage, 2);
	WAIT_UNTIL(&d, atomic_load(stage) == 3);
	live_check(&d);
	client_kill(keeper_pid);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "oracle", oracle },
		{ "killed", killed },
		{ "kept", kept },
	};

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	return LIVE_RUN(argc, argv, tests);
}
