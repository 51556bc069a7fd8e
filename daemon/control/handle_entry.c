/* SPDX-License-Identifier: MIT
 *
 * Requests about named entries: MAKE_ENTRY (control loop), MAP_ENTRY (jobs).
 */
#include "control/handle_entry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "control/names.h"
#include "core/closer.h"
#include "failpt.h"
#include "region/allocate.h"
#include "region/map.h"

bool
protection_is_valid(uint32_t protection)
{
	return protection == PROT_READ || protection == (PROT_READ | PROT_WRITE);
}

int
handle_make_entry(struct request *r)
{
	const struct pager_req_make_entry *in = r->body;
	struct pager_rep_make_entry *out = r->reply;
	struct named_range pages;
	struct range range;
	int error = range_init(&range, r->task, in->address, in->size);

	loop_assert(r->daemon);
	if (!error && (in->flags != 0 || !protection_is_valid(in->protection)))
		error = -EINVAL;
	if (!error)
		error = region_name(&range, (in->protection & PROT_WRITE) != 0, &pages);
	if (error)
		return error;
	out->object_id = pages.object->id;
	error = names_make(r->daemon, &pages, r->task->bill.account, &r->reply_fd);
	r->reply_fd_given = !error;
	/* Not the last reference: the range has one. */
	vm_object_put(pages.object);
	return error;
}

/* A client may have given one that can only be read already. */
int
view_descriptor(const struct vm_object *o, bool is_read_only, int *ret_fd, bool *ret_given)
{
	char path[64];
	int fd = o->backing.memfd;

	if (is_read_only && o->backing.is_foreign &&
	    (fcntl(o->backing.memfd, F_GETFL) & O_ACCMODE) == O_RDONLY)
		is_read_only = false;
	if (is_read_only) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", o->backing.memfd);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
	}
	*ret_fd = fd;
	*ret_given = is_read_only;
	return 0;
}

int
view_open(struct request *r, const struct vm_object *o, bool is_read_only)
{
	return view_descriptor(o, is_read_only, &r->reply_fd, &r->reply_fd_given);
}

/* Whether the range shows those pages of the object. */
static bool
is_mapped(struct range *range, struct vm_object *o, uint64_t first, bool is_read_only,
    struct vm_entry *ret)
{
	struct vm_entry e;

	if (!region_is_allocated(range, &e) || e.mapping->object != o ||
	    e.mapping->is_read_only != is_read_only ||
	    e.offset != first << range->task->daemon->page_shift)
		return false;
	*ret = e;
	return true;
}

int
view_map(struct request *r, const struct named_range *name, struct range *range, uint64_t offset,
    uint32_t protection, struct view *ret)
{
	bool is_read_only = !(protection & PROT_WRITE);
	unsigned page_shift = r->daemon->page_shift;
	struct vm_object *o = name->object;
	struct vm_entry e;
	int error;

	if (offset % r->daemon->page_bytes != 0 ||
	    offset >> page_shift >= name->end - name->first ||
	    (range->end - range->address) >> page_shift >
		name->end - name->first - (offset >> page_shift))
		return -EINVAL;
	if (!is_read_only && !name->is_writable)
		return -EACCES;
	error = view_open(r, o, is_read_only);
	if (error)
		return error;
	/* The worker before may have carried it out. */
	if (request_is_asked_again(r) &&
	    is_mapped(range, o, name->first + (offset >> page_shift), is_read_only, &e))
		error = 0;
	else
		error =
		    region_map(range, name, name->first + (offset >> page_shift), is_read_only, &e);
	failpt_die(FAIL_DIE_NAME_MAPPED);
	if (error) {
		if (r->reply_fd_given)
			close(r->reply_fd);
		r->reply_fd = -1;
		r->reply_fd_given = false;
		return error;
	}
	*ret = (struct view){ .object_id = o->id,
		.object_offset = e.offset,
		.flags = o->is_device ? PAGER_WIRE_MAP_DEVICE : 0,
		.cache_mode = o->cache_mode };
	return 0;
}

int
handle_map_entry(struct request *r)
{
	const struct pager_req_map_entry *in = r->body;
	struct pager_rep_map_entry *out = r->reply;
	struct view view = { 0 };
	struct named_range name;
	struct range range;
	struct named_identity identity;
	int error = range_init(&range, r->task, in->address, in->size);

	if (!error && (in->flags != 0 || !protection_is_valid(in->protection)))
		error = -EINVAL;
	if (error)
		return error;
	if (r->fd < 0 || named_identify(r->fd, &identity) != 0 ||
	    !named_entry_find(r->daemon, &identity, &name))
		return -EBADF;
	error = view_map(r, &name, &range, in->offset, in->protection, &view);
	*out = (struct pager_rep_map_entry){ view.object_id, view.object_offset, view.flags,
		view.cache_mode };
	vm_object_put(name.object);
	return error;
}
