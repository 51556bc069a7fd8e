/* SPDX-License-Identifier: MIT
 *
 * Addresses. Small allocations come side by side out of reserved windows, lowest address first, so
 * that the daemon can join neighbours into one object and the kernel into one mapping; a large one
 * has a reservation of its own. Reserved addresses are mapped PROT_NONE, so that no other mmap of
 * the program lands between.
 *
 * A program may unmap memory of ours, and map something else there. So every mapping of ours,
 * windows included, is registered with our userfaultfd. The registration tells our mappings from
 * others, and every change asks for it first. A range that is not ours any more is left alone and
 * taken out of the books. Locks: space_lock, except in space_fini.
 */
#include "pager_priv.h"

#include <errno.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "pager/uffd_compat.h"

#define SPACE_WINDOW_BYTES (128ull << 20)
#define SPACE_LARGE_BYTES  (64ull << 20)
#define SPACE_ALIGN_BYTES  (2ull << 20) /* a page table's span; at least the largest page size */

#define SPACE_TRIES 64

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

_Static_assert(SPACE_ALIGN_BYTES >= PAGER_CHAN_PAGE_SIZE_MAX, "a reservation starts on a page");

int
space_init(struct pager *p)
{
	pthread_mutex_init(&p->space_lock, NULL);
	range_set_init(&p->managed);
	range_set_init(&p->windows);
	range_set_init(&p->free);
	range_set_init(&p->owed);
	range_set_init(&p->read_only);
	/* The set is needed when there is no memory, so it takes its first room now. */
	return range_set_reserve(&p->owed, 1);
}

void
space_fini(struct pager *p)
{
	range_set_fini(&p->managed);
	range_set_fini(&p->windows);
	range_set_fini(&p->free);
	range_set_fini(&p->owed);
	range_set_fini(&p->read_only);
}

static void *
space_pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

/* UFFDIO_CONTINUE is refused with ENOENT if the range is not one registered mapping, before the
 * kernel looks at anything else. Otherwise, at most a page that is in the memfd anyway gets mapped,
 * write-protected: its first write is a fault, which the daemon answers as always. */
bool
space_is_registered(const struct pager *p, uint64_t address, uint64_t size)
{
	struct uffdio_continue ask = {
		.range = { .start = address, .len = size },
		.mode = UFFDIO_CONTINUE_MODE_DONTWAKE | UFFDIO_CONTINUE_MODE_WP,
	};

	int r;

	/* EAGAIN: a mapping is being moved just now. */
	for (unsigned tries = 0; tries < SPACE_TRIES; tries++) {
		r = syscall(SYS_ioctl, p->uffd, UFFDIO_CONTINUE, &ask) < 0
			? -errno
			: 0; /* raw: see keeper.c */
		if (r != -EAGAIN)
			break;
		sched_yield();
	}
	return r != -ENOENT;
}

/* No thread can fault there: registering serves space_is_registered only. */
static bool
space_register(const struct pager *p, uint64_t address, uint64_t size)
{
	struct uffdio_register reg = { .range = { .start = address, .len = size },
		.mode = UFFDIO_REGISTER_MODE_MISSING };

	return ioctl(p->uffd, UFFDIO_REGISTER, &reg) == 0;
}

/* Maps inaccessible addresses and registers them, so that they are recognised later. flags:
 * MAP_FIXED replaces what is there. => false: the kernel refuses, or (MAP_FIXED_NOREPLACE)
 * something is there */
static bool
space_map_none(const struct pager *p, uint64_t address, uint64_t size, int flags)
{
	void *memory = mmap(space_pointer(address), size, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | flags, -1, 0);

	if (memory == MAP_FAILED)
		return false;
	if (space_register(p, address, size))
		return true;
	munmap(memory, size);
	return false;
}

/* What a walk does with each piece of a range. */
struct space_walk {
	/* A piece that is one mapping of ours. => 0 or -errno; the walk returns the first error */
	int (*ours)(struct pager *p, uint64_t start, uint64_t end);
	/* A piece that is not ours: nothing is mapped there (hole), or a page of somebody else's.
	 * NULL: such pieces are skipped */
	void (*gone)(struct pager *p, uint64_t start, uint64_t end, bool hole);
};

static bool
space_is_hole(const struct pager *p, uint64_t address, uint64_t size)
{
	void *memory = mmap(space_pointer(address), size, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	(void)p;
	if (memory == MAP_FAILED)
		return false;
	munmap(memory, size);
	return memory == space_pointer(address); /* Linux before 4.17 takes the address as a hint */
}

/* How much of the range, from address on, `is` holds for. It holds for the first unit. => a
 * multiple of unit, or most */
static uint64_t
space_extent(const struct pager *p, bool (*is)(const struct pager *, uint64_t, uint64_t),
    uint64_t address, uint64_t most, uint64_t unit)
{
	uint64_t is_so = unit, is_not = 0, next;

	if (most > is_so && is(p, address, most))
		return most;
	is_not = most;
	while (is_not - is_so > unit) {
		next =
		    is_so * 2 < is_not ? is_so * 2 : is_so + ((is_not - is_so) / 2 & ~(unit - 1));
		if (is(p, address, next))
			is_so = next;
		else
			is_not = next;
	}
	return is_so;
}

uint64_t
space_registered_part(const struct pager *p, uint64_t address, uint64_t size)
{
	if (space_is_registered(p, address, size))
		return size;
	if (size == HARDWARE_PAGE || !space_is_registered(p, address, HARDWARE_PAGE))
		return 0;
	return space_extent(p, space_is_registered, address, size, HARDWARE_PAGE);
}

/* => space_lock held */
static int
space_walk(struct pager *p, const struct space_walk *walk, uint64_t start, uint64_t end)
{
	uint64_t size, page = p->page_size;
	int r = 0, r2;

	for (; start < end; start += size) {
		bool hole;

		if (space_is_registered(p, start, page)) {
			size = space_extent(p, space_is_registered, start, end - start, page);
			r2 = walk->ours(p, start, start + size);
			r = r < 0 ? r : r2;
			continue;
		}
		hole = space_is_hole(p, start, page);
		size = hole ? space_extent(p, space_is_hole, start, end - start, page) : page;
		if (walk->gone)
			walk->gone(p, start, start + size, hole);
	}
	return r;
}

/* The part of [start, end) that begins at start and lies wholly within a window or wholly outside
 * all windows. => whether it is within */
static bool
space_part(struct pager *p, uint64_t start, uint64_t end, uint64_t *ret_until)
{
	const struct range *window = range_set_above(&p->windows, start);
	bool inside = window && window->start <= start;
	uint64_t until = !window ? end : inside ? window->end : window->start;

	*ret_until = until < end ? until : end;
	return inside;
}

/* Takes the range out of the books: none of it is ours any more. */
static void
space_disown(struct pager *p, uint64_t start, uint64_t end)
{
	uint64_t until;

	for (; start < end; start = until)
		if (space_part(p, start, end, &until) && range_set_reserve(&p->windows, 1) == 0)
			range_set_remove(&p->windows, start, until);
}

/* A piece of a window that is inaccessible and unused becomes free. */
static int
space_free(struct pager *p, uint64_t start, uint64_t end)
{
	/* If the set has no room, these addresses are never used again; nothing else is lost. */
	if (range_set_reserve(&p->free, 1) == 0)
		range_set_add(&p->free, start, end);
	return 0;
}

/* Makes a new reservation. => 0 or -ENOMEM. */
static int
space_map(const struct pager *p, uint64_t size, uint64_t *ret_address)
{
	uint64_t mapped = size + SPACE_ALIGN_BYTES, raw, address, end;
	void *memory;

	if (mapped < size)
		return -ENOMEM;
	memory = mmap(NULL, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	raw = (uint64_t)(uintptr_t)memory;
	address = (raw + SPACE_ALIGN_BYTES - 1) & ~(SPACE_ALIGN_BYTES - 1);
	end = address + size;
	/* The kernel may have joined it with a neighbour and have no mappings left to split it. */
	if ((address > raw && munmap(memory, address - raw) < 0) ||
	    (end < raw + mapped && munmap(space_pointer(end), raw + mapped - end) < 0) ||
	    !space_register(p, address, size)) {
		munmap(memory, mapped);
		return -ENOMEM;
	}
	*ret_address = address;
	return 0;
}

/* A piece that is inaccessible and unused. */
static int
vacate_window(struct pager *p, uint64_t start, uint64_t end)
{
	if (space_map_none(p, start, end - start, MAP_FIXED))
		return space_free(p, start, end);
	/* The process has no mapping left for that: then unmap the piece, and anybody may use the
	 * addresses. */
	if (munmap(space_pointer(start), end - start) == 0)
		space_disown(p, start, end);
	return 0;
}

static void
vacate_gone(struct pager *p, uint64_t start, uint64_t end, bool hole)
{
	if (hole && space_map_none(p, start, end - start, MAP_FIXED_NOREPLACE))
		space_free(p, start, end);
	else
		space_disown(p, start, end);
}

static int
vacate_large(struct pager *p, uint64_t start, uint64_t end)
{
	(void)p;
	munmap(space_pointer(start), end - start);
	return 0;
}

static void
space_vacate_locked(struct pager *p, uint64_t start, uint64_t end)
{
	static const struct space_walk in_window = { vacate_window, vacate_gone },
				       large = { vacate_large, NULL };
	uint64_t until;

	for (; start < end; start = until) {
		bool inside = space_part(p, start, end, &until);

		space_walk(p, inside ? &in_window : &large, start, until);
	}
}

void
space_vacate(struct pager *p, uint64_t address, uint64_t size)
{
	pthread_mutex_lock(&p->space_lock);
	space_vacate_locked(p, address, address + size);
	pthread_mutex_unlock(&p->space_lock);
}

static int
space_window_add_locked(struct pager *p)
{
	uint64_t address;
	int r;

	if (range_set_reserve(&p->windows, 1) < 0 || range_set_reserve(&p->free, 1) < 0)
		return -ENOMEM;
	r = space_map(p, SPACE_WINDOW_BYTES, &address);
	if (r < 0)
		return r;
	range_set_add(&p->windows, address, address + SPACE_WINDOW_BYTES);
	range_set_add(&p->free, address, address + SPACE_WINDOW_BYTES);
	return 0;
}

/* Takes addresses out of the free set, if they are still ours. => false: nothing fits */
static bool
space_take_locked(struct pager *p, uint64_t size, uint64_t *ret_address)
{
	static const struct space_walk look = { space_free, vacate_gone };
	const struct range *fit;

	while ((fit = range_set_fit(&p->free, size)) != NULL) {
		uint64_t start = fit->start, end = start + size;

		range_set_remove(&p->free, start, end);
		*ret_address = start;
		if (space_is_registered(p, start, size))
			return true;
		space_walk(p, &look, start, end);
		if (range_set_contains(&p->free, start, end)) { /* several mappings, and all ours */
			range_set_remove(&p->free, start, end);
			return true;
		}
	}
	return false;
}

int
space_reserve(struct pager *p, uint64_t size, uint64_t *ret_address)
{
	int r = 0;

	if (size >= SPACE_LARGE_BYTES)
		return space_map(p, size, ret_address);
	pthread_mutex_lock(&p->space_lock);
	if (range_set_reserve(&p->free, 1) < 0)
		r = -ENOMEM;
	while (r == 0 && !space_take_locked(p, size, ret_address))
		r = space_window_add_locked(p);
	pthread_mutex_unlock(&p->space_lock);
	return r;
}

/* The part of [start, end) that begins at start and may all be written, or all only be read. =>
 * whether it may only be read */
static bool
read_only_part(struct pager *p, uint64_t start, uint64_t end, uint64_t *ret_until)
{
	const struct range *range = range_set_above(&p->read_only, start);
	bool inside = range && range->start <= start;
	uint64_t until = !range ? end : inside ? range->end : range->start;

	*ret_until = until < end ? until : end;
	return inside;
}

/* => 0 or -ENOMEM, then nothing has changed */
static int
read_only_forget(struct pager *p, uint64_t start, uint64_t end)
{
	uint64_t until;

	for (; start < end; start = until) {
		if (!read_only_part(p, start, end, &until))
			continue;
		if (range_set_reserve(&p->read_only, 1) < 0)
			return -ENOMEM;
		range_set_remove(&p->read_only, start, until);
	}
	return 0;
}

static int
walk_open(struct pager *p, uint64_t start, uint64_t end)
{
	uint64_t until;

	for (; start < end; start = until) {
		int protection =
		    read_only_part(p, start, end, &until) ? PROT_READ : PROT_READ | PROT_WRITE;

		if (mprotect(space_pointer(start), until - start, protection) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int
walk_close(struct pager *p, uint64_t start, uint64_t end)
{
	(void)p;
	return mprotect(space_pointer(start), end - start, PROT_NONE) < 0 ? -ENOMEM : 0;
}

static const struct space_walk space_open = { walk_open, NULL }, space_close = { walk_close, NULL };

int
space_manage(struct pager *p, uint64_t address, uint64_t size, bool is_read_only)
{
	int r;

	pthread_mutex_lock(&p->space_lock);
	r = range_set_reserve(&p->managed, 1);
	/* What was there before may have been read-only, and its end not noted for want of memory.
	 */
	if (r == 0)
		r = read_only_forget(p, address, address + size);
	if (r == 0 && is_read_only)
		r = range_set_reserve(&p->read_only, 1);
	if (r == 0 && is_read_only)
		range_set_add(&p->read_only, address, address + size);
	if (r == 0)
		r = walk_open(p, address, address + size);
	if (r == 0)
		range_set_add(&p->managed, address, address + size);
	pthread_mutex_unlock(&p->space_lock);
	return r;
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
	if (r == 0) {
		r = space_walk(p, &space_close, address, address + size);
		if (r == 0)
			range_set_remove(&p->managed, address, address + size);
		else /* perhaps only a part was closed, for lack of mappings */
			space_walk(p, &space_open, address, address + size);
	}
	pthread_mutex_unlock(&p->space_lock);
	return r;
}

int
space_restore(struct pager *p, uint64_t address, uint64_t size)
{
	int r;

	pthread_mutex_lock(&p->space_lock);
	r = range_set_reserve(&p->managed, 1);
	if (r == 0)
		r = space_walk(p, &space_open, address, address + size);
	if (r == 0)
		range_set_add(&p->managed, address, address + size);
	else
		space_walk(p, &space_close, address, address + size);
	pthread_mutex_unlock(&p->space_lock);
	return r;
}

void
space_owe(struct pager *p, uint64_t address, uint64_t size)
{
	pthread_mutex_lock(&p->space_lock);
	if (range_set_reserve(&p->owed, 1) == 0)
		range_set_add(&p->owed, address, address + size);
	pthread_mutex_unlock(&p->space_lock);
}

bool
space_owed_take(struct pager *p, uint64_t *ret_address, uint64_t *ret_size)
{
	const struct range *range;
	bool any;

	pthread_mutex_lock(&p->space_lock);
	range = range_set_above(&p->owed, 0);
	any = range != NULL;
	if (any) {
		*ret_address = range->start;
		*ret_size = range->end - range->start;
		range_set_remove(&p->owed, range->start, range->end);
	}
	pthread_mutex_unlock(&p->space_lock);
	return any;
}

static int
walk_unmap(struct pager *p, uint64_t start, uint64_t end)
{
	(void)p;
	return munmap(space_pointer(start), end - start) < 0 ? -ENOMEM : 0;
}

int
space_unmap_all(struct pager *p)
{
	static const struct space_walk unmap = { walk_unmap, NULL };
	const struct range_set *sets[] = { &p->managed, &p->owed, &p->windows };
	uint64_t at, until;
	int r = 0, r2;

	pthread_mutex_lock(&p->space_lock);
	for (unsigned set = 0; set < sizeof(sets) / sizeof(sets[0]); set++)
		for (size_t i = 0; i < sets[set]->count; i++)
			for (at = sets[set]->ranges[i].start; at < sets[set]->ranges[i].end;
			     at = until) {
				/* Ranges in windows are unmapped with their windows. */
				if (space_part(p, at, sets[set]->ranges[i].end, &until) &&
				    sets[set] != &p->windows)
					continue;
				r2 = space_walk(p, &unmap, at, until);
				r = r < 0 ? r : r2;
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
