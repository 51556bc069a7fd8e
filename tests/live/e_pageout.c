/* SPDX-License-Identifier: MIT
 *
 * PAGER_BEHAVIOR_PAGEOUT: when the call returns the pages have left, and they come back with their
 * content.
 *
 * usage: e_pageout states|stays|swap|full|faulted|killed [page size]
 */
#include "harness.h"

#include <pthread.h>
#include <stdatomic.h>

#include "book.h"

static unsigned
disposition_of(struct pager *p, const struct book *b, uint32_t page)
{
	unsigned disposition;

	OK(pager_page_query(p, b->base + page * b->page_bytes, &disposition));
	return disposition;
}

static void
page_out(struct pager *p, const struct book *b, uint32_t first, uint32_t count)
{
	OK(pager_behavior(
	    p, b->base + first * b->page_bytes, count * b->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
}

static void
fill(struct book *b, uint32_t first, uint32_t count, uint64_t *rng)
{
	for (uint32_t i = first; i < first + count; i++)
		book_write(b, i, mixture_draw(&mixture_usual, rng));
}

/* How many pages of [first, first + count) are resident. */
static uint32_t
resident(struct pager *p, const struct book *b, uint32_t first, uint32_t count)
{
	uint32_t n = 0;

	for (uint32_t i = first; i < first + count; i++)
		n += (disposition_of(p, b, i) & PAGER_PAGE_PRESENT) != 0;
	return n;
}

/* No page of [first, first + count) is resident. */
static void
all_away(struct live *d, struct pager *p, const struct book *b, uint32_t first, uint32_t count)
{
	uint32_t stay = resident(p, b, first, count);

	live_rest(d);
	REQUIRE(stay == 0, "%u of %u pages stay: pinned %lld, rescued %lld, not stored %lld", stay,
	    count, (long long)live_stat(d, "pinned"), (long long)live_stat(d, "rescues"),
	    (long long)live_stat(d, "pageout_failures"));
}

/* --- pages in every state --- */

enum { PART = 96, PAGES = 6 * PART };

static void
states(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	struct pager_statistics statistics;
	uint64_t rng = live_seed;
	int64_t before, compressions, clean;
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, PAGES * d->page_bytes), d->page_bytes, PAGES, 1);
	OK(pager_behavior(p, b.base, PAGES * d->page_bytes, PAGER_BEHAVIOR_RANDOM));
	/* Nothing is there yet. */
	page_out(p, &b, 0, PAGES);
	EQ(live_stat(d, "evictions"), 0);
	/* Active, inactive, wired, brought in ahead of use, clean, never touched. */
	fill(&b, 0, 5 * PART, &rng);
	page_out(p, &b, 3 * PART, 2 * PART);
	EQ(live_stat(d, "evictions"), 2 * PART);
	EQ(live_stat(d, "light_compressions"), 0);
	OK(pager_behavior(
	    p, b.base + PART * d->page_bytes, PART * d->page_bytes, PAGER_BEHAVIOR_DONTNEED));
	OK(pager_wire(p, b.base + 2 * PART * d->page_bytes, PART * d->page_bytes));
	OK(pager_behavior(
	    p, b.base + 3 * PART * d->page_bytes, PART * d->page_bytes, PAGER_BEHAVIOR_WILLNEED));
	for (uint32_t i = 4 * PART; i < 5 * PART; i++)
		book_verify(&b, i);
	EQ(live_stat(d, "speculative"), PART);
	EQ(resident(p, &b, 0, PAGES), 5 * PART);
	before = live_stat(d, "evictions");
	compressions = live_stat(d, "compressions");
	clean = live_stat(d, "clean_pageouts");
	page_out(p, &b, 0, PAGES);
	all_away(d, p, &b, 0, 2 * PART);
	EQ(resident(p, &b, 2 * PART, PART), PART);
	all_away(d, p, &b, 3 * PART, 3 * PART);
	for (uint32_t i = 2 * PART; i < 3 * PART; i++)
		REQUIRE(disposition_of(p, &b, i) & PAGER_PAGE_WIRED);
	for (uint32_t i = 5 * PART; i < PAGES; i++)
		EQ(disposition_of(p, &b, i), 0);
	EQ(live_stat(d, "evictions") - before, 4 * PART);
	/* Copies that are still good are not made again. */
	EQ(live_stat(d, "compressions") - compressions, 2 * PART);
	EQ(live_stat(d, "clean_pageouts") - clean, 2 * PART);
	OK(pager_statistics(p, &statistics));
	EQ(statistics.internal, PART * d->page_bytes);
	EQ(statistics.wired_mem, PART * d->page_bytes);
	EQ(statistics.internal_compressed, 4 * PART * d->page_bytes);
	live_check(d);
	book_verify_all(&b);
	/* A part, not all; and pages that are no longer wired leave as well. */
	OK(pager_unwire(p, b.base + 2 * PART * d->page_bytes, PART * d->page_bytes));
	fill(&b, 0, PAGES, &rng);
	page_out(p, &b, 5, 2 * PART + 7);
	EQ(resident(p, &b, 0, 5), 5);
	all_away(d, p, &b, 5, 2 * PART + 7);
	EQ(resident(p, &b, 2 * PART + 12, PAGES - 2 * PART - 12), PAGES - 2 * PART - 12);
	page_out(p, &b, 0, PAGES);
	all_away(d, p, &b, 0, PAGES);
	book_verify_all(&b);
	/* Parted into entries: one request walks them all. */
	OK(pager_behavior(
	    p, b.base + PART * d->page_bytes, PART * d->page_bytes, PAGER_BEHAVIOR_SEQUENTIAL));
	page_out(p, &b, 0, PAGES);
	all_away(d, p, &b, 0, PAGES);
	book_verify_all(&b);
	/* As of the other behaviours. */
	OK(pager_deallocate(p, b.base + PART * d->page_bytes, d->page_bytes));
	EQ(pager_behavior(p, b.base, PAGES * d->page_bytes, PAGER_BEHAVIOR_PAGEOUT), -EINVAL);
	EQ(pager_behavior(p, b.base + PART * d->page_bytes, d->page_bytes, PAGER_BEHAVIOR_PAGEOUT),
	    -EINVAL);
	EQ(pager_behavior(
	       p, b.base, d->page_bytes, (enum pager_behavior)(PAGER_BEHAVIOR_REUSE + 1)),
	    -EINVAL);
	EQ(resident(p, &b, 0, PART), PART);
	OK(pager_disconnect(p));
}

/* --- what stays for a moment only is tried again --- */

static void
stays(struct live *d, void *argument)
{
	/* Each is over when it has been met once: the kernel's references on pages cannot be
	 * known, a mapping is changing. */
	static const char *const reasons[] = { "PINS_LOOK_ENOMEM", "UFFD_WRITEPROTECT_EAGAIN" };
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed;
	char spec[64];
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, PART * d->page_bytes), d->page_bytes, PART, 1);
	for (unsigned i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		bool may_be_met = i > 0 || live_stat(d, "pins_known");
		uint64_t before = live_fail_count(d, reasons[i]);

		fill(&b, 0, PART, &rng);
		/* Servers that have answered touches protect pages, too. */
		live_rest(d);
		snprintf(spec, sizeof(spec), "%s:0:1", reasons[i]);
		live_debug_fail(d, spec);
		page_out(p, &b, 0, PART);
		EQ(live_fail_count(d, reasons[i]) - before, may_be_met);
		all_away(d, p, &b, 0, PART);
		live_debug_fail(d, NULL);
		book_verify_all(&b);
	}
	/* If it is never over the pages stay, and the call returns. */
	if (live_stat(d, "pins_known")) {
		fill(&b, 0, PART, &rng);
		live_debug_fail(d, "PINS_LOOK_ENOMEM:0:0");
		page_out(p, &b, 0, PART);
		EQ(resident(p, &b, 0, PART), PART);
		live_debug_fail(d, NULL);
		page_out(p, &b, 0, PART);
		all_away(d, p, &b, 0, PART);
		book_verify_all(&b);
	}
	OK(pager_disconnect(p));
}

/* --- beyond the compressor's share --- */

static void
swap(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes * 3 / 4);
	uint64_t rng = live_seed;
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	for (unsigned round = 0; round < 3; round++) {
		int64_t swapouts = live_stat(d, "swapouts"),
			light = live_stat(d, "light_compressions");

		fill(&b, 0, count, &rng);
		/* A fault that is answered late brings its page in again. */
		live_rest(d);
		page_out(p, &b, 0, count);
		all_away(d, p, &b, 0, count);
		WAIT_UNTIL(d, live_stat(d, "swapouts") > swapouts);
		/* Pages on their way to the disk are compressed lightly. */
		REQUIRE(live_stat(d, "light_compressions") > light);
		/* The compressor's content beyond its share goes to the disk. */
		WAIT_UNTIL(
		    d, live_stat(d, "compressor") <=
			   live_stat(d, "compressor_limit") + 512 * 1024 / (int64_t)d->page_bytes);
		/* Memory kept for further pages is given back. */
		live_check(d);
		book_verify_all(&b);
	}
	OK(pager_disconnect(p));
}

/* --- no room for all of it: some pages leave, the rest stays, and the call returns. With small
 * pages only: with large ones the reserve is so large that content that fits in memory also fits
 * in the compressor --- */

static void
full(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes * 93 / 100), left;
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	for (uint32_t i = 0; i < count; i++)
		book_write(&b, i, KIND_NOISE);
	page_out(p, &b, 0, count);
	left = count - resident(p, &b, 0, count);
	printf("%u of %u pages have left\n", left, count);
	REQUIRE(left > count / 2 && left < count);
	book_verify_all(&b);
	/* A second request gains nothing. */
	page_out(p, &b, 0, count);
	book_verify_all(&b);
	EQ(live_stat(d, "refused_zero_fills") + live_stat(d, "refused_refills"), 0);
	OK(pager_disconnect(p));
}

/* --- faults are answered meanwhile --- */

struct toucher {
	struct book *book;
	atomic_bool stop;
	_Atomic uint64_t touches;
	uint64_t rng;
};

static void *
toucher_main(void *argument)
{
	struct toucher *t = argument;

	while (!atomic_load(&t->stop)) {
		uint32_t page = (uint32_t)rng_below(&t->rng, t->book->count);

		book_verify(t->book, page);
		if (page % 2)
			book_write(t->book, page, mixture_draw(&mixture_usual, &t->rng));
		atomic_fetch_add(&t->touches, 1);
	}
	return NULL;
}

/* One thread touches the pages that another pages out. */
static void
faulted(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes);
	struct toucher t = { .rng = live_seed };
	uint64_t rng = mix64(live_seed), before;
	pthread_t thread;
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	fill(&b, 0, count, &rng);
	t.book = &b;
	REQUIRE(pthread_create(&thread, NULL, toucher_main, &t) == 0);
	for (uint64_t n = live_scaled(60); n > 0; n--) {
		page_out(p, &b, 0, count);
		before = atomic_load(&t.touches);
		WAIT_UNTIL(d, atomic_load(&t.touches) > before + 20);
	}
	atomic_store(&t.stop, true);
	pthread_join(thread, NULL);
	live_rest(d);
	page_out(p, &b, 0, count);
	all_away(d, p, &b, 0, count);
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

/* --- the client is killed meanwhile --- */

static _Atomic uint64_t *calls; /* shared */

static void
victim(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes / 2);
	uint64_t rng = mix64((uint64_t)getpid());
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count,
	    (uint32_t)getpid());
	for (;;) {
		fill(&b, 0, count, &rng);
		atomic_fetch_add(calls, 1);
		page_out(p, &b, 0, count);
		book_verify_all(&b);
	}
}

static void
test_killed(struct live *d)
{
	uint64_t rng = mix64(live_seed);

	calls = shared_alloc(sizeof(*calls));
	for (uint64_t n = live_scaled(24); n > 0; n--) {
		uint64_t before = atomic_load(calls);
		pid_t pids[2] = { client_start(d, victim, NULL), client_start(d, victim, NULL) };

		WAIT_UNTIL(d, atomic_load(calls) >= before + 2);
		/* In the middle of it, or a little later. */
		usleep((useconds_t)rng_below(&rng, 4000));
		client_kill(pids[0]);
		client_kill(pids[1]);
		WAIT_UNTIL(d, live_stat(d, "internal") + live_stat(d, "internal_compressed") == 0);
		live_check(d);
	}
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		client_body *body;
		const char *param, *more;
	} tests[] = {
		{ "states", states, "retain_copies=1", NULL },
		{ "stays", stays, "retain_copies=1", NULL },
		{ "swap", swap, "compressor_percent=5", NULL },
		{ "full", full, "compressor_percent=50", "--no-swap" },
		{ "faulted", faulted, "compressor_percent=20", NULL },
		{ "killed", NULL, "compressor_percent=5", NULL },
	};
	const char *name = argc > 1 ? argv[1] : "", *page_size = argc > 2 ? argv[2] : "4K";
	struct live d;

	live_init(argc, argv);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (strcmp(name, tests[i].name) != 0)
			continue;
		live_start(&d, strcmp(page_size, "64K") == 0 ? "96M" : "16M", "--page-size",
		    page_size, "--param", tests[i].param, tests[i].more, NULL);
		if (tests[i].body)
			client_join(&d, client_start(&d, tests[i].body, NULL), false);
		else
			test_killed(&d);
		live_stop(&d);
		return 0;
	}
	fprintf(stderr, "usage: e_pageout states|stays|swap|full|faulted|killed [page size]\n");
	return 2;
}
