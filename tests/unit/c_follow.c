/* SPDX-License-Identifier: MIT
 *
 * Private mappings of files: pages that follow a file's have what it has until they are written,
 * stand in no line above it, and keep its object in the file's table.
 */
#include "vnode_fixture.h"

#include "pagers/pager.h"
#include "region/allocate.h"
#include "region/copy.h"
#include "region/map_file.h"
#include "transit/copy_fill.h"
#include "transit/copy_make.h"
#include "transit/discard.h"
#include "vm/copy_link.h"
#include "vm/copy_look.h"
#include "vm/vm_map.h"

/* A task's memory at the address follows `pages` of the file, from page `first` on. => its object;
 * *ret_index: where it begins there */
static struct vm_object *
file_follow(
    struct task *task, uint64_t address, uint64_t first, uint64_t pages, uint64_t *ret_index)
{
	struct range range;
	struct vm_entry e;
	struct vm_object *o;

	assert_int_equal(range_init(&range, task, address, pages * PAGE), 0);
	assert_int_equal(region_allocate(&range, 0, &e), 0);
	range.at = address;
	assert_int_equal(region_copy_file(&range, vf.file, first * PAGE), 0);
	assert_true(range_is_done(&range));
	assert_true(task_entry_get(task, address, &e));
	o = e.mapping->object;
	*ret_index = e.offset / PAGE;
	vm_mapping_put(e.mapping);
	return o;
}

/* A page of the file's that somebody has stored into, and that is in the file by now. */
static void
file_page(struct vm_object *file, uint64_t index, int byte)
{
	struct vm_entry e;

	if (file->cover_count == 0)
		file_map(vf.tasks[0], vf.file, UNIT_BASE + (2ull << 30), 0, 8 * PAGE, &e);
	(void)page_make(file, index, byte);
	pages_clean(file, NULL);
}

static enum pager_result
content(struct vm_object *o, uint64_t index, unsigned char *page, struct copy_place *away)
{
	struct hole hole;
	bool foreign;
	enum pager_result result = copy_content(o, index, &hole, page, &foreign, away);

	/* Whoever has the file mapped for writing: it is what the file has. */
	assert_false(foreign);
	return result;
}

/* The file's object, from page `index` of a follower. No reference */
static struct vm_object *
file_of(const struct vm_object *o, uint64_t index)
{
	struct vm_object *file;

	copies_lock(o->daemon);
	file = copy_link_below_locked(o, index)->lower;
	copies_unlock(o->daemon);
	assert_non_null(file->external);
	return file;
}

static void
content_is_the_files(void **state)
{
	struct copy_place away = { NULL, 0 };
	unsigned char page[PAGE];
	struct vm_object *o, *file;
	uint64_t index;

	(void)state;
	file_set(8 * PAGE);
	o = file_follow(vf.tasks[0], UNIT_BASE, 2, 4, &index);
	file = file_of(o, index);
	assert_true(copies_follow(o, index, index + 4));
	assert_false(copies_follow(o, index + 4, index + 8));
	assert_int_equal(copy_depth(o, index), 1);
	/* It has to be read, into the file's own object. */
	assert_int_equal(content(o, index + 1, page, &away), PAGER_AWAY);
	assert_ptr_equal(away.object, file);
	assert_int_equal(away.index, 3);
	vm_object_put(away.object);
	file_page(file, 3, 0x42);
	assert_int_equal(content(o, index + 1, page, &away), PAGER_OK);
	assert_int_equal(page[PAGE - 1], 0x42);
}

/* Any number of mappings, of different users: who writes to the file tells none of them. */
static void
file_tells_nobody(void **state)
{
	struct vm_object *a, *b, *file;
	struct copy_place place;
	uint64_t at, bt, number = 0, end;
	unsigned seen = 0;

	(void)state;
	file_set(8 * PAGE);
	a = file_follow(vf.tasks[0], UNIT_BASE, 0, 8, &at);
	b = file_follow(vf.tasks[1], UNIT_BASE, 2, 4, &bt);
	file = file_of(a, at);
	assert_ptr_equal(file_of(b, bt), file);
	assert_int_equal(load_relaxed(&file->external->follower_count), 2);
	assert_false(vm_object_is_linked(file, COPY_ABOVE | COPY_BELOW));
	file_page(file, 3, 1);
	assert_false(copy_is_lacking(file, 3));
	copies_lock(vf.u.daemon);
	assert_false(copy_target_locked(file, 3, &place));
	copies_unlock(vf.u.daemon);
	/* Both wait for pages of it. */
	while ((place = copy_follower_next(file, 3, 5, &number, &end)).object) {
		assert_true(place.object == a ? place.index == at + 3 : place.index == bt + 1);
		assert_int_equal(end - place.index, 2);
		vm_object_put(place.object);
		seen++;
	}
	assert_int_equal(seen, 2);
	number = 0;
	place = copy_follower_next(file, 6, 8, &number, &end);
	assert_ptr_equal(place.object, a);
	vm_object_put(place.object);
	place = copy_follower_next(file, 6, 8, &number, &end);
	assert_null(place.object);
}

/* A copy of a follower, as a forked child has it, follows the file when what is between has gone;
 * a copy that must be what it was is by content. */
static void
copies_of_followers_follow(void **state)
{
	struct copy_place away = { NULL, 0 };
	struct range range, destination;
	unsigned char page[PAGE];
	struct vm_object *o, *child, *file;
	uint64_t index;
	struct vm_entry e;

	(void)state;
	file_set(8 * PAGE);
	o = file_follow(vf.tasks[0], UNIT_BASE, 0, 8, &index);
	file = file_of(o, index);
	assert_int_equal(range_init(&range, vf.tasks[0], UNIT_BASE + (1ull << 30), 8 * PAGE), 0);
	assert_int_equal(region_allocate(&range, 0, &e), 0);
	destination = range;
	destination.at = destination.address;
	assert_int_equal(range_init(&range, vf.tasks[0], UNIT_BASE, 8 * PAGE), 0);
	assert_int_equal(region_copy_check(&range, &destination), -EOPNOTSUPP);
	assert_int_equal(vm_object_create(vf.u.daemon, vf.tasks[0], 8, OBJECT_ALONE, &child), 0);
	assert_int_equal(vm_object_copy_range(o, index, child, 0, 8), 0);
	assert_int_equal(copy_depth(child, 0), 2);
	assert_true(copies_follow(child, 0, 8));
	file_page(file, 5, 0x21);
	assert_int_equal(content(child, 5, page, &away), PAGER_OK);
	assert_int_equal(page[0], 0x21);
	(void)vm_object_discard(o, index, 8);
	assert_int_equal(copy_depth(child, 0), 1);
	assert_ptr_equal(file_of(child, 0), file);
	assert_int_equal(load_relaxed(&file->external->follower_count), 1);
	assert_int_equal(content(child, 5, page, &away), PAGER_OK);
	assert_int_equal(page[0], 0x21);
	(void)vm_object_discard(child, 0, 8);
	assert_int_equal(load_relaxed(&file->external->follower_count), 0);
	vm_object_put(child);
}

static bool
is_deserted(struct vm_object *o)
{
	bool deserted;

	lock_acquire(&o->lock);
	deserted = vm_object_is_deserted_locked(o);
	lock_release(&o->lock);
	return deserted;
}

static void
follower_keeps_the_file(void **state)
{
	struct vm_object *o, *file;
	uint64_t index;
	unsigned files, objects;

	(void)state;
	file_set(8 * PAGE);
	o = file_follow(vf.tasks[0], UNIT_BASE, 0, 8, &index);
	file = file_of(o, index);
	vm_object_get(file);
	assert_false(is_deserted(file));
	assert_false(pager_last_unmap(file));
	/* Parts of what follows may go. */
	(void)vm_object_discard(o, index + 2, 3);
	assert_int_equal(load_relaxed(&file->external->follower_count), 2);
	assert_false(is_deserted(file));
	(void)vm_object_discard(o, index, 8);
	assert_true(is_deserted(file));
	assert_true(pager_last_unmap(file));
	vm_object_put(file); /* the table's */
	vm_object_put(file);
	vnodes_counts(vf.u.daemon, &files, &objects);
	assert_int_equal(files, 0);
	assert_int_equal(objects, 0);
}

/* One that is too many is refused, and others are as before. */
static void
followers_are_bounded(void **state)
{
	struct vm_object *o, *file;
	struct range range;
	struct vm_entry e;
	uint64_t index;

	(void)state;
	file_set(8 * PAGE);
	o = file_follow(vf.tasks[0], UNIT_BASE, 0, 1, &index);
	file = file_of(o, index);
	store_release(&file->external->follower_count, FOLLOWERS_MAX);
	assert_int_equal(range_init(&range, vf.tasks[1], UNIT_BASE, PAGE), 0);
	assert_int_equal(region_allocate(&range, 0, &e), 0);
	range.at = UNIT_BASE;
	assert_int_equal(region_copy_file(&range, vf.file, 0), -ENOMEM);
	assert_false(vm_object_is_linked(e.mapping->object, COPY_BELOW));
	store_release(&file->external->follower_count, 1);
	assert_int_equal(region_copy_file(&range, vf.file, 0), 0);
	assert_int_equal(load_relaxed(&file->external->follower_count), 2);
}

#define FOLLOW_TEST(test) cmocka_unit_test_setup_teardown(test, vnodes_begin, vnodes_end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		FOLLOW_TEST(content_is_the_files),
		FOLLOW_TEST(file_tells_nobody),
		FOLLOW_TEST(copies_of_followers_follow),
		FOLLOW_TEST(follower_keeps_the_file),
		FOLLOW_TEST(followers_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
