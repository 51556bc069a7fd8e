/* SPDX-License-Identifier: MIT
 *
 * Managed memory becomes the process's own, a chunk at a time, while its threads use it:
 *
 *   page list   all pages of the chunk are in memory, and nobody's but ours: whoever touches one
 *               waits
 *   unmap       nobody writes through an old entry; no further pin comes
 *   PINS        nothing writes past the page tables; else all goes back, and it is tried later
 *   copy        from the memfd to private anonymous memory, outside of anybody's sight
 *   mremap      that memory lies where the chunk was, in one step of the kernel's
 *   abort       the list ends, its pages are thrown away; who waits goes on, in the new memory
 *   DEALLOCATE  the daemon has nothing there any more
 *
 * Whoever waits for a page of the chunk may hold no lock that is needed to go on: chan.lock and
 * space_lock are held from before the list until it ends. What fails before mremap leaves the chunk
 * managed, and it is tried again: a touch of the chunk waits for frames where they are lacking.
 *
 * The pieces are joined by the kernel because they come out of one mapping in the order of their
 * addresses. Runs on: the agent, which touches no managed memory and uses its descriptors by raw
 * system calls (keeper.c).
 */
#include "take.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "pager/uffd_compat.h"

#define CHUNK_BYTES (1ull << 20)
/* Large pages of the kernel's lie alike in a room and in its range. */
#define ROOM_ALIGN (2ull << 20)

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif

static char *
pointer(uint64_t address)
{
	return (char *)(uintptr_t)address;
}

void
take_nap(void)
{
	const struct timespec ms = { .tv_nsec = 1000000 };

	nanosleep(&ms, NULL);
}

int
room_make(uint64_t start, uint64_t end, struct room *ret)
{
	uint64_t size = end - start, before;
	char *memory;

	/* A range may be much larger than what is in it. */
	memory = mmap(NULL, size + ROOM_ALIGN, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	before = (start - (uint64_t)(uintptr_t)memory) & (ROOM_ALIGN - 1);
	if ((before > 0 && munmap(memory, before) < 0) ||
	    munmap(memory + before + size, ROOM_ALIGN - before) < 0) {
		munmap(memory, size + ROOM_ALIGN);
		return -ENOMEM;
	}
	/* What has no page yet would be a mapping of its own when it is moved. */
	*(volatile char *)(memory + before) = 0;
	*ret = (struct room){ start, end, (uint64_t)(uintptr_t)memory + before };
	return 0;
}

void
room_end(const struct room *room)
{
	munmap(pointer(room->at), room->end - room->start);
}

/* A part of a room's range that lies in one region. */
struct chunk {
	struct pager *p;
	const struct room *room;
	uint64_t start, size;
	uint32_t protection, inheritance;
	struct pager_rep_upl_create list;
	int fd; /* the memfd that has the list's content */
};

static uint64_t
room_address(const struct chunk *c, uint64_t address)
{
	return c->room->at + (address - c->room->start);
}

static unsigned
page_of(const struct chunk *c, uint64_t i)
{
	return c->list.pages[i / 2] >> i % 2 * 4 & 15u;
}

/* Whether there is content to be copied. */
static bool
page_has_content(const struct chunk *c, uint64_t i)
{
	unsigned page = page_of(c, i);

	return page & PAGER_WIRE_UPL_HELD && page != (PAGER_WIRE_UPL_HELD | PAGER_WIRE_UPL_ABSENT);
}

static bool
page_is_lost(const struct chunk *c, uint64_t i)
{
	return page_of(c, i) == PAGER_WIRE_UPL_LOST;
}

/* Pages from i on for which `is` says the same as for page i. */
static uint64_t
pages_alike(const struct chunk *c, uint64_t i, bool (*is)(const struct chunk *, uint64_t))
{
	uint64_t n = 1, count = c->size / c->p->page_size;
	bool first = is(c, i);

	while (i + n < count && is(c, i + n) == first)
		n++;
	return n;
}

/* --- the page list --- */

/* => 0, and the chunk is what the list covers; or -errno. chan.lock held, here and below */
static int
list_make(struct chunk *c)
{
	struct pager *p = c->p;
	struct pager_req_upl_create request = {
		.address = c->start, .size = c->size, .flags = PAGER_UPL_SET_INTERNAL
	};
	struct chan_call call = { CHAN_CALL(UPL_CREATE, &request, &c->list), .ret_fd = &c->fd };
	int r;

	c->fd = -1;
	call.reply_bytes_min = offsetof(struct pager_rep_upl_create, pages);
	r = chan_exchange_locked(&p->chan, &call);
	if (r < 0)
		return r;
	if (c->list.size == 0 || c->list.size > c->size || c->list.size % p->page_size != 0) {
		syscall(SYS_close, c->fd);
		chan_break(&p->chan);
		return -EPROTO;
	}
	c->size = c->list.size;
	return 0;
}

/* throw: content and all; else it stays the daemon's. */
static int
list_end(struct chunk *c, bool throw)
{
	struct pager_req_upl_finish request = { .id = c->list.id, .what = PAGER_WIRE_UPL_DESTROY };
	struct pager_rep_upl_finish reply;
	struct chan_call call = { CHAN_CALL(UPL_FINISH, &request, &reply) };

	syscall(SYS_close, c->fd);
	if (throw) {
		request.what = PAGER_WIRE_UPL_ABORT;
		request.size = c->size;
		request.flags = PAGER_UPL_ABORT_DUMP_PAGES | PAGER_UPL_ABORT_FREE_ON_EMPTY;
	}
	return chan_exchange_locked(&c->p->chan, &call);
}

static int
list_pins(struct chunk *c, uint64_t *ret_pinned)
{
	struct pager_req_release_step request = { .what = PAGER_WIRE_STEP_PINS,
		.list = c->list.id };
	struct pager_rep_release_step reply;
	struct chan_call call = { CHAN_CALL(RELEASE_STEP, &request, &reply) };
	int r = chan_exchange_locked(&c->p->chan, &call);

	*ret_pinned = reply.pinned;
	return r;
}

/* --- the content --- */

/* Calls f for each part of the range that is mapped as ours. => 0, or the first error of f;
 * space_lock held */
static int
ours_each(struct chunk *c, uint64_t start, uint64_t end,
    int (*f)(struct chunk *c, uint64_t start, uint64_t size))
{
	int r = 0;

	for (uint64_t part; r == 0 && start < end; start += part ? part : HARDWARE_PAGE) {
		part = space_registered_part(c->p, start, end - start);
		if (part > 0)
			r = f(c, start, part);
	}
	return r;
}

static int
part_unmap(struct chunk *c, uint64_t start, uint64_t size)
{
	(void)c;
	return madvise(pointer(start), size, MADV_DONTNEED_LOCKED) < 0 ? -errno : 0;
}

static int
part_move(struct chunk *c, uint64_t start, uint64_t size)
{
	/* It needs memory for page tables, and may need a mapping more for a moment. What has been
	 * moved cannot go back, so the rest must follow. */
	while (mremap(pointer(room_address(c, start)), size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
		   pointer(start)) == MAP_FAILED)
		take_nap();
	return 0;
}

static int
run_copy(struct chunk *c, uint64_t offset, uint64_t size)
{
	char *to = pointer(room_address(c, c->start)) + offset;

	for (uint64_t done = 0; done < size;) {
		long n = syscall(SYS_pread64, c->fd, to + done, size - done,
		    (long)(c->list.object_offset + offset + done));

		if (n > 0)
			done += (uint64_t)n;
		else if (n == 0 || errno != EINTR)
			return n == 0 ? -EIO : -errno;
	}
	return 0;
}

/* Touching it is SIGBUS, as it was: a page behind the end of a file. */
static int
run_lose(struct chunk *c, uint64_t offset, uint64_t size)
{
	int fd = (int)syscall(SYS_memfd_create, "pager-lost", 0x0001U /* MFD_CLOEXEC */), r = 0;

	if (fd < 0)
		return -errno;
	if (mmap(pointer(room_address(c, c->start)) + offset, size, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		r = -errno;
	syscall(SYS_close, fd);
	return r;
}

/* The room's part becomes what the chunk is. => 0 or -errno */
static int
room_fill(struct chunk *c)
{
	const uint64_t page = c->p->page_size, count = c->size / page;
	char *to = pointer(room_address(c, c->start));
	int r = 0;

	for (uint64_t i = 0, n; r == 0 && i < count; i += n) {
		n = pages_alike(c, i, page_has_content);
		if (page_has_content(c, i))
			r = run_copy(c, i * page, n * page);
	}
	for (uint64_t i = 0, n; r == 0 && i < count; i += n) {
		n = pages_alike(c, i, page_is_lost);
		if (page_is_lost(c, i))
			r = run_lose(c, i * page, n * page);
	}
	if (r == 0 && c->protection != (PROT_READ | PROT_WRITE) &&
	    mprotect(to, c->size, (int)c->protection) < 0)
		r = -errno;
	if (r == 0 && c->inheritance == PAGER_INHERIT_NONE &&
	    madvise(to, c->size, MADV_DONTFORK) < 0)
		r = -errno;
	return r;
}

/* What is there is the program's from now on. Lost pages are mappings of their own. */
static void
chunk_move(struct chunk *c)
{
	struct uffdio_range range = { .start = c->start, .len = c->size };
	const uint64_t page = c->p->page_size, count = c->size / page;

	for (uint64_t i = 0, n; i < count; i += n) {
		n = pages_alike(c, i, page_is_lost);
		(void)ours_each(c, c->start + i * page, c->start + (i + n) * page, part_move);
	}
	range_set_remove(&c->p->managed, c->start, c->start + c->size);
	/* Whoever came too late to be seen by the list. */
	syscall(SYS_ioctl, c->p->uffd, UFFDIO_WAKE, &range);
}

/* => 0: the chunk is ordinary; -errno: it is as before. Locks held */
static int
chunk_take_locked(struct chunk *c)
{
	uint64_t pinned = 0;
	int r = range_set_reserve(&c->p->managed, 2);

	if (r == 0)
		r = list_make(c);
	if (r < 0)
		return r;
	r = ours_each(c, c->start, c->start + c->size, part_unmap);
	if (r == 0)
		r = list_pins(c, &pinned);
	if (r == 0 && pinned > 0)
		r = -EBUSY;
	if (r == 0)
		r = room_fill(c);
	if (r < 0) {
		(void)list_end(c, false);
		return r;
	}
	chunk_move(c);
	(void)list_end(c, true);
	return 0;
}

static int
chunk_take(struct chunk *c)
{
	struct pager *p = c->p;
	int r;

	hold_lock(&p->chan.lock);
	hold_lock(&p->space_lock);
	r = chunk_take_locked(c);
	hold_unlock(&p->space_lock);
	hold_unlock(&p->chan.lock);
	if (r == 0)
		region_forget(p, c->start, c->size);
	return r;
}

/* --- a range --- */

/* The next chunk, from the address on: most bytes of one region. => 0 or -errno */
static int
chunk_next(struct chunk *c, uint64_t address, uint64_t most)
{
	struct pager_req_region request = { .address = address };
	struct pager_rep_region reply;
	struct chan_call call = { CHAN_CALL(REGION, &request, &reply) };
	uint64_t end;
	int r = chan_exchange(&c->p->chan, &call);

	if (r < 0)
		return r;
	end = reply.region.address + reply.region.size;
	if (reply.region.address > address || end <= address)
		return -ENOENT;
	c->start = address;
	c->size = c->room->end - address;
	c->size = c->size < most ? c->size : most;
	c->size = c->size < end - address ? c->size : end - address;
	c->protection = reply.region.protection;
	c->inheritance = reply.region.inheritance;
	return 0;
}

/* Waits until the page is in memory, as any thread of the process's does that touches it. */
static void
page_await(uint64_t address)
{
	char byte;
	struct iovec to = { &byte, 1 }, from = { pointer(address), 1 };

	if (process_vm_readv(getpid(), &to, 1, &from, 1, 0) != 1)
		take_nap();
}

int
room_take(struct pager *p, const struct room *room)
{
	/* The list's pages make it too large for a stack. */
	struct chunk *c =
	    mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t at = room->start, most = CHUNK_BYTES;
	int r = c == MAP_FAILED ? -ENOMEM : 0;

	if (r < 0)
		return r;
	c->p = p;
	c->room = room;
	while (at < room->end) {
		r = chunk_next(c, at, most);
		if (r == 0)
			r = chunk_take(c);
		if (r == -ENOTCONN || r == -EPROTO || r == -ENOENT)
			break;
		if (r == 0) {
			at += c->size;
			most = most < CHUNK_BYTES ? most * 2 : CHUNK_BYTES;
			continue;
		}
		/* What a first try has made of the room. */
		(void)mprotect(pointer(room_address(c, at)), c->size, PROT_READ | PROT_WRITE);
		if (most > p->page_size)
			most = most / 2;
		else if (r == -ENOBUFS)
			page_await(at);
		else
			take_nap();
	}
	munmap(c, sizeof(*c));
	return r;
}
