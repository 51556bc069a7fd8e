/* SPDX-License-Identifier: MIT
 *
 * The indexes of a run whose profile is gathered, each beside the plain search that it stands for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "profile_index.h"

static uint32_t
random_of(uint32_t *state, uint32_t below)
{
	*state = *state * UINT32_C(1664525) + UINT32_C(1013904223);
	return (*state >> 8) % below;
}

static void
names_have_numbers(void **state)
{
	enum { COUNT = 3000 };
	struct profile_names names = { 0 };
	void *memory;

	(void)state;
	/* Before it has room. */
	assert_int_equal(profile_name_get(&names, &(struct profile_region){ 1, 2, 3 }), 0);
	memory = calloc(1, profile_names_bytes(COUNT));
	assert_non_null(memory);
	profile_names_init(&names, memory, COUNT);
	for (uint32_t round = 0; round < 2; round++) {
		for (uint32_t i = 0; i < COUNT; i++) {
			struct profile_region name = { i % 7, i / 7 % 5, 1 + i / 35 };

			assert_int_equal(profile_name_get(&names, &name), round == 0 ? 0 : i + 1);
			*profile_name_at(&names, &name) = i + 1;
		}
	}
	assert_int_equal(profile_name_get(&names, &(struct profile_region){ 7, 0, 1 }), 0);
	free(memory);
}

/* Ranges of three processes, one over the other: whose is each address? */
static void
last_place_counts(void **state)
{
	enum { ADDRESSES = 700, ADDS = 600 };
	static uint32_t owners[3][ADDRESSES]; /* place and 1 */
	struct profile_span memory[2 * ADDS];
	struct profile_spans spans = { .spans = memory };
	uint32_t seed = 5;

	(void)state;
	for (uint32_t place = 0; place < ADDS; place++) {
		uint32_t process = random_of(&seed, 3), from = random_of(&seed, ADDRESSES - 1),
			 most = place % 8 == 0 ? ADDRESSES - from : 20, to;

		to = from + 1 + random_of(&seed, most);
		to = to > ADDRESSES ? ADDRESSES : to;
		profile_span_add(
		    &spans, &(struct profile_span){
				.start = from, .end = to, .process = process, .place = place });
		for (uint32_t i = from; i < to; i++)
			owners[process][i] = place + 1;
		assert_true(spans.count <= 2 * (place + 1));
		for (uint32_t i = 0; i < 3 * ADDRESSES; i++) {
			const struct profile_span *found =
			    profile_span_find(&spans, i / ADDRESSES, i % ADDRESSES);

			assert_int_equal(
			    found ? found->place + 1 : 0, owners[i / ADDRESSES][i % ADDRESSES]);
		}
	}
	assert_null(profile_span_find(&spans, 3, 0));
	assert_null(profile_span_find(&spans, 0, ADDRESSES));
}

/* What there is, in the order in which it came. */
struct plain {
	struct profile_page pages[BROUGHT_MAX + 1];
	uint32_t marks[BROUGHT_MAX + 1];
	uint32_t count;
};

static uint32_t
plain_find(const struct plain *p, struct profile_page page)
{
	uint32_t i = 0;

	while (i < p->count && memcmp(&p->pages[i], &page, sizeof(page)) != 0)
		i++;
	return i;
}

static uint32_t
plain_remove(struct plain *p, uint32_t at)
{
	uint32_t mark = p->marks[at], behind = --p->count - at;

	memmove(&p->pages[at], &p->pages[at + 1], behind * sizeof(p->pages[0]));
	memmove(&p->marks[at], &p->marks[at + 1], behind * sizeof(p->marks[0]));
	return mark;
}

/* The ring has places, taken ones too: as many additions push the oldest out. */
static void
brought_pages_are_found(void **state)
{
	static struct brought brought;
	static struct plain plain;
	static uint32_t numbers[BROUGHT_MAX + 1]; /* the how manieth addition it was */
	uint32_t seed = 9, added = 0, mark, pushed = 0;

	(void)state;
	for (uint32_t i = 0; i < 40000; i++) {
		struct profile_page page = { random_of(&seed, 5), random_of(&seed, 600) };
		uint32_t at = plain_find(&plain, page);

		assert_int_equal(brought_has(&brought, page), at < plain.count);
		if (at < plain.count && i % 3 == 0) {
			assert_true(brought_take(&brought, page, &mark));
			memmove(&numbers[at], &numbers[at + 1],
			    (plain.count - at - 1) * sizeof(numbers[0]));
			assert_int_equal(mark, plain_remove(&plain, at));
			assert_false(brought_take(&brought, page, &mark));
		} else if (at == plain.count) {
			bool goes = plain.count > 0 && numbers[0] + BROUGHT_MAX == added;

			assert_int_equal(brought_add(&brought, page, i, &mark), goes);
			if (goes) {
				memmove(&numbers[0], &numbers[1],
				    (plain.count - 1) * sizeof(numbers[0]));
				assert_int_equal(mark, plain_remove(&plain, 0));
				pushed++;
			}
			numbers[plain.count] = added++;
			plain.pages[plain.count] = page;
			plain.marks[plain.count++] = i;
		}
	}
	assert_true(pushed > 100);
	while (brought_oldest(&brought, &mark))
		assert_int_equal(mark, plain_remove(&plain, 0));
	assert_int_equal(plain.count, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_have_numbers),
		cmocka_unit_test(last_place_counts),
		cmocka_unit_test(brought_pages_are_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
