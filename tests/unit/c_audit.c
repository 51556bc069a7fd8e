/* SPDX-License-Identifier: MIT
 *
 * The check of clients against page tables and address spaces that the test makes up: what the
 * books exclude is found, what changes meanwhile is no false alarm, and what a client may have done
 * by itself is a note.
 */
#include "c_unit.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "audit/audit_priv.h"
#include "pmap/pagemap.h"
#include "pmap/places.h"

enum { INDEX = 7, PAGE = 4096, NOBODY = 65534 };

/* One page's entry in the page tables, as one look after the other sees it; the last one stays. */
enum entry { NOTHING, PROTECTED, WRITABLE };

static struct {
	struct unit u;
	uint32_t frame;
	struct place place, place_later; /* at the first reading, and at later ones */
	enum entry entries[3];
	unsigned looks, readings;
	int error;                    /* of each look */
	void (*at_look)(unsigned);    /* number of the look, from 1; called behind it */
	void (*at_reading)(unsigned); /* the same */
	char text[2008];
} world;

int __wrap_pagemap_scan(struct task *task, uint64_t start, uint64_t end, struct pagemap_run *runs,
    unsigned max, uint64_t *ret_reached);
int __wrap_places_read(
    struct task *task, int (*see)(void *context, const struct place *place), void *context);

int __real_places_read(
    struct task *task, int (*see)(void *context, const struct place *place), void *context);

void __wrap_closer_close(struct daemon *d, int fd, pid_t pid, uid_t uid);

/* There are no closers here. */
void
__wrap_closer_close(struct daemon *d, int fd, pid_t pid, uid_t uid)
{
	(void)d;
	(void)pid;
	(void)uid;
	if (fd >= 0)
		close(fd);
}

int
__wrap_pagemap_scan(struct task *task, uint64_t start, uint64_t end, struct pagemap_run *runs,
    unsigned max, uint64_t *ret_reached)
{
	uint64_t at = UNIT_BASE + INDEX * PAGE;
	enum entry entry = world.entries[world.looks < 2 ? world.looks : 2];

	assert_ptr_equal(task, world.u.task);
	assert_true(max > 0);
	world.looks++;
	*ret_reached = end;
	if (world.at_look)
		world.at_look(world.looks);
	if (world.error)
		return world.error;
	if (entry == NOTHING || start > at || end <= at)
		return 0;
	runs[0] = (struct pagemap_run){ at, at + PAGE, entry == WRITABLE };
	return 1;
}

int
__wrap_places_read(
    struct task *task, int (*see)(void *context, const struct place *place), void *context)
{
	const struct place *place = world.readings == 0 ? &world.place : &world.place_later;

	assert_ptr_equal(task, world.u.task);
	world.readings++;
	if (world.at_reading)
		world.at_reading(world.readings);
	return place->end > place->start ? see(context, place) : 0;
}

static struct vm_page *
page(void)
{
	return &world.u.daemon->frames.pages[world.frame];
}

/* A client that has mapped its one region, which is the whole object. */
static void
world_start(enum entry first, enum entry second)
{
	struct vm_entry entry;
	struct stat st;
	struct unit *u;

	memset(&world, 0, sizeof(world));
	u = &world.u;
	unit_start(u);
	assert_true(task_commit(u->task, TASK_ATTACHING, TASK_ATTACHED));
	entry = (struct vm_entry){ .start = UNIT_BASE,
		.end = UNIT_BASE + UNIT_PAGES * PAGE,
		.mapping = vm_mapping_get(u->mapping) };
	unit_map(u->task, &entry);
	assert_int_equal(fstat(u->object->backing.memfd, &st), 0);
	world.place = (struct place){ .start = entry.start,
		.end = entry.end,
		.device = st.st_dev,
		.inode = st.st_ino,
		.is_shared = true,
		.is_accessible = true,
		.is_registered = true };
	world.place_later = world.place;
	world.frame = FRAME_NONE;
	world.entries[0] = first;
	world.entries[1] = world.entries[2] = second;
}

/* The page is resident and clean. */
static void
page_make(void)
{
	struct daemon *d = world.u.daemon;
	struct vm_object *o = world.u.object;

	lock_acquire(&o->lock);
	assert_int_equal(vm_object_populate(o, INDEX, 1, 1), 1);
	pageq_lock(d);
	world.frame = frame_take_locked(d, FRAME_FIRST);
	page()->object = o->index;
	page()->index = INDEX;
	page()->cref = 1;
	vm_page_flags_set(page(), PAGE_BUSY);
	vm_page_commit(d, o, world.frame, PAGE_ABSENT, PAGE_FILLING);
	vm_page_commit(d, o, world.frame, PAGE_FILLING, PAGE_ACTIVE);
	pageq_unlock(d);
	vm_object_slot_set(o, INDEX, slot_resident(world.frame));
	lock_release(&o->lock);
	vm_page_unbusy(page());
}

/* The page is let go again, by whoever held it. */
static void
world_stop(void)
{
	struct vm_object *o = world.u.object;
	struct vm_entry entry;

	assert_null(o->holes);
	if (world.frame != FRAME_NONE) {
		lock_acquire(&o->lock);
		assert_true(vm_page_busy_only(page()));
		page()->cref = 0;
		vm_object_slot_set(o, INDEX, 0);
		pageq_lock(world.u.daemon);
		vm_page_commit(world.u.daemon, o, world.frame, PAGE_ACTIVE, PAGE_ABSENT);
		pageq_unlock(world.u.daemon);
		lock_release(&o->lock);
	}
	entry = unit_unmap(world.u.task);
	vm_mapping_put(entry.mapping);
	unit_stop(&world.u);
}

static struct report
check(void)
{
	struct report r = report_begin(world.text, sizeof(world.text));

	check_clients(world.u.daemon, &r);
	report_end(&r);
	return r;
}

static void
expect(unsigned failures, unsigned notes, const char *text)
{
	struct report r = check();

	if (r.failures != failures || r.notes != notes || !strstr(world.text, text))
		fail_msg("%u failures, %u notes: %s", r.failures, r.notes, world.text);
	assert_int_equal(r.clients, 1);
	assert_int_equal(r.clients_unseen, 0);
}

static void
protected_is_sound(void **state)
{
	struct report r;
	(void)state;

	world_start(PROTECTED, PROTECTED);
	page_make();
	r = check();
	assert_int_equal(r.failures + r.notes, 0);
	assert_int_equal(r.clients, 1);
	assert_int_equal(r.regions, 1);
	assert_int_equal(r.pages, 1);
	assert_int_equal(world.looks, 1);
	world_stop();
}

static void
clean_and_writable_is_found(void **state)
{
	(void)state;
	world_start(WRITABLE, WRITABLE);
	page_make();
	expect(1, 0, "page 7 at 0x700000007000: clean, and not write-protected");
	world_stop();
}

static void
protected_at_the_second_look(void **state)
{
	(void)state;
	world_start(WRITABLE, PROTECTED);
	page_make();
	expect(0, 0, "");
	assert_int_equal(world.looks, 2);
	world_stop();
}

static void
write_after_first_look(unsigned look)
{
	if (look > 1)
		return;
	page()->cref = 0;
	vm_page_flags_set(page(), PAGE_DIRTY);
}

static void
dirty_is_writable(void **state)
{
	(void)state;
	world_start(WRITABLE, WRITABLE);
	page_make();
	world.at_look = write_after_first_look;
	expect(0, 0, "");
	world_stop();
}

static void
busy_after_first_look(unsigned look)
{
	if (look == 1)
		vm_page_flags_set(page(), PAGE_BUSY);
}

static void
busy_is_left_alone(void **state)
{
	(void)state;
	world_start(WRITABLE, WRITABLE);
	page_make();
	world.at_look = busy_after_first_look;
	expect(0, 0, "");
	assert_true(load_relaxed(&page()->word) & PAGE_BUSY);
	vm_page_unbusy(page());
	world_stop();
}

static bool kept_still;

static void
see_whether_kept(unsigned look)
{
	if (look == 2)
		kept_still = world.frame == FRAME_NONE
				 ? world.u.object->holes && world.u.object->holes->low == INDEX
				 : (load_relaxed(&page()->word) & PAGE_BUSY) != 0;
}

static void
page_is_kept_still_at_the_second_look(void **state)
{
	(void)state;
	for (unsigned with_page = 0; with_page < 2; with_page++) {
		world_start(WRITABLE, NOTHING);
		if (with_page)
			page_make();
		kept_still = false;
		world.at_look = see_whether_kept;
		expect(0, 0, "");
		assert_true(kept_still);
		world_stop();
	}
}

static void
present_without_frame_is_found(void **state)
{
	(void)state;
	world_start(PROTECTED, PROTECTED);
	expect(1, 0, "page 7 at 0x700000007000: in the page tables, and the books have no frame");
	world_stop();
}

static void
hole_is_left_alone(void **state)
{
	struct hole hole;
	(void)state;

	world_start(PROTECTED, PROTECTED);
	lock_acquire(&world.u.object->lock);
	vm_object_hole_begin(world.u.object, &hole, INDEX - 1, INDEX + 1);
	lock_release(&world.u.object->lock);
	expect(0, 0, "");
	lock_acquire(&world.u.object->lock);
	assert_false(vm_object_hole_end(world.u.object, &hole));
	lock_release(&world.u.object->lock);
	world_stop();
}

static void
what_nobody_does_is_a_note(void **state)
{
	uid_t own;
	(void)state;

	world_start(WRITABLE, WRITABLE);
	page_make();
	own = world.u.task->uid;
	world.u.task->uid = NOBODY;
	expect(0, 1, "note: process");
	world.place.offset = PAGE;
	world.place_later = world.place;
	/* The region shows other pages, and so it is not mapped, and what it shows is in none. */
	expect(0, 3, "show other pages");
	world.u.task->uid = own;
	world_stop();
}

static void
unregistered_is_a_note(void **state)
{
	(void)state;
	world_start(WRITABLE, WRITABLE);
	page_make();
	world.place.is_registered = world.place_later.is_registered = false;
	expect(0, 1, "not mapped, or not registered: 1, the first at 0x700000000000");
	assert_int_equal(world.looks, 0);
	world.place_later.end = world.place.end = 0;
	expect(0, 1, "not mapped");
	world_stop();
}

static void
mapped_in_time(void **state)
{
	(void)state;
	world_start(PROTECTED, PROTECTED);
	page_make();
	/* Between the request and the mapping. */
	world.place.end = 0;
	expect(0, 0, "");
	assert_int_equal(world.looks, 1);
	world_stop();
}

static void
other_pages_are_found(void **state)
{
	(void)state;
	world_start(PROTECTED, PROTECTED);
	world.place.offset = world.place_later.offset = PAGE;
	expect(1, 2,
	    "regions that show other pages than the books say: 1, the first at 0x700000000000");
	world_stop();
}

static void
mapping_gone_after_the_looks(void **state)
{
	(void)state;
	world_start(WRITABLE, WRITABLE);
	page_make();
	world.place_later.inode++;
	expect(0, 0, "");
	assert_int_equal(world.readings, 2);
	world_stop();
}

static void
change_map(unsigned reading)
{
	struct task *task = world.u.task;

	(void)reading;
	lock_acquire(&task->map.lock);
	task->map.version++;
	lock_release(&task->map.lock);
}

static void
expect_unseen(void)
{
	struct report r = check();

	assert_int_equal(r.failures + r.notes, 0);
	assert_int_equal(r.clients, 0);
	assert_int_equal(r.clients_unseen, 1);
}

static void
what_cannot_be_seen_is_counted(void **state)
{
	(void)state;
	world_start(WRITABLE, WRITABLE);
	page_make();
	/* Its map is another one whenever it has been looked at. */
	world.at_reading = change_map;
	expect_unseen();
	world.at_reading = NULL;
	world.error = -EACCES;
	expect_unseen();
	world.error = 0;
	world.looks = world.readings = 0;
	store_relaxed(&world.u.task->lane, 1);
	expect_unseen();
	assert_int_equal(world.looks + world.readings, 0);
	store_relaxed(&world.u.task->lane, LANE_COMMON);
	world_stop();
}

struct wanted {
	const struct place *place;
	unsigned seen;
};

static int
see_wanted(void *context, const struct place *place)
{
	struct wanted *wanted = context;

	if (place->inode != wanted->place->inode || place->device != wanted->place->device)
		return 0;
	assert_int_equal(place->start, wanted->place->start);
	assert_int_equal(place->end, wanted->place->end);
	assert_int_equal(place->offset, wanted->place->offset);
	assert_int_equal(place->is_shared, wanted->place->is_shared);
	assert_int_equal(place->is_accessible, wanted->place->is_accessible);
	assert_int_equal(place->is_registered, wanted->place->is_registered);
	wanted->seen++;
	return 0;
}

static int
see_none(void *context, const struct place *place)
{
	(void)context;
	(void)place;
	return -ENOMEM;
}

/* This process's own mappings, as the kernel tells them. */
static void
places_are_read(void **state)
{
	struct wanted wanted = { .place = &world.place };
	struct task *task;
	unsigned char *at;
	(void)state;

	world_start(NOTHING, NOTHING);
	task = world.u.task;
	assert_int_equal(__real_places_read(task, see_wanted, &wanted), -ESRCH);
	task->pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0u);
	assert_true(task->pidfd >= 0);
	for (int protection = PROT_NONE; protection <= PROT_READ; protection++) {
		at = mmap(NULL, 3 * PAGE, protection, MAP_SHARED, world.u.object->backing.memfd,
		    5 * PAGE);
		assert_ptr_not_equal(at, MAP_FAILED);
		world.place.start = (uintptr_t)at;
		world.place.end = world.place.start + 3 * PAGE;
		world.place.offset = 5 * PAGE;
		world.place.is_accessible = protection != PROT_NONE;
		world.place.is_registered = false;
		wanted.seen = 0;
		assert_int_equal(__real_places_read(task, see_wanted, &wanted), 0);
		assert_int_equal(wanted.seen, 1);
		munmap(at, 3 * PAGE);
	}
	assert_int_equal(__real_places_read(task, see_none, NULL), -ENOMEM);
	store_relaxed(&task->lane, 1);
	assert_int_equal(__real_places_read(task, see_none, NULL), -EAGAIN);
	store_relaxed(&task->lane, LANE_COMMON);
	world_stop();
}

static void
region_outside_its_mapping_is_found(void **state)
{
	struct vm_map *map;
	(void)state;

	world_start(PROTECTED, PROTECTED);
	page_make();
	map = &world.u.task->map;
	map->entries[0].end -= PAGE;
	map->entries[0].offset = PAGE;
	map->virtual_bytes -= PAGE;
	/* And so it shows other pages, too. */
	expect(2, 2, "regions that do not lie in their mappings: 1");
	world_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(protected_is_sound),
		cmocka_unit_test(clean_and_writable_is_found),
		cmocka_unit_test(protected_at_the_second_look),
		cmocka_unit_test(dirty_is_writable),
		cmocka_unit_test(busy_is_left_alone),
		cmocka_unit_test(page_is_kept_still_at_the_second_look),
		cmocka_unit_test(present_without_frame_is_found),
		cmocka_unit_test(hole_is_left_alone),
		cmocka_unit_test(what_nobody_does_is_a_note),
		cmocka_unit_test(unregistered_is_a_note),
		cmocka_unit_test(mapped_in_time),
		cmocka_unit_test(other_pages_are_found),
		cmocka_unit_test(mapping_gone_after_the_looks),
		cmocka_unit_test(what_cannot_be_seen_is_counted),
		cmocka_unit_test(places_are_read),
		cmocka_unit_test(region_outside_its_mapping_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
