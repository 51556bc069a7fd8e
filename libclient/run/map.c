/* SPDX-License-Identifier: MIT
 *
 * mmap, munmap, mprotect. The kernel makes each mapping first: so it chooses the address and says
 * what is wrong, as it would without this library. Then what is to be managed becomes so in place,
 * before the call returns and another thread can know of it.
 *
 * A reservation (PROT_NONE) costs nothing until a part of it is made accessible. Then it becomes
 * managed in large pieces: allocators commit a few pages at a time, and each piece is a request.
 */
#include "run.h"

#include <errno.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Memory with any other flag stays ordinary: stacks, huge pages, what grows down or is locked. */
#define FLAGS_ORDINARY                                                                             \
	(MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_FIXED |   \
	    MAP_FIXED_NOREPLACE | MAP_32BIT | MAP_EXECUTABLE | MAP_DENYWRITE)
/* Smaller mappings are not remembered: they do not grow to anything worth it. */
#define SMALL_BYTES (64u << 10)
/* A reservation becomes managed in pieces of this, at multiples of it: the size of what glibc
 * reserves for an arena. */
#define PIECE_BYTES (64ull << 20)
/* Reservations are remembered from this size on, and so is managed what a program commits of them,
 * by protecting it or by mapping over it. V8 has one of 256 KiB for each page of its heap. */
#define COMMIT_BYTES (128u << 10)

void
run_consider(uint64_t start, uint64_t end, int protection, bool fresh)
{
	uint64_t size = end - start;
	bool is_small = size < (fresh ? COMMIT_BYTES : RUN_LEAST);

	if (protection == PROT_NONE && size >= COMMIT_BYTES)
		set_put(&run.reserved, start, end);
	if (protection == PROT_NONE)
		return;
	if (protection != RUN_READ_WRITE)
		run_count(
		    protection & PROT_EXEC ? PAGER_RUN_EXECUTABLE : PAGER_RUN_PROTECTED, 1, size);
	else if (is_small)
		run_count(PAGER_RUN_SMALL, 1, size);
	if (protection != RUN_READ_WRITE || size < SMALL_BYTES)
		return;
	if (is_small || !run_manage(start, end, protection))
		set_put(&run.small, start, end);
}

/* What is mapped and is no plain anonymous memory. */
static void
other_count(uint64_t size, int protection, int flags)
{
	if (!(flags & MAP_ANONYMOUS) && !(protection & PROT_WRITE))
		return; /* text and constants */
	if (flags & MAP_HUGETLB)
		run_count(PAGER_RUN_HUGE, 1, size);
	else if ((flags & MAP_TYPE) != MAP_PRIVATE)
		run_count(PAGER_RUN_SHARED, 1, size);
	else if (!(flags & MAP_ANONYMOUS))
		run_count(PAGER_RUN_FILE, 1, size);
	else if (flags & (MAP_STACK | MAP_GROWSDOWN))
		run_count(PAGER_RUN_STACK, 1, size);
	else
		run_count(flags & MAP_LOCKED ? PAGER_RUN_LOCKED : PAGER_RUN_FLAGS, 1, size);
}

/* Whether memory of the library's, or a reservation, has been at all of these addresses. */
static bool
is_known(uint64_t start, uint64_t end)
{
	uint64_t from, until;

	while (start < end) {
		const struct range *r = range_set_above(&run.reserved, start);

		if (r && r->start <= start)
			start = r->end;
		else if (run_managed_part(start, end, &from, &until) && from == start)
			start = until;
		else
			return false;
	}
	return true;
}

/* [from, until) of a reservation is about to be made accessible. */
static void
reservation_use(const struct range *reservation, uint64_t from, uint64_t until)
{
	uint64_t start = from & ~(PIECE_BYTES - 1);
	uint64_t end = (until + PIECE_BYTES - 1) & ~(PIECE_BYTES - 1);
	const struct range *found;

	if (reservation->end - reservation->start < COMMIT_BYTES)
		return;
	start = start > reservation->start ? start : reservation->start;
	end = end < reservation->end ? end : reservation->end;
	if (!run_manage(start, end, PROT_NONE))
		return;
	set_cut(&run.reserved, start, end);
	set_put(&run.untouched, start, end);
	/* Of what is not for children the daemon gives them nothing. */
	found = range_set_above(&run.unforked, start);
	if (found && found->start < end)
		(void)run_inherit(start, end);
}

/* The kernel has given the range that protection. */
static void
protection_note(uint64_t start, uint64_t end, int protection)
{
	uint64_t from, until;

	if (protection != PROT_NONE)
		set_cut(&run.reserved, start, end);
	if (protection != RUN_READ_WRITE)
		set_cut(&run.small, start, end);
	for (uint64_t at = start; run_managed_part(at, end, &from, &until); at = until) {
		for (int i = 0; i < RUN_PROTECTIONS; i++)
			set_cut(&run.protected[i], from, until);
		if (protection != RUN_READ_WRITE && protection >= 0 && protection < RUN_PROTECTIONS)
			set_put(&run.protected[protection], from, until);
	}
}

/* What is reserved of the range becomes managed. */
static void
reservations_use(uint64_t start, uint64_t end)
{
	const struct range *found;
	uint64_t at = start;

	/* One that could not become managed is still there. */
	while (at < end && (found = range_set_above(&run.reserved, at)) != NULL &&
	       found->start < end) {
		struct range reservation = *found;
		uint64_t from = reservation.start > at ? reservation.start : at;

		at = reservation.end < end ? reservation.end : end;
		reservation_use(&reservation, from, at);
	}
}

/* The first address from `start` on that the set has not, or `end`. */
static uint64_t
set_until(const struct range_set *set, uint64_t start, uint64_t end)
{
	const struct range *r;

	while (start < end && (r = range_set_above(set, start)) != NULL && r->start <= start)
		start = r->end;
	return start < end ? start : end;
}

static bool
set_has_any(const struct range_set *set, uint64_t start, uint64_t end)
{
	const struct range *r = range_set_above(set, start);

	return r && r->start < end;
}

/* Memory that was never accessible is mapped over with memory that is, which has nothing in it
 * either: it is enough to make it accessible. So an allocator commits that does it a few pages at a
 * time, as HotSpot does for its classes. => whether it is done, and the range is managed */
static bool
commit(uint64_t start, uint64_t end)
{
	const struct range_set *const special[] = { &run.unforked, &run.wiped, &run.locked };
	const struct range *reservation = range_set_above(&run.reserved, start);

	if (run.all_locked || start % RUN_PAGE != 0 || end <= start)
		return false;
	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++)
		if (set_has_any(special[i], start, end))
			return false;
	/* What is large becomes managed as it is mapped. */
	if (reservation && reservation->start <= start && reservation->end >= end &&
	    reservation->end - reservation->start >= RUN_LEAST && end - start < COMMIT_BYTES)
		reservations_use(start, end);
	if (set_until(&run.untouched, start, end) < end)
		return false;
	set_cut(&run.untouched, start, end);
	if (raw_failed(raw_mprotect(start, end - start, RUN_READ_WRITE)))
		return false;
	protection_note(start, end, RUN_READ_WRITE);
	return true;
}

void *
run_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	bool is_fixed = (flags & MAP_FIXED) && !(flags & MAP_FIXED_NOREPLACE);
	bool is_plain = (flags & MAP_ANONYMOUS) && (flags & MAP_TYPE) == MAP_PRIVATE &&
			!(flags & ~FLAGS_ORDINARY);
	uint64_t at = (uintptr_t)address, whole = run_page_up(size);
	bool populate = is_plain && (flags & MAP_POPULATE) && protection == RUN_READ_WRITE;
	bool fresh = false;
	struct run_call c;
	long r;

	run_enter(&c);
	r = is_fixed && whole >= size && at + whole >= at ? run_forget_prepare(at, at + whole) : 0;
	if (r == 0 && is_plain && (protection & PROT_WRITE) &&
	    run_data_is_full(whole - (is_fixed ? run_managed_bytes(at, at + whole, true) : 0)))
		r = -ENOMEM;
	if (r == 0 && is_fixed && is_plain && !populate && protection == RUN_READ_WRITE &&
	    whole >= size && commit(at, at + whole))
		return (void *)run_leave(&c, (long)at);
	if (r == 0) {
		fresh = is_fixed && is_plain && whole > 0 && is_known(at, at + whole);
		r = raw_mmap(
		    at, size, protection, populate ? flags & ~MAP_POPULATE : flags, fd, offset);
	}
	if (!raw_failed(r)) {
		uint64_t start = (uint64_t)r, end = start + whole;

		run_forget(start, end);
		if (is_plain)
			run_consider(start, end, protection, fresh);
		else
			other_count(whole, protection, flags);
		if (populate)
			raw_madvise(start, whole, MADV_POPULATE_WRITE);
	}
	return (void *)run_leave(&c, r);
}

long
run_unmap(uint64_t start, uint64_t end)
{
	long r = run_forget_prepare(start, end);

	if (r == 0)
		r = raw_munmap(start, end - start);
	if (r == 0)
		run_forget(start, end);
	return r;
}

int
run_munmap(void *address, size_t size)
{
	uint64_t at = (uintptr_t)address, whole = run_page_up(size);
	struct run_call c;
	long r;

	run_enter(&c);
	/* What makes no sense is for the kernel to say. */
	if (at % RUN_PAGE != 0 || whole < size || whole == 0 || at + whole < at)
		r = raw_munmap(at, size);
	else
		r = run_unmap(at, at + whole);
	return (int)run_leave(&c, r);
}

/* The kernel may change a part of it, and then say that it cannot change the rest. */
static long
protect(uint64_t start, uint64_t size, uint64_t end, int protection, int key)
{
	if (protection != PROT_NONE && end > start) {
		set_cut(&run.reserved, start, end);
		set_cut(&run.untouched, start, end);
	}
	/* The kernel takes -1 for no key, too; but some have no such call. */
	return key == -1 ? raw_mprotect(start, size, protection)
			 : raw_call(SYS_pkey_mprotect, start, size, (uint64_t)protection,
			       (uint64_t)key, 0, 0);
}

int
run_pkey_mprotect(void *address, size_t size, int protection, int key)
{
	uint64_t start = (uintptr_t)address, whole = run_page_up(size), end = start + whole;
	struct run_call c;
	long r;

	run_enter(&c);
	if (start % RUN_PAGE == 0 && whole >= size && end > start && protection == RUN_READ_WRITE)
		reservations_use(start, end);
	if ((protection & PROT_WRITE) && end > start &&
	    run_data_is_full(
		run_managed_bytes(start, end, false) - run_managed_bytes(start, end, true)))
		r = -ENOMEM;
	else
		r = protect(start, size, end, protection, key);
	if (r == 0 && end > start)
		protection_note(start, end, protection);
	return (int)run_leave(&c, r);
}

int
run_mprotect(void *address, size_t size, int protection)
{
	return run_pkey_mprotect(address, size, protection, -1);
}
