/* SPDX-License-Identifier: MIT
 *
 * The pagers' interface on a compressor without swap: an object gets its pager with its first page,
 * what goes in comes out, and a call against the contract is a panic.
 */
#include "c_unit.h"
#include "pagers/pager.h"
#include "panics.h"

enum { PAGE = 4096, WORKER = 0 };

static void
start(struct unit *u)
{
	struct compressor_config config = { .page_bytes = PAGE,
		.segment_bytes = 64 << 10,
		.arena_bytes = 4 << 20,
		.max_segments = 64,
		.workers = 1,
		.ops = &store_compressor_ops };

	unit_start(u);
	config.ctx = u->daemon;
	/* What the arena takes is the test's, not frames'. */
	store_relaxed(&u->daemon->frames.compressor_credit, 4 << 20);
	assert_int_equal(compressor_create(&config, &u->daemon->compressor), 0);
}

static void
stop(struct unit *u)
{
	compressor_destroy(u->daemon->compressor);
	unit_stop(u);
}

static void
fill(unsigned char *page, uint64_t index)
{
	for (unsigned i = 0; i < PAGE; i++)
		page[i] = (unsigned char)(i * (index + 3) >> 3);
}

static void
what_goes_in_comes_out(void **state)
{
	enum { COUNT = 32 };
	unsigned char page[PAGE], want[PAGE];
	struct cref copies[COUNT];
	struct pager_read read;
	struct unit u;
	(void)state;

	start(&u);
	assert_int_equal(load_relaxed(&u.object->pager), PAGER_NONE);
	for (uint64_t i = 0; i < COUNT; i++) {
		fill(page, i);
		assert_int_equal(
		    pager_data_return(u.object, i, WORKER, page, 1, &copies[i]), PAGER_OK);
		assert_int_equal(load_relaxed(&u.object->pager), PAGER_STORE);
	}
	for (uint64_t i = 0; i < COUNT; i++) {
		fill(want, i);
		memset(page, 0xa5, PAGE);
		assert_false(pager_is_away(u.object, copies[i]));
		pager_prefetch(u.object, copies[i]);
		assert_int_equal(pager_data_request(u.object, copies[i], page), PAGER_OK);
		assert_memory_equal(page, want, PAGE);
		/* The same through the table. */
		memset(page, 0xa5, PAGE);
		pager_prefetch_any(u.object, copies[i]);
		assert_int_equal(pager_data_request_any(u.object, copies[i], page), PAGER_OK);
		assert_memory_equal(page, want, PAGE);
	}
	/* Nothing is away: there is nothing to be read. */
	assert_int_equal(pager_read_begin(u.object, 0, copies, COUNT, 1 << 20, &read), PAGER_AGAIN);
	for (uint64_t i = 0; i < COUNT; i++)
		pager_drop(u.object, copies[i]);
	stop(&u);
}

static void
no_room_is_again(void **state)
{
	unsigned char page[PAGE];
	struct cref copy = { 0 };
	struct unit u;
	(void)state;

	start(&u);
	store_relaxed(&u.daemon->frames.compressor_credit, 0);
	fill(page, 1);
	assert_int_equal(pager_data_return(u.object, 0, WORKER, page, 1, &copy), PAGER_AGAIN);
	assert_int_equal(copy.v, 0);
	stop(&u);
}

static void
room_is_taken_of_the_default_pager(void **state)
{
	struct unit u;
	(void)state;

	start(&u);
	assert_int_equal(load_relaxed(&u.object->pager), PAGER_NONE);
	/* The credit is more than that already. */
	assert_int_equal(pager_room_take(u.object, 16), PAGER_ROOM_ALL);
	assert_int_equal(load_relaxed(&u.object->pager), PAGER_STORE);
	/* A step's worth is left, and no frame that the store may have. */
	store_relaxed(&u.daemon->frames.compressor_credit, 3 * PAGE);
	store_relaxed(&u.daemon->stats.levels[STAT_FRAMES_COMPRESSOR], UNIT_FRAMES);
	assert_int_equal(pager_room_take(u.object, 16), PAGER_ROOM_SOME);
	store_relaxed(&u.daemon->frames.compressor_credit, 0);
	assert_int_equal(pager_room_take(u.object, 16), PAGER_ROOM_NONE);
	/* Copies fit beside their pages while the store is below its share. */
	assert_false(pager_copies_fit(u.object));
	assert_false(pager_copies_fit_any(u.object));
	store_relaxed(&u.daemon->stats.levels[STAT_FRAMES_COMPRESSOR], 0);
	assert_true(pager_copies_fit(u.object));
	assert_true(pager_copies_fit_any(u.object));
	stop(&u);
}

static void
get_without_pager(void *argument)
{
	unsigned char page[PAGE];
	struct unit *u = argument;

	(void)pager_data_request(u->object, (struct cref){ 1 }, page);
}

static void
drop_nothing(void *argument)
{
	struct unit *u = argument;

	pager_drop(u->object, (struct cref){ 0 });
}

static void
put_under_lock(void *argument)
{
	unsigned char page[PAGE] = { 0 };
	struct unit *u = argument;
	struct cref copy;

	lock_acquire(&u->object->lock);
	(void)pager_data_return(u->object, 0, WORKER, page, 1, &copy);
}

static void
put_behind_the_end(void *argument)
{
	unsigned char page[PAGE] = { 0 };
	struct unit *u = argument;
	struct cref copy;

	(void)pager_data_return(u->object, UNIT_PAGES, WORKER, page, 1, &copy);
}

static void
fit_without_pager(void *argument)
{
	struct unit *u = argument;

	(void)pager_copies_fit(u->object);
}

static void
contracts(void **state)
{
	struct unit u;
	(void)state;

	start(&u);
	assert_true(panics(get_without_pager, &u, "has no pager"));
	assert_true(panics(fit_without_pager, &u, "has no pager"));
	assert_true(panics(drop_nothing, &u, "copy.v != 0"));
	assert_true(panics(put_behind_the_end, &u, "page_count"));
	if (DEBUG_LEVEL >= 1)
		assert_true(panics(put_under_lock, &u, "OBJECT is held"));
	stop(&u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_goes_in_comes_out),
		cmocka_unit_test(no_room_is_again),
		cmocka_unit_test(room_is_taken_of_the_default_pager),
		cmocka_unit_test(contracts),
	};

	return cmocka_run_group_tests_name("c_pager", tests, NULL, NULL);
}
