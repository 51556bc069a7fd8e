/* SPDX-License-Identifier: MIT
 *
 * What rooms above vm/ note down about each task, a struct for each: nobody else looks inside, and
 * vm/ only makes room for it (and makes it all zeroes). Letters on fields: daemon.h.
 */
#ifndef TASK_NOTES_H
#define TASK_NOTES_H

#include <stdbool.h>
#include <stdint.h>

#include "atomics.h"

/* fault/affinity.c and fault/direct.c: which servers read the faults of a task. */
struct task_affinity {
	atomic_bool busy; /* (A) a try-lock: the thread that has set it changes the fields below
			     that name it */
	atomic_uint
	    faults_to_sample; /* (A) faults until the CPU of a faulting thread is looked at again */
	_Atomic uint64_t polling; /* (A) bit i: server i, or its direct server, reads this task;
				     changed under busy */
	atomic_bool is_direct;    /* (A) written under DIRECT: direct servers read it, the others do
				     not poll it */
	bool direct_refused;    /* under busy: it made its userfaultfd nonblocking, or it cannot be
				   read otherwise */
	uint8_t seen[64];       /* under busy: samples by server, older ones count less */
	unsigned samples;       /* under busy: in this period */
	unsigned interval;      /* under busy: faults from one sample to the next */
	uint64_t sampled_ns;    /* under busy: when the last sample was taken */
	uint64_t sampled_reads; /* under busy: pages read from disks until then */
	unsigned busy_samples;  /* under busy: samples in a row that found it fit for direct
				   servers */
};

/* fault/stream.c: a sequential run of faults by one thread; direct-mapped by thread id. */
#define STREAMS 16
struct stream {
	uint32_t thread;
	uint32_t run;     /* faults that continued it */
	uint64_t next_up; /* address that would continue it upwards */
	uint64_t next_down;
};

/* Faults that wait in one queue, first in, first out: places in the pool of
 * memorystatus/frame_wait.c; 0: none. */
struct park_list {
	uint32_t head, tail;
};

/* memorystatus/frame_wait.c: faults of a task that wait. Its links are in struct task. */
struct task_waits {
	struct park_list limited; /* (K) those that wait for pages of their own to leave */
	uint32_t count;           /* (K) all that are kept */
	bool is_overflowed;       /* (K) some found no place: all threads of the task are woken when
				     there is one again */
};

/* pageout/limit.c: a sweep through a task's own pages. */
struct task_reclaim {
	atomic_bool queued; /* (A) a worker has been asked to take its pages */
	/* (A) Where the sweep goes on. Two workers may sweep at a time, for one that is relieved
	 * ends its turn: they only look at some pages twice. */
	atomic_uint entry, page;
};

/* control/handle_release.c: a client that is let go of. */
struct task_release {
	atomic_uint state; /* (A) enum pager_wire_release_state: to ASKED, and from there to NONE,
			      on the control loop; the rest by the task's own jobs */
	atomic_bool is_begun; /* (A) nothing may be added to its memory; written by its jobs */
	/* (A) Of the last refusal, written before the state: struct pager_wire_release_refusal. */
	atomic_uint why;
	atomic_int error;
	atomic_ullong address, away, available;
};

/* memorystatus/memorystatus.c: notices of memory pressure. Numbers are pages of footprint. */
struct task_notices {
	atomic_uint levels;    /* (A) of which the client wants to be told: bit n: level n */
	atomic_uint told;      /* (A) the level that it knows; here and below but for `done` and
				  `after`: written by the memorystatus thread */
	atomic_ullong sent;    /* (A) number of the last notice; 0: none */
	atomic_ullong sent_ns; /* (A) when that was */
	atomic_ullong before;  /* (A) what it had then */
	atomic_ullong least;   /* (A) the least that it has been seen to have since */
	atomic_ullong done;  /* (A) number of the last notice about which it has done what it could;
				here and below: written by the control loop */
	atomic_ullong after; /* (A) what it had then */
};

/* record/profiles.h: whose profile is gathered. */
struct task_profile {
	_Atomic(void *) run; /* (A) its image's run; NULL: none; stays as long as the task does */
	uint32_t process;    /* how manieth of the run; set before that */
};

/* How fast a task makes pages: memorystatus/creation.h. */
struct task_creation {
	uint64_t since_ns;   /* when the window began, and what it had made then; here and below:
				the memorystatus thread's */
	uint64_t made;       /* pages */
	uint64_t fast_ns;    /* when it was last found to be fast */
	atomic_bool is_fast; /* (A) for readers */
};

#endif
