/* SPDX-License-Identifier: MIT
 *
 * Faults. One server per CPU, pinned, polls every client's userfaultfd, its own I/O channel and its
 * bell. A server sleeps on nothing but its poll, takes no lock that is held across I/O,
 * and never reclaims: a fault that finds no frame is parked, a fault on a busy page is forgotten
 * (the holder wakes the range).
 */
#ifndef FAULT_H
#define FAULT_H

#include "daemon.h"
#include "memorystatus/frame_wait.h"
#include "pmap/uffd.h"
#include "vm/task.h"
#include "vm/vm_object.h"
#include "core/watch.h"

#define FAULT_CLUSTER_MAX 64u
#define FAULT_IO_DEPTH    32u
/* Of a side lane's server. */
#define FAULT_SIDE_DEPTH 4u

struct fault {
	struct task *task; /* with a reference where the fault is kept */
	uint64_t address;
	uint32_t flags; /* UFFD_FAULT_* */
	uint32_t thread;
	uint64_t start_ns;
	bool has_waited;     /* for a frame, */
	struct moment since; /* since then */
};

enum fault_outcome {
	FAULT_ANSWERED,       /* or will be woken by whoever holds the page */
	FAULT_PENDING,        /* an I/O will answer it */
	FAULT_BUSY,           /* the page's neighbours are being taken away; who does that wakes */
	FAULT_NO_FRAME,       /* a first touch: to be parked until a frame is free */
	FAULT_NO_FRAME_WRITE, /* a write to a stored page, or to one that is clean: likewise */
	FAULT_NO_FRAME_READ,  /* a read of a stored page: likewise */
	FAULT_NO_TABLE,       /* a first touch, and its client may have no more table memory: to be
				 refused */
	FAULT_OVER_LIMIT,     /* to be parked until the client's own pages have left */
	FAULT_NO_IO,          /* the I/O channel is full: again after a completion */
};

/* Pages being filled by one operation: consecutive, busy, FILLING. */
struct fill {
	struct vm_object *object; /* with a reference */
	uint64_t index;           /* of the first page */
	unsigned count;
	unsigned first; /* which of them faulted */
	bool write, wired;
	bool sequential; /* part of a run: copies are kept */
	uint32_t frames[FAULT_CLUSTER_MAX];
};

struct swapin {             /* fault/swapin.c: one read under way */
	struct fault fault; /* with a task reference */
	struct fill fill;
	void *buffer;
	uint32_t offset, length; /* of what is read, in the slot */
	uint32_t page_offset[FAULT_CLUSTER_MAX], page_length[FAULT_CLUSTER_MAX];
	uint64_t place;
	bool used;
	atomic_bool finished; /* (A) answered by a relieved server: the seat's server gives the
				 entry back */
};

/* What a server polls and has under way. It belongs to the seat's server: one that is relieved
 * (watch/watcher.h) leaves it, and all that it has not begun, to the next. */
struct fault_seat {
	struct daemon *daemon;
	unsigned index, cpu, lane;             /* (C) */
	_Atomic(struct fault_server *) server; /* (A) who has it */
	int epoll;
	struct bell *bell; /* (C) rung by whoever frees frames, and to stop */
	atomic_bool stopping;
	struct swap_channel *channel; /* NULL: no swap */
	size_t channel_buffer_bytes;
	unsigned depth;         /* (C) */
	struct swapin *swapins; /* depth */
	unsigned swapins_used;
	atomic_uint left_behind; /* (A) of those: answered by a server that had been relieved */
	bool unflushed;          /* the kernel would not take all reads: again soon */
	struct fault *deferred;  /* faults that found the channel full; FIFO ring */
	unsigned deferred_head, deferred_count;
	struct fault
	    *handed; /* by the direct server whose home this is; a ring of FAULT_HANDED_MAX */
	atomic_uint handed_in,
	    handed_out; /* (A) both only grow; the direct server writes the first */
};

struct fault_server {
	struct daemon *daemon;
	pthread_t thread;
	unsigned index;
	unsigned cpu, lane; /* its own thread's, and of a direct server (C) */
	struct fault_seat
	    *seat;        /* its own thread's; NULL: a direct server, or one that stands by */
	struct duty duty; /* its seat's index */
	struct watch watch;
	atomic_int tid;        /* (A) 0 until it runs */
	atomic_bool gives_way; /* (A) it runs as SCHED_BATCH */
	atomic_bool stopping;  /* (A) a direct server shall end */
	struct stat_shard stats;
	struct hole hole;     /* around a page that gets poison */
	unsigned tables_seen; /* park.tables_freed when the tableless were last looked at */
	void *bounce;         /* FAULT_CLUSTER_MAX pages */
	/* Of a direct server (fault/direct.h), which has no poll and no channel: */
	struct fault_seat *home; /* (C) NULL: this is none */
	struct task *client;     /* (D) with a reference; NULL: waits for one */
	struct cond assigned;    /* (D) */
	atomic_bool leaving;     /* (A) set under DIRECT: no more reads */
	atomic_uint served;      /* (A) reads that brought messages */
	unsigned served_before,
	    quiet_ticks; /* (D) when the timer looked last; since when it has not grown */
};
#define FAULT_DEFERRED_MAX 1024u
#define FAULT_HANDED_MAX   256u

/* For cost.c. What waited for a frame says how short memory is, not what a fault costs. */
static inline void
fault_count_refill(struct fault_server *server, const struct fault *f, uint64_t ns)
{
	if (f->has_waited)
		return;
	stat_add(server->stats, STAT_REFILLS, 1);
	stat_add(server->stats, STAT_REFILL_NS, ns);
}

/* fault/server.c */
int fault_servers_start(struct daemon *d);
void fault_servers_stop(struct daemon *d);
void fault_servers_fini(struct daemon *d);
/* Every server of the lane polls the client's userfaultfd from now on. => 0 or -errno */
int fault_servers_add(struct daemon *d, struct task *task, unsigned lane);
void fault_servers_remove(struct daemon *d, struct task *task);
/* One server begins or ceases to poll it. */
int fault_seat_watch(struct fault_seat *seat, struct task *task);
void fault_seat_unwatch(struct fault_seat *seat, struct task *task);
/* While several servers poll a client a fault wakes them all, and the one on the faulting thread's
 * CPU runs as soon as that thread blocks. The others shall not interrupt what their CPUs do for an
 * empty look: in a virtual machine that interrupt costs the faulting thread more than the rest of
 * its fault. A SCHED_BATCH thread preempts nobody when it wakes. With one server polling, who must
 * also answer a thread that has moved, it preempts. Any thread. */
void fault_server_give_way(struct fault_server *server, bool give_way);
/* What is common to servers and direct servers. index: in daemon.servers. => 0 or -errno */
int fault_server_create(struct daemon *d, struct fault_server *server, unsigned index);
int fault_server_start(struct fault_server *server, void *(*run)(void *));
/* First in its thread, and when it takes another seat. */
void fault_server_begin(struct fault_server *server, const char *name);
/* Answers messages of one client that arrived together. */
void fault_server_answer(struct fault_server *server, struct task *task,
    const struct uffd_fault *faults, unsigned count);
/* After each wake-up: what waits may have become possible. */
void fault_server_look_at_parked(struct fault_server *server);
/* The server of seat i. */
static inline struct fault_server *
fault_seat_server(const struct daemon *d, unsigned i)
{
	return load_acquire(&d->seats[i].server);
}
/* fault/affinity.c: which servers poll a client. Called after faults have been answered; cheap but
 * for the one in 32 to 256 that is a sample. Runs on: fault servers, direct servers */
void affinity_note(
    struct fault_server *server, struct task *task, uint32_t thread, unsigned faults);

/* fault/fault.c */
enum fault_outcome fault_handle(struct fault_server *server, const struct fault *fault);
/* Handles and, where it cannot be answered now, parks or defers. */
void fault_dispatch(struct fault_server *server, const struct fault *fault);

/* Nothing can leave and nothing is free (why: FAULT_NO_FRAME), or there is no table memory for it
 * (FAULT_NO_TABLE): answered with SIGBUS, and kept, to be answered truly once there is room. What
 * is stored stays stored. => false: the page is resident, it needs no refusal. */
bool fault_refuse(struct fault_server *server, const struct fault *fault, enum fault_outcome why);

/* The page in the server's hole gets poison, so that its threads get SIGBUS; the hole is no more.
 * => no lock held */
void fault_poison_hole(struct fault_server *server, struct vm_object *o);

/* transit/run.c */
/* Takes frames for up to `want` pages of one kind from `index` on and makes them FILLING. => O
 * held. FAULT_ANSWERED: fill is set up; or FAULT_NO_FRAME, FAULT_NO_TABLE, FAULT_OVER_LIMIT,
 * FAULT_BUSY. */
enum fault_outcome fill_begin(struct daemon *d, struct vm_object *o, uint64_t index, unsigned want,
    int direction, enum frame_use use, struct fill *ret);
/* FILLING -> ACTIVE (or `to`) for the first `count` pages; copies are kept or given up; the rest is
 * aborted. No lock. */
void fill_finish(struct fault_server *server, struct fill *fill, unsigned count, enum page_state to,
    bool protected);
/* Pages [from, count) go back to what they were; their threads fault again. Leaves the fill's
 * reference alone. */
void fill_abort(struct daemon *d, struct fill *fill, unsigned from);
/* All of them, and the fault is kept: only who else has met them busy is woken. */
void fill_defer(struct daemon *d, struct fill *fill);
/* The first `count` pages, all below the one that faulted, go back to what they were. */
void fill_drop_front(struct daemon *d, struct fill *fill, unsigned count);
/* The copy of page i cannot be read: it becomes POISONED, SIGBUS for who touches it. */
void fill_lost(struct fault_server *server, struct fill *fill, unsigned i);
/* Whether clean pages keep their copy in memory. */
bool fill_retains(struct daemon *d, const struct fill *fill);
enum fault_outcome fill_zero(struct fault_server *server, struct fill *fill);
/* FAULT_ANSWERED, or FAULT_NO_IO with the fill aborted; hands over to swapin_start where the first
 * is away. */
enum fault_outcome fill_stored(
    struct fault_server *server, const struct fault *fault, struct fill *fill);
/* Puts pages into the memfd and the client's tables; overwrites what was planted. Where none of
 * several can be, the fill is narrowed to the one that faulted. => pages in place, from the fill's
 * first on. */
unsigned fill_copy(struct fault_server *server, struct fill *fill, const void *pages,
    unsigned count, bool protect);

/* fault/swapin.c */
enum fault_outcome swapin_start(
    struct fault_server *server, const struct fault *fault, struct fill *fill);
void swapin_reap(struct fault_server *server);
/* Entries that a relieved server has left behind are free again. Runs on: the seat's server */
void swapin_collect(struct fault_seat *seat);

/* memorystatus/frame_wait.c */
int park_create(struct daemon *d);
void park_destroy(struct daemon *d);
/* Keeps the fault until what `why` says (FAULT_NO_FRAME, _WRITE, _READ or FAULT_OVER_LIMIT) is
 * over. FIFO. Where there is no place, or the client has its share of them: forgotten, and the
 * client's threads are woken when there is. */
void park_fault(struct fault_server *server, const struct fault *fault, enum fault_outcome why);
/* Answers what can be answered now. Runs on: fault servers. */
void park_serve(struct fault_server *server);
/* A page got SIGBUS: its fault is kept, if there is a place (half of the pool at most). */
void park_refused(struct daemon *d, const struct fault *fault, enum fault_outcome why);
/* Drops a dead task's faults. No lock held. */
void park_drop(struct daemon *d, struct task *task);

#endif
