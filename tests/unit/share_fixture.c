/* SPDX-License-Identifier: MIT */
#include "share_fixture.h"

#include "control/teardown.h"
#include "memorystatus/frame_wait.h"
#include "pageq/policies.h"
#include "region/allocate.h"
#include "region/map.h"
#include "region/wire.h"
#include "transit/run.h"

struct share_world share;

int
share_start(void **state)
{
	(void)state;
	unit_start(&share.unit);
	assert_int_equal(policies_create(share.unit.daemon, share.unit.daemon->options.policy), 0);
	assert_int_equal(park_create(share.unit.daemon), 0);
	for (unsigned i = 0; i < ARRAY_LEN(share.tasks); i++)
		share.tasks[i] = unit_task_of(share.unit.daemon, getuid() + i);
	return 0;
}

void
share_books_agree(void)
{
	uint64_t internal = 0, wired = 0;

	for (unsigned i = 0; i < ARRAY_LEN(share.tasks); i++) {
		if (!share.tasks[i])
			continue;
		internal += ledger_pages(&share.tasks[i]->bill.ledger, PAGER_LEDGER_INTERNAL);
		wired += ledger_pages(&share.tasks[i]->bill.ledger, PAGER_LEDGER_WIRED_MEM);
		assert_true((uint64_t)load_relaxed(&share.tasks[i]->bill.process->resident) ==
			    ledger_pages(&share.tasks[i]->bill.ledger, PAGER_LEDGER_INTERNAL));
	}
	assert_int_equal(internal, unit_level(&share.unit, STAT_PAGES_INTERNAL));
	assert_int_equal(wired, unit_level(&share.unit, STAT_FRAMES_WIRED));
}

void
share_task_end(unsigned n)
{
	store_release(&share.tasks[n]->state, TASK_DEAD);
	while (task_teardown(share.tasks[n]))
		continue;
	assert_int_equal(share.tasks[n]->map.count, 0);
	task_put(share.tasks[n]);
	share.tasks[n] = NULL;
}

int
share_stop(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(share.tasks); i++)
		if (share.tasks[i])
			share_task_end(i);
	share_books_agree();
	assert_int_equal(unit_level(&share.unit, STAT_FRAMES_FREE), UNIT_FRAMES);
	assert_int_equal(share.unit.daemon->tasks.count, 1);
	park_destroy(share.unit.daemon);
	policies_destroy(share.unit.daemon);
	unit_stop(&share.unit);
	return 0;
}

struct range
share_pages_of(unsigned n, uint64_t first, uint64_t last)
{
	struct range range;

	assert_int_equal(
	    range_init(&range, share.tasks[n], UNIT_BASE + first * PAGE, (last - first) * PAGE), 0);
	range.stats = stats_shard(&share.unit.daemon->stats, 0);
	return range;
}

struct vm_object *
share_make(uint64_t pages)
{
	struct range range = share_pages_of(0, 0, pages);
	struct vm_entry e;

	assert_int_equal(region_allocate(&range, true, &e), 0);
	assert_int_equal(e.mapping->object->page_count, pages);
	return e.mapping->object;
}

int
share_map_at(unsigned n, struct vm_object *o, uint64_t first, uint64_t last, uint64_t at)
{
	struct named_range name = { o, first, last, true, false };
	struct range range = share_pages_of(n, at, at + (last - first));
	struct vm_entry e;

	return region_map(&range, &name, first, false, &e);
}

int
share_map(unsigned n, struct vm_object *o, uint64_t first, uint64_t last)
{
	return share_map_at(n, o, first, last, first);
}

void
share_unmap(unsigned n, uint64_t first, uint64_t last)
{
	struct range range = share_pages_of(n, first, last);

	assert_int_equal(region_deallocate_begin(&range), 0);
	while (!range_is_done(&range))
		region_deallocate(&range);
	share_books_agree();
}

void
share_wire(unsigned n, uint64_t first, uint64_t last)
{
	struct range range = share_pages_of(n, first, last);

	assert_int_equal(region_wire_begin(&range), 0);
	while (!range_is_done(&range))
		region_wire(&range);
	share_books_agree();
}

void
share_unwire(unsigned n, uint64_t first, uint64_t last)
{
	struct range range = share_pages_of(n, first, last);

	assert_int_equal(region_unwire_begin(&range), 0);
	while (!range_is_done(&range))
		region_unwire(&range);
	share_books_agree();
}

void
share_fill(struct vm_object *o, uint64_t first, uint64_t last)
{
	for (uint64_t i = first; i < last; i++) {
		struct fill fill = { .task = share.tasks[0], .base = UNIT_BASE };

		lock_acquire(&o->lock);
		assert_int_equal(
		    fill_begin(share.unit.daemon, o, i, 1, 1, FRAME_FIRST, &fill), RUN_BEGUN);
		lock_release(&o->lock);
		fill_finish(NULL, &fill, 1, PAGE_ACTIVE, false);
	}
	share_books_agree();
}

struct named_entry *
share_name_make(struct vm_object *o, uint64_t first, uint64_t last, uint64_t inode)
{
	struct named_entry *n = NULL;

	assert_int_equal(
	    named_entry_create(share.unit.daemon,
		&(struct named_range){ o, first, last, true, false }, -1,
		&(struct named_identity){ inode, 1 }, share.tasks[0]->bill.account, &n),
	    0);
	return n;
}

uint64_t
share_name_end(struct named_entry *n)
{
	struct named_range left;
	uint64_t at, gone = 0, pages;
	bool more;

	named_entry_end(share.unit.daemon, n, &left);
	at = left.first;
	do {
		more = region_name_gone(&left, &at, &pages);
		gone += pages;
	} while (more);
	vm_object_put(left.object);
	share_books_agree();
	return gone;
}
