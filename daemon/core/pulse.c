/* SPDX-License-Identifier: MIT
 *
 * The pulse. Runs on: see each function.
 */
#include "core/pulse.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

void
pulse_create(struct pulse *p)
{
	*p = (struct pulse){ 0 };
	p->can_stop = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0;
}

void
pulse_join(struct pulse *p, void (*wake)(void *argument), void *argument)
{
	CHECK(p->timer_count < PULSE_TIMERS && wake != NULL);
	p->timers[p->timer_count].wake = wake;
	p->timers[p->timer_count].argument = argument;
	p->timer_count++;
}

void
pulse_hear(struct pulse *p, void (*rests)(void *argument), void *argument)
{
	CHECK(!p->rests && rests != NULL);
	p->rests = rests;
	p->rests_argument = argument;
}

void
pulse_rests(struct pulse *p)
{
	if (p->rests)
		p->rests(p->rests_argument);
}

/* From now on no timer begins to rest, and none rests. */
static void
go_on(struct pulse *p)
{
	atomic_store(&p->stopped, false);
	for (unsigned i = 0; i < p->timer_count; i++)
		p->timers[i].wake(p->timers[i].argument);
}

void
pulse_wake(struct pulse *p)
{
	if (!atomic_exchange(&p->trying, false))
		return;
	/* A timer that asks from now on looks once more. */
	fetch_add_acq_rel(&p->generation, 1);
	go_on(p);
}

bool
pulse_tick(struct pulse *p)
{
	if (!exchange_acq_rel(&p->beaten, false))
		return false;
	fetch_add_acq_rel(&p->generation, 1);
	return true;
}

bool
pulse_stop(struct pulse *p)
{
	/* A beat that was about to wake all before they were stopped has woken the loop now: they
	 * rest. If another one is about to end that, its waking is still to come. */
	if (load_acquire(&p->stopped))
		return true;
	if (!p->can_stop)
		return false;
	store_release(&p->trying, true);
	/* Where the kernel refuses (it may have no memory for that), the timers go on. */
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0 ||
	    load_acquire(&p->beaten)) {
		pulse_wake(p);
		return false;
	}
	/* A beat may have woken all before that, and a timer may rest since. Both sides are
	 * sequentially consistent: either this sees that the trial is over, or the one that ends it
	 * clears `stopped` after it was set here. */
	atomic_store(&p->stopped, true);
	if (atomic_load(&p->trying))
		return true;
	go_on(p);
	return false;
}
