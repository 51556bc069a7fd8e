/* SPDX-License-Identifier: MIT
 *
 * Fault servers, their seats, and reads under way.
 */
#ifndef SEAT_H
#define SEAT_H

#include "daemon.h"
#include "memorystatus/frame_wait.h"
#include "pagers/pager_types.h"
#include "pmap/uffd.h"
#include "transit/run.h"
#include "vm/task.h"
#include "vm/vm_object.h"
#include "core/watch.h"

/* Reads of swap and of files that a seat has under way at a time: in the common lane, and in a side
 * lane. */
#define FAULT_IO_DEPTH   32u
#define FAULT_SIDE_DEPTH 4u
/* Faults that a seat keeps at most: put off, and handed over by its direct server. */
#define FAULT_DEFERRED_MAX 1024u
#define FAULT_HANDED_MAX   256u

/* Bytes of one read. */
static inline size_t
fault_io_bytes(const struct daemon *d)
{
	return max_u64(128u << 10, 2 * d->page_bytes);
}

enum fault_outcome {
	/* It is answered. */
	FAULT_ANSWERED,
	/* Its thread has been woken, or will be by the thread that holds its page, and faults
	 * again. */
	FAULT_AGAIN,
	/* A read of swap or of a file will answer it. */
	FAULT_PENDING,
	/* The page's neighbours are being taken away; the thread that does so will wake it. */
	FAULT_BUSY,
	/* It waits for a frame or for its client's limit: it is to be parked. */
	FAULT_WAITS,
	/* A store into a file that cannot be written, of a client that has all the dirty pages that
	 * it may: it is to be refused. */
	FAULT_NO_STORE,
	/* A first touch, and its client may have no more table memory: it is to be refused. */
	FAULT_NO_TABLE,
	/* The I/O channel is full: it is to be tried again after a completion. */
	FAULT_NO_IO,
	/* Another thread holds the page that is to leave a recording's window: it is to be tried
	 * again soon. */
	FAULT_NO_WINDOW,
};

/* A read of swap or of a file under way: fault/swapin.c. */
struct swapin {
	struct fault fault; /* with a reference to the task */
	struct fill fill;
	void *buffer; /* the channel's, into which is read */
	struct pager_read read;
	bool is_ahead;    /* no thread waits for it: fault/ahead.h */
	bool is_apart;    /* of a device or a server of swap, which may not answer */
	bool is_below;    /* what a copy of it was touched for: its pages are mapped nowhere */
	bool is_prepared; /* the pages have memory in the memfd already */
	unsigned forgets; /* external.read_forgets when it was begun */
	uid_t uid;        /* of the task */
	bool is_aside;    /* its pages were given up; the channel has it until it comes back. Then
			     there is no task, and a reference to the object instead */
	bool used;
	atomic_bool finished; /* (A) answered by a relieved server; the seat's server gives the
				 entry back */
};

/* What is to be filled ahead: fault/zero_ahead.h. */
struct zero_ahead {
	struct task *task; /* with a reference */
	uint32_t thread;   /* whose run it is */
	uint32_t flags;    /* of its last fault */
};

/* Whether to poll for reads: fault/read_poll.h. */
struct read_poll {
	unsigned skips;   /* reads for which the server sleeps before it polls again */
	unsigned backoff; /* skips after the last time that polling was in vain, or 0 */
};

#define FAULT_SEAT_MAGIC   0x5ea7fa17u
#define FAULT_SERVER_MAGIC 0x5e12fa17u

/* What a server polls and has under way. A field without a letter belongs to the seat's server: one
 * that is relieved (watch/watcher.h) leaves it, and all that it has not begun, to the next. */
struct fault_seat {
	uint32_t magic;
	struct daemon *daemon;                 /* (C) */
	unsigned index, cpu, lane;             /* (C) */
	_Atomic(struct fault_server *) server; /* (A) the server that has it */
	int epoll;                             /* (C) */
	struct bell *bell;            /* (C) rung by threads that free frames, and to stop */
	atomic_bool stopping;         /* (A) */
	struct swap_channel *channel; /* (C) for swap, if there is any, and for clients' files */
	size_t channel_buffer_bytes;  /* (C) */
	unsigned depth;               /* (C) */
	struct swapin *swapins;       /* depth entries */
	unsigned swapins_used;
	unsigned swapins_ahead; /* those of them that no thread waits for */
	unsigned forgets_seen;  /* vnode_table.read_forgets when reads were last looked at */
	struct read_poll read_poll;
	atomic_uint left_behind; /* (A) used entries that a relieved server has answered */
	bool unflushed;          /* the kernel did not take all reads: the seat tries again soon */
	struct fault *deferred;  /* fault/deferred.h; a ring of FAULT_DEFERRED_MAX */
	unsigned deferred_head, deferred_count;
	unsigned deferred_for_window; /* those of the ring that a recording's window holds up */
	struct fault *handed;         /* by its direct server; a ring of FAULT_HANDED_MAX */
	atomic_uint handed_in;     /* (A) faults handed over so far; written by the direct server */
	atomic_uint handed_out;    /* (A) faults taken out so far */
	struct zero_ahead ahead;   /* whose ahead_state says */
	atomic_uint ahead_state;   /* (A) fault/zero_ahead.c */
	_Atomic uint64_t fault_ns; /* (A) when a fault was last answered on its processor */
};

struct fault_server {
	uint32_t magic;
	struct daemon *daemon; /* (C) */
	pthread_t thread;      /* (C) */
	unsigned index;        /* (C) in daemon.servers */
	unsigned cpu, lane;    /* (C) of a direct server; otherwise its own thread's: the seat's */
	struct fault_seat *seat; /* its own thread's; NULL: a direct server, or it stands by */
	struct duty duty;        /* its seat's index */
	struct watch watch;
	atomic_int tid;        /* (A) 0 until it runs */
	atomic_bool gives_way; /* (A) it runs as SCHED_BATCH */
	atomic_bool stopping;  /* (A) a direct server is to end */
	/* (C) Puts off a fault whose outcome is FAULT_NO_IO or FAULT_NO_WINDOW, with a reference to
	 * the task of its own.
	 * => false: there is no place, nothing is kept */
	bool (*defer)(struct fault_server *server, const struct fault *fault);
	struct stat_shard stats;
	struct hole hole;     /* around a page that gets poison */
	unsigned tables_seen; /* park.tables_freed when the tableless were last looked at */
	unsigned places_seen; /* likewise park.places_changed and the placeless */
	unsigned stores_seen; /* likewise park.storing_changed and stores that wait */
	void *bounce;         /* FAULT_CLUSTER_MAX pages */
	/* Of a direct server (fault/direct.h), which has no poll and no channel: */
	struct fault_seat *home; /* (C) NULL: it is none */
	struct task *client;     /* (D) with a reference; NULL: it waits for one */
	struct cond assigned;   /* (D) it waits for a client, signalled by direct_set and the end */
	atomic_bool leaving;    /* (A) set under DIRECT: it is to read no more */
	atomic_uint served;     /* (A) reads that brought messages */
	unsigned served_before; /* (D) `served` at the timer's last look */
	unsigned quiet_ticks;   /* (D) looks of the timer since `served` last grew */
};

/* Counts the time of a fault on a stored page, for cost.c. A fault that has waited for a frame is
 * left out: its time says how short memory is, not what a fault costs. */
static inline void
fault_count_refill(struct fault_server *server, const struct fault *f, uint64_t ns)
{
	if (f->has_waited)
		return;
	stat_add(server->stats, STAT_REFILLS, 1);
	stat_add(server->stats, STAT_REFILL_NS, ns);
}

#endif
