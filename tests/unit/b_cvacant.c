/* SPDX-License-Identifier: MIT
 *
 * Vacancies: a page goes where one of its size was freed, and nowhere where that would be wrong.
 */
#include "ct.h"

#include <errno.h>
#include <string.h>

/* Raw 4K pages: 63 in a segment of 256K. */
#define PER_SEGMENT 63
#define PAGES       400

static struct cref cref[PAGES];
static uint64_t generation[PAGES];
static struct ct_disk disk;

static struct ct_id
id_of(uint64_t page)
{
	return (struct ct_id){ 0xb01e, page, generation[page] };
}

static void
store(struct ct *t, uint64_t page, enum ct_kind kind)
{
	generation[page]++;
	cref[page] = ct_store_kind(t, id_of(page), kind);
}

static void
drop(struct ct *t, uint64_t page)
{
	compressor_free(t->c, cref[page]);
	cref[page] = CREF_NONE;
}

/* `segments` full ones of raw pages, and one page in another. */
static void
fill(struct ct *t, unsigned segments)
{
	ct_create(t, 4096, 32 << 20, 1);
	memset(cref, 0, sizeof(cref));
	memset(generation, 0, sizeof(generation));
	for (uint64_t i = 0; i < segments * PER_SEGMENT + 1; i++)
		store(t, i, CT_RANDOM);
}

static void
check_pages(struct ct *t)
{
	char page[4096];

	for (uint64_t i = 0; i < PAGES; i++) {
		if (cref[i].v == 0)
			continue;
		int error = compressor_load(t->c, cref[i], page);
		if (error == -EAGAIN)
			error = ct_read(t, &disk, cref[i], page);
		assert_int_equal(error, 0);
		ct_check_page_of_kind(page, 4096, id_of(i), CT_RANDOM);
	}
	ct_check(t);
}

static void
finish(struct ct *t)
{
	for (uint64_t i = 0; i < PAGES; i++)
		if (cref[i].v != 0)
			drop(t, i);
	ct_disk_collect(t, &disk);
	ct_check(t);
	assert_int_equal(ct_stats(t).pages, 0);
	ct_destroy(t);
}

static void
a_page_takes_the_place_of_its_size(void **state)
{
	struct ct t;
	(void)state;

	fill(&t, 3);
	long long held = load_relaxed(&t.held);
	for (uint64_t round = 0; round < 50; round++) {
		uint64_t a = round * 7 % (3 * PER_SEGMENT), b = (a + 91) % (3 * PER_SEGMENT);

		drop(&t, a);
		drop(&t, b);
		store(&t, a, CT_RANDOM);
		store(&t, b, CT_RANDOM);
	}
	assert_int_equal(ct_stats(&t).refilled, 100);
	assert_int_equal(load_relaxed(&t.held), held);
	assert_int_equal(ct_stats(&t).bytes_live, (3 * PER_SEGMENT + 1) * 4128);
	check_pages(&t);
	finish(&t);
}

static void
another_size_goes_elsewhere(void **state)
{
	struct ct_id id = { 0x7e87, 1, 1 };
	struct ct t;
	(void)state;

	fill(&t, 2);
	drop(&t, 3);
	struct cref text = ct_store_kind(&t, id, CT_TEXT);
	assert_int_equal(ct_stats(&t).refilled, 0);
	store(&t, 3, CT_RANDOM);
	assert_int_equal(ct_stats(&t).refilled, 1);
	ct_load_kind(&t, text, id, CT_TEXT);
	check_pages(&t);
	compressor_free(t.c, text);
	finish(&t);
}

/* What was slid over is no vacancy any more, though the lists still name it. */
static void
slides_close_vacancies(void **state)
{
	struct ct t;
	(void)state;

	fill(&t, 2);
	for (uint64_t i = 0; i < PER_SEGMENT; i += 2)
		drop(&t, i);
	while (compressor_compact(t.c, true) > 0)
		;
	assert_true(ct_stats(&t).compactions_minor > 0);
	check_pages(&t);
	for (uint64_t i = 0; i < PER_SEGMENT; i += 2)
		store(&t, i, CT_RANDOM);
	assert_int_equal(ct_stats(&t).refilled, 0);
	check_pages(&t);
	finish(&t);
}

/* What is written out must stay as it was when it was copied. */
static void
a_segment_being_written_has_no_vacancies(void **state)
{
	struct ct t;
	uint32_t segment;
	const void *bytes;
	size_t length;
	(void)state;

	fill(&t, 2);
	drop(&t, 5);
	assert_true(compressor_swapout_begin(t.c, &segment, &bytes, &length));
	struct cplace place = ct_disk_write(&disk, bytes, length);
	drop(&t, 7);
	store(&t, 5, CT_RANDOM);
	store(&t, 7, CT_RANDOM);
	assert_int_equal(ct_stats(&t).refilled, 0);
	assert_false(compressor_swapout_end(t.c, segment, 0, place));
	check_pages(&t);
	/* Away there are none either. */
	drop(&t, 9);
	store(&t, 9, CT_RANDOM);
	assert_int_equal(ct_stats(&t).refilled, 0);
	/* Back in memory it has those that appear from then on. */
	assert_int_equal(compressor_swapin_segment(t.c, segment, disk.blob[place.v].bytes, disk.blob[place.v].length), 0);
	check_pages(&t);
	drop(&t, 11);
	store(&t, 11, CT_RANDOM);
	assert_int_equal(ct_stats(&t).refilled, 1);
	check_pages(&t);
	finish(&t);
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
	assert_in_range(ct_stats(&t).refilled, 500, MANY / 2 - 1);
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
		cmocka_unit_test(slides_close_vacancies),
		cmocka_unit_test(a_segment_being_written_has_no_vacancies),
		cmocka_unit_test(the_lists_overflow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
