/* SPDX-License-Identifier: MIT
 *
 * One page's life, seen in the counters: zero fills and their clusters, soft faults, clean copies,
 * wiring, discarding.
 *
 * usage: e_page zero-fill|soft|around|clean|wire|discard [page size]
 */
#include "book.h"
#include "page.h"

struct counters {
	int64_t faults, zero_fills, soft_faults, reactivations, clustered, compressions,
	    decompressions, swapins, pageouts, clean_pageouts, wp, planted, discards;
};

/* Counters are posted after the thread has been woken: they are read at once, with the daemon at
 * rest. */
static struct counters
read_counters(struct live *d)
{
	/* In the order of the fields. */
	static const char *const names[] = { "faults", "zero_fills", "soft_faults", "reactivations",
		"clustered", "compressions", "decompressions", "swapins", "pageouts",
		"clean_pageouts", "write_protect_faults", "planted", "discards" };
	struct counters now;

	_Static_assert(
	    sizeof(now) == sizeof(names) / sizeof(names[0]) * sizeof(int64_t), "a name for each");
	live_rest(d);
	live_stats(d, names, sizeof(names) / sizeof(names[0]), &now.faults);
	return now;
}

/* --- first touches --- */

static void
zero_fill(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	enum { PAGES = 300 };
	struct counters a, b;
	void *base;

	(void)argument;
	/* With the RANDOM hint each fault brings one page. */
	base = client_allocate(p, PAGES * d->page_bytes);
	OK(pager_behavior(p, base, PAGES * d->page_bytes, PAGER_BEHAVIOR_RANDOM));
	a = read_counters(d);
	for (uint64_t i = 0; i < PAGES; i++)
		EQ(*page_byte(base, i, d), 0);
	b = read_counters(d);
	EQ(b.zero_fills - a.zero_fills, PAGES);
	EQ(b.faults - a.faults, PAGES);
	EQ(b.clustered - a.clustered, 0);
	OK(pager_deallocate(p, base, PAGES * d->page_bytes));
	/* A run without a hint: clusters after a few pages, and no page beyond the region. */
	base = client_allocate(p, PAGES * d->page_bytes);
	a = read_counters(d);
	for (uint64_t i = 0; i < PAGES; i++)
		*page_byte(base, i, d) = 1;
	b = read_counters(d);
	EQ(b.zero_fills - a.zero_fills, PAGES);
	REQUIRE(b.faults - a.faults < PAGES / 4, "%lld faults for %d pages",
	    (long long)(b.faults - a.faults), PAGES);
	OK(pager_deallocate(p, base, PAGES * d->page_bytes));
	/* Downwards. */
	base = client_allocate(p, PAGES * d->page_bytes);
	a = read_counters(d);
	for (uint64_t i = PAGES; i-- > 0;)
		*page_byte(base, i, d) = 1;
	b = read_counters(d);
	EQ(b.zero_fills - a.zero_fills, PAGES);
	REQUIRE(b.faults - a.faults < PAGES / 4, "%lld faults for %d pages",
	    (long long)(b.faults - a.faults), PAGES);
	EQ(b.wp - a.wp, 0);
	OK(pager_disconnect(p));
}

/* --- cooled down, touched again --- */

static void
soft(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	enum { PAGES = 100 };
	struct counters a, b;
	unsigned disposition;
	struct book book;

	(void)argument;
	book_open(&book, client_allocate(p, PAGES * d->page_bytes), d->page_bytes, PAGES, 1);
	OK(pager_behavior(p, book.base, PAGES * d->page_bytes, PAGER_BEHAVIOR_RANDOM));
	for (uint32_t i = 0; i < PAGES; i++)
		book_write(&book, i, KIND_NOISE);
	a = read_counters(d);
	OK(pager_behavior(p, book.base, PAGES * d->page_bytes, PAGER_BEHAVIOR_DONTNEED));
	EQ(live_stat(d, "inactive"), PAGES);
	OK(pager_page_query(p, book.base, &disposition));
	EQ(disposition & (PAGER_PAGE_PRESENT | PAGER_PAGE_REFERENCED), PAGER_PAGE_PRESENT);
	/* The agent takes its time. Then each page comes back by one soft fault, with its content.
	 */
	WAIT_UNTIL(d, pages_mapped(d, book.base, PAGES) == 0);
	book_verify_all(&book);
	EQ(pages_mapped(d, book.base, PAGES), PAGES);
	b = read_counters(d);
	EQ(b.zero_fills, a.zero_fills);
	EQ(b.decompressions, a.decompressions);
	EQ(b.soft_faults - a.soft_faults, PAGES);
	EQ(b.reactivations - a.reactivations, PAGES);
	OK(pager_disconnect(p));
}

/* --- the same in a run: one soft fault maps its neighbours --- */

static void
cool(struct live *d, struct pager *p, struct book *book)
{
	/* Pages that a server still holds would not be cooled. */
	live_rest(d);
	OK(pager_behavior(p, book->base, book->count * d->page_bytes, PAGER_BEHAVIOR_DONTNEED));
	WAIT_UNTIL(d, pages_mapped(d, book->base, book->count) == 0);
}

static void
around(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	enum { PAGES = 256 };
	int64_t soft_faults, around_pages;
	struct book book;

	(void)argument;
	book_open(&book, client_allocate(p, PAGES * d->page_bytes), d->page_bytes, PAGES, 1);
	for (uint32_t i = 0; i < PAGES; i++)
		book_write(&book, i, KIND_NOISE);
	for (unsigned round = 0; round < 4; round++) {
		cool(d, p, &book);
		live_rest(d);
		EQ(live_stat(d, "inactive"), PAGES);
		soft_faults = live_stat(d, "soft_faults");
		around_pages = live_stat(d, "around");
		for (uint32_t i = 0; i < PAGES; i++)
			book_verify(&book, round % 2 ? PAGES - 1 - i : i);
		live_rest(d);
		soft_faults = live_stat(d, "soft_faults") - soft_faults;
		around_pages = live_stat(d, "around") - around_pages;
		/* Some may have been mapped twice, because they were touched while their
		 * neighbours were being mapped. */
		printf("%d pages by %lld soft faults\n", PAGES, (long long)soft_faults);
		REQUIRE(soft_faults < PAGES / 4 && around_pages > PAGES / 2 &&
			    soft_faults + around_pages >= PAGES,
		    "%lld soft faults, %lld pages around them", (long long)soft_faults,
		    (long long)around_pages);
		EQ(live_stat(d, "inactive"), 0);
		EQ(pages_mapped(d, book.base, PAGES), PAGES);
		/* Pages mapped this way must be write-protected if they are clean: none of these
		 * writes may be lost. */
		for (uint32_t i = round; i < PAGES; i += 3)
			book_write(&book, i, KIND_TEXT);
	}
	/* Discarded pages in between end a run. */
	for (uint32_t i = 10; i < PAGES; i += 20) {
		OK(pager_behavior(
		    p, book.base + i * d->page_bytes, d->page_bytes, PAGER_BEHAVIOR_FREE));
		book_forget(&book, i);
	}
	cool(d, p, &book);
	book_verify_all(&book);
	/* A run ends at the end of its region. */
	OK(pager_deallocate(p, book.base + 128 * d->page_bytes, 128 * d->page_bytes));
	book.count = 128;
	cool(d, p, &book);
	book_verify_all(&book);
	OK(pager_disconnect(p));
}

/* --- a page read back and not written leaves for nothing --- */

static void
clean(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes);
	struct counters a, b;
	uint64_t rng = live_seed;
	struct book book;

	(void)argument;
	book_open(&book, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&book, &(struct mixture){ 5, 10, 10 }, &rng);
	/* After this all dirty pages have left once, and some of the pages that came back have
	 * left again. The daemon rests, or a store that is answered late would make one dirty. */
	live_rest(d);
	OK(pager_behavior(p, book.base, count * d->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
	book_verify_all(&book);
	a = read_counters(d);
	book_verify_all(&book);
	b = read_counters(d);
	printf("second reading: %lld compressions, %lld pageouts, %lld of them clean\n",
	    (long long)(b.compressions - a.compressions), (long long)(b.pageouts - a.pageouts),
	    (long long)(b.clean_pageouts - a.clean_pageouts));
	EQ(b.compressions - a.compressions, 0);
	REQUIRE(b.clean_pageouts - a.clean_pageouts > count / 4);
	EQ(b.clean_pageouts - a.clean_pageouts, b.pageouts - a.pageouts);
	/* A page that is written must be compressed again: its old copy is not the truth. */
	for (uint32_t i = 0; i < count; i += 7)
		book_poke(&book, i, i + 1);
	OK(pager_behavior(p, book.base, count * d->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
	REQUIRE(live_stat(d, "compressions") - b.compressions >= count / 7, "%lld compressions",
	    (long long)(live_stat(d, "compressions") - b.compressions));
	book_verify_all(&book);
	OK(pager_disconnect(p));
}

/* --- wired --- */

static void
wire(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	enum { PAGES = 64 };
	uint32_t count = (uint32_t)(3 * d->memory_bytes / d->page_bytes);
	struct pager_statistics statistics;
	struct book wired, other;
	uint64_t rng = live_seed;
	unsigned disposition;
	int64_t faults;

	(void)argument;
	book_open(&wired, client_allocate(p, PAGES * d->page_bytes), d->page_bytes, PAGES, 1);
	for (uint32_t i = 0; i < PAGES / 2; i++)
		book_write(&wired, i, KIND_NOISE);
	OK(pager_wire(p, wired.base, PAGES * d->page_bytes));
	OK(pager_wire(p, wired.base, PAGES * d->page_bytes)); /* counts */
	live_rest(d);
	EQ(live_stat(d, "wired"), PAGES);
	OK(pager_statistics(p, &statistics));
	EQ(statistics.wired_mem, PAGES * d->page_bytes);
	book_open(&other, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 2);
	book_write_all(&other, &(struct mixture){ 5, 10, 10 }, &rng);
	book_verify_all(&other);
	/* All other pages have been through the compressor; wired pages have stayed, and need no
	 * fault for reading or writing. */
	live_rest(d);
	OK(pager_statistics(p, &statistics));
	faults = (int64_t)statistics.faults;
	book_verify_all(&wired);
	for (uint32_t i = 0; i < PAGES; i++)
		book_write(&wired, i, KIND_TEXT);
	book_verify_all(&wired);
	live_rest(d);
	OK(pager_statistics(p, &statistics));
	EQ(statistics.faults, faults);
	OK(pager_page_query(p, wired.base, &disposition));
	REQUIRE(disposition & PAGER_PAGE_WIRED);
	/* Only a part of memory may be wired. */
	EQ(pager_wire(p, other.base, count * d->page_bytes), -EAGAIN);
	OK(pager_unwire(p, wired.base, PAGES * d->page_bytes));
	EQ(live_stat(d, "wired"), PAGES);
	OK(pager_unwire(p, wired.base, PAGES * d->page_bytes));
	EQ(live_stat(d, "wired"), 0);
	EQ(pager_unwire(p, wired.base, PAGES * d->page_bytes), -EINVAL);
	book_verify_all(&wired);
	book_verify_all(&other);
	/* The client ends with wired pages; its accounts must still return to zero. */
	OK(pager_wire(p, wired.base, PAGES * d->page_bytes));
	OK(pager_disconnect(p));
}

/* --- discarded in every state --- */

static void
discard(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(3 * d->memory_bytes / d->page_bytes);
	struct pager_statistics statistics;
	uint64_t rng = live_seed;
	struct book book;

	(void)argument;
	book_open(&book, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&book, &(struct mixture){ 5, 10, 40 }, &rng);
	for (uint32_t i = 0; i < count; i += 3) {
		OK(pager_behavior(
		    p, book.base + i * d->page_bytes, d->page_bytes, PAGER_BEHAVIOR_FREE));
		book_forget(&book, i);
	}
	book_verify_all(&book);
	/* A fault that is answered late would bring its page in again. */
	live_rest(d);
	OK(pager_behavior(p, book.base, count * d->page_bytes, PAGER_BEHAVIOR_FREE));
	OK(pager_statistics(p, &statistics));
	EQ(statistics.phys_footprint, 0);
	for (uint32_t i = 0; i < count; i++)
		book_forget(&book, i);
	book_verify_all(&book);
	OK(pager_disconnect(p));
}

int
main(int argc, char **argv)
{
	static const struct page_test tests[] = {
		{ "zero-fill", zero_fill, "fault_cluster=32" },
		{ "soft", soft, "zap=2" },
		{ "around", around, "zap=2" },
		{ "clean", clean, "retain_copies=1" },
		{ "wire", wire, "retain_copies=2" },
		{ "discard", discard, "compressor_percent=20" },
	};

	return PAGE_RUN(argc, argv, tests);
}
