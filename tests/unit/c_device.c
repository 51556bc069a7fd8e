/* SPDX-License-Identifier: MIT
 *
 * Devices: their frames are taken at once and never go; each mapping is billed for its size from
 * when it is made until it is given back, whatever its parts; and who may map them.
 */
#include "c_unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "control/teardown.h"
#include "memorystatus/frame_wait.h"
#include "pageq/policies.h"
#include "region/allocate.h"
#include "region/behave.h"
#include "region/map.h"
#include "region/wire.h"
#include "pagers/device.h"
#include "panics.h"
#include "vm/vm_share.h"

#define PAGE 4096ull

enum { DEVICE_PAGES = 64 };

static struct unit u;
static struct task *tasks[2];

/* Descriptors of clients are closed by the closers only. */
static int handed_in;

void __wrap_closer_close(struct daemon *d, int fd, pid_t pid, uid_t uid);
void
__wrap_closer_close(struct daemon *d, int fd, pid_t pid, uid_t uid)
{
	(void)d;
	(void)pid;
	if (fd < 0)
		return;
	assert_int_equal(uid, getuid());
	handed_in = fd;
	close(fd);
}

static void
device_declare(const char *name, uint64_t pages)
{
	struct device *v = calloc(1, sizeof(*v)), **last = &u.daemon->devices;

	assert_non_null(v);
	snprintf(v->name, sizeof(v->name), "%s", name);
	/* Rounded up to pages. */
	v->bytes = pages * PAGE - 1;
	v->uid = 1000;
	v->gid = 100;
	v->mode = 0640;
	v->cache_mode = PAGER_CACHE_UNCACHED;
	while (*last)
		last = &(*last)->next;
	*last = v;
}

static int
start(void **state)
{
	(void)state;
	unit_start(&u);
	assert_int_equal(policies_create(u.daemon, u.daemon->options.policy), 0);
	assert_int_equal(park_create(u.daemon), 0);
	for (unsigned i = 0; i < ARRAY_LEN(tasks); i++)
		tasks[i] = unit_task_of(u.daemon, getuid() + i);
	return 0;
}

static void
task_end(unsigned n)
{
	store_release(&tasks[n]->state, TASK_DEAD);
	while (task_teardown(tasks[n]))
		continue;
	assert_int_equal(ledger_pages(&tasks[n]->bill.ledger, PAGER_LEDGER_PHYS_FOOTPRINT), 0);
	assert_int_equal(ledger_pages(&tasks[n]->bill.ledger, PAGER_LEDGER_IOKIT_MAPPED), 0);
	task_put(tasks[n]);
	tasks[n] = NULL;
}

static int
stop(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(tasks); i++)
		if (tasks[i])
			task_end(i);
	devices_destroy(u.daemon);
	assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES);
	assert_int_equal(unit_level(&u, STAT_PAGES_DEVICE), 0);
	assert_int_equal(load_relaxed(&u.daemon->slots.own), 0);
	park_destroy(u.daemon);
	policies_destroy(u.daemon);
	unit_stop(&u);
	return 0;
}

static const struct device *
device_start(void)
{
	char message[256] = "";

	device_declare("a", DEVICE_PAGES);
	if (devices_create(u.daemon, message, sizeof(message)) != 0)
		fail_msg("%s", message);
	return device_find(u.daemon, "a");
}

static struct range
range_of(unsigned n, uint64_t first, uint64_t last)
{
	struct range range;

	assert_int_equal(
	    range_init(&range, tasks[n], UNIT_BASE + first * PAGE, (last - first) * PAGE), 0);
	range.stats = stats_shard(&u.daemon->stats, 0);
	return range;
}

/* The task maps the device's first `pages` pages at page `at` of its own. */
static void
map(unsigned n, const struct device *v, uint64_t at, uint64_t pages, bool is_read_only)
{
	struct named_range name = {
		.object = v->object, .end = v->object->page_count, .is_writable = true
	};
	struct range range = range_of(n, at, at + pages);
	struct vm_entry e;

	assert_int_equal(region_map(&range, &name, 0, is_read_only, &e), 0);
	assert_int_equal(e.offset, 0);
}

static int
unmap(unsigned n, uint64_t first, uint64_t last)
{
	struct range range = range_of(n, first, last);
	int error = region_deallocate_begin(&range);

	while (!error && !range_is_done(&range))
		assert_int_equal(region_deallocate(&range), 0);
	return error;
}

static uint64_t
billed(unsigned n)
{
	uint64_t pages = ledger_pages(&tasks[n]->bill.ledger, PAGER_LEDGER_IOKIT_MAPPED);

	assert_int_equal(ledger_pages(&tasks[n]->bill.ledger, PAGER_LEDGER_PHYS_FOOTPRINT), pages);
	assert_int_equal(ledger_pages(&tasks[n]->bill.ledger, PAGER_LEDGER_INTERNAL), 0);
	assert_int_equal(ledger_pages(&tasks[n]->bill.ledger, PAGER_LEDGER_WIRED_MEM), 0);
	/* The limit is on resident pages that can leave. */
	assert_int_equal(load_relaxed(&tasks[n]->bill.process->resident), 0);
	return pages;
}

static void
frames_are_taken_at_once(void **state)
{
	uint64_t wired = share_total(u.daemon, SHARE_WIRED);
	const struct device *v = device_start();
	struct stat st;

	(void)state;
	assert_int_equal(v->bytes, DEVICE_PAGES * PAGE);
	assert_int_equal(unit_level(&u, STAT_PAGES_DEVICE), DEVICE_PAGES);
	assert_int_equal(unit_level(&u, STAT_FRAMES_WIRED), DEVICE_PAGES);
	assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES - DEVICE_PAGES);
	assert_int_equal(unit_level(&u, STAT_PAGES_INTERNAL), 0);
	assert_int_equal(frames_movable(u.daemon), UNIT_FRAMES - DEVICE_PAGES);
	assert_int_equal(frames_resident_movable(u.daemon), 0);
	/* Clients may wire so much less. */
	assert_int_equal(share_total(u.daemon, SHARE_WIRED), wired - DEVICE_PAGES * PAGE);
	/* Its memory is there, in one piece of one memfd. */
	assert_int_equal(fstat(v->object->backing.memfd, &st), 0);
	assert_int_equal(st.st_blocks * 512, DEVICE_PAGES * PAGE);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_ptr_equal(device_of(u.daemon, v->object), v);
	assert_null(device_of(u.daemon, u.object));
	assert_true(pager_is_external(v->object));
	assert_false(pager_is_external(u.object));
	assert_null(device_find(u.daemon, "b"));
	assert_null(device_find(u.daemon, ""));
}

/* Each mapping is billed, its parts as they go, and twice where it is mapped twice. */
static void
mappings_are_billed(void **state)
{
	const struct device *v = device_start();

	(void)state;
	assert_int_equal(billed(0), 0);
	map(0, v, 0, DEVICE_PAGES, false);
	assert_int_equal(billed(0), DEVICE_PAGES);
	map(0, v, 100, 10, true);
	assert_int_equal(billed(0), DEVICE_PAGES + 10);
	map(1, v, 0, 7, false);
	assert_int_equal(billed(1), 7);
	assert_int_equal(unit_level(&u, STAT_PAGES_IOKIT_MAPPED), DEVICE_PAGES + 17);
	assert_int_equal(v->object->mapped_pages, DEVICE_PAGES + 17);
	/* A hole, which makes two mappings of one; the front; the rest. */
	assert_int_equal(unmap(0, 20, 30), 0);
	assert_int_equal(billed(0), DEVICE_PAGES);
	assert_int_equal(unmap(0, 0, 1), 0);
	assert_int_equal(billed(0), DEVICE_PAGES - 1);
	assert_int_equal(unmap(0, 20, 25), -EINVAL);
	assert_int_equal(billed(0), DEVICE_PAGES - 1);
	assert_int_equal(unmap(0, 1, 20), 0);
	assert_int_equal(unmap(0, 30, DEVICE_PAGES), 0);
	assert_int_equal(billed(0), 10);
	/* The ends of clients. */
	task_end(0);
	assert_int_equal(unit_level(&u, STAT_PAGES_IOKIT_MAPPED), 7);
	task_end(1);
	assert_int_equal(unit_level(&u, STAT_PAGES_IOKIT_MAPPED), 0);
	assert_int_equal(v->object->mapped_pages, 0);
	/* The device is as it was. */
	assert_int_equal(unit_level(&u, STAT_PAGES_DEVICE), DEVICE_PAGES);
}

/* No door changes the bill, and none takes a page away. */
static void
nothing_leaves(void **state)
{
	const struct device *v = device_start();
	struct range range;
	struct victim victim;

	(void)state;
	map(0, v, 0, DEVICE_PAGES, false);
	range = range_of(0, 0, DEVICE_PAGES);
	assert_int_equal(region_wire_begin(&range), 0);
	assert_int_equal(region_wire(&range), 0);
	assert_int_equal(tasks[0]->map.wired_bytes, 0);
	assert_int_equal(tasks[0]->wired_billed, 0);
	assert_int_equal(billed(0), DEVICE_PAGES);
	range = range_of(0, 0, DEVICE_PAGES);
	assert_int_equal(region_unwire_begin(&range), 0);
	region_unwire(&range);
	range = range_of(0, 0, DEVICE_PAGES);
	assert_int_equal(region_unwire_begin(&range), -EINVAL);
	assert_int_equal(region_may_leave(&range), -ENOTSUP);
	assert_int_equal(region_cool(&range), 0);
	pageq_lock(u.daemon);
	assert_int_equal(
	    pageq_evict_page_locked(u.daemon, v->object, 3, false, &victim), EVICTION_NONE);
	assert_false(pageq_deactivate_page_locked(u.daemon, v->object, 3));
	assert_false(pageq_choose_page_locked(u.daemon, v->object, 3, &victim));
	pageq_unlock(u.daemon);
	assert_int_equal(billed(0), DEVICE_PAGES);
	assert_int_equal(unit_level(&u, STAT_PAGES_DEVICE), DEVICE_PAGES);
}

static void
rights_are_those_of_a_file(void **state)
{
	const struct device *v = device_start();

	(void)state;
	assert_int_equal(device_rights(v, 0, false), PROT_READ | PROT_WRITE);
	assert_int_equal(device_rights(v, 1000, false), PROT_READ | PROT_WRITE);
	assert_int_equal(device_rights(v, 1001, true), PROT_READ);
	assert_int_equal(device_rights(v, 1001, false), 0);
	u.daemon->devices->mode = 0074;
	/* The first that fits counts, as for a file. */
	assert_int_equal(device_rights(v, 1000, true), 0);
	assert_int_equal(device_rights(v, 1001, true), PROT_READ | PROT_WRITE);
	assert_int_equal(device_rights(v, 1001, false), PROT_READ);
}

static void
return_a_page(void *argument)
{
	struct cref copy;

	pager_data_return(argument, 0, 0, "", 0, &copy);
}

/* Nothing is asked of the device pager: who does has taken a page away that stays. */
static void
its_pager_is_asked_nothing(void **state)
{
	const struct device *v = device_start();

	(void)state;
	assert_true(panics(return_a_page, v->object, "its pages never leave (device)"));
}

static void
what_does_not_fit_is_named(void **state)
{
	char message[256] = "";
	uint64_t most = frames_wire_most(u.daemon);

	(void)state;
	device_declare("first", most - 1);
	device_declare("second", 2);
	assert_int_equal(devices_create(u.daemon, message, sizeof(message)), -ENOSPC);
	assert_non_null(strstr(message, "second=8K does not fit"));
	assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES);
}

/* What a client has given: no frames, and the descriptor goes with the last who needs it. */
static void
foreign_memory_is_only_billed(void **state)
{
	int fd = memfd_create("c_device", MFD_CLOEXEC);
	struct device_memory of = { .owner = tasks[0], .page_count = 8, .fd = fd };
	struct vm_object *o;
	struct device v = { 0 };

	(void)state;
	assert_int_equal(ftruncate(fd, 8 * PAGE), 0);
	assert_int_equal(device_object_create(u.daemon, &of, &o), 0);
	v.object = o;
	map(0, &v, 0, 8, false);
	map(1, &v, 0, 4, true);
	assert_int_equal(billed(0), 8);
	assert_int_equal(billed(1), 4);
	assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES);
	vm_object_put(o);
	/* The maker goes: the other one pays for the object, each for its mapping. */
	task_end(0);
	assert_ptr_equal(o->owner, tasks[1]);
	assert_int_equal(billed(1), 4);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	handed_in = -1;
	task_end(1);
	assert_int_equal(handed_in, fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
		TEST(frames_are_taken_at_once),
		TEST(mappings_are_billed),
		TEST(nothing_leaves),
		TEST(rights_are_those_of_a_file),
		TEST(its_pager_is_asked_nothing),
		TEST(what_does_not_fit_is_named),
		TEST(foreign_memory_is_only_billed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
