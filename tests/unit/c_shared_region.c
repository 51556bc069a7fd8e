/* SPDX-License-Identifier: MIT
 *
 * Shared regions: where files lie, for whom, and for how long; and what a reset leaves alone.
 */
#include "vnode_fixture.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "control/teardown.h"
#include "region/allocate.h"
#include "region/map_file.h"
#include "region/shared.h"
#include "vm/copy_look.h"

static int
regions_begin(void **state)
{
	vnodes_begin(state);
	file_set(8 * PAGE);
	return shared_table_create(vf.u.daemon);
}

static int
regions_end(void **state)
{
	struct daemon *d = vf.u.daemon;

	for (unsigned i = 0; i < 2; i++)
		shared_drop(vf.tasks[i]);
	/* Places of files that nobody has any more may be left: they go with the table. */
	shared_table_destroy(d);
	return vnodes_end(state);
}

/* Text and data, of so many pages each. => as shared_file_load */
static int
load(struct task *task, uint64_t pages, uint32_t flags, uint64_t at, uint64_t *ret_address,
    bool *ret_is_loaded)
{
	struct pager_req_shared_load in = { .address = at, .flags = flags, .count = 2 };
	uint64_t size;

	in.parts[0] = (struct pager_shared_part){ 0, pages * PAGE, 0, PROT_READ, 0 };
	in.parts[1] = (struct pager_shared_part){ pages * PAGE, pages * PAGE, pages * PAGE,
		PROT_READ | PROT_WRITE, PAGER_SHARED_COW };
	assert_int_equal(shared_parts_check(vf.u.daemon, in.parts, in.count, &size), 0);
	assert_int_equal(size, 2 * pages * PAGE);
	return shared_file_load(task, vf.file, &in, size, ret_address, ret_is_loaded);
}

static void
parts_are_checked(void **state)
{
	const struct daemon *d = vf.u.daemon;
	const struct pager_shared_part good = { 0, PAGE, 0, PROT_READ, 0 };
	struct pager_shared_part parts[2], *p = parts;
	uint64_t size;

	(void)state;
	parts[0] = parts[1] = good;
	assert_int_equal(shared_parts_check(d, parts, 0, &size), -EINVAL);
	assert_int_equal(shared_parts_check(d, parts, PAGER_SHARED_PARTS_MAX + 1, &size), -EINVAL);
	assert_int_equal(shared_parts_check(d, parts, 2, &size), -EINVAL); /* they overlap */
	parts[1].address_offset = 3 * PAGE;
	assert_int_equal(shared_parts_check(d, parts, 2, &size), 0);
	assert_int_equal(size, 4 * PAGE);
	p->protection = PROT_READ | PROT_WRITE; /* of text */
	assert_int_equal(shared_parts_check(d, p, 1, &size), -EINVAL);
	p->flags = PAGER_SHARED_COW;
	assert_int_equal(shared_parts_check(d, p, 1, &size), 0);
	p->flags = PAGER_SHARED_ZERO;
	assert_int_equal(shared_parts_check(d, p, 1, &size), 0);
	p->flags |= PAGER_SHARED_COW;
	assert_int_equal(shared_parts_check(d, p, 1, &size), -EINVAL);
	*p = good;
	p->size = UINT64_MAX - PAGE + 1;
	assert_int_equal(shared_parts_check(d, p, 1, &size), -EINVAL);
	*p = good;
	p->address_offset = UINT64_MAX - PAGE + 1;
	assert_int_equal(shared_parts_check(d, p, 1, &size), -EINVAL);
	*p = good;
	p->file_offset = UINT64_MAX - PAGE + 1;
	assert_int_equal(shared_parts_check(d, p, 1, &size), -EINVAL);
}

/* Whoever loads the file in these parts has it at the same place, as long as one has it. */
static void
one_file_has_one_place(void **state)
{
	uint64_t a, b, c;
	unsigned files, objects;
	bool loaded;

	(void)state;
	assert_int_equal(load(vf.tasks[0], 2, 0, 0, &a, &loaded), 0);
	assert_false(loaded);
	assert_int_equal(a, PAGER_SHARED_BASE);
	assert_int_equal(load(vf.tasks[1], 2, 0, 0, &b, &loaded), 0);
	assert_true(loaded);
	assert_int_equal(a, b);
	assert_int_equal(load(vf.tasks[1], 2, 0, 0, &b, &loaded), -EALREADY);
	/* In other parts it is another file. */
	assert_int_equal(load(vf.tasks[1], 1, 0, 0, &c, &loaded), 0);
	assert_false(loaded);
	assert_int_equal(c, a + SHARED_ALIGN);
	assert_int_equal(shared_file_unload(vf.tasks[0], a), 0);
	assert_int_equal(shared_file_unload(vf.tasks[0], a), -ENOENT);
	assert_int_equal(load(vf.tasks[0], 2, 0, 0, &b, &loaded), 0);
	assert_true(loaded && a == b);
	shared_drop(vf.tasks[1]);
	assert_int_equal(shared_file_unload(vf.tasks[0], a), 0);
	vnodes_counts(vf.u.daemon, &files, &objects);
	assert_int_equal(files, 0);
	/* The place is free. */
	assert_int_equal(
	    load(vf.tasks[0], 1, PAGER_SHARED_AT, PAGER_SHARED_BASE + PAGE, &b, &loaded), 0);
	assert_false(loaded);
	assert_int_equal(b, PAGER_SHARED_BASE + PAGE);
}

static void
conflict_is_told(void **state)
{
	uint64_t end = PAGER_SHARED_BASE + PAGER_SHARED_BYTES, a, b = 0;
	bool loaded;

	(void)state;
	assert_int_equal(load(vf.tasks[0], 2, PAGER_SHARED_AT, end - 4 * PAGE, &a, &loaded), 0);
	assert_int_equal(
	    load(vf.tasks[0], 1, PAGER_SHARED_AT, end - 5 * PAGE, &b, &loaded), -EEXIST);
	assert_int_equal(load(vf.tasks[0], 1, PAGER_SHARED_AT, end - PAGE, &b, &loaded), -EEXIST);
	assert_int_equal(b, 0);
	assert_int_equal(load(vf.tasks[0], 1, PAGER_SHARED_AT | PAGER_SHARED_ALTERNATE,
			     end - 5 * PAGE, &b, &loaded),
	    0);
	assert_int_equal(b, PAGER_SHARED_BASE);
	/* It is elsewhere. */
	assert_int_equal(
	    load(vf.tasks[1], 2, PAGER_SHARED_AT, PAGER_SHARED_BASE + (1ull << 30), &b, &loaded),
	    -EEXIST);
	assert_int_equal(load(vf.tasks[1], 2, PAGER_SHARED_AT | PAGER_SHARED_ALTERNATE,
			     PAGER_SHARED_BASE + (1ull << 30), &b, &loaded),
	    0);
	assert_true(loaded && b == a);
}

static void
new_regions_keep_what_is_loaded(void **state)
{
	struct task *a = vf.tasks[0], *b = vf.tasks[1];
	uint64_t first, second, other;
	bool loaded;

	(void)state;
	assert_int_equal(load(a, 2, 0, 0, &first, &loaded), 0);
	assert_int_equal(load(b, 1, 0, 0, &other, &loaded), 0);
	assert_int_equal(shared_regions_new(a, false), 0);
	assert_int_equal(load(a, 2, 0, 0, &second, &loaded), -EALREADY);
	/* Where `b` has something, in the regions of all. */
	assert_int_equal(load(a, 1, 0, 0, &second, &loaded), 0);
	assert_false(loaded);
	assert_int_equal(second, other);
	/* For all: of those that have loaded nothing yet. */
	assert_int_equal(shared_regions_new(a, true), 0);
	assert_int_equal(load(b, 2, 0, 0, &second, &loaded), 0);
	assert_true(loaded && second == first);
	shared_drop(b);
	assert_int_equal(load(b, 2, 0, 0, &second, &loaded), 0);
	assert_true(loaded && second == first); /* what `a` has loaded is in them */
}

static void
child_has_its_parents(void **state)
{
	struct task *a = vf.tasks[0], *b = vf.tasks[1];
	uint64_t address;
	bool loaded;

	(void)state;
	assert_int_equal(shared_inherit(a, b), 0);
	assert_int_equal(load(a, 2, 0, 0, &address, &loaded), 0);
	assert_int_equal(shared_regions_new(a, false), 0);
	assert_int_equal(shared_inherit(a, b), 0);
	assert_int_equal(load(b, 2, 0, 0, &address, &loaded), -EALREADY);
	shared_drop(a);
	/* It keeps the file, also for those whose regions it has left. */
	assert_int_equal(load(a, 2, 0, 0, &address, &loaded), 0);
	assert_true(loaded);
	assert_int_equal(shared_file_unload(b, address), 0);
}

/* One user cannot take all places. */
static void
places_are_bounded(void **state)
{
	struct pager_req_shared_load in = { .count = 1 };
	uint64_t size = PAGER_SHARED_BYTES / 4, address;
	bool loaded;

	(void)state;
	in.parts[0] = (struct pager_shared_part){ 0, size - PAGE, 0, PROT_READ, 0 };
	vf.tasks[1]->bill.account->is_privileged = false;
	assert_int_equal(shared_file_load(vf.tasks[1], vf.file, &in, size, &address, &loaded), 0);
	in.parts[0].size = PAGE;
	assert_int_equal(
	    shared_file_load(vf.tasks[1], vf.file, &in, PAGE, &address, &loaded), -ENOSPC);
	assert_int_equal(shared_file_load(vf.tasks[0], vf.file, &in, PAGE, &address, &loaded), 0);
	/* What others have loaded is none of theirs. */
	assert_int_equal(shared_file_load(vf.tasks[1], vf.file, &in, PAGE, &address, &loaded), 0);
	assert_true(loaded);
}

/* Data follows the file again; text, and what is not there, is left alone. */
static void
reset_follows_again(void **state)
{
	struct task *task = vf.tasks[0];
	struct range range, job = { .task = task, .stats = stats_shard(&vf.u.daemon->stats, 0) };
	uint64_t address, progress = 0;
	bool loaded, more;
	struct vm_entry e;

	(void)state;
	assert_int_equal(load(task, 2, 0, 0, &address, &loaded), 0);
	assert_int_equal(shared_file_reset(&job, address + PAGE, &progress, &more), -ENOENT);
	assert_int_equal(shared_file_reset(&job, address, &progress, &more), -EINVAL);
	assert_int_equal(range_init(&range, task, address + 2 * PAGE, 2 * PAGE), 0);
	assert_int_equal(region_allocate(&range, 0, &e), 0);
	assert_false(vm_object_is_linked(e.mapping->object, COPY_BELOW));
	progress = 0;
	assert_int_equal(shared_file_reset(&job, address, &progress, &more), 0);
	assert_false(more);
	assert_int_equal(progress, 4 * PAGE);
	assert_true(copies_follow(e.mapping->object, e.offset / PAGE, e.offset / PAGE + 2));
	assert_int_equal(copy_depth(e.mapping->object, e.offset / PAGE), 1);
}

#define REGIONS_TEST(test) cmocka_unit_test_setup_teardown(test, regions_begin, regions_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		REGIONS_TEST(parts_are_checked),
		REGIONS_TEST(one_file_has_one_place),
		REGIONS_TEST(conflict_is_told),
		REGIONS_TEST(new_regions_keep_what_is_loaded),
		REGIONS_TEST(child_has_its_parents),
		REGIONS_TEST(places_are_bounded),
		REGIONS_TEST(reset_follows_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
