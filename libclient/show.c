/* SPDX-License-Identifier: MIT
 *
 * Shared reads: where a copy is only read, what it was copied from is mapped in its place,
 * privately and from a descriptor that cannot be written through. When a thread writes there, or
 * what it reads has changed at the source, the agent maps the copy's own memory there again, a
 * block at a time. For that it takes locks, so a thread that has one of these touches nothing that
 * may be shown (hold.h).
 *
 *   share   SHARE_READS -> a second mapping of the copy's memory, which nothing else uses ->
 *           the source's memory is mapped over the range and registered
 *   open    a fault -> the daemon tells the agent -> WINDOW_OPEN (the daemon brings the block in
 * and keeps it) -> the second mapping's part is mapped there too, and registered -> WINDOW_DONE ->
 * the daemon wakes the thread
 *
 * Between being mapped and being registered a block is there whole, and the daemon takes it for
 * written. The second mapping is not registered, so that neighbouring blocks become one mapping.
 *
 * Runs on: the caller's threads; show_open also on the agent.
 */
#include "own_pages.h"
#include "region_priv.h"

#include <errno.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pager/uffd_compat.h"

/* A range at which other memory has been mapped, and where else its own is. */
struct pager_show {
	struct pager_show *next; /* (space_lock) */
	uint64_t start, end;     /* constant, here and below */
	char *own;
	size_t bytes; /* of own_pages.h */
};

static void *
pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

static int
range_register(const struct pager *p, uint64_t address, uint64_t size)
{
	struct uffdio_register reg = {
		.range = { .start = address, .len = size },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR |
			UFFDIO_REGISTER_MODE_WP,
	};

	return ioctl(p->uffd, UFFDIO_REGISTER, &reg) == 0 ? 0 : -errno;
}

/* Maps the copy's own memory into its place. => 0 or -errno: it is as before; -EIO: nothing is
 * there. space_lock held */
static int
own_map(
    struct pager *p, const struct pager_show *show, uint64_t address, uint64_t size, int protection)
{
	/* A size of 0: another mapping of the same. It has the advice of the first. */
	if (mremap(show->own + (address - show->start), 0, size, MREMAP_MAYMOVE | MREMAP_FIXED,
		pointer(address)) == MAP_FAILED)
		return -errno;
	if (range_register(p, address, size) == 0 &&
	    (protection == (PROT_READ | PROT_WRITE) ||
		mprotect(pointer(address), size, protection) == 0))
		return 0;
	munmap(pointer(address), size);
	return -EIO;
}

static int
done_tell(struct pager *p, uint64_t address, uint64_t size, bool is_mapped)
{
	struct pager_req_window_done request = {
		.address = address, .size = size, .is_mapped = is_mapped
	};
	struct pager_rep_window_done reply;
	struct chan_call call = { CHAN_CALL(WINDOW_DONE, &request, &reply) };

	return chan_exchange(&p->chan, &call);
}

/* The newest that has all of the range. => NULL: none; space_lock held */
static const struct pager_show *
show_find(const struct pager *p, uint64_t address, uint64_t size)
{
	const struct pager_show *show = p->shows;

	while (
	    show && (address < show->start || size > show->end - address || address >= show->end))
		show = show->next;
	return show;
}

/* Opens the block around the address. => bytes that were opened, from *ret_address on; 0: it is
 * open; or -errno; change_lock held */
static int64_t
block_open(struct pager *p, uint64_t address, uint64_t *ret_address)
{
	struct pager_req_window_open request = { .address = address };
	struct pager_rep_window_open reply;
	struct chan_call call = { CHAN_CALL(WINDOW_OPEN, &request, &reply) };
	const struct pager_show *show;
	int r, mapped = -EINVAL;

	while ((r = chan_exchange(&p->chan, &call)) == -ENOMEM)
		sched_yield();
	if (r < 0 || reply.size == 0)
		return r;
	if (((reply.address | reply.size) & (p->page_size - 1)) != 0 || reply.size > INT64_MAX ||
	    reply.address > UINT64_MAX - reply.size) {
		chan_break(&p->chan);
		return -EPROTO;
	}
	hold_lock(&p->space_lock);
	show = show_find(p, reply.address, reply.size);
	if (show && range_set_contains(&p->managed, reply.address, reply.address + reply.size))
		mapped = own_map(p, show, reply.address, reply.size, (int)reply.protection);
	hold_unlock(&p->space_lock);
	r = done_tell(p, reply.address, reply.size, mapped == 0 || mapped == -EIO);
	*ret_address = reply.address;
	return r < 0 ? r : mapped < 0 ? mapped : (int64_t)reply.size;
}

void
show_open(struct pager *p, uint64_t address)
{
	hold_lock(&p->change_lock);
	(void)block_open(p, address, &address);
	hold_unlock(&p->change_lock);
}

int
show_open_range(struct pager *p, uint64_t address, uint64_t size)
{
	uint64_t end = address + size, at = address;
	int64_t opened = 0;

	hold_lock(&p->change_lock);
	while (p->shows && opened >= 0 && at < end) {
		uint64_t from = at;

		opened = block_open(p, at, &from);
		at = opened > 0 ? from + (uint64_t)opened : at + p->page_size;
	}
	hold_unlock(&p->change_lock);
	return opened < 0 ? (int)opened : 0;
}

/* A second mapping of what is mapped in the range, which nobody knows. While it is made, the first
 * is not registered: the daemon would be told of a registered one that moves, and would take it for
 * the program's doing. => NULL: there is none, and the range is as before; space_lock held */
static char *
own_keep(struct pager *p, uint64_t address, uint64_t size)
{
	struct uffdio_range range = { .start = address, .len = size };
	char *own;

	if (ioctl(p->uffd, UFFDIO_UNREGISTER, &range) < 0)
		return NULL;
	own = mremap(pointer(address), 0, size, MREMAP_MAYMOVE);
	if (own != MAP_FAILED && mprotect(own, size, PROT_READ | PROT_WRITE) == 0)
		return own;
	if (own != MAP_FAILED)
		munmap(own, size);
	(void)range_register(p, address, size);
	return NULL;
}

/* What was mapped over the range is to be seen there. => 0 or -errno: all is as before; change_lock
 * held */
static int
show_make(
    struct pager *p, uint64_t address, uint64_t size, int memfd, uint64_t offset, int protection)
{
	size_t bytes = 0;
	struct pager_show *show = own_pages_grow(NULL, &bytes, sizeof(*show), sizeof(*show));
	int r;

	if (!show)
		return -ENOMEM;
	*show = (struct pager_show){ .start = address, .end = address + size, .bytes = bytes };
	hold_lock(&p->space_lock);
	if (range_set_contains(&p->managed, address, address + size) &&
	    space_is_registered(p, address, size))
		show->own = own_keep(p, address, size);
	if (!show->own) {
		hold_unlock(&p->space_lock);
		own_pages_free(show, bytes);
		return -ENOMEM;
	}
	show->next = p->shows;
	p->shows = show;
	r = region_map(p, address, size, memfd, offset, MAP_PRIVATE | MAP_NORESERVE);
	if (r == 0 && mprotect(pointer(address), size, protection) < 0)
		r = -errno;
	if (r < 0)
		(void)own_map(p, show, address, size, protection);
	hold_unlock(&p->space_lock);
	return r;
}

/* The daemon shows what a descriptor has: it is mapped, or the daemon is told that it is not. Where
 * the program has mapped something else, that is left alone. memfd: is closed. => 0 or -errno */
static int
shown_map(
    struct pager *p, uint64_t address, uint64_t size, int memfd, uint64_t offset, int protection)
{
	int r = -EPROTO;

	if (((size | offset | address) & (p->page_size - 1)) != 0 || offset > INT64_MAX - size ||
	    address > INT64_MAX - size) {
		close(memfd);
		chan_break(&p->chan);
		return r;
	}
	r = show_make(p, address, size, memfd, offset, protection);
	close(memfd);
	if (r < 0)
		(void)done_tell(p, address, size, true);
	else
		p->shown += size;
	return r;
}

/* A part of the range that the daemon has in one piece. => 0, also where it stays as it is, or
 * -errno */
static int
part_share(struct pager *p, uint64_t address, uint64_t size, int protection)
{
	int r = 0;

	while (r == 0 && size > 0) {
		struct pager_req_share_reads request = { .address = address, .size = size };
		struct pager_rep_share_reads reply;
		int memfd = -1;
		struct chan_call call = { CHAN_CALL(SHARE_READS, &request, &reply),
			.ret_fd = &memfd };

		r = chan_exchange(&p->chan, &call);
		if (r == -EOPNOTSUPP)
			return 0;
		if (r < 0 && call.fd_lost)
			(void)done_tell(p, address, size, true);
		if (r < 0)
			return r;
		if (reply.size == 0 || reply.size > size) {
			close(memfd);
			chan_break(&p->chan);
			return -EPROTO;
		}
		r = shown_map(p, address, reply.size, memfd, reply.offset, protection);
		address += reply.size;
		size -= reply.size;
	}
	return r;
}

/* Threads that have taken a lock before this process had windows have let it go. => change_lock
 * held */
static void
windows_expect(struct pager *p)
{
	pthread_mutex_t *const locks[] = { &p->chan.lock, &p->space_lock, &p->events.lock };

	hold_expect(true);
	hold_lock(&p->change_lock);
	for (size_t i = 0; i < sizeof(locks) / sizeof(locks[0]); i++) {
		hold_lock(locks[i]);
		hold_unlock(locks[i]);
	}
}

int
show_inherited(struct pager *p)
{
	struct pager_req_fork_share request = { 0 };
	struct pager_rep_fork_share reply;
	int r;

	windows_expect(p);
	do {
		int memfd = -1;
		struct chan_call call = { CHAN_CALL(FORK_SHARE, &request, &reply),
			.ret_fd = &memfd };

		r = chan_exchange(&p->chan, &call);
		if (r == 0)
			r = shown_map(p, reply.address, reply.size, memfd, reply.offset,
			    (int)reply.protection);
		else if (call.fd_lost)
			(void)done_tell(p, reply.address, reply.size, true);
		request.cursor = reply.address + reply.size;
	} while (r == 0);
	hold_unlock(&p->change_lock);
	return r == -ENOENT ? 0 : r;
}

int
pager_share_reads(struct pager *p, void *addr, size_t size)
{
	uint64_t address, whole, before, here = (uintptr_t)__builtin_frame_address(0);
	int cancel_state, r = pager_check(p);

	if (r == 0)
		r = pager_check_descriptors(p);
	if (r < 0)
		return r;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	windows_expect(p);
	before = p->shown;
	r = space_check(p, addr, size, &address, &whole);
	if (r == 0 && here - address < whole)
		r = -EINVAL;
	if (r == 0)
		r = region_each(p, address, whole, part_share);
	if (r == 0 && p->shown == before)
		r = -EOPNOTSUPP;
	hold_unlock(&p->change_lock);
	pthread_setcancelstate(cancel_state, NULL);
	return r;
}

void
show_free_all(struct pager *p)
{
	struct pager_show *show;

	while ((show = p->shows) != NULL) {
		p->shows = show->next;
		munmap(show->own, show->end - show->start);
		own_pages_free(show, show->bytes);
	}
}
