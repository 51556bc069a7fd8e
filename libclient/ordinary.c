/* SPDX-License-Identifier: MIT
 *
 * Calls on a connection that has been let go of: the kernel's own memory. Runs on: the caller's
 * threads.
 */
#include "ordinary.h"

#include <errno.h>
#include <sys/mman.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

bool
release_is_done(const struct pager *p)
{
	return atomic_load_explicit(&p->released, memory_order_acquire);
}

int
release_check(const struct pager *p)
{
	int r = pager_check(p);

	return r == -ENOTCONN && release_is_done(p) ? 0 : r;
}

void
release_wait(struct pager *p)
{
	hold_lock(&p->change_lock);
	hold_unlock(&p->change_lock);
}

/* => the range, at a multiple of the alignment; NULL: there is none */
static char *
aligned_map(uint64_t size, uint64_t align)
{
	uint64_t more = align > HARDWARE_PAGE ? align : 0, before;
	char *memory;

	if (size + more < size)
		return NULL;
	memory =
	    mmap(NULL, size + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	before = more ? (0 - (uint64_t)(uintptr_t)memory) & (align - 1) : 0;
	/* If the kernel has no mapping left to split it, the rest stays; nothing else is lost. */
	if (before > 0)
		munmap(memory, before);
	if (more > before)
		munmap(memory + before + size, more - before);
	return memory + before;
}

int
ordinary_allocate(struct pager *p, const struct region_wish *wish, void **ret_addr)
{
	void *wanted = (void *)(uintptr_t)wish->address, *memory;
	(void)p;

	if (wish->flags & (PAGER_ALLOC_SHAREABLE | PAGER_ALLOC_PURGEABLE))
		return -ENOTCONN;
	if (wish->flags & PAGER_ALLOC_FIXED) {
		memory = mmap(wanted, wish->size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
		if (memory == MAP_FAILED)
			return errno == EEXIST ? -EEXIST : -ENOMEM;
	} else {
		memory = aligned_map(wish->size, wish->align);
		if (!memory)
			return -ENOMEM;
	}
	if (wish->flags & PAGER_ALLOC_WIRED && mlock(memory, wish->size) < 0) {
		munmap(memory, wish->size);
		return -EAGAIN;
	}
	*ret_addr = memory;
	return 0;
}

static bool
range_round(const struct pager *p, const void *addr, size_t *size)
{
	uint64_t mask = p->page_size - 1, rounded = ((uint64_t)*size + mask) & ~mask;

	if (rounded < *size || rounded == 0 || ((uintptr_t)addr & mask) != 0)
		return false;
	*size = rounded;
	return true;
}

int
ordinary_deallocate(struct pager *p, void *addr, size_t size)
{
	if (!range_round(p, addr, &size))
		return -EINVAL;
	return munmap(addr, size) < 0 ? -errno : 0;
}

int
ordinary_protect(struct pager *p, void *addr, size_t size, int protection)
{
	if (!range_round(p, addr, &size))
		return -EINVAL;
	return mprotect(addr, size, protection & ~PAGER_PROT_MAXIMUM) < 0 ? -errno : 0;
}
