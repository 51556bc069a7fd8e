/* SPDX-License-Identifier: MIT
 *
 * Segments that leave and come back, with a disk made of malloc.
 */
#include "ct.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PER_SEGMENT 63 /* raw 4K pages */
#define PAGES       512

static struct cref cref[PAGES];
static struct ct_disk disk;

static struct ct_id
id_of(uint64_t page)
{
	return (struct ct_id){ 0x1234567890, page, 8 };
}

static void
fill(struct ct *t, unsigned segments)
{
	ct_create(t, 4096, 32 << 20, 1);
	memset(cref, 0, sizeof(cref));
	memset(&disk, 0, sizeof(disk));
	for (uint64_t i = 0; i < segments * PER_SEGMENT + 1; i++)
		cref[i] = ct_store_kind(t, id_of(i), CT_RANDOM);
}

static void
check_page(struct ct *t, uint64_t i)
{
	char page[4096];
	int error = compressor_load(t->c, cref[i], page);

	assert_int_equal(error == -EAGAIN, compressor_is_away(t->c, cref[i]));
	if (error == -EAGAIN)
		error = ct_read(t, &disk, cref[i], page);
	assert_int_equal(error, 0);
	ct_check_page_of_kind(page, 4096, id_of(i), CT_RANDOM);
}

static void
finish(struct ct *t)
{
	for (uint64_t i = 0; i < PAGES; i++) {
		if (cref[i].v == 0)
			continue;
		check_page(t, i);
		compressor_free(t->c, cref[i]);
	}
	ct_disk_collect(t, &disk);
	ct_check(t);
	assert_int_equal(disk.alive, 0);
	assert_int_equal(ct_stats(t).pages, 0);
	assert_int_equal(ct_stats(t).segments_away, 0);
	ct_destroy(t);
}

static void
drop(struct ct *t, uint64_t from, uint64_t to)
{
	for (uint64_t i = from; i < to; i++) {
		compressor_free(t->c, cref[i]);
		cref[i] = CREF_NONE;
	}
}

static void
oldest_first_and_back_by_page(void **state)
{
	struct ct t;
	(void)state;

	fill(&t, 3);
	long long held = load_relaxed(&t.held);
	uint32_t segment[3];
	for (int i = 0; i < 3; i++) {
		segment[i] = ct_swapout(&t, &disk);
		assert_true(segment[i] != 0);
		assert_true(compressor_is_away(t.c, cref[i * PER_SEGMENT]));
		assert_int_equal(compressor_is_away(t.c, cref[(i + 1) * PER_SEGMENT]), 0);
		held -= 262144;
		assert_int_equal(load_relaxed(&t.held), held);
		ct_check(&t);
	}
	assert_int_equal(ct_swapout(&t, &disk), 0);
	struct compressor_stats s = ct_stats(&t);
	assert_int_equal(s.segments_away, 3);
	assert_int_equal(s.pages_away, 3 * PER_SEGMENT);
	assert_int_equal(s.bytes_away, 3 * PER_SEGMENT * 4112);
	assert_int_equal(s.bytes_live, 4112);
	assert_int_equal(s.segments_core, 1);

	char page[4096];
	struct cread r;
	assert_int_equal(compressor_load(t.c, cref[0], page), -EAGAIN);
	assert_int_equal(compressor_read_begin(t.c, cref[3 * PER_SEGMENT], &r), -EAGAIN);

	uint32_t cursor = 0;
	struct caway away;
	for (int i = 0; i < 3; i++) {
		assert_true(compressor_away_next(t.c, &cursor, &away));
		assert_int_equal(away.segment, segment[i]);
		assert_int_equal(away.place.v, i + 1);
		assert_int_equal(away.live_bytes, PER_SEGMENT * 4112);
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

	fill(&t, 2);
	ct_swapout(&t, &disk);
	ct_swapout(&t, &disk);
	drop(&t, 0, PER_SEGMENT - 1);
	assert_int_equal(ct_disk_collect(&t, &disk), 0);
	assert_int_equal(ct_stats(&t).bytes_away, (PER_SEGMENT + 1) * 4112);
	/* While its last page is being read the place stays. (A caller would not free that page
	 * meanwhile: here another one's pin stands in.) */
	assert_int_equal(compressor_read_begin(t.c, cref[PER_SEGMENT - 1], &r), 0);
	assert_int_equal(r.place.v, 1);
	struct cref last = cref[PER_SEGMENT - 1];
	drop(&t, PER_SEGMENT - 1, PER_SEGMENT);
	assert_int_equal(ct_disk_collect(&t, &disk), 0);
	compressor_read_end(t.c, last);
	assert_int_equal(ct_disk_collect(&t, &disk), 1);
	assert_int_equal(disk.alive, 1);
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

	fill(&t, 3);
	assert_true(compressor_swapout_begin(t.c, &segment, &bytes, &length));
	assert_int_equal(length, 262144);
	char *copy = malloc(length);
	memcpy(copy, bytes, length);
	drop(&t, 0, 40);
	assert_memory_equal(bytes, copy, length);
	check_page(&t, 50);
	assert_int_equal(compressor_compact(t.c, false), 0);
	struct cplace place = ct_disk_write(&disk, bytes, length);
	assert_false(compressor_swapout_end(t.c, segment, 0, place));
	assert_int_equal(ct_stats(&t).pages_away, PER_SEGMENT - 40);
	check_page(&t, 50);
	free(copy);
	ct_check(&t);

	/* All of them: the place is not kept. */
	assert_true(compressor_swapout_begin(t.c, &segment, &bytes, &length));
	drop(&t, PER_SEGMENT, 2 * PER_SEGMENT);
	place = ct_disk_write(&disk, bytes, length);
	assert_true(compressor_swapout_end(t.c, segment, 0, place));
	ct_disk_free(&disk, place);
	assert_int_equal(ct_disk_collect(&t, &disk), 0);
	ct_check(&t);

	/* A failed write: it stays, and is the first to be tried again. */
	uint32_t again;
	long long held = load_relaxed(&t.held);
	assert_true(compressor_swapout_begin(t.c, &segment, &bytes, &length));
	assert_true(compressor_swapout_end(t.c, segment, -EIO, (struct cplace){ 0 }));
	assert_int_equal(load_relaxed(&t.held), held);
	check_page(&t, 2 * PER_SEGMENT + 3);
	ct_check(&t);
	assert_true(compressor_swapout_begin(t.c, &again, &bytes, &length));
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

	fill(&t, 2);
	drop(&t, 3, 53);
	assert_true(compressor_swapout_begin(t.c, &segment, &bytes, &length));
	/* 13 pages: 64 + 13 * 4112 */
	assert_int_equal(length, 57344);
	assert_int_equal(ct_stats(&t).compactions_minor, 1);
	struct cplace place = ct_disk_write(&disk, bytes, length);
	assert_false(compressor_swapout_end(t.c, segment, 0, place));
	ct_check(&t);
	finish(&t);
}

static void
what_was_read_lately_stays(void **state)
{
	struct ct t;
	(void)state;

	fill(&t, 3);
	check_page(&t, 5);
	ct_swapout(&t, &disk);
	assert_false(compressor_is_away(t.c, cref[5]));
	assert_true(compressor_is_away(t.c, cref[PER_SEGMENT]));
	ct_swapout(&t, &disk);
	assert_false(compressor_is_away(t.c, cref[5]));
	/* Only until no other segment is left. */
	check_page(&t, 5);
	ct_swapout(&t, &disk);
	assert_true(compressor_is_away(t.c, cref[5]));
	ct_check(&t);
	finish(&t);
}

static void
damaged_bytes_are_found(void **state)
{
	struct ct t;
	char page[4096];
	(void)state;

	fill(&t, 1);
	assert_int_not_equal(ct_swapout(&t, &disk), 0);
	/* Slot 7's bytes, and the segment's own header, which no page needs. */
	disk.blob[1].bytes[64 + 7 * 4112 + 1000] ^= 1;
	memset(disk.blob[1].bytes, 0x55, 64);
	assert_int_equal(ct_read(&t, &disk, cref[7], page), -EIO);
	drop(&t, 7, 8);
	for (uint64_t i = 0; i < PER_SEGMENT; i++)
		if (cref[i].v != 0)
			check_page(&t, i);
	finish(&t);
}

static void
a_place_moves(void **state)
{
	struct ct t;
	struct cread r;
	(void)state;

	fill(&t, 1);
	uint32_t segment = ct_swapout(&t, &disk);
	struct cplace one = { 1 },
		      two = ct_disk_write(&disk, disk.blob[1].bytes, disk.blob[1].length);

	assert_int_equal(compressor_place_moved(t.c, segment, two, one), -ENOENT);
	assert_int_equal(compressor_place_moved(t.c, segment + 1, one, two), -ENOENT);
	assert_int_equal(compressor_place_moved(t.c, 9999, one, two), -ENOENT);
	assert_int_equal(compressor_read_begin(t.c, cref[3], &r), 0);
	assert_int_equal(compressor_place_moved(t.c, segment, one, two), -EBUSY);
	compressor_read_end(t.c, cref[3]);
	assert_int_equal(compressor_place_moved(t.c, segment, one, two), 0);
	ct_disk_free(&disk, one);
	assert_int_equal(compressor_read_begin(t.c, cref[3], &r), 0);
	assert_int_equal(r.place.v, 2);
	compressor_read_end(t.c, cref[3]);
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

	fill(&t, 1);
	uint32_t first = ct_swapout(&t, &disk);
	char *old = malloc(disk.blob[1].length);
	memcpy(old, disk.blob[1].bytes, disk.blob[1].length);
	drop(&t, 0, PER_SEGMENT + 1);
	ct_disk_collect(&t, &disk);
	for (uint64_t i = 0; i < 4 * PER_SEGMENT; i++)
		cref[i] = ct_store_kind(&t, id_of(i % PER_SEGMENT), CT_RANDOM);
	for (uint32_t segment; (segment = ct_swapout(&t, &disk)) != 0 && segment != first;)
		;
	unsigned tried = 0;
	for (uint64_t i = 0; i < 4 * PER_SEGMENT; i++) {
		if (compressor_read_begin(t.c, cref[i], &r) != 0)
			continue;
		assert_int_equal(compressor_read_decode(t.c, cref[i], old + r.offset, page), -EIO);
		assert_int_equal(compressor_read_decode(
				     t.c, cref[i], disk.blob[r.place.v].bytes + r.offset, page),
		    0);
		ct_check_page_of_kind(page, 4096, id_of(i % PER_SEGMENT), CT_RANDOM);
		compressor_read_end(t.c, cref[i]);
		tried++;
	}
	assert_true(tried >= PER_SEGMENT);
	free(old);
	drop(&t, 0, 4 * PER_SEGMENT);
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
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
