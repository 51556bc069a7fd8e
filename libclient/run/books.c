/* SPDX-License-Identifier: MIT */
#include "run.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

struct run run = { .lock = PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP };

/* Nothing of what the books say is this process's. */
static void
run_renounce(void)
{
	run.state = RUN_OFF;
	run.pager = NULL;
	run.small.count = run.reserved.count = run.locked.count = 0;
	run.untouched.count = run.unforked.count = run.wiped.count = 0;
	for (int i = 0; i < RUN_PROTECTIONS; i++)
		run.protected[i].count = 0;
}

void
run_enter(struct run_call *c)
{
	const uint64_t all = UINT64_MAX;

	c->error = errno;
	raw_call(SYS_rt_sigprocmask, SIG_SETMASK, (uint64_t)(uintptr_t)&all,
	    (uint64_t)(uintptr_t)&c->signals, sizeof(all), 0, 0);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &c->cancel_state);
	pthread_mutex_lock(&run.lock);
	/* A child of a clone(2) that libc does not know as a fork. */
	if (run.pager && process_is_copy())
		run_renounce();
}

long
run_leave(const struct run_call *c, long result)
{
	pthread_mutex_unlock(&run.lock);
	pthread_setcancelstate(c->cancel_state, NULL);
	raw_call(SYS_rt_sigprocmask, SIG_SETMASK, (uint64_t)(uintptr_t)&c->signals, 0,
	    sizeof(c->signals), 0, 0);
	errno = raw_failed(result) ? (int)-result : c->error;
	return raw_failed(result) ? -1 : result;
}

void
set_cut(struct range_set *set, uint64_t start, uint64_t end)
{
	const struct range *r;

	while ((r = range_set_above(set, start)) != NULL && r->start < end) {
		uint64_t from = r->start > start ? r->start : start;
		uint64_t until = r->end < end ? r->end : end;

		/* Without room for two halves all of it goes: the books may know less than there
		 * is, never more. */
		if (range_set_reserve(set, 1) < 0) {
			from = r->start;
			until = r->end;
		}
		range_set_remove(set, from, until);
		start = until;
	}
}

void
set_put(struct range_set *set, uint64_t start, uint64_t end)
{
	set_cut(set, start, end);
	if (range_set_reserve(set, 1) == 0)
		range_set_add(set, start, end);
}

bool
run_managed_part(uint64_t start, uint64_t end, uint64_t *ret_start, uint64_t *ret_end)
{
	return run.pager && start < end &&
	       space_managed_part(run.pager, start, end, ret_start, ret_end);
}

/* Outside of its group a program runs as well. */
static void
group_join(void)
{
	struct pager_req_group_join request = { run.group, run.key };
	struct pager_rep_group_join reply;
	struct chan_call call = { CHAN_CALL(GROUP_JOIN, &request, &reply) };

	if (run.group)
		(void)chan_exchange(&run.pager->chan, &call);
}

/* A worker that dies meanwhile hangs up; another one takes over, but not what was not attached yet.
 * => 0 or -errno */
static int
connect_to_worker(void)
{
	int r = -ENOTCONN;

	for (unsigned i = 0; i < 3 && r == -ENOTCONN; i++)
		r = light_connect(run.socket, run.name[0] ? run.name : NULL, &run.pager);
	return r;
}

/* The first that is to be managed connects: most programs have none. */
static bool
run_is_connected(void)
{
	if (run.state == RUN_WAITING) {
		run.state = RUN_OFF;
		if (connect_to_worker() == 0 && run.pager->page_size == RUN_PAGE)
			run.state = RUN_CONNECTED;
		if (run.state == RUN_CONNECTED)
			group_join();
	}
	return run.state == RUN_CONNECTED && pager_check(run.pager) == 0;
}

bool
run_manage(uint64_t start, uint64_t end, int protection)
{
	enum pager_run_reason reason = PAGER_RUN_REASONS;

	if (run.all_locked)
		reason = PAGER_RUN_LOCKED;
	else if (!run_is_connected())
		reason = PAGER_RUN_OFF;
	else if (region_adopt(run.pager, start, end - start, protection) < 0)
		reason = PAGER_RUN_REFUSED;
	if (reason != PAGER_RUN_REASONS) {
		run_count(reason, 1, end - start);
		return false;
	}
	if (protection != RUN_READ_WRITE)
		set_put(&run.protected[protection], start, end);
	return true;
}

int
run_forget_prepare(uint64_t start, uint64_t end)
{
	uint64_t from, until;

	return run_managed_part(start, end, &from, &until) ? region_abandon_prepare(run.pager) : 0;
}

void
run_forget(uint64_t start, uint64_t end)
{
	uint64_t from, until, at = start;

	while (run_managed_part(at, end, &from, &until)) {
		/* A forked child's first call puts its connection in order. */
		if (pager_check(run.pager) < 0 || region_abandon_prepare(run.pager) < 0)
			break;
		region_abandon(run.pager, from, until - from);
		at = until;
	}
	set_cut(&run.small, start, end);
	set_cut(&run.reserved, start, end);
	set_cut(&run.untouched, start, end);
	set_cut(&run.locked, start, end);
	set_cut(&run.unforked, start, end);
	set_cut(&run.wiped, start, end);
	for (int i = 0; i < RUN_PROTECTIONS; i++)
		set_cut(&run.protected[i], start, end);
}

/* Where the set has the range, or has not, from `start` on. */
static bool
set_part(const struct range_set *set, uint64_t start, uint64_t *end)
{
	const struct range *r = range_set_above(set, start);
	bool is = r && r->start <= start;

	if (r && (is ? r->end : r->start) < *end)
		*end = is ? r->end : r->start;
	return is;
}

int
run_inherit(uint64_t start, uint64_t end)
{
	uint64_t until;
	int r = 0;

	for (uint64_t at = start; r == 0 && at < end; at = until) {
		bool is_kept;

		until = end;
		is_kept = set_part(&run.unforked, at, &until);
		is_kept |= set_part(&run.wiped, at, &until);
		r = pager_inherit(run.pager, (void *)(uintptr_t)at, until - at,
		    is_kept ? PAGER_INHERIT_NONE : PAGER_INHERIT_COPY);
	}
	return r;
}

int
run_protection(uint64_t start, uint64_t *end)
{
	int protection = RUN_READ_WRITE;

	for (int i = 0; i < RUN_PROTECTIONS; i++)
		if (set_part(&run.protected[i], start, end))
			protection = i;
	return protection;
}

/* Zeroes of the child's own, where its parent's memory is not inherited. They stay ordinary memory,
 * of which its children get zeroes again. */
static void
part_wipe(uint64_t start, uint64_t end)
{
	uint64_t until;

	for (uint64_t at = start; at < end; at = until) {
		int protection;

		until = end;
		if (set_part(&run.unforked, at, &until))
			continue;
		protection = run_protection(at, &until);
		if (raw_failed(raw_mmap(at, until - at, protection,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0)))
			continue;
		raw_madvise(at, until - at, MADV_WIPEONFORK);
		run_count(PAGER_RUN_WIPED, 1, until - at);
	}
}

/* In a child: what it has not inherited is not managed, and the books say so. */
static void
parts_not_inherited(void)
{
	for (size_t k = 0; k < run.wiped.count; k++)
		part_wipe(run.wiped.ranges[k].start, run.wiped.ranges[k].end);
	for (size_t k = 0; k < run.wiped.count; k++)
		set_cut(&run.untouched, run.wiped.ranges[k].start, run.wiped.ranges[k].end);
	for (size_t k = 0; k < run.unforked.count; k++) {
		set_cut(&run.reserved, run.unforked.ranges[k].start, run.unforked.ranges[k].end);
		set_cut(&run.untouched, run.unforked.ranges[k].start, run.unforked.ranges[k].end);
	}
	for (int i = 0; i < RUN_PROTECTIONS; i++) {
		for (size_t k = 0; k < run.wiped.count; k++)
			set_cut(
			    &run.protected[i], run.wiped.ranges[k].start, run.wiped.ranges[k].end);
		for (size_t k = 0; k < run.unforked.count; k++)
			set_cut(&run.protected[i], run.unforked.ranges[k].start,
			    run.unforked.ranges[k].end);
	}
	run.wiped.count = run.unforked.count = 0;
}

int
run_zero(uint64_t start, uint64_t end)
{
	return pager_behavior(
	    run.pager, (void *)(uintptr_t)start, end - start, PAGER_BEHAVIOR_FREE);
}

static void
fork_before(void)
{
	pthread_mutex_lock(&run.lock);
}

static void
fork_parent(void)
{
	pthread_mutex_unlock(&run.lock);
}

/* Another thread than the child's may have had the lock in the parent, but for fork_before. */
static void
fork_child(void)
{
	run.lock = (pthread_mutex_t)PTHREAD_ERRORCHECK_MUTEX_INITIALIZER_NP;
	if (!run.pager)
		return;
	if (atomic_load_explicit(&run.pager->forked, memory_order_relaxed)) {
		run_renounce();
		return;
	}
	run.locked.count = 0; /* as mlock(2) has it */
	run.all_locked = false;
	parts_not_inherited();
	for (int i = 0; i < RUN_PROTECTIONS; i++)
		for (size_t k = 0; k < run.protected[i].count; k++)
			raw_mprotect(run.protected[i].ranges[k].start,
			    run.protected[i].ranges[k].end - run.protected[i].ranges[k].start, i);
}

const struct fork_surrounding run_fork = { fork_before, fork_parent, fork_child };
