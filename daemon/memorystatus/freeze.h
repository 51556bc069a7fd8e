/* SPDX-License-Identifier: MIT
 *
 * Freezing: all that a process has for itself goes to the compressor, in segments of its own, and
 * out to swap. Here is how far each process is with it; control/freezer.h does the work, piece by
 * piece.
 *
 *   NONE -> WANTED -> RUNS -> FROZEN -> NONE            (a touch: pages come back as they are
 * touched)
 *                                 \-> THAW_WANTED -> THAW_RUNS -> NONE   (asked for: they are
 * brought)
 *
 * A thaw that is asked for while pages are on their way out follows when they are. A frozen process
 * is not stopped, and counts as of the band `freezer` at least: ending it would give no memory.
 */
#ifndef FREEZE_H
#define FREEZE_H

#include <stdbool.h>
#include <stdint.h>

#include "lock.h"
#include "pager/proto.h"
#include "vm/books.h"
#include "vm/process.h"

struct daemon;

#define FREEZE_EVENTS_KEPT 64u

enum freeze_event {
	FREEZE_EVENT_NONE,
#define FREEZE_EVENT(number, NAME, name, text) FREEZE_EVENT_##NAME = number,
#include "tbl/freeze_event.h"
};

/* Letters on fields: daemon.h. */
struct freezes {
	struct lock lock;                                          /* covers the rest; leaf */
	struct pager_wire_freeze_event events[FREEZE_EVENTS_KEPT]; /* n at n % FREEZE_EVENTS_KEPT */
	uint64_t last;              /* number of the last one; 0: none */
	atomic_ullong touched;      /* (A) thaws by touches so far */
	atomic_ullong chosen_pages; /* (A) that were put apart without being asked for */
	/* The memorystatus thread's: when the day began, and chosen_pages then. */
	uint64_t day_ns, spent_before;
};

void freezes_create(struct daemon *d);
void freezes_destroy(struct daemon *d);

/* What became of a process's pages. */
struct freeze_tally {
	uint64_t out, gathered, shared, held; /* as in struct process_freeze */
};
/* The process is to be frozen. chosen: nobody has asked for it. => whether there is anything to do.
 * Any thread */
bool freeze_want(struct process *process, bool chosen);
/* It is to be thawed. => likewise. Runs on: the control loop, here and below */
bool freeze_thaw_want(struct process *process);
/* One that waits for its turn, which it has from now on, with a reference that process_put takes;
 * *ret_thaws: to be thawed. => NULL: there is none */
struct process *freeze_take(struct daemon *d, bool *ret_thaws);
/* Its turn is over. */
void freeze_taken_end(struct daemon *d, struct process *process, const struct freeze_tally *tally);

/* A fault of a task of the process has been answered. No lock held. Any thread */
void freeze_touch_slow(struct task *task);
static inline void
freeze_touch(struct task *task)
{
	struct process *process = task->bill.process;

	if (unlikely(load_relaxed(&process->freeze.state) == FREEZE_FROZEN))
		freeze_touch_slow(task);
}

/* The events after number `after` that are still kept, oldest first; for a tool that may see those
 * of uid, or (all) everybody's. => how many; *ret_last: number of the last one */
unsigned freeze_events_after(struct daemon *d, uint64_t after, bool all, uint32_t uid,
    struct pager_wire_freeze_event *ret, unsigned room, uint64_t *ret_last);

#endif
