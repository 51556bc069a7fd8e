/* SPDX-License-Identifier: MIT
 *
 * The cleaner's own, as its files share it.
 */
#ifndef CLEANER_PRIV_H
#define CLEANER_PRIV_H

#include <pthread.h>

#include "core/stats.h"
#include "daemon.h"
#include "swap.h"
#include "upl/upl.h"
#include "vm/vm_object.h"

/* Runs under way at a time: of all files, of one user's, and of one object. A file system that does
 * not answer keeps its own. */
#define RUNS_MAX        16u
#define RUNS_USER_MAX   8u
#define RUNS_OBJECT_MAX 4u
/* Likewise fdatasyncs. Their cookies follow those of runs. */
#define SYNCS_MAX        16u
#define SYNCS_USER_MAX   8u
#define SYNCS_OBJECT_MAX 4u
#define SYNC_COOKIES     (RUNS_MAX * RUN_PAGES_MAX)
/* Bytes and pages that a run writes, and pages of the range that they lie in. */
#define RUN_BYTES     (256u << 10)
#define RUN_PAGES_MAX 64u
#define RUN_SPAN      1024u

enum run_stage {
	RUN_FREE,
	RUN_GATHERS, /* a hand has it, or will have it: clean_run_gather */
	RUN_SIZE,    /* the size of the content is asked for */
	RUN_WRITES,
	RUN_LEAVES, /* some of its pages are to leave: clean_run_leave */
};

/* Neighbouring pages of a run. */
struct clean_piece {
	unsigned from, count;    /* pages of the list */
	unsigned at;             /* where they begin in the buffer, pages */
	uint64_t bytes, written; /* from the first byte on: within the content, and those written */
	bool leaves;             /* written, and to leave memory */
};

/* Pages on their way to their places: a page list, whose content is in the buffer. */
struct clean_run {
	enum run_stage stage;
	struct clean_request *request; /* RUN_GATHERS: for which */
	uint64_t low, high;            /* pages of which it may have some */
	enum upl_stop stop;            /* here and below: RUN_GATHERS, the hand's */
	bool has_content;
	struct upl *list;         /* in `memory` */
	struct vm_object *object; /* the list's, which has a reference */
	bool leaves;              /* they are to leave memory */
	bool is_late;             /* it has taken long: others do not count on it */
	bool is_forgotten;        /* its pages were given up as it was under way: nobody waits for
				     it, and how it ends concerns nobody */
	unsigned ends_seen;       /* external.run_ends when it was begun */
	uid_t uid;                /* of the task that pays */
	void *buffer;
	uint64_t number;      /* ascending */
	uint64_t start_ns;    /* when it was begun */
	unsigned pieces_left; /* whose writes are under way */
	int error;            /* -errno of a write */
	unsigned piece_count;
	struct clean_piece pieces[RUN_PAGES_MAX];
	_Alignas(struct upl) char memory[UPL_BYTES(RUN_SPAN)];
};

/* What was written to an object's file goes to the disk. */
struct clean_sync {
	struct vm_object *object;      /* with a reference; NULL: unused */
	struct clean_request *request; /* NULL: nobody waits for it any more */
	uid_t uid;                     /* of the task that pays */
	uint64_t start_ns;
	bool is_late;
};

/* Hands (pageout/clean_hand.h): of the common lane, and one for each side lane. */
#define HANDS_COMMON 4u
#define CLEAN_HANDS  CLEANER_HANDS
_Static_assert(CLEAN_HANDS == HANDS_COMMON + SIDE_LANES, "as many shards as hands");
/* Works that wait, are being done, or are done, at a time. */
#define CLEAN_WORKS 512u

enum clean_what { WORK_GATHER, WORK_LEAVE, WORK_VISIT };

/* What a hand is to do, and how it went. */
struct clean_work {
	enum clean_what what;
	struct clean_run *run;    /* GATHER, LEAVE */
	struct vm_object *object; /* the run's; VISIT: with a reference of the cleaner's */
	unsigned why;             /* VISIT: enum visit */
	bool met_busy;            /* VISIT: pages that were to be dropped are in transit */
	bool met_dirty;           /* VISIT: and so are some that were to be given up */
	uid_t uid;                /* of the task that pays */
	struct clean_work *next;  /* under the hands' lock */
};

struct clean_queue {
	struct clean_work *first, *last;
};

struct clean_hand {
	struct clean_hands *hands; /* (C) */
	pthread_t thread;          /* (C) */
	unsigned lane;             /* (C) */
	struct watch watch;
	struct stat_shard stats;
	struct hole hole;
	struct clean_work *work; /* under the hands' lock: what it is at, or NULL */
};

struct clean_hands {
	struct lock lock;  /* covers all below without a letter; leaf */
	struct cond given; /* hands wait for work; broadcast by the cleaner, and by hands */
	int bell;          /* (C) readable while there may be work that is done */
	bool is_made;      /* (C) */
	unsigned started;  /* (C) */
	bool stopping;
	unsigned unused_count;
	struct clean_queue unused, done, queues[1 + SIDE_LANES];
	struct clean_work works[CLEAN_WORKS];
	struct clean_hand hands[CLEAN_HANDS];
};

struct cleaner {
	struct daemon *daemon;
	pthread_t thread;
	struct stat_shard stats;
	struct clean_hands hands;
	unsigned in_hands; /* works that have been given and not taken back */
	int epoll;
	atomic_bool stopping;
	struct swap_channel *channel;
	struct clean_run runs[RUNS_MAX];
	unsigned in_flight; /* runs that are not free */
	struct clean_sync syncs[SYNCS_MAX];
	unsigned syncing; /* those that are used */
	uint64_t number;  /* of the last run */
	struct clean_request *active;
	bool must_try_again; /* something was in transit: the next turn comes soon */
	bool is_due;         /* the objects are to be gone through */
	bool are_left;       /* there was no place for a visit to one of them */
	bool has_timed;      /* one of them is to be looked at again, whoever rings */
	uint64_t looked_ns;  /* when they last were */
	uint64_t asked_ns;   /* when refused faults were last looked at */
};

/* => 0 or -errno; for RUNS_MAX runs, each piece of which may be written at the same time */
int clean_channel_create(const struct daemon *d, struct swap_channel **ret);
/* A run for the request's next dirty pages, which is to gather them: RUN_GATHERS. => NULL: there
 * are none (r->at is r->high), or none can be begun now */
struct clean_run *clean_run_begin(struct cleaner *c, struct clean_request *r);
/* Its pages are gathered, copied and let go. Any thread, no lock held */
void clean_run_gather(struct clean_run *run);
/* That has been done: its writes begin, and r->at moves on, or the run ends without pages;
 * cleaner.must_try_again says whether nobody will ring when there may be some. */
void clean_run_gathered(struct cleaner *c, struct clean_run *run);
/* A transfer has ended. At the end of the last one the run ends, or is RUN_LEAVES. */
void clean_run_step(struct cleaner *c, const struct swap_completion *done);
/* Pages of a run that is RUN_LEAVES leave memory. Any thread, no lock held */
void clean_run_leave(struct clean_run *run, struct stat_shard stats, struct hole *hole);
/* They have left. */
void clean_run_end(struct cleaner *c, struct clean_run *run);
/* The request's pages are in their places: what it asks for is on the disk. => false: not yet */
bool clean_sync_request(struct cleaner *c, struct clean_request *r);
/* Nobody waits for the request any more: what is under way for it goes on without it. */
void clean_sync_leave(struct cleaner *c, const struct clean_request *r);
/* An fdatasync has ended. */
void clean_sync_end(struct cleaner *c, const struct swap_completion *done);
/* Those that take long are told of. */
void clean_syncs_look(struct cleaner *c, uint64_t now_ns);
/* Whether the run has pages of [low, high) under way. */
static inline bool
clean_run_overlaps(
    const struct clean_run *run, const struct vm_object *o, uint64_t low, uint64_t high)
{
	return run->stage != RUN_FREE && run->object == o && run->low < high && run->high > low;
}

#endif
