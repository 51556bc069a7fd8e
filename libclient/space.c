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

/* As many addresses as are asked about must follow on the page that nobody can read. Behind one
 * that lies below what is asked about there are as many; it is put there unless the program has
 * that place. Behind any other the kernel leaves twice this many, but for the stack. */
#define SPACE_LOW_ADDRESS (1ull << 20)
#define SPACE_ASK_BYTES   (64ull << 20)

static void *
space_pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

int
space_init(struct pager *p)
{
	/* Not a page of the library's data: LeakSanitizer reads all of that. */
	p->unreadable = mmap(space_pointer(SPACE_LOW_ADDRESS), HARDWARE_PAGE, PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p->unreadable == MAP_FAILED)
		return -ENOMEM;
	pthread_mutex_init(&p->change_lock, NULL);
	mutex_init(&p->space_lock);
	range_set_init(&p->managed);
	range_set_init(&p->windows);
	range_set_init(&p->free);
	range_set_init(&p->owed);
	device_set_init(&p->devices);
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
	device_set_fini(&p->devices);
	munmap(p->unreadable, HARDWARE_PAGE);
}

/* UFFDIO_COPY is refused with ENOENT if the range is not one registered mapping, before the kernel
 * looks at anything else. Otherwise it fails because its source cannot be read, before it changes
 * anything. (UFFDIO_CONTINUE says as much, but maps pages, also those that a submap forbids.) */
static bool
space_is_one_registered(const struct pager *p, uint64_t address, uint64_t size)
{
	struct uffdio_copy ask = { .dst = address,
		.src = (uint64_t)(uintptr_t)p->unreadable,
		.len = size,
		.mode = UFFDIO_COPY_MODE_DONTWAKE };
	int r;

	/* EAGAIN: a mapping is being moved just now. */
	for (unsigned tries = 0; tries < SPACE_TRIES; tries++) {
		r = syscall(SYS_ioctl, p->uffd, UFFDIO_COPY, &ask) < 0 ? -errno
								       : 0; /* raw: see keeper.c */
		if (r != -EAGAIN)
			break;
		sched_yield();
	}
	return r != -ENOENT;
}

bool
space_is_registered(const struct pager *p, uint64_t address, uint64_t size)
{
	/* Each question costs a page table of its own. */
	uint64_t most = address > (uintptr_t)p->unreadable ? size : SPACE_ASK_BYTES, part;
	bool is = true;

	for (; is && size > 0; address += part, size -= part) {
		part = size < most ? size : most;
		is = space_is_one_registered(p, address, part);
	}
	return is;
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
	/* A piece that is one mapping of ours. value: the walk's. => 0 or -errno; the walk returns
	 * the first error */
	int (*ours)(struct pager *p, uint64_t start, uint64_t end, int value);
	/* A piece that is not ours: nothing is mapped there (hole), or a page of somebody else's.
	 * NULL: such pieces are skipped */
	void (*gone)(struct pager *p, uint64_t start, uint64_t end, bool hole);
	int value;
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
			r2 = walk->ours(p, start, start + size, walk->value);
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
space_free(struct pager *p, uint64_t start, uint64_t end, int value)
{
	(void)value;
	/* If the set has no room, these addresses are never used again; nothing else is lost. */
	if (range_set_reserve(&p->free, 1) == 0)
		range_set_add(&p->free, start, end);
	return 0;
}

/* Makes a new reservation at a multiple of `align`. => 0 or -ENOMEM. */
static int
space_map(const struct pager *p, uint64_t size, uint64_t align, uint64_t *ret_address)
{
	uint64_t mapped = size + align, raw, address, end;
	void *memory;

	if (mapped < size)
		return -ENOMEM;
	memory = mmap(NULL, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	raw = (uint64_t)(uintptr_t)memory;
	address = (raw + align - 1) & ~(align - 1);
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
vacate_window(struct pager *p, uint64_t start, uint64_t end, int value)
{
	if (space_map_none(p, start, end - start, MAP_FIXED))
		return space_free(p, start, end, value);
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
		space_free(p, start, end, 0);
	else
		space_disown(p, start, end);
}

static int
vacate_large(struct pager *p, uint64_t start, uint64_t end, int value)
{
	(void)p;
	(void)value;
	munmap(space_pointer(start), end - start);
	return 0;
}

static void
space_vacate_locked(struct pager *p, uint64_t start, uint64_t end)
{
	static const struct space_walk in_window = { vacate_window, vacate_gone, 0 },
				       large = { vacate_large, NULL, 0 };
	uint64_t until;

	for (; start < end; start = until) {
		bool inside = space_part(p, start, end, &until);

		space_walk(p, inside ? &in_window : &large, start, until);
	}
}

void
space_vacate(struct pager *p, uint64_t address, uint64_t size)
{
	hold_lock(&p->space_lock);
	space_vacate_locked(p, address, address + size);
	hold_unlock(&p->space_lock);
}

static int
space_window_add_locked(struct pager *p)
{
	uint64_t address;
	int r;

	if (range_set_reserve(&p->windows, 1) < 0 || range_set_reserve(&p->free, 1) < 0)
		return -ENOMEM;
	r = space_map(p, SPACE_WINDOW_BYTES, SPACE_ALIGN_BYTES, &address);
	if (r < 0)
		return r;
	range_set_add(&p->windows, address, address + SPACE_WINDOW_BYTES);
	range_set_add(&p->free, address, address + SPACE_WINDOW_BYTES);
	return 0;
}

/* Takes [start, end) out of the free set, which has room for that. => false: some of it was not
 * ours any more, and what is ours is free again */
static bool
space_claim_locked(struct pager *p, uint64_t start, uint64_t end)
{
	static const struct space_walk look = { space_free, vacate_gone, 0 };

	range_set_remove(&p->free, start, end);
	if (space_is_registered(p, start, end - start))
		return true;
	space_walk(p, &look, start, end);
	if (!range_set_contains(&p->free, start, end))
		return false;
	range_set_remove(&p->free, start, end); /* several mappings, and all ours */
	return true;
}

/* Takes addresses out of the free set. => false: nothing fits */
static bool
space_take_locked(struct pager *p, uint64_t size, uint64_t align, uint64_t *ret_address)
{
	while (range_set_fit(&p->free, size, align, ret_address))
		if (space_claim_locked(p, *ret_address, *ret_address + size))
			return true;
	return false;
}

int
space_reserve(struct pager *p, uint64_t size, uint64_t align, uint64_t *ret_address)
{
	int r = 0;

	if (size >= SPACE_LARGE_BYTES || align > SPACE_ALIGN_BYTES)
		return space_map(
		    p, size, align > SPACE_ALIGN_BYTES ? align : SPACE_ALIGN_BYTES, ret_address);
	hold_lock(&p->space_lock);
	if (range_set_reserve(&p->free, 1) < 0)
		r = -ENOMEM;
	while (r == 0 && !space_take_locked(p, size, align, ret_address))
		r = space_window_add_locked(p);
	hold_unlock(&p->space_lock);
	return r;
}

int
space_reserve_at(struct pager *p, uint64_t address, uint64_t size)
{
	uint64_t end = address + size, until;
	int r = -EEXIST;

	hold_lock(&p->space_lock);
	if (range_set_reserve(&p->free, 1) < 0)
		r = -ENOMEM;
	else if (range_set_contains(&p->free, address, end))
		r = space_claim_locked(p, address, end) ? 0 : -EEXIST;
	else if (!space_part(p, address, end, &until) && until == end)
		r = space_map_none(p, address, size, MAP_FIXED_NOREPLACE) ? 0
		    : errno == EEXIST                                     ? -EEXIST
									  : -ENOMEM;
	hold_unlock(&p->space_lock);
	return r;
}

static int
walk_protect(struct pager *p, uint64_t start, uint64_t end, int value)
{
	(void)p;
	return mprotect(space_pointer(start), end - start, value) < 0 ? -ENOMEM : 0;
}

static const struct space_walk space_close = { walk_protect, NULL, PROT_NONE };

int
space_manage(struct pager *p, uint64_t address, uint64_t size, int protection)
{
	int r;

	hold_lock(&p->space_lock);
	r = range_set_reserve(&p->managed, 1);
	if (r == 0)
		r = walk_protect(p, address, address + size, protection);
	if (r == 0)
		range_set_add(&p->managed, address, address + size);
	hold_unlock(&p->space_lock);
	return r;
}

int
space_unmanage(struct pager *p, uint64_t address, uint64_t size)
{
	int r;

	hold_lock(&p->space_lock);
	if (!range_set_contains(&p->managed, address, address + size))
		r = -EINVAL;
	else
		r = range_set_reserve(&p->managed, 1);
	if (r == 0) {
		r = space_walk(p, &space_close, address, address + size);
		if (r == 0)
			range_set_remove(&p->managed, address, address + size);
	}
	hold_unlock(&p->space_lock);
	return r;
}

int
space_restore(struct pager *p, uint64_t address, uint64_t size)
{
	int r;

	hold_lock(&p->space_lock);
	r = range_set_reserve(&p->managed, 1);
	if (r == 0)
		range_set_add(&p->managed, address, address + size);
	hold_unlock(&p->space_lock);
	return r;
}

int
space_protect(struct pager *p, uint64_t address, uint64_t size, int protection)
{
	struct space_walk protect = { walk_protect, NULL, protection };
	int r;

	hold_lock(&p->space_lock);
	r = space_walk(p, &protect, address, address + size);
	hold_unlock(&p->space_lock);
	return r;
}

static int
walk_advise(struct pager *p, uint64_t start, uint64_t end, int value)
{
	(void)p;
	return madvise(space_pointer(start), end - start, value) < 0 ? -ENOMEM : 0;
}

/* The kernel splits and joins mappings by their advice, too. Which of the two it has makes no
 * difference to memory that is not read from a file. */
int
space_part_mappings(struct pager *p, uint64_t address, uint64_t size, bool apart)
{
	struct space_walk advise = { walk_advise, NULL, apart ? MADV_SEQUENTIAL : MADV_RANDOM };
	int r;

	hold_lock(&p->space_lock);
	r = space_walk(p, &advise, address, address + size);
	hold_unlock(&p->space_lock);
	return r;
}

int
space_unmap_pages(struct pager *p, uint64_t address, uint64_t size)
{
	uint64_t end = address + size;
	int r = 0;

	hold_lock(&p->space_lock);
	for (uint64_t part; r == 0 && address < end; address += part ? part : HARDWARE_PAGE) {
		part = space_registered_part(p, address, end - address);
		if (part > 0 && madvise(space_pointer(address), part, MADV_DONTNEED_LOCKED) < 0)
			r = -errno;
	}
	hold_unlock(&p->space_lock);
	return r;
}

void
space_owe(struct pager *p, uint64_t address, uint64_t size)
{
	hold_lock(&p->space_lock);
	if (range_set_reserve(&p->owed, 1) == 0)
		range_set_add(&p->owed, address, address + size);
	hold_unlock(&p->space_lock);
}

bool
space_owed_take(struct pager *p, uint64_t *ret_address, uint64_t *ret_size)
{
	const struct range *range;
	bool any;

	hold_lock(&p->space_lock);
	range = range_set_above(&p->owed, 0);
	any = range != NULL;
	if (any) {
		*ret_address = range->start;
		*ret_size = range->end - range->start;
		range_set_remove(&p->owed, range->start, range->end);
	}
	hold_unlock(&p->space_lock);
	return any;
}

static int
walk_unmap(struct pager *p, uint64_t start, uint64_t end, int value)
{
	(void)p;
	(void)value;
	return munmap(space_pointer(start), end - start) < 0 ? -ENOMEM : 0;
}

int
space_unmap_all(struct pager *p)
{
	static const struct space_walk unmap = { walk_unmap, NULL, 0 };
	const struct range_set *sets[] = { &p->managed, &p->owed, &p->windows };
	uint64_t at, until;
	int r = 0, r2;

	hold_lock(&p->space_lock);
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
	hold_unlock(&p->space_lock);
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
	hold_lock(&p->space_lock);
	managed = range_set_contains(&p->managed, address, address + rounded) ||
		  device_set_contains(&p->devices, address, address + rounded);
	hold_unlock(&p->space_lock);
	if (!managed)
		return -EINVAL;
	*ret_address = address;
	*ret_size = rounded;
	return 0;
}
