/* SPDX-License-Identifier: MIT
 *
 * Memory of the program's own becomes managed, and ceases to be, where it is:
 *
 *   adopt     ALLOCATE at its addresses -> the memfd is mapped over it, inaccessible -> DONTFORK
 *             -> register -> accessible, managed
 *   abandon   the program's mapping has replaced ours, or nothing is there -> not managed any more
 *             -> DEALLOCATE
 *
 * In between, as after an error, ordinary memory lies there and never a hole, in which another
 * thread's mmap could land. No lock of this library covers both halves: the caller's does.
 *
 * Runs on: the caller's threads.
 */
#include "region_priv.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pager/uffd_compat.h"

void
region_forget(struct pager *p, uint64_t address, uint64_t size)
{
	struct pager_req_deallocate request = { .address = address, .size = size };
	struct pager_rep_deallocate reply;
	struct chan_call call = { CHAN_CALL(DEALLOCATE, &request, &reply) };
	int r = chan_exchange(&p->chan, &call);

	/* EINVAL: the daemon does not know the range. */
	if (r < 0 && r != -ENOTCONN && r != -EINVAL)
		space_owe(p, address, size);
}

/* => 0: the memfd is mapped and registered, and inaccessible; or -errno: it may be mapped */
static int
adopt_map(struct pager *p, uint64_t address, uint64_t size, int memfd, uint64_t offset)
{
	struct uffdio_register reg = {
		.range = { .start = address, .len = size },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR |
			UFFDIO_REGISTER_MODE_WP,
	};
	void *memory = (void *)(uintptr_t)address;

	if (mmap(memory, size, PROT_NONE, MAP_SHARED | MAP_FIXED, memfd, (off_t)offset) ==
	    MAP_FAILED)
		return -errno;
	/* The same advice as region.c gives. */
	if (madvise(memory, size, MADV_DONTFORK) < 0 || madvise(memory, size, MADV_DONTDUMP) < 0 ||
	    madvise(memory, size, MADV_RANDOM) < 0 || ioctl(p->uffd, UFFDIO_REGISTER, &reg) < 0)
		return -errno;
	return 0;
}

int
region_adopt(struct pager *p, uint64_t address, uint64_t size, int protection)
{
	struct pager_req_allocate request = { .address = address, .size = size };
	struct pager_rep_allocate reply;
	int memfd = -1, r = pager_check_descriptors(p);
	struct chan_call call = { CHAN_CALL(ALLOCATE, &request, &reply), .ret_fd = &memfd };

	if (r < 0)
		return r;
	region_settle(p);
	r = chan_exchange(&p->chan, &call);
	if (r < 0 && !call.fd_lost)
		return r;
	if (r == 0 && ((reply.object_offset & (p->page_size - 1)) != 0 ||
			  reply.object_offset > INT64_MAX - size)) {
		chan_break(&p->chan);
		r = -EPROTO;
	}
	if (r == 0)
		r = adopt_map(p, address, size, memfd, reply.object_offset);
	if (memfd >= 0)
		close(memfd);
	if (r == 0)
		r = space_manage(p, address, size, protection);
	if (r == 0)
		return 0;
	/* What was there was zeroes. */
	(void)mmap((void *)(uintptr_t)address, size, protection,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	region_forget(p, address, size);
	return r;
}

int
region_abandon_prepare(struct pager *p)
{
	int r;

	hold_lock(&p->space_lock);
	r = range_set_reserve(&p->managed, 2);
	hold_unlock(&p->space_lock);
	return r;
}

void
region_abandon(struct pager *p, uint64_t address, uint64_t size)
{
	hold_lock(&p->space_lock);
	range_set_remove(&p->managed, address, address + size);
	hold_unlock(&p->space_lock);
	region_forget(p, address, size);
}

bool
space_managed_part(
    struct pager *p, uint64_t start, uint64_t end, uint64_t *ret_start, uint64_t *ret_end)
{
	const struct range *range;
	bool is;

	hold_lock(&p->space_lock);
	range = range_set_above(&p->managed, start);
	is = range && range->start < end;
	if (is) {
		*ret_start = range->start > start ? range->start : start;
		*ret_end = range->end < end ? range->end : end;
	}
	hold_unlock(&p->space_lock);
	return is;
}
