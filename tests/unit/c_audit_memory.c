/* SPDX-License-Identifier: MIT
 *
 * The check of an object's pages against the memory that the kernel counts for its memfd: a count
 * that is wrong at one look is no alarm, one that stays wrong is found.
 */
#include "c_unit.h"

#include "audit/audit_priv.h"
#include "audit/look.h"

enum { INDEX = 7, PAGE = 4096 };

static struct {
	struct unit u;
	uint32_t frame;
	long long held[2]; /* pages of the memfd, at the first look and later */
	unsigned looks;
	char text[2000];
} world;

long long __wrap_held_bytes(int fd);

long long
__wrap_held_bytes(int fd)
{
	assert_int_equal(fd, world.u.object->backing.memfd);
	return world.held[world.looks++ > 0] * PAGE;
}

/* The page gets a frame, or loses it. */
static void
page_commit(enum page_state from, enum page_state to)
{
	struct daemon *d = world.u.daemon;
	struct vm_object *o = world.u.object;

	lock_acquire(&o->lock);
	assert_int_equal(vm_object_populate(o, INDEX, 1, 1), 1);
	pageq_lock(d);
	if (from == PAGE_ABSENT) {
		struct vm_page *p;

		world.frame = frame_take_locked(d, FRAME_FIRST);
		p = &d->frames.pages[world.frame];
		p->object = o->index;
		p->index = INDEX;
		p->cref = 0;
		vm_page_flags_set(p, PAGE_BUSY);
		vm_page_commit(d, o, world.frame, PAGE_ABSENT, PAGE_FILLING);
		vm_page_commit(d, o, world.frame, PAGE_FILLING, to);
		vm_page_flags_set(p, PAGE_DIRTY);
	} else {
		vm_object_slot_set(o, INDEX, 0);
		vm_page_commit(d, o, world.frame, from, to);
	}
	pageq_unlock(d);
	if (from == PAGE_ABSENT)
		vm_object_slot_set(o, INDEX, slot_resident(world.frame));
	lock_release(&o->lock);
}

/* One page is resident, and the memfd has as many as the looks say. */
static struct report
seen(long long first, long long later, bool is_busy, bool is_exposed, unsigned looks)
{
	struct report r = report_begin(world.text, sizeof(world.text));
	struct vm_page *p;

	unit_start(&world.u);
	page_commit(PAGE_ABSENT, PAGE_ACTIVE);
	p = &world.u.daemon->frames.pages[world.frame];
	world.held[0] = first;
	world.held[1] = later;
	world.looks = 0;
	world.u.object->is_exposed = is_exposed;
	if (!is_busy)
		vm_page_unbusy(p);
	check_objects(world.u.daemon, &r);
	report_end(&r);
	assert_int_equal(world.looks, looks);
	if (!is_busy)
		assert_true(vm_page_busy_only(p));
	page_commit(PAGE_ACTIVE, PAGE_ABSENT);
	unit_stop(&world.u);
	return r;
}

static void
a_count_is_looked_at_again(void **state)
{
	(void)state;
	assert_int_equal(seen(1, 1, false, false, 1).failures, 0);
	assert_int_equal(seen(2, 1, false, false, 2).failures, 0);
	assert_int_equal(seen(0, 1, false, false, 2).failures, 0);
}

static void
a_count_that_stays_wrong_is_found(void **state)
{
	(void)state;
	assert_int_equal(seen(0, 0, false, false, LOOKS).failures, 1);
	assert_int_equal(seen(2, 2, false, false, LOOKS).failures, 1);
	assert_non_null(strstr(world.text, "2 pages in its memfd, 1 resident and 0 busy"));
}

static void
a_busy_page_is_there_or_not(void **state)
{
	(void)state;
	assert_int_equal(seen(0, 0, true, false, 1).failures, 0);
	assert_int_equal(seen(1, 1, true, false, 1).failures, 0);
	assert_int_equal(seen(2, 2, true, false, LOOKS).failures, 1);
}

/* Its client may have planted the page, and nobody waits for the client to take it away. */
static void
what_a_client_planted_is_a_note(void **state)
{
	struct report r = seen(2, 2, false, true, 1);
	(void)state;

	assert_int_equal(r.failures, 0);
	assert_int_equal(r.notes, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_count_is_looked_at_again),
		cmocka_unit_test(a_count_that_stays_wrong_is_found),
		cmocka_unit_test(a_busy_page_is_there_or_not),
		cmocka_unit_test(what_a_client_planted_is_a_note),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
