/* SPDX-License-Identifier: MIT
 *
 * What REGION and MAP say of regions: share modes and references by XNU's rules, counts of pages,
 * and what each place that maps a page has of it.
 */
#include "share_fixture.h"

#include <sys/mman.h>

#include "control/request.h"
#include "region/allocate.h"
#include "region/attribute.h"
#include "pagers/pager.h"
#include "region/describe.h"
#include "vm/submap.h"

/* Where tasks have memory of their own. */
#define OWN ((uint64_t)1 << 20)

static int
ask(unsigned n, int (*handle)(struct request *r), const void *body, void *reply)
{
	struct session session = {
		.magic = SESSION_MAGIC, .uid = share.tasks[n]->uid, .is_control = true
	};
	struct request r = { .daemon = share.unit.daemon,
		.session = &session,
		.task = share.tasks[n],
		.body = body,
		.reply = reply };
	int error;

	do {
		r.again = false;
		error = handle(&r);
		r.resumed = true;
	} while (r.again && !error);
	return error;
}

/* What the task is told of the region at its page. */
static struct pager_wire_region
region(unsigned n, uint64_t page, uint32_t flags)
{
	struct pager_req_region body = { UNIT_BASE + page * PAGE, flags,
		flags & PAGER_REGION_RECURSIVE ? 7 : 0 };
	struct pager_rep_region reply = { 0 };

	assert_int_equal(ask(n, handle_region, &body, &reply), 0);
	return reply.region;
}

static void
expect_mode(unsigned n, uint64_t page, enum pager_share_mode mode, unsigned references, bool billed)
{
	for (uint32_t flags = PAGER_REGION_BASIC; flags <= PAGER_REGION_EXTENDED; flags++) {
		struct pager_wire_region r = region(n, page, flags);

		assert_int_equal(r.share_mode, mode);
		assert_int_equal(r.ref_count, references);
		assert_int_equal(r.billed, billed);
		assert_int_equal(r.shadow_depth, 0);
		assert_int_equal(r.external_pager, 0);
	}
}

static void
allocate(unsigned n, uint64_t first, uint64_t last)
{
	struct range range = share_pages_of(n, first, last);
	struct vm_entry e;

	assert_int_equal(region_allocate(&range, 0, &e), 0);
}

static void
tag(unsigned n, uint64_t first, uint64_t last, uint32_t value)
{
	struct range range = share_pages_of(n, first, last);

	assert_int_equal(region_tag(&range, value), 0);
}

/* --- share modes --- */

static void
private_memory(void **state)
{
	(void)state;
	allocate(0, OWN, OWN + 8);
	expect_mode(0, OWN, PAGER_SHARE_PRIVATE, 1, true);
	/* Several regions of one place are one reference, other than in XNU. */
	tag(0, OWN + 2, OWN + 4, 9);
	allocate(0, OWN + 100, OWN + 108);
	expect_mode(0, OWN + 2, PAGER_SHARE_PRIVATE, 1, true);
	expect_mode(0, OWN + 100, PAGER_SHARE_PRIVATE, 1, true);
}

static void
two_clients(void **state)
{
	struct vm_object *o = share_make(16);

	(void)state;
	expect_mode(0, 0, PAGER_SHARE_PRIVATE, 1, true);
	assert_int_equal(share_map(1, o, 0, 16), 0);
	expect_mode(0, 0, PAGER_SHARE_SHARED, 2, true);
	expect_mode(1, 0, PAGER_SHARE_SHARED, 2, false);
	assert_int_equal(share_map(2, o, 0, 16), 0);
	expect_mode(1, 0, PAGER_SHARE_SHARED, 3, false);
	share_task_end(0);
	expect_mode(1, 0, PAGER_SHARE_SHARED, 2, true);
	expect_mode(2, 0, PAGER_SHARE_SHARED, 2, false);
	share_task_end(1);
	expect_mode(2, 0, PAGER_SHARE_PRIVATE, 1, true);
}

/* Somebody may have a copy of the name, and may map it. */
static void
named_only(void **state)
{
	struct vm_object *o = share_make(16);
	struct named_entry *n = share_name_make(o, 0, 16, 1);

	(void)state;
	expect_mode(0, 0, PAGER_SHARE_SHARED, 2, true);
	assert_int_equal(share_name_end(n), 0);
	expect_mode(0, 0, PAGER_SHARE_PRIVATE, 1, true);
}

static void
aliases(void **state)
{
	struct vm_object *o = share_make(16);
	struct named_entry *n;

	(void)state;
	assert_int_equal(share_map_at(0, o, 0, 16, 100), 0);
	expect_mode(0, 0, PAGER_SHARE_PRIVATE_ALIASED, 2, true);
	expect_mode(0, 100, PAGER_SHARE_PRIVATE_ALIASED, 2, true);
	n = share_name_make(o, 0, 16, 1);
	expect_mode(0, 100, PAGER_SHARE_SHARED_ALIASED, 3, true);
	assert_int_equal(share_name_end(n), 0);
	assert_int_equal(share_map(1, o, 0, 16), 0);
	expect_mode(0, 0, PAGER_SHARE_SHARED_ALIASED, 3, true);
	expect_mode(1, 0, PAGER_SHARE_SHARED, 3, false);
	share_unmap(0, 0, 16);
	expect_mode(0, 100, PAGER_SHARE_SHARED, 2, true);
	share_task_end(0);
	expect_mode(1, 0, PAGER_SHARE_PRIVATE, 1, true);
}

/* References are those of a region's pages, not of all the object. */
static void
parts(void **state)
{
	struct vm_object *o = share_make(32);

	(void)state;
	assert_int_equal(share_map(1, o, 4, 8), 0);
	assert_int_equal(share_map_at(1, o, 6, 10, 200), 0);
	expect_mode(0, 0, PAGER_SHARE_SHARED, 3, true);
	expect_mode(1, 4, PAGER_SHARE_SHARED_ALIASED, 3, false);
	tag(0, 8, 10, 1);
	expect_mode(0, 4, PAGER_SHARE_SHARED, 3, true);
	expect_mode(0, 8, PAGER_SHARE_SHARED, 2, true);
	expect_mode(0, 10, PAGER_SHARE_PRIVATE, 1, true);
	/* Parts of one place, with a hole between them. */
	share_unmap(0, 20, 21);
	expect_mode(0, 10, PAGER_SHARE_PRIVATE, 1, true);
	expect_mode(0, 21, PAGER_SHARE_PRIVATE, 1, true);
}

/* Whose the content is says the pager's row: none, and so the default one in time, or another. */
static void
external(void **state)
{
	struct vm_object *o = share_make(16);

	(void)state;
	for (enum pager_kind kind = PAGER_NONE; kind < PAGER_KIND_COUNT; kind++) {
		store_relaxed(&o->pager, kind);
		assert_int_equal(region(0, 0, PAGER_REGION_BASIC).external_pager,
		    kind != PAGER_NONE && pagers[kind].is_external);
	}
	assert_true(pagers[PAGER_VNODE].is_external);
	assert_false(pagers[PAGER_STORE].is_external);
	store_relaxed(&o->pager, PAGER_NONE);
}

/* --- counts --- */

static void
expect_counts(unsigned n, uint64_t page, uint64_t resident, uint64_t wired, uint64_t proportional)
{
	struct pager_wire_region r = region(n, page, PAGER_REGION_EXTENDED);

	assert_int_equal(r.pages_resident, resident);
	assert_int_equal(r.pages_wired, wired);
	assert_int_equal(r.pages_compressed + r.pages_swapped, 0);
	assert_int_equal(r.proportional_resident, proportional);
	assert_int_equal(r.proportional_stored, 0);
	r = region(n, page, PAGER_REGION_BASIC);
	assert_int_equal(r.pages_resident | r.pages_wired | r.pages_dirty, 0);
	assert_int_equal(r.proportional_resident, 0);
}

/* Each page is divided by the number of places that map it, which changes along the object; all
 * that the places have is what there is. */
static void
proportions(void **state)
{
	struct vm_object *o = share_make(40);
	struct named_entry *name;

	(void)state;
	share_fill(o, 0, 30);
	expect_counts(0, 0, 30, 0, 30 * PAGE);
	assert_int_equal(share_map(1, o, 0, 20), 0);
	expect_counts(0, 0, 30, 0, 10 * PAGE + 10 * PAGE);
	expect_counts(1, 0, 20, 0, 10 * PAGE);
	assert_int_equal(share_map(2, o, 10, 40), 0);
	assert_int_equal(share_map_at(2, o, 10, 20, 300), 0);
	/* 0-10: two places, 10-20: four, 20-30: two. */
	expect_counts(0, 0, 30, 0, 5 * PAGE + 10 * PAGE / 4 + 5 * PAGE);
	expect_counts(1, 0, 20, 0, 5 * PAGE + 10 * PAGE / 4);
	expect_counts(2, 10, 20, 0, 10 * PAGE / 4 + 5 * PAGE);
	expect_counts(2, 300, 10, 0, 10 * PAGE / 4);
	/* A name maps nothing. */
	name = share_name_make(o, 0, 40, 1);
	expect_counts(1, 0, 20, 0, 5 * PAGE + 10 * PAGE / 4);
	share_wire(1, 0, 3);
	expect_counts(0, 0, 30, 3, 5 * PAGE + 10 * PAGE / 4 + 5 * PAGE);
	expect_counts(1, 0, 3, 3, 3 * PAGE / 2);
	share_unwire(1, 0, 3);
	share_task_end(2);
	expect_counts(0, 0, 30, 0, 10 * PAGE + 10 * PAGE);
	assert_int_equal(share_name_end(name), 0);
}

/* --- submaps --- */

static void
submap_add_at(struct vm_object *o, uint64_t first, uint64_t count, uint32_t protection, uint32_t n)
{
	struct submap_place place = {
		.is_fixed = true, .first = first, .count = count, .align = 1
	};

	assert_int_equal(submap_add(o, &place, protection, n, &first), 0);
}

/* Task 0 maps all of it. */
static void
submap_map(struct vm_object *o)
{
	struct vm_entry e = { .start = UNIT_BASE,
		.end = UNIT_BASE + o->page_count * PAGE,
		.protection = PROT_READ | PROT_WRITE,
		.max_protection = PROT_READ | PROT_WRITE };

	assert_int_equal(
	    vm_mapping_create(o, share.tasks[0], UNIT_BASE, 0, o->page_count, &e.mapping), 0);
	unit_map(share.tasks[0], &e);
}

/* Regions of a submap, seen through entries that begin and end within them; holes are passed over,
 * and so is a submap that has nothing there. */
static void
recursion(void **state)
{
	const uint32_t r_w = PROT_READ | PROT_WRITE, deep = PAGER_REGION_RECURSIVE;
	static const struct {
		uint64_t at;           /* page of task 1 */
		uint64_t first, count; /* what is found */
		uint32_t protection, tag, mode, depth;
		uint64_t resident;
	} rows[] = {
		{ 0, 100, 6, PROT_READ, 1, PAGER_SHARE_TRUESHARED, 1, 3 },
		{ 105, 100, 6, PROT_READ, 1, PAGER_SHARE_TRUESHARED, 1, 3 },
		{ 106, 110, 5, PROT_READ | PROT_WRITE, 2, PAGER_SHARE_TRUESHARED, 1, 0 },
		{ 114, 110, 5, PROT_READ | PROT_WRITE, 2, PAGER_SHARE_TRUESHARED, 1, 0 },
		{ 115, 400, 4, PROT_READ | PROT_WRITE, 0, PAGER_SHARE_PRIVATE, 0, 0 },
	};
	struct vm_object *o;
	struct pager_wire_region w;
	struct pager_req_region too_deep = { UNIT_BASE, PAGER_REGION_BASIC, 1 };
	struct pager_rep_region reply;

	(void)state;
	assert_int_equal(
	    vm_object_create(share.unit.daemon, share.tasks[0], 64, OBJECT_SHAREABLE, &o), 0);
	assert_int_equal(submap_create(o), 0);
	submap_add_at(o, 0, 10, PROT_READ, 1);
	submap_add_at(o, 14, 10, r_w, 2);
	submap_add_at(o, 40, 10, r_w, 3);
	submap_map(o);
	vm_object_put(o);
	/* Pages 4 to 19 at 100; 30 to 40, where nothing is, at 200; memory of its own at 400. */
	assert_int_equal(share_map_at(1, o, 4, 19, 100), 0);
	assert_int_equal(share_map_at(1, o, 30, 40, 200), 0);
	allocate(1, 400, 404);
	share_fill(o, 7, 10);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		w = region(1, rows[i].at, deep | PAGER_REGION_EXTENDED);
		assert_int_equal(w.address, UNIT_BASE + rows[i].first * PAGE);
		assert_int_equal(w.size, rows[i].count * PAGE);
		assert_int_equal(w.protection, rows[i].protection);
		assert_int_equal(w.tag, rows[i].tag);
		assert_int_equal(w.share_mode, rows[i].mode);
		assert_int_equal(w.depth, rows[i].depth);
		assert_int_equal(w.is_submap, 0);
		assert_int_equal(w.pages_resident, rows[i].resident);
		assert_int_equal(w.proportional_resident, rows[i].resident * PAGE / 2);
	}
	assert_int_equal(region(1, 110, deep).object_offset, 14 * PAGE);
	/* Not gone into it is one region, and nothing in it is counted. */
	w = region(1, 102, PAGER_REGION_EXTENDED);
	assert_int_equal(w.size, 15 * PAGE);
	assert_int_equal(w.share_mode, PAGER_SHARE_EMPTY);
	assert_int_equal(w.is_submap, 1);
	assert_int_equal(w.depth, 0);
	assert_int_equal(w.pages_resident, 0);
	w = region(0, 0, deep);
	assert_int_equal(w.share_mode, PAGER_SHARE_TRUESHARED);
	share_task_end(1);
	assert_int_equal(region(0, 50, PAGER_REGION_BASIC).is_submap, 1);
	assert_int_equal(region(0, 0, deep).share_mode, PAGER_SHARE_PRIVATE);
	assert_int_equal(ask(0, handle_region, &too_deep, &reply), -EINVAL);
}

/* --- MAP --- */

static int
map_of(unsigned n, uint32_t flags, struct pager_rep_map *reply)
{
	struct pager_req_map body = { .session = share.tasks[n]->id, .flags = flags };

	memset(reply, 0, sizeof(*reply));
	return ask(n, handle_map, &body, reply);
}

/* Only regions that can be shared, behind more others than a piece passes over. */
static void
map_shareable(void **state)
{
	static struct pager_rep_map reply;
	struct vm_object *o = share_make(16);
	enum { REGIONS = 2500 };

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(share.tasks); i++) {
		share.tasks[i]->id = 100 + i;
		assert_true(task_commit(share.tasks[i], TASK_ATTACHING, TASK_ATTACHED));
	}
	allocate(1, OWN, OWN + REGIONS);
	for (unsigned i = 0; i < REGIONS; i += 2)
		tag(1, OWN + i, OWN + i + 1, 1);
	assert_int_equal(share_map_at(1, o, 4, 8, 2 * OWN), 0);
	share_fill(o, 0, 16);
	assert_int_equal(map_of(1, PAGER_WIRE_MAP_SHAREABLE, &reply), 0);
	assert_int_equal(reply.count, 1);
	assert_int_equal(reply.next_cursor, 0);
	assert_int_equal(reply.regions[0].address, UNIT_BASE + 2 * OWN * PAGE);
	assert_int_equal(reply.regions[0].pages_resident, 0);
	assert_int_equal(map_of(1, PAGER_WIRE_MAP_SHAREABLE | PAGER_REGION_EXTENDED, &reply), 0);
	assert_int_equal(reply.count, 1);
	assert_int_equal(reply.regions[0].pages_resident, 4);
	assert_int_equal(reply.regions[0].proportional_resident, 2 * PAGE);
	assert_int_equal(map_of(2, PAGER_WIRE_MAP_SHAREABLE, &reply), 0);
	assert_int_equal(reply.count, 0);
	assert_int_equal(reply.next_cursor, 0);
	assert_int_equal(map_of(1, PAGER_REGION_EXTENDED, &reply), 0);
	assert_int_equal(reply.count, PAGER_REGIONS_PER_REPLY);
	assert_int_equal(reply.next_cursor, UNIT_BASE + (OWN + PAGER_REGIONS_PER_REPLY) * PAGE);
	assert_int_equal(map_of(1, 1u << 20, &reply), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(private_memory, share_start, share_stop),
		cmocka_unit_test_setup_teardown(two_clients, share_start, share_stop),
		cmocka_unit_test_setup_teardown(named_only, share_start, share_stop),
		cmocka_unit_test_setup_teardown(aliases, share_start, share_stop),
		cmocka_unit_test_setup_teardown(parts, share_start, share_stop),
		cmocka_unit_test_setup_teardown(external, share_start, share_stop),
		cmocka_unit_test_setup_teardown(proportions, share_start, share_stop),
		cmocka_unit_test_setup_teardown(recursion, share_start, share_stop),
		cmocka_unit_test_setup_teardown(map_shareable, share_start, share_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
