/* SPDX-License-Identifier: MIT
 *
 * Compaction: minor, major, refused, damaged; the arena loses as many bytes as it gives back.
 */
#include "ct.h"

#include <errno.h>
#include <string.h>

/* Raw 4K pages: 63 in a segment of 256K, 4112 bytes each. */
#define PER_SEGMENT 63
#define PAGES       512

static struct cref cref[PAGES];
static unsigned asked, refuse_every, refuse_all;

static struct ct_id
id_of(uint64_t page)
{
	return (struct ct_id){ 0xabcdef0123, page, 4 };
}

static bool
move(struct ct *t, struct cowner owner, struct cref from, struct cref to)
{
	(void)t;
	asked++;
	uint64_t page = ct_owner_page(owner);
	assert_int_equal(owner.v, ct_owner(id_of(0).object, page).v);
	assert_true(page < PAGES);
	assert_int_equal(cref[page].v, from.v);
	assert_true(to.v != from.v);
	if (refuse_all || (refuse_every != 0 && page % refuse_every == 0))
		return false;
	cref[page] = to;
	return true;
}

static void
fill(struct ct *t, unsigned segments)
{
	ct_create(t, 4096, 32 << 20, 1);
	t->relocate = move;
	asked = refuse_every = refuse_all = 0;
	memset(cref, 0, sizeof(cref));
	/* One more closes the last. */
	for (uint64_t i = 0; i < segments * PER_SEGMENT + 1; i++)
		cref[i] = ct_store_kind(t, id_of(i), CT_RANDOM);
	assert_int_equal(ct_stats(t).segments_core, segments + 1);
	ct_check(t);
}

static void
drop(struct ct *t, uint64_t page)
{
	compressor_free(t->c, cref[page]);
	cref[page] = CREF_NONE;
}

static void
check_pages(struct ct *t)
{
	char page[4096];

	for (uint64_t i = 0; i < PAGES; i++) {
		if (cref[i].v == 0)
			continue;
		assert_int_equal(compressor_load(t->c, cref[i], page), 0);
		ct_check_page_of_kind(page, 4096, id_of(i), CT_RANDOM);
	}
	ct_check(t);
}

static void
drop_all(struct ct *t)
{
	for (uint64_t i = 0; i < PAGES; i++)
		if (cref[i].v != 0)
			drop(t, i);
	ct_check(t);
	assert_int_equal(ct_stats(t).pages, 0);
	ct_destroy(t);
}

static void
minor_gives_back_the_waste(void **state)
{
	struct ct t;
	(void)state;

	fill(&t, 3);
	for (uint64_t i = PER_SEGMENT; i < 2 * PER_SEGMENT; i += 2)
		drop(&t, i);
	long long before = load_relaxed(&t.held);
	struct cref was[PAGES];
	memcpy(was, cref, sizeof(was));

	size_t given = compressor_compact(t.c, false);
	/* 31 pages of 63 live: from 64 + 63 * 4112 to 64 + 31 * 4112 bytes, in whole pages. */
	assert_int_equal(given, 262144 - 131072);
	assert_int_equal(before - load_relaxed(&t.held), given);
	assert_int_equal(ct_stats(&t).compactions_minor, 1);
	assert_memory_equal(was, cref, sizeof(was));
	check_pages(&t);
	assert_int_equal(compressor_compact(t.c, false), 0);
	assert_int_equal(ct_stats(&t).compactions_minor, 1);
	assert_int_equal(asked, 0);
	drop_all(&t);
}

static void
minor_takes_the_worst_and_leaves_the_small(void **state)
{
	struct ct t;
	(void)state;

	fill(&t, 4);
	for (uint64_t i = 0; i < 10; i++)
		drop(&t, i * 5);
	for (uint64_t i = 0; i < 25; i++)
		drop(&t, 2 * PER_SEGMENT + i * 2);
	drop(&t, 3 * PER_SEGMENT + 5); /* less than an eighth */
	size_t first = compressor_compact(t.c, false), second = compressor_compact(t.c, false);
	assert_in_range(first, 25 * 4096, 26 * 4112);
	assert_in_range(second, 10 * 4096, 11 * 4112);
	assert_int_equal(compressor_compact(t.c, false), 0);
	assert_int_equal(ct_stats(&t).compactions_minor, 2);
	check_pages(&t);
	drop_all(&t);
}

/* 5 segments with 12 pages each. */
static void
make_sparse(struct ct *t)
{
	fill(t, 5);
	for (uint64_t i = 0; i < 5 * PER_SEGMENT; i++)
		if (i % 5 != 0 || i % PER_SEGMENT >= 60)
			drop(t, i);
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
	drop(&t, 3);
	drop(&t, PER_SEGMENT + 7);
	drop(&t, PER_SEGMENT + 8);
	drop(&t, 2 * PER_SEGMENT + 62); /* at the end: nothing to move */
	long long before = load_relaxed(&t.held);

	assert_int_equal(compressor_compact(t.c, false), 0);
	assert_int_equal(compact_until_done(&t, true), 3);
	assert_int_equal(before - load_relaxed(&t.held), 4 * 4096);
	assert_int_equal(ct_stats(&t).compactions_minor, 3);
	assert_int_equal(asked, 0);
	check_pages(&t);
	/* And with each page that goes from now on. */
	drop(&t, 10);
	assert_int_equal(compressor_compact(t.c, true), 4096);
	assert_int_equal(compressor_compact(t.c, true), 0);
	check_pages(&t);
	drop_all(&t);
}

/* Three quarters full: nothing to win by the usual measure, a segment of four by the urgent one. */
static void
urgent_merges_what_is_mostly_full(void **state)
{
	struct ct t;
	(void)state;

	fill(&t, 5);
	for (uint64_t i = 0; i < 5 * PER_SEGMENT; i++)
		if (i % 4 == 0)
			drop(&t, i);
	compact_all(&t); /* slides only */
	assert_int_equal(ct_stats(&t).segments_core, 6);
	assert_int_equal(ct_stats(&t).compactions_major, 0);
	compact_until_done(&t, true);
	assert_in_range(ct_stats(&t).segments_core, 4, 5);
	assert_true(ct_stats(&t).compactions_major > 0);
	check_pages(&t);
	drop_all(&t);
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
	memset(cref, 0, sizeof(cref));
	for (; n < 4 * PER_SEGMENT; n++)
		cref[n] = ct_store_kind(&t, id_of(n), CT_RANDOM);
	assert_false(compressor_has_segment(t.c, 0));
	ct_page_of_kind(page, 4096, id_of(n), CT_RANDOM);
	struct cowner owner = ct_owner(id_of(n).object, n);
	assert_int_equal(compressor_store(t.c, 0, page, owner, 1, &full, &bytes), -ENOSPC);
	/* 40 of 63 live: more than half, and yet they are merged. */
	for (uint64_t i = 0; i < 3 * PER_SEGMENT; i++)
		if (i % PER_SEGMENT >= 40)
			drop(&t, i);
	while (!compressor_has_segment(t.c, 0))
		assert_true(compressor_compact(t.c, false) > 0);
	cref[n] = ct_store_kind(&t, id_of(n), CT_RANDOM);
	check_pages(&t);
	drop_all(&t);
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
	check_pages(&t);
	drop_all(&t);
}

static void
refused_pages_stay(void **state)
{
	struct ct t;
	struct cref was[PAGES];
	(void)state;

	make_sparse(&t);
	memcpy(was, cref, sizeof(was));
	refuse_every = 3;
	compact_all(&t);
	check_pages(&t);
	unsigned stayed = 0, moved = 0;
	for (uint64_t i = 0; i < PAGES; i++) {
		if (cref[i].v == 0)
			continue;
		stayed += cref[i].v == was[i].v;
		moved += cref[i].v != was[i].v;
		if (i % 3 == 0)
			assert_int_equal(cref[i].v, was[i].v);
	}
	assert_true(stayed > 0 && moved > 0);

	/* Now they may go: the stuck segments get another turn. */
	refuse_every = 0;
	for (int i = 0; i < 20; i++)
		compact_all(&t);
	assert_in_range(ct_stats(&t).segments_core, 2, 3);
	check_pages(&t);
	drop_all(&t);
}

static void
all_refused_ends(void **state)
{
	struct ct t;
	struct cref was[PAGES];
	(void)state;

	make_sparse(&t);
	memcpy(was, cref, sizeof(was));
	refuse_all = 1;
	compact_all(&t);
	compact_all(&t);
	assert_memory_equal(was, cref, sizeof(was));
	assert_int_equal(ct_stats(&t).compactions_major, 0);
	check_pages(&t);
	drop_all(&t);
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
	check_pages(&t);
	/* A little is enough to go on with. */
	store_relaxed(&t.limit, load_relaxed(&t.held) + 65536);
	compact_all(&t);
	assert_in_range(ct_stats(&t).segments_core, 2, 4);
	check_pages(&t);
	drop_all(&t);
}

static void
a_damaged_page_is_not_sealed_anew(void **state)
{
	struct ct t;
	char page[4096];
	(void)state;

	make_sparse(&t);
	unsigned char *stored = ct_find(&t, id_of(65));
	assert_non_null(stored);
	assert_true(cref[65].v != 0);
	struct cref was = cref[65];
	stored[12 + 100] ^= 4;
	compact_all(&t);
	assert_int_equal(cref[65].v, was.v);
	assert_int_equal(compressor_load(t.c, cref[65], page), -EIO);
	assert_int_equal(ct_stats(&t).checksum_errors, 1);
	drop(&t, 65);
	check_pages(&t);
	compact_all(&t);
	assert_in_range(ct_stats(&t).segments_core, 2, 3);
	check_pages(&t);
	drop_all(&t);
}

static void
pages_gathered_and_freed_again(void **state)
{
	struct ct t;
	(void)state;

	make_sparse(&t);
	compact_all(&t);
	for (uint64_t i = 0; i < PAGES; i++)
		if (cref[i].v != 0 && i % 10 != 0)
			drop(&t, i);
	compact_all(&t);
	check_pages(&t);
	for (uint64_t i = 0; i < PAGES; i++)
		if (cref[i].v != 0 && i != 5 * PER_SEGMENT)
			drop(&t, i);
	compact_all(&t);
	assert_int_equal(ct_stats(&t).segments_core, 1); /* the worker's */
	drop_all(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
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
