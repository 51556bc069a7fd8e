/* SPDX-License-Identifier: MIT
 *
 * Addresses. Small allocations come side by side out of reserved windows, lowest address first, so
 * that the daemon can join neighbours into one object and the kernel into one mapping; a large one
 * has a reservation of its own. Reserved addresses are mapped PROT_NONE, so that no other mmap of
 * the program lands between. Locks: space_lock, except in space_hide and space_fini.
 */
#include "pager_priv.h"

#include <errno.h>
#include <sys/mman.h>

#define SPACE_WINDOW_BYTES (128ull << 20)
#define SPACE_LARGE_BYTES  (64ull << 20)
#define SPACE_ALIGN_BYTES  (2ull << 20) /* a page table's span; at least the largest page size */

_Static_assert(SPACE_ALIGN_BYTES >= PAGER_CHAN_PAGE_SIZE_MAX, "a reservation starts on a page");

void
space_init(struct pager *p)
{
	pthread_mutex_init(&p->space_lock, NULL);
	range_set_init(&p->managed);
	range_set_init(&p->windows);
	range_set_init(&p->free);
}

void
space_fini(struct pager *p)
{
	range_set_fini(&p->managed);
	range_set_fini(&p->windows);
	range_set_fini(&p->free);
}

static void *
space_pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

/* A new reservation. => 0 or -ENOMEM. */
static int
space_map(uint64_t size, uint64_t *ret_address)
{
	uint64_t mapped = size + SPACE_ALIGN_BYTES, raw, address;
	void *memory;

	if (mapped < size)
		return -ENOMEM;
	memory = mmap(NULL, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	raw = (uint64_t)(uintptr_t)memory;
	address = (raw + SPACE_ALIGN_BYTES - 1) & ~(SPACE_ALIGN_BYTES - 1);
	if (address > raw)
		munmap(space_pointer(raw), address - raw);
	if (address + size < raw + mapped)
		munmap(space_pointer(address + size), raw + mapped - (address + size));
	*ret_address = address;
	return 0;
}

static int
space_window_add_locked(struct pager *p)
{
	uint64_t address;
	int r;

	if (range_set_reserve(&p->windows, 1) < 0 || range_set_reserve(&p->free, 1) < 0)
		return -ENOMEM;
	r = space_map(SPACE_WINDOW_BYTES, &address);
	if (r < 0)
		return r;
	range_set_add(&p->windows, address, address + SPACE_WINDOW_BYTES);
	range_set_add(&p->free, address, address + SPACE_WINDOW_BYTES);
	return 0;
}

int
space_reserve(struct pager *p, uint64_t size, uint64_t *ret_address)
{
	const struct range *fit;
	int r = 0;

	if (size >= SPACE_LARGE_BYTES)
		return space_map(size, ret_address);
	pthread_mutex_lock(&p->space_lock);
	fit = range_set_fit(&p->free, size);
	if (!fit) {
		r = space_window_add_locked(p);
		fit = r < 0 ? NULL : range_set_fit(&p->free, size);
	}
	if (fit) {
		*ret_address = fit->start;
		range_set_remove(&p->free, fit->start, fit->start + size);
	}
	pthread_mutex_unlock(&p->space_lock);
	return r;
}

void
space_release(struct pager *p, uint64_t address, uint64_t size)
{
	uint64_t end = address + size, until;
	const struct range *window;

	pthread_mutex_lock(&p->space_lock);
	while (address < end) {
		window = range_set_above(&p->windows, address);
		if (window && window->start <= address) {
			until = window->end < end ? window->end : end;
			/* Without room in the books these addresses are never used again; nothing
			 * else is lost. */
			if (range_set_reserve(&p->free, 1) == 0)
				range_set_add(&p->free, address, until);
		} else {
			until = window && window->start < end ? window->start : end;
			munmap(space_pointer(address), until - address);
		}
		address = until;
	}
	pthread_mutex_unlock(&p->space_lock);
}

int
space_manage(struct pager *p, uint64_t address, uint64_t size)
{
	int r;

	pthread_mutex_lock(&p->space_lock);
	r = range_set_reserve(&p->managed, 1);
	if (r == 0)
		range_set_add(&p->managed, address, address + size);
	pthread_mutex_unlock(&p->space_lock);
	return r;
}

int
space_hide(uint64_t address, uint64_t size)
{
	void *memory = mmap(space_pointer(address), size, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	return memory == MAP_FAILED ? -ENOMEM : 0;
}

int
space_unmanage(struct pager *p, uint64_t address, uint64_t size)
{
	int r;

	pthread_mutex_lock(&p->space_lock);
	if (!range_set_contains(&p->managed, address, address + size))
		r = -EINVAL;
	else
		r = range_set_reserve(&p->managed, 1);
	if (r == 0 && mprotect(space_pointer(address), size, PROT_NONE) < 0) {
		/* Perhaps a part of it, for want of mappings. */
		mprotect(space_pointer(address), size, PROT_READ | PROT_WRITE);
		r = -ENOMEM;
	}
	if (r == 0)
		range_set_remove(&p->managed, address, address + size);
	pthread_mutex_unlock(&p->space_lock);
	return r;
}

int
space_restore(struct pager *p, uint64_t address, uint64_t size)
{
	int r;

	pthread_mutex_lock(&p->space_lock);
	r = range_set_reserve(&p->managed, 1);
	if (r == 0 && mprotect(space_pointer(address), size, PROT_READ | PROT_WRITE) < 0)
		r = -ENOMEM;
	if (r == 0)
		range_set_add(&p->managed, address, address + size);
	pthread_mutex_unlock(&p->space_lock);
	return r;
}

int
space_unmap_all(struct pager *p)
{
	const struct range *range;
	int r = 0;

	pthread_mutex_lock(&p->space_lock);
	for (size_t i = 0; i < p->managed.count; i++) {
		range = &p->managed.ranges[i];
		if (munmap(space_pointer(range->start), range->end - range->start) < 0)
			r = -ENOMEM;
	}
	for (size_t i = 0; i < p->windows.count; i++) {
		range = &p->windows.ranges[i];
		if (munmap(space_pointer(range->start), range->end - range->start) == 0)
			continue;
		r = -ENOMEM;
	}
	pthread_mutex_unlock(&p->space_lock);
	return r;
}

int
space_check(
    struct pager *p, const void *addr, size_t size, uint64_t *ret_address, uint64_t *ret_size)
{
	uint64_t address = (uint64_t)(uintptr_t)addr, mask = p->page_size - 1;
	uint64_t rounded = ((uint64_t)size + mask) & ~mask;
	bool managed;

	if (size == 0 || rounded < size || (address & mask) != 0 || address + rounded < address)
		return -EINVAL;
	pthread_mutex_lock(&p->space_lock);
	managed = range_set_contains(&p->managed, address, address + rounded);
	pthread_mutex_unlock(&p->space_lock);
	if (!managed)
		return -EINVAL;
	*ret_address = address;
	*ret_size = rounded;
	return 0;
}
