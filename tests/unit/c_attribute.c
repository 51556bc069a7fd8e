/* SPDX-License-Identifier: MIT
 *
 * Attributes of ranges as the requests set them: protection and its maximum by a table, what is
 * refused and changes nothing, objects of their own.
 */
#include "c_unit.h"

#include <sys/mman.h>

#include "control/request.h"
#include "region/allocate.h"

#define PAGE    4096ull
#define R       ((uint32_t)PROT_READ)
#define RW      ((uint32_t)(PROT_READ | PROT_WRITE))
#define RX      ((uint32_t)(PROT_READ | PROT_EXEC))
#define MAXIMUM ((uint32_t)PAGER_PROT_MAXIMUM)

static struct unit u;

static int
start(void **state)
{
	(void)state;
	unit_start(&u);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	while (region_give_up(u.task))
		continue;
	unit_stop(&u);
	return 0;
}

static int
request(int (*handle)(struct request *r), const void *body, void *reply)
{
	struct request r = { .task = u.task,
		.daemon = u.daemon,
		.body = body,
		.reply = reply,
		.reply_fd = -1,
		.stats = stats_shard(&u.daemon->stats, shard_index_extra(u.daemon, SHARD_JOBS)) };

	return handle(&r);
}

static uint64_t
address_of(uint64_t page)
{
	return UNIT_BASE + (1ull << 36) + page * PAGE;
}

static int
allocate(uint64_t first, uint64_t pages, uint32_t flags, struct pager_rep_allocate *reply)
{
	struct pager_req_allocate body = {
		.address = address_of(first), .size = pages * PAGE, .flags = flags
	};

	return request(handle_allocate, &body, reply);
}

static void
deallocate(uint64_t first, uint64_t pages)
{
	struct pager_req_deallocate body = { address_of(first), pages * PAGE };
	struct pager_rep_deallocate reply = { 0 };

	assert_int_equal(request(handle_deallocate, &body, &reply), 0);
}

static int
protect(uint64_t first, uint64_t pages, uint32_t protection)
{
	struct pager_req_protect body = { address_of(first), pages * PAGE, protection, 0 };

	return request(handle_protect, &body, NULL);
}

static int
inherit(uint64_t first, uint64_t pages, uint32_t inheritance)
{
	struct pager_req_inherit body = { address_of(first), pages * PAGE, inheritance, 0 };

	return request(handle_inherit, &body, NULL);
}

static int
tag(uint64_t first, uint64_t pages, uint32_t value)
{
	struct pager_req_tag body = { address_of(first), pages * PAGE, value, 0 };

	return request(handle_tag, &body, NULL);
}

static struct pager_wire_region
region(uint64_t page)
{
	struct pager_req_region body = { address_of(page), PAGER_REGION_BASIC, 0 };
	struct pager_rep_region reply = { 0 };

	assert_int_equal(request(handle_region, &body, &reply), 0);
	return reply.region;
}

/* --- protection --- */

static void
protection_rules(void **state)
{
	static const struct {
		uint32_t set;
		int error;
		uint32_t protection, maximum;
	} steps[] = {
		{ R, 0, R, RW },
		{ PROT_NONE, 0, PROT_NONE, RW },
		{ RW, 0, RW, RW },
		{ PROT_WRITE, 0, PROT_WRITE, RW },
		{ RX, -EACCES, PROT_WRITE, RW },
		{ RW | 8, -EINVAL, PROT_WRITE, RW },
		{ MAXIMUM << 1, -EINVAL, PROT_WRITE, RW },
		{ RW, 0, RW, RW },
		{ MAXIMUM | RX, -EACCES, RW, RW }, /* a maximum gains nothing */
		{ MAXIMUM | RW, 0, RW, RW },
		{ MAXIMUM | R, 0, R, R }, /* lowers the protection, too */
		{ RW, -EACCES, R, R },
		{ MAXIMUM | RW, -EACCES, R, R }, /* and is never raised again */
		{ PROT_NONE, 0, PROT_NONE, R },
		{ MAXIMUM | R, 0, PROT_NONE, R }, /* does not raise the protection */
		{ R, 0, R, R },
		{ MAXIMUM | PROT_NONE, 0, PROT_NONE, PROT_NONE },
		{ R, -EACCES, PROT_NONE, PROT_NONE },
	};
	struct pager_rep_allocate reply;

	(void)state;
	assert_int_equal(allocate(0, 10, 0, &reply), 0);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		struct pager_wire_region around, part;

		assert_int_equal(protect(3, 4, steps[i].set), steps[i].error);
		part = region(3);
		assert_int_equal(part.protection, steps[i].protection);
		assert_int_equal(part.max_protection, steps[i].maximum);
		/* What lies around is as it was. */
		around = region(0);
		assert_int_equal(around.protection, RW);
		assert_int_equal(around.max_protection, RW);
		around = region(7);
		assert_int_equal(around.protection, RW);
		if (part.protection == RW && part.max_protection == RW)
			assert_int_equal(part.size, 10 * PAGE);
		else
			assert_int_equal(part.size, 4 * PAGE);
	}
	deallocate(0, 10);
}

/* One part that refuses is enough, also the last one. */
static void
protection_is_all_or_none(void **state)
{
	struct pager_rep_allocate reply;

	(void)state;
	assert_int_equal(allocate(0, 10, 0, &reply), 0);
	assert_int_equal(protect(2, 6, R), 0);
	assert_int_equal(protect(8, 2, MAXIMUM | R), 0);
	assert_int_equal(protect(0, 10, RW), -EACCES);
	assert_int_equal(region(0).protection, RW);
	assert_int_equal(region(2).protection, R);
	assert_int_equal(region(2).max_protection, RW);
	/* A maximum leaves each part what it had of it. */
	assert_int_equal(protect(1, 8, MAXIMUM | R), 0);
	assert_int_equal(region(0).size, PAGE);
	assert_int_equal(region(1).protection, R);
	assert_int_equal(region(1).size, 9 * PAGE);
	deallocate(0, 10);
}

/* --- what no request may bring about --- */

static void
bad_input_changes_nothing(void **state)
{
	struct pager_req_protect bad_protect = { address_of(0), PAGE, R, 1 };
	struct pager_req_inherit bad_inherit = { address_of(0), PAGE, PAGER_INHERIT_NONE, 1 };
	struct pager_req_tag bad_tag = { address_of(0), PAGE, 1, 1 };
	struct pager_req_region bad_region = { address_of(0), PAGER_WIRE_REGION_FLAGS + 1, 0 };
	struct pager_req_region bad_reserved = { address_of(0), 0, 1 };
	struct pager_req_protect odd = { address_of(0) + 1, PAGE, R, 0 };
	struct pager_req_tag endless = { address_of(0), UINT64_MAX - 4095, 1, 0 };
	struct pager_rep_region answer;
	struct pager_rep_allocate reply;
	uint64_t version;

	(void)state;
	assert_int_equal(allocate(0, 4, 0, &reply), 0);
	version = u.task->map.version;
	assert_int_equal(request(handle_protect, &bad_protect, NULL), -EINVAL);
	assert_int_equal(request(handle_inherit, &bad_inherit, NULL), -EINVAL);
	assert_int_equal(request(handle_tag, &bad_tag, NULL), -EINVAL);
	assert_int_equal(request(handle_region, &bad_region, &answer), -EINVAL);
	assert_int_equal(request(handle_region, &bad_reserved, &answer), -EINVAL);
	assert_int_equal(request(handle_protect, &odd, NULL), -EINVAL);
	assert_int_equal(request(handle_tag, &endless, NULL), -EINVAL);
	assert_int_equal(inherit(0, 4, PAGER_INHERIT_NONE + 1), -EINVAL);
	assert_int_equal(tag(0, 4, PAGER_TAG_MAX + 1), -EINVAL);
	assert_int_equal(protect(2, 4, R), -EINVAL); /* beyond the end */
	assert_int_equal(inherit(4, 1, PAGER_INHERIT_NONE), -EINVAL);
	assert_int_equal(tag(100, 1, 1), -EINVAL);
	for (unsigned bit = 0; bit < 32; bit++)
		if (!(1u << bit & PAGER_WIRE_ALLOC_FLAGS))
			assert_int_equal(allocate(8, 4, 1u << bit, &reply), -EINVAL);
	assert_int_equal(u.task->map.count, 1);
	assert_int_equal(u.task->map.version, version);
	assert_int_equal(region(0).size, 4 * PAGE);
	assert_int_equal(region(0).inheritance, PAGER_INHERIT_COPY);
	assert_int_equal(region(0).tag, 0);
	/* As many regions as a client may have: what would part one more is refused. */
	store_relaxed(&u.daemon->params.max_client_regions, 1);
	assert_int_equal(protect(1, 2, R), -ENOMEM);
	assert_int_equal(tag(0, 2, 1), -ENOMEM);
	assert_int_equal(inherit(2, 2, PAGER_INHERIT_NONE), -ENOMEM);
	assert_int_equal(protect(0, 4, R), 0);
	assert_int_equal(u.task->map.count, 1);
	deallocate(0, 4);
}

/* --- attributes together --- */

static void
attributes_part_and_join(void **state)
{
	struct pager_rep_allocate reply;

	(void)state;
	store_relaxed(&u.daemon->params.max_client_regions, 100);
	assert_int_equal(allocate(0, 10, 0, &reply), 0);
	assert_int_equal(tag(2, 6, 7), 0);
	assert_int_equal(inherit(4, 6, PAGER_INHERIT_NONE), 0);
	/* Others are never to see what may lie beside other allocations. */
	assert_int_equal(inherit(4, 6, PAGER_INHERIT_SHARE), -ENOTSUP);
	assert_int_equal(u.task->map.count, 4);
	assert_int_equal(region(3).tag, 7);
	assert_int_equal(region(3).inheritance, PAGER_INHERIT_COPY);
	assert_int_equal(region(5).inheritance, PAGER_INHERIT_NONE);
	assert_int_equal(region(9).tag, 0);
	/* A neighbour of the same object joins only what is as it is. */
	assert_int_equal(allocate(10, 2, 0, &reply), 0);
	assert_int_equal(u.task->map.count, 5);
	assert_int_equal(inherit(0, 12, PAGER_INHERIT_COPY), 0);
	assert_int_equal(u.task->map.count, 3);
	assert_int_equal(tag(0, 12, 0), 0);
	assert_int_equal(u.task->map.count, 1);
	deallocate(0, 12);
}

static int
wire(uint64_t first, uint64_t pages, int (*handle)(struct request *r))
{
	struct pager_req_wire body = { address_of(first), pages * PAGE };

	return request(handle, &body, NULL);
}

static void
wires_want_a_range_that_can_be_read(void **state)
{
	struct pager_rep_allocate reply;

	(void)state;
	assert_int_equal(allocate(0, 10, 0, &reply), 0);
	assert_int_equal(protect(5, 5, PROT_NONE), 0);
	assert_int_equal(wire(0, 10, handle_wire), -EACCES);
	assert_int_equal(u.task->map.wired_bytes, 0);
	assert_int_equal(protect(5, 5, R), 0);
	assert_int_equal(wire(0, 10, handle_wire), 0);
	assert_int_equal(wire(5, 5, handle_wire), 0);
	assert_int_equal(region(0).user_wired_count, 1);
	assert_int_equal(region(0).wired_count, 1);
	assert_int_equal(region(5).user_wired_count, 2);
	assert_int_equal(region(5).wired_count, 1);
	assert_int_equal(u.task->map.wired_bytes, 10 * PAGE);
	assert_int_equal(protect(0, 10, PROT_NONE), 0); /* it stays wired */
	assert_int_equal(wire(5, 5, handle_unwire), 0);
	assert_int_equal(u.task->map.count, 1);
	assert_int_equal(wire(0, 10, handle_unwire), 0);
	assert_int_equal(wire(0, 10, handle_unwire), -EINVAL);
	assert_int_equal(u.task->map.wired_bytes, 0);
	deallocate(0, 10);
}

/* --- objects of their own --- */

static void
objects_of_their_own(void **state)
{
	static const uint32_t kinds[] = { PAGER_ALLOC_SHAREABLE, PAGER_ALLOC_CONTIGUOUS,
		PAGER_ALLOC_SHAREABLE | PAGER_ALLOC_CONTIGUOUS };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct pager_rep_allocate before, own, behind, hole, again;

		assert_int_equal(allocate(0, 4, 0, &before), 0);
		assert_int_equal(allocate(4, 8, kinds[i], &own), 0);
		assert_int_equal(own.object_offset, 0);
		assert_int_not_equal(own.object_id, before.object_id);
		/* A neighbour goes where there is room for neighbours. */
		assert_int_equal(allocate(12, 4, 0, &behind), 0);
		assert_int_equal(behind.object_id, before.object_id);
		/* And so does what comes into a hole of it, at its ends and within. */
		deallocate(6, 2);
		assert_int_equal(allocate(6, 2, 0, &hole), 0);
		assert_int_equal(hole.object_id, before.object_id);
		deallocate(4, 1);
		assert_int_equal(allocate(4, 1, kinds[i], &again), 0);
		assert_int_not_equal(again.object_id, own.object_id);
		assert_int_not_equal(again.object_id, before.object_id);
		deallocate(0, 16);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(protection_rules, start, stop),
		cmocka_unit_test_setup_teardown(protection_is_all_or_none, start, stop),
		cmocka_unit_test_setup_teardown(bad_input_changes_nothing, start, stop),
		cmocka_unit_test_setup_teardown(attributes_part_and_join, start, stop),
		cmocka_unit_test_setup_teardown(wires_want_a_range_that_can_be_read, start, stop),
		cmocka_unit_test_setup_teardown(objects_of_their_own, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
