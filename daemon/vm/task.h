/* SPDX-License-Identifier: MIT
 *
 * A task: a client's process as pagerd knows it, that is its address space (map, userfaultfd,
 * agent) and its bill. It is made at HELLO and found through an epoll cookie (index and generation)
 * or by walking the table, always with a reference; its descriptors are closed when the last
 * reference goes.
 *
 *   ATTACHING --> ATTACHED --> DEAD (its session has ended; jobs take its objects apart) --> freed
 *        +-----------------------^
 */
#ifndef TASK_H
#define TASK_H

#include "daemon.h"
#include "core/ledger.h"
#include "vm/vm_map.h"

#define TASK_MAGIC 0x7a5c1041u

enum task_state { TASK_ATTACHING, TASK_ATTACHED, TASK_DEAD };

/* A sequential run of faults by one thread; direct-mapped by thread id. */
#define STREAMS 16
struct stream {
	uint32_t thread;
	uint32_t run;     /* faults that continued it */
	uint64_t next_up; /* address that would continue it upwards */
	uint64_t next_down;
};

struct task {
	uint32_t magic;
	atomic_uint references;
	uint32_t index, generation;    /* (C) in the table */
	uint64_t id;                   /* (C) */
	struct daemon *daemon;         /* (C) */
	_Atomic enum task_state state; /* (A) written by task_commit */
	atomic_uint lane; /* (A) that serves it: watch/lane.h; written by the watcher, under
			     affinity_busy */
	atomic_uint
	    lane_before; /* (A) whose jobs serve it until it is attached; written by the watcher */
	unsigned times_apart; /* the watcher only: how often it has been moved to a side lane */
	atomic_bool
	    end_wanted; /* (A) it held a thread of ours for too long: the control loop ends it */
	int uffd, agent, pidfd; /* (C) once CLIENT; -1 before */
	atomic_int
	    pagemap; /* (A) opened when first wanted; -1 before, -2: cannot be (pmap/zap.c) */
	pid_t pid;   /* (C) */
	uid_t uid;   /* (C) */
	struct process *process;       /* (C) the process's, with a reference: its limit */
	struct share_account *account; /* (C) the user's, with a reference */
	uint64_t wired_billed;         /* (M) bytes of the user's share of wired memory */
	char name[64];                 /* (C) as HELLO said it, cleaned */
	struct vm_map map;
	atomic_uint objects; /* (A) that it has */
	struct ledger ledger;
	struct page_policy *policy; /* (Q) its own, or NULL: the daemon's */
	atomic_bool reclaim_queued; /* (A) a worker has been asked to take its pages */
	uint32_t reclaim_entry;     /* worker 0 only: where own reclaim goes on */
	uint32_t reclaim_page;
	struct park_list limited;  /* (K) its faults that wait for that, FIFO */
	struct task *limited_next; /* (K) on park.limited */
	uint32_t parked;           /* (K) its faults that wait */
	bool park_overflow; /* (K) more than may: all its threads are woken when there is a place
			       again, */
	struct task *overflow_next;     /* (K) on park.overflowed */
	struct stream streams[STREAMS]; /* (M) */
	atomic_uint
	    faults_to_sample; /* (A) faults until the CPU of a faulting thread is looked at again */
	_Atomic uint64_t servers_polling; /* (A) bit i: server i, or its direct server, reads this
					     client; changed by who holds affinity_busy */
	atomic_bool is_direct; /* (A) written under DIRECT: direct servers read it, the others do
				  not poll it */
	bool direct_refused;   /* under affinity_busy: it made its userfaultfd nonblocking, or it
				  cannot be read otherwise */
	atomic_bool
	    has_moved;    /* (A) it has moved paged memory by mremap(2), to where no map knows it */
	uint8_t seen[64]; /* under affinity_busy: samples by server (fault/affinity.c), older ones
			     count less */
	unsigned samples; /* under affinity_busy: in this period */
	unsigned sample_interval;             /* under affinity_busy: faults from one to the next */
	uint64_t sampled_ns, sampled_swapins; /* under affinity_busy: at the last sample */
	unsigned busy_samples; /* under affinity_busy: samples in a row that found it fit for direct
				  servers */
	atomic_bool affinity_busy; /* (A) try-lock */
};

int task_table_create(struct daemon *d);
void task_table_destroy(struct daemon *d);
/* What a task is made of. */
struct task_birth {
	uint64_t id; /* its session's */
	pid_t pid;
	uid_t uid;
	int pidfd;                     /* the task's from now on */
	bool is_control;               /* root or the daemon's own user */
	struct share_account *account; /* it takes a reference of its own */
	const char *name;              /* is copied, and cleaned for terminals */
};
/* => the task with a reference, or NULL: no memory, and nothing is taken over. The task gives the
 * session's shares (SHARE_SESSIONS, SHARE_DESCRIPTORS) back at its end. */
struct task *task_create(struct daemon *d, const struct task_birth *birth);
/* Changes the state; any change but those in tbl/session_arrow.h is a panic. => false: it was not
 * in `from` any more. Any thread */
bool task_commit(struct task *task, enum task_state from, enum task_state to);
struct task *task_get(struct task *task);
void task_put(struct task *task);
/* => the task with a reference, or NULL if it is gone. */
struct task *task_find_cookie(struct daemon *d, uint64_t cookie);
/* Whatever sits at that index of the table, with a reference, or NULL. */
struct task *task_at(struct daemon *d, uint32_t index);
/* Which clients are meant: a task by its id, or with id 0 all of a process. */
struct task_name {
	uint64_t id;
	pid_t pid;
};
static inline bool
task_names_all(struct task_name name)
{
	return name.id == 0 && name.pid == 0;
}
static inline bool
task_is_named(const struct task *task, struct task_name name)
{
	return name.id ? task->id == name.id : task->pid == name.pid;
}
/* The first client task with an index >= *cursor; moves the cursor behind it. With a reference,
 * or NULL. */
struct task *task_next(struct daemon *d, uint32_t *cursor);
/* Gives back what the map has less of wired memory than the user's share was billed for. Where
 * pages must have gone first: then. */
void task_wired_settle(struct task *task);
/* Whether there is a client with that id. */
bool task_exists(struct daemon *d, uint64_t id);
/* Wakes every thread that waits in a fault: it faults again. */
void task_wake_all(struct task *task);
uint32_t task_count(struct daemon *d);
static inline uint64_t
task_cookie(const struct task *task)
{
	return (uint64_t)task->generation << 32 | task->index;
}
static inline bool
task_is_dead(struct task *task)
{
	return load_acquire(&task->state) == TASK_DEAD;
}

#endif
