/* SPDX-License-Identifier: MIT
 *
 * madvise, and mlock with its kin. Advice that the kernel would carry out on the mapping is carried
 * out by the daemon for managed memory, or is without effect there if it is a hint. mlock wires:
 * the kernel keeps the account (RLIMIT_MEMLOCK), and the daemon keeps the pages.
 */
#include "run.h"

#include <errno.h>

#ifndef MADV_COLD
#define MADV_COLD    20
#define MADV_PAGEOUT 21
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24
#endif
#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1u
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

static int
behave(uint64_t start, uint64_t end, enum pager_behavior behavior)
{
	return pager_behavior(run.pager, (void *)(uintptr_t)start, end - start, behavior);
}

/* A part that is managed. => 0 or -errno */
static long
advise_managed(uint64_t start, uint64_t end, int advice)
{
	switch (advice) {
	case MADV_DONTNEED:
		if (range_set_above(&run.locked, start) &&
		    range_set_above(&run.locked, start)->start < end)
			return -EINVAL;
		return run_zero(start, end);
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
		return run_zero(start, end);
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return raw_madvise(start, end - start, advice);
	/* Hints, whose refusal the program cannot do anything about. */
	case MADV_WILLNEED:
		(void)behave(start, end, PAGER_BEHAVIOR_WILLNEED);
		return 0;
	case MADV_COLD:
		(void)behave(start, end, PAGER_BEHAVIOR_DONTNEED);
		return 0;
	case MADV_PAGEOUT:
		(void)behave(start, end, PAGER_BEHAVIOR_PAGEOUT);
		return 0;
	case MADV_NORMAL:
		return behave(start, end, PAGER_BEHAVIOR_DEFAULT);
	case MADV_RANDOM:
		return behave(start, end, PAGER_BEHAVIOR_RANDOM);
	case MADV_SEQUENTIAL:
		return behave(start, end, PAGER_BEHAVIOR_SEQUENTIAL);
	/* Remembered first: what the child does not have of the daemon it would not have at all. */
	case MADV_DONTFORK:
		set_put(&run.unforked, start, end);
		return run_inherit(start, end);
	case MADV_WIPEONFORK:
		set_put(&run.wiped, start, end);
		return run_inherit(start, end);
	case MADV_DOFORK:
		set_cut(&run.unforked, start, end);
		return run_inherit(start, end);
	case MADV_KEEPONFORK:
		set_cut(&run.wiped, start, end);
		return run_inherit(start, end);
	/* Nothing to do: no page of it is huge or merged, and none is in a core dump. */
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_COLLAPSE:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
	case MADV_DODUMP:
	case MADV_DONTDUMP:
		return 0;
	default:
		return -EINVAL;
	}
}

/* What is reserved in the range is not for children, and neither is what will be managed of it. */
static void
reservations_keep(uint64_t start, uint64_t end)
{
	const struct range *r;

	for (uint64_t at = start;
	     at < end && (r = range_set_above(&run.reserved, at)) != NULL && r->start < end;) {
		uint64_t from = r->start > at ? r->start : at;

		at = r->end < end ? r->end : end;
		set_put(&run.unforked, from, at);
	}
}

/* What the kernel has to remember of memory it must go on having. */
static long
advise_ordinary(uint64_t start, uint64_t end, int advice)
{
	long r = raw_madvise(start, end - start, advice);

	end = run_page_up(end);
	if (advice == MADV_DONTFORK || advice == MADV_WIPEONFORK)
		set_cut(&run.small, start, end);
	if (advice == MADV_DONTFORK)
		reservations_keep(start, end);
	if (advice == MADV_WIPEONFORK)
		set_cut(&run.reserved, start, end);
	if (advice == MADV_DOFORK && r == 0)
		set_cut(&run.unforked, start, end);
	return r;
}

int
run_madvise(void *address, size_t size, int advice)
{
	uint64_t at = (uintptr_t)address, whole = run_page_up(size), end = at + whole, from, until;
	struct run_call c;
	long r = 0, r2;

	run_enter(&c);
	if (at % RUN_PAGE != 0 || whole < size || end < at ||
	    !run_managed_part(at, end, &from, &until))
		return (int)run_leave(&c, advise_ordinary(at, at + size, advice));
	for (; at < end; at = until) {
		if (!run_managed_part(at, end, &from, &until))
			from = until = end;
		/* The kernel goes on behind a hole, and says so at the end. */
		r2 = from > at ? advise_ordinary(at, from, advice) : 0;
		r = r == 0 ? r2 : r;
		r2 = r2 == 0 || r2 == -ENOMEM ? 0 : r2;
		if (r2 == 0 && until > from)
			r2 = advise_managed(from, until, advice);
		r = r == 0 ? r2 : r;
		if (r2 < 0)
			break;
	}
	return (int)run_leave(&c, r);
}

/* Wires what is managed of the range and not wired yet, or unwires it again. => 0 or -errno: a part
 * may be wired */
static int
wire_parts(uint64_t start, uint64_t end)
{
	uint64_t from, until;

	for (uint64_t at = start; run_managed_part(at, end, &from, &until); at = until) {
		const struct range *locked = range_set_above(&run.locked, from);
		struct pager_req_wire request = { .address = from };
		struct pager_rep_wire reply;
		struct chan_call call = { CHAN_CALL(WIRE, &request, &reply) };
		int r = pager_check(run.pager);

		if (locked && locked->start <= from) {
			until = locked->end < until ? locked->end : until;
			continue;
		}
		if (locked && locked->start < until)
			until = locked->start;
		request.size = until - from;
		if (r == 0)
			r = chan_exchange(&run.pager->chan, &call);
		if (r < 0)
			return r == -ENOMEM ? -ENOMEM : -EAGAIN;
		set_put(&run.locked, from, until);
	}
	return 0;
}

static void
unwire_parts(uint64_t start, uint64_t end)
{
	const struct range *locked;

	while ((locked = range_set_above(&run.locked, start)) != NULL && locked->start < end) {
		uint64_t from = locked->start > start ? locked->start : start;
		uint64_t until = locked->end < end ? locked->end : end;

		(void)pager_unwire(run.pager, (void *)(uintptr_t)from, until - from);
		set_cut(&run.locked, from, until);
		start = until;
	}
}

static int
lock_range(const void *address, size_t size, long number, unsigned flags)
{
	uint64_t at = (uintptr_t)address & ~(uint64_t)(RUN_PAGE - 1);
	uint64_t end = run_page_up((uintptr_t)address + size);
	struct run_call c;
	long r;

	run_enter(&c);
	/* The kernel's account comes first: what it refuses it says why (RLIMIT_MEMLOCK). */
	r = raw_call(SYS_mlock2, (uintptr_t)address, size, MLOCK_ONFAULT | flags, 0, 0, 0);
	if (r == 0 && end > at)
		r = wire_parts(at, end);
	if (r == 0)
		r = raw_call(number, (uintptr_t)address, size, flags, 0, 0, 0);
	if (r < 0 && end > at) {
		unwire_parts(at, end);
		raw_call(SYS_munlock, at, end - at, 0, 0, 0, 0);
	}
	return (int)run_leave(&c, r);
}

int
run_mlock(const void *address, size_t size)
{
	return lock_range(address, size, SYS_mlock, 0);
}

int
run_mlock2(const void *address, size_t size, unsigned flags)
{
	return lock_range(address, size, SYS_mlock2, flags);
}

int
run_munlock(const void *address, size_t size)
{
	uint64_t at = (uintptr_t)address & ~(uint64_t)(RUN_PAGE - 1);
	uint64_t end = run_page_up((uintptr_t)address + size);
	struct run_call c;
	long r;

	run_enter(&c);
	r = raw_call(SYS_munlock, (uintptr_t)address, size, 0, 0, 0, 0);
	if (r == 0 && end > at)
		unwire_parts(at, end);
	return (int)run_leave(&c, r);
}

int
run_mlockall(int flags)
{
	struct run_call c;
	long r = 0;

	run_enter(&c);
	r = raw_call(SYS_mlockall, (uint64_t)flags | MCL_ONFAULT, 0, 0, 0, 0, 0);
	if (r == 0 && (flags & MCL_CURRENT))
		r = wire_parts(0, UINT64_MAX);
	if (r == 0)
		r = raw_call(SYS_mlockall, (uint64_t)flags, 0, 0, 0, 0, 0);
	else if (flags & MCL_CURRENT)
		unwire_parts(0, UINT64_MAX);
	if (r == 0)
		run.all_locked = (flags & MCL_FUTURE) != 0;
	return (int)run_leave(&c, r);
}

int
run_munlockall(void)
{
	struct run_call c;
	long r;

	run_enter(&c);
	r = raw_call(SYS_munlockall, 0, 0, 0, 0, 0, 0);
	if (r == 0) {
		run.all_locked = false;
		unwire_parts(0, UINT64_MAX);
	}
	return (int)run_leave(&c, r);
}
