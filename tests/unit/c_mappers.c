/* SPDX-License-Identifier: MIT
 *
 * Which mappings a walk goes to: all that cover some of the pages, or those through which the pages
 * have come into page tables.
 */
#include "share_fixture.h"

#include <stdio.h>

#include "region/allocate.h"
#include "transit/run.h"
#include "vm/vm_page.h"
#include "watch/lane.h"

static struct vm_page *
page_of(struct vm_object *o, uint64_t index)
{
	uint64_t slot = load_relaxed(vm_object_slot(o, index));

	assert_int_equal(slot_kind(slot), SLOT_RESIDENT);
	return &share.unit.daemon->frames.pages[slot_frame(slot)];
}

/* The number of the task's n-th mapping of the object, in the order of their ids. */
static uint32_t
number_of(const struct vm_object *o, unsigned task, unsigned n)
{
	for (const struct vm_mapping *m = o->mappings; m; m = m->next)
		if (m->task == share.tasks[task] && n-- == 0)
			return m->number;
	fail();
	return 0;
}

/* The walk's mappings as text: task, and pages. */
static void
expect(struct vm_object *o, bool seen, uint64_t low, uint64_t high, const char *want)
{
	char text[256] = "";
	const struct mapper *m;
	struct mapper_walk w;

	if (seen)
		mapper_walk_begin_seen(&w, o, low, high);
	else
		mapper_walk_begin(&w, o, low, high);
	while ((m = mapper_walk_next(&w)) != NULL)
		for (unsigned i = 0; i < ARRAY_LEN(share.tasks); i++)
			if (m->task == share.tasks[i])
				snprintf(text + strlen(text), sizeof(text) - strlen(text),
				    "%s%u:%llu-%llu", text[0] ? " " : "", i,
				    (unsigned long long)m->low, (unsigned long long)m->high);
	mapper_walk_end(&w);
	assert_string_equal(text, want);
}

/* A page comes in through that mapping. */
static void
come(struct vm_object *o, uint64_t index, uint32_t seen_by)
{
	struct fill fill = { .task = share.tasks[0], .base = UNIT_BASE };

	lock_acquire(&o->lock);
	assert_int_equal(
	    fill_begin(share.unit.daemon, o, index, 1, 1, FRAME_FIRST, &fill), RUN_BEGUN);
	lock_release(&o->lock);
	/* While it is on its way it is nowhere. */
	expect(o, true, index, index + 1, "");
	fill.seen_by = seen_by;
	fill_finish(NULL, &fill, 1, PAGE_ACTIVE, false);
}

static void
touch(struct vm_object *o, uint64_t index, uint32_t seen_by)
{
	struct vm_page *p = page_of(o, index);

	assert_true(vm_page_busy_only(p));
	vm_page_seen(p, seen_by);
	(void)vm_page_unbusy(p);
}

static void
seen(void **state)
{
	struct vm_object *o = share_make(64);
	uint32_t numbers[3];

	(void)state;
	assert_int_equal(share_map(1, o, 0, 32), 0);
	assert_int_equal(share_map(2, o, 0, 64), 0);
	for (unsigned i = 0; i < 3; i++)
		numbers[i] = number_of(o, i, 0);
	assert_true(
	    numbers[0] != numbers[1] && numbers[1] != numbers[2] && numbers[0] >= SEEN_BY_FIRST);
	expect(o, false, 0, 8, "0:0-8 1:0-8 2:0-8");
	/* Nothing is there. */
	expect(o, true, 0, 8, "");
	come(o, 1, numbers[1]);
	expect(o, true, 0, 8, "1:0-8");
	come(o, 2, SEEN_BY_NOBODY);
	expect(o, true, 2, 3, "");
	touch(o, 2, numbers[2]);
	expect(o, true, 2, 3, "2:2-3");
	expect(o, true, 0, 8, "1:0-8 2:0-8");
	/* A second one: from then on it may be any. */
	touch(o, 1, numbers[1]);
	expect(o, true, 1, 2, "1:1-2");
	touch(o, 1, numbers[0]);
	expect(o, true, 1, 2, "0:1-2 1:1-2 2:1-2");
	touch(o, 1, numbers[1]);
	expect(o, true, 1, 2, "0:1-2 1:1-2 2:1-2");
	/* Where it is not said. */
	share_fill(o, 40, 41);
	expect(o, true, 40, 41, "0:40-41 2:40-41");
	/* The mapping through which it came covers it no more. */
	come(o, 20, numbers[1]);
	share_unmap(1, 16, 32);
	expect(o, true, 20, 21, "");
	touch(o, 20, numbers[0]);
	expect(o, true, 20, 21, "0:20-21 2:20-21");
}

/* Both parts of a mapping are meant. */
static void
parted(void **state)
{
	struct vm_object *o = share_make(64);

	(void)state;
	assert_int_equal(share_map(1, o, 0, 64), 0);
	come(o, 4, number_of(o, 1, 0));
	come(o, 60, number_of(o, 1, 0));
	share_unmap(1, 16, 32);
	assert_int_equal(number_of(o, 1, 0), number_of(o, 1, 1));
	expect(o, true, 0, 64, "1:0-16 1:32-64");
	assert_int_equal(share_map_at(2, o, 0, 64, 0), 0);
	assert_true(number_of(o, 2, 0) != number_of(o, 1, 0));
	expect(o, true, 56, 64, "1:56-64");
}

/* Pages that have come through more mappings than a walk notes. */
static void
many(void **state)
{
	struct vm_object *o = share_make(64);
	char all[128] = "0:0-16";

	(void)state;
	for (unsigned i = 0; i <= MAPPER_SEEN; i++) {
		assert_int_equal(share_map_at(1, o, 0, 16, i * 16), 0);
		come(o, i, number_of(o, 1, i));
		strcat(all, " 1:0-16");
		if (i < MAPPER_SEEN)
			expect(o, true, 0, 16, all + strlen("0:0-16 "));
	}
	expect(o, true, 0, 16, all);
}

/* A private object has one mapping, and no page of it notes that. */
static void
alone(void **state)
{
	struct range range = share_pages_of(2, 0, 16);
	struct vm_entry e;

	(void)state;
	assert_int_equal(region_allocate(&range, 0, &e), 0);
	share_fill(e.mapping->object, 0, 1);
	expect(e.mapping->object, true, 0, 16, "2:0-16");
}

/* An object's lane is the highest that any of its mappers is served in, whatever changes. */
static void
lanes(void **state)
{
	struct vm_object *o = share_make(64);
	struct stat_shard stats = stats_shard(&share.unit.daemon->stats, 0);

	(void)state;
	assert_int_equal(share_map(1, o, 0, 32), 0);
	assert_int_equal(vm_object_lane(o), LANE_COMMON);
	lane_move(share.unit.daemon, share.tasks[1], 2, stats);
	assert_int_equal(vm_object_lane(o), 2);
	lane_move(share.unit.daemon, share.tasks[0], 1, stats);
	assert_int_equal(vm_object_lane(o), 2);
	share_unmap(1, 0, 32);
	assert_int_equal(vm_object_lane(o), 1);
	assert_int_equal(share_map(1, o, 0, 32), 0);
	assert_int_equal(vm_object_lane(o), 2);
	assert_int_equal(share_map(2, o, 0, 8), 0);
	share_unmap(2, 0, 4);
	lane_move(share.unit.daemon, share.tasks[1], LANE_COMMON, stats);
	lane_move(share.unit.daemon, share.tasks[0], LANE_COMMON, stats);
	assert_int_equal(vm_object_lane(o), LANE_COMMON);
	lane_move(share.unit.daemon, share.tasks[2], 1, stats);
	assert_int_equal(vm_object_lane(o), 1);
	share_task_end(2);
	assert_int_equal(vm_object_lane(o), LANE_COMMON);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(seen, share_start, share_stop),
		cmocka_unit_test_setup_teardown(parted, share_start, share_stop),
		cmocka_unit_test_setup_teardown(many, share_start, share_stop),
		cmocka_unit_test_setup_teardown(alone, share_start, share_stop),
		cmocka_unit_test_setup_teardown(lanes, share_start, share_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
