/* SPDX-License-Identifier: MIT */
#include "pmap/standing.h"

#include "clock.h"
#include "lock.h"

#define ROOM 64u
/* A noted fault that has not come again by then is forgotten: its thread may have ended. */
#define LIFE_NS 10000000000ull

struct entry {
	struct standing fault;
	uint64_t since_ns; /* 0: the place is free */
};

atomic_uint standing_count; /* written under the lock */
static struct lock lock;    /* covers all below */
static struct entry entries[ROOM];

void
standing_init(void)
{
	lock_init(&lock, RANK_STANDING);
}

/* => the entry of the fault's thread, or the free or oldest one; lock held */
static struct entry *
entry_for_locked(const struct standing *fault)
{
	struct entry *oldest = &entries[0];

	lock_assert_held(&lock);
	for (unsigned i = 0; i < ROOM; i++) {
		const struct standing *other = &entries[i].fault;

		if (entries[i].since_ns > 0 && other->uffd == fault->uffd &&
		    other->thread == fault->thread)
			return &entries[i];
		if (entries[i].since_ns < oldest->since_ns)
			oldest = &entries[i];
	}
	return oldest;
}

static void
entry_free_locked(struct entry *e)
{
	lock_assert_held(&lock);
	if (e->since_ns > 0)
		store_release(&standing_count, load_relaxed(&standing_count) - 1);
	e->since_ns = 0;
}

static bool
is_of(const struct entry *e, const struct standing *fault)
{
	return e->since_ns > 0 && e->fault.uffd == fault->uffd &&
	       e->fault.thread == fault->thread && e->fault.page == fault->page;
}

bool
standing_look(const struct standing *fault)
{
	struct entry *e;
	bool stands;

	lock_acquire(&lock);
	e = entry_for_locked(fault);
	stands = is_of(e, fault);
	if (!stands) {
		entry_free_locked(e);
		*e = (struct entry){ *fault, clock_now_ns() };
		store_release(&standing_count, load_relaxed(&standing_count) + 1);
	}
	lock_release(&lock);
	return stands;
}

bool
standing_end(const struct standing *fault, void (*f)(const void *argument), const void *argument)
{
	struct entry *e;
	bool stands;

	locks_assert_none();
	lock_acquire(&lock);
	e = entry_for_locked(fault);
	stands = is_of(e, fault);
	if (stands && f)
		f(argument);
	if (stands)
		entry_free_locked(e);
	lock_release(&lock);
	return stands;
}

void
standing_woken_slow(int uffd, uint64_t address, uint64_t bytes)
{
	uint64_t now = clock_now_ns();

	lock_acquire(&lock);
	for (unsigned i = 0; i < ROOM; i++) {
		struct entry *e = &entries[i];

		if (e->since_ns > 0 && (now - e->since_ns > LIFE_NS ||
					   (e->fault.uffd == uffd && e->fault.page >= address &&
					       e->fault.page - address < bytes)))
			entry_free_locked(e);
	}
	lock_release(&lock);
}
