/* SPDX-License-Identifier: MIT
 *
 * Compaction: minor, major, refused, damaged; the arena loses as many bytes as it gives back.
 */
#include "ct.h"

#include <errno.h>
#include <string.h>

static struct ct_pages pages;
static unsigned asked, refuse_every, refuse_all;

static bool
move(struct ct *t, struct cowner owner, struct cref from, struct cref to)
{
	(void)t;
	asked++;
	uint64_t page = ct_owner_page(owner);
	assert_int_equal(owner.v, ct_owner(CT_PAGES_OBJECT, page).v);
	assert_true(page < CT_PAGES);
	assert_int_equal(pages.cref[page].v, from.v);
	assert_true(to.v != from.v);
	if (refuse_all || (refuse_every != 0 && page % refuse_every == 0))
		return false;
	pages.cref[page] = to;
	return true;
}

static void
fill(struct ct *t, unsigned segments)
{
	ct_pages_create(t, &pages, segments);
	t->relocate = move;
	asked = refuse_every = refuse_all = 0;
}

static void
minor_gives_back_the_waste(void **state)
{
	struct ct t;
	(void)state;

	fill(&t, 3);
	for (uint64_t i = CT_PER_SEGMENT; i < 2 * CT_PER_SEGMENT; i += 2)
		ct_pages_drop(&t, &pages, i);
	long long before = load_relaxed(&t.held);
	struct cref was[CT_PAGES];
	memcpy(was, pages.cref, sizeof(was));

	size_t given = compressor_compact(t.c, false);
	/* 31 pages of 63 live: from 64 + 63 * 4112 to 64 + 31 * 4112 bytes, in whole pages. */
	assert_int_equal(given, 262144 - 131072);
	assert_int_equal(before - load_relaxed(&t.held), given);
	assert_int_equal(ct_stats(&t).compactions_minor, 1);
	assert_memory_equal(was, pages.cref, sizeof(was));
	ct_pages_check(&t, &pages);
	assert_int_equal(compressor_compact(t.c, false), 0);
	assert_int_equal(ct_stats(&t).compactions_minor, 1);
	assert_int_equal(asked, 0);
	ct_pages_destroy(&t, &pages);
}

static void
minor_takes_the_worst_and_leaves_the_small(void **state)
{
	struct ct t;
	(void)state;

	fill(&t, 4);
	for (uint64_t i = 0; i < 10; i++)
		ct_pages_drop(&t, &pages, i * 5);
	for (uint64_t i = 0; i < 25; i++)
		ct_pages_drop(&t, &pages, 2 * CT_PER_SEGMENT + i * 2);
	ct_pages_drop(&t, &pages, 3 * CT_PER_SEGMENT + 5); /* less than an eighth */
	size_t first = compressor_compact(t.c, false), second = compressor_compact(t.c, false);
	assert_in_range(first, 25 * 4096, 26 * 4112);
	assert_in_range(second, 10 * 4096, 11 * 4112);
	assert_int_equal(compressor_compact(t.c, false), 0);
	assert_int_equal(ct_stats(&t).compactions_minor, 2);
	ct_pages_check(&t, &pages);
	ct_pages_destroy(&t, &pages);
}

/* 5 segments with 12 pages each. */
static void
make_sparse(struct ct *t)
{
	fill(t, 5);
	for (uint64_t i = 0; i < 5 * CT_PER_SEGMENT; i++)
		if (i % 5 != 0 || i % CT_PER_SEGMENT >= 60)
			ct_pages_drop(t, &pages, i);
}

static unsigned
compact_until_done(struct ct *t, bool urgent)
{
	unsigned steps = 0;

	while (compressor_compact(t->c, urgent) > 0) {
		steps++;
		assert_true(steps < 100);
		ct_check(t);
	}
	return steps;
}

static unsigned
compact_all(struct ct *t)
{
	return compact_until_done(t, false);
}

/* One page of 63 is no eighth, but it is a page. */
static void
urgent_wins_each_page(void **state)
{
	struct ct t;
	(void)state;

	fill(&t, 4);
	ct_pages_drop(&t, &pages, 3);
	ct_pages_drop(&t, &pages, CT_PER_SEGMENT + 7);
	ct_pages_drop(&t, &pages, CT_PER_SEGMENT + 8);
	ct_pages_drop(&t, &pages, 2 * CT_PER_SEGMENT + 62); /* at the end: nothing to move */
	long long before = load_relaxed(&t.held);

	assert_int_equal(compressor_compact(t.c, false), 0);
	assert_int_equal(compact_until_done(&t, true), 3);
	assert_int_equal(before - load_relaxed(&t.held), 4 * 4096);
	assert_int_equal(ct_stats(&t).compactions_minor, 3);
	assert_int_equal(asked, 0);
	ct_pages_check(&t, &pages);
	/* And with each page that goes from now on. */
	ct_pages_drop(&t, &pages, 10);
	assert_int_equal(compressor_compact(t.c, true), 4096);
	assert_int_equal(compressor_compact(t.c, true), 0);
	ct_pages_check(&t, &pages);
	ct_pages_destroy(&t, &pages);
}

/* Three quarters full: nothing to win by the usual measure, a segment of four by the urgent one. */
static void
urgent_merges_what_is_mostly_full(void **state)
{
	struct ct t;
	(void)state;

	fill(&t, 5);
	for (uint64_t i = 0; i < 5 * CT_PER_SEGMENT; i++)
		if (i % 4 == 0)
			ct_pages_drop(&t, &pages, i);
	compact_all(&t); /* slides only */
	assert_int_equal(ct_stats(&t).segments_core, 6);
	assert_int_equal(ct_stats(&t).compactions_major, 0);
	compact_until_done(&t, true);
	assert_in_range(ct_stats(&t).segments_core, 4, 5);
	assert_true(ct_stats(&t).compactions_major > 0);
	ct_pages_check(&t, &pages);
	ct_pages_destroy(&t, &pages);
}

/* An arena of five chunks: the last one is left to compaction, which makes room again. */
static void
chunks_run_out(void **state)
{
	struct ct t;
	struct cref full;
	uint32_t bytes;
	char page[4096];
	uint64_t n = 0;
	(void)state;

	ct_create(&t, 4096, 5 * 262144, 1);
	t.relocate = move;
	asked = refuse_every = refuse_all = 0;
	memset(&pages, 0, sizeof(pages));
	for (; n < 4 * CT_PER_SEGMENT; n++)
		ct_pages_store(&t, &pages, n);
	assert_false(compressor_has_segment(t.c, 0));
	ct_page_of_kind(page, 4096, ct_pages_id(&pages, n), CT_RANDOM);
	struct cowner owner = ct_owner(CT_PAGES_OBJECT, n);
	assert_int_equal(compressor_store(t.c, 0, page, owner, 1, &full, &bytes), -ENOSPC);
	/* 40 of 63 live: more than half, and yet they are merged. */
	for (uint64_t i = 0; i < 3 * CT_PER_SEGMENT; i++)
		if (i % CT_PER_SEGMENT >= 40)
			ct_pages_drop(&t, &pages, i);
	while (!compressor_has_segment(t.c, 0))
		assert_true(compressor_compact(t.c, false) > 0);
	ct_pages_store(&t, &pages, n);
	ct_pages_check(&t, &pages);
	ct_pages_destroy(&t, &pages);
}

static void
major_merges(void **state)
{
	struct ct t;
	(void)state;

	make_sparse(&t);
	uint64_t live = ct_stats(&t).bytes_live;
	compact_all(&t);
	struct compressor_stats s = ct_stats(&t);
	/* About 62 pages: one segment, at most two, and the worker's. */
	assert_in_range(s.segments_core, 2, 3);
	assert_true(s.compactions_major >= 4);
	assert_true(asked > 0);
	assert_int_equal(s.bytes_live, live);
	assert_true(s.bytes_populated < live + 3 * 65536);
	ct_pages_check(&t, &pages);
	ct_pages_destroy(&t, &pages);
}

static void
refused_pages_stay(void **state)
{
	struct ct t;
	struct cref was[CT_PAGES];
	(void)state;

	make_sparse(&t);
	memcpy(was, pages.cref, sizeof(was));
	refuse_every = 3;
	compact_all(&t);
	ct_pages_check(&t, &pages);
	unsigned stayed = 0, moved = 0;
	for (uint64_t i = 0; i < CT_PAGES; i++) {
		if (pages.cref[i].v == 0)
			continue;
		stayed += pages.cref[i].v == was[i].v;
		moved += pages.cref[i].v != was[i].v;
		if (i % 3 == 0)
			assert_int_equal(pages.cref[i].v, was[i].v);
	}
	assert_true(stayed > 0 && moved > 0);

	/* Now they may go: the stuck segments get another turn. */
	refuse_every = 0;
	for (int i = 0; i < 20; i++)
		compact_all(&t);
	assert_in_range(ct_stats(&t).segments_core, 2, 3);
	ct_pages_check(&t, &pages);
	ct_pages_destroy(&t, &pages);
}

static void
all_refused_ends(void **state)
{
	struct ct t;
	struct cref was[CT_PAGES];
	(void)state;

	make_sparse(&t);
	memcpy(was, pages.cref, sizeof(was));
	refuse_all = 1;
	compact_all(&t);
	compact_all(&t);
	assert_memory_equal(was, pages.cref, sizeof(was));
	assert_int_equal(ct_stats(&t).compactions_major, 0);
	ct_pages_check(&t, &pages);
	ct_pages_destroy(&t, &pages);
}

static void
no_memory_for_the_copy(void **state)
{
	struct ct t;
	(void)state;

	make_sparse(&t);
	while (ct_stats(&t).compactions_minor < 5)
		assert_true(compressor_compact(t.c, false) > 0);
	store_relaxed(&t.limit, load_relaxed(&t.held));
	uint64_t live = ct_stats(&t).bytes_live;
	compact_all(&t);
	assert_int_equal(ct_stats(&t).bytes_live, live);
	ct_pages_check(&t, &pages);
	/* A little is enough to go on with. */
	store_relaxed(&t.limit, load_relaxed(&t.held) + 65536);
	compact_all(&t);
	assert_in_range(ct_stats(&t).segments_core, 2, 4);
	ct_pages_check(&t, &pages);
	ct_pages_destroy(&t, &pages);
}

static void
a_damaged_page_is_not_sealed_anew(void **state)
{
	struct ct t;
	char page[4096];
	(void)state;

	make_sparse(&t);
	unsigned char *stored = ct_find(&t, ct_pages_id(&pages, 65));
	assert_non_null(stored);
	assert_true(pages.cref[65].v != 0);
	struct cref was = pages.cref[65];
	stored[12 + 100] ^= 4;
	compact_all(&t);
	assert_int_equal(pages.cref[65].v, was.v);
	assert_int_equal(compressor_load(t.c, pages.cref[65], page), -EIO);
	assert_int_equal(ct_stats(&t).checksum_errors, 1);
	ct_pages_drop(&t, &pages, 65);
	ct_pages_check(&t, &pages);
	compact_all(&t);
	assert_in_range(ct_stats(&t).segments_core, 2, 3);
	ct_pages_check(&t, &pages);
	ct_pages_destroy(&t, &pages);
}

static void
pages_gathered_and_freed_again(void **state)
{
	struct ct t;
	(void)state;

	make_sparse(&t);
	compact_all(&t);
	for (uint64_t i = 0; i < CT_PAGES; i++)
		if (pages.cref[i].v != 0 && i % 10 != 0)
			ct_pages_drop(&t, &pages, i);
	compact_all(&t);
	ct_pages_check(&t, &pages);
	for (uint64_t i = 0; i < CT_PAGES; i++)
		if (pages.cref[i].v != 0 && i != 5 * CT_PER_SEGMENT)
			ct_pages_drop(&t, &pages, i);
	compact_all(&t);
	assert_int_equal(ct_stats(&t).segments_core, 1); /* the worker's */
	ct_pages_destroy(&t, &pages);
}

/* Pages whose owner has changed: compaction asks the new one. */
static bool
move_renamed(struct ct *t, struct cowner owner, struct cref from, struct cref to)
{
	uint64_t page = ct_owner_page(owner);

	(void)t;
	asked++;
	assert_int_equal(owner.v, ct_owner(CT_PAGES_OBJECT + (page % 2), page).v);
	assert_int_equal(pages.cref[page].v, from.v);
	pages.cref[page] = to;
	return true;
}

static void
renamed_pages_are_asked_for_by_their_new_names(void **state)
{
	struct ct t;
	(void)state;

	fill(&t, 4);
	t.relocate = move_renamed;
	for (uint64_t i = 1; i <= 4 * CT_PER_SEGMENT; i += 2)
		compressor_rename(t.c, pages.cref[i], ct_owner(CT_PAGES_OBJECT + 1, i));
	ct_pages_check(&t, &pages);
	for (uint64_t i = 0; i < 3 * CT_PER_SEGMENT; i++)
		if (i % 5 < 3)
			ct_pages_drop(&t, &pages, i);
	while (compressor_compact(t.c, false) > 0)
		continue;
	assert_true(asked > 0 && ct_stats(&t).compactions_major > 0);
	ct_pages_check(&t, &pages);
	ct_pages_destroy(&t, &pages);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(renamed_pages_are_asked_for_by_their_new_names),
		cmocka_unit_test(minor_gives_back_the_waste),
		cmocka_unit_test(minor_takes_the_worst_and_leaves_the_small),
		cmocka_unit_test(urgent_wins_each_page),
		cmocka_unit_test(urgent_merges_what_is_mostly_full),
		cmocka_unit_test(chunks_run_out),
		cmocka_unit_test(major_merges),
		cmocka_unit_test(refused_pages_stay),
		cmocka_unit_test(all_refused_ends),
		cmocka_unit_test(no_memory_for_the_copy),
		cmocka_unit_test(a_damaged_page_is_not_sealed_anew),
		cmocka_unit_test(pages_gathered_and_freed_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
