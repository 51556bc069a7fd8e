/* SPDX-License-Identifier: MIT
 *
 * struct daemon is the whole, made of parts. There is no other global but those of base and what
 * a file keeps for itself. Each part is owned by the files named beside it. Slots, frames and
 * segments live in memfd-backed arenas without pointers, so that another daemon could take over
 * from this one; that is not built, and the directory of the segments' pages is not in an arena.
 *
 * Letters on fields: (C) set once at start, (A) atomic, (Q) the pageq lock, (T) the task table's
 * lock, (M) map lock, (O) object lock, (B) the page's busy bit, (J) the jobs lock, (D) the direct
 * lock, (K) the park lock, (L) the control loop's thread alone.
 */
#ifndef DAEMON_H
#define DAEMON_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "atomics.h"
#include "check.h"
#include "compressor.h"
#include "core/bell.h"
#include "core/cpus.h"
#include "core/params.h"
#include "core/shares.h"
#include "core/stats.h"
#include "core/watch.h"
#include "fault/latency.h"
#include "list.h"
#include "lock.h"
#include "log.h"
#include "memorystatus/frame_wait.h"
#include "pager/proto.h"
#include "pager/shmstat.h"
#include "pageout/writeback.h"
#include "pagers/swapspace.h"
#include "policy.h"
#include "swap.h"
#include "vm/books.h"
#include "vm/frame.h"
#include "vm/process.h"
#include "vm/slot.h"

/* What the command line says. */
struct options {
	char *socket_path, *swap_directory, *config_path, *policy, *fail;
	uint64_t memory_bytes, swap_max_bytes, page_bytes; /* 0: default */
	bool no_swap;
	mode_t socket_mode;
	gid_t socket_group; /* (gid_t)-1: as it comes */
	enum log_level log_level;
};

/* What faults have taken so far: pageq/cost.c. */
struct fault_times {
	uint64_t soft, soft_ns;
	uint64_t refills, refill_ns; /* faults on stored pages, */
	uint64_t pages;              /* which brought so many */
};

/* A range that is to leave memory: pageout/evict.c. One for each jobs thread at most; they
 * are served in the order in which they were asked. */
struct eviction {
	struct eviction *next_asked; /* (Q) asked for later */
	struct vm_object *object;    /* (C) the job has a reference */
	uint64_t next, end;          /* (Q) pages that no worker has taken up yet */
	uint64_t behind;             /* (C) pages of the same request that follow */
	unsigned parts;              /* (Q) workers that are at a part of it */
	uint64_t pages;              /* (Q) that have left */
	bool met_busy;       /* (Q) some were in transit: it is worth coming for them again */
	bool stuck;          /* (Q) nothing more can leave */
	struct moment since; /* (Q) when a page last left, or the first was tried */
};

/* Victims that are for the worker of a side lane: it takes them from the policy no further than it
 * can carry. */
#define SIDE_VICTIMS 256u
struct side_queue {                /* pageq/side.c */
	struct victim *victims;    /* (Q) a ring of SIDE_VICTIMS */
	unsigned first, count;     /* (Q) */
	atomic_bool limits_wanted; /* (A) as pageq.limits_wanted, for clients of the lane */
	struct cond
	    wanted; /* waited by the lane's worker, signalled by whoever has something for it */
};

struct pageq { /* pageq/pageq.c */
	struct lock lock;
	struct cond pageout_wanted; /* waited by pageout worker 0, signalled by whoever takes a
				       frame below free_min */
	struct cond help_wanted; /* waited by the other workers, signalled by those before them */
	struct cond room_wanted; /* waited by pageout workers when nothing can leave; signalled by
				    writeback */
	struct cond
	    eviction_done; /* waited by jobs, broadcast by the worker that ends a last part */
	struct eviction *evictions;         /* (Q) under way, the oldest first */
	struct side_queue side[SIDE_LANES]; /* of side lane i + 1 */
	struct page_policy *policy; /* (Q) the daemon's; clients may have their own (vm/task.h) */
	struct page_policy **task_policies; /* (Q) by task index; NULL: none of its own */
	uint32_t own_policies;              /* (Q) of those that are not NULL */
	uint32_t clean_hand;     /* (Q) frame at which the next search for clean pages begins */
	uint32_t policy_turn;    /* (Q) whose pages are looked at next */
	uint32_t fallback_hand;  /* (Q) frame that the core looks at next when a policy proposes
				    nothing */
	bool first_asleep;       /* (Q) worker 0 waits for pageout_wanted */
	unsigned helpers_asleep; /* (Q) workers that wait for help_wanted */
	uint32_t speculative_head, speculative_tail; /* (Q) */
	uint32_t cost; /* (L) of a major fault, in soft ones, as last measured; 0: not yet */
	struct fault_times cost_since; /* (L) where the next measurement begins */
	bool stopping;                 /* (Q) */
	atomic_bool limits_wanted;     /* (A) some client's own pages must leave */
	atomic_uint rounds;            /* (A) rounds of the workers so far */
	atomic_bool squeezed; /* (A) faults have waited in vain: see memorystatus/squeeze.c; the
				 writer sets it */
};

struct daemon {
	struct options options; /* (C) */
	struct params params;
	size_t page_bytes, hw_bytes; /* (C) system page, hardware page */
	unsigned page_shift;
	struct cpus cpus; /* (C) */
	int uffd_device;  /* /dev/userfaultfd */
	struct stats stats;
	struct bells bells; /* of the fault servers' seats */
	struct frame_table frames;
	struct slot_table slots;
	struct object_table objects;
	struct pageq pageq;
	struct park park; /* memorystatus/frame_wait.h */
	struct task_table tasks;
	struct shares shares;
	struct processes processes;
	struct compressor *compressor;
	struct swap *swap; /* NULL: --no-swap */
	struct swapspace swapspace;
	struct fault_seat *seats; /* what servers poll: server_count of the common lane, then one
				     for each side lane */
	struct fault_server *servers; /* server_count for those, as many direct ones, then those of
					 side lanes and stand-bys */
	unsigned server_count;
	struct lock direct_lock; /* DIRECT */
	struct pageout_worker
	    *workers; /* worker_count of the common lane, then those of side lanes and stand-bys */
	unsigned worker_count;
	struct watch *watches;   /* (C) of all threads that are watched */
	struct watcher *watcher; /* watch/watcher.c */
	struct lock duty_lock;   /* covers duties (watch/watcher.h); leaf */
	struct cond duty_given;  /* waited for by those who stand by, broadcast by the watcher */
	bool duties_end;         /* under duty_lock */
	atomic_bool tasks_end_wanted; /* (A) some task has end_wanted: the control loop looks */
	struct writeback writeback;
	struct latency latency; /* fault/latency.c */
	struct jobs *jobs;
	struct closer *closer;
	struct stop *stop;
	struct prefetch *prefetch; /* one for each jobs thread */
	struct recorder *recorder; /* record/recorder.c */
	atomic_bool trace_on;      /* (A) */
	atomic_uint
	    trace_window; /* (A) pages that stay mapped while recording; 0: as the policy says */
	struct control *control;
	pthread_t loop_thread; /* (C) runs the control loop: the main thread */
	atomic_uint zap_agent; /* the agent zaps (system swap is on, or PAGEOUT is refused) */
};

/* The one lock of the page queues, PAGEQ in contracts. */
static inline void
pageq_lock(struct daemon *d)
{
	lock_acquire(&d->pageq.lock);
}
static inline void
pageq_unlock(struct daemon *d)
{
	lock_release(&d->pageq.lock);
}
static inline void
pageq_assert_held(const struct daemon *d)
{
	lock_assert_held(&d->pageq.lock);
}
/* Waits on a condition of the page queues. => PAGEQ held, released meanwhile */
static inline void
pageq_wait(struct daemon *d, struct cond *wanted)
{
	pageq_assert_held(d);
	cond_wait(wanted, &d->pageq.lock);
}

/* Threads of each kind that stand by to relieve one that a client holds up: at most this many can
 * be held up at a time. */
#define STAND_BYS 4u

/* Servers that poll and direct servers, of all lanes, and stand-bys. */
static inline unsigned
fault_thread_count(const struct daemon *d)
{
	return 2 * d->server_count + SIDE_LANES + STAND_BYS;
}
static inline unsigned
seat_count(const struct daemon *d)
{
	return d->server_count + SIDE_LANES;
}
static inline unsigned
worker_thread_count(const struct daemon *d)
{
	return d->worker_count + SIDE_LANES + STAND_BYS;
}
/* Jobs threads of the common lane: while one waits for a long page-out, the others answer. */
#define JOBS_COMMON  4u
#define JOBS_THREADS (JOBS_COMMON + SIDE_LANES + STAND_BYS)

/* Shards: fault servers, then pageout workers, then jobs threads, writeback, control, closers
 * (under their lock). */
/* SHARD_PAGEQ: what is counted with PAGEQ held, by whatever thread. */
enum {
	SHARD_JOBS,
	SHARD_WRITEBACK = SHARD_JOBS + JOBS_THREADS,
	SHARD_CONTROL,
	SHARD_CLOSER,
	SHARD_PAGEQ,
	SHARD_WATCH,
	SHARD_EXTRA
};
static inline unsigned
shard_index_server(const struct daemon *d, unsigned i)
{
	(void)d;
	return i;
}
static inline unsigned
shard_index_worker(const struct daemon *d, unsigned i)
{
	return fault_thread_count(d) + i;
}
static inline unsigned
shard_index_extra(const struct daemon *d, unsigned i)
{
	return fault_thread_count(d) + worker_thread_count(d) + i;
}
static inline unsigned
shard_count(const struct daemon *d)
{
	return shard_index_extra(d, SHARD_EXTRA);
}

#endif
