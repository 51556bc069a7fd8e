/* SPDX-License-Identifier: MIT
 *
 * XNU's ideas of tests for maps and sharing, as far as they mean something here. A test has XNU's
 * words for its idea at its head. (Its matrix of parameters is e_matrix.c.) Two clients are two
 * connections of this process: each has a map, a userfaultfd and a bill of its own.
 *
 * usage: e_maps entries|accounting|readonly|submap|places|chunk|advice|corners [page size]
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "guard.h"
#include "page.h"

#define RW (PROT_READ | PROT_WRITE)

static struct pager_region_query
region(struct pager *p, const void *at)
{
	struct pager_region_query q = { .size = sizeof(q) };

	OK(pager_region_query(p, at, PAGER_REGION_EXTENDED, &q));
	return q;
}

static struct pager_statistics
statistics(struct live *d, struct pager *p)
{
	struct pager_statistics s;

	live_rest(d);
	OK(pager_statistics(p, &s));
	return s;
}

static unsigned char *
allocate(struct live *d, struct pager *p, size_t pages, unsigned flags)
{
	void *at;

	OK(pager_allocate(p, pages * d->page_bytes, flags, &at));
	return at;
}

static unsigned char *
map_entry(struct live *d, struct pager *p, int fd, uint64_t from, size_t pages, int protection)
{
	void *at;

	OK(pager_map_entry(p, fd, from * d->page_bytes, pages * d->page_bytes, protection, 0, &at));
	return at;
}

/* Every page gets its number, or has it. */
static void
number(struct live *d, unsigned char *at, size_t pages, uint64_t first)
{
	for (size_t i = 0; i < pages; i++)
		*(uint64_t *)(void *)(at + i * d->page_bytes) = first + i + 1;
}

static void
numbered(struct live *d, const unsigned char *at, size_t pages, uint64_t first)
{
	for (size_t i = 0; i < pages; i++)
		EQ(*(const uint64_t *)(const void *)(at + i * d->page_bytes), first + i + 1);
}

/* Pages them out. One that the kernel has in hand at that moment looks pinned, and stays. =>
 * whether none has */
static bool
all_left(struct live *d, struct pager *p, unsigned char *at, size_t pages)
{
	unsigned present = 0, disposition;

	OK(pager_behavior(p, at, pages * d->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
	for (size_t i = 0; i < pages; i++) {
		OK(pager_page_query(p, at + i * d->page_bytes, &disposition));
		present += (disposition & PAGER_PAGE_PRESENT) != 0;
	}
	return present == 0;
}

/* --- entries: map memory entry ranges, tags, parent entries incl. insufficient rights; mapping
 * across unaligned sizes, huge sizes, overflow and null sizes --- */

static void
entry_ranges(struct live *d, struct pager *p, int fd)
{
	const size_t page = d->page_bytes, all = 16 * page;
	const struct {
		uint64_t offset;
		size_t size;
		int error;
	} rows[] = { { 0, 0, -EINVAL }, { 0, all + 1, -EINVAL }, { 0, all + page, -EINVAL },
		{ page, all, -EINVAL }, { all, page, -EINVAL }, { all - page, 2 * page, -EINVAL },
		{ 1, page, -EINVAL }, { page / 2, page, -EINVAL }, { UINT64_MAX, page, -EINVAL },
		{ UINT64_MAX - page + 1, page, -EINVAL },
		{ UINT64_MAX - page + 1, 2 * page, -EINVAL }, { 0, SIZE_MAX, -ENOMEM },
		{ page, SIZE_MAX - page + 1, -ENOMEM }, { 1ull << 46, page, -EINVAL }, { 0, 1, 0 },
		{ all - page, page - 1, 0 }, { page, all - page, 0 }, { 0, all - 1, 0 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		void *none = d, *at = none;
		int r = pager_map_entry(p, fd, rows[i].offset, rows[i].size, RW, 0, &at);

		REQUIRE(r == rows[i].error, "row %zu: %d", i, r);
		REQUIRE((at == none) == (r < 0), "row %zu", i);
		if (r == 0) {
			numbered(d, at, (rows[i].size + page - 1) / page, rows[i].offset / page);
			OK(pager_deallocate(p, at, rows[i].size));
		}
	}
}

/* => whether such a name can be made of the memory */
static int
name_of(struct live *d, struct pager *p, void *at, int protection, int *ret)
{
	return pager_make_entry(p, at, 16 * d->page_bytes, protection, 0, ret);
}

static void
entries(struct live *d, void *argument)
{
	struct pager *p = client_connect(d), *q = client_connect(d);
	unsigned char *base = allocate(d, p, 16, PAGER_ALLOC_SHAREABLE), *at, *again;
	int fd, read_only, child, none = -1;
	void *nothing = NULL;

	(void)argument;
	number(d, base, 16, 0);
	OK(name_of(d, p, base, RW, &fd));
	OK(name_of(d, p, base, PROT_READ, &read_only));
	entry_ranges(d, q, fd);
	/* Tags are of the place, not of the memory. */
	OK(pager_tag(p, base, 16 * d->page_bytes, 30));
	at = map_entry(d, q, fd, 0, 16, RW);
	EQ(region(q, at).info.tag, 0);
	OK(pager_tag(q, at, 8 * d->page_bytes, 31));
	EQ(region(p, base).info.tag, 30);
	EQ(region(p, base).info.size_bytes, 16 * d->page_bytes);
	/* Rights shrink along a chain of names. */
	EQ(pager_map_entry(q, read_only, 0, d->page_bytes, RW, 0, &nothing), -EACCES);
	again = map_entry(d, q, read_only, 0, 16, PROT_READ);
	EQ(name_of(d, q, again, RW, &none), -EACCES);
	OK(name_of(d, q, again, PROT_READ, &child));
	EQ(pager_map_entry(p, child, 0, d->page_bytes, RW, 0, &nothing), -EACCES);
	numbered(d, map_entry(d, p, child, 0, 16, PROT_READ), 16, 0);
	OK(pager_protect(q, at, 16 * d->page_bytes, PROT_READ | PAGER_PROT_MAXIMUM));
	EQ(name_of(d, q, at, RW, &none), -EACCES);
	/* A name of a part, or of what is not shareable, is none. */
	EQ(pager_make_entry(p, base, d->page_bytes, RW, 0, &none), -ENOTSUP);
	EQ(pager_make_entry(p, base + d->page_bytes, 15 * d->page_bytes, RW, 0, &none), -ENOTSUP);
	EQ(none, -1);
	/* The first is gone; the last name keeps the memory. */
	close(fd);
	close(read_only);
	OK(pager_disconnect(p));
	OK(pager_deallocate(q, at, 16 * d->page_bytes));
	OK(pager_deallocate(q, again, 16 * d->page_bytes));
	numbered(d, map_entry(d, q, child, 0, 16, PROT_READ), 16, 0);
	close(child);
	live_check(d);
	OK(pager_disconnect(q));
}

/* --- accounting: anonymous dirty raises footprint; remap with pmap accounting --- */

static void
accounting(struct live *d, void *argument)
{
	struct pager *p = client_connect(d), *q = client_connect(d);
	const uint64_t page = d->page_bytes;
	unsigned char *base = allocate(d, p, 64, PAGER_ALLOC_SHAREABLE), *alias, *other;
	int fd;

	(void)argument;
	/* Pages come in one by one. */
	OK(pager_behavior(p, base, 64 * page, PAGER_BEHAVIOR_RANDOM));
	EQ(statistics(d, p).phys_footprint, 0);
	number(d, base, 24, 0);
	EQ(statistics(d, p).phys_footprint, 24 * page);
	/* Read, but never written: counts, too, other than in XNU, which maps no page then. */
	(void)*(volatile unsigned char *)(base + 24 * page);
	EQ(statistics(d, p).phys_footprint, 25 * page);
	OK(pager_make_entry(p, base, 64 * page, RW, 0, &fd));
	alias = map_entry(d, p, fd, 0, 64, RW);
	other = map_entry(d, q, fd, 0, 64, RW);
	OK(pager_behavior(p, alias, 64 * page, PAGER_BEHAVIOR_RANDOM));
	OK(pager_behavior(q, other, 64 * page, PAGER_BEHAVIOR_RANDOM));
	numbered(d, alias, 24, 0);
	numbered(d, other, 24, 0);
	/* A second mapping of the same pages, here or elsewhere, costs nothing. */
	EQ(statistics(d, p).phys_footprint, 25 * page);
	EQ(statistics(d, p).shared_resident, 2 * 25 * page);
	EQ(statistics(d, q).phys_footprint, 0);
	EQ(statistics(d, q).shared_proportional_resident, 25 * page / 3);
	/* Written by another it is the payer's all the same. */
	number(d, other + 32 * page, 8, 32);
	EQ(statistics(d, p).phys_footprint, 33 * page);
	WAIT_UNTIL(d, all_left(d, q, other, 64));
	EQ(statistics(d, p).phys_footprint, 33 * page);
	EQ(statistics(d, p).internal, 0);
	numbered(d, alias + 32 * page, 8, 32);
	OK(pager_deallocate(p, base, 64 * page));
	EQ(statistics(d, p).phys_footprint, 33 * page);
	OK(pager_deallocate(p, alias, 64 * page));
	EQ(statistics(d, p).phys_footprint, 0);
	EQ(statistics(d, q).phys_footprint, 33 * page);
	close(fd);
	live_check(d);
	OK(pager_disconnect(p));
	OK(pager_disconnect(q));
}

/* --- readonly: shared region stays read-only and not writable-shared; overwrite read-only map ---
 */

static void
readonly(struct live *d, void *argument)
{
	struct pager *p = client_connect(d), *q = client_connect(d);
	const size_t page = d->page_bytes;
	unsigned char *base = allocate(d, p, 16, PAGER_ALLOC_SHAREABLE), *at;
	int fd, zero = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	(void)argument;
	REQUIRE(zero >= 0);
	guard_begin();
	number(d, base, 16, 0);
	OK(pager_make_entry(p, base, 16 * page, PROT_READ, 0, &fd));
	at = map_entry(d, q, fd, 0, 16, PROT_READ);
	for (unsigned round = 0; round < 3; round++) {
		for (size_t i = 0; i < 16; i++) {
			EQ(guard_store_word((void *)(at + i * page), 99), SIGSEGV);
			EQ(read(zero, at + i * page, page), -1);
			EQ(errno, EFAULT);
		}
		EQ(pager_protect(q, at, 16 * page, RW), -EACCES);
		EQ(pager_protect(q, at, 16 * page, RW | PAGER_PROT_MAXIMUM), -EACCES);
		EQ(pager_behavior(q, at, 16 * page, PAGER_BEHAVIOR_FREE), 0);
		numbered(d, at, 16, round);
		/* Whoever may write goes on, and is seen. */
		number(d, base, 16, round + 1);
		numbered(d, at, 16, round + 1);
		OK(pager_behavior(
		    round ? p : q, round ? base : at, 16 * page, PAGER_BEHAVIOR_PAGEOUT));
	}
	EQ(region(q, at).info.max_protection, PROT_READ);
	/* The writer's own may become so, for itself alone. */
	OK(pager_protect(p, base, 16 * page, PROT_READ));
	EQ(guard_store_word((void *)base, 1), SIGSEGV);
	numbered(d, base, 16, 3);
	OK(pager_protect(p, base, 16 * page, RW));
	number(d, base, 16, 7);
	numbered(d, at, 16, 7);
	close(zero);
	close(fd);
	live_check(d);
	OK(pager_disconnect(p));
	OK(pager_disconnect(q));
}

/* --- submap: overwrite into submap protection; region information goes into submaps --- */

/* What q sees of the submap's pages 16 to 19, 20 to 23 and 40 to 47, which it maps from page 8 on.
 */
static void
submap_regions(struct live *d, struct pager *q, unsigned char *other)
{
	static const struct {
		unsigned first, pages, protection, tag;
	} rows[] = { { 16, 4, PROT_READ, 30 }, { 20, 4, RW, 30 }, { 40, 8, PROT_READ, 31 } };
	const size_t page = d->page_bytes;
	struct pager_region_query r = region(q, other);
	unsigned char *at = other;

	EQ(r.is_submap, 1);
	EQ(r.share_mode, PAGER_SHARE_EMPTY);
	EQ(r.info.size_bytes, 48 * page);
	EQ(r.info.pages_resident, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r = (struct pager_region_query){ .size = sizeof(r), .depth = 1 };
		OK(pager_region_query(q, at, PAGER_REGION_RECURSIVE | PAGER_REGION_EXTENDED, &r));
		REQUIRE(r.info.addr == other + (rows[i].first - 8) * page, "row %zu", i);
		EQ(r.info.size_bytes, rows[i].pages * page);
		EQ(r.info.protection, rows[i].protection);
		EQ(r.info.tag, rows[i].tag);
		EQ(r.depth, 1);
		EQ(r.is_submap, 0);
		EQ(r.share_mode, PAGER_SHARE_TRUESHARED);
		EQ(r.ref_count, 3); /* two places and a name */
		EQ(r.info.pages_resident, rows[i].first < 40 ? 4 : 0);
		at = (unsigned char *)r.info.addr + r.info.size_bytes;
	}
	EQ(pager_region_query(q, at, PAGER_REGION_RECURSIVE, &r), -ENOENT);
}

static void
submap(struct live *d, void *argument)
{
	struct pager *p = client_connect(d), *q = client_connect(d);
	const size_t page = d->page_bytes;
	uint64_t first = 16 * page, second = 40 * page, value;
	unsigned char *base, *other;
	char text[8192], pid[16];
	int fd;

	(void)argument;
	guard_begin();
	OK(pager_submap_create(p, 64 * page, 0, &fd));
	base = map_entry(d, p, fd, 0, 64, RW);
	other = map_entry(d, q, fd, 8, 48, RW);
	OK(pager_submap_allocate(
	    p, fd, &first, 8 * page, RW, PAGER_ALLOC_FIXED | PAGER_SUBMAP_TAG(30)));
	OK(pager_submap_allocate(
	    p, fd, &second, 8 * page, PROT_READ, PAGER_ALLOC_FIXED | PAGER_SUBMAP_TAG(31)));
	number(d, base + first, 8, 0);
	OK(pager_submap_protect(p, fd, first, 4 * page, PROT_READ));
	for (unsigned i = 0; i < 4; i++) {
		EQ(guard_store_word((void *)(base + first + i * page), 99), SIGSEGV);
		EQ(guard_store_word((void *)(other + first - 8 * page + i * page), 99), SIGSEGV);
	}
	EQ(guard_load_word((void *)(base + 24 * page), &value), SIGSEGV);
	numbered(d, other + first - 8 * page, 8, 0);
	submap_regions(d, q, other);
	EQ(statistics(d, p).shared_resident, 8 * page);
	EQ(statistics(d, q).shared_proportional_resident, 4 * page);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	EQ(live_pagerctl(d, text, sizeof(text), "map", pid, NULL), 0);
	REQUIRE(strstr(text, "\nstack ") && strstr(text, " in a submap\n"), "%s", text);
	close(fd);
	live_check(d);
	OK(pager_disconnect(p));
	OK(pager_disconnect(q));
}

/* --- places: VA ranges (fixed, hint, overlap) --- */

static void
places(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	const size_t page = d->page_bytes;
	unsigned char *base = allocate(d, p, 64, 0), *shared;
	void *at, *foreign;
	int fd;

	(void)argument;
	number(d, base, 64, 0);
	/* Over the front, the end, the midst and all; nothing changes. */
	for (size_t from = 0; from < 64; from += 21)
		for (size_t pages = 1; pages <= 128; pages *= 4) {
			at = base + from * page;
			EQ(pager_allocate(p, pages * page, PAGER_ALLOC_FIXED, &at), -EEXIST);
			REQUIRE(at == base + from * page);
		}
	numbered(d, base, 64, 0);
	EQ(region(p, base).info.size_bytes, 64 * page);
	/* Into a hole: it fits, or overlaps by a page. */
	OK(pager_deallocate(p, base + 16 * page, 16 * page));
	at = base + 15 * page;
	EQ(pager_allocate(p, 4 * page, PAGER_ALLOC_FIXED, &at), -EEXIST);
	at = base + 16 * page;
	EQ(pager_allocate(p, 17 * page, PAGER_ALLOC_FIXED, &at), -EEXIST);
	at = base + 16 * page;
	OK(pager_allocate(p, 16 * page, PAGER_ALLOC_FIXED, &at));
	for (size_t i = 16; i < 32; i++)
		EQ(base[i * page], 0);
	numbered(d, base, 16, 0);
	numbered(d, base + 32 * page, 32, 32);
	/* Fresh memory, and one with its neighbours. */
	EQ(region(p, base).info.size_bytes, 64 * page);
	/* Where the program has something of its own, and where nothing can be. */
	foreign = mmap(NULL, 4 * page, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(foreign != MAP_FAILED);
	*(unsigned char *)foreign = 7;
	at = (void *)(((uintptr_t)foreign + page - 1) / page * page);
	EQ(pager_allocate(p, page, PAGER_ALLOC_FIXED, &at), -EEXIST);
	EQ(*(unsigned char *)foreign, 7);
	at = NULL;
	EQ(pager_allocate(p, page, PAGER_ALLOC_FIXED, &at), -EINVAL);
	at = base + 1;
	EQ(pager_allocate(p, page, PAGER_ALLOC_FIXED, &at), -EINVAL);
	/* A name is mapped by the same rules. */
	shared = allocate(d, p, 8, PAGER_ALLOC_SHAREABLE);
	OK(pager_make_entry(p, shared, 8 * page, RW, 0, &fd));
	number(d, shared, 8, 500);
	at = base + 60 * page;
	EQ(pager_map_entry(p, fd, 0, 8 * page, RW, PAGER_ALLOC_FIXED, &at), -EEXIST);
	OK(pager_deallocate(p, base + 32 * page, 8 * page));
	at = base + 32 * page;
	OK(pager_map_entry(p, fd, 0, 8 * page, RW, PAGER_ALLOC_FIXED, &at));
	numbered(d, base + 32 * page, 8, 500);
	numbered(d, base + 40 * page, 24, 40);
	close(fd);
	munmap(foreign, 4 * page);
	live_check(d);
	OK(pager_disconnect(p));
}

/* --- chunk: large anonymous 128 MiB chunk boundary --- */

static void
chunk(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	const size_t page = d->page_bytes, mib = (size_t)1 << 20, around = 8 * page;
	void *first;
	unsigned char *base;

	(void)argument;
	OK(pager_allocate(p, 300 * mib, 0, &first));
	OK(pager_deallocate(p, first, 300 * mib));
	/* Side by side, each less than an object takes, together more. */
	for (size_t i = 0; i < 5; i++) {
		void *at = (unsigned char *)first + i * 60 * mib;

		OK(pager_allocate(p, 60 * mib, PAGER_ALLOC_FIXED, &at));
	}
	base = first;
	for (size_t mark = 60; mark < 300; mark++)
		number(d, base + mark * mib - around, 2 * around / page, mark);
	OK(pager_behavior(p, base, 300 * mib, PAGER_BEHAVIOR_PAGEOUT));
	for (size_t mark = 60; mark < 300; mark++)
		numbered(d, base + mark * mib - around, 2 * around / page, mark);
	OK(pager_tag(p, base + 100 * mib, 100 * mib, 240));
	EQ(region(p, base + 150 * mib).info.tag, 240);
	live_check(d);
	/* A hole over the place where one object ends, whichever that is. */
	OK(pager_deallocate(p, base + 90 * mib, 90 * mib));
	for (size_t mark = 61; mark < 90; mark++)
		numbered(d, base + mark * mib - around, around / page, mark);
	for (size_t mark = 180; mark < 300; mark++)
		numbered(d, base + mark * mib, around / page, mark + around / page);
	EQ(statistics(d, p).virtual_size, 210 * mib);
	OK(pager_disconnect(p));
}

/* --- advice: madvise on a shared range; WILLNEED faults in anonymous --- */

static void
advice(struct live *d, void *argument)
{
	struct pager *p = client_connect(d), *q = client_connect(d);
	const size_t page = d->page_bytes;
	unsigned char *base = allocate(d, p, 64, PAGER_ALLOC_SHAREABLE), *other;
	unsigned disposition;
	int fd;

	(void)argument;
	OK(pager_make_entry(p, base, 64 * page, RW, 0, &fd));
	other = map_entry(d, q, fd, 16, 32, RW);
	number(d, base, 64, 0);
	/* What the other maps stays, by whomever it is thrown away. */
	OK(pager_behavior(p, base + 16 * page, 32 * page, PAGER_BEHAVIOR_FREE));
	OK(pager_behavior(q, other, 32 * page, PAGER_BEHAVIOR_FREE));
	numbered(d, base, 64, 0);
	numbered(d, other, 32, 16);
	OK(pager_behavior(q, other, 32 * page, PAGER_BEHAVIOR_DONTNEED));
	live_rest(d);
	WAIT_UNTIL(d, all_left(d, q, other, 32));
	for (size_t i = 16; i < 48; i++) {
		OK(pager_page_query(p, base + i * page, &disposition));
		EQ(disposition & PAGER_PAGE_PRESENT, 0);
	}
	OK(pager_behavior(p, base, 64 * page, PAGER_BEHAVIOR_WILLNEED));
	for (size_t i = 0; i < 64; i++)
		WAIT_UNTIL(d, pager_page_query(q, other + i / 2 * page, &disposition) == 0 &&
				  disposition & PAGER_PAGE_PRESENT);
	numbered(d, other, 32, 16);
	/* Lasting advice is each one's own. */
	OK(pager_behavior(p, base, 64 * page, PAGER_BEHAVIOR_RANDOM));
	EQ(region(q, other).info.behavior, PAGER_BEHAVIOR_DEFAULT);
	EQ(region(p, base).info.behavior, PAGER_BEHAVIOR_RANDOM);
	/* With the name gone and the other away the memory is its maker's to throw away. */
	close(fd);
	OK(pager_disconnect(q));
	WAIT_UNTIL(d, region(p, base).ref_count == 1);
	OK(pager_behavior(p, base + page, 62 * page, PAGER_BEHAVIOR_FREE));
	numbered(d, base, 1, 0);
	numbered(d, base + 63 * page, 1, 63);
	for (size_t i = 1; i < 63; i++)
		EQ(base[i * page], 0);
	live_check(d);
	OK(pager_disconnect(p));
}

/* --- corners: corner wiring; wired count stays consistent --- */

static void
corners(struct live *d, void *argument)
{
	static const struct {
		unsigned from, pages;
	} parts[] = { { 0, 1 }, { 31, 1 }, { 0, 32 }, { 8, 16 }, { 15, 2 }, { 16, 16 }, { 0, 16 } };
	enum { PARTS = sizeof(parts) / sizeof(parts[0]) };
	struct pager *p = client_connect(d), *q = client_connect(d);
	const size_t page = d->page_bytes;
	unsigned char *base[2] = { allocate(d, p, 32, 0),
		allocate(d, p, 32, PAGER_ALLOC_SHAREABLE) };
	unsigned times[32] = { 0 };
	unsigned char *other;
	int fd;

	(void)argument;
	OK(pager_make_entry(p, base[1], 32 * page, RW, 0, &fd));
	other = map_entry(d, q, fd, 0, 32, RW);
	close(fd);
	/* Half of each part in a region of its own. */
	OK(pager_tag(p, base[0] + 16 * page, 16 * page, 1));
	OK(pager_tag(p, base[1] + 16 * page, 16 * page, 1));
	for (unsigned n = 0; n < 2 * PARTS; n++) {
		unsigned from = parts[n % PARTS].from, pages = parts[n % PARTS].pages, wired = 0;

		for (unsigned k = 0; k < 2; k++)
			OK((n < PARTS ? pager_wire : pager_unwire)(
			    p, base[k] + from * page, pages * page));
		for (unsigned i = from; i < from + pages; i++)
			times[i] += n < PARTS ? 1 : UINT32_MAX;
		for (unsigned i = 0; i < 32; i++) {
			wired += times[i] > 0;
			for (unsigned k = 0; k < 2; k++)
				EQ(region(p, base[k] + i * page).info.user_wired_count, times[i]);
		}
		live_rest(d);
		EQ(statistics(d, p).wired_mem, 2 * wired * page);
		EQ(live_stat(d, "wired"), 2 * wired);
		/* The other sees wired pages, and has wired none. */
		EQ(region(q, other).info.pages_wired, wired);
		EQ(region(q, other).info.user_wired_count, 0);
		/* Pages that are wired stay; one too many unwirings is refused. */
		OK(pager_behavior(q, other, 32 * page, PAGER_BEHAVIOR_PAGEOUT));
		EQ(region(q, other).info.pages_wired, wired);
	}
	for (unsigned k = 0; k < 2; k++)
		EQ(pager_unwire(p, base[k], page), -EINVAL);
	live_check(d);
	OK(pager_disconnect(p));
	OK(pager_disconnect(q));
}

int
main(int argc, char **argv)
{
	static const struct page_test tests[] = {
		{ "entries", entries, "zap=1" },
		{ "accounting", accounting, "zap=1" },
		{ "readonly", readonly, "zap=1" },
		{ "submap", submap, "zap=1" },
		{ "places", places, "zap=1" },
		{ "chunk", chunk, "zap=1" },
		{ "advice", advice, "zap=1" },
		{ "corners", corners, "zap=1" },
	};

	return PAGE_RUN(argc, argv, tests);
}
