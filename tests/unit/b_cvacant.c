/* SPDX-License-Identifier: MIT
 *
 * Vacancies: a page takes the place of a freed page that was not much larger, but never a place
 * that it must not take.
 */
#include "ct.h"

#include <errno.h>
#include <string.h>

static struct ct_pages pages;

static void
a_page_takes_the_place_of_its_size(void **state)
{
	struct ct t;
	(void)state;

	ct_pages_create(&t, &pages, 3);
	long long held = load_relaxed(&t.held);
	for (uint64_t round = 0; round < 50; round++) {
		uint64_t a = round * 7 % (3 * CT_PER_SEGMENT), b = (a + 91) % (3 * CT_PER_SEGMENT);

		ct_pages_drop(&t, &pages, a);
		ct_pages_drop(&t, &pages, b);
		ct_pages_store(&t, &pages, a);
		ct_pages_store(&t, &pages, b);
	}
	assert_int_equal(ct_stats(&t).refilled, 100);
	assert_int_equal(load_relaxed(&t.held), held);
	assert_int_equal(ct_stats(&t).bytes_live, (3 * CT_PER_SEGMENT + 1) * 4112);
	ct_pages_check(&t, &pages);
	ct_pages_destroy(&t, &pages);
}

static void
another_size_goes_elsewhere(void **state)
{
	struct ct_id id = { 0x7e87, 1, 1 };
	struct ct t;
	(void)state;

	ct_pages_create(&t, &pages, 2);
	ct_pages_drop(&t, &pages, 3);
	struct cref text = ct_store_kind(&t, id, CT_TEXT);
	assert_int_equal(ct_stats(&t).refilled, 0);
	ct_pages_store(&t, &pages, 3);
	assert_int_equal(ct_stats(&t).refilled, 1);
	ct_load_kind(&t, text, id, CT_TEXT);
	ct_pages_check(&t, &pages);
	compressor_free(t.c, text);
	ct_pages_destroy(&t, &pages);
}

/* --- pages of chosen sizes: random bytes, then zeroes --- */

#define SIZED_PAGES 400
static struct cref sized[SIZED_PAGES];
static uint32_t sized_random[SIZED_PAGES];

static void
sized_page(char *page, uint64_t i)
{
	uint64_t seed = i * 1000003 + sized_random[i];

	memset(page, 0, 4096);
	for (uint32_t n = 0; n < sized_random[i]; n++)
		page[n] = (char)ct_random(&seed);
}

/* => the bytes it takes */
static uint32_t
sized_store(struct ct *t, uint64_t i, uint32_t random)
{
	char page[4096] __attribute__((aligned(8)));
	uint32_t bytes;

	sized_random[i] = random;
	sized_page(page, i);
	assert_int_equal(
	    compressor_store(t->c, 0, page, ct_owner(0x512ed, i), 1, &sized[i], &bytes), 0);
	assert_in_range(bytes, random + 12, random + 60);
	return bytes;
}

static void
sized_drop(struct ct *t, uint64_t i)
{
	compressor_free(t->c, sized[i]);
	sized[i] = CREF_NONE;
}

/* Three full segments of 129 pages, and a part of one; their ends of 1480 bytes are too small for
 * others. */
static void
sized_fill(struct ct *t)
{
	ct_create(t, 4096, 32 << 20, 1);
	for (uint64_t i = 0; i < SIZED_PAGES; i++)
		sized_store(t, i, i % 2 ? 1950 : 1990);
}

static void
sized_check(struct ct *t)
{
	char page[4096], expected[4096];

	for (uint64_t i = 0; i < SIZED_PAGES; i++) {
		if (sized[i].v == 0)
			continue;
		assert_int_equal(compressor_load(t->c, sized[i], page), 0);
		sized_page(expected, i);
		assert_memory_equal(page, expected, sizeof(page));
	}
	ct_check(t);
}

static void
sized_finish(struct ct *t)
{
	sized_check(t);
	for (uint64_t i = 0; i < SIZED_PAGES; i++)
		if (sized[i].v != 0)
			sized_drop(t, i);
	ct_check(t);
	assert_int_equal(ct_stats(t).pages, 0);
	assert_int_equal(ct_stats(t).bytes_live, 0);
	ct_destroy(t);
}

static void
the_best_fit_is_taken(void **state)
{
	struct ct t;
	(void)state;

	sized_fill(&t);
	struct cref was = sized[10];
	sized_drop(&t, 10);
	/* Larger than the vacancy, then much smaller. */
	sized_store(&t, 10, 2100);
	sized_drop(&t, 10);
	sized_store(&t, 10, 1500);
	assert_int_equal(ct_stats(&t).refilled, 0);
	/* A page that is a little smaller takes the place, and counts only the bytes that it
	 * needs. */
	sized_drop(&t, 10);
	uint64_t live = ct_stats(&t).bytes_live;
	uint32_t bytes = sized_store(&t, 10, 1950);
	assert_int_equal(ct_stats(&t).refilled, 1);
	assert_int_equal(sized[10].v, was.v);
	assert_int_equal(ct_stats(&t).bytes_live, live + bytes);
	sized_check(&t);
	/* Of two that are large enough the smaller one, whichever was freed last. */
	for (uint64_t i = 20; i < 40; i += 10) {
		struct cref even = sized[i], odd = sized[i + 1];

		sized_drop(&t, i + (i == 20));
		sized_drop(&t, i + (i != 20));
		sized_store(&t, i, 1930);
		assert_int_equal(sized[i].v, odd.v);
		sized_store(&t, i + 1, 1930);
		assert_int_equal(sized[i + 1].v, even.v);
	}
	sized_finish(&t);
}

/* A page that leaves some of its vacancy leaves it to the next in the same place. */
static void
a_place_keeps_its_size(void **state)
{
	struct ct t;
	(void)state;

	sized_fill(&t);
	struct cref was = sized[10];
	for (uint32_t i = 0; i < 3; i++) {
		sized_drop(&t, 10);
		sized_store(&t, 10, 1880 + 20 * i);
		assert_int_equal(sized[10].v, was.v);
		sized_check(&t);
	}
	assert_int_equal(ct_stats(&t).refilled, 3);
	sized_finish(&t);
}

/* Until it is slid. */
static void
slack_is_slid_over(void **state)
{
	struct ct t;
	(void)state;

	sized_fill(&t);
	for (uint64_t i = 0; i < 120; i += 2) {
		sized_drop(&t, i);
		sized_store(&t, i, 1880);
	}
	assert_int_equal(ct_stats(&t).refilled, 60);
	long long held = load_relaxed(&t.held);
	while (compressor_compact(t.c, true) > 0)
		;
	assert_int_equal(ct_stats(&t).compactions_minor, 1);
	assert_int_equal(held - load_relaxed(&t.held), 2 * 4096);
	sized_finish(&t);
}

/* 63 raw pages of 4112 bytes leave 3024 of a segment. */
static void
the_end_of_a_segment_is_a_vacancy(void **state)
{
	struct ct t;
	(void)state;

	ct_pages_create(&t, &pages, 2);
	memset(sized, 0, sizeof(sized));
	long long held = load_relaxed(&t.held);
	for (uint64_t i = 0; i < 3; i++)
		sized_store(&t, i, 2940);
	assert_int_equal(ct_stats(&t).refilled, 2);
	assert_int_equal(load_relaxed(&t.held), held);
	ct_pages_check(&t, &pages);
	/* Sliding moves pages in such places too. */
	for (uint64_t i = 0; i < CT_PER_SEGMENT; i += 2)
		ct_pages_drop(&t, &pages, i);
	while (compressor_compact(t.c, true) > 0)
		;
	sized_check(&t);
	ct_pages_check(&t, &pages);
	for (uint64_t i = 0; i < 3; i++)
		sized_drop(&t, i);
	ct_pages_destroy(&t, &pages);
}

/* A place that was slid over is no vacancy any more, though the lists still name it. */
static void
slides_close_vacancies(void **state)
{
	struct ct t;
	(void)state;

	ct_pages_create(&t, &pages, 2);
	for (uint64_t i = 0; i < CT_PER_SEGMENT; i += 2)
		ct_pages_drop(&t, &pages, i);
	while (compressor_compact(t.c, true) > 0)
		;
	assert_true(ct_stats(&t).compactions_minor > 0);
	ct_pages_check(&t, &pages);
	for (uint64_t i = 0; i < CT_PER_SEGMENT; i += 2)
		ct_pages_store(&t, &pages, i);
	assert_int_equal(ct_stats(&t).refilled, 0);
	ct_pages_check(&t, &pages);
	ct_pages_destroy(&t, &pages);
}

/* A segment being written out must stay as it was when it was copied. */
static void
a_segment_being_written_has_no_vacancies(void **state)
{
	struct ct t;
	uint32_t segment;
	const void *bytes;
	size_t length;
	(void)state;

	ct_pages_create(&t, &pages, 2);
	ct_pages_drop(&t, &pages, 5);
	assert_true(compressor_swapout_begin(t.c, false, &segment, &bytes, &length));
	struct cplace place = ct_disk_write(&pages.disk, bytes, length);
	ct_pages_drop(&t, &pages, 7);
	ct_pages_store(&t, &pages, 5);
	ct_pages_store(&t, &pages, 7);
	assert_int_equal(ct_stats(&t).refilled, 0);
	assert_false(compressor_swapout_end(t.c, segment, 0, place));
	ct_pages_check(&t, &pages);
	/* Away there are none either. */
	ct_pages_drop(&t, &pages, 9);
	ct_pages_store(&t, &pages, 9);
	assert_int_equal(ct_stats(&t).refilled, 0);
	ct_pages_destroy(&t, &pages);
}

/* More vacancies than a list holds: the rest is compaction's. */
static void
the_lists_overflow(void **state)
{
	enum { MANY = 3000 };
	static struct cref many[MANY];
	struct ct t;
	(void)state;

	ct_create(&t, 4096, 64 << 20, 1);
	for (uint64_t i = 0; i < MANY; i++)
		many[i] = ct_store_kind(&t, (struct ct_id){ 9, i, 1 }, CT_RANDOM);
	for (uint64_t i = 0; i < MANY; i += 2)
		compressor_free(t.c, many[i]);
	for (uint64_t i = 0; i < MANY; i += 2)
		many[i] = ct_store_kind(&t, (struct ct_id){ 9, i, 2 }, CT_RANDOM);
	assert_in_range(ct_stats(&t).refilled, 200, MANY / 2 - 1);
	for (uint64_t i = 0; i < MANY; i++)
		ct_load_kind(&t, many[i], (struct ct_id){ 9, i, i % 2 ? 1 : 2 }, CT_RANDOM);
	ct_check(&t);
	for (uint64_t i = 0; i < MANY; i++)
		compressor_free(t.c, many[i]);
	ct_check(&t);
	ct_destroy(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_takes_the_place_of_its_size),
		cmocka_unit_test(another_size_goes_elsewhere),
		cmocka_unit_test(the_best_fit_is_taken),
		cmocka_unit_test(a_place_keeps_its_size),
		cmocka_unit_test(slack_is_slid_over),
		cmocka_unit_test(the_end_of_a_segment_is_a_vacancy),
		cmocka_unit_test(slides_close_vacancies),
		cmocka_unit_test(a_segment_being_written_has_no_vacancies),
		cmocka_unit_test(the_lists_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
