/* SPDX-License-Identifier: MIT
 *
 * Requests about files: MAP_FILE, COPY_FILE and MSYNC. Runs on: jobs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "control/flush.h"
#include "pagers/returns.h"
#include "region/allocate.h"
#include "region/copy.h"
#include "region/map_file.h"
#include "region/sync.h"
#include "vm/vm_object.h"

static bool
protection_is_valid(uint32_t protection)
{
	return protection == PROT_READ || protection == (PROT_READ | PROT_WRITE);
}

/* The memfd as a client may have it that may only read. => a descriptor, or -errno */
static int
open_read_only(const struct vm_object *o)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", o->backing.memfd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The client is not told of the range. */
static void
map_file_undo(struct range *range)
{
	if (region_deallocate_begin(range) == 0)
		while (!range_is_done(range))
			region_deallocate(range);
}

int
handle_map_file(struct request *r)
{
	const struct pager_req_map_file *in = r->body;
	struct pager_rep_map_file *out = r->reply;
	bool is_writable = in->protection & PROT_WRITE;
	struct range range;
	struct vm_entry e;
	int error = range_init(&range, r->task, in->address, in->size);

	if (!error && (in->flags != 0 || !protection_is_valid(in->protection)))
		error = -EINVAL;
	if (!error && (in->offset % r->daemon->page_bytes != 0 ||
			  in->offset > (uint64_t)INT64_MAX - in->size))
		error = -EINVAL;
	if (error)
		return error;
	if (r->fd < 0)
		return -EBADF;
	range.stats = r->stats;
	error = region_map_file(&range, r->fd, in->offset, is_writable, &e);
	if (error)
		return error;
	out->object_id = e.mapping->object->id;
	out->object_offset = e.offset;
	out->size = range.at - range.address;
	r->reply_fd =
	    is_writable ? e.mapping->object->backing.memfd : open_read_only(e.mapping->object);
	r->reply_fd_given = !is_writable;
	if (r->reply_fd >= 0)
		return 0;
	error = r->reply_fd;
	r->reply_fd = -1;
	range.end = range.at;
	range.at = range.address;
	map_file_undo(&range);
	return error == -EMFILE || error == -ENFILE ? -EMFILE : -ENOMEM;
}

int
handle_copy_file(struct request *r)
{
	const struct pager_req_copy_file *in = r->body;
	struct range range;
	int error = range_init(&range, r->task, in->address, in->size);

	if (!error && (in->offset % r->daemon->page_bytes != 0 ||
			  in->offset > (uint64_t)INT64_MAX - in->size))
		error = -EINVAL;
	if (!error && r->fd < 0)
		error = -EBADF;
	if (error)
		return error;
	range.stats = r->stats;
	range.place = r->place;
	range.at += r->progress;
	if (!r->resumed)
		error = region_copy_check_destination(&range);
	if (!error)
		error = region_copy_file(&range, r->fd, in->offset + r->progress);
	r->progress = range.at - range.address;
	r->again = !error && !range_is_done(&range);
	return error;
}

int
handle_msync(struct request *r)
{
	const struct pager_req_msync *in = r->body;
	struct clean_request pages;
	struct range range;
	int error = range_init(&range, r->task, in->address, in->size);
	unsigned both = PAGER_MSYNC_SYNC | PAGER_MSYNC_ASYNC;

	if (!error && (in->reserved != 0 || in->flags == 0 || (in->flags & both) == both ||
			  (in->flags & ~(both | PAGER_MSYNC_INVALIDATE)) != 0))
		error = -EINVAL;
	if (!error && !r->state)
		error = range_is_covered(&range);
	if (error)
		return error;
	range.stats = r->stats;
	if (in->flags & PAGER_MSYNC_SYNC) {
		error = r->state ? 0 : flush_begin(r, &range);
		if (error || !flush_step(r, &range, in->flags))
			return error;
		return flush_error(r);
	}
	while (region_place_next(&range, &pages)) {
		if (in->flags & PAGER_MSYNC_ASYNC)
			returns_want_soon(pages.object);
		if (in->flags & PAGER_MSYNC_INVALIDATE)
			region_place_drop(&range, &pages);
		vm_object_put(pages.object);
	}
	return 0;
}
