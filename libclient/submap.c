/* SPDX-License-Identifier: MIT
 *
 * Submaps: made, changed and named by requests alone. Whoever maps one has nothing to do when it
 * changes. Runs on: the caller's threads.
 */
#include "pager_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#define RIGHTS (PROT_READ | PROT_WRITE)

static uint64_t
round_up(const struct pager *p, uint64_t size)
{
	return (size + p->page_size - 1) & ~(p->page_size - 1);
}

/* => 0 or -errno */
static int
connection_check(struct pager *p)
{
	int r = pager_check(p);

	return r < 0 ? r : pager_check_descriptors(p);
}

/* A message with a descriptor that is not open cannot be sent, and would end the connection. => 0
 * or -errno */
static int
name_check(struct pager *p, int fd)
{
	int r = connection_check(p);

	if (r < 0)
		return r;
	if (fd < 0)
		return -EINVAL;
	return fcntl(fd, F_GETFD) < 0 ? -EBADF : 0;
}

int
pager_submap_create(struct pager *p, uint64_t size, unsigned flags, int *ret_fd)
{
	struct pager_req_submap_create request;
	struct pager_rep_submap_create reply;
	int fd = -1;
	struct chan_call call = { CHAN_CALL(SUBMAP_CREATE, &request, &reply), .ret_fd = &fd };
	int r = connection_check(p);

	if (r < 0)
		return r;
	request = (struct pager_req_submap_create){ .size = round_up(p, size) };
	if (size == 0 || request.size < size || flags != 0 || !ret_fd)
		return -EINVAL;
	r = chan_exchange(&p->chan, &call);
	if (r == 0)
		*ret_fd = fd;
	return r;
}

/* => 0 or -errno; *request has the region's offset */
static int
change(struct pager *p, int fd, struct pager_req_submap_change *request)
{
	struct pager_rep_submap_change reply;
	struct chan_call call = { CHAN_CALL(SUBMAP_CHANGE, request, &reply), .fds_out = &fd,
		.fds_out_count = 1 };
	uint64_t size = request->size;
	int r = name_check(p, fd);

	if (r < 0)
		return r;
	request->size = round_up(p, size);
	if (size == 0 || request->size < size || (request->offset & (p->page_size - 1)) != 0)
		return -EINVAL;
	r = chan_exchange(&p->chan, &call);
	if (r == 0)
		request->offset = reply.offset;
	return r;
}

int
pager_submap_allocate(
    struct pager *p, int fd, uint64_t *offset, size_t size, int protection, unsigned flags)
{
	const unsigned tag = flags >> PAGER_SUBMAP_TAG_SHIFT & PAGER_TAG_MAX;
	struct pager_req_submap_change request = { .size = size,
		.op = PAGER_SUBMAP_ALLOCATE,
		.protection = (uint32_t)protection,
		.flags = flags & ~PAGER_SUBMAP_TAG(PAGER_TAG_MAX),
		.tag = tag };
	int r;

	if (!offset || (protection & ~RIGHTS) != 0)
		return -EINVAL;
	if (flags & PAGER_ALLOC_FIXED)
		request.offset = *offset;
	r = change(p, fd, &request);
	if (r == 0)
		*offset = request.offset;
	return r;
}

int
pager_submap_deallocate(struct pager *p, int fd, uint64_t offset, size_t size)
{
	struct pager_req_submap_change request = {
		.offset = offset, .size = size, .op = PAGER_SUBMAP_DEALLOCATE
	};

	return change(p, fd, &request);
}

int
pager_submap_protect(struct pager *p, int fd, uint64_t offset, size_t size, int protection)
{
	struct pager_req_submap_change request = { .offset = offset,
		.size = size,
		.op = PAGER_SUBMAP_PROTECT,
		.protection = (uint32_t)protection };

	if ((protection & ~(RIGHTS | PAGER_PROT_MAXIMUM)) != 0)
		return -EINVAL;
	return change(p, fd, &request);
}

int
pager_submap_name(struct pager *p, int fd, int rights, int *ret_fd)
{
	struct pager_req_submap_name request = { .rights = (uint32_t)rights };
	struct pager_rep_submap_name reply;
	int name = -1;
	struct chan_call call = { CHAN_CALL(SUBMAP_NAME, &request, &reply), .ret_fd = &name,
		.fds_out = &fd, .fds_out_count = 1 };
	int r = name_check(p, fd);

	if (r < 0)
		return r;
	if (!ret_fd || (rights & ~(RIGHTS | PAGER_SUBMAP_CHANGE)) != 0)
		return -EINVAL;
	r = chan_exchange(&p->chan, &call);
	if (r == 0)
		*ret_fd = name;
	return r;
}
