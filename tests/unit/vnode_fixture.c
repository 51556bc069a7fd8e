/* SPDX-License-Identifier: MIT */
#include "vnode_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "control/teardown.h"
#include "pageq/policies.h"
#include "pagers/pager.h"
#include "pmap/uffd.h"
#include "region/map_file.h"
#include "transit/discard.h"
#include "transit/drop.h"
#include "transit/run.h"

struct vnode_fixture vf;

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

int __wrap_uffd_protect(int uffd, uint64_t address, size_t bytes, int mode);
int
__wrap_uffd_protect(int uffd, uint64_t address, size_t bytes, int mode)
{
	(void)mode;
	(void)address;
	assert_true(bytes > 0);
	if (vf.on_protect)
		vf.on_protect(uffd);
	return vf.protect_error;
}

int __real_fallocate64(int fd, int mode, off_t offset, off_t bytes);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t bytes);
int
__wrap_fallocate64(int fd, int mode, off_t offset, off_t bytes)
{
	vf.barriers += mode == FALLOC_FL_KEEP_SIZE && bytes == 1;
	return __real_fallocate64(fd, mode, offset, bytes);
}

void __wrap_uffd_wake(int uffd, uint64_t address, size_t bytes);
void
__wrap_uffd_wake(int uffd, uint64_t address, size_t bytes)
{
	(void)uffd;
	(void)address;
	assert_true(bytes > 0);
}

int
vnodes_begin(void **state)
{
	char path[] = "/tmp/c_vnode.XXXXXX";
	struct daemon *d;

	(void)state;
	vf.on_protect = NULL;
	unit_start(&vf.u);
	d = vf.u.daemon;
	assert_int_equal(policies_create(d, d->options.policy), 0);
	assert_int_equal(park_create(d), 0);
	assert_int_equal(vnodes_create(d), 0);
	assert_int_equal(returns_create(d), 0);
	for (unsigned i = 0; i < ARRAY_LEN(vf.tasks); i++)
		vf.tasks[i] = unit_task_of(d, getuid() + i);
	vf.cleaner = (struct cleaner){ .daemon = d, .stats = stats_shard(&d->stats, 0) };
	assert_int_equal(clean_channel_create(d, &vf.cleaner.channel), 0);
	vf.file = mkstemp(path);
	assert_true(vf.file >= 0);
	unlink(path);
	return 0;
}

/* The vf.cleaner, for an object that nobody maps. */
static void
object_end(struct vm_object *o)
{
	struct hole hole;
	bool is_busy;

	(void)vm_object_drop_clean(vf.cleaner.stats, &hole, o, 0, o->page_count, &is_busy);
	assert_false(is_busy);
	assert_true(pager_last_unmap(o));
	(void)vm_object_discard(o, 0, o->page_count);
	vm_object_put(o);
}

int
vnodes_end(void **state)
{
	struct vm_object *o;
	uint32_t cursor = 0;
	unsigned files, objects;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(vf.tasks); i++) {
		store_release(&vf.tasks[i]->state, TASK_DEAD);
		while (task_teardown(vf.tasks[i]))
			continue;
		task_put(vf.tasks[i]);
	}
	while ((o = vm_object_next(vf.u.daemon, &cursor)) != NULL) {
		if (o->external)
			object_end(o);
		vm_object_put(o);
	}
	dirty_release(vf.u.daemon);
	assert_int_equal(load_relaxed(&vf.u.daemon->dirty.held), 0);
	vnodes_counts(vf.u.daemon, &files, &objects);
	assert_int_equal(files + objects, 0);
	assert_int_equal(unit_level(&vf.u, STAT_FRAMES_FREE), UNIT_FRAMES);
	assert_int_equal(unit_level(&vf.u, STAT_PAGES_EXTERNAL), 0);
	swap_channel_destroy(vf.cleaner.channel);
	close(vf.file);
	returns_destroy(vf.u.daemon);
	vnodes_destroy(vf.u.daemon);
	park_destroy(vf.u.daemon);
	policies_destroy(vf.u.daemon);
	unit_stop(&vf.u);
	return 0;
}

/* The file in that many bytes, each of which says in which page it is. */
void
file_set(uint64_t bytes)
{
	unsigned char page[PAGE];

	assert_int_equal(ftruncate(vf.file, 0), 0);
	for (uint64_t at = 0; at < bytes; at += PAGE) {
		memset(page, (int)(at / PAGE) + 1, PAGE);
		assert_int_equal(pwrite(vf.file, page, min_u64(PAGE, bytes - at), (off_t)at),
		    min_u64(PAGE, bytes - at));
	}
}

/* Maps a part of the file. => how much of it one object covers; its entry in *ret */
uint64_t
file_map(struct task *task, int fd, uint64_t address, uint64_t offset, uint64_t bytes,
    struct vm_entry *ret)
{
	struct range range;

	assert_int_equal(range_init(&range, task, address, bytes), 0);
	range.stats = stats_shard(&vf.u.daemon->stats, 0);
	assert_int_equal(region_map_file(&range, fd, offset, true, ret), 0);
	return range.at - range.address;
}

/* A resident page, dirty, full of that byte. */
struct vm_page *
page_make(struct vm_object *o, uint64_t index, int byte)
{
	struct fill fill = { .task = vf.tasks[0] };
	unsigned char page[PAGE];
	struct vm_page *p;

	memset(page, byte, PAGE);
	lock_acquire(&o->lock);
	assert_int_equal(fill_begin(vf.u.daemon, o, index, 1, 1, FRAME_WRITE, &fill), RUN_BEGUN);
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
void
runs_begin(struct clean_request *r)
{
	struct clean_run *run;

	while ((run = clean_run_begin(&vf.cleaner, r)) != NULL) {
		clean_run_gather(run);
		clean_run_gathered(&vf.cleaner, run);
	}
}

static void
runs_leave(void)
{
	struct hole hole;

	for (unsigned i = 0; i < RUNS_MAX; i++) {
		struct clean_run *run = &vf.cleaner.runs[i];

		if (run->stage != RUN_LEAVES)
			continue;
		clean_run_leave(run, vf.cleaner.stats, &hole);
		clean_run_end(&vf.cleaner, run);
	}
}

void
pages_clean(struct vm_object *o, struct vm_page *touched)
{
	struct clean_request r = { .object = o, .high = o->page_count };
	struct swap_completion done;

	store_relaxed(&o->external->dirty_since, 0);
	runs_begin(&r);
	assert_int_equal(r.at, r.high);
	if (touched) {
		uint32_t word = load_relaxed(&touched->word);

		/* It can be read meanwhile, and is dirty still. */
		assert_true(word & PAGE_WRITING && word & PAGE_DIRTY && !(word & PAGE_BUSY));
		vm_page_flags_clear(touched, PAGE_WRITING);
	}
	while (vf.cleaner.in_flight > 0) {
		assert_int_equal(swap_channel_wait(vf.cleaner.channel), 0);
		while (swap_channel_reap(vf.cleaner.channel, &done, 1) > 0)
			clean_run_step(&vf.cleaner, &done);
		runs_leave();
	}
}

bool
page_is_clean(const struct vm_page *p)
{
	uint32_t word = load_relaxed(&((struct vm_page *)(uintptr_t)p)->word);

	assert_false(word & (PAGE_BUSY | PAGE_WRITING));
	assert_int_equal(p->cref != 0, !(word & PAGE_DIRTY));
	return !(word & PAGE_DIRTY);
}

int
byte_of(uint64_t offset)
{
	unsigned char byte;

	assert_int_equal(pread(vf.file, &byte, 1, (off_t)offset), 1);
	return byte;
}
