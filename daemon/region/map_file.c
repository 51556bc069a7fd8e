/* SPDX-License-Identifier: MIT
 *
 * Files get into maps. Runs on: jobs.
 */
#include "region/map_file.h"

#include <errno.h>

#include "daemon.h"
#include "pagers/vnode.h"
#include "region/map.h"

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
