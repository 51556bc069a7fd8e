/* SPDX-License-Identifier: MIT
 *
 * Files in shared regions. The daemon says where a file lies; its parts are mapped here, as any
 * file's. Runs on: the caller's threads.
 */
#include "pager_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

static int
shared_change(struct pager *p, uint32_t what, uint64_t address)
{
	struct pager_req_shared_change request = { .what = what, .address = address };
	struct pager_rep_shared_change reply;
	struct chan_call call = { CHAN_CALL(SHARED_CHANGE, &request, &reply) };

	return chan_exchange(&p->chan, &call);
}

static int
part_map(struct pager *p, int fd, uint64_t address, const struct pager_shared_part *part)
{
	void *at = (void *)(uintptr_t)(address + part->address_offset);
	int r;

	if (part->flags != PAGER_SHARED_ZERO)
		return pager_map_file(p, fd, part->file_offset, part->size, (int)part->protection,
		    PAGER_ALLOC_FIXED |
			(part->flags == PAGER_SHARED_COW ? PAGER_MAP_PRIVATE : PAGER_MAP_SHARED),
		    &at);
	r = pager_allocate(p, part->size, PAGER_ALLOC_FIXED, &at);
	if (r == 0 && !(part->protection & PROT_WRITE)) {
		r = pager_protect(p, at, part->size, (int)part->protection);
		if (r < 0)
			(void)pager_deallocate(p, at, part->size);
	}
	return r;
}

static int
parts_map(struct pager *p, int fd, uint64_t address, const struct pager_req_shared_load *load)
{
	uint32_t done = 0;
	int r = 0;

	while (r == 0 && done < load->count) {
		r = part_map(p, fd, address, &load->parts[done]);
		done += r == 0;
	}
	while (r < 0 && done-- > 0)
		(void)pager_deallocate(p,
		    (void *)(uintptr_t)(address + load->parts[done].address_offset),
		    load->parts[done].size);
	return r;
}

static int
file_load(struct pager *p, int fd, const struct pager_req_shared_load *request,
    struct pager_rep_shared_load *reply)
{
	struct chan_call call = { CHAN_CALL(SHARED_LOAD, request, reply), .fds_out = &fd,
		.fds_out_count = 1 };
	int cancel_state, r = pager_check_descriptors(p);

	if (r < 0)
		return r;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	r = chan_exchange(&p->chan, &call);
	if (r == 0) {
		r = parts_map(p, fd, reply->address, request);
		if (r < 0)
			(void)shared_change(p, PAGER_SHARED_UNLOAD, reply->address);
	}
	pthread_setcancelstate(cancel_state, NULL);
	return r;
}

int
pager_shared_file_load(struct pager *p, int fd, const struct pager_shared_part *parts,
    unsigned count, unsigned flags, void **address, unsigned *ret_status)
{
	struct pager_req_shared_load request = { .flags = flags, .count = count };
	struct pager_rep_shared_load reply;
	int r = pager_check(p);

	if (r < 0)
		return r;
	if (!parts || count == 0 || count > PAGER_SHARED_PARTS_MAX || !address)
		return -EINVAL;
	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	if (flags & PAGER_SHARED_AT)
		request.address = (uint64_t)(uintptr_t)*address;
	for (unsigned i = 0; i < count; i++) {
		if (parts[i].size > UINT64_MAX - p->page_size)
			return -EINVAL;
		request.parts[i] = (struct pager_shared_part){
			.file_offset = parts[i].file_offset,
			.size = (parts[i].size + p->page_size - 1) & ~(p->page_size - 1),
			.address_offset = parts[i].address_offset,
			.protection = parts[i].protection,
			.flags = parts[i].flags,
		};
	}
	r = file_load(p, fd, &request, &reply);
	if (r < 0)
		return r;
	*address = (void *)(uintptr_t)reply.address;
	if (ret_status)
		*ret_status = reply.status;
	return 0;
}

int
pager_shared_file_reset(struct pager *p, void *address)
{
	int r = pager_check(p);

	return r < 0 ? r : shared_change(p, PAGER_SHARED_RESET, (uint64_t)(uintptr_t)address);
}

int
pager_shared_regions_new(struct pager *p, unsigned flags)
{
	int r = pager_check(p);

	if (r < 0)
		return r;
	if ((flags & ~(unsigned)PAGER_SHARED_FOR_ALL) != 0)
		return -EINVAL;
	return shared_change(
	    p, flags & PAGER_SHARED_FOR_ALL ? PAGER_SHARED_NEW_FOR_ALL : PAGER_SHARED_NEW, 0);
}
