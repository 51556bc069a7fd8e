/* SPDX-License-Identifier: MIT
 *
 * The swap writer: what swap_out writes, what drain moves, and passes of the thread.
 */
#include "writer_fixture.h"

#include "failpt.h"
#include "pageout/writeback.h"
#include "pageq/pageq.h"
#include "pagers/swapspace.h"

/* There is no limit of time in here: a test that waits in vain is ended by the test runner. */
#define WAIT_UNTIL(condition)                                                                      \
	do {                                                                                       \
		while (!(condition))                                                               \
			usleep(500);                                                               \
	} while (0)

static uint64_t
populated_frames(void)
{
	struct compressor_stats stats;

	compressor_stats(world.unit.daemon->compressor, &stats);
	return stats.bytes_populated / PAGE;
}

static uint64_t
slots_used(void)
{
	return stats_of(world.unit.daemon->swap).slots_used;
}

/* --- swap-out --- */

/* As many segments as should leave, the oldest ones, and none more; their frames are free. */
static void
as_much_leaves_as_should(void **state)
{
	enum { SEGMENTS = 12, LEAVE = 7 };
	long long free_before;
	struct daemon *d;
	(void)state;

	world_start(0);
	d = world.unit.daemon;
	pages_store(SEGMENTS * SEGMENT_PAGES + 1);
	free_before = unit_level(&world.unit, STAT_FRAMES_FREE);
	world.goal = populated_frames() - LEAVE * SEGMENT_FRAMES;
	world_swap_out();
	assert_int_equal(world.writer.written, LEAVE);
	assert_int_equal(world_counter(STAT_SWAPOUTS), LEAVE);
	assert_in_range(
	    world_counter(STAT_SWAPOUT_BYTES), LEAVE * SEGMENT_PAGES * PAGE, LEAVE * SEGMENT);
	assert_int_equal(slots_used(), LEAVE);
	assert_int_equal(pages_away(), LEAVE * SEGMENT_PAGES);
	for (unsigned i = 0; i < world.count; i++)
		assert_int_equal(page_place(i) != 0, i < LEAVE * SEGMENT_PAGES);
	/* Credit of the compressor's came with it. */
	assert_true(
	    unit_level(&world.unit, STAT_FRAMES_FREE) >= free_before + LEAVE * SEGMENT_FRAMES);
	assert_true(load_relaxed(&d->frames.compressor_credit) < (64 << 10) + PAGE);
	assert_books();
	/* Nothing more should leave: nothing does. */
	world_swap_out();
	assert_int_equal(world.writer.written, 0);
	assert_int_equal(world_counter(STAT_SWAPOUTS), LEAVE);
	/* All of it: the segment that is being filled stays. */
	world.goal = 0;
	world_swap_out();
	assert_int_equal(world_counter(STAT_SWAPOUTS), SEGMENTS);
	assert_int_equal(page_place(world.count - 1), 0);
	assert_content();
	world_stop();
}

/* The segment of a failed write stays, with its pages, and nothing of it in swap. */
static void
a_failed_write_changes_nothing(void **state)
{
	struct daemon *d;
	(void)state;

	world_start(0);
	d = world.unit.daemon;
	pages_store(8 * SEGMENT_PAGES + 1);
	world.writer.depth = 1;
	assert_int_equal(failpt_arm("SWAP_WRITE_EIO:2:1"), 0);
	world_swap_out();
	assert_true(world.writer.failed);
	assert_int_equal(world.writer.written, 2);
	assert_int_equal(world_counter(STAT_SWAPOUTS), 2);
	assert_int_equal(world_counter(STAT_SWAP_ERRORS), 1);
	assert_int_equal(pages_away(), 2 * SEGMENT_PAGES);
	assert_int_equal(slots_used(), 2);
	assert_int_equal(d->swapspace.trouble[SWAP_FAILED_WRITE].error, -EIO);
	assert_int_equal(d->swapspace.trouble[SWAP_FAILED_WRITE].times, 1);
	assert_books();
	assert_content();
	/* In a later pass they leave. */
	world_now_ns += 6000000000u;
	world_swap_out();
	assert_false(world.writer.failed);
	assert_int_equal(world_counter(STAT_SWAPOUTS), 8);
	assert_int_equal(world_counter(STAT_SWAP_ERRORS), 1);
	assert_content();
	world_stop();
}

static void
first_segment_drop(void)
{
	for (unsigned i = 0; i < SEGMENT_PAGES; i++)
		page_drop(i);
}

/* The place of a segment whose pages are given up while it is written is free again. */
static void
what_empties_meanwhile_takes_no_place(void **state)
{
	(void)state;

	world_start(0);
	pages_store(2 * SEGMENT_PAGES + 1);
	world.on_write = first_segment_drop;
	world_swap_out();
	assert_null(world.on_write);
	assert_int_equal(world_counter(STAT_SWAPOUTS), 2);
	assert_int_equal(pages_away(), SEGMENT_PAGES);
	assert_int_equal(slots_used(), 1);
	assert_books();
	assert_content();
	world_stop();
}

/* Without a place no segment leaves; a place whose pages are all gone is given to another one. */
static void
places_bound_what_leaves(void **state)
{
	struct daemon *d;
	uint64_t place;
	(void)state;

	world_start((uint64_t)FILE_SLOTS * SEGMENT);
	d = world.unit.daemon;
	pages_store(8 * SEGMENT_PAGES + 1);
	world_swap_out();
	assert_int_equal(world_counter(STAT_SWAPOUTS), FILE_SLOTS);
	assert_int_equal(world_counter(STAT_SWAP_ERRORS), 0);
	assert_false(swap_has_free(d->swap));
	/* That there is no place was found out by trying to make a file. */
	assert_int_equal(d->swapspace.trouble[SWAP_FAILED_CREATE].error, -EDQUOT);
	world_swap_out();
	assert_int_equal(world_counter(STAT_SWAPOUTS), FILE_SLOTS);

	place = page_place(SEGMENT_PAGES);
	assert_true(place != 0);
	for (unsigned i = 0; i < SEGMENT_PAGES; i++)
		page_drop(SEGMENT_PAGES + i);
	assert_int_equal(slots_used(), FILE_SLOTS);
	writer_release_places(d);
	assert_int_equal(slots_used(), FILE_SLOTS - 1);
	world_swap_out();
	assert_int_equal(world_counter(STAT_SWAPOUTS), FILE_SLOTS + 1);
	assert_int_equal(place_of((struct swap_slot){ place }),
	    place_of((struct swap_slot){ page_place(FILE_SLOTS * SEGMENT_PAGES) }));
	assert_books();
	assert_content();
	world_stop();
}

/* Segments make room for faults that have waited in vain, when frames are short and swap is not. */
static void
starving_faults_are_seen(void **state)
{
	static const struct {
		unsigned waited;
		bool is_short, is_full, starves;
	} rows[] = {
		{ 100000, true, false, true },
		{ 100000, false, false, false },
		{ 100000, true, true, false },
		{ 1, true, false, false },
		{ 0, true, false, false },
	};
	struct daemon *d;
	(void)state;

	world_start(0);
	d = world.unit.daemon;
	world.goal = UINT64_MAX;
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		world.waited = (struct moment){ rows[i].waited, rows[i].waited };
		world.was_starved = !rows[i].starves;
		d->frames.free_min = rows[i].is_short ? UNIT_FRAMES + 1 : 0;
		store_relaxed(&d->swapspace.full, rows[i].is_full);
		world_swap_out();
		assert_int_equal(world.was_starved, rows[i].starves);
	}
	world_stop();
}

/* --- draining --- */

/* Five full files, of which each keeps KEPT segments. => the file to be drained */
enum { FILES = 5, KEPT = 2 };
static unsigned
sparse_files_make(void)
{
	uint64_t kept[16][KEPT] = { 0 };
	int file;

	pages_store(FILES * FILE_SLOTS * SEGMENT_PAGES + 1);
	world_swap_out();
	assert_int_equal(world_counter(STAT_SWAPOUTS), FILES * FILE_SLOTS);
	for (unsigned i = 0; i < world.count - 1; i++) {
		struct swap_slot slot = { page_place(i) };
		unsigned k = 0;

		assert_true(slot.v != 0 && file_of(slot) < ARRAY_LEN(kept));
		while (k < KEPT && kept[file_of(slot)][k] != 0 && kept[file_of(slot)][k] != slot.v)
			k++;
		if (k < KEPT)
			kept[file_of(slot)][k] = slot.v;
		else
			page_drop(i);
	}
	writer_release_places(world.unit.daemon);
	assert_int_equal(slots_used(), FILES * KEPT);
	file = world_balance();
	assert_true(file >= 0 && kept[file][KEPT - 1] != 0);
	return (unsigned)file;
}

static unsigned
pages_in_file(unsigned file)
{
	unsigned count = 0;

	for (unsigned i = 0; i < world.count; i++) {
		struct swap_slot slot = { world.copies[i].v ? page_place(i) : 0 };

		count += slot.v != 0 && file_of(slot) == file;
	}
	return count;
}

/* The live segments move with their content, and the file goes. */
static void
a_drained_file_goes(void **state)
{
	struct swap *swap;
	unsigned file;
	uint64_t files;
	(void)state;

	world_start(0);
	swap = world.unit.daemon->swap;
	file = sparse_files_make();
	files = stats_of(swap).files;
	assert_int_equal(pages_in_file(file), KEPT * SEGMENT_PAGES);
	world_drain();
	assert_int_equal(pages_in_file(file), 0);
	assert_int_equal(pages_away(), FILES * KEPT * SEGMENT_PAGES);
	assert_int_equal(slots_used(), FILES * KEPT);
	assert_int_equal(world_counter(STAT_SWAP_ERRORS), 0);
	/* The next one, until there are no more than there should be. */
	while (world_balance() >= 0)
		world_drain();
	assert_true(stats_of(swap).files < files);
	/* And a lock file. */
	assert_int_equal(directory_count(world.path, ""), stats_of(swap).files + 1);
	assert_int_equal(slots_used(), FILES * KEPT);
	assert_int_equal(pages_away(), FILES * KEPT * SEGMENT_PAGES);
	assert_books();
	assert_content();
	world_stop();
}

/* Draining gives back places, too. */
static void
a_drain_releases_places(void **state)
{
	unsigned file;
	(void)state;

	world_start(0);
	file = sparse_files_make();
	for (unsigned i = 0; i < world.count - 1; i++)
		if (world.copies[i].v && file_of((struct swap_slot){ page_place(i) }) != file)
			page_drop(i);
	assert_int_equal(slots_used(), FILES * KEPT);
	world_drain();
	assert_int_equal(slots_used(), KEPT);
	assert_books();
	assert_content();
	world_stop();
}

/* A segment that cannot be read stays in its place, and the others move; after one that cannot be
 * written none does. Then draining waits. */
static void
a_failed_move_changes_nothing(void **state)
{
	static const struct {
		const char *spec;
		enum swap_failure kind;
		unsigned stay; /* segments */
	} rows[] = {
		{ "SWAP_READ_EIO:0:1", SWAP_FAILED_READ, 1 },
		{ "SWAP_WRITE_EIO:0:1", SWAP_FAILED_WRITE, KEPT },
	};
	(void)state;

	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		struct swap_trouble *trouble;
		unsigned file;

		world_start(0);
		trouble = world.unit.daemon->swapspace.trouble;
		file = sparse_files_make();
		assert_int_equal(failpt_arm(rows[i].spec), 0);
		world_drain();
		assert_int_equal(pages_in_file(file), rows[i].stay * SEGMENT_PAGES);
		assert_int_equal(slots_used(), FILES * KEPT);
		assert_int_equal(world_counter(STAT_SWAP_ERRORS), 1);
		for (unsigned kind = 0; kind < SWAP_FAILURE_COUNT; kind++)
			assert_int_equal(trouble[kind].error, kind == rows[i].kind ? -EIO : 0);
		/* Not at once again; when the time is over, it works. */
		assert_int_equal(world_balance(), -1);
		assert_books();
		world_now_ns += 6000000000u;
		assert_true(world_balance() >= 0);
		world_drain();
		assert_int_equal(world_counter(STAT_SWAP_ERRORS), 1);
		assert_content();
		world_stop();
	}
}

/* --- the thread --- */

/* Waits until a pass has begun and ended. */
static void
pass_await(struct daemon *d)
{
	unsigned before = load_acquire(&d->writeback.passes);

	writeback_want(d);
	/* The one under way may have begun before. */
	WAIT_UNTIL(load_acquire(&d->writeback.passes) - before >= 2 || (writeback_want(d), false));
}

/* A pass writes, compacts, tells whether swap is full and ends what was kept for an eviction. */
static void
a_pass_does_it_all(void **state)
{
	enum { SEGMENTS = FILE_SLOTS + 4 };
	struct eviction eviction = { 0 };
	struct daemon *d;
	uint64_t held;
	(void)state;

	world_start((uint64_t)FILE_SLOTS * SEGMENT);
	d = world.unit.daemon;
	pages_store(SEGMENTS * SEGMENT_PAGES + 1);
	world.goal = UINT64_MAX;
	d->pageq.evictions.first = &eviction;
	store_relaxed(&d->writeback.evicting, true);
	assert_int_equal(writeback_start(d), 0);
	pass_await(d);
	assert_int_equal(world_counter(STAT_SWAPOUTS), 0);
	assert_false(load_acquire(&d->swapspace.full));
	assert_true(load_relaxed(&d->writeback.evicting));
	writeback_stop(d);
	assert_int_equal(world_counter(STAT_COMPACTIONS), 0);
	writeback_fini(d);

	d->writeback = (struct writeback){ 0 };
	store_relaxed(&d->writeback.evicting, true);
	store_relaxed(&d->frames.compressor_share, 0);
	d->pageq.evictions.first = NULL;
	world.goal = 0;
	world.is_compaction_worth = true;
	/* Half of what stays is waste, and so is a place. */
	for (unsigned i = FILE_SLOTS * SEGMENT_PAGES; i < world.count - 1; i += 2)
		page_drop(i);
	held = populated_frames();
	assert_int_equal(writeback_start(d), 0);
	pass_await(d);
	assert_int_equal(world_counter(STAT_SWAPOUTS), FILE_SLOTS);
	assert_true(load_acquire(&d->swapspace.full));
	/* A place becomes free, and is taken. */
	first_segment_drop();
	pass_await(d);
	assert_int_equal(world_counter(STAT_SWAPOUTS), FILE_SLOTS + 1);
	writeback_stop(d);
	assert_true(world_counter(STAT_COMPACTIONS) > 0);
	assert_true(populated_frames() < held - FILE_SLOTS * SEGMENT_FRAMES);
	assert_true(load_acquire(&d->swapspace.full));
	assert_false(load_relaxed(&d->writeback.evicting));
	assert_true(load_relaxed(&d->frames.compressor_share) > 0);
	writeback_fini(d);
	assert_books();
	assert_content();
	world_stop();
}

/* Passes empty swap files and delete them. */
static void
passes_drain(void **state)
{
	struct daemon *d;
	uint64_t files;
	(void)state;

	world_start(0);
	d = world.unit.daemon;
	sparse_files_make();
	files = stats_of(d->swap).files;
	world.goal = UINT64_MAX;
	assert_int_equal(writeback_start(d), 0);
	pass_await(d);
	pass_await(d);
	writeback_stop(d);
	writeback_fini(d);
	assert_true(stats_of(d->swap).files < files);
	assert_int_equal(pages_away(), FILES * KEPT * SEGMENT_PAGES);
	assert_int_equal(world_counter(STAT_SWAP_ERRORS), 0);
	assert_books();
	assert_content();
	world_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_much_leaves_as_should),
		cmocka_unit_test(a_failed_write_changes_nothing),
		cmocka_unit_test(what_empties_meanwhile_takes_no_place),
		cmocka_unit_test(places_bound_what_leaves),
		cmocka_unit_test(starving_faults_are_seen),
		cmocka_unit_test(a_drained_file_goes),
		cmocka_unit_test(a_drain_releases_places),
		cmocka_unit_test(a_failed_move_changes_nothing),
		cmocka_unit_test(a_pass_does_it_all),
		cmocka_unit_test(passes_drain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
