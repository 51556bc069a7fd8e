/* SPDX-License-Identifier: MIT
 *
 * WILLNEED of files: what is read, what it is then, and where it stops.
 */
#include "vnode_fixture.h"

#include <unistd.h>

#include "region/willneed.h"

/* Asks for a range, and waits until the thread has done with it. */
static void
ask(struct range *range, uint64_t pages)
{
	assert_int_equal(range_init(range, vf.tasks[0], UNIT_BASE, pages * PAGE), 0);
	assert_int_equal(willneed_start(vf.u.daemon), 0);
	willneed_ask(range);
}

static uint64_t
prefetched(void)
{
	return stats_counter(&vf.u.daemon->stats, STAT_PREFETCHES);
}

static void
done(void)
{
	willneed_stop(vf.u.daemon);
	willneed_fini(vf.u.daemon);
}

/* All that the file has, its last bytes too; clean, in no page table, the first to leave. */
static void
pages_come_clean_and_unmapped(void **state)
{
	enum { PAGES = 70 };
	struct daemon *d = vf.u.daemon;
	unsigned char page[PAGE];
	struct range range;
	struct vm_object *o;
	struct vm_entry e;

	(void)state;
	file_set((PAGES - 1) * PAGE + 100);
	file_map(vf.tasks[0], vf.file, UNIT_BASE, 0, (PAGES + 10) * PAGE, &e);
	o = e.mapping->object;
	/* One is there, and has been stored to. */
	(void)page_make(o, 7, 0xee);
	ask(&range, PAGES + 10);
	while (prefetched() < PAGES - 1)
		usleep(500);
	done();
	assert_int_equal(prefetched(), PAGES - 1);
	for (unsigned i = 0; i < PAGES; i++) {
		uint64_t slot = load_relaxed(vm_object_slot(o, i));
		struct vm_page *p;

		assert_int_equal(slot_kind(slot), SLOT_RESIDENT);
		p = &d->frames.pages[slot_frame(slot)];
		assert_int_equal(pread(o->backing.memfd, page, PAGE, (off_t)(i * PAGE)), PAGE);
		if (i == 7) {
			assert_int_equal(page[0], 0xee);
			continue;
		}
		assert_true(page_is_clean(p));
		assert_int_equal(page_word_state(load_relaxed(&p->word)), PAGE_SPECULATIVE);
		assert_int_equal(load_relaxed(&p->seen_by), SEEN_BY_NOBODY);
		assert_int_equal(page[0], i + 1);
		assert_int_equal(page[PAGE - 1], i == PAGES - 1 ? 0 : i + 1);
	}
	for (unsigned i = PAGES; i < PAGES + 10; i++)
		assert_int_equal(load_relaxed(vm_object_slot(o, i)), SLOT_ABSENT);
	pages_clean(o, NULL);
}

/* Nothing leaves for it, and what it cannot have it does not wait for. */
static void
memory_bounds_it(void **state)
{
	struct daemon *d = vf.u.daemon;
	struct range range;
	struct vm_entry e;

	(void)state;
	file_set(2 * UNIT_FRAMES * PAGE);
	file_map(vf.tasks[0], vf.file, UNIT_BASE, 0, 2 * UNIT_FRAMES * PAGE, &e);
	ask(&range, 2 * UNIT_FRAMES);
	while (load_relaxed(&d->frames.free_count) > d->frames.free_target + 2 * 32)
		usleep(500);
	done();
	assert_true(prefetched() > 0);
	assert_true(load_relaxed(&d->frames.free_count) + 4 * 32 >= d->frames.free_target);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    pages_come_clean_and_unmapped, vnodes_begin, vnodes_end),
		cmocka_unit_test_setup_teardown(memory_bounds_it, vnodes_begin, vnodes_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
