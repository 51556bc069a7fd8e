/* SPDX-License-Identifier: MIT
 *
 * Files get into maps. Runs on: jobs.
 */
#include "region/map_file.h"

#include <errno.h>

#include "daemon.h"
#include "pagers/returns.h"
#include "pagers/vnode.h"
#include "region/map.h"
#include "region/piece.h"
#include "transit/copy_make.h"

int
region_map_file(
    struct range *range, int fd, uint64_t offset, bool is_writable, struct vm_entry *ret)
{
	struct task *task = range->task;
	struct daemon *d = task->daemon;
	uint64_t pages = (range->end - range->at) >> d->page_shift, file_pages;
	struct range part = { .task = task, .address = range->at, .at = range->at };
	struct named_range covered = { .is_writable = is_writable };
	struct vnode *v;
	int error;

	locks_assert_none();
	CHECK(pages > 0 && offset % d->page_bytes == 0);
	error = vnode_get(d, task, fd, is_writable, &v, &file_pages);
	if (error)
		return error;
	error = vnode_join(d, task, v, offset >> d->page_shift, pages, file_pages, &covered.object,
	    &covered.first);
	vnode_put(d, v);
	if (error)
		return -ENOMEM;
	covered.end = min_u64(covered.first + pages, covered.object->page_count);
	part.end = part.address + ((covered.end - covered.first) << d->page_shift);
	error = region_map(&part, &covered, covered.first, !is_writable, ret);
	if (!error)
		range->at = part.end;
	vnode_joined(covered.object);
	vm_object_put(covered.object);
	return error;
}

/* What one object of the file and one entry of the map have in common at the range's beginning. */
static int
part_follow(
    struct range *range, struct vnode *v, uint64_t page, uint64_t file_pages, unsigned *work)
{
	struct task *task = range->task;
	struct daemon *d = task->daemon;
	uint64_t index, first, count;
	struct vm_object *file;
	struct vm_entry e;
	int error = -EINVAL;

	if (!task_entry_get(task, range->at, &e))
		return error;
	if (e.start > range->at)
		goto out;
	first = (e.offset + (range->at - e.start)) >> d->page_shift;
	count = (min_u64(e.end, range->end) - range->at) >> d->page_shift;
	count = piece_reach(e.mapping->object, first, first + count, PIECE_DISCARD, work) - first;
	error = vnode_join(d, task, v, page, count, file_pages, &file, &index);
	if (error) {
		error = -ENOMEM;
		goto out;
	}
	count = min_u64(count, file->page_count - index);
	error = vm_object_follow_range(file, index, e.mapping->object, first, count);
	if (!error)
		range->at += count << d->page_shift;
	vnode_joined(file);
	/* If it is nobody's, the cleaner lets it go. */
	if (error)
		returns_ring(d);
	vm_object_put(file);
out:
	vm_mapping_put(e.mapping);
	return error;
}

int
region_copy_vnode(struct range *range, struct vnode *v, uint64_t offset, uint64_t file_pages)
{
	const struct daemon *d = range->task->daemon;
	uint64_t start = range->at;
	unsigned work = 0;
	int error = 0;

	locks_assert_none();
	CHECK(!range_is_done(range) && offset % d->page_bytes == 0);
	while (!error && !range_is_done(range) && work < PIECE_WORK) {
		work += PIECE_ENTRY;
		error = part_follow(
		    range, v, (offset + (range->at - start)) >> d->page_shift, file_pages, &work);
	}
	return error;
}

int
region_copy_file(struct range *range, int fd, uint64_t offset)
{
	struct daemon *d = range->task->daemon;
	uint64_t file_pages;
	struct vnode *v;
	int error;

	locks_assert_none();
	error = vnode_get(d, range->task, fd, false, &v, &file_pages);
	if (error)
		return error;
	error = region_copy_vnode(range, v, offset, file_pages);
	vnode_put(d, v);
	return error;
}
