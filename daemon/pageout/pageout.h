/* SPDX-License-Identifier: MIT
 *
 * Pageout: keeps frames free. Each worker runs the whole of it: ages active pages (their mappings
 * go), takes the policy's victims with their neighbours, and launders them: write-protect,
 * compress, punch, publish, free. Work starts below free_min and stops at free_target; the second
 * and later workers join only when the first does not keep up.
 */
#ifndef PAGEOUT_H
#define PAGEOUT_H

#include "daemon.h"
#include "pageq/pageq.h"
#include "pageq/side.h"
#include "pagers/store.h"
#include "pmap/zap.h"
#include "core/watch.h"

#define PAGEOUT_BATCH_MAX 256u
_Static_assert(PAGEOUT_BATCH_MAX <= ZAP_MAX, "a batch is unmapped at once");

struct pageout_worker {
	struct daemon *daemon;
	pthread_t thread;
	unsigned index; /* (C) of the compressor's segment that it fills */
	/* Its own thread's; those of the common lane have ranks: 0 is woken by who takes frames,
	 * each other one by those before it. */
	unsigned rank, lane;
	struct duty duty; /* its rank, or worker_count and behind: its lane */
	struct watch watch;
	struct stat_shard stats;
	struct hole hole; /* that it is about to punch in one piece: its victims, held busy, and
			     stored pages between them */
	void *bounce;     /* PAGEOUT_BATCH_MAX pages at most, read from memfds */
	struct victim deactivated[PAGEOUT_BATCH_MAX];
	unsigned
	    aged; /* of those: to lose their mappings yet, each with a reference on its object */
	unsigned aged_begun; /* and of those so many are being unmapped */
	struct victim victims[PAGEOUT_BATCH_MAX];
	/* So many of them form the batch, and so many of those are being laundered or have been.
	 * The rest is LAUNDRY, not busy. Written by the worker outside of its calls, read by the
	 * watcher while it is inside of one. */
	unsigned chosen, begun;
	unsigned batches; /* laundered, to look at the compressor's waste now and then */
	unsigned batch;   /* victims of the next round: fewer after a store has failed, for so many
			     would stay */
	bool refused;     /* in the last batch the compressor found no room for a page */
	unsigned passed_over; /* victims in a row that are for a side lane to launder */
	/* Of which this worker has a part; NULL: none. Its own thread's, with PAGEQ; the watcher
	 * hands it on while the worker is inside of a call that is not for pages of it. */
	struct eviction *eviction;
	bool evicting;                /* at pages of it. Written outside of calls */
	uint64_t part_low, part_high; /* pages of it that this worker takes out yet */
	unsigned part_batch;          /* as batch, for these */
	unsigned part_acceleration;   /* to press these with; 0: as any others */
	unsigned acceleration;        /* to press this batch with; 0: by launder's own rule */
	uint64_t zero_fills, refills; /* of the daemon, when last looked at */
	bool growing; /* pages come from first touches rather than back from where they were stored
		       */
};

int pageout_start(struct daemon *d);
void pageout_stop(struct daemon *d);
void pageout_fini(struct daemon *d);

/* pageout/launder.c. The first w->chosen of w->victims, sorted, an object after the other: while
 * one client holds a call up no page of another is busy. What is another lane's goes to that lane's
 * worker. => frames freed */
unsigned launder(struct pageout_worker *w);
/* Victims of one object that are CLEANING and ours already, sorted. => frames freed */
unsigned launder_begun(struct pageout_worker *w, struct victim *victims, unsigned count);

/* pageout/evict.c: a range leaves at its owner's wish (region/evict.c asks). */
/* What to press the next batch with, after one that was pressed with `now`; 0: as any other pages.
 * Pure. */
unsigned evict_acceleration(
    unsigned now, unsigned least, unsigned most, bool goes_on_to_swap, bool refused);
/* Whether a worker of that lane finds a part of one to take up. => PAGEQ held */
bool evict_wanted_locked(const struct daemon *d, unsigned lane);
/* Takes out a batch of the worker's part. *ret_freed: frames. => false: there was nothing to do, or
 * no room */
bool evict_round(struct pageout_worker *w, unsigned *ret_freed);

/* pageout/writeback.c */
int writeback_start(struct daemon *d);
void writeback_stop(struct daemon *d);
void writeback_fini(struct daemon *d);
/* The compressor is large or wasteful: swap out or compact. Any thread. */
void writeback_want(struct daemon *d);

#endif
