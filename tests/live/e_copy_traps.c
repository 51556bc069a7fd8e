/* SPDX-License-Identifier: MIT
 *
 * Traps of shared objects that concern copies, with the numbers that the design notes give them, as
 * far as a process can get into them by itself. 1, 2, 3, 8 and 14 are in e_copy.c, 6 and 9 in
 * e_copy_push.c, 10 is a row of e_copy_oracle.c, 12 is in e_window.c, 17 in d_pager_fork.c; 19 and
 * 21 are looked for after each step of c_copy_model.c.
 *
 * usage: e_copy_traps TEST [4K|16K|64K]
 */
#include "harness.h"

#include <sys/mman.h>

#include "bus.h"
#include "side.h"

/* --- trap 7: what is lost for the source is lost for its copies, until each discards it --- */

/* Does not compress, and is another one for each page. */
static uint64_t
noise_word(unsigned page, size_t word)
{
	return mix64((uint64_t)page << 32 | word);
}

static void
noise_fill(struct side *s, unsigned char *base, unsigned page)
{
	uint64_t *words = (uint64_t *)(void *)page_of(s, base, page);

	for (size_t i = 0; i < s->page / sizeof(*words); i++)
		words[i] = noise_word(page, i);
}

static void
noise_expect(struct side *s, unsigned char *base, unsigned page)
{
	const uint64_t *words = (const uint64_t *)(const void *)page_of(s, base, page);

	for (size_t i = 0; i < s->page / sizeof(*words); i++)
		REQUIRE(words[i] == noise_word(page, i), "page %u, word %zu", page, i);
}

/* => false: SIGBUS */
static bool
may_read(struct side *s, const unsigned char *base, unsigned page)
{
	if (sigsetjmp(bus_jump, 1) != 0)
		return false;
	bus_expected = 1;
	(void)*(const volatile unsigned char *)(base + page * s->page);
	bus_expected = 0;
	return true;
}

static void
lost_body(struct live *d, void *argument)
{
	struct side s = { .d = d, .p = client_connect(d), .page = d->page_bytes };
	unsigned count = (unsigned)(4 * d->memory_bytes / s.page), half = count / 2, lost = 0;
	bool *is_lost = calloc(count, sizeof(*is_lost));

	(void)argument;
	s.source = client_allocate(s.p, count * s.page);
	s.copy = client_allocate(s.p, count * s.page);
	expect_bus();
	for (unsigned i = 0; i < count; i++)
		noise_fill(&s, s.source, i);
	OK(pager_copy(s.p, s.source, count * s.page, s.copy));
	live_debug_fail(d, "SWAP_READ_EIO:0:64");
	for (unsigned i = 0; i < count; i++)
		(void)may_read(&s, s.copy, i);
	live_debug_fail(d, NULL);
	for (unsigned i = 0; i < count; i++) {
		is_lost[i] = !may_read(&s, s.copy, i);
		lost += is_lost[i];
		EQ(may_read(&s, s.source, i), !is_lost[i]);
		if (!is_lost[i])
			noise_expect(&s, s.source, i);
	}
	REQUIRE(lost >= 8 && lost < count / 2, "%u pages of %u are lost", lost, count);
	live_check(d);
	/* Of the second half the copy goes first, and comes back as new. */
	OK(pager_behavior(
	    s.p, s.copy + half * s.page, (count - half) * s.page, PAGER_BEHAVIOR_FREE));
	for (unsigned i = half; i < count; i++)
		if (is_lost[i])
			expect(&s, s.copy, i, 0);
	/* The source is as new. Of the copy's first half is lost what was lost, and nothing is
	 * zeroes. */
	OK(pager_behavior(s.p, s.source, count * s.page, PAGER_BEHAVIOR_FREE));
	for (unsigned i = half; i < count; i++)
		if (is_lost[i])
			expect(&s, s.source, i, 0);
	for (unsigned i = 0; i < half; i++) {
		EQ(may_read(&s, s.copy, i), !is_lost[i]);
		if (is_lost[i])
			expect(&s, s.source, i, 0);
		else
			noise_expect(&s, s.copy, i);
	}
	OK(pager_behavior(s.p, s.copy, count * s.page, PAGER_BEHAVIOR_FREE));
	for (unsigned i = 0; i < count; i++) {
		if (is_lost[i])
			expect(&s, s.copy, i, 0);
		if (is_lost[i])
			fill(&s, s.copy, i, 1);
	}
	OK(pager_disconnect(s.p));
	free(is_lost);
}

static void
trap_7_lost(void)
{
	struct live d;

	start(&d, strcmp(page_size, "64K") == 0 ? "32M" : "8M");
	live_param(&d, "compressor_percent", "20");
	client_join(&d, client_start(&d, lost_body, NULL), false);
	live_check(&d);
	WAIT_UNTIL(&d, live_stat(&d, "copy_links") == 0);
	live_stop(&d);
}

/* --- trap 11: what the program has moved with mremap(2) may be written unseen --- */

/* => false: SIGBUS */
static bool
may_write(unsigned char *at, unsigned value)
{
	if (sigsetjmp(bus_jump, 1) != 0)
		return false;
	bus_expected = 1;
	*(volatile unsigned char *)at = (unsigned char)value;
	bus_expected = 0;
	return true;
}

static void
moved_body(struct live *d, void *argument)
{
	struct side s = side_make(d);
	unsigned char *second = client_allocate(s.p, PAGES * s.page), *elsewhere, seen[PAGES];
	unsigned written = 0;

	(void)argument;
	expect_bus();
	for (unsigned i = 0; i < PAGES; i++)
		fill(&s, s.source, i, i + 1);
	copy(&s);
	/* The first half is pushed, and may be written. */
	for (unsigned i = 0; i < PAGES / 2; i++)
		fill(&s, s.source, i, 100 + i);
	elsewhere = mmap(
	    NULL, PAGES * s.page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	REQUIRE(elsewhere != MAP_FAILED);
	REQUIRE(mremap(s.source, PAGES * s.page, PAGES * s.page, MREMAP_MAYMOVE | MREMAP_FIXED,
		    elsewhere) == elsewhere);
	/* There is nothing at the source's addresses that could be write-protected. */
	OK(pager_copy(s.p, s.source, PAGES * s.page, second));
	for (unsigned i = 0; i < PAGES; i++)
		written += may_write(page_of(&s, elsewhere, i), 0xee);
	printf("%u of %u pages could be written where they had been moved to\n", written, PAGES);
	REQUIRE(written >= PAGES / 2, "%u", written);
	/* What was pushed is what it was. What was not may be what the process wrote to its own
	 * memory, or not, and nothing else. */
	for (unsigned i = 0; i < PAGES; i++) {
		unsigned was = i < PAGES / 2 ? 100 + i : i + 1;
		const unsigned char *at = page_of(&s, second, i);

		if (i < PAGES / 2)
			expect(&s, s.copy, i, i + 1);
		REQUIRE(at[0] == was || at[0] == 0xee, "page %u has %u", i, at[0]);
		for (size_t n = 1; n < s.page; n++)
			EQ(at[n], was);
	}
	/* When the source has gone there is nothing that could be changed. */
	OK(pager_deallocate(s.p, s.source, PAGES * s.page));
	for (unsigned i = 0; i < PAGES; i++)
		seen[i] = page_of(&s, second, i)[0];
	for (unsigned i = 0; i < PAGES; i++)
		(void)may_write(page_of(&s, elsewhere, i), 0xdd);
	for (unsigned i = 0; i < PAGES; i++) {
		EQ(page_of(&s, second, i)[0], seen[i]);
		EQ(page_of(&s, s.copy, i)[1], i + 1);
	}
	live_check(d);
	OK(pager_disconnect(s.p));
}

static void
trap_11_moved(void)
{
	run_client("64M", moved_body);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "trap-7-lost", trap_7_lost },
		{ "trap-11-moved", trap_11_moved },
	};

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	return LIVE_RUN(argc, argv, tests);
}
