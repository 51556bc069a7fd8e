/* SPDX-License-Identifier: MIT
 *
 * Faults that are kept: a pool made at start, and lists of its places. frame_wait.h has those that
 * wait, refused.h those that were refused.
 */
#ifndef PARK_H
#define PARK_H

#include <stdbool.h>
#include <stdint.h>

#include "atomics.h"
#include "lock.h"
#include "memorystatus/squeeze.h"
#include "vm/books.h"
#include "vm/frame_use.h"

struct daemon;

struct fault {
	struct task *task; /* with a reference where the fault is kept */
	uint64_t address;
	uint32_t flags; /* UFFD_FAULT_* */
	uint32_t thread;
	uint64_t start_ns;
	bool has_waited;         /* for a frame */
	bool is_kept;            /* it was put aside: its thread may have left the touch since */
	bool is_ahead;           /* nobody has touched the page yet: fault/zero_ahead.h */
	bool is_refused;         /* its page has poison: no thread waits for the answer */
	uint64_t again_ns;       /* refused once more: it is not looked at before this time. Of
				    WAIT_DIRTY: it is looked at then, whatever has been written */
	uint32_t dirty_turn;     /* of WAIT_DIRTY: share_account.dirty_turn when it began to wait */
	uint32_t again_after_ns; /* how long that was put off; 0: not yet */
	struct moment since;     /* when it began to wait for a frame */
	uint64_t window_since_ns; /* when a recording's window first held it up; 0: none does */
};

/* What a fault waits for. */
enum wait_for {
	WAIT_FIRST, /* a frame, for a first touch */
	WAIT_WRITE, /* a frame, for a write to a stored page, or to one that is clean */
	WAIT_READ,  /* a frame, for a read of a stored page */
	WAIT_LIMIT, /* pages of the client's own to leave */
	WAIT_DIRTY, /* dirty pages of the user's files to be written */
};

/* Why a fault was answered with SIGBUS. */
enum refusal {
	REFUSED_FRAMES, /* nothing can leave and nothing is free */
	REFUSED_TABLES, /* its client may have no more table memory */
	REFUSED_PLACE,  /* the pager has no such page now, or cannot read it: a file has ended */
	REFUSAL_COUNT
};

/* The pool's first place is not used, so that an empty list is all zeroes. */
#define PARK_NONE 0u

struct parked_fault {
	struct fault fault; /* with a task reference */
	enum wait_for wait; /* what it waits for; not of refused faults */
	bool is_patient;    /* counted in patient_count */
	uint64_t ticket;    /* order of arrival, over all lists */
	uint32_t next;
};

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
	struct park_list
	    placeless;            /* (K) REFUSED_PLACE: answered when the pager may have the page */
	struct park_list storing; /* (K) WAIT_DIRTY: stores into files */
	uint64_t next_ticket;     /* (K) */
	struct moment served[FRAME_USE_COUNT]; /* (K) when one of the waiting was last given a
						  frame */
	struct moment squeezed_since;          /* (K) */
	struct moment progress;      /* (K) when it was last certain that memory is not full */
	atomic_bool squeezed;        /* (A) faults have waited in vain (memorystatus/squeeze.c);
					written by the writer */
	atomic_uint frame_count;     /* (A) faults that wait for a frame */
	atomic_uint patient_count;   /* (A) of these, faults of clients that do not make pages fast
					(creation.h) */
	atomic_uint count;           /* (A) faults that wait, for a frame or for a limit */
	atomic_uint refused_count;   /* (A) faults on `refused` */
	atomic_uint tableless_count; /* (A) faults on `tableless` */
	atomic_uint placeless_count; /* (A) faults on `placeless` */
	atomic_uint storing_count;   /* (A) faults on `storing` */
	atomic_uint storing_changed; /* (A) times that they were to be looked at */
	atomic_uint places_changed;  /* (A) times that the placeless were to be looked at */
	atomic_uint tables_freed;  /* (A) times that table memory was given back, or may have been,
				      while some were tableless: they are looked at again */
	uint64_t tables_looked_ns; /* the writer's: when it last had them looked at */
};

/* => 0 or -ENOMEM */
int park_create(struct daemon *d);
void park_destroy(struct daemon *d);

/* => the fault's place, or PARK_NONE: none is left; PARK held */
uint32_t park_keep_locked(
    struct park *k, struct park_list *l, const struct fault *fault, enum wait_for wait);
/* Takes a fault out of the list and gives its place back; its reference is the caller's. previous:
 * the place before it, or PARK_NONE. => PARK held */
void park_unlink_locked(struct park *k, struct park_list *l, uint32_t i, uint32_t previous);

#endif
