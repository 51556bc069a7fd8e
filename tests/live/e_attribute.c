/* SPDX-License-Identifier: MIT
 *
 * Attributes of ranges and kinds of allocation: what is set is what is read, the kernel enforces
 * it, and the content survives all of it while memory is short.
 *
 * usage: e_attribute all|protect|wired|mappings|full [page size]
 */
#include <sys/mman.h>

#include "guard.h"
#include "harness.h"

#define RW (PROT_READ | PROT_WRITE)

static struct pager_region_info
region(struct pager *p, const void *at)
{
	struct pager_region_info info;

	OK(pager_region(p, at, &info));
	return info;
}

/* --- all: everything once --- */

/* What has a name is mapped where the caller wants it, too. taken: an address that is not free */
static void
map_named(struct live *d, struct pager *p, int fd, unsigned char *taken)
{
	const size_t page = d->page_bytes;
	void *v = taken;

	EQ(pager_map_entry(p, fd, 0, page, PROT_READ, PAGER_ALLOC_FIXED, &v), -EEXIST);
	EQ(pager_map_entry(p, fd, 0, page, PROT_READ, PAGER_ALLOC_WIRED, &v), -EINVAL);
	REQUIRE(v == taken);
	OK(pager_map_entry(p, fd, 0, page, PROT_READ, PAGER_ALLOC_ALIGNED(22), &v));
	EQ((uintptr_t)v % (1u << 22), 0);
	EQ(region(p, v).protection, PROT_READ);
	EQ(pager_protect(p, v, page, RW), -EACCES);
	EQ(guard_store_word((void *)v, 1), SIGSEGV);
	OK(pager_deallocate(p, v, page));
	OK(pager_map_entry(p, fd, 0, page, PROT_READ, PAGER_ALLOC_FIXED, &v));
	EQ((uintptr_t)v % (1u << 22), 0);
	OK(pager_deallocate(p, v, page));
}

static void
kinds(struct live *d, struct pager *p)
{
	const size_t page = d->page_bytes;
	struct pager_region_info own, near;
	unsigned char *base = client_allocate(p, 8 * page);
	void *v;
	int fd;

	OK(pager_allocate(p, 4 * page, PAGER_ALLOC_ALIGNED(24), &v));
	EQ((uintptr_t)v % (1u << 24), 0);
	*(unsigned char *)v = 1;
	OK(pager_deallocate(p, v, 4 * page));
	OK(pager_deallocate(p, base + 2 * page, 2 * page));
	v = base + 3 * page;
	OK(pager_allocate(p, page, PAGER_ALLOC_FIXED | PAGER_ALLOC_CONTIGUOUS, &v));
	REQUIRE(v == base + 3 * page);
	EQ(pager_allocate(p, page, PAGER_ALLOC_FIXED, &v), -EEXIST);
	own = region(p, v);
	near = region(p, base);
	EQ(own.size_bytes, page);
	EQ(own.object_offset, 0);
	REQUIRE(own.object_id != near.object_id);
	EQ(pager_make_entry(p, v, page, PROT_READ, 0, &fd), -ENOTSUP);
	OK(pager_deallocate(p, v, page));
	/* A name gives no more than the maximum of what it names. */
	OK(pager_allocate(p, page, PAGER_ALLOC_SHAREABLE, &v));
	OK(pager_protect(p, v, page, PROT_READ | PAGER_PROT_MAXIMUM));
	EQ(pager_make_entry(p, v, page, RW, 0, &fd), -EACCES);
	OK(pager_make_entry(p, v, page, PROT_READ, 0, &fd));
	map_named(d, p, fd, base);
	close(fd);
	OK(pager_protect(p, v, page, PROT_NONE | PAGER_PROT_MAXIMUM));
	EQ(pager_make_entry(p, v, page, PROT_READ, 0, &fd), -EACCES);
	OK(pager_deallocate(p, v, page));
	OK(pager_deallocate(p, base, 2 * page));
	OK(pager_deallocate(p, base + 4 * page, 4 * page));
}

static void
all(struct live *d, void *argument)
{
	const size_t page = d->page_bytes;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, 16 * page);
	struct pager_region_info info;
	char pid[16], text[4096];
	uint64_t value;

	(void)argument;
	guard_begin();
	info = region(p, base);
	EQ(info.protection, RW);
	EQ(info.max_protection, RW);
	EQ(info.inheritance, PAGER_INHERIT_COPY);
	EQ(info.tag, 0);
	EQ(info.user_wired_count, 0);
	EQ(info.wired_count, 0);
	OK(pager_tag(p, base + 4 * page, 8 * page, 77));
	OK(pager_inherit(p, base + 4 * page, 8 * page, PAGER_INHERIT_NONE));
	OK(pager_wire(p, base + 4 * page, 8 * page));
	OK(pager_wire(p, base + 4 * page, 8 * page));
	OK(pager_protect(p, base + 4 * page, 8 * page, PROT_READ));
	info = region(p, base + 5 * page);
	REQUIRE(info.addr == base + 4 * page);
	EQ(info.size_bytes, 8 * page);
	EQ(info.protection, PROT_READ);
	EQ(info.max_protection, RW);
	EQ(info.inheritance, PAGER_INHERIT_NONE);
	EQ(info.tag, 77);
	EQ(info.user_wired_count, 2);
	EQ(info.wired_count, 1);
	EQ(info.pages_wired, 8);
	EQ(guard_store_word((void *)(base + 4 * page), 1), SIGSEGV);
	EQ(guard_load_word((void *)(base + 4 * page), &value), 0);
	EQ(guard_store_word((void *)(base + 3 * page), 1), 0);
	EQ(guard_store_word((void *)(base + 12 * page), 1), 0);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	EQ(live_pagerctl(d, text, sizeof(text), "map", pid, NULL), 0);
	REQUIRE(strstr(text, "\ntag 77  ") &&
		    strstr(text, "r--/rw- PRV       1 none  default    -         2 "),
	    "%s", text);
	EQ(pager_protect(p, base, 16 * page, PROT_READ | PROT_EXEC), -EACCES);
	OK(pager_protect(p, base + 4 * page, 8 * page, PROT_READ | PAGER_PROT_MAXIMUM));
	EQ(pager_protect(p, base, 16 * page, RW), -EACCES);
	EQ(guard_store_word((void *)(base + 4 * page), 1), SIGSEGV);
	OK(pager_wire(p, base + 4 * page, page)); /* to read it */
	/* All equal again but for the maximum. */
	OK(pager_unwire(p, base + 4 * page, page));
	OK(pager_unwire(p, base + 4 * page, 8 * page));
	OK(pager_unwire(p, base + 4 * page, 8 * page));
	OK(pager_tag(p, base, 16 * page, 1));
	OK(pager_inherit(p, base, 16 * page, PAGER_INHERIT_NONE));
	EQ(region(p, base).size_bytes, 4 * page);
	OK(pager_protect(p, base, 16 * page, PROT_READ | PAGER_PROT_MAXIMUM));
	EQ(region(p, base).size_bytes, 16 * page);
	EQ(guard_store_word((void *)base, 1), SIGSEGV);
	live_check(d);
	OK(pager_deallocate(p, base, 16 * page));
	EQ(guard_load_word((void *)base, &value), SIGSEGV);
	kinds(d, p);
	OK(pager_disconnect(p));
}

/* --- protect: at random, in a quarter of the memory --- */

struct truth {
	int protection;
	uint64_t value;
};

static void
touch_one(unsigned char *at, struct truth *t, uint64_t *rng)
{
	uint64_t value = 0;

	EQ(guard_load_word((void *)at, &value), t->protection & PROT_READ ? 0 : SIGSEGV);
	if (t->protection & PROT_READ)
		REQUIRE(value == t->value, "%llx, not %llx", (unsigned long long)value,
		    (unsigned long long)t->value);
	if (rng_below(rng, 2) == 0)
		return;
	value = rng_next(rng);
	EQ(guard_store_word((void *)at, value), t->protection & PROT_WRITE ? 0 : SIGSEGV);
	if (t->protection & PROT_WRITE)
		t->value = value;
}

static void
change(struct pager *p, unsigned char *base, struct truth *truth, uint64_t first, uint64_t count,
    size_t page, uint64_t *rng)
{
	static const int protections[] = { PROT_NONE, PROT_READ, RW, RW };
	int protection = protections[rng_below(rng, 4)];
	void *v = base + first * page;

	switch (rng_below(rng, 8)) {
	case 0:
		OK(pager_behavior(p, v, count * page, PAGER_BEHAVIOR_PAGEOUT));
		return;
	case 1:
		OK(pager_deallocate(p, v, count * page));
		OK(pager_allocate(p, count * page, PAGER_ALLOC_FIXED, &v));
		for (uint64_t i = first; i < first + count; i++)
			truth[i] = (struct truth){ RW, 0 };
		return;
	case 2:
		OK(pager_tag(p, v, count * page, (unsigned)rng_below(rng, 3)));
		return;
	default:
		OK(pager_protect(p, v, count * page, protection));
		for (uint64_t i = first; i < first + count; i++)
			truth[i].protection = protection;
		return;
	}
}

static void
protect(struct live *d, void *argument)
{
	const size_t page = d->page_bytes;
	const uint64_t pages = 4 * d->memory_bytes / page;
	struct truth *truth = calloc(pages, sizeof(*truth));
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, pages * page);
	uint64_t rng = live_seed;

	(void)argument;
	guard_begin();
	for (uint64_t i = 0; i < pages; i++) {
		truth[i] = (struct truth){ RW, rng_next(&rng) };
		*(volatile uint64_t *)(void *)(base + i * page) = truth[i].value;
	}
	for (uint64_t n = 0; n < live_scaled(400); n++) {
		uint64_t first = rng_below(&rng, pages), count = 1 + rng_below(&rng, 64);

		if (first + count > pages)
			count = pages - first;
		change(p, base, truth, first, count, page, &rng);
		for (unsigned i = 0; i < 64; i++) {
			uint64_t at = rng_below(&rng, pages);

			touch_one(base + at * page, &truth[at], &rng);
		}
	}
	/* The daemon's books say the same, page for page. */
	for (uint64_t i = 0; i < pages;) {
		struct pager_region_info info = region(p, base + i * page);

		for (; i < pages && base + i * page < (unsigned char *)info.addr + info.size_bytes;
		     i++)
			EQ(truth[i].protection, info.protection);
	}
	live_check(d);
	OK(pager_protect(p, base, pages * page, PROT_READ));
	for (uint64_t i = 0; i < pages; i++) {
		truth[i].protection = PROT_READ;
		touch_one(base + i * page, &truth[i], &rng);
	}
	free(truth);
	OK(pager_disconnect(p));
}

/* --- wired: at once, or nothing --- */

static uint64_t
virtual_size(struct pager *p)
{
	struct pager_statistics statistics;

	OK(pager_statistics(p, &statistics));
	return statistics.virtual_size;
}

/* Fills a range with what does not compress. */
static void
fill(unsigned char *base, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size; i += 8)
		*(volatile uint64_t *)(void *)(base + i) = mix64(seed + i);
}

static void
wired(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	size_t size = d->memory_bytes / 4;
	unsigned char *pressure = client_allocate(p, 4 * d->memory_bytes);
	struct pager_region_info info;
	uint64_t before;
	void *v[8];
	unsigned count = 0;
	int r;

	(void)argument;
	fill(pressure, 4 * d->memory_bytes, 1);
	for (;;) {
		before = virtual_size(p);
		r = pager_allocate(p, size, PAGER_ALLOC_WIRED, &v[count]);
		if (r < 0)
			break;
		info = region(p, v[count]);
		EQ(info.user_wired_count, 1);
		EQ(info.wired_count, 1);
		EQ(info.pages_wired, info.size_bytes / d->page_bytes);
		memset(v[count], (int)count + 1, size);
		REQUIRE(++count < 8);
	}
	EQ(r, -EAGAIN);
	REQUIRE(count > 0);
	EQ(virtual_size(p), before);
	/* What there is stays wired, whatever others do. */
	fill(pressure, 4 * d->memory_bytes, 2);
	for (unsigned i = 0; i < count; i++)
		for (size_t at = 0; at < size; at += d->page_bytes)
			EQ(((unsigned char *)v[i])[at], i + 1);
	/* There is room again for as much as is given back. */
	OK(pager_deallocate(p, v[0], size));
	OK(pager_allocate(p, size, PAGER_ALLOC_WIRED, &v[0]));
	EQ(((unsigned char *)v[0])[size - 1], 0);
	live_check(d);
	OK(pager_disconnect(p));
}

/* No page can leave: the limit would allow the wires, but not all pages come in. */
static void
full(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	size_t size = d->memory_bytes / 4, taken = d->memory_bytes * 85 / 100;
	unsigned char *others = client_allocate(p, taken);
	uint64_t before;
	void *v = NULL;

	(void)argument;
	fill(others, taken, 1);
	before = virtual_size(p);
	for (unsigned round = 0; round < 3; round++) {
		EQ(pager_allocate(p, size, PAGER_ALLOC_WIRED, &v), -ENOMEM);
		REQUIRE(v == NULL);
		EQ(virtual_size(p), before);
	}
	live_rest(d);
	EQ(live_stat(d, "wired"), 0);
	for (size_t i = 0; i < taken; i += d->page_bytes)
		REQUIRE(*(volatile uint64_t *)(void *)(others + i) == mix64(1 + i));
	/* It works when there is room. */
	OK(pager_deallocate(p, others, taken));
	OK(pager_allocate(p, size, PAGER_ALLOC_WIRED, &v));
	OK(pager_disconnect(p));
}

/* --- mappings: the process has no more of them, or few --- */

enum { CHANGES = 300 };

/* Takes every mapping that the kernel still gives, by protecting every second page of a range. Of
 * the first ones, one for each change, some may have been let go; *to: the first that has never
 * been taken. */
static void
mappings_exhaust(unsigned char *filler, size_t size, size_t *to)
{
	for (size_t i = 0; i < CHANGES * 8192u && i < *to; i += 8192)
		if (mprotect(filler + i, 4096, PROT_READ) < 0)
			return;
	for (; *to < size; *to += 8192)
		if (mprotect(filler + *to, 4096, PROT_READ) < 0)
			return;
	FAIL("the range is too small");
}

static void
mappings(struct live *d, void *argument)
{
	static const int protections[] = { PROT_READ, PROT_NONE, RW };
	enum { PAGES = 16 };
	const size_t page = d->page_bytes, filler_size = (size_t)1 << 30;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, PAGES * page);
	unsigned char *filler =
	    mmap(NULL, filler_size, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int truth[PAGES];
	unsigned refused = 0, granted = 0;
	uint64_t rng = live_seed, value, changes = live_scaled(CHANGES);
	size_t taken = 0;

	(void)argument;
	REQUIRE(filler != MAP_FAILED);
	guard_begin();
	for (unsigned i = 0; i < PAGES; i++)
		truth[i] = RW;
	mappings_exhaust(filler, filler_size, &taken);
	for (unsigned n = 0; n < changes; n++) {
		unsigned first = (unsigned)rng_below(&rng, PAGES), count;
		int protection = protections[rng_below(&rng, 3)], r;

		count = 1 + (unsigned)rng_below(&rng, PAGES - first);
		/* Now and then a mapping or two become free, two for each page. */
		if (rng_below(&rng, 4) == 0)
			mprotect(filler + n * 8192, 4096, RW);
		if (rng_below(&rng, 4) == 0)
			mappings_exhaust(filler, filler_size, &taken);
		r = pager_protect(p, base + first * page, count * page, protection);
		REQUIRE(r == 0 || r == -ENOMEM, "%s", strerror(-r));
		refused += r != 0;
		granted += r == 0;
		for (unsigned i = first; r == 0 && i < first + count; i++)
			truth[i] = protection;
		for (unsigned i = 0; i < PAGES; i++) {
			EQ(region(p, base + i * page).protection, truth[i]);
			EQ(guard_load_word((void *)(base + i * page), &value),
			    truth[i] & PROT_READ ? 0 : SIGSEGV);
			EQ(guard_store_word((void *)(base + i * page), n),
			    truth[i] & PROT_WRITE ? 0 : SIGSEGV);
		}
	}
	REQUIRE(refused > 0 && granted > 0, "%u refused, %u granted", refused, granted);
	munmap(filler, filler_size);
	OK(pager_disconnect(p));
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		client_body *body;
		const char *swap;
	} tests[] = { { "all", all, NULL }, { "protect", protect, NULL }, { "wired", wired, NULL },
		{ "mappings", mappings, NULL }, { "full", full, "--no-swap" } };
	const char *name = argc > 1 ? argv[1] : "", *page_size = argc > 2 ? argv[2] : "4K";
	struct live d;

	live_init(argc, argv);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (strcmp(name, tests[i].name) != 0)
			continue;
		live_start(&d, strcmp(page_size, "64K") == 0 ? "32M" : "8M", "--page-size",
		    page_size, tests[i].swap, NULL);
		client_join(&d, client_start(&d, tests[i].body, NULL), true);
		live_stop(&d);
		return 0;
	}
	FAIL("no such test: \"%s\"", name);
}
