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
	FAULT_NO_WINDOW, /* another thread holds the page that is to leave a recording's window:
			    again soon */
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

#define FAULT_SEAT_MAGIC   0x5ea7fa17u
#define FAULT_SERVER_MAGIC 0x5e12fa17u

/* What a server polls and has under way. It belongs to the seat's server: one that is relieved
 * (watch/watcher.h) leaves it, and all that it has not begun, to the next. */
struct fault_seat {
	uint32_t magic;
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
	struct fault *deferred;  /* fault/deferred.h; a ring of FAULT_DEFERRED_MAX */
	unsigned deferred_head, deferred_count;
	unsigned deferred_for_window; /* of those: held up by a recording's window, again soon */
	struct fault
	    *handed; /* by the direct server whose home this is; a ring of FAULT_HANDED_MAX */
	atomic_uint handed_in,
	    handed_out; /* (A) both only grow; the direct server writes the first */
};

struct fault_server {
	uint32_t magic;
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
	/* (C) Puts a fault off, with its own reference to the task: FAULT_NO_IO and
	 * FAULT_NO_WINDOW.
	 * => false: there is no place, nothing is kept */
	bool (*defer)(struct fault_server *server, const struct fault *fault);
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

#endif
