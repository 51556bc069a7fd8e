/* SPDX-License-Identifier: MIT
 *
 * Mutexes that know their rank (include/tbl/lock_rank.h). With debug_level >= 1 each thread keeps
 * the list of ranks it holds and panics on a lock taken against the order. A thread waits on a
 * condition under a lock, and its waker is named (doc/locking.md).
 */
#ifndef BASE_LOCK_H
#define BASE_LOCK_H

#include <pthread.h>
#include <stdbool.h>

#include "atomics.h"
#include "base.h"

enum lock_rank {
#define RANK(name, text) RANK_##name,
#include "tbl/lock_rank.h"
	RANK_COUNT
};

struct lock {
	pthread_mutex_t mutex;
	enum lock_rank rank;
	atomic_int
	    cpu; /* on which the lock was taken last: a hint for a thread that finds it taken */
};

const char *lock_rank_name(enum lock_rank rank);

/* Says that the calling thread stays on `cpu`, so that taking a lock need not ask for the CPU each
 * time. */
void lock_on_cpu(int cpu);

void lock_init(struct lock *l, enum lock_rank rank);
void lock_fini(struct lock *l);
void lock_acquire(struct lock *l);
/* => returns whether the lock was taken; never waits, so it may go against the order. */
bool lock_acquire_try(struct lock *l) MUST_USE;
void lock_release(struct lock *l);
#if DEBUG_LEVEL >= 1
/* Panics unless this thread holds the lock. */
void lock_assert_held(const struct lock *l);
/* Panics when this thread holds any lock: called before I/O and userfaultfd
 * calls. */
void locks_assert_none(void);
#else
static inline void
lock_assert_held(const struct lock *l)
{
	(void)l;
}
static inline void
locks_assert_none(void)
{
}
#endif

struct cond {
	pthread_cond_t cond;
};

void cond_init(struct cond *c);
void cond_fini(struct cond *c);
/* => called with `l` held; drops and retakes it. */
void cond_wait(struct cond *c, struct lock *l);
/* As cond_wait, for at most `timeout_ns` nanoseconds. => returns false when the time ran out. */
bool cond_wait_for(struct cond *c, struct lock *l, uint64_t timeout_ns);
void cond_signal(struct cond *c);
void cond_broadcast(struct cond *c);

#endif
