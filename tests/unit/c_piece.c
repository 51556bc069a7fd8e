/* SPDX-License-Identifier: MIT
 *
 * Ranges in pieces: all of it, once, in order, and never more at a time than a piece may look at.
 */
#include "c_unit.h"
#include "region/allocate.h"
#include "region/piece.h"
#include "fault/fault.h"

#define PAGE     4096ull
#define PAGES    (240u * SLOTS_PER_BLOCK)
#define FAR_BASE 0x600000000000ull

static struct unit u;
static struct vm_object *large;
static struct vm_mapping *far;

static int
start(void **state)
{
	(void)state;
	unit_start(&u);
	assert_int_equal(vm_object_create(u.daemon, u.task, PAGES, OBJECT_CHUNK, &large), 0);
	assert_int_equal(vm_mapping_create(large, u.task, FAR_BASE, 0, PAGES, &far), 0);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	while (u.task->map.count > 0)
		vm_mapping_put(unit_unmap(u.task).mapping);
	for (unsigned block = 0; block < PAGES / SLOTS_PER_BLOCK; block++)
		store_relaxed(&large->blocks[block], 0);
	vm_mapping_put(far);
	vm_object_put(large);
	unit_stop(&u);
	return 0;
}

static void
map_pages(uint64_t first, uint64_t last)
{
	struct vm_entry e = { .start = FAR_BASE + first * PAGE,
		.end = FAR_BASE + last * PAGE,
		.mapping = far,
		.offset = first * PAGE };

	vm_mapping_get(far);
	unit_map(u.task, &e);
}

static bool
is_live(uint64_t page)
{
	return vm_object_next_live(large, page, page + 1) == page;
}

/* Goes through [first, last) of the large object. Pages that no entry has are not met. => how many
 * pieces */
static unsigned
walk(uint64_t first, uint64_t last, unsigned cost, uint64_t *ret_met)
{
	uint64_t at = first, met = 0;
	unsigned pieces = 0;
	struct range range;

	assert_int_equal(
	    range_init(&range, u.task, FAR_BASE + first * PAGE, (last - first) * PAGE), 0);
	do {
		struct piece p = piece_begin(&range, cost);
		uint64_t looked_at = 0, before = range.at;
		struct part part;

		while (piece_next(&p, &part)) {
			assert_ptr_equal(part.entry.mapping, far);
			assert_true(
			    part.first >= at && part.first < part.last && part.last <= last);
			for (uint64_t i = part.first; i < part.last; i++)
				looked_at += is_live(i);
			met += part.last - part.first;
			at = part.last;
			vm_mapping_put(far);
		}
		assert_true(looked_at * cost <= PIECE_WORK + cost);
		assert_true(range.at > before);
		assert_int_equal(range_is_done(&range), range.at >= FAR_BASE + last * PAGE);
		pieces++;
	} while (!range_is_done(&range));
	*ret_met = met;
	return pieces;
}

static void
all_of_it(void **state)
{
	static const unsigned costs[] = { 1, 2, 8, 128, 2048 };
	uint64_t met;

	(void)state;
	map_pages(0, PAGES);
	for (unsigned block = 0; block < PAGES / SLOTS_PER_BLOCK; block++)
		store_relaxed(&large->blocks[block], 1);
	for (size_t i = 0; i < ARRAY_LEN(costs); i++) {
		unsigned pieces = walk(0, PAGES, costs[i], &met);

		assert_int_equal(met, PAGES);
		assert_true(pieces >= (uint64_t)PAGES * costs[i] / (PIECE_WORK + costs[i]));
		assert_true(pieces <=
			    (uint64_t)PAGES * costs[i] / (PIECE_WORK - PIECE_ENTRY - costs[i]) + 2);
	}
	/* From the middle of a block to the middle of another. */
	walk(77, PAGES - 99, 8, &met);
	assert_int_equal(met, PAGES - 99 - 77);
}

/* Blocks without a live slot cost little, not nothing: a piece of emptiness ends as well. */
static void
emptiness(void **state)
{
	unsigned work = 0;
	uint64_t met, to;

	(void)state;
	map_pages(0, PAGES);
	assert_int_equal(walk(0, PAGES, 128, &met), 1);
	assert_int_equal(met, PAGES);
	to = piece_reach(large, 0, PAGES, 128, &work);
	assert_int_equal(to, PAGES);
	assert_int_equal(work, PAGES / SLOTS_PER_BLOCK * PIECE_EMPTY);
	work = PIECE_WORK - 3 * PIECE_EMPTY;
	assert_int_equal(piece_reach(large, 0, PAGES, 128, &work), 3 * SLOTS_PER_BLOCK);
	/* While there is work left, each piece makes progress. */
	store_relaxed(&large->blocks[0], 1);
	work = PIECE_WORK - 1;
	assert_int_equal(piece_reach(large, 0, PAGES, 128, &work), 1);
	assert_int_equal(piece_reach(large, 0, PAGES, 128, &work), 0);
}

/* Many small entries, with holes between them. */
static void
entries(void **state)
{
	uint64_t met, mapped = 0;
	unsigned pieces;

	(void)state;
	for (uint64_t first = 0; first + 3 <= PAGES; first += 16) {
		map_pages(first, first + 3);
		mapped += 3;
	}
	for (unsigned block = 0; block < PAGES / SLOTS_PER_BLOCK; block += 2)
		store_relaxed(&large->blocks[block], 1);
	pieces = walk(0, PAGES, 1, &met);
	assert_int_equal(met, mapped);
	assert_true(pieces >= mapped / 3 * PIECE_ENTRY / (PIECE_WORK + PIECE_ENTRY));
	/* The first entry lies before that. */
	walk(5, PAGES - 5, 8, &met);
	assert_int_equal(met, mapped - 3);
}

/* A task's end takes as long as its memory is large: other tasks' jobs run in between. */
static void
sessions_end(void **state)
{
	uint64_t left;
	unsigned pieces = 0;

	(void)state;
	assert_int_equal(park_create(u.daemon), 0);
	map_pages(0, PAGES);
	/* As if a page lived in each block. */
	for (unsigned block = 0; block < PAGES / SLOTS_PER_BLOCK; block++)
		store_relaxed(&large->blocks[block], BLOCK_POPULATED + 1);
	left = u.task->map.virtual_bytes;
	assert_int_equal(left, PAGES * PAGE);
	while (region_give_up(u.task)) {
		uint64_t less = left - u.task->map.virtual_bytes;

		assert_true(
		    less > 0 && less <= (PIECE_WORK / PIECE_DISCARD + SLOTS_PER_BLOCK) * PAGE);
		left -= less;
		pieces++;
	}
	assert_true(pieces > 1);
	assert_int_equal(u.task->map.count, 0);
	assert_int_equal(u.task->map.virtual_bytes, 0);
	park_destroy(u.daemon);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(all_of_it, start, stop),
		cmocka_unit_test_setup_teardown(emptiness, start, stop),
		cmocka_unit_test_setup_teardown(entries, start, stop),
		cmocka_unit_test_setup_teardown(sessions_end, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
