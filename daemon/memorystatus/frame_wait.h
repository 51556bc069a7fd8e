/* SPDX-License-Identifier: MIT
 *
 * Faults that wait for a frame, or for their client's own pages to leave, first in, first out, in a
 * pool made at start. A thread that frees frames rings the bell of a fault server, which answers
 * (fault/parked.c). Refused faults are kept too, in lists of their own: when there is room they are
 * answered after all, which takes the poison away.
 *
 * A fault that finds no place in the pool, or whose client has its share of it, is forgotten. Its
 * client stands on `overflowed` until there is room, and all its threads are woken then.
 */
#ifndef FRAME_WAIT_H
#define FRAME_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "atomics.h"
#include "lock.h"
#include "memorystatus/squeeze.h"
#include "vm/books.h"
#include "vm/frame_use.h"

struct daemon;
struct parked_fault;

struct fault {
	struct task *task; /* with a reference where the fault is kept */
	uint64_t address;
	uint32_t flags; /* UFFD_FAULT_* */
	uint32_t thread;
	uint64_t start_ns;
	bool has_waited;          /* for a frame */
	bool is_kept;             /* it was put aside: its thread may have left the touch since */
	struct moment since;      /* when it began to wait for a frame */
	uint64_t window_since_ns; /* when a recording's window first held it up; 0: none does */
};

/* What a fault waits for. */
enum wait_for {
	WAIT_FIRST, /* a frame, for a first touch */
	WAIT_WRITE, /* a frame, for a write to a stored page, or to one that is clean */
	WAIT_READ,  /* a frame, for a read of a stored page */
	WAIT_LIMIT, /* pages of the client's own to leave */
};

/* Why a fault was answered with SIGBUS. */
enum refusal {
	REFUSED_FRAMES, /* nothing can leave and nothing is free */
	REFUSED_TABLES, /* its client may have no more table memory */
};

/* What is to be done with a fault that waits. */
enum wait_verdict { VERDICT_WAIT, VERDICT_SERVE, VERDICT_REFUSE };

/* Letters on fields: daemon.h. */
struct park {
	struct lock lock;
	struct parked_fault *pool;                 /* (C) */
	uint32_t room;                             /* (C) of the pool */
	uint32_t free_head;                        /* (K) */
	struct park_list waiting[FRAME_USE_COUNT]; /* (K) faults that wait for a frame; only heads
						      are judged */
	struct task *limited;    /* (K) clients with faults that wait for their own pages to leave
				    (vm/books.h) */
	struct task *overflowed; /* (K) clients with faults that found no place; with a reference */
	struct park_list refused;   /* (K) REFUSED_FRAMES: answered when there is room */
	struct park_list tableless; /* (K) REFUSED_TABLES: answered when its client may have table
				       memory */
	uint64_t next_ticket;       /* (K) */
	struct moment served[FRAME_USE_COUNT]; /* (K) when one of the waiting was last given a
						  frame */
	struct moment squeezed_since;          /* (K) */
	struct moment progress;      /* (K) when it was last certain that memory is not full */
	atomic_bool squeezed;        /* (A) faults have waited in vain (memorystatus/squeeze.c);
					written by the writer */
	atomic_uint frame_count;     /* (A) faults that wait for a frame */
	atomic_uint count;           /* (A) faults that wait, for a frame or for a limit */
	atomic_uint refused_count;   /* (A) faults on `refused` */
	atomic_uint tableless_count; /* (A) faults on `tableless` */
	atomic_uint tables_freed;    /* (A) times that table memory was given back while some were
					tableless: they are looked at again */
};

/* => 0 or -ENOMEM */
int frame_wait_create(struct daemon *d);
void frame_wait_destroy(struct daemon *d);

/* Now, as told by rounds of pageout and passes of the writer. Any thread. */
struct moment moment_now(const struct daemon *d);
/* Whether the client must do with the frames it has. Pages of a client in a side lane leave only as
 * fast as its locks let them: while others wait for frames it would end up with all of them. Where
 * nothing can leave at all it is treated like any other client. Any thread. */
bool lane_must_wait(const struct daemon *d, const struct task *task);

/* Keeps the fault until what it waits for is there, or forgets it (above). => false: the client is
 * dead */
bool frame_wait_keep(struct daemon *d, const struct fault *fault, enum wait_for wait);
/* The oldest fault that may run now, or must wait no longer, taken out with its reference. =>
 * VERDICT_WAIT: none */
enum wait_verdict frame_wait_take(struct daemon *d, struct fault *ret, enum wait_for *ret_wait);
/* A client for whose forgotten faults there is room again, taken out with its reference. Every
 * thread that has taken faults out asks for it. => NULL: none; no lock held */
struct task *frame_wait_overflowed(struct daemon *d);
/* Drops a dead task's faults. No lock held. */
void frame_wait_drop(struct daemon *d, struct task *task);

/* A page gets SIGBUS: its fault is kept if there is a place (refused faults get half of the pool at
 * most). */
void frame_wait_refused(struct daemon *d, const struct fault *fault, enum refusal why);
/* A refused fault that a server of the lane may answer now, taken out with its reference. => false:
 * none; no lock held */
bool frame_wait_take_refused(struct daemon *d, unsigned lane, struct fault *ret);
bool frame_wait_take_tableless(struct daemon *d, unsigned lane, struct fault *ret);
/* Forgets one refused fault of the task whose address is in [start, end). => false: there is
 * none */
bool frame_wait_forget_refused(
    struct daemon *d, struct task *task, uint64_t start, uint64_t end, uint64_t *ret_address);

/* Frames have been freed: parked faults may go on. Any thread. */
void frame_wait_freed(struct daemon *d);
/* Table memory has been given back: faults refused for want of it are looked at. Any thread, no
 * lock held. */
void frame_wait_tables_freed(struct daemon *d);

/* What has been tried since the fault that has waited longest for a frame began to wait, or since
 * one of its use was served. => false: none waits */
bool frame_wait_longest(struct daemon *d, struct moment *ret_tried);
/* Memory is not full: waiting faults begin to wait anew. Cheap if there are none. */
void frame_wait_progress(struct daemon *d);
/* Enters and leaves the squeeze. Runs on: the writer, after each pass. */
void frame_wait_judge(struct daemon *d);

#endif
