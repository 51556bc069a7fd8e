/* SPDX-License-Identifier: MIT
 *
 * Pins: what a memory descriptor has prepared is wired, and cannot be unwired, given back,
 * discarded or taken away by another until it is completed as often as prepared; and a client's end
 * ends its pins.
 */
#include "share_fixture.h"

#include <sys/mman.h>

#include "region/allocate.h"
#include "region/attribute.h"
#include "region/behave.h"
#include "region/submap_change.h"
#include "region/wire.h"

static int
pin(unsigned n, uint64_t first, uint64_t last, uint32_t direction)
{
	struct range range = share_pages_of(n, first, last);
	int error = region_pin_begin(&range, direction);

	while (!error && !range_is_done(&range))
		region_wire(&range);
	return error;
}

static int
unpin(unsigned n, uint64_t first, uint64_t last)
{
	struct range range = share_pages_of(n, first, last);
	int error = region_unpin_begin(&range);

	while (!error && !range_is_done(&range))
		region_unwire(&range);
	return error;
}

static int
deallocate_begin(unsigned n, uint64_t first, uint64_t last)
{
	struct range range = share_pages_of(n, first, last);

	return region_deallocate_begin(&range);
}

static int
unwire_begin(unsigned n, uint64_t first, uint64_t last)
{
	struct range range = share_pages_of(n, first, last);

	return region_unwire_begin(&range);
}

static int
discard_begin(unsigned n, uint64_t first, uint64_t last)
{
	struct range range = share_pages_of(n, first, last);

	return region_may_be_discarded(&range);
}

static long long
wired(void)
{
	share_books_agree();
	return unit_level(&share.unit, STAT_FRAMES_WIRED);
}

static void
pins_are_counted(void **state)
{
	struct vm_object *o = share_make(32);

	(void)state;
	share_fill(o, 0, 32);
	assert_int_equal(pin(0, 4, 12, PAGER_DIRECTION_IN), 0);
	assert_int_equal(wired(), 8);
	assert_int_equal(share.tasks[0]->map.wired_bytes, 8 * PAGE);
	assert_int_equal(share.tasks[0]->wired_billed, 8 * PAGE);
	/* Another one over a part of it: nothing more is promised for that. */
	assert_int_equal(pin(0, 8, 16, PAGER_DIRECTION_OUT), 0);
	assert_int_equal(wired(), 12);
	assert_int_equal(share.tasks[0]->wired_billed, 12 * PAGE);
	/* The client's own wires are beside it. */
	share_wire(0, 0, 32);
	assert_int_equal(wired(), 32);
	assert_int_equal(unpin(0, 4, 12), 0);
	assert_int_equal(wired(), 32);
	assert_int_equal(unpin(0, 4, 12), -EINVAL);
	assert_int_equal(unpin(0, 8, 16), 0);
	assert_int_equal(unpin(0, 8, 9), -EINVAL);
	share_unwire(0, 0, 32);
	assert_int_equal(wired(), 0);
	assert_int_equal(share.tasks[0]->wired_billed, 0);
	/* All are one entry again. */
	assert_int_equal(share.tasks[0]->map.count, 1);
}

/* Trap 14: a device's writes go nowhere once the page under it has been punched away. */
static void
trap_14_pinned_pages_stay(void **state)
{
	struct vm_object *o = share_make(32);

	(void)state;
	share_fill(o, 0, 32);
	share_wire(0, 0, 32);
	assert_int_equal(pin(0, 10, 20, PAGER_DIRECTION_INOUT), 0);
	assert_int_equal(unwire_begin(0, 0, 32), -EBUSY);
	assert_int_equal(unwire_begin(0, 19, 20), -EBUSY);
	assert_int_equal(deallocate_begin(0, 0, 32), -EBUSY);
	assert_int_equal(deallocate_begin(0, 19, 21), -EBUSY);
	assert_int_equal(discard_begin(0, 0, 11), -EBUSY);
	assert_true(object_is_pinned(o, 0, 32));
	assert_true(object_is_pinned(o, 19, 20));
	/* Beside it everything goes on. */
	assert_false(object_is_pinned(o, 20, 32));
	assert_int_equal(discard_begin(0, 20, 32), 0);
	share_unwire(0, 20, 32);
	share_unmap(0, 20, 32);
	assert_int_equal(wired(), 20);
	assert_int_equal(unpin(0, 10, 20), 0);
	assert_false(object_is_pinned(o, 0, 20));
	share_unwire(0, 0, 20);
	assert_int_equal(wired(), 0);
	share_unmap(0, 0, 20);
}

/* Another one who maps the pages cannot unwire them by his own unwiring. */
static void
others_do_not_unwire(void **state)
{
	struct vm_object *o = share_make(16);

	(void)state;
	share_fill(o, 0, 16);
	assert_int_equal(share_map(1, o, 0, 16), 0);
	assert_int_equal(pin(0, 0, 16, PAGER_DIRECTION_IN), 0);
	share_wire(1, 0, 16);
	share_unwire(1, 0, 16);
	assert_int_equal(wired(), 16);
	share_unmap(1, 0, 16);
	assert_int_equal(wired(), 16);
	assert_int_equal(unpin(0, 0, 16), 0);
	assert_int_equal(wired(), 0);
}

static void
direction_needs_protection(void **state)
{
	struct range range;
	struct vm_object *o = share_make(16);

	(void)state;
	share_fill(o, 0, 16);
	range = share_pages_of(0, 4, 8);
	assert_int_equal(region_protect(&range, PROT_READ), 0);
	assert_int_equal(pin(0, 0, 16, PAGER_DIRECTION_IN), -EACCES);
	assert_int_equal(pin(0, 4, 8, PAGER_DIRECTION_INOUT), -EACCES);
	assert_int_equal(wired(), 0);
	assert_int_equal(share.tasks[0]->wired_billed, 0);
	assert_int_equal(pin(0, 0, 16, PAGER_DIRECTION_OUT), 0);
	assert_int_equal(unpin(0, 0, 16), 0);
	range = share_pages_of(0, 5, 6);
	assert_int_equal(region_protect(&range, PROT_NONE), 0);
	assert_int_equal(pin(0, 0, 16, PAGER_DIRECTION_OUT), -EACCES);
	assert_int_equal(pin(0, 16, 17, PAGER_DIRECTION_OUT), -EINVAL);
}

static void
limits_are_those_of_wires(void **state)
{
	struct vm_object *o = share_make(1024);

	(void)state;
	assert_int_equal(o->page_count, 1024);
	assert_int_equal(pin(0, 0, 1024, PAGER_DIRECTION_IN), -EAGAIN);
	assert_int_equal(share.tasks[0]->wired_billed, 0);
	assert_int_equal(share.tasks[0]->map.count, 1);
	assert_int_equal(pin(0, 0, 64, PAGER_DIRECTION_IN), 0);
	assert_int_equal(unpin(0, 0, 64), 0);
}

/* What a piece tells: one part of one object, as far as all of it is pinned. */
static void
pieces_are_runs_of_an_object(void **state)
{
	struct vm_object *a = share_make(16), *b;
	struct range range = share_pages_of(0, 16, 32);
	struct vm_entry part;

	(void)state;
	assert_int_equal(region_allocate(&range, PAGER_WIRE_ALLOC_SHAREABLE, &part), 0);
	b = part.mapping->object;
	range = share_pages_of(0, 2, 20);
	assert_int_equal(region_pinned_part(&range, &part), -EINVAL);
	assert_int_equal(pin(0, 2, 20, PAGER_DIRECTION_IN), 0);
	/* What parts entries does not part pieces. */
	range = share_pages_of(0, 6, 8);
	assert_int_equal(region_tag(&range, 3), 0);
	range = share_pages_of(0, 2, 20);
	assert_int_equal(region_pinned_part(&range, &part), 0);
	assert_ptr_equal(part.mapping->object, a);
	assert_int_equal(part.offset, 2 * PAGE);
	assert_int_equal(part.end - part.start, 14 * PAGE);
	vm_mapping_put(part.mapping);
	range = share_pages_of(0, 16, 20);
	assert_int_equal(region_pinned_part(&range, &part), 0);
	assert_ptr_equal(part.mapping->object, b);
	assert_int_equal(part.offset, 0);
	assert_int_equal(part.end - part.start, 4 * PAGE);
	vm_mapping_put(part.mapping);
	/* No further than was asked for, nor than is pinned. */
	range = share_pages_of(0, 3, 5);
	assert_int_equal(region_pinned_part(&range, &part), 0);
	assert_int_equal(part.end - part.start, 2 * PAGE);
	vm_mapping_put(part.mapping);
	range = share_pages_of(0, 19, 32);
	assert_int_equal(region_pinned_part(&range, &part), 0);
	assert_int_equal(part.end - part.start, PAGE);
	vm_mapping_put(part.mapping);
	assert_int_equal(unpin(0, 2, 20), 0);
}

static void
a_clients_end_ends_its_pins(void **state)
{
	struct vm_object *o = share_make(16);

	(void)state;
	share_fill(o, 0, 16);
	assert_int_equal(share_map(1, o, 0, 16), 0);
	assert_int_equal(pin(0, 0, 8, PAGER_DIRECTION_IN), 0);
	assert_int_equal(pin(1, 4, 12, PAGER_DIRECTION_IN), 0);
	assert_int_equal(wired(), 12);
	share_task_end(0);
	assert_true(object_is_pinned(o, 4, 5));
	assert_false(object_is_pinned(o, 0, 4));
	assert_int_equal(unpin(1, 4, 12), 0);
	assert_int_equal(wired(), 0);
	share_task_end(1);
	assert_int_equal(unit_level(&share.unit, STAT_PAGES_INTERNAL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, share_start, share_stop)
		TEST(pins_are_counted),
		TEST(trap_14_pinned_pages_stay),
		TEST(others_do_not_unwire),
		TEST(direction_needs_protection),
		TEST(limits_are_those_of_wires),
		TEST(pieces_are_runs_of_an_object),
		TEST(a_clients_end_ends_its_pins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
