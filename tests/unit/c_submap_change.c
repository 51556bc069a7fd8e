/* SPDX-License-Identifier: MIT
 *
 * Faults on submaps, and changes under them: what a fault may do says the region, what is removed
 * is nobody's until its pages are gone, and taking rights away leaves the content where it is.
 */
#include "fault_fixture.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "fault/refuse.h"
#include "fault/target.h"
#include "pmap/uffd.h"
#include "region/prefetch.h"
#include "region/submap_change.h"
#include "transit/run.h"
#include "vm/vm_share.h"

#define PAGE 4096ull
#define BASE (UNIT_BASE + UNIT_PAGES * PAGE)
#define RW   ((uint32_t)(PROT_READ | PROT_WRITE))

enum { PAGES = 1024 };

static struct unit u;
static struct fault_server *server;
static struct vm_object *o;
static struct vm_mapping *mapping;

static volatile sig_atomic_t signals;
static void *volatile signal_address;

static void
on_signal(int number, siginfo_t *info, void *context)
{
	(void)number, (void)context;
	signals++;
	signal_address = info->si_addr;
}

static int
start(void **state)
{
	struct vm_entry e = { .start = BASE, .end = BASE + PAGES * PAGE, .protection = RW };

	(void)state;
	server = faults_start(&u);
	assert_int_equal(prefetch_create(u.daemon), 0);
	assert_int_equal(vm_object_create(u.daemon, u.task, PAGES, OBJECT_SHAREABLE, &o), 0);
	assert_int_equal(submap_create(o), 0);
	assert_int_equal(vm_mapping_create(o, u.task, BASE, 0, PAGES, &mapping), 0);
	e.mapping = mapping;
	unit_map(u.task, &e);
	return 0;
}

/* cmocka has handlers of its own, from after the setup on. */
static void
signals_catch(void)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	signals = 0;
	assert_int_equal(sigaction(SIGSEGV, &action, NULL), 0);
}

static int
stop(void **state)
{
	struct vm_entry e;

	(void)state;
	/* It lies above the fixture's. */
	lock_acquire(&u.task->map.lock);
	e = vm_map_remove_at(&u.task->map, 1);
	lock_release(&u.task->map.lock);
	vm_object_settle(o);
	for (struct submap_region region; submap_region_at(o, 0, &region);) {
		struct submap_change c = { .object = o,
			.stats = server->stats,
			.first = region.start,
			.at = region.start,
			.end = region.end };

		assert_int_equal(region_submap_remove(&c), 0);
		while (c.at < c.end)
			region_submap_discard(&c);
	}
	assert_int_equal(o->submap->count, 0);
	vm_mapping_put(e.mapping);
	vm_object_put(o);
	prefetch_destroy(u.daemon);
	faults_stop(&u);
	return 0;
}

static void
add(uint64_t first, uint64_t count, uint32_t protection)
{
	struct submap_place place = { .is_fixed = true, .first = first, .count = count };

	assert_int_equal(region_submap_add(o, &place, protection, 0, &first), 0);
}

static struct fault
fault_in(uint64_t page, uint32_t flags)
{
	return (struct fault){ .task = u.task,
		.address = BASE + page * PAGE + 5,
		.flags = flags,
		.thread = (uint32_t)syscall(SYS_gettid) };
}

static enum fault_outcome
touch(uint64_t page, uint32_t flags)
{
	struct fault f = fault_in(page, flags);
	enum wait_for wait;

	return fault_handle(server, &f, &wait);
}

static enum target_found
find(uint64_t page, uint32_t flags, struct target *ret)
{
	struct fault f = fault_in(page, flags);
	enum target_found found = target_find(u.daemon, &f, ret);

	if (found == TARGET_FOUND) {
		lock_release(&ret->object->lock);
		vm_object_put(ret->object);
	}
	return found;
}

static enum slot_kind
kind(uint64_t page)
{
	return slot_kind(load_relaxed(vm_object_slot(o, page)));
}

/* What a fault may do is what the region says, and it sees no further than the region. */
static void
targets(void **state)
{
	static const struct {
		uint64_t page;
		enum target_found read, write;
		uint64_t low, high;
	} rows[] = {
		{ 9, TARGET_FORBIDDEN, TARGET_FORBIDDEN, 0, 0 },
		{ 10, TARGET_FOUND, TARGET_FOUND, 10, 20 },
		{ 19, TARGET_FOUND, TARGET_FOUND, 10, 20 },
		{ 20, TARGET_FOUND, TARGET_FORBIDDEN, 20, 30 },
		{ 30, TARGET_FORBIDDEN, TARGET_FORBIDDEN, 0, 0 },
		{ 40, TARGET_FORBIDDEN, TARGET_FORBIDDEN, 0, 0 },
		{ PAGES - 1, TARGET_FOUND, TARGET_FOUND, 50, PAGES },
	};
	struct target t;

	(void)state;
	add(10, 10, RW);
	add(20, 10, PROT_READ);
	add(30, 10, PROT_NONE);
	add(50, PAGES - 50, RW);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(find(rows[i].page, 0, &t), rows[i].read);
		if (rows[i].read == TARGET_FOUND) {
			assert_int_equal(t.low, rows[i].low);
			assert_int_equal(t.high, rows[i].high);
			assert_int_equal(t.is_read_only, rows[i].write == TARGET_FORBIDDEN);
		}
		assert_int_equal(find(rows[i].page, UFFD_FAULT_WRITE, &t), rows[i].write);
		assert_int_equal(
		    find(rows[i].page, UFFD_FAULT_WP | UFFD_FAULT_WRITE, &t), rows[i].write);
	}
	assert_int_equal(load_relaxed(&o->references), 2);
}

/* Forbidden touches: the thread gets SIGSEGV with the address, nothing is filled, no page is
 * planted; one that was put aside is sent back instead. */
static void
violations(void **state)
{
	uint64_t counted = 0;
	struct fault f;
	enum wait_for wait;

	(void)state;
	signals_catch();
	add(10, 10, PROT_READ);
	/* A thread that has waited in the hole goes on. */
	assert_int_equal(world.wakes, 1);
	world.wakes = 0;
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(touch((uint64_t[]){ 5, 5, 12 }[i],
				     (uint32_t[]){ 0, UFFD_FAULT_WRITE, UFFD_FAULT_WRITE }[i]),
		    FAULT_ANSWERED);
		assert_int_equal(signals, i + 1);
		assert_true(
		    (uintptr_t)signal_address == fault_in((uint64_t[]){ 5, 5, 12 }[i], 0).address);
	}
	for (unsigned shard = 0; shard < shard_count(u.daemon); shard++)
		counted +=
		    load_relaxed(&stats_shard(&u.daemon->stats, shard).counters[STAT_VIOLATIONS]);
	assert_int_equal(counted, 3);
	assert_int_equal(world.zeropages + world.poisons + world.continues + world.wakes, 0);
	f = fault_in(5, 0);
	f.is_kept = true;
	assert_int_equal(fault_handle(server, &f, &wait), FAULT_ANSWERED);
	assert_int_equal(signals, 3);
	assert_int_equal(world.wakes, 1);
	assert_int_equal(world.woken, BASE + 5 * PAGE);
	/* Nor is it poisoned where memory is full. */
	f.is_kept = false;
	assert_true(fault_refuse(server, &f, REFUSED_FRAMES));
	assert_int_equal(signals, 4);
	assert_int_equal(world.poisons, 0);
	assert_int_equal(vm_object_next_live(o, 0, PAGES), PAGES);
}

/* Removed pages are discarded piece by piece, and those that lie around them stay. */
static void
removed(void **state)
{
	struct submap_change c = {
		.object = o, .stats = server->stats, .first = 100, .at = 100, .end = 900
	};
	struct submap_place place = { .is_fixed = true, .first = 899, .count = 1 };
	uint64_t gone = 0, at;

	(void)state;
	signals_catch();
	add(50, 900, RW);
	for (uint64_t i = 50; i < 950; i++)
		assert_int_equal(touch(i, UFFD_FAULT_WRITE), FAULT_ANSWERED);
	assert_int_equal(kind(500), SLOT_RESIDENT);
	assert_int_equal(region_submap_remove(&c), 0);
	assert_int_equal(kind(500), SLOT_RESIDENT);
	assert_int_equal(touch(500, 0), FAULT_ANSWERED);
	assert_int_equal(signals, 1);
	assert_int_equal(region_submap_add(o, &place, RW, 0, &at), -EEXIST);
	while (c.at < c.end) {
		region_submap_discard(&c);
		gone += c.pages;
	}
	assert_int_equal(gone, 800);
	for (uint64_t i = 50; i < 950; i++)
		assert_int_equal(kind(i), i < 100 || i >= 900 ? SLOT_RESIDENT : SLOT_ABSENT);
	assert_int_equal(region_submap_add(o, &place, RW, 0, &at), 0);
	c = (struct submap_change){ .object = o, .first = 99, .at = 99, .end = 101 };
	assert_int_equal(region_submap_remove(&c), -EINVAL);
}

/* Without rights a page leaves all page tables, and keeps its content: no mapping of the memfd
 * shows it before it is touched anew, and nothing else has changed. */
static void
lowered(void **state)
{
	struct submap_change c = {
		.object = o, .stats = server->stats, .first = 0, .at = 0, .end = 200
	};
	unsigned char *seen = mmap(NULL, 200 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			  o->backing.memfd, 0),
		      present[200];

	(void)state;
	signals_catch();
	assert_true(seen != MAP_FAILED);
	add(0, 200, RW);
	for (uint64_t i = 0; i < 100; i++) {
		assert_int_equal(touch(i, UFFD_FAULT_WRITE), FAULT_ANSWERED);
		memset(seen + i * PAGE, (int)i, PAGE);
	}
	assert_int_equal(region_submap_protect(&c, PROT_NONE, false), 0);
	while (c.at < c.end)
		region_submap_lower(&c);
	for (uint64_t i = 0; i < 200; i++) {
		assert_int_equal(kind(i), i < 100 ? SLOT_RESIDENT : SLOT_ABSENT);
		assert_int_equal(pread(o->backing.memfd, present, 1, (off_t)(i * PAGE + i)), 1);
		assert_int_equal(present[0], i < 100 ? i : 0);
	}
	/* The kernel has no entry for them: what was mapped has been punched away. */
	for (uint64_t i = 0; i < 100; i++) {
		uint64_t entry;
		int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

		assert_int_equal(
		    pread(fd, &entry, 8, (off_t)(((uintptr_t)seen + i * PAGE) / PAGE * 8)), 8);
		assert_int_equal(entry >> 63, 0);
		close(fd);
	}
	assert_int_equal(touch(3, 0), FAULT_ANSWERED);
	assert_int_equal(signals, 1);
	c.at = c.first;
	assert_int_equal(region_submap_protect(&c, RW, false), 0);
	while (c.at < c.end)
		region_submap_lower(&c);
	for (uint64_t i = 0; i < 100; i++)
		assert_true(seen[i * PAGE] == (unsigned char)i && seen[i * PAGE + 4095] == i);
	munmap(seen, 200 * PAGE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(targets, start, stop),
		cmocka_unit_test_setup_teardown(violations, start, stop),
		cmocka_unit_test_setup_teardown(removed, start, stop),
		cmocka_unit_test_setup_teardown(lowered, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
