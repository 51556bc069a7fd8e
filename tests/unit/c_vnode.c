/* SPDX-License-Identifier: MIT
 *
 * Files: one memory for all who map one, the end of a file in reads and writes, and what becomes of
 * a page that is written to while it is on the way to its place. The cleaner's thread is the
 * test's.
 */
#include "vnode_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failpt.h"
#include "fault/swapin.h"
#include "pagers/marks.h"
#include "pagers/pager.h"
#include "pagers/vnode_index.h"
#include "pmap/uffd.h"
#include "region/map_file.h"
static uint64_t
file_size(void)
{
	struct stat st;

	assert_int_equal(fstat(vf.file, &st), 0);
	return (uint64_t)st.st_size;
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
	snprintf(path, sizeof(path), "/proc/self/fd/%d", vf.file);
	again = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(file_map(vf.tasks[0], vf.file, UNIT_BASE, 0, 8 * PAGE, &a), 8 * PAGE);
	assert_int_equal(file_map(vf.tasks[1], again, UNIT_BASE, 4 * PAGE, 8 * PAGE, &b), 8 * PAGE);
	close(again);
	assert_ptr_equal(a.mapping->object, b.mapping->object);
	assert_int_equal(b.offset, a.offset + 4 * PAGE);
	/* What lies behind the object's pages has another, which begins where that one ends. */
	assert_int_equal(file_map(vf.tasks[0], vf.file, UNIT_BASE + (64ull << 20), 0,
			     (SLOTS_PER_RUN + 8) * PAGE, &c),
	    SLOTS_PER_RUN * PAGE);
	assert_ptr_equal(a.mapping->object, c.mapping->object);
	assert_int_equal(file_map(vf.tasks[0], vf.file, UNIT_BASE + (128ull << 20),
			     (SLOTS_PER_RUN - 1) * PAGE, PAGE, &c),
	    PAGE);
	assert_ptr_equal(a.mapping->object, c.mapping->object);
	assert_int_equal(file_map(vf.tasks[1], vf.file, UNIT_BASE + (128ull << 20),
			     SLOTS_PER_RUN * PAGE, PAGE, &c),
	    PAGE);
	assert_ptr_not_equal(a.mapping->object, c.mapping->object);
	assert_int_equal(c.offset, 0);
	vnodes_counts(vf.u.daemon, &files, &objects);
	assert_int_equal(files, 1);
	assert_int_equal(objects, 2);
	assert_int_equal(
	    share_used(&vf.u.daemon->shares, SHARE_DESCRIPTORS) > VNODE_DESCRIPTORS, true);
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
	file_map(vf.tasks[0], vf.file, UNIT_BASE, 0, 4 * PAGE, &e);
	o = e.mapping->object;
	assert_true(pager_is_away(o, CREF_PLACE));
	assert_int_equal(pager_absent_copy(o).v, CREF_PLACE.v);
	assert_int_equal(pager_slot(o, CREF_PLACE), SLOT_ABSENT);
	for (int is_short = 0; is_short < 2; is_short++) {
		if (is_short)
			assert_int_equal(failpt_arm("FILE_READ_SHORT:0:1"), 0);
		assert_int_equal(pager_read_begin(o, 0, copies, 4, 4 * PAGE, &read), PAGER_OK);
		assert_int_equal(read.count, 4);
		buffer = swap_channel_buffer_get(vf.cleaner.channel);
		memset(buffer, 0xff, 4 * PAGE);
		assert_int_equal(
		    pager_read_submit(o, &read, vf.cleaner.channel, buffer, 3), PAGER_OK);
		assert_int_equal(swap_channel_wait(vf.cleaner.channel), 0);
		assert_int_equal(swap_channel_reap(vf.cleaner.channel, &done, 1), 1);
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
		swap_channel_buffer_put(vf.cleaner.channel, buffer);
	}
}

/* => what an msync would say */
static int
file_sync_result(const struct vm_object *o)
{
	struct swap_completion done;

	assert_true(pager_sync_submit(o, vf.cleaner.channel, 7));
	assert_int_equal(swap_channel_wait(vf.cleaner.channel), 0);
	assert_int_equal(swap_channel_reap(vf.cleaner.channel, &done, 1), 1);
	assert_int_equal(done.cookie, 7);
	return pager_sync_result(o, done.result);
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
	file_map(vf.tasks[0], vf.file, UNIT_BASE, 0, 8 * PAGE, &e);
	o = e.mapping->object;
	for (unsigned i = 0; i < 3; i++)
		pages[i] = page_make(o, 2 * i, 0x70 + (int)i);
	pages_clean(o, pages[0]);
	assert_false(page_is_clean(pages[0]));
	assert_true(page_is_clean(pages[1]) && page_is_clean(pages[2]));
	assert_int_not_equal(load_relaxed(&o->external->dirty_since), 0);
	pages_clean(o, NULL);
	assert_true(page_is_clean(pages[0]));
	assert_int_equal(load_relaxed(&o->external->dirty_since), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(byte_of(2 * i * PAGE), 0x70 + i);
	/* Those in between have not been written. */
	assert_int_equal(byte_of(PAGE), 2);
	assert_int_equal(file_sync_result(o), 0);
}

/* A read of one page, for a thread that waits. moved: its client's lane has changed by the end. =>
 * whether the page's memory was there while the read was under way */
static bool
page_read(struct vm_object *o, uint64_t index, bool moved)
{
	struct swapin swapins[2] = { 0 };
	struct daemon *d = vf.u.daemon;
	struct fault_seat seat = { .magic = FAULT_SEAT_MAGIC,
		.daemon = d,
		.depth = ARRAY_LEN(swapins),
		.swapins = swapins,
		.channel = vf.cleaner.channel,
		.channel_buffer_bytes = PAGE };
	struct fault_server server = { .magic = FAULT_SERVER_MAGIC,
		.daemon = d,
		.seat = &seat,
		.stats = stats_shard(&d->stats, 0),
		.bounce = aligned_alloc(PAGE, PAGE) };
	struct fault f = { .task = vf.tasks[0], .address = UNIT_BASE + index * PAGE };
	struct fill fill = { .task = vf.tasks[0], .base = UNIT_BASE };
	struct stat before, under_way;

	assert_int_equal(fstat(o->backing.memfd, &before), 0);
	lock_acquire(&o->lock);
	assert_int_equal(fill_begin(d, o, index, 1, 1, FRAME_READ, &fill), RUN_BEGUN);
	lock_release(&o->lock);
	fill.write = fill.wired = fill.sequential = false;
	assert_int_equal(swapin_start(&server, &f, &fill), FAULT_PENDING);
	assert_int_equal(fstat(o->backing.memfd, &under_way), 0);
	store_release(&vf.tasks[0]->lane, moved);
	while (seat.swapins_used > 0) {
		assert_int_equal(swap_channel_wait(seat.channel), 0);
		swapin_reap(&server);
	}
	store_release(&vf.tasks[0]->lane, LANE_COMMON);
	free(server.bounce);
	return under_way.st_blocks > before.st_blocks;
}

/* The memory of a page is made ready while the disk works; if nothing comes of the read it goes. */
static void
memory_is_ready_when_the_read_ends(void **state)
{
	struct vm_object *o;
	struct vm_entry e;
	struct stat st;
	char byte;

	(void)state;
	file_set(4 * PAGE);
	file_map(vf.tasks[0], vf.file, UNIT_BASE, 0, 4 * PAGE, &e);
	o = e.mapping->object;
	assert_true(page_read(o, 1, true));
	assert_int_equal(load_relaxed(vm_object_slot(o, 1)), SLOT_ABSENT);
	assert_int_equal(fstat(o->backing.memfd, &st), 0);
	assert_int_equal(st.st_blocks, 0);
	assert_true(page_read(o, 1, false));
	assert_int_equal(slot_kind(load_relaxed(vm_object_slot(o, 1))), SLOT_RESIDENT);
	assert_int_equal(pread(o->backing.memfd, &byte, 1, PAGE), 1);
	assert_int_equal(byte, 2);
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
	file_map(vf.tasks[0], vf.file, UNIT_BASE, 0, 2 * PAGE, &e);
	o = e.mapping->object;
	p = page_make(o, 0, 0x55);
	assert_int_equal(failpt_arm("FILE_WRITE_ENOSPC:0:1"), 0);
	pages_clean(o, NULL);
	assert_false(page_is_clean(p));
	assert_int_not_equal(load_relaxed(&o->external->dirty_since), 0);
	assert_int_equal(file_sync_result(o), -ENOSPC);
	assert_int_equal(file_sync_result(o), 0);
	assert_int_equal(failpt_arm("FILE_WRITE_SHORT:0:1"), 0);
	pages_clean(o, NULL);
	assert_true(page_is_clean(p));
	assert_int_equal(byte_of(PAGE - 1), 0x55);
}

/* Pages that do not lie side by side are written at the same time, with one look at the size; what
 * cannot be written of them stays dirty, and the others do not. */
static void
scattered_pages_are_one_run(void **state)
{
	struct clean_request r;
	struct vm_page *pages[8];
	unsigned dirty = 0;
	struct vm_object *o;
	struct vm_entry e;

	(void)state;
	file_set(64 * PAGE);
	file_map(vf.tasks[0], vf.file, UNIT_BASE, 0, 64 * PAGE, &e);
	o = e.mapping->object;
	for (unsigned i = 0; i < 8; i++)
		pages[i] = page_make(o, 8 * i, 0x30 + (int)i);
	r = (struct clean_request){ .object = o, .high = o->page_count };
	assert_int_equal(failpt_arm("FILE_WRITE_EIO:3:1"), 0);
	runs_begin(&r);
	assert_int_equal(vf.cleaner.in_flight, 1);
	pages_clean(o, NULL);
	for (unsigned i = 0; i < 8; i++)
		dirty += !page_is_clean(pages[i]);
	assert_int_equal(dirty, 1);
	assert_int_equal(file_sync_result(o), -EIO);
	pages_clean(o, NULL);
	for (unsigned i = 0; i < 8; i++) {
		assert_true(page_is_clean(pages[i]));
		assert_int_equal(byte_of(8 * i * PAGE), 0x30 + i);
		assert_int_equal(byte_of((8 * i + 1) * PAGE), 8 * i + 2);
	}
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
	file_map(vf.tasks[0], vf.file, UNIT_BASE, 0, 4 * PAGE, &e);
	o = e.mapping->object;
	for (unsigned i = 0; i < 4; i++)
		tail = page_make(o, i, 0x60 + (int)i);
	(void)tail;
	/* Somebody has made it shorter. */
	assert_int_equal(ftruncate(vf.file, PAGE + 10), 0);
	pages_clean(o, NULL);
	assert_int_equal(file_size(), PAGE + 10);
	assert_int_equal(byte_of(PAGE), 0x61);
	for (unsigned i = 2; i < 4; i++)
		assert_int_equal(load_relaxed(vm_object_slot(o, i)), SLOT_ABSENT);
	assert_int_equal(load_relaxed(&o->external->dirty_since), 0);
}

/* Trap 18: what a dead daemon has under way is waited for before anything newer can be written.
 * Without a need the file is left alone. */
static void
trap_18_late_writes_are_waited_for(void **state)
{
	struct timespec old[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1000000000 } };
	struct stat before, after;
	struct range range;
	struct vm_entry e;
	char path[64];
	int again;

	(void)state;
	file_set(4 * PAGE);
	assert_int_equal(futimens(vf.file, old), 0);
	assert_int_equal(fstat(vf.file, &before), 0);
	vf.barriers = 0;
	/* For reading: nothing will be written. */
	snprintf(path, sizeof(path), "/proc/self/fd/%d", vf.file);
	again = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(range_init(&range, vf.tasks[0], UNIT_BASE, 4 * PAGE), 0);
	range.stats = stats_shard(&vf.u.daemon->stats, 0);
	assert_int_equal(region_map_file(&range, again, 0, false, &e), 0);
	close(again);
	assert_int_equal(vf.barriers, 0);
	/* Nobody has written of late. */
	file_map(vf.tasks[0], vf.file, UNIT_BASE + (64ull << 20), 0, 4 * PAGE, &e);
	assert_int_equal(vf.barriers, 0);
	assert_int_equal(fstat(vf.file, &after), 0);
	assert_int_equal(before.st_mtime, after.st_mtime);
}

static void
recent_writes_are_waited_for(void **state)
{
	struct stat before, after;
	struct vm_entry e;

	(void)state;
	file_set(4 * PAGE + 100);
	assert_int_equal(fstat(vf.file, &before), 0);
	vf.barriers = 0;
	file_map(vf.tasks[0], vf.file, UNIT_BASE, 0, 4 * PAGE, &e);
	/* Where nothing is written past the page cache there is nothing to wait for. */
	assert_int_equal(
	    vf.barriers, load_relaxed(&e.mapping->object->external->vnode->files[1].direct) >= 0);
	assert_int_equal(fstat(vf.file, &after), 0);
	assert_int_equal(before.st_size, after.st_size);
	assert_int_equal(before.st_blocks, after.st_blocks);
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(byte_of(i * PAGE), i + 1);
}

/* Trap 10: a page that could not be write-protected may be written to while it is copied. It is not
 * written to its place, let alone taken for clean. */
static void
trap_10_unprotected_is_not_written(void **state)
{
	struct clean_request r;
	struct clean_run *run;
	struct vm_page *p;
	struct vm_object *o;
	struct vm_entry e;
	unsigned char page[PAGE];

	(void)state;
	file_set(2 * PAGE);
	file_map(vf.tasks[0], vf.file, UNIT_BASE, 0, 2 * PAGE, &e);
	o = e.mapping->object;
	p = page_make(o, 1, 0x33);
	store_relaxed(&p->seen_by, SEEN_BY_ANY);
	vf.protect_error = -EAGAIN;
	for (unsigned i = 0; i < 3; i++) {
		r = (struct clean_request){ .object = o, .high = o->page_count };
		vf.cleaner.must_try_again = false;
		run = clean_run_begin(&vf.cleaner, &r);
		assert_non_null(run);
		clean_run_gather(run);
		clean_run_gathered(&vf.cleaner, run);
		assert_int_equal(vf.cleaner.in_flight, 0);
		assert_false(load_relaxed(&p->word) & PAGE_WRITING);
		assert_false(page_is_clean(p));
		assert_int_not_equal(load_relaxed(&o->external->dirty_since), 0);
		assert_int_equal(byte_of(PAGE), 2);
		/* It is tried again soon, and its request is not over. */
		assert_true(vf.cleaner.must_try_again);
		assert_true(r.at < r.high);
	}
	vf.protect_error = 0;
	memset(page, 0x44, PAGE);
	assert_true(uffd_write(o->backing.memfd, PAGE, page, PAGE));
	pages_clean(o, NULL);
	assert_true(page_is_clean(p));
	assert_int_equal(byte_of(PAGE), 0x44);
}

/* Whether anybody has stored to a wired page is told by its mark. */
static void
marks_tell_content(void **state)
{
	unsigned char page[PAGE];
	struct vm_object *o;
	struct vm_entry e;

	(void)state;
	file_set(4 * PAGE);
	file_map(vf.tasks[0], vf.file, UNIT_BASE, 0, 4 * PAGE, &e);
	o = e.mapping->object;
	memset(page, 0, sizeof(page));
	/* Nothing is known before pages are wired. */
	marks_set(o, 1, page);
	assert_false(marks_match(o, 1, page));
	marks_make(o);
	assert_false(marks_match(o, 1, page));
	marks_set(o, 1, page);
	assert_true(marks_match(o, 1, page));
	assert_false(marks_match(o, 2, page));
	for (unsigned i = 0; i < 8 * PAGE; i++) {
		page[i / 8] ^= (unsigned char)(1u << i % 8);
		assert_false(marks_match(o, 1, page));
		page[i / 8] ^= (unsigned char)(1u << i % 8);
	}
	/* The same words at other places. */
	page[0] = 1;
	marks_set(o, 1, page);
	for (unsigned i = 8; i < PAGE; i += 8) {
		page[i - 8] = 0;
		page[i] = 1;
		assert_false(marks_match(o, 1, page));
	}
	page[PAGE - 8] = 0;
	page[0] = 1;
	assert_true(marks_match(o, 1, page));
	/* Others have changed the file. */
	fetch_add_acq_rel(&o->external->vnode->changes, 1);
	assert_false(marks_match(o, 1, page));
	marks_set(o, 1, page);
	assert_true(marks_match(o, 1, page));
	marks_clear(o, 1);
	assert_false(marks_match(o, 1, page));
}

static struct vnode
vnode_of(unsigned i)
{
	struct vnode v = { .magic = VNODE_MAGIC, .device = 0x801, .inode = 12 + 8 * i };

	/* As ext4 makes them: the number, and a generation. */
	v.handle.type = 1;
	v.handle.length = 8;
	memcpy(v.handle.bytes, &(uint32_t[]){ 12 + 8 * i, 0x1234 }, 8);
	return v;
}

/* An event, and a mapping, find their file among many without going through them. */
static void
many_files_cost_as_one(void **state)
{
	enum { FILES = 20000, LONGEST = 16 };
	struct vnode_table *t = &vf.u.daemon->vnodes;
	struct vnode *files = calloc(FILES, sizeof(*files)), *v;
	unsigned length;

	(void)state;
	assert_non_null(files);
	for (unsigned i = 0; i < FILES; i++) {
		files[i] = vnode_of(i);
		vnode_index_grow(t);
		lock_acquire(&t->lock);
		vnode_index_add_locked(t, &files[i]);
		/* The last one is of another file system that uses the handle of the first. */
		if (i == FILES - 1)
			files[i].handle = files[0].handle;
		if (i % 2 == 0 || i == FILES - 1)
			vnode_index_watch_locked(t, &files[i]);
		lock_release(&t->lock);
	}
	lock_acquire(&t->lock);
	for (size_t i = 0; i < 2ul << t->bits; i++) {
		length = 0;
		for (v = t->chains[i]; v; v = i >> t->bits ? v->next_watched : v->next)
			length++;
		assert_true(length <= LONGEST);
	}
	for (unsigned i = 0; i < FILES; i++) {
		v = vnode_index_find_locked(t, 0x801, files[i].inode);
		assert_ptr_equal(v, &files[i]);
		assert_null(vnode_index_find_locked(t, 0x802, files[i].inode));
		v = vnode_index_next_locked(t, &files[i].handle, NULL);
		if (i == 0 || i == FILES - 1) {
			assert_true(v == &files[0] || v == &files[FILES - 1]);
			v = vnode_index_next_locked(t, &files[i].handle, v);
			assert_true(v == &files[0] || v == &files[FILES - 1]);
		} else {
			assert_ptr_equal(v, i % 2 == 0 ? &files[i] : NULL);
		}
		if (v)
			assert_null(vnode_index_next_locked(t, &files[i].handle, v));
	}
	for (unsigned i = 0; i < FILES; i++)
		vnode_index_remove_locked(t, &files[i]);
	for (size_t i = 0; i < 2ul << t->bits; i++)
		assert_null(t->chains[i]);
	lock_release(&t->lock);
	free(files);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(one_file_is_one_memory, vnodes_begin, vnodes_end),
		cmocka_unit_test_setup_teardown(reads_end_with_the_file, vnodes_begin, vnodes_end),
		cmocka_unit_test_setup_teardown(
		    written_meanwhile_stays_dirty, vnodes_begin, vnodes_end),
		cmocka_unit_test_setup_teardown(
		    memory_is_ready_when_the_read_ends, vnodes_begin, vnodes_end),
		cmocka_unit_test_setup_teardown(failed_write_stays_dirty, vnodes_begin, vnodes_end),
		cmocka_unit_test_setup_teardown(
		    scattered_pages_are_one_run, vnodes_begin, vnodes_end),
		cmocka_unit_test_setup_teardown(
		    no_write_lengthens_the_file, vnodes_begin, vnodes_end),
		cmocka_unit_test_setup_teardown(many_files_cost_as_one, vnodes_begin, vnodes_end),
		cmocka_unit_test_setup_teardown(
		    trap_18_late_writes_are_waited_for, vnodes_begin, vnodes_end),
		cmocka_unit_test_setup_teardown(
		    recent_writes_are_waited_for, vnodes_begin, vnodes_end),
		cmocka_unit_test_setup_teardown(
		    trap_10_unprotected_is_not_written, vnodes_begin, vnodes_end),
		cmocka_unit_test_setup_teardown(marks_tell_content, vnodes_begin, vnodes_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
