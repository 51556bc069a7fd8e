/* SPDX-License-Identifier: MIT
 *
 * The owner of paged memory changes it behind the daemon's back or by requests: content written
 * through the object's descriptor, holes, split mappings, regions that are divided and given back
 * in parts.
 *
 * usage: e_owner planted|punched|parted|region [page size]
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "book.h"
#include "page.h"
#include "raw.h"

/* --- planted --- */

static void
planted(struct live *d, void *argument)
{
	const uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes), zeroes = 64;
	uint32_t away = 0, untouched = 0;
	size_t bytes = (count + zeroes) * d->page_bytes;
	unsigned char *base, *evil = malloc(d->page_bytes);
	int64_t before = live_stat(d, "planted");
	uint64_t offset, rng = live_seed;
	struct book book;
	struct raw r;
	int memfd;

	(void)argument;
	raw_connect(d, &r);
	base = raw_memory(&r, bytes, &memfd, &offset);
	memset(evil, 0xee, d->page_bytes);
	book_open(&book, base, d->page_bytes, count, 1);
	book_write_all(&book, &(struct mixture){ 5, 10, 40 }, &rng);
	/* Pages that are away, and pages never touched, get content through the descriptor. What
	 * is still in the memfd is the page itself: written, or filled with zeroes ahead of the
	 * sequential writes. The daemon rests, so that no such fill is still under way. */
	live_rest(d);
	for (uint32_t i = 0; i < count + zeroes; i++) {
		off_t at = (off_t)(offset + (uint64_t)i * d->page_bytes);

		if (lseek(memfd, at, SEEK_HOLE) != at)
			continue;
		*(i < count ? &away : &untouched) += 1;
		REQUIRE(pwrite(memfd, evil, d->page_bytes, at) == (ssize_t)d->page_bytes);
	}
	REQUIRE(away >= count / 4, "%u of %u pages are away", away, count);
	REQUIRE(untouched >= zeroes / 2, "%u of %u pages are untouched", untouched, zeroes);
	for (uint32_t i = 0; i < zeroes; i++)
		EQ(base[(count + i) * d->page_bytes], 0);
	book_verify_all(&book);
	live_rest(d);
	/* What was planted on a page that is away can also go unseen, with a hole that is punched
	 * for its neighbours on both sides. */
	REQUIRE(live_stat(d, "planted") - before >= untouched, "%lld of %u and %u",
	    (long long)(live_stat(d, "planted") - before), untouched, away);
	/* The descriptor can be neither shrunk nor grown. */
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
	unsigned char *base;
	uint64_t offset, rng = live_seed;
	struct book book;
	struct raw r;
	int memfd;

	(void)argument;
	raw_connect(d, &r);
	base = raw_memory(&r, bytes, &memfd, &offset);
	book_open(&book, base, d->page_bytes, count, 1);
	for (unsigned round = 0; round < 3; round++) {
		book_write_all(&book, &(struct mixture){ 5, 10, 40 }, &rng);
		/* Resident content goes, stored content stays. Either way nothing hangs, and the
		 * page reads as zeroes or as it was written. */
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

/* --- a range that its owner has split into several mappings: no fill spans two --- */

static volatile uint64_t *
parted_word(void *base, uint64_t page, unsigned part, struct live *d)
{
	return (volatile uint64_t *)(volatile void *)(page_byte(base, page, d) + part * 4096u);
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
		WAIT_UNTIL(d, pages_mapped(d, base[k], PAGES) == 0);
		parted_verify(d, base[k], PAGES, GUARDED, guard, downwards);
	}
	/* Page them out; they come back by reads, then by writes. */
	for (unsigned round = 0; round < 2; round++) {
		book_write_all(&other, &(struct mixture){ 5, 10, 40 }, &rng);
		for (unsigned k = 0; k < 2; k++)
			parted_verify(d, base[k], PAGES, GUARDED, guard, k == 1);
		for (unsigned k = 0; k < 2; k++)
			for (unsigned page = 0; page < PAGES; page++)
				if (page != GUARDED || guard != 0)
					*parted_word(base[k], page, 0, d) = page * 100 + 1;
	}
	/* The guarded part, which could not be touched, still reads as zeroes. */
	for (unsigned k = 0; k < 2; k++) {
		REQUIRE(mprotect(base[k], PAGES * d->page_bytes, PROT_READ | PROT_WRITE) == 0);
		EQ(*parted_word(base[k], GUARDED, guard, d), 0);
	}
	book_verify_all(&other);
	OK(pager_disconnect(p));
}

/* --- the map --- */

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
	/* With at most two regions none can be split, but a part at an end can be given back. */
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
	EQ(pager_allocate(p, 4096, 1u << 20, &nothing), -EINVAL);
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
	static const struct page_test tests[] = {
		{ "planted", planted, "compressor_percent=20" },
		{ "punched", punched, "compressor_percent=20" },
		{ "region", region, "zap=0" },
		{ "parted", parted, "compressor_percent=20" },
	};

	return PAGE_RUN(argc, argv, tests);
}
