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
#include "pagers/pager_types.h"
#include "pmap/uffd.h"
#include "transit/run.h"
#include "vm/task.h"
#include "vm/vm_object.h"
#include "core/watch.h"

#define FAULT_IO_DEPTH 32u
/* Of a side lane's server. */
#define FAULT_SIDE_DEPTH 4u

enum fault_outcome {
	FAULT_ANSWERED, /* or will be woken by whoever holds the page */
	FAULT_PENDING,  /* an I/O will answer it */
	FAULT_BUSY,     /* the page's neighbours are being taken away; the thread that does so wakes
			   it */
	FAULT_WAITS,    /* to be parked */
	FAULT_NO_TABLE, /* a first touch, and its client may have no more table memory: to be
			   refused */
	FAULT_NO_IO,    /* the I/O channel is full: again after a completion */
};

struct swapin {             /* fault/swapin.c: one read under way */
	struct fault fault; /* with a task reference */
	struct fill fill;
	void *buffer;
	struct pager_read read;
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
	/* (C) Keeps a fault that finds no room for a read. => false: no place, nothing is kept */
	bool (*no_io)(struct fault_server *server, const struct fault *fault);
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
int fault_server_create(struct daemon *d, struct fault_server *server, unsigned index,
    bool (*no_io)(struct fault_server *server, const struct fault *fault));
/* The fault lies in the server's seat until there is room for a read: struct fault_server, no_io.
 */
bool fault_server_defer(struct fault_server *server, const struct fault *fault);
int fault_server_start(struct fault_server *server, void *(*run)(void *));
/* First in its thread, and when it takes another seat. */
void fault_server_begin(struct fault_server *server, const char *name);
/* Answers messages of one client that arrived together. */
void fault_server_answer(struct fault_server *server, struct task *task,
    const struct uffd_fault *faults, unsigned count);
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
/* *ret_wait: what it waits for (FAULT_WAITS). */
enum fault_outcome fault_handle(
    struct fault_server *server, const struct fault *fault, enum wait_for *ret_wait);

/* The fault is answered with SIGBUS, and kept, to be answered truly once there is room. What is
 * stored stays stored. => false: the page is resident, it needs no refusal. */
bool fault_refuse(struct fault_server *server, const struct fault *fault, enum refusal why);

/* fault/swapin.c */
/* FAULT_ANSWERED, or FAULT_NO_IO with the fill aborted; hands over to swapin_start where the first
 * is away. */
enum fault_outcome fill_stored(
    struct fault_server *server, const struct fault *fault, struct fill *fill);
enum fault_outcome swapin_start(
    struct fault_server *server, const struct fault *fault, struct fill *fill);
void swapin_reap(struct fault_server *server);
/* Entries that a relieved server has left behind are free again. Runs on: the seat's server */
void swapin_collect(struct fault_seat *seat);

#endif
