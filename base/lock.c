/* SPDX-License-Identifier: MIT
 *
 * Ranked mutexes. Runs on: any thread.
 */
#include "lock.h"

#include <errno.h>
#include <sched.h>
#include <time.h>

#include "check.h"

/* 10 to 15 us in all, about as long as going to sleep and being woken takes. */
#define SPIN_TRIES  48u
#define SPIN_PAUSES 8u

static const char *const rank_names[] = {
#define RANK(name, text) #name,
#include "tbl/lock_rank.h"
};

const char *
lock_rank_name(enum lock_rank rank)
{
	return rank < RANK_COUNT ? rank_names[rank] : "?";
}

#if DEBUG_LEVEL >= 1
#define HELD_MAX 16
static __thread const struct lock *held[HELD_MAX];
static __thread unsigned held_count;

static void
held_push(const struct lock *l, bool ordered)
{
	CHECK(held_count < HELD_MAX);
	if (ordered && held_count > 0 && held[held_count - 1]->rank >= l->rank)
		panic("lock order: %s taken while %s is held", lock_rank_name(l->rank),
		    lock_rank_name(held[held_count - 1]->rank));
	held[held_count++] = l;
}

static void
held_pop(const struct lock *l)
{
	for (unsigned i = held_count; i-- > 0;) {
		if (held[i] != l)
			continue;
		for (; i + 1 < held_count; i++)
			held[i] = held[i + 1];
		held_count--;
		return;
	}
	panic("lock %s released by a thread that does not hold it", lock_rank_name(l->rank));
}
#else
#define held_push(l, ordered) ((void)(l))
#define held_pop(l)           ((void)(l))
#endif

void
lock_init(struct lock *l, enum lock_rank rank)
{
	CHECK(pthread_mutex_init(&l->mutex, NULL) == 0);
	store_relaxed(&l->cpu, -1);
	l->rank = rank;
}

void
lock_fini(struct lock *l)
{
	CHECK(pthread_mutex_destroy(&l->mutex) == 0);
}

static __thread int own_cpu = -1; /* -1: it roams */

void
lock_on_cpu(int cpu)
{
	own_cpu = cpu;
}

static int
this_cpu(void)
{
	return own_cpu >= 0 ? own_cpu : sched_getcpu();
}

/* Critical sections are short, and sleeping takes longer than most of them: a fault that met a
 * worker's section of 8 us waited 30 us, because its processor was halted and woken. But there is
 * no spinning for a holder that took the lock on this CPU: it cannot run while this thread does. */
static bool
spin(struct lock *l)
{
	int cpu = this_cpu();

	for (unsigned i = 0; i < SPIN_TRIES && load_relaxed(&l->cpu) != cpu; i++) {
		for (unsigned j = 0; j < SPIN_PAUSES; j++)
			cpu_relax();
		if (pthread_mutex_trylock(&l->mutex) == 0)
			return true;
	}
	return false;
}

static void
note_cpu(struct lock *l)
{
	store_relaxed(&l->cpu, this_cpu());
}

void
lock_acquire(struct lock *l)
{
	held_push(l, true);
	if (unlikely(pthread_mutex_trylock(&l->mutex) != 0) && !spin(l))
		CHECK(pthread_mutex_lock(&l->mutex) == 0);
	note_cpu(l);
}

bool
lock_acquire_try(struct lock *l)
{
	int error = pthread_mutex_trylock(&l->mutex);

	if (error == EBUSY)
		return false;
	CHECK(error == 0);
	held_push(l, false);
	note_cpu(l);
	return true;
}

void
lock_release(struct lock *l)
{
	held_pop(l);
	CHECK(pthread_mutex_unlock(&l->mutex) == 0);
}

#if DEBUG_LEVEL >= 1
void
lock_assert_held(const struct lock *l)
{
	for (unsigned i = 0; i < held_count; i++)
		if (held[i] == l)
			return;
	panic("lock %s is not held", lock_rank_name(l->rank));
}

void
locks_assert_none(void)
{
	CHECKF(held_count == 0, "%s is held across a blocking call",
	    lock_rank_name(held[held_count - 1]->rank));
}
#endif

void
cond_init(struct cond *c)
{
	pthread_condattr_t attr;

	CHECK(pthread_condattr_init(&attr) == 0);
	CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	CHECK(pthread_cond_init(&c->cond, &attr) == 0);
	pthread_condattr_destroy(&attr);
}

void
cond_fini(struct cond *c)
{
	CHECK(pthread_cond_destroy(&c->cond) == 0);
}

void
cond_wait(struct cond *c, struct lock *l)
{
	held_pop(l);
	CHECK(pthread_cond_wait(&c->cond, &l->mutex) == 0);
	held_push(l, false);
	note_cpu(l);
}

bool
cond_wait_for(struct cond *c, struct lock *l, uint64_t timeout_ns)
{
	struct timespec until;
	int error;

	clock_gettime(CLOCK_MONOTONIC, &until);
	uint64_t ns = (uint64_t)until.tv_nsec + timeout_ns;
	until.tv_sec += (time_t)(ns / 1000000000u);
	until.tv_nsec = (long)(ns % 1000000000u);
	held_pop(l);
	error = pthread_cond_timedwait(&c->cond, &l->mutex, &until);
	held_push(l, false);
	note_cpu(l);
	CHECK(error == 0 || error == ETIMEDOUT);
	return error == 0;
}

void
cond_signal(struct cond *c)
{
	pthread_cond_signal(&c->cond);
}

void
cond_broadcast(struct cond *c)
{
	pthread_cond_broadcast(&c->cond);
}
