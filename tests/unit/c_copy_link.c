/* SPDX-License-Identifier: MIT
 *
 * Links of copies between ranges, against a model that knows for each page what is below it: copies
 * of parts, of copies, of one object onto itself and of several, and ranges that leave from
 * anywhere.
 */
#include "c_unit.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>

#include "alloc.h"
#include "failpt.h"
#include "own.h"
#include "threads.h"
#include "vm/copy_link.h"
#include "vm/copy_look.h"
#include "vm/copy_reserve.h"

enum { OBJECTS = 3, PAGES = 24, COUNT = OBJECTS * PAGES, NOTHING = -1 };

static struct {
	struct unit unit;
	struct vm_object *objects[OBJECTS];
	int below[COUNT]; /* of page object * PAGES + index */
} world;

static int
number_of(struct copy_place at)
{
	for (int i = 0; i < OBJECTS; i++)
		if (world.objects[i] == at.object)
			return i * PAGES + (int)at.index;
	return NOTHING;
}

static int
above(int page)
{
	for (int i = 0; i < COUNT; i++)
		if (world.below[i] == page)
			return i;
	return NOTHING;
}

static void
model_leave(int page)
{
	int up = above(page);

	if (up != NOTHING)
		world.below[up] = world.below[page];
	world.below[page] = NOTHING;
}

static void
look(void)
{
	struct daemon *d = world.unit.daemon;
	unsigned links = 0;

	for (int i = 0; i < OBJECTS; i++) {
		const struct copy_link *l;
		unsigned n = 0;

		copies_lock(d);
		for (uint64_t at = 0;
		     (l = copy_link_from_locked(world.objects[i], false, at)) != NULL; n++) {
			assert_true(l->upper == world.objects[i] && l->count > 0 && !l->is_leaving);
			assert_true(l->upper_first >= at);
			at = l->upper_first + l->count;
		}
		links += n;
		for (uint64_t at = 0;
		     (l = copy_link_from_locked(world.objects[i], true, at)) != NULL; n++) {
			assert_true(l->lower == world.objects[i] && l->lower_first >= at);
			assert_ptr_equal(copy_link_below_locked(l->upper, l->upper_first), l);
			at = l->lower_first + l->count;
		}
		copies_unlock(d);
		assert_int_equal(n, world.objects[i]->link_count);
	}
	assert_int_equal(links, d->copies.count);
	for (int page = 0; page < COUNT; page++) {
		const struct vm_object *o = world.objects[page / PAGES];
		uint64_t index = (uint64_t)(page % PAGES);
		struct copy_place at;
		const struct copy_link *l;
		unsigned depth = 0;
		int found = NOTHING, model = above(page);

		copies_lock(d);
		l = copy_link_below_locked(o, index);
		if (l)
			found = number_of((struct copy_place){
			    l->lower, l->lower_first + (index - l->upper_first) });
		assert_int_equal(found, world.below[page]);
		found = copy_target_locked(o, index, &at) ? number_of(at) : NOTHING;
		assert_int_equal(found, model);
		copies_unlock(d);
		for (int i = page; world.below[i] != NOTHING; i = world.below[i])
			depth++;
		assert_int_equal(copy_depth(o, index), depth);
		assert_int_equal(vm_object_has_links(o, index, 1),
		    model != NOTHING || world.below[page] != NOTHING);
	}
}

/* => pages that were next to those that have left */
static uint64_t
links_leave(struct vm_object *o, uint64_t first, uint64_t end)
{
	struct copy_besides besides;
	uint64_t pages = 0;

	copy_links_leave_begin(o, first, end);
	while (copy_links_leave(o, first, end, &besides))
		for (unsigned i = 0; i < besides.count; i++) {
			pages += besides.ranges[i].count;
			vm_object_put(besides.ranges[i].at.object);
		}
	return pages;
}

static void
leave(int object, int first, int count)
{
	struct vm_object *o = world.objects[object];
	uint64_t beside = 0;

	for (int i = first; i < first + count; i++) {
		int page = object * PAGES + i;

		/* Some of them may be next to each other. */
		beside += above(page) != NOTHING;
		beside += world.below[page] != NOTHING;
	}
	assert_true(links_leave(o, (uint64_t)first, (uint64_t)(first + count)) >= beside / 2);
	for (int i = first; i < first + count; i++)
		model_leave(object * PAGES + i);
}

static void
copy(int from, int first, int to, int at, int count)
{
	int error;

	/* Where the destination leaves first the source stays what it is. */
	leave(to, at, count);
	error = copy_link_insert(
	    world.objects[from], (uint64_t)first, world.objects[to], (uint64_t)at, (uint64_t)count);
	assert_int_equal(error, 0);
	for (int i = 0; i < count; i++) {
		int lower = from * PAGES + first + i, upper = to * PAGES + at + i,
		    up = above(lower);

		if (up != NOTHING)
			world.below[up] = upper;
		world.below[upper] = lower;
	}
}

static int
start(void **state)
{
	(void)state;
	memset(&world, 0, sizeof(world));
	unit_start(&world.unit);
	for (int i = 0; i < OBJECTS; i++)
		assert_int_equal(vm_object_create(world.unit.daemon, world.unit.task, PAGES,
				     OBJECT_ALONE, &world.objects[i]),
		    0);
	for (int i = 0; i < COUNT; i++)
		world.below[i] = NOTHING;
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	for (int i = 0; i < OBJECTS; i++)
		leave(i, 0, PAGES);
	assert_int_equal(world.unit.daemon->copies.count, 0);
	for (int i = 0; i < OBJECTS; i++)
		vm_object_put(world.objects[i]);
	unit_stop(&world.unit);
	return 0;
}

static void
random_ranges(void **state)
{
	(void)state;
	srand(1);
	for (unsigned n = 0; n < 20000; n++) {
		int from = rand() % OBJECTS, to = rand() % OBJECTS, count = 1 + rand() % 10;
		int first = rand() % (PAGES - count + 1), at = rand() % (PAGES - count + 1);

		if (rand() % 4 == 0)
			leave(from, first, count);
		else if (from != to || first + count <= at || at + count <= first)
			copy(from, first, to, at, count);
		look();
	}
}

/* Pieces that follow one another on both sides are one link. */
static void
pieces_are_joined(void **state)
{
	(void)state;
	for (int i = 0; i < PAGES; i += 4)
		copy(0, i, 1, i, 4);
	look();
	assert_int_equal(world.unit.daemon->copies.count, 1);
	leave(1, 8, 4);
	look();
	assert_int_equal(world.unit.daemon->copies.count, 2);
}

/* What leaves piece by piece leaves no more links behind than what leaves at once. */
static void
what_is_bridged_is_joined(void **state)
{
	(void)state;
	copy(0, 0, 1, 0, PAGES);
	copy(1, 0, 2, 0, PAGES);
	for (int i = 0; i < PAGES; i += 4) {
		leave(1, i, 4);
		look();
		assert_true(world.unit.daemon->copies.count <= 3);
	}
	assert_int_equal(world.unit.daemon->copies.count, 1);
}

/* A copy that is not made changes nothing. */
static void
copy_is_refused(void)
{
	uint32_t count = world.unit.daemon->copies.count;

	assert_int_equal(copy_link_insert(world.objects[0], 0, world.unit.object, 0, 1), -ENOMEM);
	assert_int_equal(world.unit.daemon->copies.count, count);
}

/* Ranges leave though there is no memory; meanwhile no copy is made. */
static void
leaving_needs_no_memory(void **state)
{
	struct copy_table *t = &world.unit.daemon->copies;
	unsigned refused = 0;

	(void)state;
	srand(2);
	for (unsigned round = 0; round < 400; round++) {
		for (unsigned n = 0; n < 20; n++) {
			int from = rand() % OBJECTS, to = (from + 1 + rand() % 2) % OBJECTS;
			int count = 8 + rand() % 10;

			copy(from, rand() % (PAGES - count), to, rand() % (PAGES - count), count);
		}
		assert_int_equal(load_relaxed(&t->reserve_count), COPY_RESERVE);
		assert_int_equal(failpt_arm("COPY_LINK_ENOMEM:0:0"), 0);
		alloc_forbid();
		for (unsigned n = 0; n < 10; n++) {
			leave(rand() % OBJECTS, rand() % (PAGES - 3), 1 + rand() % 3);
			look();
			if (load_relaxed(&t->reserve_count) == COPY_RESERVE)
				continue;
			copy_is_refused();
			refused++;
		}
		alloc_allow();
		failpt_disarm_all();
		for (int i = 0; i < OBJECTS && round % 8 == 7; i++)
			leave(i, 0, PAGES);
	}
	assert_true(refused > 100);
	copy(0, 0, 1, 0, 4);
	assert_int_equal(load_relaxed(&t->reserve_count), COPY_RESERVE);
}

/* A page is copied no more than so often; what is there stays as it is. */
static void
a_line_has_an_end(void **state)
{
	struct vm_object *o = world.objects[0], *copies = world.unit.object;
	uint64_t n = 0;

	(void)state;
	/* Each page of the copies is one of page 5. */
	while (copy_link_insert(o, 5, copies, 2 * n, 1) == 0)
		n++;
	assert_int_equal(n, COPY_DEPTH_MAX);
	assert_int_equal(world.unit.daemon->copies.count, COPY_DEPTH_MAX);
	assert_int_equal(copy_depth(copies, 0), COPY_DEPTH_MAX);
	assert_int_equal(copy_link_insert(copies, 0, copies, 2 * n, 1), -EOPNOTSUPP);
	/* Other pages of the object are not concerned. */
	assert_int_equal(copy_link_insert(o, 6, copies, 2 * n, 3), 0);
	/* A range with one such page is. */
	assert_int_equal(copy_link_insert(o, 2, copies, 2 * n + 8, 6), -EOPNOTSUPP);
	/* When one of the line goes there is room for another. */
	assert_int_equal(links_leave(copies, 80, 81), 2);
	assert_int_equal(copy_link_insert(o, 5, copies, 80, 1), 0);
	assert_true(links_leave(copies, 0, UNIT_PAGES) > 0);
	assert_int_equal(world.unit.daemon->copies.count, 0);
}

/* --- what a thread sees that looks without the lock --- */

struct looker {
	atomic_bool is_over, has_begun;
	unsigned too_little;
};

/* Page 0 of object 0 has a copy all the time, in object 1. */
static void *
looker_main(void *argument)
{
	struct looker *l = argument;

	do {
		l->too_little += !vm_object_is_linked(world.objects[0], COPY_ABOVE) ||
				 !vm_object_is_linked(world.objects[1], COPY_BELOW);
		atomic_store(&l->has_begun, true);
	} while (!atomic_load(&l->is_over));
	return NULL;
}

/* A copy comes in between and leaves again. */
static void
flags_are_never_too_few(void **state)
{
	struct looker l = { .too_little = 0 };
	pthread_t thread;

	(void)state;
	copy(0, 0, 1, 0, 4);
	assert_int_equal(pthread_create(&thread, NULL, looker_main, &l), 0);
	while (!atomic_load(&l.has_begun))
		sched_yield();
	for (unsigned n = 0; n < 50000; n++) {
		assert_int_equal(copy_link_insert(world.objects[0], 0, world.objects[2], 0, 4), 0);
		assert_true(vm_object_is_linked(world.objects[2], COPY_ABOVE));
		assert_true(vm_object_is_linked(world.objects[2], COPY_BELOW));
		(void)links_leave(world.objects[2], 0, 4);
		assert_false(vm_object_is_linked(world.objects[2], COPY_ABOVE | COPY_BELOW));
	}
	atomic_store(&l.is_over, true);
	pthread_join(thread, NULL);
	assert_int_equal(l.too_little, 0);
	leave(1, 0, 4);
	assert_false(vm_object_is_linked(world.objects[0], COPY_ABOVE | COPY_BELOW));
	assert_false(vm_object_is_linked(world.objects[1], COPY_ABOVE | COPY_BELOW));
}

/* --- the reserve is empty --- */

struct leaver {
	_Atomic pid_t thread;
	atomic_bool is_done;
};

static void *
leaver_main(void *argument)
{
	struct leaver *l = argument;

	atomic_store(&l->thread, gettid());
	(void)links_leave(world.objects[1], 4, 8);
	atomic_store(&l->is_done, true);
	return NULL;
}

/* It waits for something, and has not left. */
static void
await_asleep(struct leaver *l)
{
	pid_t thread;

	while ((thread = atomic_load(&l->thread)) == 0 || !thread_sleeps(getpid(), thread))
		sched_yield();
	assert_false(atomic_load(&l->is_done));
}

static bool
leaving_has_begun(void)
{
	const struct copy_link *l;
	bool is;

	copies_lock(world.unit.daemon);
	l = copy_link_below_locked(world.objects[1], 4);
	is = l && l->is_leaving;
	copies_unlock(world.unit.daemon);
	return is;
}

static unsigned
reserve_take_all(struct copy_link **ret)
{
	struct daemon *d = world.unit.daemon;
	unsigned n = 0;

	copies_lock(d);
	while (load_relaxed(&d->copies.reserve_count) > 0)
		ret[n++] = copy_reserve_take_locked(d);
	copies_unlock(d);
	return n;
}

static void
reserve_give(struct copy_link *l)
{
	copies_lock(world.unit.daemon);
	copy_reserve_put_locked(world.unit.daemon, l);
	copies_unlock(world.unit.daemon);
}

/* Who cannot be refused, and finds too few links while there is no memory, waits until another one
 * has given so many back. */
static void
leaving_waits_for_links(void **state)
{
	struct copy_link *taken[COPY_RESERVE + COPY_RESERVE_MORE];
	struct leaver l = { .thread = 0 };
	unsigned n;
	pthread_t thread;

	(void)state;
	copy(0, 0, 1, 0, PAGES);
	assert_int_equal(failpt_arm("COPY_LINK_ENOMEM:0:0"), 0);
	n = reserve_take_all(taken);
	assert_int_equal(n, COPY_RESERVE);
	assert_int_equal(pthread_create(&thread, NULL, leaver_main, &l), 0);
	for (unsigned given = 0; given < COPY_SPLITS; given++) {
		await_asleep(&l);
		assert_false(leaving_has_begun());
		reserve_give(taken[--n]);
	}
	while (!leaving_has_begun())
		sched_yield();
	/* Both ends of its range have been parted. Before it looks again there are to be as many as
	 * before. */
	await_asleep(&l);
	assert_int_equal(load_relaxed(&world.unit.daemon->copies.reserve_count), COPY_SPLITS - 2);
	assert_true(leaving_has_begun());
	reserve_give(taken[--n]);
	await_asleep(&l);
	reserve_give(taken[--n]);
	pthread_join(thread, NULL);
	for (int i = 4; i < 8; i++)
		model_leave(PAGES + i);
	look();
	failpt_disarm_all();
	while (n > 0)
		own_free(OWN_COPY_LINK, taken[--n]);
	assert_true(copy_reserve_settle(world.unit.daemon));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(random_ranges, start, stop),
		cmocka_unit_test_setup_teardown(pieces_are_joined, start, stop),
		cmocka_unit_test_setup_teardown(what_is_bridged_is_joined, start, stop),
		cmocka_unit_test_setup_teardown(leaving_needs_no_memory, start, stop),
		cmocka_unit_test_setup_teardown(a_line_has_an_end, start, stop),
		cmocka_unit_test_setup_teardown(leaving_waits_for_links, start, stop),
		cmocka_unit_test_setup_teardown(flags_are_never_too_few, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
