/* SPDX-License-Identifier: MIT
 *
 * Profiles without a daemon: the file (nothing that is damaged or somebody else's is taken,
 * whatever byte of it is wrong), and foresight (tables of touches, and what is foreseen).
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "foresight.h"
#include "profile.h"

static const struct profile_owner owner = {
	.program = "/usr/bin/program", .uid = 1000, .page_size = 4096
};

/* --- the file --- */

static struct profile_region regions[] = { { 0, 0, 16 }, { 1, 0, 8 }, { 0, 1, 16 } };
static struct profile_page pages[] = { { 0, 3 }, { 1, 7 }, { 2, 15 }, { 0, 3 }, { 1, 0 } };
static const struct profile profile = {
	.regions = regions, .pages = pages, .region_count = 3, .page_count = 5, .strikes = 1
};

static void *
encoded(const struct profile *p, size_t *ret_bytes)
{
	void *file;

	*ret_bytes = profile_bytes(p, &owner);
	file = aligned_alloc(8, *ret_bytes);
	assert_non_null(file);
	profile_encode(p, &owner, file);
	return file;
}

static void
file_comes_back(void **state)
{
	/* Those of the second process behind those of the first. */
	static const struct profile_page order[] = { { 0, 3 }, { 2, 15 }, { 0, 3 }, { 1, 7 },
		{ 1, 0 } };
	struct profile got;
	size_t bytes;
	void *file = encoded(&profile, &bytes);

	(void)state;
	assert_int_equal(profile_decode(file, bytes, &owner, &got), 0);
	assert_int_equal(got.region_count, 3);
	assert_memory_equal(got.regions, regions, sizeof(regions));
	assert_int_equal(got.page_count, 5);
	assert_memory_equal(got.pages, order, sizeof(order));
	assert_int_equal(got.strikes, 1);
	assert_int_equal(got.rests, 0);
	free(file);
}

static void
no_byte_may_be_wrong(void **state)
{
	struct profile got;
	size_t bytes;
	unsigned char *file = encoded(&profile, &bytes);

	(void)state;
	for (size_t i = 0; i < bytes; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			file[i] ^= (unsigned char)(1u << bit);
			assert_int_not_equal(profile_decode(file, bytes, &owner, &got), 0);
			file[i] ^= (unsigned char)(1u << bit);
		}
		assert_int_not_equal(profile_decode(file, i, &owner, &got), 0);
	}
	assert_int_equal(profile_decode(file, bytes, &owner, &got), 0);
	free(file);
}

static void
others_are_refused(void **state)
{
	const struct profile_owner others[] = { { "/usr/bin/programs", 1000, 4096 },
		{ "/usr/bin/program", 1001, 4096 }, { "/usr/bin/program", 1000, 16384 } };
	struct profile got;
	size_t bytes;
	void *file = encoded(&profile, &bytes);

	(void)state;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		assert_int_equal(profile_decode(file, bytes, &others[i], &got), -ESTALE);
	free(file);
}

/* What is whole, and says what cannot be. */
static void
bounds_are_kept(void **state)
{
	struct profile_region wrong_regions[] = { { 0, 0, 0 }, { 0, 0, 1ull << 40 },
		{ PROFILE_REGIONS_MAX, 0, 4 }, { 0, 0, 4 } };
	struct profile_page wrong_page = { 0, 4 };
	struct profile got;
	size_t bytes;

	(void)state;
	for (size_t i = 0; i < sizeof(wrong_regions) / sizeof(wrong_regions[0]); i++) {
		struct profile p = { .regions = &wrong_regions[i],
			.pages = &wrong_page,
			.region_count = 1,
			.page_count = i == 3 };
		void *file = encoded(&p, &bytes);

		assert_int_equal(profile_decode(file, bytes, &owner, &got), -EBADMSG);
		free(file);
	}
}

/* --- foresight --- */

#define LONG 1000u

static struct profile_region long_regions[] = { { 0, 0, 2 * LONG }, { 1, 0, 2 * LONG } };
static struct profile_page long_pages[2 * LONG];
static uint32_t order[2 * LONG];

/* Process 0 came back to pages 0, 7, 14, ..., and process 1 to them downwards. */
static void
foresight_make(struct foresight *f)
{
	struct profile p = { .regions = long_regions,
		.pages = long_pages,
		.region_count = 2,
		.page_count = 2 * LONG };

	for (uint32_t i = 0; i < LONG; i++) {
		long_pages[i] = (struct profile_page){ 0, i * 7 % LONG };
		long_pages[LONG + i] = (struct profile_page){ 1, LONG - 1 - i };
	}
	foresight_init(f, &p, order);
}

static unsigned
told(const struct foresight *f, struct foresight_cursor *c)
{
	struct profile_page page;
	unsigned count = 0;

	while (foresight_next(f, c, &page))
		count++;
	return count;
}

static struct profile_page
was(uint32_t position)
{
	return long_pages[position];
}

static void
what_came_next_is_told_once(void **state)
{
	struct foresight_cursor c;
	struct profile_page page;
	struct foresight f;
	uint32_t next = 1;

	(void)state;
	foresight_make(&f);
	foresight_begin(&f, 0, &c);
	for (uint32_t i = 0; i < LONG; i++) {
		assert_true(foresight_touch(&f, &c, was(i)));
		for (; foresight_next(&f, &c, &page); next++)
			assert_memory_equal(&page, &long_pages[next], sizeof(page));
		assert_true(next <= i + 2 + FORESIGHT_AHEAD);
		/* Trust grows. */
		assert_true(
		    next >= LONG || next >= i + 1 + (i < FORESIGHT_AHEAD ? i : FORESIGHT_AHEAD));
	}
	/* The other process's are not. */
	assert_int_equal(next, LONG);
}

static void
each_process_has_its_own(void **state)
{
	struct foresight_cursor c;
	struct profile_page page;
	struct foresight f;

	(void)state;
	foresight_make(&f);
	foresight_begin(&f, 1, &c);
	assert_false(foresight_touch(&f, &c, was(5)));
	assert_true(foresight_touch(&f, &c, was(LONG)));
	assert_true(foresight_next(&f, &c, &page));
	assert_memory_equal(&page, &long_pages[LONG + 1], sizeof(page));
	/* One that there was not. */
	foresight_begin(&f, 2, &c);
	assert_false(foresight_touch(&f, &c, was(5)));
	assert_int_equal(told(&f, &c), 0);
}

static void
one_page_does_not_lead_away(void **state)
{
	struct foresight_cursor c;
	struct profile_page page;
	struct foresight f;

	(void)state;
	foresight_make(&f);
	foresight_begin(&f, 0, &c);
	for (uint32_t i = 0; i < 100; i++)
		assert_true(foresight_touch(&f, &c, was(i)));
	(void)told(&f, &c);
	/* Far on, and back in the row; a little on, and a little back. */
	assert_false(foresight_touch(&f, &c, was(800)));
	assert_int_equal(told(&f, &c), 0);
	assert_true(foresight_touch(&f, &c, was(100)));
	assert_int_equal(told(&f, &c), 1);
	assert_true(foresight_touch(&f, &c, was(103)));
	assert_int_equal(told(&f, &c), 3);
	assert_true(foresight_touch(&f, &c, was(101)));
	assert_int_equal(told(&f, &c), 0);
	/* Two agree: it goes there, and little is told at first. */
	assert_false(foresight_touch(&f, &c, was(800)));
	assert_true(foresight_touch(&f, &c, was(801)));
	assert_true(foresight_next(&f, &c, &page));
	assert_memory_equal(&page, &long_pages[802], sizeof(page));
	assert_int_equal(told(&f, &c), 0);
	/* Back, too. */
	assert_false(foresight_touch(&f, &c, was(10)));
	assert_true(foresight_touch(&f, &c, was(11)));
	assert_int_equal(told(&f, &c), 1);
	/* No page of the last run. */
	assert_false(foresight_touch(&f, &c, (struct profile_page){ 0, 2 * LONG - 1 }));
}

static void
without_help_it_ends(void **state)
{
	struct foresight_judge j = { 0 };

	(void)state;
	/* Half of them is enough. */
	for (unsigned i = 0; i < 100 * FORESIGHT_JUDGED; i++)
		assert_false(foresight_outcome(&j, i % 2 == 0));
	assert_true(foresight_may(&j));
	for (unsigned n = 1; n <= FORESIGHT_FAILURES; n++) {
		for (unsigned i = 0; i + 1 < FORESIGHT_JUDGED; i++)
			assert_false(foresight_outcome(&j, i % 3 == 0));
		assert_int_equal(foresight_outcome(&j, false), n == FORESIGHT_FAILURES);
		/* Not for a while, or not at all. */
		for (unsigned i = 0; i + 1 < FORESIGHT_PAUSE; i++)
			assert_false(foresight_may(&j));
		assert_int_equal(foresight_may(&j), n < FORESIGHT_FAILURES);
	}
	assert_true(j.has_ended);
}

static void
what_is_kept(void **state)
{
	static const struct {
		struct profile old;
		uint32_t gathered;
		bool has_ended, keeps;
		struct foresight_kept kept;
	} rows[] = {
		/* The first run; one that came back to next to nothing; one that had more memory.
		 */
		{ { 0 }, 1000, false, true, { 0, 0, true } },
		{ { 0 }, 10, false, false, { 0, 0, true } },
		{ { .page_count = 9000 }, 1000, false, false, { 0, 0, true } },
		{ { .page_count = 3000, .strikes = 2 }, 1000, false, true, { 0, 0, true } },
		/* It did not help: a strike, until it rests. */
		{ { .page_count = 3000 }, 2000, true, true, { 1, 0, true } },
		{ { .page_count = 3000, .strikes = 1 }, 2000, true, true, { 2, 0, true } },
		{ { .page_count = 3000, .strikes = FORESIGHT_STRIKES - 1 }, 2000, true, true,
		    { 0, FORESIGHT_RESTS, false } },
		/* It rests. */
		{ { .rests = FORESIGHT_RESTS }, 0, false, true, { 0, FORESIGHT_RESTS - 1, false } },
		{ { .rests = 1 }, 0, false, true, { 0, 0, false } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct foresight_kept kept;

		assert_int_equal(
		    foresight_keep(&rows[i].old, rows[i].gathered, rows[i].has_ended, &kept),
		    rows[i].keeps);
		assert_int_equal(kept.strikes, rows[i].kept.strikes);
		assert_int_equal(kept.rests, rows[i].kept.rests);
		assert_int_equal(kept.with_pages, rows[i].kept.with_pages);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_comes_back),
		cmocka_unit_test(no_byte_may_be_wrong),
		cmocka_unit_test(others_are_refused),
		cmocka_unit_test(bounds_are_kept),
		cmocka_unit_test(what_came_next_is_told_once),
		cmocka_unit_test(each_process_has_its_own),
		cmocka_unit_test(one_page_does_not_lead_away),
		cmocka_unit_test(without_help_it_ends),
		cmocka_unit_test(what_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
