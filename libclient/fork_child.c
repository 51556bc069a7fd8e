/* SPDX-License-Identifier: MIT
 *
 * fork(2), as the child has it. What the daemon has kept for it is mapped where it was, before
 * anything else runs in the child:
 *
 *   what lies in the socket is taken: a userfaultfd is made; regions, each mapped and registered ->
 *   FORK_CHILD (tells the daemon which process this is) and ATTACH are sent
 *
 * The child waits for no answer. Until that to ATTACH comes a thread that touches memory
 * waits in its fault. Most children go on to another program, and most of the rest touch memory
 * without a call of this library. So the threads of the connection, keeper and agent, are started
 * by the first call (fork_settle.c), and not here, where libc's malloc could not be used either.
 * Until then the program can close the descriptors (the daemon serves the memory all the same), and
 * nobody drops page-table entries (which costs nothing but a reference more or less).
 *
 * Runs on: the child's one thread.
 */
#include "pager_priv.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pager/uffd_compat.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 1u
#endif

/* What the regions of a child become. */
struct inheriting {
	struct range_set mapped, owed;
};

static void *
pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

/* Whether nothing but our cover is there. */
static bool
is_covered(const struct forking *f, uint64_t start, uint64_t end)
{
	for (unsigned i = 0; i < f->foreign_count; i++)
		if (f->foreign[i].start < end && start < f->foreign[i].end)
			return false;
	return end <= f->covered;
}

/* => false: something cannot be remembered, or the kernel refuses */
static bool
cover(struct forking *f, uint64_t start, uint64_t end)
{
	uint64_t half = (end - start) / 2 & ~(uint64_t)(HARDWARE_PAGE - 1);
	struct range *last = f->foreign_count > 0 ? &f->foreign[f->foreign_count - 1] : NULL;

	if (mmap(pointer(start), end - start, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
		0) != MAP_FAILED)
		return true;
	if (errno != EEXIST)
		return false;
	if (half > 0)
		return cover(f, start, start + half) && cover(f, start + half, end);
	if (last && last->end == start)
		last->end = end;
	else if (f->foreign_count == FORK_FOREIGN_MAX)
		return false;
	else
		f->foreign[f->foreign_count++] = (struct range){ start, end };
	return true;
}

/* Where the parent's memory was there is a hole, in which the kernel would place whatever this
 * process maps next: the library's own books, for one. */
void
fork_cover(struct pager *p)
{
	struct forking *f = &p->forking;

	f->covered = 0;
	f->foreign_count = 0;
	for (size_t i = 0; f->state != FORK_NOTHING && i < p->managed.count; i++) {
		if (!cover(f, p->managed.ranges[i].start, p->managed.ranges[i].end)) {
			f->state = FORK_BARE;
			return;
		}
		f->covered = p->managed.ranges[i].end;
	}
}

/* The places of what is not this process's are free. */
static void
uncover(struct forking *f, uint64_t start, uint64_t end)
{
	uint64_t half = (end - start) / 2 & ~(uint64_t)(HARDWARE_PAGE - 1);

	if (start >= end)
		return;
	if (is_covered(f, start, end)) {
		munmap(pointer(start), end - start);
	} else if (half > 0) {
		uncover(f, start, start + half);
		uncover(f, start + half, end);
	}
}

/* What of the parent's memory has not been inherited. */
static void
uncover_others(struct pager *p, const struct range_set *mapped)
{
	for (size_t i = 0; i < p->managed.count; i++) {
		uint64_t at = p->managed.ranges[i].start, end = p->managed.ranges[i].end;
		const struct range *r;

		for (; (r = range_set_above(mapped, at)) != NULL && r->start < end; at = r->end)
			uncover(&p->forking, at, r->start);
		uncover(&p->forking, at, end);
	}
}

/* No other thread is there that could touch it before it is registered. Where the program has
 * mapped something itself, that is left alone. => 0 or -errno */
static int
part_map(struct pager *p, const struct pager_wire_fork_region *region, uint64_t start, uint64_t end,
    int memfd)
{
	uint64_t size = end - start, half = size / 2 & ~(p->page_size - 1);
	struct uffdio_register reg = {
		.range = { .start = start, .len = size },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR |
			UFFDIO_REGISTER_MODE_WP,
	};
	int sharing = region->is_private ? MAP_PRIVATE | MAP_NORESERVE : MAP_SHARED;
	int fixed = is_covered(&p->forking, start, end) ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	void *memory = mmap(pointer(start), size, (int)region->protection, sharing | fixed, memfd,
	    (off_t)(region->object_offset + (start - region->address)));
	int r;

	if (memory == MAP_FAILED && errno == EEXIST) {
		if (half == 0)
			return 0;
		r = part_map(p, region, start, start + half, memfd);
		return r < 0 ? r : part_map(p, region, start + half, end, memfd);
	}
	/* The same advice as region.c gives. */
	if (memory == MAP_FAILED || madvise(memory, size, MADV_DONTFORK) < 0 ||
	    madvise(memory, size, MADV_DONTDUMP) < 0 || madvise(memory, size, MADV_RANDOM) < 0 ||
	    ioctl(p->uffd, UFFDIO_REGISTER, &reg) < 0)
		return -errno;
	return 0;
}

/* Maps what the parent had of a region. What it had not, or had no more, because another of its
 * threads was just allocating it or giving it back, the child owes the daemon. */
static int
region_inherit(
    struct pager *p, const struct pager_wire_fork_region *region, int memfd, struct inheriting *in)
{
	uint64_t end = region->address + region->size, until;
	int r = 0;

	for (uint64_t at = region->address; r == 0 && at < end; at = until) {
		const struct range *had = range_set_above(&p->managed, at);
		bool is = had && had->start <= at;

		until = !had ? end : is ? had->end : had->start;
		until = until < end ? until : end;
		r = range_set_reserve(is ? &in->mapped : &in->owed, 1);
		if (r < 0)
			break;
		range_set_add(is ? &in->mapped : &in->owed, at, until);
		if (is)
			r = part_map(p, region, at, until, memfd);
	}
	return r;
}

/* Says which process this is. => 0 or -errno */
static int
child_announce(struct pager *p)
{
	struct pager_req_fork_child request = { 0 };
	struct pager_rep_fork_child reply;
	struct chan_call call = { CHAN_CALL(FORK_CHILD, &request, &reply) };

	return p->announced ? 0 : chan_say_locked(&p->chan, &call, &p->announced);
}

/* Reads the answer to that. => 0 or -errno */
static int
child_hear(struct pager *p)
{
	struct pager_req_fork_child request = { 0 };
	struct pager_rep_fork_child reply;
	struct chan_call call = { CHAN_CALL(FORK_CHILD, &request, &reply) };
	uint64_t sequence = p->announced;

	if (!sequence || p->has_heard)
		return 0;
	p->has_heard = true;
	return chan_receive_locked(&p->chan, &call, sequence);
}

/* => 0 or -errno */
static int
regions_inherit(struct pager *p, struct inheriting *in)
{
	struct pager_rep_fork_step *reply = &p->forking.step;
	bool is_told = true;
	uint64_t cursor = 0;
	int r;

	do {
		struct pager_req_fork_step request = { .cursor = cursor, .step = PAGER_FORK_MAP };
		int memfd = -1;
		struct chan_call call = { CHAN_CALL(FORK_STEP, &request, reply), .ret_fd = &memfd };

		call.reply_bytes_min = offsetof(struct pager_rep_fork_step, regions);
		r = is_told ? chan_take_locked(&p->chan, &call, 0) : -EAGAIN;
		if (r == -EAGAIN) {
			r = is_told ? child_announce(p) : 0;
			is_told = false;
			if (r == 0)
				r = child_hear(p);
			if (r == 0)
				r = chan_exchange_locked(&p->chan, &call);
		}
		if (r == 0 && (reply->count > PAGER_FORK_REGIONS_PER_REPLY ||
				  (reply->next_cursor != 0 && reply->next_cursor <= cursor)))
			r = -EPROTO;
		for (uint32_t i = 0; r == 0 && i < reply->count; i++)
			r = region_inherit(p, &reply->regions[i], memfd, in);
		if (memfd >= 0)
			close(memfd);
		cursor = reply->next_cursor;
	} while (r == 0 && cursor != 0);
	return r;
}

/* Sends ATTACH, whose answer fork_collect reads. */
static int
attach_send(struct pager *p)
{
	struct pager_req_attach request;
	struct pager_rep_attach reply;
	struct chan_call call = { CHAN_CALL(ATTACH, &request, &reply), .fds_out = &p->uffd,
		.fds_out_count = 1 };
	uint64_t sequence;
	int r = probe_open(p, &request);

	if (r < 0)
		return r;
	r = chan_say_locked(&p->chan, &call, &sequence);
	if (r < 0)
		probe_close(request.probe_address);
	else
		p->attaching = request.probe_address;
	return r;
}

int
fork_collect(struct pager *p)
{
	struct pager_rep_attach reply;
	struct pager_req_attach request;
	struct chan_call call = { CHAN_CALL(ATTACH, &request, &reply), .ret_fd = &p->agent.socket };
	int r;

	if (!p->attaching)
		return 0;
	r = child_hear(p);
	if (!atomic_load_explicit(&p->chan.broken, memory_order_acquire))
		r = chan_receive_locked(&p->chan, &call, p->chan.sequence);
	probe_close(p->attaching);
	p->attaching = 0;
	if (r < 0)
		chan_break(&p->chan);
	return r;
}

/* Writes what the parent has read into this process's memory. Where there is no room for it the
 * kernel says so, while a touch would be SIGBUS. => 0 or -errno */
static int
physical_fill(const struct pager *p, const struct inheriting *in)
{
	off_t offset = 0;

	for (uint32_t i = 0; i < p->forking.begun.count; i++) {
		const struct pager_wire_range *range = &p->forking.begun.physical[i];
		uint64_t done = 0;

		/* It may have been given back just then. */
		if (range->address & PAGER_FORK_ZEROES ||
		    !range_set_contains(&in->mapped, range->address, range->address + range->size))
			done = range->size;
		while (done < range->size) {
			ssize_t got = pread(p->forking.staging, pointer(range->address + done),
			    range->size - done, offset + (off_t)done);

			if (got <= 0)
				return got < 0 ? -errno : -EIO;
			done += (uint64_t)got;
		}
		offset += (off_t)range->size;
	}
	return 0;
}

/* A part of a window that is not mapped for the program any more. => whether it is free */
static bool
window_part(struct pager *p, uint64_t start, uint64_t end, bool was_free)
{
	struct uffdio_register reg = { .range = { .start = start, .len = end - start },
		.mode = UFFDIO_REGISTER_MODE_MISSING };

	/* What was free is still there, and is to be recognised (space.c). */
	if (!was_free && mmap(pointer(start), end - start, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1,
			     0) == MAP_FAILED)
		return false;
	(void)ioctl(p->uffd, UFFDIO_REGISTER, &reg);
	return true;
}

/* Windows are reservations, which the kernel has inherited, with holes where memory was. */
static int
windows_inherit(struct pager *p, struct range_set *unused)
{
	for (size_t i = 0; i < p->windows.count; i++) {
		uint64_t end = p->windows.ranges[i].end, until;

		for (uint64_t at = p->windows.ranges[i].start; at < end; at = until) {
			const struct range *mapped = range_set_above(&p->managed, at),
					   *owed = range_set_above(&p->owed, at),
					   *was = range_set_above(&p->free, at);
			bool is_owed = owed && owed->start <= at, is_free = was && was->start <= at;

			until = mapped && mapped->start <= at   ? mapped->end
				: mapped && mapped->start < end ? mapped->start
								: end;
			if (mapped && mapped->start <= at)
				continue;
			if (owed && (is_owed ? owed->end : owed->start) < until)
				until = is_owed ? owed->end : owed->start;
			if (was && (is_free ? was->end : was->start) < until)
				until = is_free ? was->end : was->start;
			if (range_set_reserve(unused, 1) < 0)
				return -ENOMEM;
			if (window_part(p, at, until, is_free) && !is_owed)
				range_set_add(unused, at, until);
		}
	}
	return 0;
}

int
fork_windows(struct pager *p)
{
	struct range_set unused;
	int r;

	range_set_init(&unused);
	r = windows_inherit(p, &unused);
	if (r < 0) {
		range_set_fini(&unused);
		return r;
	}
	range_set_fini(&p->free);
	p->free = unused;
	return 0;
}

/* The books of addresses become the child's. What is free is put in order by its first call: until
 * then `free` says what reservations the kernel has inherited, also for a grandchild. */
static void
books_inherit(struct pager *p, struct inheriting *in)
{
	range_set_fini(&p->managed);
	range_set_fini(&p->owed);
	device_set_fini(&p->devices);
	p->managed = in->mapped;
	p->owed = in->owed;
	device_set_init(&p->devices);
}

/* => 0 or -errno */
static int
child_begin(struct pager *p, struct inheriting *in)
{
	struct pager_req_fork_child request = { 0 };
	struct pager_rep_fork_child reply;
	int dev_fd = -1, r;
	struct chan_call call = { CHAN_CALL(FORK_CHILD, &request, &reply), .ret_fd = &dev_fd };

	r = chan_take_locked(&p->chan, &call, 0);
	if (r < 0)
		return r;
	p->session = reply.session_id;
	r = pager_watch(p, dev_fd, reply.uffd_features);
	close(dev_fd);
	if (r == 0 && reply.regions > 0)
		r = regions_inherit(p, in);
	if (r == 0)
		r = child_announce(p);
	if (r == 0)
		r = attach_send(p);
	if (r == 0 && p->forking.begun.flags & PAGER_FORK_PHYSICAL)
		r = fork_collect(p);
	if (r == 0)
		r = physical_fill(p, in);
	if (r == 0) {
		uncover_others(p, &in->mapped);
		books_inherit(p, in);
	}
	return r;
}

/* fd: a file that has the part from offset on, or is empty there */
static void
part_bar(const struct forking *f, uint64_t start, uint64_t end, int fd, off_t offset)
{
	uint64_t half = (end - start) / 2 & ~(uint64_t)(HARDWARE_PAGE - 1);
	int fixed = is_covered(f, start, end) ? MAP_FIXED : MAP_FIXED_NOREPLACE;

	if (fd >= 0 && mmap(pointer(start), end - start, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_NORESERVE | fixed, fd, offset) != MAP_FAILED)
		return;
	if (fixed != MAP_FIXED && half > 0) {
		part_bar(f, start, start + half, fd, offset);
		part_bar(f, start + half, end, fd, offset + (off_t)half);
	} else if (fixed == MAP_FIXED) {
		/* Without a descriptor it is SIGSEGV. */
		(void)mmap(pointer(start), end - start, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
	}
}

/* Touching what is behind the end of a file is SIGBUS. Nothing of the program's own is changed. */
static void
memory_bar(struct forking *f, const struct range_set *set)
{
	int empty = (int)syscall(SYS_memfd_create, "pager-none", MFD_CLOEXEC);

	for (size_t i = 0; i < set->count; i++)
		part_bar(f, set->ranges[i].start, set->ranges[i].end, empty, 0);
	if (empty >= 0)
		close(empty);
}

/* The daemon has died before this process was its client. What its parent has read for it becomes
 * memory of its own, which is not the daemon's. */
static void
memory_keep(struct forking *f)
{
	off_t offset = 0;

	for (uint32_t i = 0; i < f->begun.count; i++) {
		uint64_t at = f->begun.physical[i].address & ~(uint64_t)PAGER_FORK_ZEROES;

		part_bar(f, at, at + f->begun.physical[i].size, f->staging, offset);
		offset += (off_t)f->begun.physical[i].size;
	}
}

void
fork_close(struct pager *p)
{
	chan_close(&p->chan);
	if (!p->parted)
		agent_close(&p->agent);
	if (fd_is_noted(p->uffd, &p->uffd_note))
		close(p->uffd);
	p->uffd = -1;
	notice_close(p);
}

/* The parent's descriptors, threads and locks are not the child's. */
static void
parents_drop(struct pager *p)
{
	/* In a table that both have they are the parent's to close. */
	if (!p->forking.shares_files)
		fork_close(p);
	p->uffd = p->events.notice_fd = -1;
	agent_init(&p->agent);
	chan_init(&p->chan);
	pthread_mutex_init(&p->change_lock, NULL);
	mutex_init(&p->space_lock);
	pthread_mutex_init(&p->events.lock, NULL);
	p->events.running = p->events.stopping = p->events.has_notice = false;
	pthread_mutex_init(&p->settle_lock, NULL);
	p->parted = false;
	p->generation++;
	p->attaching = p->announced = 0;
	p->has_heard = false;
	port_fork_all(p);
	/* The kernel has not copied what they are of. */
	p->shows = NULL;
	p->shown = 0;
	upl_fork_all(p);
}

bool
fork_child_begin(struct pager *p)
{
	struct forking *f = &p->forking;
	struct inheriting in;
	int r = -ENOTCONN;

	parents_drop(p);
	range_set_init(&in.mapped);
	range_set_init(&in.owed);
	if (f->state == FORK_READY) {
		p->chan.fd = f->shares_files ? f->second : f->socket;
		r = fd_note(p->chan.fd, &p->chan.note);
		if (r == 0)
			r = child_begin(p, &in);
	}
	if (r < 0 && f->state != FORK_NOTHING) {
		/* What has been mapped lies within what was managed. */
		memory_bar(f, &p->managed);
		/* Where the barrier has ended before, it is not of one moment. */
		if (f->state == FORK_READY && f->begun.flags & PAGER_FORK_PHYSICAL &&
		    r != -ETIMEDOUT)
			memory_keep(f);
	}
	if (r < 0) {
		chan_break(&p->chan);
		fork_close(p);
		range_set_fini(&in.mapped);
		range_set_fini(&in.owed);
	}
	if (f->staging >= 0)
		close(f->staging);
	if (f->socket >= 0 && f->state != FORK_READY && !f->shares_files)
		close(f->socket);
	atomic_store_explicit(&p->light, r == 0, memory_order_relaxed);
	atomic_store_explicit(&p->forked, r < 0, memory_order_relaxed);
	return r == 0;
}
