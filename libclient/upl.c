/* SPDX-License-Identifier: MIT
 *
 * Page lists. The daemon takes pages from all threads; what the kernel still has mapped of those
 * that are to be written is unmapped here, since only the process itself can do that for sure. Runs
 * on: the caller's threads, which touch no page of a list.
 */
#include "pager_priv.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define UPL_MAGIC 0x7061676572303075ull

struct pager_upl {
	uint64_t magic;
	struct pager *pager;           /* constant */
	struct pager_upl *prev, *next; /* (space_lock) */
	pthread_mutex_t lock;          /* one call on the list at a time; held across requests */
	uint64_t bytes;                /* constant: of this, with pages[] */
	uint64_t id;                   /* constant; 0: nothing was taken */
	uint64_t address, size;        /* constant */
	uint64_t fd_offset;            /* constant: of the first page */
	int fd;                        /* constant; -1: nothing was taken */
	struct fd_note note;           /* constant: of fd */
	unsigned flags, object_type;   /* constant */
	uint32_t page_count;           /* constant */
	uint32_t held;                 /* (lock) */
	bool is_parents;               /* constant: of the process that has forked this one */
	uint16_t pages[];              /* (lock) enum pager_upl_page */
};

static uint16_t
page_flags(unsigned wire, unsigned flags)
{
	static const uint16_t kinds[] = {
		[PAGER_WIRE_UPL_ABSENT] = PAGER_UPL_PAGE_ABSENT,
		[PAGER_WIRE_UPL_STORED] = PAGER_UPL_PAGE_PAGED_OUT,
		[PAGER_WIRE_UPL_CLEAN] = PAGER_UPL_PAGE_PRESENT,
		[PAGER_WIRE_UPL_DIRTY] = PAGER_UPL_PAGE_PRESENT | PAGER_UPL_PAGE_DIRTY,
		[PAGER_WIRE_UPL_SPECULATIVE] = PAGER_UPL_PAGE_PRESENT | PAGER_UPL_PAGE_SPECULATIVE,
		[PAGER_WIRE_UPL_WIRED] =
		    PAGER_UPL_PAGE_PRESENT | PAGER_UPL_PAGE_DIRTY | PAGER_UPL_PAGE_WIRED,
		[PAGER_WIRE_UPL_BUSY] = PAGER_UPL_PAGE_BUSY,
		[PAGER_WIRE_UPL_LOST] = PAGER_UPL_PAGE_ERROR,
	};
	uint16_t page = kinds[wire & (PAGER_WIRE_UPL_HELD - 1)];

	if (wire & PAGER_WIRE_UPL_HELD)
		page |= PAGER_UPL_PAGE_HELD |
			(flags & PAGER_UPL_PRECIOUS ? PAGER_UPL_PAGE_PRECIOUS : 0);
	return page;
}

/* --- life --- */

static void
upl_link(struct pager_upl *u)
{
	struct pager *p = u->pager;

	hold_lock(&p->space_lock);
	u->next = p->upls;
	if (u->next)
		u->next->prev = u;
	p->upls = u;
	hold_unlock(&p->space_lock);
}

/* Frees what this process has of it. => not linked */
static void
upl_free(struct pager_upl *u)
{
	if (fd_is_noted(u->fd, &u->note))
		close(u->fd);
	u->magic = 0;
	munmap(u, u->bytes);
}

static void
upl_end(struct pager_upl *u)
{
	struct pager *p = u->pager;

	hold_lock(&p->space_lock);
	if (u->prev)
		u->prev->next = u->next;
	else
		p->upls = u->next;
	if (u->next)
		u->next->prev = u->prev;
	hold_unlock(&p->space_lock);
	/* What was wired for the list; the daemon has refused to unwire it until now. */
	if (u->flags & PAGER_UPL_SET_IO_WIRE && u->id != 0 && !u->is_parents)
		pager_unwire(p, (void *)(uintptr_t)u->address, u->size);
	pthread_mutex_unlock(&u->lock);
	upl_free(u);
}

void
upl_free_all(struct pager *p)
{
	while (p->upls) {
		struct pager_upl *u = p->upls;

		p->upls = u->next;
		upl_free(u);
	}
}

/* The descriptors are of the parent's memory. */
void
upl_fork_all(struct pager *p)
{
	for (struct pager_upl *u = p->upls; u; u = u->next) {
		if (fd_is_noted(u->fd, &u->note))
			close(u->fd);
		u->fd = -1;
		u->is_parents = true;
		pthread_mutex_init(&u->lock, NULL);
	}
}

/* --- making one --- */

struct wish {
	uint64_t address, size;
	unsigned flags;
};

static int
upl_exchange(
    struct pager *p, const struct wish *wish, struct pager_rep_upl_create *reply, int *ret_fd)
{
	struct pager_req_upl_create request = {
		.address = wish->address, .size = wish->size, .flags = wish->flags
	};
	struct chan_call call = { CHAN_CALL(UPL_CREATE, &request, reply) };
	struct pager_req_upl_finish end = { .what = PAGER_WIRE_UPL_DESTROY };
	struct pager_rep_upl_finish ended;
	struct chan_call undo = { CHAN_CALL(UPL_FINISH, &end, &ended) };
	int r;

	call.reply_bytes_min = offsetof(struct pager_rep_upl_create, pages);
	/* The type needs no descriptor, and memory that may only be read has none to give. */
	if (!(wish->flags & PAGER_UPL_QUERY_OBJECT_TYPE))
		call.ret_fd = ret_fd;
	r = chan_exchange(&p->chan, &call);
	if (r < 0 && call.fd_lost) {
		end.id = reply->id;
		(void)chan_exchange(&p->chan, &undo);
	}
	if (r < 0)
		return r;
	if (reply->size == 0 || reply->size > wish->size || reply->size > PAGER_UPL_BYTES_MAX ||
	    (!(wish->flags & PAGER_UPL_QUERY_OBJECT_TYPE) &&
		call.reply_bytes != call.reply_bytes_min + (reply->size / p->page_size + 1) / 2)) {
		chan_break(&p->chan);
		return -EPROTO;
	}
	return 0;
}

/* Waits until a thread of this process could have a frame, as any of its threads does: by touching
 * a page. => 0; -ENOMEM: it cannot; -errno */
static int
frame_await(struct pager *p)
{
	void *page;
	int r = pager_allocate(p, p->page_size, 0, &page), r2;

	if (r < 0)
		return r;
	if (madvise(page, p->page_size, MADV_POPULATE_WRITE) < 0)
		r = -ENOMEM;
	r2 = pager_deallocate(p, page, p->page_size);
	return r < 0 ? r : r2;
}

/* Takes what the list holds out of this process's page tables. Wired pages stay mapped. => 0 or
 * -errno */
static int
upl_unmap(struct pager_upl *u)
{
	struct pager *p = u->pager;
	uint32_t i = 0, n;
	int r = 0;

	for (; r == 0 && i < u->page_count; i += n) {
		const unsigned all =
		    PAGER_UPL_PAGE_HELD | PAGER_UPL_PAGE_PRESENT | PAGER_UPL_PAGE_WIRED;
		const unsigned mapped = PAGER_UPL_PAGE_HELD | PAGER_UPL_PAGE_PRESENT;

		for (n = 0; i + n < u->page_count && (u->pages[i + n] & all) == mapped; n++)
			;
		if (n > 0)
			r = space_unmap_pages(
			    p, u->address + i * p->page_size, (uint64_t)n * p->page_size);
		n += n == 0;
	}
	return r;
}

/* fd: becomes the list's, or is closed. => 0, -ENOMEM or -EMFILE */
static int
upl_make(struct pager *p, const struct wish *wish, const struct pager_rep_upl_create *reply, int fd,
    struct pager_upl **ret)
{
	bool taken = !(wish->flags & PAGER_UPL_QUERY_OBJECT_TYPE);
	uint32_t count = taken ? (uint32_t)(reply->size / p->page_size) : 0;
	uint64_t bytes = sizeof(struct pager_upl) + count * sizeof(uint16_t);
	/* Not malloc: see own_pages.h. */
	struct pager_upl *u =
	    mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (taken)
		fd = chan_fd_above_standard(fd);
	if (u == MAP_FAILED || (taken && fd < 0)) {
		if (fd >= 0)
			close(fd);
		if (u != MAP_FAILED)
			munmap(u, bytes);
		return u == MAP_FAILED ? -ENOMEM : fd;
	}
	u->magic = UPL_MAGIC;
	u->pager = p;
	u->bytes = bytes;
	pthread_mutex_init(&u->lock, NULL);
	u->id = taken ? reply->id : 0;
	u->address = wish->address;
	u->size = reply->size;
	u->fd_offset = reply->object_offset;
	u->fd = fd;
	if (fd >= 0)
		fd_note(fd, &u->note);
	u->flags = wish->flags;
	u->object_type = reply->object_type;
	u->page_count = count;
	u->held = taken ? reply->held : 0;
	for (uint32_t i = 0; i < count; i++)
		u->pages[i] = page_flags(reply->pages[i / 2] >> i % 2 * 4 & 15u, wish->flags);
	upl_link(u);
	*ret = u;
	return 0;
}

static int
upl_begin(struct pager *p, const struct wish *wish, struct pager_upl **ret)
{
	struct pager_rep_upl_create reply;
	struct pager_req_upl_finish end = { .what = PAGER_WIRE_UPL_DESTROY };
	struct pager_rep_upl_finish ended;
	struct chan_call undo = { CHAN_CALL(UPL_FINISH, &end, &ended) };
	int fd = -1, r;

	do
		r = upl_exchange(p, wish, &reply, &fd);
	while (r == -ENOBUFS && (r = frame_await(p)) == 0);
	if (r < 0)
		return r;
	r = upl_make(p, wish, &reply, fd, ret);
	if (r < 0 && !(wish->flags & PAGER_UPL_QUERY_OBJECT_TYPE)) {
		end.id = reply.id;
		(void)chan_exchange(&p->chan, &undo);
	}
	return r;
}

/* The range is wired first, so that the list finds its pages there. */
static int
upl_begin_wired(struct pager *p, struct wish *wish, struct pager_upl **ret)
{
	struct wish query = *wish;
	struct pager_rep_upl_create reply;
	void *addr = (void *)(uintptr_t)wish->address;
	int r;

	query.flags = PAGER_UPL_QUERY_OBJECT_TYPE;
	r = upl_exchange(p, &query, &reply, NULL);
	if (r < 0)
		return r;
	if (reply.object_type & (PAGER_UPL_SHARED | PAGER_UPL_DEV_MEMORY))
		return -ENOTSUP;
	wish->size = reply.size;
	r = pager_wire(p, addr, wish->size);
	if (r < 0)
		return r;
	r = upl_begin(p, wish, ret);
	if (r < 0)
		pager_unwire(p, addr, wish->size);
	else if ((*ret)->size < wish->size)
		pager_unwire(p, (char *)addr + (*ret)->size, wish->size - (*ret)->size);
	return r;
}

int
pager_upl_create(struct pager *p, void *addr, size_t size, unsigned flags, struct pager_upl **ret)
{
	struct wish wish = { .address = (uint64_t)(uintptr_t)addr };
	struct pager_upl *u = NULL;
	int r, cancel_state;

	r = pager_check(p);
	if (r < 0)
		return r;
	if (!ret || size == 0 || flags & ~PAGER_WIRE_UPL_FLAGS ||
	    (wish.address & (p->page_size - 1)) != 0)
		return -EINVAL;
	r = pager_check_descriptors(p);
	if (r < 0)
		return r;
	wish.size = size > PAGER_UPL_BYTES_MAX
			? PAGER_UPL_BYTES_MAX
			: ((uint64_t)size + p->page_size - 1) & ~(p->page_size - 1);
	/* Which pages it holds is always needed here. */
	wish.flags = flags | PAGER_UPL_SET_INTERNAL;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	if (flags & PAGER_UPL_SET_IO_WIRE && !(flags & PAGER_UPL_QUERY_OBJECT_TYPE))
		r = upl_begin_wired(p, &wish, &u);
	else
		r = upl_begin(p, &wish, &u);
	if (r == 0 && !(flags & PAGER_UPL_COPYOUT_FROM)) {
		r = upl_unmap(u);
		if (r < 0)
			pager_upl_destroy(u);
	}
	pthread_setcancelstate(cancel_state, NULL);
	if (r < 0)
		return r;
	u->flags = flags;
	*ret = u;
	return 0;
}

/* --- its pages --- */

static int
upl_check(const struct pager_upl *u)
{
	if (!u || u->magic != UPL_MAGIC)
		return -EINVAL;
	return u->is_parents ? -ENOTCONN : pager_check(u->pager);
}

int
pager_upl_info(struct pager_upl *u, struct pager_upl_info *ret)
{
	int r = upl_check(u);

	if (r < 0 || !ret)
		return r < 0 ? r : -EINVAL;
	pthread_mutex_lock(&u->lock);
	*ret = (struct pager_upl_info){ .addr = (void *)(uintptr_t)u->address,
		.size_bytes = u->size,
		.page_count = u->page_count,
		.pages_held = u->held,
		.object_type = u->object_type,
		.pages = u->flags & PAGER_UPL_SET_INTERNAL && u->page_count > 0 ? u->pages : NULL };
	pthread_mutex_unlock(&u->lock);
	return 0;
}

/* => lock held; 0; -EINVAL: not all of it is held; -EBADF */
static int
range_is_held(const struct pager_upl *u, uint64_t offset, uint64_t size)
{
	uint64_t page = u->pager->page_size;

	if (size == 0 || offset >= u->size || size > u->size - offset || u->page_count == 0)
		return -EINVAL;
	for (uint64_t i = offset / page; i <= (offset + size - 1) / page; i++)
		if (!(u->pages[i] & PAGER_UPL_PAGE_HELD))
			return -EINVAL;
	return fd_is_noted(u->fd, &u->note) ? 0 : -EBADF;
}

int
pager_upl_read(struct pager_upl *u, uint64_t offset, void *buffer, size_t size)
{
	size_t done = 0;
	int r = upl_check(u);

	if (r < 0)
		return r;
	pthread_mutex_lock(&u->lock);
	r = range_is_held(u, offset, size);
	while (r == 0 && done < size) {
		ssize_t n = pread(u->fd, (char *)buffer + done, size - done,
		    (off_t)(u->fd_offset + offset + done));

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			r = -EIO;
	}
	pthread_mutex_unlock(&u->lock);
	return r;
}

int
pager_upl_write(struct pager_upl *u, uint64_t offset, const void *buffer, size_t size)
{
	size_t done = 0;
	int r = upl_check(u);

	if (r < 0)
		return r;
	pthread_mutex_lock(&u->lock);
	r = u->flags & PAGER_UPL_COPYOUT_FROM ? -EINVAL : range_is_held(u, offset, size);
	while (r == 0 && done < size) {
		ssize_t n = pwrite(u->fd, (const char *)buffer + done, size - done,
		    (off_t)(u->fd_offset + offset + done));

		if (n > 0)
			done += (size_t)n;
		else if (n == 0 || errno != EINTR)
			r = -EIO;
	}
	pthread_mutex_unlock(&u->lock);
	return r;
}

int
pager_upl_piece(
    struct pager_upl *u, uint64_t offset, int *ret_fd, uint64_t *ret_offset, uint64_t *ret_size)
{
	uint64_t end, page;
	int r = upl_check(u);

	if (r < 0 || !ret_fd || !ret_offset || !ret_size)
		return r < 0 ? r : -EINVAL;
	page = u->pager->page_size;
	pthread_mutex_lock(&u->lock);
	r = range_is_held(u, offset, 1);
	if (r == 0) {
		for (end = offset / page + 1;
		     end < u->page_count && u->pages[end] & PAGER_UPL_PAGE_HELD;)
			end++;
		*ret_fd = u->fd;
		*ret_offset = u->fd_offset + offset;
		*ret_size = end * page - offset;
	}
	pthread_mutex_unlock(&u->lock);
	return r;
}

/* --- handing them back --- */

/* => lock held; 0 or -errno */
static int
upl_finish(struct pager_upl *u, const struct pager_req_upl_finish *request,
    struct pager_rep_upl_finish *reply)
{
	struct chan_call call = { CHAN_CALL(UPL_FINISH, request, reply) };
	uint64_t page = u->pager->page_size;
	int r = chan_exchange(&u->pager->chan, &call);

	if (r < 0)
		return r;
	for (uint64_t i = request->offset / page; i < (request->offset + request->size) / page; i++)
		u->pages[i] &= (uint16_t)~PAGER_UPL_PAGE_HELD;
	u->held = reply->held;
	return 0;
}

static int
range_finish(struct pager_upl *u, enum pager_wire_upl_what what, uint64_t offset, uint64_t size,
    unsigned flags, int *ret_empty)
{
	struct pager_req_upl_finish request = {
		.id = u->id, .offset = offset, .size = size, .what = what, .flags = flags
	};
	struct pager_rep_upl_finish reply = { 0 };
	unsigned tells = PAGER_UPL_COMMIT_NOTIFY_EMPTY | PAGER_UPL_COMMIT_FREE_ON_EMPTY;
	uint64_t page = u->pager->page_size;
	int r;

	if (flags & tells && !ret_empty)
		return -EINVAL;
	if (u->id == 0 || ((offset | size) & (page - 1)) != 0 || offset > u->size ||
	    size > u->size - offset)
		return -EINVAL;
	pthread_mutex_lock(&u->lock);
	r = upl_finish(u, &request, &reply);
	if (r == 0 && flags & tells)
		*ret_empty = reply.held == 0;
	if (r == 0 && reply.ended) {
		upl_end(u);
		return 0;
	}
	pthread_mutex_unlock(&u->lock);
	return r;
}

int
pager_upl_commit_range(
    struct pager_upl *u, uint64_t offset, uint64_t size, unsigned flags, int *ret_empty)
{
	int r = upl_check(u);

	return r < 0 ? r : range_finish(u, PAGER_WIRE_UPL_COMMIT, offset, size, flags, ret_empty);
}

int
pager_upl_commit(struct pager_upl *u, unsigned flags, int *ret_empty)
{
	int r = upl_check(u);

	return r < 0 ? r : range_finish(u, PAGER_WIRE_UPL_COMMIT, 0, u->size, flags, ret_empty);
}

int
pager_upl_abort_range(
    struct pager_upl *u, uint64_t offset, uint64_t size, unsigned flags, int *ret_empty)
{
	int r = upl_check(u);

	return r < 0 ? r : range_finish(u, PAGER_WIRE_UPL_ABORT, offset, size, flags, ret_empty);
}

int
pager_upl_abort(struct pager_upl *u, unsigned flags, int *ret_empty)
{
	int r = upl_check(u);

	return r < 0 ? r : range_finish(u, PAGER_WIRE_UPL_ABORT, 0, u->size, flags, ret_empty);
}

int
pager_upl_destroy(struct pager_upl *u)
{
	struct pager_req_upl_finish request = { .what = PAGER_WIRE_UPL_DESTROY };
	struct pager_rep_upl_finish reply;
	int r;

	if (!u)
		return 0;
	r = upl_check(u);
	if (r == -EINVAL)
		return r;
	pthread_mutex_lock(&u->lock);
	request.id = u->id;
	if (r == 0 && u->id != 0)
		r = upl_finish(u, &request, &reply);
	upl_end(u);
	return r;
}
