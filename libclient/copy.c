/* SPDX-License-Identifier: MIT
 *
 * Copies of memory. Where the daemon can share the pages until one side writes it does, and nothing
 * changes in this process's address space; where it cannot, the bytes are copied here. Runs on: the
 * caller's threads.
 */
#include "pager_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define COPY_MAGIC 0x7061676572303043ull
/* Whole pages below which a copy by content is cheaper. */
#define VIRTUAL_PAGES 3u

struct pager_copy {
	uint64_t magic;
	uint64_t id;   /* constant */
	uint64_t size; /* constant */
};

static int
may_read(struct pager *p, uint64_t address, uint64_t size, int protection)
{
	(void)p;
	(void)address;
	(void)size;
	return protection & PROT_READ ? 0 : -EACCES;
}

static int
may_write(struct pager *p, uint64_t address, uint64_t size, int protection)
{
	(void)p;
	(void)address;
	(void)size;
	return protection & PROT_WRITE ? 0 : -EACCES;
}

/* Whether each byte of the range may be touched in that way. => 0, -EINVAL, -EACCES, or -errno of a
 * request */
static int
bytes_check(struct pager *p, const void *addr, size_t size, region_function *may)
{
	uint64_t address = (uint64_t)(uintptr_t)addr & ~(p->page_size - 1), whole;
	uint64_t before = (uint64_t)(uintptr_t)addr - address;
	int r;

	if (size == 0 || size > UINT64_MAX - before)
		return -EINVAL;
	r = space_check(p, (void *)(uintptr_t)address, size + before, &address, &whole);
	return r == 0 ? region_each(p, address, whole, may) : r;
}

int
copy_virtually(struct pager *p, uint64_t source, uint64_t size, uint64_t destination)
{
	struct pager_req_copy request = {
		.source = source, .size = size, .destination = destination
	};
	struct pager_rep_copy reply;
	struct chan_call call = { CHAN_CALL(COPY, &request, &reply) };

	return chan_exchange(&p->chan, &call);
}

int
pager_copy(struct pager *p, const void *source, size_t size, void *destination)
{
	uint64_t from = (uint64_t)(uintptr_t)source, to = (uint64_t)(uintptr_t)destination;
	uint64_t mask, head, whole;
	int r = pager_check(p);

	if (r == 0)
		r = bytes_check(p, source, size, may_read);
	if (r == 0)
		r = bytes_check(p, destination, size, may_write);
	if (r < 0)
		return r;
	mask = p->page_size - 1;
	head = -from & mask;
	whole = size > head ? (size - head) & ~mask : 0;
	/* Pages can only be shared as pages. */
	if (((from ^ to) & mask) == 0 && whole >= VIRTUAL_PAGES * p->page_size &&
	    (from + size <= to || to + size <= from)) {
		r = copy_virtually(p, from + head, whole, to + head);
		if (r == 0) {
			memcpy(destination, source, head);
			memcpy((char *)destination + head + whole,
			    (const char *)source + head + whole, size - head - whole);
			return 0;
		}
		if (r != -EOPNOTSUPP && r != -ENOBUFS && r != -EAGAIN)
			return r;
	}
	memmove(destination, source, size);
	return 0;
}

static int
copyin(struct pager *p, uint64_t source, uint64_t size, uint64_t *ret_id)
{
	struct pager_req_copyin request = { .source = source, .size = size };
	struct pager_rep_copyin reply;
	struct chan_call call = { CHAN_CALL(COPYIN, &request, &reply) };
	int r = chan_exchange(&p->chan, &call);

	if (r == 0)
		*ret_id = reply.copy;
	return r;
}

/* By content, through memory that is copied in then. */
static int
copyin_by_content(struct pager *p, const void *source, uint64_t size, uint64_t *ret_id)
{
	void *between;
	int r = pager_allocate(p, size, 0, &between);

	if (r < 0)
		return r;
	memcpy(between, source, size);
	r = copyin(p, (uint64_t)(uintptr_t)between, size, ret_id);
	pager_deallocate(p, between, size);
	return r;
}

static int
held_discard(struct pager *p, uint64_t id)
{
	struct pager_req_copy_discard request = { .copy = id };
	struct pager_rep_copy_discard reply;
	struct chan_call call = { CHAN_CALL(COPY_DISCARD, &request, &reply) };

	return chan_exchange(&p->chan, &call);
}

int
pager_copyin(
    struct pager *p, void *source, size_t size, unsigned flags, struct pager_copy **ret_copy)
{
	struct pager_copy *copy;
	uint64_t address, whole;
	int r = pager_check(p);

	if (r < 0)
		return r;
	if ((flags & ~(unsigned)PAGER_COPY_DESTROY_SOURCE) != 0 || !ret_copy)
		return -EINVAL;
	r = space_check(p, source, size, &address, &whole);
	if (r == 0)
		r = region_each(p, address, whole, may_read);
	if (r < 0)
		return r;
	copy = malloc(sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	*copy = (struct pager_copy){ .magic = COPY_MAGIC, .size = whole };
	r = copyin(p, address, whole, &copy->id);
	if (r == -EOPNOTSUPP || r == -ENOBUFS)
		r = copyin_by_content(p, source, whole, &copy->id);
	if (r == 0 && flags & PAGER_COPY_DESTROY_SOURCE) {
		r = pager_deallocate(p, source, whole);
		if (r < 0)
			(void)held_discard(p, copy->id);
	}
	if (r < 0) {
		free(copy);
		return r;
	}
	*ret_copy = copy;
	return 0;
}

static int
copy_check(const struct pager *p, const struct pager_copy *copy)
{
	int r = pager_check(p);

	return r < 0 ? r : copy && copy->magic == COPY_MAGIC ? 0 : -EINVAL;
}

static void
copy_end(struct pager_copy *copy)
{
	copy->magic = 0;
	free(copy);
}

/* => 0, and the daemon has no such copy any more, or -errno */
static int
copy_put(struct pager *p, const struct pager_copy *copy, uint64_t destination)
{
	struct pager_req_copyout request = {
		.copy = copy->id, .destination = destination, .size = copy->size
	};
	struct pager_rep_copyout reply;
	struct chan_call call = { CHAN_CALL(COPYOUT, &request, &reply) };

	return chan_exchange(&p->chan, &call);
}

int
pager_copyout(struct pager *p, struct pager_copy *copy, void **ret_addr)
{
	void *addr;
	int r = copy_check(p, copy);

	if (r < 0)
		return r;
	r = pager_allocate(p, copy->size, 0, &addr);
	if (r < 0)
		return r;
	r = copy_put(p, copy, (uint64_t)(uintptr_t)addr);
	if (r < 0) {
		(void)pager_deallocate(p, addr, copy->size);
		return r;
	}
	copy_end(copy);
	*ret_addr = addr;
	return 0;
}

int
pager_copy_overwrite(struct pager *p, void *destination, struct pager_copy *copy)
{
	uint64_t address, size;
	void *between;
	int r = copy_check(p, copy);

	if (r == 0)
		r = space_check(p, destination, copy->size, &address, &size);
	if (r == 0)
		r = region_each(p, address, size, may_write);
	if (r < 0)
		return r;
	r = copy_put(p, copy, address);
	if (r == 0)
		copy_end(copy);
	if (r != -EOPNOTSUPP)
		return r;
	/* What the destination is of takes bytes, but no pages. */
	r = pager_copyout(p, copy, &between);
	if (r < 0)
		return r;
	memcpy(destination, between, size);
	return pager_deallocate(p, between, size);
}

int
pager_copy_discard(struct pager *p, struct pager_copy *copy)
{
	int r = copy_check(p, copy);

	if (r < 0)
		return r;
	r = held_discard(p, copy->id);
	copy_end(copy);
	return r;
}
