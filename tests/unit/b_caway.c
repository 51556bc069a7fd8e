/* SPDX-License-Identifier: MIT
 *
 * Segments that leave and come back, with a disk made of malloc.
 */
#include "ct.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct ct_pages pages;

static void
drop_range(struct ct *t, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++)
		ct_pages_drop(t, &pages, i);
}

static void
finish(struct ct *t)
{
	ct_pages_check(t, &pages);
	ct_pages_destroy(t, &pages);
}

static void
oldest_first_and_back_by_page(void **state)
{
	struct ct t;
	(void)state;

	ct_pages_create(&t, &pages, 3);
	long long held = load_relaxed(&t.held);
	uint32_t segment[3];
	for (int i = 0; i < 3; i++) {
		segment[i] = ct_swapout(&t, &pages.disk);
		assert_true(segment[i] != 0);
		assert_true(compressor_is_away(t.c, pages.cref[i * CT_PER_SEGMENT]));
		assert_int_equal(compressor_is_away(t.c, pages.cref[(i + 1) * CT_PER_SEGMENT]), 0);
		held -= 262144;
		assert_int_equal(load_relaxed(&t.held), held);
		ct_check(&t);
	}
	assert_int_equal(ct_swapout(&t, &pages.disk), 0);
	struct compressor_stats s = ct_stats(&t);
	assert_int_equal(s.segments_away, 3);
	assert_int_equal(s.pages_away, 3 * CT_PER_SEGMENT);
	assert_int_equal(s.bytes_away, 3 * CT_PER_SEGMENT * 4112);
	assert_int_equal(s.bytes_live, 4112);
	assert_int_equal(s.segments_core, 1);

	char page[4096];
	struct cread r;
	assert_int_equal(compressor_load(t.c, pages.cref[0], page), -EAGAIN);
	assert_int_equal(compressor_read_begin(t.c, pages.cref[3 * CT_PER_SEGMENT], &r), -EAGAIN);

	uint32_t cursor = 0;
	struct caway away;
	for (int i = 0; i < 3; i++) {
		assert_true(compressor_away_next(t.c, &cursor, &away));
		assert_int_equal(away.segment, segment[i]);
		assert_int_equal(away.place.v, i + 1);
		assert_int_equal(away.live_bytes, CT_PER_SEGMENT * 4112);
		assert_int_equal(away.length, 262144);
	}
	assert_false(compressor_away_next(t.c, &cursor, &away));
	finish(&t);
}

static void
a_place_goes_with_its_last_page(void **state)
{
	struct ct t;
	struct cread r;
	(void)state;

	ct_pages_create(&t, &pages, 2);
	ct_swapout(&t, &pages.disk);
	ct_swapout(&t, &pages.disk);
	drop_range(&t, 0, CT_PER_SEGMENT - 1);
	assert_int_equal(ct_disk_collect(&t, &pages.disk), 0);
	assert_int_equal(ct_stats(&t).bytes_away, (CT_PER_SEGMENT + 1) * 4112);
	/* While its last page is being read the place stays. (A caller would not free that page
	 * meanwhile: here another one's pin stands in.) */
	assert_int_equal(compressor_read_begin(t.c, pages.cref[CT_PER_SEGMENT - 1], &r), 0);
	assert_int_equal(r.place.v, 1);
	struct cref last = pages.cref[CT_PER_SEGMENT - 1];
	drop_range(&t, CT_PER_SEGMENT - 1, CT_PER_SEGMENT);
	assert_int_equal(ct_disk_collect(&t, &pages.disk), 0);
	compressor_read_end(t.c, last);
	assert_int_equal(ct_disk_collect(&t, &pages.disk), 1);
	assert_int_equal(pages.disk.alive, 1);
	ct_check(&t);
	finish(&t);
}

static void
pages_freed_while_written(void **state)
{
	struct ct t;
	uint32_t segment;
	const void *bytes;
	size_t length;
	(void)state;

	ct_pages_create(&t, &pages, 3);
	assert_true(compressor_swapout_begin(t.c, false, &segment, &bytes, &length));
	assert_int_equal(length, 262144);
	char *copy = malloc(length);
	memcpy(copy, bytes, length);
	drop_range(&t, 0, 40);
	assert_memory_equal(bytes, copy, length);
	ct_pages_check_one(&t, &pages, 50);
	assert_int_equal(compressor_compact(t.c, false), 0);
	struct cplace place = ct_disk_write(&pages.disk, bytes, length);
	assert_false(compressor_swapout_end(t.c, segment, 0, place));
	assert_int_equal(ct_stats(&t).pages_away, CT_PER_SEGMENT - 40);
	ct_pages_check_one(&t, &pages, 50);
	free(copy);
	ct_check(&t);

	/* All of them: the place is not kept. */
	assert_true(compressor_swapout_begin(t.c, false, &segment, &bytes, &length));
	drop_range(&t, CT_PER_SEGMENT, 2 * CT_PER_SEGMENT);
	place = ct_disk_write(&pages.disk, bytes, length);
	assert_true(compressor_swapout_end(t.c, segment, 0, place));
	ct_disk_free(&pages.disk, place);
	assert_int_equal(ct_disk_collect(&t, &pages.disk), 0);
	ct_check(&t);

	/* A failed write: it stays, and is the first to be tried again. */
	uint32_t again;
	long long held = load_relaxed(&t.held);
	assert_true(compressor_swapout_begin(t.c, false, &segment, &bytes, &length));
	assert_true(compressor_swapout_end(t.c, segment, -EIO, (struct cplace){ 0 }));
	assert_int_equal(load_relaxed(&t.held), held);
	ct_pages_check_one(&t, &pages, 2 * CT_PER_SEGMENT + 3);
	ct_check(&t);
	assert_true(compressor_swapout_begin(t.c, false, &again, &bytes, &length));
	assert_int_equal(again, segment);
	assert_true(compressor_swapout_end(t.c, again, -ENOSPC, (struct cplace){ 0 }));
	finish(&t);
}

static void
waste_is_not_written(void **state)
{
	struct ct t;
	uint32_t segment;
	const void *bytes;
	size_t length;
	(void)state;

	ct_pages_create(&t, &pages, 2);
	drop_range(&t, 3, 53);
	assert_true(compressor_swapout_begin(t.c, false, &segment, &bytes, &length));
	/* 13 pages: 64 + 13 * 4112 */
	assert_int_equal(length, 57344);
	assert_int_equal(ct_stats(&t).compactions_minor, 1);
	struct cplace place = ct_disk_write(&pages.disk, bytes, length);
	assert_false(compressor_swapout_end(t.c, segment, 0, place));
	ct_check(&t);
	finish(&t);
}

static void
what_was_read_lately_stays(void **state)
{
	struct ct t;
	(void)state;

	ct_pages_create(&t, &pages, 3);
	ct_pages_check_one(&t, &pages, 5);
	ct_swapout(&t, &pages.disk);
	assert_false(compressor_is_away(t.c, pages.cref[5]));
	assert_true(compressor_is_away(t.c, pages.cref[CT_PER_SEGMENT]));
	ct_swapout(&t, &pages.disk);
	assert_false(compressor_is_away(t.c, pages.cref[5]));
	/* Only until no other segment is left. */
	ct_pages_check_one(&t, &pages, 5);
	ct_swapout(&t, &pages.disk);
	assert_true(compressor_is_away(t.c, pages.cref[5]));
	ct_check(&t);
	finish(&t);
}

static void
damaged_bytes_are_found(void **state)
{
	struct ct t;
	char page[4096];
	(void)state;

	ct_pages_create(&t, &pages, 1);
	assert_int_not_equal(ct_swapout(&t, &pages.disk), 0);
	/* Slot 7's bytes, and the segment's own header, which no page needs. */
	pages.disk.blob[1].bytes[64 + 7 * 4112 + 1000] ^= 1;
	memset(pages.disk.blob[1].bytes, 0x55, 64);
	assert_int_equal(ct_read(&t, &pages.disk, pages.cref[7], page), -EIO);
	drop_range(&t, 7, 8);
	for (uint64_t i = 0; i < CT_PER_SEGMENT; i++)
		if (pages.cref[i].v != 0)
			ct_pages_check_one(&t, &pages, i);
	finish(&t);
}

static void
a_place_moves(void **state)
{
	struct ct t;
	struct cread r;
	(void)state;

	ct_pages_create(&t, &pages, 1);
	uint32_t segment = ct_swapout(&t, &pages.disk);
	struct cplace one = { 1 }, two = ct_disk_write(&pages.disk, pages.disk.blob[1].bytes,
				       pages.disk.blob[1].length);

	assert_int_equal(compressor_place_moved(t.c, segment, two, one), -ENOENT);
	assert_int_equal(compressor_place_moved(t.c, segment + 1, one, two), -ENOENT);
	assert_int_equal(compressor_place_moved(t.c, 9999, one, two), -ENOENT);
	assert_int_equal(compressor_read_begin(t.c, pages.cref[3], &r), 0);
	assert_int_equal(compressor_place_moved(t.c, segment, one, two), -EBUSY);
	compressor_read_end(t.c, pages.cref[3]);
	assert_int_equal(compressor_place_moved(t.c, segment, one, two), 0);
	ct_disk_free(&pages.disk, one);
	assert_int_equal(compressor_read_begin(t.c, pages.cref[3], &r), 0);
	assert_int_equal(r.place.v, 2);
	compressor_read_end(t.c, pages.cref[3]);
	ct_check(&t);
	finish(&t);
}

/* An intact page of the same owner, in the same slot of the same row, but of an earlier filling. */
static void
stale_bytes_are_refused(void **state)
{
	struct ct t;
	struct cread r;
	char page[4096];
	(void)state;

	ct_pages_create(&t, &pages, 1);
	uint32_t first = ct_swapout(&t, &pages.disk);
	char *old = malloc(pages.disk.blob[1].length);
	memcpy(old, pages.disk.blob[1].bytes, pages.disk.blob[1].length);
	drop_range(&t, 0, CT_PER_SEGMENT + 1);
	ct_disk_collect(&t, &pages.disk);
	for (uint64_t i = 0; i < 4 * CT_PER_SEGMENT; i++)
		pages.cref[i] =
		    ct_store_kind(&t, ct_pages_id(&pages, i % CT_PER_SEGMENT), CT_RANDOM);
	for (uint32_t segment; (segment = ct_swapout(&t, &pages.disk)) != 0 && segment != first;)
		;
	unsigned tried = 0;
	for (uint64_t i = 0; i < 4 * CT_PER_SEGMENT; i++) {
		if (compressor_read_begin(t.c, pages.cref[i], &r) != 0)
			continue;
		assert_int_equal(
		    compressor_read_decode(t.c, pages.cref[i], old + r.offset, page), -EIO);
		assert_int_equal(compressor_read_decode(t.c, pages.cref[i],
				     pages.disk.blob[r.place.v].bytes + r.offset, page),
		    0);
		ct_check_page_of_kind(
		    page, 4096, ct_pages_id(&pages, i % CT_PER_SEGMENT), CT_RANDOM);
		compressor_read_end(t.c, pages.cref[i]);
		tried++;
	}
	assert_true(tried >= CT_PER_SEGMENT);
	free(old);
	drop_range(&t, 0, 4 * CT_PER_SEGMENT);
	finish(&t);
}

/* Pages that keep apart are in segments of their own, with what was stored before gathered to them;
 * these go first, and can be asked for alone. */
static void
pages_that_keep_apart_go_together(void **state)
{
	const uint64_t first = 2 * CT_PER_SEGMENT + 1, end = first + 10;
	uint32_t segment, again;
	struct cref gathered;
	struct cplace place;
	const void *bytes;
	size_t length;
	struct ct t;
	(void)state;

	ct_pages_create(&t, &pages, 2);
	assert_false(compressor_swapout_begin(t.c, true, &segment, &bytes, &length));
	compressor_apart(t.c, 0, true);
	for (uint64_t i = first; i < end; i++)
		ct_pages_store(&t, &pages, i);
	for (uint64_t i = 0; i < 5; i++) {
		assert_int_equal(compressor_gather(t.c, 0, pages.cref[i],
				     ct_owner(CT_PAGES_OBJECT, i), &gathered),
		    0);
		ct_pages_drop(&t, &pages, i);
		pages.cref[i] = gathered;
		assert_int_equal(compressor_gather(t.c, 0, pages.cref[i],
				     ct_owner(CT_PAGES_OBJECT, i), &gathered),
		    -EAGAIN);
	}
	/* The five places are for others', and nothing of others' comes here. */
	compressor_apart(t.c, 0, false);
	for (uint64_t i = end; i < end + 5; i++)
		ct_pages_store(&t, &pages, i);
	assert_int_equal(ct_stats(&t).refilled, 5);
	compressor_apart_end(t.c, 0);
	compressor_apart_end(t.c, 0);
	assert_int_equal(ct_stats(&t).segments_apart, 1);
	assert_int_equal(compressor_apart_segments(t.c), 1);
	ct_pages_drop(&t, &pages, first);
	ct_pages_store(&t, &pages, end + 5);
	assert_int_equal(ct_stats(&t).refilled, 5);
	ct_pages_check(&t, &pages);

	assert_true(compressor_swapout_begin(t.c, true, &segment, &bytes, &length));
	assert_int_equal(length, 61440); /* 14 pages: 64 + 14 * 4112 */
	assert_false(compressor_swapout_begin(t.c, true, &again, &bytes, &length));
	assert_true(compressor_swapout_end(t.c, segment, -EIO, (struct cplace){ 0 }));
	assert_true(compressor_swapout_begin(t.c, false, &again, &bytes, &length));
	assert_int_equal(again, segment);
	place = ct_disk_write(&pages.disk, bytes, length);
	assert_false(compressor_swapout_end(t.c, segment, 0, place));
	for (uint64_t i = first + 1; i < end; i++)
		assert_true(compressor_is_away(t.c, pages.cref[i]));
	for (uint64_t i = 0; i < 5; i++)
		assert_true(compressor_is_away(t.c, pages.cref[i]));
	assert_false(compressor_is_away(t.c, pages.cref[5]));
	assert_int_equal(ct_stats(&t).segments_apart, 0);
	assert_int_equal(compressor_apart_segments(t.c), 0);
	finish(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(oldest_first_and_back_by_page),
		cmocka_unit_test(a_place_goes_with_its_last_page),
		cmocka_unit_test(pages_freed_while_written),
		cmocka_unit_test(waste_is_not_written),
		cmocka_unit_test(what_was_read_lately_stays),
		cmocka_unit_test(damaged_bytes_are_found),
		cmocka_unit_test(a_place_moves),
		cmocka_unit_test(stale_bytes_are_refused),
		cmocka_unit_test(pages_that_keep_apart_go_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
