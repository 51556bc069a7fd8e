/* SPDX-License-Identifier: MIT
 *
 * One page's life, seen in the counters: zero fills and their clusters, soft faults, clean copies,
 * wiring, planted pages, memory that its owner takes away behind the daemon's back.
 *
 * usage: e_page zero-fill|soft|around|clean|wire|discard|planted|punched|region|parted [page size]
 */
#include "harness.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "book.h"
#include "raw.h"

static const char *page_size = "4K", *memory_size = "8M";

static volatile unsigned char *
byte(void *base, uint64_t page, struct live *d)
{
	return (volatile unsigned char *)base + page * d->page_bytes;
}

struct counters {
	int64_t faults, zero_fills, soft_faults, reactivations, clustered, compressions,
	    decompressions, swapins, pageouts, clean_pageouts, wp, planted, discards;
};

/* Counters are posted after the thread has been let go: of one reading, with the daemon at rest. */
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
	/* Scattered, and told so: one fault, one page. */
	base = client_allocate(p, PAGES * d->page_bytes);
	OK(pager_behavior(p, base, PAGES * d->page_bytes, PAGER_BEHAVIOR_RANDOM));
	a = read_counters(d);
	for (uint64_t i = 0; i < PAGES; i++)
		EQ(*byte(base, i, d), 0);
	b = read_counters(d);
	EQ(b.zero_fills - a.zero_fills, PAGES);
	EQ(b.faults - a.faults, PAGES);
	EQ(b.clustered - a.clustered, 0);
	OK(pager_deallocate(p, base, PAGES * d->page_bytes));
	/* A run, not told: clusters after a few pages, and not one page beyond the region. */
	base = client_allocate(p, PAGES * d->page_bytes);
	a = read_counters(d);
	for (uint64_t i = 0; i < PAGES; i++)
		*byte(base, i, d) = 1;
	b = read_counters(d);
	EQ(b.zero_fills - a.zero_fills, PAGES);
	REQUIRE(b.faults - a.faults < PAGES / 4, "%lld faults for %d pages",
	    (long long)(b.faults - a.faults), PAGES);
	OK(pager_deallocate(p, base, PAGES * d->page_bytes));
	/* Downwards. */
	base = client_allocate(p, PAGES * d->page_bytes);
	a = read_counters(d);
	for (uint64_t i = PAGES; i-- > 0;)
		*byte(base, i, d) = 1;
	b = read_counters(d);
	EQ(b.zero_fills - a.zero_fills, PAGES);
	REQUIRE(b.faults - a.faults < PAGES / 4, "%lld faults for %d pages",
	    (long long)(b.faults - a.faults), PAGES);
	EQ(b.wp - a.wp, 0);
	OK(pager_disconnect(p));
}

/* --- cooled down, touched again --- */

/* Pages that this process has mapped. */
static unsigned
mapped_pages(struct live *d, const void *base, unsigned pages)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned count = 0;

	REQUIRE(fd >= 0, "%s", strerror(errno));
	for (unsigned i = 0; i < pages; i++) {
		uint64_t entry;

		REQUIRE(pread(fd, &entry, 8,
			    (off_t)(((uintptr_t)base + i * d->page_bytes) / 4096 * 8)) == 8);
		count += (unsigned)(entry >> 63);
	}
	close(fd);
	return count;
}

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
	WAIT_UNTIL(d, mapped_pages(d, book.base, PAGES) == 0);
	book_verify_all(&book);
	EQ(mapped_pages(d, book.base, PAGES), PAGES);
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
	/* What a server has not let go of yet stays as it is. */
	live_rest(d);
	OK(pager_behavior(p, book->base, book->count * d->page_bytes, PAGER_BEHAVIOR_DONTNEED));
	WAIT_UNTIL(d, mapped_pages(d, book->base, book->count) == 0);
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
		/* Some may have been mapped twice: touched while their neighbours were being
		 * mapped. */
		printf("%d pages by %lld soft faults\n", PAGES, (long long)soft_faults);
		REQUIRE(soft_faults < PAGES / 4 && around_pages > PAGES / 2 &&
			    soft_faults + around_pages >= PAGES,
		    "%lld soft faults, %lld pages around them", (long long)soft_faults,
		    (long long)around_pages);
		EQ(live_stat(d, "inactive"), 0);
		EQ(mapped_pages(d, book.base, PAGES), PAGES);
		/* What came so is as writable as it should be: nothing of this may be lost. */
		for (uint32_t i = round; i < PAGES; i += 3)
			book_write(&book, i, KIND_TEXT);
	}
	/* Pages of others' kinds end a run: discarded ones in between. */
	for (uint32_t i = 10; i < PAGES; i += 20) {
		OK(pager_behavior(
		    p, book.base + i * d->page_bytes, d->page_bytes, PAGER_BEHAVIOR_FREE));
		book_forget(&book, i);
	}
	cool(d, p, &book);
	book_verify_all(&book);
	/* All but the pages of a region's neighbour. */
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
	for (uint32_t i = 0; i < count; i++)
		book_write(&book, i, mixture_draw(&(struct mixture){ 5, 10, 10 }, &rng));
	/* After this all dirty pages have left once; and some of what has come back has left again.
	 */
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
	for (uint32_t i = 0; i < count; i++)
		book_write(&other, i, mixture_draw(&(struct mixture){ 5, 10, 10 }, &rng));
	book_verify_all(&other);
	/* All the rest has been through the compressor; these have not moved, and need no fault,
	 * written or read. */
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
	/* Of all memory only so much. */
	EQ(pager_wire(p, other.base, count * d->page_bytes), -EAGAIN);
	OK(pager_unwire(p, wired.base, PAGES * d->page_bytes));
	EQ(live_stat(d, "wired"), PAGES);
	OK(pager_unwire(p, wired.base, PAGES * d->page_bytes));
	EQ(live_stat(d, "wired"), 0);
	EQ(pager_unwire(p, wired.base, PAGES * d->page_bytes), -EINVAL);
	book_verify_all(&wired);
	book_verify_all(&other);
	/* Ends wired: its books must read zero all the same. */
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
	for (uint32_t i = 0; i < count; i++)
		book_write(&book, i, mixture_draw(&(struct mixture){ 5, 10, 40 }, &rng));
	for (uint32_t i = 0; i < count; i += 3) {
		OK(pager_behavior(
		    p, book.base + i * d->page_bytes, d->page_bytes, PAGER_BEHAVIOR_FREE));
		book_forget(&book, i);
	}
	book_verify_all(&book);
	OK(pager_behavior(p, book.base, count * d->page_bytes, PAGER_BEHAVIOR_FREE));
	OK(pager_statistics(p, &statistics));
	EQ(statistics.phys_footprint, 0);
	for (uint32_t i = 0; i < count; i++)
		book_forget(&book, i);
	book_verify_all(&book);
	OK(pager_disconnect(p));
}

/* --- planted --- */

static void
planted(struct live *d, void *argument)
{
	const uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes), zeroes = 64;
	size_t bytes = (count + zeroes) * d->page_bytes;
	unsigned char *base = raw_reserve(bytes), *evil = malloc(d->page_bytes);
	int64_t before = live_stat(d, "planted");
	uint64_t offset, rng = live_seed;
	struct book book;
	struct raw r;
	int memfd;

	(void)argument;
	raw_connect(d, &r);
	OK(raw_allocate(&r, (uintptr_t)base, bytes, &memfd, &offset));
	raw_map(&r, base, bytes, memfd, offset);
	memset(evil, 0xee, d->page_bytes);
	book_open(&book, base, d->page_bytes, count, 1);
	for (uint32_t i = 0; i < count; i++)
		book_write(&book, i, mixture_draw(&(struct mixture){ 5, 10, 40 }, &rng));
	/* Pages that are away, and pages never touched, get content through the descriptor. */
	for (uint32_t i = 0; i < 32; i++)
		REQUIRE(pwrite(memfd, evil, d->page_bytes, (off_t)(offset + i * d->page_bytes)) ==
			(ssize_t)d->page_bytes);
	for (uint32_t i = 0; i < zeroes; i++)
		REQUIRE(
		    pwrite(memfd, evil, d->page_bytes,
			(off_t)(offset + (count + i) * d->page_bytes)) == (ssize_t)d->page_bytes);
	for (uint32_t i = 0; i < zeroes; i++)
		EQ(base[(count + i) * d->page_bytes], 0);
	book_verify_all(&book);
	live_rest(d);
	REQUIRE(live_stat(d, "planted") - before >= zeroes, "%lld",
	    (long long)(live_stat(d, "planted") - before));
	/* The descriptor cannot be shrunk under the daemon, nor grown. */
	REQUIRE(ftruncate(memfd, 0) < 0);
	REQUIRE(ftruncate(memfd, (off_t)bytes * 4) < 0 || true);
	free(evil);
	raw_close(&r);
}

/* --- holes made by the owner, and mappings it takes away --- */

static void
punched(struct live *d, void *argument)
{
	const uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes);
	size_t bytes = count * d->page_bytes;
	unsigned char *base = raw_reserve(bytes);
	uint64_t offset, rng = live_seed;
	struct book book;
	struct raw r;
	int memfd;

	(void)argument;
	raw_connect(d, &r);
	OK(raw_allocate(&r, (uintptr_t)base, bytes, &memfd, &offset));
	raw_map(&r, base, bytes, memfd, offset);
	book_open(&book, base, d->page_bytes, count, 1);
	for (unsigned round = 0; round < 3; round++) {
		for (uint32_t i = 0; i < count; i++)
			book_write(&book, i, mixture_draw(&(struct mixture){ 5, 10, 40 }, &rng));
		/* What is resident goes; what is stored stays. Either way: no hang, and nothing but
		 * zeroes or the truth. */
		for (uint32_t i = 0; i < count; i += 5) {
			unsigned char *page = base + i * d->page_bytes;

			REQUIRE(
			    fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				(off_t)(offset + i * d->page_bytes), (off_t)d->page_bytes) == 0);
			if (book.notes[i].kind != KIND_ZERO &&
			    *(volatile uint64_t *)(void *)page == 0)
				book_forget(&book, i);
			book_verify(&book, i);
		}
		book_verify_all(&book);
	}
	/* A part of a page that is resident. */
	for (uint32_t i = 0; i < count && d->page_bytes > 4096; i += 5) {
		volatile uint64_t *words = (volatile uint64_t *)(void *)(base + i * d->page_bytes);

		book_write(&book, i, KIND_NOISE);
		REQUIRE(fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    (off_t)(offset + i * d->page_bytes + 8192), 4096) == 0);
		REQUIRE(words[1024] == 0 || words[1024] != 0);
		REQUIRE(words[0] != 0 && words[2048] != 0, "page %u lost more than its hole", i);
	}
	raw_close(&r);
}

/* --- a range that its owner has parted into several mappings: no fill spans two --- */

static volatile uint64_t *
parted_word(void *base, uint64_t page, unsigned part, struct live *d)
{
	return (volatile uint64_t *)(volatile void *)(byte(base, page, d) + part * 4096u);
}

static void
parted_verify(
    struct live *d, void *base, unsigned pages, unsigned guarded, unsigned guard, bool downwards)
{
	for (unsigned n = 0; n < pages; n++) {
		unsigned page = downwards ? pages - 1 - n : n;

		for (unsigned part = 0; part < d->page_bytes / 4096; part++)
			if (page != guarded || part != guard)
				EQ(*parted_word(base, page, part, d), page * 100 + part + 1);
	}
}

static void
parted(struct live *d, void *argument)
{
	static const int behaviors[] = { PAGER_BEHAVIOR_SEQUENTIAL,
		PAGER_BEHAVIOR_REVERSE_SEQUENTIAL };
	enum { PAGES = 64, GUARDED = 20 };
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes);
	unsigned guard = d->page_bytes > 4096 ? 2 : 0;
	uint64_t rng = live_seed;
	struct book other;
	void *base[2];

	(void)argument;
	book_open(&other, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	for (unsigned k = 0; k < 2; k++) {
		bool downwards = k == 1;

		base[k] = client_allocate(p, PAGES * d->page_bytes);
		OK(pager_behavior(p, base[k], PAGES * d->page_bytes, behaviors[k]));
		REQUIRE(mprotect((char *)base[k] + GUARDED * d->page_bytes + guard * 4096, 4096,
			    PROT_NONE) == 0);
		for (unsigned n = 0; n < PAGES; n++) {
			unsigned page = downwards ? PAGES - 1 - n : n;

			for (unsigned part = 0; part < d->page_bytes / 4096; part++)
				if (page != GUARDED || part != guard)
					*parted_word(base[k], page, part, d) =
					    page * 100 + part + 1;
		}
		/* Soft faults. */
		live_rest(d);
		OK(pager_behavior(p, base[k], PAGES * d->page_bytes, PAGER_BEHAVIOR_DONTNEED));
		WAIT_UNTIL(d, mapped_pages(d, base[k], PAGES) == 0);
		parted_verify(d, base[k], PAGES, GUARDED, guard, downwards);
	}
	/* And away with them; back in by reading, then writing. */
	for (unsigned round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < count; i++)
			book_write(&other, i, mixture_draw(&(struct mixture){ 5, 10, 40 }, &rng));
		for (unsigned k = 0; k < 2; k++)
			parted_verify(d, base[k], PAGES, GUARDED, guard, k == 1);
		for (unsigned k = 0; k < 2; k++)
			for (unsigned page = 0; page < PAGES; page++)
				if (page != GUARDED || guard != 0)
					*parted_word(base[k], page, 0, d) = page * 100 + 1;
	}
	/* What nobody could see has stayed what it was. */
	for (unsigned k = 0; k < 2; k++) {
		REQUIRE(mprotect(base[k], PAGES * d->page_bytes, PROT_READ | PROT_WRITE) == 0);
		EQ(*parted_word(base[k], GUARDED, guard, d), 0);
	}
	book_verify_all(&other);
	OK(pager_disconnect(p));
}

/* --- what the map says --- */

static void
region(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	enum { PAGES = 96 };
	unsigned char *base = client_allocate(p, PAGES * d->page_bytes);
	struct pager_region_info info;
	struct pager_statistics statistics;
	char text[8192], pid[16];
	void *nothing;

	(void)argument;
	OK(pager_region(p, base, &info));
	EQ((uintptr_t)info.addr, (uintptr_t)base);
	EQ(info.size_bytes, PAGES * d->page_bytes);
	OK(pager_behavior(
	    p, base + 16 * d->page_bytes, 16 * d->page_bytes, PAGER_BEHAVIOR_SEQUENTIAL));
	OK(pager_region(p, base + 20 * d->page_bytes, &info));
	EQ((uintptr_t)info.addr, (uintptr_t)(base + 16 * d->page_bytes));
	EQ(info.size_bytes, 16 * d->page_bytes);
	EQ(info.behavior, PAGER_BEHAVIOR_SEQUENTIAL);
	OK(pager_behavior(
	    p, base + 16 * d->page_bytes, 16 * d->page_bytes, PAGER_BEHAVIOR_DEFAULT));
	OK(pager_region(p, base + 20 * d->page_bytes, &info));
	EQ(info.size_bytes, PAGES * d->page_bytes);
	for (int i = 0; i < PAGES; i++)
		base[(unsigned)i * d->page_bytes] = 1;
	live_rest(d);
	OK(pager_region(p, base, &info));
	EQ(info.pages_resident, PAGES);
	EQ(info.pages_dirty, PAGES);
	/* Out of the middle. */
	OK(pager_deallocate(p, base + 32 * d->page_bytes, 32 * d->page_bytes));
	OK(pager_region(p, base + 32 * d->page_bytes, &info));
	EQ((uintptr_t)info.addr, (uintptr_t)(base + 64 * d->page_bytes));
	OK(pager_statistics(p, &statistics));
	EQ(statistics.virtual_size, 64 * d->page_bytes);
	EQ(statistics.internal, 64 * d->page_bytes);
	/* Two regions, and no more: then none is parted, but a part at an end can be given back. */
	live_param(d, "max_client_regions", "2");
	EQ(pager_deallocate(p, base + 8 * d->page_bytes, 8 * d->page_bytes), -ENOMEM);
	EQ(pager_behavior(p, base, 8 * d->page_bytes, PAGER_BEHAVIOR_RANDOM), -ENOMEM);
	EQ(pager_wire(p, base, 8 * d->page_bytes), -ENOMEM);
	EQ(base[8 * d->page_bytes], 1);
	base[8 * d->page_bytes] = 1;
	OK(pager_deallocate(p, base + 24 * d->page_bytes, 8 * d->page_bytes));
	OK(pager_wire(p, base + 64 * d->page_bytes, 32 * d->page_bytes));
	OK(pager_unwire(p, base + 64 * d->page_bytes, 32 * d->page_bytes));
	live_param(d, "max_client_regions", "3");
	OK(pager_deallocate(p, base + 8 * d->page_bytes, 8 * d->page_bytes));
	live_param(d, "max_client_regions", "100");
	EQ(pager_deallocate(p, base, PAGES * d->page_bytes), -EINVAL);
	EQ(pager_behavior(p, base, PAGES * d->page_bytes, PAGER_BEHAVIOR_FREE), -EINVAL);
	EQ(pager_allocate(p, 0, 0, &nothing), -EINVAL);
	EQ(pager_allocate(p, 4096, 1, &nothing), -EINVAL);
	EQ(pager_allocate(p, 1ull << 46, 0, &nothing), -ENOMEM);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	REQUIRE(live_pagerctl(d, text, sizeof(text), "map", pid, "--json", NULL) == 0, "%s", text);
	REQUIRE(live_pagerctl(d, text, sizeof(text), "footprint", pid, "--json", NULL) == 0, "%s",
	    text);
	EQ(base[0], 1);
	EQ(base[64 * d->page_bytes], 1);
	OK(pager_disconnect(p));
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		client_body *body;
		const char *param;
	} tests[] = {
		{ "zero-fill", zero_fill, "fault_cluster=32" },
		{ "soft", soft, "zap=2" },
		{ "around", around, "zap=2" },
		{ "clean", clean, "retain_copies=1" },
		{ "wire", wire, "retain_copies=2" },
		{ "discard", discard, "compressor_percent=20" },
		{ "planted", planted, "compressor_percent=20" },
		{ "punched", punched, "compressor_percent=20" },
		{ "region", region, "zap=0" },
		{ "parted", parted, "compressor_percent=20" },
	};
	const char *name = argc > 1 ? argv[1] : "";
	struct live d;

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	if (strcmp(page_size, "64K") == 0)
		memory_size = "48M";
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (strcmp(name, tests[i].name) != 0)
			continue;
		live_start(
		    &d, memory_size, "--page-size", page_size, "--param", tests[i].param, NULL);
		client_join(&d, client_start(&d, tests[i].body, NULL), false);
		live_stop(&d);
		return 0;
	}
	FAIL("no such test: \"%s\"", name);
}
