/* SPDX-License-Identifier: MIT
 *
 * struct daemon is the whole, made of parts. There is no other global but those of base and what
 * a file keeps for itself. Each part is owned by the files named beside it. Slots, frames and
 * segments live in memfd-backed arenas without pointers, so that where there is a keeper another
 * worker can take over from this one (takeover/takeover.h).
 *
 * Letters on fields: (C) set once at start, (A) atomic, (Q) the pageq lock, (T) the task table's
 * lock, (M) map lock, (S) a submap's lock, (O) object lock, (Y) the lock of copies, (P) the
 * lock of ports, (B) the page's
 * busy bit, (J) the jobs lock, (D) the direct lock, (K) the park lock, (L) the control loop's
 * thread alone.
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
#include "core/pulse.h"
#include "core/shares.h"
#include "core/stats.h"
#include "core/watch.h"
#include "fault/latency.h"
#include "keeper/keeper.h"
#include "list.h"
#include "lock.h"
#include "log.h"
#include "memorystatus/frame_wait.h"
#include "memorystatus/limits.h"
#include "memorystatus/status.h"
#include "pager/proto.h"
#include "pager/shmstat.h"
#include "pageout/writeback.h"
#include "pageq/choose.h"
#include "pageq/cost.h"
#include "pageq/eviction.h"
#include "pageq/policies.h"
#include "pageq/handed.h"
#include "pageq/side.h"
#include "pageq/speculative.h"
#include "pageq/worker_calls.h"
#include "pagers/returns.h"
#include "pagers/swapspace.h"
#include "pagers/vnode.h"
#include "pmap/pins.h"
#include "policy.h"
#include "swap.h"
#include "vm/books.h"
#include "vm/dirty.h"
#include "vm/frame.h"
#include "vm/group.h"
#include "vm/kept_object.h"
#include "vm/kept_param.h"
#include "vm/kept_group.h"
#include "vm/kept_policy.h"
#include "vm/kept_process.h"
#include "vm/pin_marks.h"
#include "vm/process.h"
#include "vm/purgeable.h"
#include "vm/refault.h"
#include "vm/slot.h"

/* What the command line says. */
struct options {
	char *socket_path, *policy, *fail;
	struct swap_backend_config swap_backends[SWAP_BACKENDS_MAX];
	unsigned swap_backend_count;
	const char *swap_key_file;                         /* NULL: the key is drawn */
	uint64_t memory_bytes, swap_max_bytes, page_bytes; /* 0: default */
	bool no_swap, strict_files, host_pressure, keeper;
	bool no_keeper;       /* no second process; a service manager's store, if there is one */
	bool is_stored;       /* likewise, and there is one */
	char *host_directory; /* host_pressure: where the machine's files are */
	const char *profile_directory; /* NULL: profiles are not kept */
	mode_t socket_mode;
	gid_t socket_group; /* (gid_t)-1: as it comes */
	enum log_level log_level;
	/* main's; NULL: not under --keeper */
	char **arguments;
	int worker_table; /* of --worker; -1: this is not a keeper's worker of another program */
	bool tell_arenas; /* --arenas: says what a takeover needs, and ends */
};

/* What is under PAGEQ, and what the threads that take it tell one another: a struct a subject. */
struct pageq {
	struct lock lock;
	struct speculative speculative;
	struct policies policies;
	struct choice choice;
	struct fault_cost cost;
	struct side_queue side[SIDE_LANES];         /* of side lane i + 1 */
	struct handed_queue handed[1 + SIDE_LANES]; /* of lane i */
	struct evictions evictions;
	struct purge_queue purge;
	struct worker_calls calls;
	atomic_uint rounds; /* (A) rounds of the workers so far */
};

/* A program that could take over from this worker. */
struct prepared {
	uint64_t number; /* never 0 */
	int program;     /* its descriptor */
	uint32_t deadline_ms;
};

struct daemon {
	struct options options; /* (C) */
	struct params params;
	size_t page_bytes, hw_bytes; /* (C) system page, hardware page */
	unsigned page_shift;
	struct cpus cpus; /* (C) */
	int uffd_device;  /* /dev/userfaultfd */
	struct stats stats;
	struct pulse pulse;
	struct bells bells; /* of the fault servers' seats */
	struct frame_table frames;
	struct refaults refaults;
	struct pin_marks pin_marks; /* vm/pin_marks.h */
	struct pins pins;           /* pmap/pins.h */
	struct slot_table slots;
	struct object_table objects;
	struct keeper_link *keeper;   /* (C) NULL: there is none */
	_Atomic uint64_t takeover_ns; /* (A) clients' waits for takeovers, all of them */
	char arenas[2048]; /* (C) control/upgrade.h: what another program must have in common */
	_Atomic(struct prepared *) prepared; /* (A) NULL: none; owned by who takes it out */
	_Atomic uint64_t upgrade_asked;      /* (A) programs that could take over, so far */
	struct kept_objects kept_objects;    /* vm/kept_object.h */
	struct kept_params kept_params;
	struct kept_processes kept_processes;
	struct kept_groups kept_groups;
	struct kept_policy kept_policy;
	struct successor *successors; /* takeover/takeover.h; NULL once they are served */
	struct left_name *left_names; /* likewise; NULL once they are watched */
	struct copy_table copies;     /* vm/copy_link.h */
	struct named_table named;
	struct port_table ports;    /* vm/port.h */
	struct shared_table shared; /* region/shared.h */
	struct device *devices;     /* (C) pagers/device.h */
	struct vnode_table vnodes;
	struct returns returns;      /* pagers/returns.h */
	struct announced *announced; /* pagers/announced.h; NULL: not --strict-files */
	struct dirty_total dirty;    /* vm/dirty.h */
	struct pageq pageq;
	struct park park;     /* memorystatus/frame_wait.h */
	struct limits limits; /* memorystatus/limits.h */
	struct memorystatus memorystatus;
	struct task_table tasks;
	struct shares shares;
	struct processes processes;
	struct groups groups;
	struct compressor *compressor;
	struct swap *swap; /* NULL: --no-swap */
	struct swapspace swapspace;
	struct fault_seat *seats; /* what servers poll: server_count of the common lane, then one
				     for each side lane */
	struct refuser *refuser;  /* fault/refuser.h */
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
	struct cond duty_given;  /* threads that stand by wait for it; broadcast by the watcher */
	bool duties_end;         /* under duty_lock */
	atomic_bool tasks_end_wanted; /* (A) some task has end_wanted: the control loop looks */
	struct writeback writeback;
	struct cleaner *cleaner; /* pageout/cleaner.h */
	struct latency latency;  /* fault/latency.c */
	struct jobs *jobs;
	struct closer *closer;
	struct stop *stop;
	struct prefetch *prefetch; /* one for each jobs thread */
	struct willneed *willneed; /* region/willneed.h */
	struct profiles *profiles; /* record/profiles.h */
	struct foreseen *foreseen; /* region/foreseen.h */
	struct recorder *recorder; /* record/recorder.c */
	atomic_bool trace_on;      /* (A) */
	atomic_uint
	    trace_window;    /* (A) pages that stay mapped while recording; 0: as the policy says */
	struct names *names; /* (C) control/names.h */
	struct freezer *freezer; /* (C) control/freezer.h */
	struct host_watch
	    *host_watch; /* (C) memorystatus/host_watch.h; NULL: not --host-pressure */
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

/* Hands of the cleaner (pageout/clean_hand.h). */
#define CLEANER_HANDS (4u + SIDE_LANES)

/* Shards: fault servers, then pageout workers, then these. SHARD_CLOSER is written under the
 * closers' lock, and SHARD_PAGEQ under PAGEQ, by any thread. */
enum {
	SHARD_JOBS,
	SHARD_WRITEBACK = SHARD_JOBS + JOBS_THREADS,
	SHARD_CLEANER,
	SHARD_HANDS, /* CLEANER_HANDS */
	SHARD_HANDS_LAST = SHARD_HANDS + CLEANER_HANDS - 1,
	SHARD_ANNOUNCED,
	SHARD_WILLNEED,
	SHARD_FORESEEN,
	SHARD_REFUSER,
	SHARD_CONTROL,
	SHARD_CLOSER,
	SHARD_PAGEQ,
	SHARD_WATCH,
	SHARD_MEMORYSTATUS,
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
