/* SPDX-License-Identifier: MIT
 *
 * Files: one memory for all who map one, the end of a file in reads and writes, and what becomes of
 * a page that is written to while it is on the way to its place. The cleaner's thread is the
 * test's.
 */
#include "c_unit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/teardown.h"
#include "failpt.h"
#include "memorystatus/frame_wait.h"
#include "pageout/cleaner_priv.h"
#include "pageq/policies.h"
#include "pagers/pager.h"
#include "pmap/uffd.h"
#include "region/map_file.h"
#include "transit/discard.h"
#include "transit/drop.h"
#include "transit/run.h"

#define PAGE 4096ull

static struct unit u;
static struct task *tasks[2];
static struct cleaner cleaner;
static int file_fd;

/* There are no closers, and no client to be protected or woken. */
void __wrap_closer_close(struct daemon *d, int fd, pid_t pid, uid_t uid);
void
__wrap_closer_close(struct daemon *d, int fd, pid_t pid, uid_t uid)
{
	(void)d;
	(void)pid;
	(void)uid;
	if (fd >= 0)
		close(fd);
}

int __wrap_uffd_protect(int uffd, uint64_t address, size_t bytes);
int
__wrap_uffd_protect(int uffd, uint64_t address, size_t bytes)
{
	(void)uffd;
	(void)address;
	assert_true(bytes > 0);
	return 0;
}

void __wrap_uffd_wake(int uffd, uint64_t address, size_t bytes);
void
__wrap_uffd_wake(int uffd, uint64_t address, size_t bytes)
{
	(void)uffd;
	(void)address;
	assert_true(bytes > 0);
}

static int
start(void **state)
{
	char path[] = "/tmp/c_vnode.XXXXXX";
	struct daemon *d;

	(void)state;
	unit_start(&u);
	d = u.daemon;
	assert_int_equal(policies_create(d, d->options.policy), 0);
	assert_int_equal(park_create(d), 0);
	vnodes_create(d);
	assert_int_equal(returns_create(d), 0);
	for (unsigned i = 0; i < ARRAY_LEN(tasks); i++)
		tasks[i] = unit_task_of(d, getuid() + i);
	cleaner = (struct cleaner){ .daemon = d, .stats = stats_shard(&d->stats, 0) };
	assert_int_equal(swap_channel_create(NULL, RUNS_MAX, RUN_BYTES, &cleaner.channel), 0);
	file_fd = mkstemp(path);
	assert_true(file_fd >= 0);
	unlink(path);
	return 0;
}

/* The cleaner, for an object that nobody maps. */
static void
object_end(struct vm_object *o)
{
	bool is_busy;

	(void)vm_object_drop_clean(cleaner.stats, &cleaner.hole, o, 0, o->page_count, &is_busy);
	assert_false(is_busy);
	assert_true(pager_last_unmap(o));
	(void)vm_object_discard(o, 0, o->page_count);
	vm_object_put(o);
}

static int
stop(void **state)
{
	struct vm_object *o;
	uint32_t cursor = 0;
	unsigned files, objects;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(tasks); i++) {
		store_release(&tasks[i]->state, TASK_DEAD);
		while (task_teardown(tasks[i]))
			continue;
		task_put(tasks[i]);
	}
	while ((o = vm_object_next(u.daemon, &cursor)) != NULL) {
		if (o->external)
			object_end(o);
		vm_object_put(o);
	}
	vnodes_counts(u.daemon, &files, &objects);
	assert_int_equal(files + objects, 0);
	assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES);
	assert_int_equal(unit_level(&u, STAT_PAGES_EXTERNAL), 0);
	swap_channel_destroy(cleaner.channel);
	close(file_fd);
	returns_destroy(u.daemon);
	vnodes_destroy(u.daemon);
	park_destroy(u.daemon);
	policies_destroy(u.daemon);
	unit_stop(&u);
	return 0;
}

/* The file in that many bytes, each of which says in which page it is. */
static void
file_set(uint64_t bytes)
{
	unsigned char page[PAGE];

	assert_int_equal(ftruncate(file_fd, 0), 0);
	for (uint64_t at = 0; at < bytes; at += PAGE) {
		memset(page, (int)(at / PAGE) + 1, PAGE);
		assert_int_equal(pwrite(file_fd, page, min_u64(PAGE, bytes - at), (off_t)at),
		    min_u64(PAGE, bytes - at));
	}
}

static uint64_t
file_size(void)
{
	struct stat st;

	assert_int_equal(fstat(file_fd, &st), 0);
	return (uint64_t)st.st_size;
}

/* Maps a part of the file. => how much of it one object covers; its entry in *ret */
static uint64_t
map(struct task *task, int fd, uint64_t address, uint64_t offset, uint64_t bytes,
    struct vm_entry *ret)
{
	struct range range;

	assert_int_equal(range_init(&range, task, address, bytes), 0);
	range.stats = stats_shard(&u.daemon->stats, 0);
	assert_int_equal(region_map_file(&range, fd, offset, true, ret), 0);
	return range.at - range.address;
}

/* Whatever descriptor it is mapped by, and whoever maps it. */
static void
one_file_is_one_memory(void **state)
{
	struct vm_entry a, b, c;
	unsigned files, objects;
	char path[64];
	int again;

	(void)state;
	file_set(8 * PAGE);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file_fd);
	again = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(map(tasks[0], file_fd, UNIT_BASE, 0, 8 * PAGE, &a), 8 * PAGE);
	assert_int_equal(map(tasks[1], again, UNIT_BASE, 4 * PAGE, 8 * PAGE, &b), 8 * PAGE);
	close(again);
	assert_ptr_equal(a.mapping->object, b.mapping->object);
	assert_int_equal(b.offset, a.offset + 4 * PAGE);
	/* What lies behind the object's pages has another, which begins where that one ends. */
	assert_int_equal(
	    map(tasks[0], file_fd, UNIT_BASE + (64ull << 20), 0, (SLOTS_PER_RUN + 8) * PAGE, &c),
	    SLOTS_PER_RUN * PAGE);
	assert_ptr_equal(a.mapping->object, c.mapping->object);
	assert_int_equal(map(tasks[0], file_fd, UNIT_BASE + (128ull << 20),
			     (SLOTS_PER_RUN - 1) * PAGE, PAGE, &c),
	    PAGE);
	assert_ptr_equal(a.mapping->object, c.mapping->object);
	assert_int_equal(
	    map(tasks[1], file_fd, UNIT_BASE + (128ull << 20), SLOTS_PER_RUN * PAGE, PAGE, &c),
	    PAGE);
	assert_ptr_not_equal(a.mapping->object, c.mapping->object);
	assert_int_equal(c.offset, 0);
	vnodes_counts(u.daemon, &files, &objects);
	assert_int_equal(files, 1);
	assert_int_equal(objects, 2);
	assert_int_equal(
	    share_used(&u.daemon->shares, SHARE_DESCRIPTORS) > VNODE_DESCRIPTORS, true);
}

/* A read of four pages of a file that ends in the third. */
static void
reads_end_with_the_file(void **state)
{
	struct cref copies[4] = { CREF_PLACE, CREF_PLACE, CREF_PLACE, CREF_PLACE };
	struct swap_completion done;
	unsigned char page[PAGE];
	struct pager_read read;
	struct vm_object *o;
	struct vm_entry e;
	void *buffer;

	(void)state;
	file_set(2 * PAGE + 100);
	map(tasks[0], file_fd, UNIT_BASE, 0, 4 * PAGE, &e);
	o = e.mapping->object;
	assert_true(pager_is_away(o, CREF_PLACE));
	assert_int_equal(pager_absent_copy(o).v, CREF_PLACE.v);
	assert_int_equal(pager_slot(o, CREF_PLACE), SLOT_ABSENT);
	for (int is_short = 0; is_short < 2; is_short++) {
		if (is_short)
			assert_int_equal(failpt_arm("FILE_READ_SHORT:0:1"), 0);
		assert_int_equal(pager_read_begin(o, 0, copies, 4, 4 * PAGE, &read), PAGER_OK);
		assert_int_equal(read.count, 4);
		buffer = swap_channel_buffer_get(cleaner.channel);
		memset(buffer, 0xff, 4 * PAGE);
		assert_int_equal(pager_read_submit(o, &read, cleaner.channel, buffer, 3), PAGER_OK);
		assert_int_equal(swap_channel_wait(cleaner.channel), 0);
		assert_int_equal(swap_channel_reap(cleaner.channel, &done, 1), 1);
		assert_int_equal(done.result, 0);
		assert_int_equal(done.bytes, 2 * PAGE + 100);
		read.transferred = done.bytes;
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(pager_read_decode(o, &read, i, buffer, page), PAGER_OK);
			assert_int_equal(page[99], i + 1);
			/* The tail reads as zeroes. */
			assert_int_equal(page[100], i < 2 ? i + 1 : 0);
			assert_int_equal(page[PAGE - 1], i < 2 ? i + 1 : 0);
		}
		assert_int_equal(pager_read_decode(o, &read, 3, buffer, page), PAGER_FAILED);
		pager_read_end(o, &read, 0);
		swap_channel_buffer_put(cleaner.channel, buffer);
	}
}

/* A resident page, dirty, full of that byte. */
static struct vm_page *
page_make(struct vm_object *o, uint64_t index, int byte)
{
	struct fill fill = { .task = tasks[0] };
	unsigned char page[PAGE];
	struct vm_page *p;

	memset(page, byte, PAGE);
	lock_acquire(&o->lock);
	assert_int_equal(fill_begin(u.daemon, o, index, 1, 1, FRAME_WRITE, &fill), RUN_BEGUN);
	lock_release(&o->lock);
	fill.write = true;
	fill.wired = fill.sequential = false;
	p = fill_page(&fill, 0);
	/* It is filled from its place. */
	assert_int_equal(p->cref, CREF_PLACE.v);
	assert_true(uffd_write(o->backing.memfd, index * PAGE, page, PAGE));
	fill_finish(NULL, &fill, 1, PAGE_ACTIVE, true);
	assert_true(load_relaxed(&p->word) & PAGE_DIRTY);
	assert_int_equal(p->cref, 0);
	assert_int_not_equal(load_relaxed(&o->external->dirty_since), 0);
	return p;
}

/* Writes the object's dirty pages; in between, the first page is written to. */
static void
clean(struct vm_object *o, struct vm_page *touched)
{
	struct clean_request r = { .object = o, .high = o->page_count };
	struct swap_completion done;

	store_relaxed(&o->external->dirty_since, 0);
	while (clean_run_begin(&cleaner, &r))
		continue;
	assert_int_equal(r.at, r.high);
	if (touched) {
		uint32_t word = load_relaxed(&touched->word);

		/* It can be read meanwhile, and is dirty still. */
		assert_true(word & PAGE_WRITING && word & PAGE_DIRTY && !(word & PAGE_BUSY));
		vm_page_flags_clear(touched, PAGE_WRITING);
	}
	while (cleaner.in_flight > 0) {
		assert_int_equal(swap_channel_wait(cleaner.channel), 0);
		while (swap_channel_reap(cleaner.channel, &done, 1) > 0)
			clean_run_step(
			    &cleaner, &cleaner.runs[done.cookie], done.result, done.bytes);
	}
}

static bool
is_clean(const struct vm_page *p)
{
	uint32_t word = load_relaxed(&((struct vm_page *)(uintptr_t)p)->word);

	assert_false(word & (PAGE_BUSY | PAGE_WRITING));
	assert_int_equal(p->cref != 0, !(word & PAGE_DIRTY));
	return !(word & PAGE_DIRTY);
}

static int
byte_of(uint64_t offset)
{
	unsigned char byte;

	assert_int_equal(pread(file_fd, &byte, 1, (off_t)offset), 1);
	return byte;
}

/* What is written to while it is on its way stays dirty: its content may differ by now. */
static void
written_meanwhile_stays_dirty(void **state)
{
	struct vm_page *pages[3];
	struct vm_object *o;
	struct vm_entry e;

	(void)state;
	file_set(8 * PAGE);
	map(tasks[0], file_fd, UNIT_BASE, 0, 8 * PAGE, &e);
	o = e.mapping->object;
	for (unsigned i = 0; i < 3; i++)
		pages[i] = page_make(o, 2 * i, 0x70 + (int)i);
	clean(o, pages[0]);
	assert_false(is_clean(pages[0]));
	assert_true(is_clean(pages[1]) && is_clean(pages[2]));
	assert_int_not_equal(load_relaxed(&o->external->dirty_since), 0);
	clean(o, NULL);
	assert_true(is_clean(pages[0]));
	assert_int_equal(load_relaxed(&o->external->dirty_since), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(byte_of(2 * i * PAGE), 0x70 + i);
	/* Those in between have not been written. */
	assert_int_equal(byte_of(PAGE), 2);
	assert_int_equal(pager_sync(o), 0);
}

/* A page whose write fails stays dirty, and the error is told once. */
static void
failed_write_stays_dirty(void **state)
{
	struct vm_object *o;
	struct vm_page *p;
	struct vm_entry e;

	(void)state;
	file_set(2 * PAGE);
	map(tasks[0], file_fd, UNIT_BASE, 0, 2 * PAGE, &e);
	o = e.mapping->object;
	p = page_make(o, 0, 0x55);
	assert_int_equal(failpt_arm("FILE_WRITE_ENOSPC:0:1"), 0);
	clean(o, NULL);
	assert_false(is_clean(p));
	assert_int_not_equal(load_relaxed(&o->external->dirty_since), 0);
	assert_int_equal(pager_sync(o), -ENOSPC);
	assert_int_equal(pager_sync(o), 0);
	assert_int_equal(failpt_arm("FILE_WRITE_SHORT:0:1"), 0);
	clean(o, NULL);
	assert_true(is_clean(p));
	assert_int_equal(byte_of(PAGE - 1), 0x55);
}

/* Pages behind the end are not written, and go: the file is as long as it was. */
static void
no_write_lengthens_the_file(void **state)
{
	struct vm_page *tail;
	struct vm_object *o;
	struct vm_entry e;

	(void)state;
	file_set(4 * PAGE);
	map(tasks[0], file_fd, UNIT_BASE, 0, 4 * PAGE, &e);
	o = e.mapping->object;
	for (unsigned i = 0; i < 4; i++)
		tail = page_make(o, i, 0x60 + (int)i);
	(void)tail;
	/* Somebody has made it shorter. */
	assert_int_equal(ftruncate(file_fd, PAGE + 10), 0);
	clean(o, NULL);
	assert_int_equal(file_size(), PAGE + 10);
	assert_int_equal(byte_of(PAGE), 0x61);
	for (unsigned i = 2; i < 4; i++)
		assert_int_equal(load_relaxed(vm_object_slot(o, i)), SLOT_ABSENT);
	assert_int_equal(load_relaxed(&o->external->dirty_since), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_file_is_one_memory, start, stop),
		cmocka_unit_test_setup_teardown(reads_end_with_the_file, start, stop),
		cmocka_unit_test_setup_teardown(written_meanwhile_stays_dirty, start, stop),
		cmocka_unit_test_setup_teardown(failed_write_stays_dirty, start, stop),
		cmocka_unit_test_setup_teardown(no_write_lengthens_the_file, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
