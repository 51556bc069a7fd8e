/* SPDX-License-Identifier: MIT
 *
 * Allocating and deallocating, naming and mapping what has a name. A range is reachable only while
 * it is registered and the daemon knows it:
 *
 *   allocate    reserve (PROT_NONE) -> ALLOCATE -> map the memfd PROT_NONE -> DONTFORK
 *               -> register -> (wired: make accessible, WIRE, bring in) -> make accessible, managed
 *   map         the same, with MAP_ENTRY; what may only be read is mapped privately, because the
 *               kernel registers no shared mapping of a read-only descriptor
 *   deallocate  hide (PROT_NONE), not managed any more -> DEALLOCATE -> mapped over, the addresses
 *               are free; or, if the daemon refuses (it has no room to split a region), all is as
 *               before
 *
 * So whatever fails in between, no thread can reach the range, and it can be given back to the
 * daemon. If even that fails the range is owed: the next call tries again, so that nothing stays in
 * the daemon's books.
 *
 * Registration works on a PROT_NONE mapping and survives mprotect (Linux 6.18). Mapping it
 * accessible at once would leave a gap in which a fork gives the child an unregistered mapping,
 * whose reads plant zero pages in the object, and in which mlockall(MCL_FUTURE) populates it.
 */
#include "ordinary.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pager/uffd_compat.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

int
region_map(
    struct pager *p, uint64_t address, uint64_t size, int memfd, uint64_t offset, int sharing)
{
	struct uffdio_register reg = {
		.range = { .start = address, .len = size },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR |
			UFFDIO_REGISTER_MODE_WP,
	};
	void *memory = (void *)(uintptr_t)address;
	int r;

	if (mmap(memory, size, PROT_NONE, sharing | MAP_FIXED, memfd, (off_t)offset) == MAP_FAILED)
		return -errno;
	/* DONTDUMP: a core dump would bring in page after page, most of which may be away. RANDOM:
	 * without it, each mapping that goes moves its page in the kernel's own lists, and nobody
	 * here needs the kernel to know how recently a page was used. */
	if (madvise(memory, size, MADV_DONTFORK) == 0 &&
	    madvise(memory, size, MADV_DONTDUMP) == 0 && madvise(memory, size, MADV_RANDOM) == 0 &&
	    ioctl(p->uffd, UFFDIO_REGISTER, &reg) == 0)
		return 0;
	r = -errno;
	/* An unregistered mapping is not recognised as ours. */
	munmap(memory, size);
	return r;
}

static int
region_tell(struct pager *p, uint64_t address, uint64_t size)
{
	struct pager_req_deallocate request = { .address = address, .size = size };
	struct pager_rep_deallocate reply;
	struct chan_call call = { CHAN_CALL(DEALLOCATE, &request, &reply) };

	return chan_exchange(&p->chan, &call);
}

bool
region_give_back(struct pager *p, uint64_t address, uint64_t size)
{
	int r = region_tell(p, address, size);

	/* EINVAL: the daemon does not know the range. */
	if (r == 0 || r == -ENOTCONN || r == -EINVAL)
		space_vacate(p, address, size);
	else
		space_owe(p, address, size);
	return r == 0 || r == -ENOTCONN || r == -EINVAL;
}

void
region_settle(struct pager *p)
{
	uint64_t address, size;

	while (space_owed_take(p, &address, &size) && region_give_back(p, address, size))
		continue;
}

int
region_place(struct pager *p, const struct region_wish *wish, uint64_t *ret_address)
{
	if (!(wish->flags & PAGER_ALLOC_FIXED))
		return space_reserve(p, wish->size, wish->align, ret_address);
	*ret_address = wish->address;
	return space_reserve_at(p, wish->address, wish->size);
}

/* Wires a range that is mapped, registered and known to the daemon, and that no other thread has
 * heard of, and brings it all in. The kernel is asked to, because a touch would end in SIGBUS where
 * there is no room. => 0 or -errno; the range may be wired then */
static int
region_wire(struct pager *p, uint64_t address, uint64_t size)
{
	struct pager_req_wire request = { .address = address, .size = size };
	struct pager_rep_wire reply;
	struct chan_call call = { CHAN_CALL(WIRE, &request, &reply) };
	int r = space_protect(p, address, size, PROT_READ | PROT_WRITE);

	if (r == 0)
		r = chan_exchange(&p->chan, &call);
	if (r == 0 && madvise((void *)(uintptr_t)address, size, MADV_POPULATE_WRITE) < 0)
		r = -ENOMEM;
	if (r < 0)
		space_protect(p, address, size, PROT_NONE);
	return r;
}

/* What the daemon's answer says of the memory that the client is to map. */
struct region_answer {
	const int *memfd; /* what the call's ret_fd points to */
	/* In the call's reply. flags: PAGER_WIRE_MAP_DEVICE; NULL: none */
	const uint64_t *object_offset;
	const uint32_t *flags;
};

/* Asks for a range at `address`, which is reserved, and makes it accessible. flags:
 * PAGER_ALLOC_WIRED or none. Whatever the error, nothing is left. */
static int
region_obtain(struct pager *p, struct chan_call *call, uint64_t address, uint64_t size,
    const struct region_answer *answer, unsigned flags, int protection)
{
	int r = chan_exchange(&p->chan, call);
	bool is_device = r == 0 && answer->flags && *answer->flags & PAGER_WIRE_MAP_DEVICE;
	uint64_t offset;

	if (r < 0 && !call->fd_lost) {
		space_vacate(p, address, size);
		return r;
	}
	offset = r == 0 ? *answer->object_offset : 0;
	if (r == 0 && ((offset & (p->page_size - 1)) != 0 || offset > INT64_MAX - size)) {
		chan_break(&p->chan);
		r = -EPROTO;
	}
	if (r == 0)
		r = is_device
			? device_map(p, address, size, *answer->memfd, offset, protection)
			: region_map(p, address, size, *answer->memfd, offset,
			      protection & PROT_WRITE ? MAP_SHARED : MAP_PRIVATE | MAP_NORESERVE);
	if (*answer->memfd >= 0)
		close(*answer->memfd);
	if (r == 0 && is_device)
		return 0;
	if (r == 0 && (flags & PAGER_ALLOC_WIRED) != 0)
		r = region_wire(p, address, size);
	if (r == 0)
		r = space_manage(p, address, size, protection);
	if (r < 0)
		region_give_back(p, address, size);
	return r;
}

void
region_is_shared(struct pager *p)
{
	atomic_store_explicit(&p->may_share, true, memory_order_relaxed);
}

/* What a call that makes a range asks the daemon for, and the descriptor that goes with it. */
struct region_request {
	int fd;
	union {
		struct pager_req_map_entry entry;
		struct pager_req_map_device device;
		struct pager_req_map_file file;
	} body;
};
/* The range is made at the address, where there is room for it. => 0 or -errno; change_lock held */
typedef int region_maker(struct pager *p, const struct region_wish *wish, uint64_t address,
    struct region_request *request);

/* The frame of such a call, when its arguments have been checked: a place is found, no thread is
 * cancelled in the midst of it, and *ret_addr is left alone unless there is a range. */
static int
region_make(struct pager *p, const struct region_wish *wish, region_maker *make,
    struct region_request *request, void **ret_addr)
{
	int cancel_state, r = pager_check_descriptors(p);
	uint64_t address;

	if (r < 0)
		return r;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	region_settle(p);
	r = region_place(p, wish, &address);
	if (r == 0)
		r = make(p, wish, address, request);
	pthread_setcancelstate(cancel_state, NULL);
	if (r == 0)
		*ret_addr = (void *)(uintptr_t)address;
	return r;
}

static int
region_create(struct pager *p, const struct region_wish *wish, uint64_t address,
    struct region_request *unused)
{
	struct pager_req_allocate request = { .address = address,
		.size = wish->size,
		.flags = wish->flags & PAGER_WIRE_ALLOC_FLAGS };
	struct pager_rep_allocate reply;
	int memfd = -1;
	struct chan_call call = { CHAN_CALL(ALLOCATE, &request, &reply), .ret_fd = &memfd };
	const struct region_answer answer = { &memfd, &reply.object_offset, NULL };

	(void)unused;
	if (wish->flags & PAGER_ALLOC_SHAREABLE)
		region_is_shared(p);
	return region_obtain(
	    p, &call, address, wish->size, &answer, wish->flags, PROT_READ | PROT_WRITE);
}

static int
region_map_entry(struct pager *p, const struct region_wish *wish, uint64_t address,
    struct region_request *request)
{
	struct pager_req_map_entry *body = &request->body.entry;
	struct pager_rep_map_entry reply;
	int memfd = -1;
	struct chan_call call = { CHAN_CALL(MAP_ENTRY, body, &reply), .ret_fd = &memfd,
		.fds_out = &request->fd, .fds_out_count = 1 };
	const struct region_answer answer = { &memfd, &reply.object_offset, &reply.flags };

	body->address = address;
	body->size = wish->size;
	region_is_shared(p);
	return region_obtain(p, &call, address, wish->size, &answer, 0, (int)body->protection);
}

static int
region_map_device(struct pager *p, const struct region_wish *wish, uint64_t address,
    struct region_request *request)
{
	struct pager_req_map_device *body = &request->body.device;
	struct pager_rep_map_device reply;
	int memfd = -1;
	struct chan_call call = { CHAN_CALL(MAP_DEVICE, body, &reply), .ret_fd = &memfd };
	const struct region_answer answer = { &memfd, &reply.object_offset, &reply.flags };

	body->address = address;
	body->size = wish->size;
	region_is_shared(p);
	return region_obtain(p, &call, address, wish->size, &answer, 0, (int)body->protection);
}

#define PLACE_FLAGS    ((unsigned)PAGER_ALLOC_FIXED)
#define ALLOCATE_FLAGS ((uint32_t)(PAGER_ALLOC_FIXED | PAGER_ALLOC_WIRED) | PAGER_WIRE_ALLOC_FLAGS)

/* may: the flags that there are, beside an alignment. => 0, -EINVAL or -ENOMEM */
static int
wish_init(struct region_wish *wish, const struct pager *p, size_t size, unsigned flags,
    unsigned may, void *const *addr)
{
	unsigned log2 = flags >> PAGER_ALLOC_ALIGNED_SHIFT,
		 others = flags & ((1u << PAGER_ALLOC_ALIGNED_SHIFT) - 1);
	bool fixed = (flags & PAGER_ALLOC_FIXED) != 0;

	if (size == 0 || !addr || (others & ~may) != 0 || log2 > PAGER_ALLOC_LOG2_MAX ||
	    (fixed && log2 > 0))
		return -EINVAL;
	*wish = (struct region_wish){ .flags = others,
		.align = 1ull << log2,
		.address = fixed ? (uint64_t)(uintptr_t)*addr : 0,
		.size = ((uint64_t)size + p->page_size - 1) & ~(p->page_size - 1) };
	if (wish->align < p->page_size)
		wish->align = p->page_size;
	if (fixed && (wish->address == 0 || (wish->address & (p->page_size - 1)) != 0))
		return -EINVAL;
	return wish->size < size || wish->address + wish->size < wish->address ? -ENOMEM : 0;
}

int
pager_allocate(struct pager *p, size_t size, unsigned flags, void **ret_addr)
{
	struct region_wish wish;
	int r;

	r = release_check(p);
	if (r == 0)
		r = wish_init(&wish, p, size, flags, ALLOCATE_FLAGS, ret_addr);
	if (r < 0)
		return r;
	for (;;) {
		if (release_is_done(p))
			return ordinary_allocate(p, &wish, ret_addr);
		r = region_make(p, &wish, region_create, NULL, ret_addr);
		/* The memory is being let go of. */
		if (r == -ESHUTDOWN)
			release_wait(p);
		else if (r != -ENOTCONN || !release_is_done(p))
			return r;
	}
}

int
region_hand_over(struct pager *p, uint64_t address, uint64_t size, struct chan_call *call)
{
	int r, r2;

	region_settle(p);
	/* Put the range out of reach before the daemon is told: no fault may meet a range that the
	 * daemon has forgotten. */
	r = space_unmanage(p, address, size);
	if (r == -ENOMEM) /* a part of it may be out of reach */
		region_each(p, address, size, space_protect);
	if (r < 0)
		return r;
	r = chan_exchange(&p->chan, call);
	/* The daemon has let go of the range, or has died just now. */
	if (r == 0 || r == -ENOTCONN) {
		space_vacate(p, address, size);
		return r;
	}
	/* The daemon still has the range as before. */
	r2 = region_each(p, address, size, space_protect);
	if (r2 == 0)
		r2 = space_restore(p, address, size);
	if (r2 == 0)
		return r;
	if (r2 == -ENOTCONN) {
		space_vacate(p, address, size);
		return r2;
	}
	space_protect(p, address, size, PROT_NONE);
	space_owe(p, address, size);
	return -EIO;
}

/* => change_lock held; 0 or -errno as pager_deallocate */
static int
region_destroy(struct pager *p, uint64_t address, uint64_t size)
{
	struct pager_req_deallocate request = { .address = address, .size = size };
	struct pager_rep_deallocate reply;
	struct chan_call call = { CHAN_CALL(DEALLOCATE, &request, &reply) };
	int r = region_hand_over(p, address, size, &call);

	/* After the daemon's death the memory is gone as requested. */
	return r == -ENOTCONN ? 0 : r;
}

/* The same of memory of devices. No fault can come there, so the daemon is told first, and may
 * refuse. */
static int
region_destroy_device(struct pager *p, uint64_t address, uint64_t size)
{
	int r;

	region_settle(p);
	/* So that unmapping it cannot fail. */
	r = device_part(p, address, size, true);
	if (r == 0)
		r = region_tell(p, address, size);
	if (r < 0 && r != -ENOTCONN) {
		device_part(p, address, size, false);
		return r;
	}
	if (device_unmap(p, address, size) < 0)
		return -EIO;
	space_vacate(p, address, size);
	return 0;
}

int
pager_deallocate(struct pager *p, void *addr, size_t size)
{
	uint64_t address, rounded;
	int r;

	r = release_check(p);
	if (r < 0)
		return r;
	hold_lock(&p->change_lock);
	if (release_is_done(p)) {
		hold_unlock(&p->change_lock);
		return ordinary_deallocate(p, addr, size);
	}
	r = space_check(p, addr, size, &address, &rounded);
	/* After the daemon's death the memory stays as it is. */
	if (r == 0 && atomic_load_explicit(&p->chan.broken, memory_order_acquire))
		r = -ENOTCONN;
	if (r == 0)
		r = pager_check_descriptors(p);
	if (r == 0)
		r = device_has(p, address, rounded) ? region_destroy_device(p, address, rounded)
						    : region_destroy(p, address, rounded);
	hold_unlock(&p->change_lock);
	return r;
}

int
pager_make_entry(
    struct pager *p, void *addr, size_t size, int protection, unsigned flags, int *ret_fd)
{
	struct pager_req_make_entry request = { .protection = (uint32_t)protection };
	struct pager_rep_make_entry reply;
	int fd = -1;
	struct chan_call call = { CHAN_CALL(MAKE_ENTRY, &request, &reply), .ret_fd = &fd };
	int r;

	r = pager_check(p);
	if (r < 0)
		return r;
	if (flags != 0 || !ret_fd)
		return -EINVAL;
	r = space_check(p, addr, size, &request.address, &request.size);
	if (r == 0)
		r = pager_check_descriptors(p);
	if (r == 0)
		r = chan_exchange(&p->chan, &call);
	if (r == 0)
		*ret_fd = fd;
	return r;
}

int
pager_map_entry(struct pager *p, int fd, uint64_t offset, size_t size, int protection,
    unsigned flags, void **ret_addr)
{
	struct region_request request = { .fd = fd };
	struct region_wish wish;
	int r;

	r = pager_check(p);
	if (r < 0)
		return r;
	if (fd < 0)
		return -EINVAL;
	/* A message with a descriptor that is not open cannot be sent, and would end the
	 * connection. */
	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	r = wish_init(&wish, p, size, flags, PLACE_FLAGS, ret_addr);
	request.body.entry.offset = offset;
	request.body.entry.protection = (uint32_t)protection;
	return r < 0 ? r : region_make(p, &wish, region_map_entry, &request, ret_addr);
}

int
pager_map_device(struct pager *p, const char *name, uint64_t offset, size_t size, int protection,
    unsigned flags, void **ret_addr)
{
	struct region_request request = { .fd = -1 };
	struct pager_req_map_device *body = &request.body.device;
	struct region_wish wish;
	int r;

	r = pager_check(p);
	if (r < 0)
		return r;
	if (!name || name[0] == '\0' || strnlen(name, sizeof(body->name)) == sizeof(body->name))
		return -EINVAL;
	memcpy(body->name, name, strlen(name));
	body->offset = offset;
	body->protection = (uint32_t)protection;
	r = wish_init(&wish, p, size, flags, PLACE_FLAGS, ret_addr);
	return r < 0 ? r : region_make(p, &wish, region_map_device, &request, ret_addr);
}

/* Maps one object's part of a file at the request's address. *ret_known: bytes that the daemon has
 * in its books for it. => 0 or -errno */
static int
file_part_map(struct pager *p, int fd, struct pager_req_map_file *request, uint64_t *ret_known)
{
	bool is_read_only = !(request->protection & PROT_WRITE);
	struct pager_rep_map_file reply;
	int memfd = -1;
	struct chan_call call = { CHAN_CALL(MAP_FILE, request, &reply), .ret_fd = &memfd,
		.fds_out = &fd, .fds_out_count = 1 };
	int r = chan_exchange(&p->chan, &call);

	*ret_known = 0;
	if (r < 0 && !call.fd_lost)
		return r;
	if (reply.size == 0 || reply.size > request->size ||
	    (reply.size & (p->page_size - 1)) != 0 ||
	    (reply.object_offset & (p->page_size - 1)) != 0 ||
	    reply.object_offset > INT64_MAX - reply.size) {
		chan_break(&p->chan);
		r = -EPROTO;
	} else {
		*ret_known = reply.size;
	}
	if (r == 0)
		r = region_map(p, request->address, reply.size, memfd, reply.object_offset,
		    is_read_only ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED);
	if (memfd >= 0)
		close(memfd);
	return r;
}

static int
region_map_file(struct pager *p, const struct region_wish *wish, uint64_t address,
    struct region_request *request)
{
	const struct pager_req_map_file *whole = &request->body.file;
	uint64_t done = 0, known = 0;
	int r = 0;

	region_is_shared(p);
	while (r == 0 && done < wish->size) {
		struct pager_req_map_file part = *whole;

		part.address = address + done;
		part.size = wish->size - done;
		part.offset += done;
		r = file_part_map(p, request->fd, &part, &known);
		done += known;
	}
	if (r == 0)
		r = space_manage(p, address, wish->size, (int)whole->protection);
	if (r == 0)
		return 0;
	if (done < wish->size)
		space_vacate(p, address + done, wish->size - done);
	if (done > 0)
		region_give_back(p, address, done);
	return r;
}

/* Private: anonymous memory that is a copy of the file. Until it is, nobody knows the range. */
static int
region_copy_file(struct pager *p, const struct region_wish *wish, uint64_t address,
    struct region_request *request)
{
	const struct pager_req_map_file *whole = &request->body.file;
	struct pager_req_copy_file body = {
		.address = address, .size = wish->size, .offset = whole->offset
	};
	struct pager_rep_copy_file reply;
	struct chan_call call = { CHAN_CALL(COPY_FILE, &body, &reply), .fds_out = &request->fd,
		.fds_out_count = 1 };
	int r = region_create(p, wish, address, NULL);

	if (r < 0)
		return r;
	hold_lock(&p->change_lock);
	r = chan_exchange(&p->chan, &call);
	if (r == 0 && !(whole->protection & PROT_WRITE))
		r = range_protect(p, address, wish->size, (int)whole->protection);
	if (r < 0)
		(void)region_destroy(p, address, wish->size);
	hold_unlock(&p->change_lock);
	return r;
}

#define MAP_FLAGS ((unsigned)(PAGER_MAP_SHARED | PAGER_MAP_PRIVATE))

int
pager_map_file(struct pager *p, int fd, uint64_t offset, size_t size, int prot, unsigned flags,
    void **ret_addr)
{
	struct region_request request = { .fd = fd };
	struct region_wish wish;
	int r;

	r = pager_check(p);
	if (r < 0)
		return r;
	if ((prot != PROT_READ && prot != (PROT_READ | PROT_WRITE)) ||
	    (offset & (p->page_size - 1)) != 0)
		return -EINVAL;
	if ((flags & MAP_FLAGS) != PAGER_MAP_SHARED && (flags & MAP_FLAGS) != PAGER_MAP_PRIVATE)
		return -EINVAL;
	/* A message with a descriptor that is not open cannot be sent, and would end the
	 * connection. */
	if (fcntl(fd, F_GETFD) < 0)
		return -EBADF;
	r = wish_init(&wish, p, size, flags & ~MAP_FLAGS, PLACE_FLAGS, ret_addr);
	if (r < 0)
		return r;
	if (offset > INT64_MAX - wish.size)
		return -EINVAL;
	request.body.file.offset = offset;
	request.body.file.protection = (uint32_t)prot;
	return region_make(p, &wish,
	    (flags & MAP_FLAGS) == PAGER_MAP_PRIVATE ? region_copy_file : region_map_file, &request,
	    ret_addr);
}
