/* SPDX-License-Identifier: MIT
 *
 * Processes: client processes. All tasks of a process share its limit and its band. A process is
 * there as long as it has a task, and, if it has a limit or a band, as long as its process lives,
 * so that these hold for the tasks to come as well.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "atomics.h"
#include "check.h"
#include "lock.h"

struct daemon;

/* XNU's two limits: a process that is idle may have another one. */
enum process_activity { PROCESS_ACTIVE, PROCESS_INACTIVE };
/* On its footprint, or on its resident pages. (A), written by the control loop */
struct process_limit {
	atomic_ullong pages;  /* 0: none */
	atomic_bool is_fatal; /* who wants more is ended; else who has more is ended first when
				 memory is short */
};

enum freeze_state {
#define FREEZE_STATE(number, NAME, name, text) FREEZE_##NAME = number,
#include "tbl/freeze_state.h"
	FREEZE_STATE_COUNT
};
/* memorystatus/freeze.h */
struct process_freeze {
	atomic_uint state;      /* (A) enum freeze_state */
	atomic_bool is_chosen;  /* (A) nobody has asked for it: the policy has */
	atomic_ullong since_ns; /* (A) when it was frozen last; here and below: written by the
				   control loop */
	atomic_uint times;      /* (A) that it was frozen */
	atomic_uint thaws;      /* (A) times that it was thawed by a touch; written by any thread */
	/* (A) Of the last time, pages: */
	atomic_ullong out;      /* left memory */
	atomic_ullong gathered; /* had left before, and were put beside these */
	atomic_ullong shared;   /* stayed, because others have them too */
	atomic_ullong held;     /* stayed, because they were wired, in page lists or in use */
	/* The memorystatus thread's: */
	uint64_t faults_seen;    /* of its tasks, when it last looked */
	uint64_t quiet_since_ns; /* there were no others since; 0: it has not looked */
};

struct process {
	struct process *next;   /* under the lock of struct processes */
	atomic_uint references; /* likewise to write, (A) to look at: tasks */
	/* Of a forked child these change once, when it is known; pidfd last, so whoever has seen a
	 * descriptor there sees the others, too. */
	atomic_int pid;            /* (A) as the daemon sees it; 0: in another pid namespace */
	atomic_int pidfd;          /* (A) its own, until the record ends; -1: none */
	uint64_t identity;         /* under the lock of struct processes: of the process, never used
				      again; 0: the kernel gives none */
	atomic_ullong limit_pages; /* (A) hard limit on resident pages; 0: none */
	atomic_llong resident;     /* (Q) to write, (A) to look at: pages of all its tasks */
	atomic_llong wired; /* (Q) to write, (A) to look at: of these, pages that are wired */
	atomic_ullong wired_promised; /* (A) pages that its tasks may have wired */
	atomic_uint limit_parked;     /* (A) faults that wait for its own pages to leave */
	struct process_limit footprint_limits[2]; /* by enum process_activity, here and below */
	struct process_limit resident_limits[2];
	atomic_ullong resident_most; /* (A) of these the one that holds now, if it is fatal, pages:
					it holds as limit_pages does, and if the process's own pages
					cannot leave it is ended; 0: none; written as footprint_most
				      */
	atomic_ullong stuck_ns; /* (A) since when none of its own pages could leave while faults
				   wait for that; 0: they can; written by workers */
	atomic_ullong footprint_most; /* (A) the one that holds now, if it is fatal, pages; 0: none;
					 written by the memorystatus thread and the
					 control loop */
	atomic_uint limit_told; /* (A) percent of its limit of which its clients were told last */
	atomic_bool is_over_fatal; /* (A) it wants more than its fatal limit: it is to be ended; set
				      by any thread */
	atomic_ullong over_pages;  /* (A) of that: the limit, pages */
	atomic_llong footprint; /* (Q) to write, (A) to look at: pages of phys_footprint of all its
				   tasks */
	atomic_int band;        /* (A) of jetsam, PROCESS_BAND_NONE: it was given none; here and
				   below: written by the control loop */
	atomic_ullong band_since_ns; /* (A) when it was given that */
	atomic_ullong band_moved;    /* (A) number of that move, over all processes */
	struct process_freeze freeze;
	atomic_ullong dying_ns; /* (A) when it was sent SIGKILL, or was first seen to have ended; 0:
				   it lives; written by the memorystatus thread */
	unsigned kept; /* (C) once it is there: number of its row (vm/kept_process.h), plus one; 0:
			  none. The control loop's, until the process ends */
	bool is_held;  /* since that it has not ended, and its sessions were ended; the memorystatus
			  thread's, or nobody's: it has no task */
};

#define PROCESS_BAND_NONE (-1)

struct processes {
	struct lock lock; /* covers the list; leaf */
	struct process *list;
	uint64_t moves; /* of processes between bands so far */
};

void processes_create(struct daemon *d);
void processes_destroy(struct daemon *d);
/* The process of a process, with a reference. pidfd: of it, -1: not known; stays the caller's. =>
 * NULL: no memory */
struct process *process_get(struct daemon *d, pid_t pid, int pidfd);
/* One that was made before its process was known. pidfd stays the caller's */
void process_born(struct daemon *d, struct process *process, pid_t pid, int pidfd);
void process_put(struct daemon *d, struct process *process);
/* One that has no task now, but limits or a band, with a reference that process_put takes. => NULL:
 * none is remembered */
struct process *process_idle_get(struct daemon *d, pid_t pid);
/* Its limits and its band will be known to the worker that comes after this one: first that there
 * is room for it, then what they are now. Without a keeper nothing is done. => 0 or -ENFILE. Runs
 * on: the control loop, no lock held */
int process_keep(struct daemon *d, struct process *process);
void process_kept(struct daemon *d, struct process *process);
/* The same of a child that has become known, if it has inherited any. */
void process_keep_inherited(struct daemon *d, struct process *process);
/* Processes that a worker before this one has left have limits and bands as they had. => 0 or
 * -ENOMEM. Runs on: the main thread, before there are others */
int processes_take_over(struct daemon *d);
/* A forked child begins with its parent's limits and band, as with limits of the system's: who is
 * limited, or may be ended, is not rid of that by forking. */
void process_inherit(struct daemon *d, struct process *child, struct process *parent);
/* Gives the process a band; PROCESS_BAND_NONE: none. => the one before */
int process_band_set(struct daemon *d, struct process *process, int band);
/* One in that state of freezing that has a task, with a reference that process_put takes. => NULL:
 * there is none */
struct process *process_freezing(struct daemon *d, enum freeze_state state);
/* How many processes that have tasks are in that state. */
unsigned process_freezing_count(struct daemon *d, enum freeze_state state);
/* Up to `room` processes that have tasks, with references that process_put takes. => how many */
uint32_t processes_take(struct daemon *d, struct process **ret, uint32_t room);
/* Whether the process has ended that the descriptor is of. */
bool pidfd_has_ended(int pidfd);
/* Whether the process has ended. */
bool process_has_ended(const struct process *process);
/* Its descriptor, from any thread that has a reference. => -1: it is not known yet, or has none */
static inline int
process_pidfd(const struct process *process)
{
	return load_acquire(&((struct process *)(uintptr_t)process)->pidfd);
}
/* As the daemon sees it, likewise. */
static inline pid_t
process_pid(const struct process *process)
{
	return load_relaxed(&((struct process *)(uintptr_t)process)->pid);
}
/* Those without a task whose process has ended go. => whether there are some without a task whose
 * process lives. Runs on: the control loop, now and then */
bool processes_sweep(struct daemon *d);
/* Pages that count for its limit. What others have wired of its objects does not: it could do
 * nothing to make these leave. */
static inline uint64_t
process_counted(const struct process *process)
{
	struct process *t = (struct process *)(uintptr_t)process;
	long long resident = load_relaxed(&t->resident);
	long long others = load_relaxed(&t->wired) - (long long)load_relaxed(&t->wired_promised);

	INVARIANT(resident >= 0);
	if (others > 0)
		resident = others < resident ? resident - others : 0;
	return (uint64_t)resident;
}
/* The least of the limits on resident pages that are held by making the process's own pages leave.
 * => pages, 0: none */
static inline uint64_t
process_held_to(const struct process *process)
{
	struct process *t = (struct process *)(uintptr_t)process;
	uint64_t limit = load_relaxed(&t->limit_pages), most = load_relaxed(&t->resident_most);

	return likely(most == 0) || (limit != 0 && limit < most) ? limit : most;
}
/* Whether `more` pages would be too many. */
static inline bool
process_over_limit(const struct process *process, uint64_t more)
{
	uint64_t limit = process_held_to(process);

	return limit && process_counted(process) + more > limit;
}
/* It is to be ended because it wants more than that many pages. Any lock may be held. */
static inline void
process_over_fatal(struct process *process, uint64_t most)
{
	if (load_relaxed(&process->is_over_fatal))
		return;
	store_relaxed(&process->over_pages, most);
	store_release(&process->is_over_fatal, true);
}
/* Whether `more` pages of footprint would be more than its fatal limit. */
static inline bool
process_over_footprint(const struct process *process, uint64_t more)
{
	struct process *t = (struct process *)(uintptr_t)process;
	uint64_t most = load_relaxed(&t->footprint_most);

	return unlikely(most != 0) && (uint64_t)load_relaxed(&t->footprint) + more > most;
}
/* Likewise, of what it has touched: it will be ended then. Any lock may be held. */
static inline bool
process_wants_too_much(struct process *process, uint64_t more)
{
	if (likely(!process_over_footprint(process, more)))
		return false;
	process_over_fatal(process, load_relaxed(&process->footprint_most));
	return true;
}
/* None of its own pages could leave although faults wait for that; or some could. After STUCK_NS of
 * it a process with a fatal limit on resident pages is to be ended. => whether it is, from now on
 */
bool process_stuck(struct process *process, bool is_stuck, uint64_t now_ns);
/* => pages of footprint that it may still take, at least 1 where it has a fatal limit */
uint32_t process_footprint_room(struct process *process);
/* => pages that it may still take; UINT32_MAX: without a limit, or more */
uint32_t process_room(const struct process *process);

#endif
