/* SPDX-License-Identifier: MIT
 *
 * What a thread does about being watched (watch/watcher.h says what for). Before calls that a
 * client can make last it says whose memory they are on (watch_client) and is inside of them
 * between watch_enter and watch_leave. It knows clients as cookies. Its duty, that is all it has
 * not begun, can be given to another thread meanwhile.
 */
#ifndef WATCH_H
#define WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "atomics.h"
#include "base.h"
#include "check.h"
#include "core/pulse.h"

struct daemon;

/* Lanes: watch/lane.h. */
#define LANE_COMMON 0u
#define SIDE_LANES  2u

/* The watcher looks at all threads each time. */
#define WATCH_TICK_MS 25u

enum watch_call {
#define CALL(NAME, end_ms, text) WATCH_##NAME,
#include "tbl/watch_call.h"
	WATCH_CALL_COUNT
};

/* The word: calls begun so far, and these. */
#define WATCH_INSIDE   1u
#define WATCH_RELIEVED 2u
#define WATCH_ONE      4u

/* One a thread. Letters as in daemon.h; (W) the watcher alone. */
struct watch {
	atomic_uint word;
	atomic_ullong
	    client; /* (A) cookie of the task whose memory the next calls are on; 0: nobody's */
	atomic_uint call; /* (A) enum watch_call */
	atomic_int fd;    /* (A) the memfd of a WATCH_MEMFD */
	atomic_int tid;   /* (A) 0: has not begun */
	atomic_uint lane; /* (A) in which it works */
	bool relieved;    /* its own thread's: its duty is another's */
	/* Another thread takes over what this one has not begun. Calls watch_relieved when it is
	 * sure to have one. (W) */
	void (*relieve)(struct daemon *d, struct watch *w);
	int state_fd;         /* (W) its state in /proc; 0 or less: not open */
	unsigned seen, ticks; /* (W) the word last looked at, and for how many looks in a row */
	unsigned excused;     /* (W) of those: another thread of ours had the lock, most likely */
	struct pulse *pulse;  /* (C) the daemon's */
	struct watch *next;   /* (C) */
};

extern _Thread_local struct watch *watch_own;

/* The calling thread is watched from now on. A thread that takes up another duty may say it again.
 * => watch_add has been called for it */
void watch_begin(struct watch *w);
/* Before the watcher starts. */
void watch_add(
    struct daemon *d, struct watch *w, void (*relieve)(struct daemon *d, struct watch *w));
/* The watcher's side of relieving. => false: the thread has come back by itself, nothing has
 * changed; (W) */
bool watch_relieved(struct watch *w);
/* Whether a thread is inside of a call. Any thread */
bool watch_any_inside(const struct daemon *d);
/* A thread takes up a new duty. Its own thread. */
void watch_on_duty(struct watch *w, unsigned lane);

/* Names the client on whose memory the next calls are. => the one before, which a function sets
 * again after it has worked for another client. */
static inline uint64_t
watch_client(uint64_t cookie)
{
	struct watch *w = watch_own;
	uint64_t before;

	if (unlikely(!w))
		return 0;
	before = load_relaxed(&w->client);
	store_relaxed(&w->client, cookie);
	return before;
}

static inline void
watch_enter(enum watch_call call, int fd)
{
	struct watch *w = watch_own;

	CHECK(call < WATCH_CALL_COUNT);
	if (unlikely(!w))
		return;
	INVARIANT(!(load_relaxed(&w->word) & WATCH_INSIDE));
	store_relaxed(&w->call, call);
	store_relaxed(&w->fd, fd);
	/* A relieved thread stays relieved until it has ended its work. */
	store_release(&w->word, (load_relaxed(&w->word) & ~(WATCH_ONE - 1)) + WATCH_ONE +
				    WATCH_INSIDE + (unlikely(w->relieved) ? WATCH_RELIEVED : 0));
	/* The watcher looks again, if it has stopped. */
	pulse_beat(w->pulse);
}

/* Keeps errno. */
static inline void
watch_leave(void)
{
	struct watch *w = watch_own;

	if (unlikely(!w))
		return;
	INVARIANT(load_relaxed(&w->word) & WATCH_INSIDE);
	if (unlikely(exchange_acq_rel(&w->word, load_relaxed(&w->word) & ~(WATCH_ONE - 1)) &
		     WATCH_RELIEVED))
		w->relieved = true;
}

/* Whether the calling thread's duty is another's by now: it takes nothing up any more. Changes in
 * watch_leave only. */
static inline bool
watch_is_relieved(void)
{
	return unlikely(watch_own && watch_own->relieved);
}

/* The lane that the calling thread works in. */
static inline unsigned
watch_lane(void)
{
	return watch_own ? load_relaxed(&watch_own->lane) : 0;
}

/* The duty of a thread. Of each kind of thread some are at work, and the others stand by to relieve
 * them. */
struct duty {
	int number;  /* under daemon.duty_lock; DUTY_NONE: stands by */
	bool is_new; /* under daemon.duty_lock: given, not taken up yet */
};
#define DUTY_NONE (-1)
/* Waits until the thread has a duty. => its number, or DUTY_NONE: the daemon ends. Its own thread,
 * no lock held */
int duty_wait(struct daemon *d, struct duty *duty);
/* => duty_lock held */
void duty_give_locked(struct daemon *d, struct duty *duty, int number);
/* The thread has been relieved and has ended what it was at. */
void duty_end(struct daemon *d, struct duty *duty);
/* All threads that stand by end; from here on no thread is relieved. */
void duties_stop(struct daemon *d);

#endif
