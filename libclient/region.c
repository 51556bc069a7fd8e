/* SPDX-License-Identifier: MIT
 *
 * Allocating and deallocating. A range is reachable only while it is registered and the daemon
 * knows it:
 *
 *   allocate    reserve (PROT_NONE) -> ALLOCATE -> map the memfd PROT_NONE -> DONTFORK
 *               -> register -> make accessible -> managed
 *   deallocate  hide (PROT_NONE), not managed any more -> DEALLOCATE -> mapped over, the addresses
 *               are free; or, where the daemon has no room to part a region, all is as it was
 *
 * Registration works on a PROT_NONE mapping and survives mprotect (Linux 6.18). Mapping it
 * accessible at once would leave a gap in which a fork gives the child an unregistered mapping,
 * whose reads plant zero pages in the object, and in which mlockall(MCL_FUTURE) populates it.
 */
#include "pager_priv.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pager/uffd_compat.h"

static int
region_map(struct pager *p, uint64_t address, uint64_t size, int memfd, uint64_t offset)
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
	/* DONTDUMP: a core dump would read page after page, of which most may be away. RANDOM: nobody here asks the kernel how
	 * recently a page was used, and without it each mapping that goes moves its page in the kernel's own lists. */
	if (madvise(memory, size, MADV_DONTFORK) < 0 || madvise(memory, size, MADV_DONTDUMP) < 0 ||
	    madvise(memory, size, MADV_RANDOM) < 0)
		return -errno;
	if (ioctl(p->uffd, UFFDIO_REGISTER, &reg) < 0)
		return -errno;
	if (mprotect(memory, size, PROT_READ | PROT_WRITE) < 0)
		return -errno;
	return 0;
}

/* => the range is inaccessible and its memory not mapped (is_mapped: may be). The addresses are used
 * again only when the daemon has let go of them. */
static int
region_forget(struct pager *p, uint64_t address, uint64_t size, bool is_mapped)
{
	struct pager_req_deallocate request = { .address = address, .size = size };
	struct pager_rep_deallocate reply;
	struct chan_call call = { CHAN_CALL(DEALLOCATE, &request, &reply) };
	int r = chan_exchange(&p->chan, &call);

	/* It knows the range as before: it had no memory, or the client may not have more regions. */
	if (r == -ENOMEM && is_mapped)
		return space_restore(p, address, size) == 0 ? -ENOMEM : -EIO;
	/* With the connection gone there is no daemon to disagree. Addresses at which the memory is
	 * still mapped are not used again. */
	if ((!is_mapped || space_hide(address, size) == 0) && (r == 0 || r == -ENOTCONN))
		space_release(p, address, size);
	return r;
}

static int
region_create(struct pager *p, uint64_t size, uint64_t *ret_address)
{
	struct pager_req_allocate request = { .size = size };
	struct pager_rep_allocate reply;
	int memfd = -1;
	struct chan_call call = { CHAN_CALL(ALLOCATE, &request, &reply), .ret_fd = &memfd };
	int r;

	r = space_reserve(p, size, &request.address);
	if (r < 0)
		return r;
	r = chan_exchange(&p->chan, &call);
	if (r < 0) {
		space_release(p, request.address, size);
		return r;
	}
	if ((reply.object_offset & (p->page_size - 1)) != 0 ||
	    reply.object_offset > INT64_MAX - size) {
		close(memfd);
		chan_break(&p->chan);
		space_release(p, request.address, size);
		return -EPROTO;
	}
	r = region_map(p, request.address, size, memfd, reply.object_offset);
	close(memfd);
	if (r == 0)
		r = space_manage(p, request.address, size);
	if (r < 0) {
		if (space_hide(request.address, size) == 0)
			region_forget(p, request.address, size, false);
		return r;
	}
	*ret_address = request.address;
	return 0;
}

int
pager_allocate(struct pager *p, size_t size, unsigned flags, void **ret_addr)
{
	uint64_t address = 0, rounded;
	int cancel_state, r;

	r = pager_check(p);
	if (r < 0)
		return r;
	if (size == 0 || flags != 0 || !ret_addr)
		return -EINVAL;
	rounded = ((uint64_t)size + p->page_size - 1) & ~(p->page_size - 1);
	if (rounded < size)
		return -ENOMEM;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	r = region_create(p, rounded, &address);
	pthread_setcancelstate(cancel_state, NULL);
	if (r < 0)
		return r;
	*ret_addr = (void *)(uintptr_t)address;
	return 0;
}

int
pager_deallocate(struct pager *p, void *addr, size_t size)
{
	uint64_t address, rounded;
	int r;

	r = pager_check(p);
	if (r < 0)
		return r;
	r = space_check(p, addr, size, &address, &rounded);
	if (r < 0)
		return r;
	/* After the daemon's death the memory stays as it is. */
	if (atomic_load_explicit(&p->chan.broken, memory_order_acquire))
		return -ENOTCONN;
	/* First out of reach, then the daemon is told: no fault can meet a range it has forgotten.
	 */
	r = space_unmanage(p, address, rounded);
	if (r < 0)
		return r;
	r = region_forget(p, address, rounded, true);
	return r == -ENOTCONN ? 0 : r; /* it died just now, but the memory is gone as was asked */
}
