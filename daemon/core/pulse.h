/* SPDX-License-Identifier: MIT
 *
 * Timers stop when nothing moves. Some threads look at things now and then (the control loop, the
 * watcher, the writer, the cleaner, memorystatus). All that they look for begins with an event that
 * reaches another thread: a fault, a request, the end of a read. Such a thread beats the pulse when
 * it has done its work, which costs two loads. The control loop's timer sees the beats; when there
 * was none for a while it tries to stop everything:
 *
 *   control loop: trying = true; membarrier(2); no beat since? stopped = true
 *   others:       what they do; beaten = true; trying? wake
 *   timers:       stopped, and nothing beaten since the last look began? wait without end
 *
 * The membarrier is the fence that a beat lacks: either the control loop sees the beat, or the beat
 * sees that it is tried. Each timer decides by itself whether something keeps it going, such as a
 * level of pressure or a client that is apart. What its last look has changed no beat tells of: the
 * control loop, which may rest by then, hears that a timer rests, and refreshes the gauges.
 */
#ifndef PULSE_H
#define PULSE_H

#include <stdbool.h>
#include <stdint.h>

#include "atomics.h"
#include "base.h"

#define PULSE_TIMERS 5u

struct pulse {
	atomic_bool beaten;     /* (A) since the control loop's last tick */
	atomic_bool trying;     /* (A) a beat must wake the timers */
	atomic_bool stopped;    /* (A) timers may wait without end */
	atomic_uint generation; /* (A) ticks before which there were beats; written by the control
				   loop, and by a thread that wakes the timers */
	bool can_stop;          /* (C) the kernel has what it takes */
	/* (C) of each timer; wakes it, takes a leaf lock at most. */
	struct {
		void (*wake)(void *argument);
		void *argument;
	} timers[PULSE_TIMERS];
	unsigned timer_count;          /* (C) */
	void (*rests)(void *argument); /* (C) a timer rests; never waits */
	void *rests_argument;
};

void pulse_create(struct pulse *p);
/* A timer that will be woken. Before the daemon serves. */
void pulse_join(struct pulse *p, void (*wake)(void *argument), void *argument);
/* Who hears that a timer rests. Before the daemon serves. */
void pulse_hear(struct pulse *p, void (*rests)(void *argument), void *argument);
/* A timer is about to wait without end. */
void pulse_rests(struct pulse *p);
/* Any thread that may take a leaf lock. */
void pulse_wake(struct pulse *p);
/* The calling thread has changed something that a timer may have to look at, or is about to enter a
 * call in which it may be held up. */
static inline void
pulse_beat(struct pulse *p)
{
	if (unlikely(!load_relaxed(&p->beaten)))
		store_relaxed(&p->beaten, true);
	/* In this order for the compiler; for the processor membarrier(2) sees to it. */
	atomic_signal_fence(memory_order_seq_cst);
	if (unlikely(load_relaxed(&p->trying)))
		pulse_wake(p);
}
/* The timers' side. A timer takes a number before it looks, and may wait without end after it if
 * the number still holds: then it has seen all that was beaten. Its lock, under which it is woken,
 * is held from this question until it waits. */
static inline unsigned
pulse_now(struct pulse *p)
{
	return load_acquire(&p->generation);
}
/* The number of a timer that has not looked yet. */
static inline unsigned
pulse_never(struct pulse *p)
{
	return pulse_now(p) - 1;
}
static inline bool
pulse_may_rest(struct pulse *p, unsigned number)
{
	return load_acquire(&p->stopped) && load_acquire(&p->generation) == number;
}
/* The control loop's side: one of its ticks. => whether there was a beat since the last one */
bool pulse_tick(struct pulse *p);
/* => true: stopped, until a beat; its own timer is woken like the others */
bool pulse_stop(struct pulse *p);

#endif
