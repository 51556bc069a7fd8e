/* SPDX-License-Identifier: MIT
 *
 * A pageout worker, with all that it has under way. Its fields are its own thread's, unless they
 * say otherwise; the watcher takes over pages that are not begun (worker_hand_over_locked).
 */
#ifndef WORKER_H
#define WORKER_H

#include "core/watch.h"
#include "daemon.h"
#include "pageq/pageq.h"
#include "pmap/zap.h"

#define PAGEOUT_BATCH_MAX 256u
_Static_assert(PAGEOUT_BATCH_MAX <= ZAP_MAX, "a batch is unmapped at once");

/* Victims that are chosen while PAGEQ is held once: faults wait for PAGEQ that long. Twice as many
 * pages are made inactive. */
#define CHOOSE_STEP 8u

struct pageout_worker {
	struct daemon *daemon;
	pthread_t thread;
	unsigned index;   /* (C) the compressor's segment that it fills is that of this number */
	unsigned lane;    /* whose clients' pages it launders */
	unsigned rank;    /* in the common lane: 0 is woken by threads that take frames, each other
			     worker by those of lower ranks */
	struct duty duty; /* below worker_count: its rank; from there on: its side lane */
	struct watch watch;
	struct stat_shard stats;
	struct hole hole; /* the range that it is about to punch at once: victims, which it holds
			     busy, and stored pages between them */
	void *bounce;     /* room for PAGEOUT_BATCH_MAX pages that are read from memfds */
	/* Pages that were made inactive, each with a reference on its object. The first `aged` of
	 * them are to lose their mappings, and the first `aged_begun` of those are losing them. */
	struct victim deactivated[PAGEOUT_BATCH_MAX];
	unsigned aged, aged_begun;
	/* The first `chosen` of them are the batch. The first `begun` of those are being laundered,
	 * or have been; the rest is LAUNDRY, not busy. Both numbers are written by the worker
	 * outside of its calls, and read by the watcher while the worker is inside of one. */
	struct victim victims[PAGEOUT_BATCH_MAX];
	unsigned chosen, begun;
	unsigned batches;     /* that it has laundered: it looks at the compressor's waste now and
				 then */
	unsigned batch;       /* victims of the next round. Fewer after a store has failed, since
				 pages that are not stored have to be given back */
	bool refused;         /* the compressor found no room for a page of the last batch */
	bool stayed;          /* pages of the last batch stayed for what may soon be over */
	unsigned passed_over; /* victims in a row that are for a side lane to launder */
	unsigned pins_pass;   /* pages that stayed in this turn until a transfer is over */
	bool met_volatile;    /* of the last round some were volatile: an object is to be purged in
				 their place */
	/* The range of which this worker has a part, or NULL. The worker changes it with PAGEQ
	 * held; the watcher hands it on while the worker is inside of a call that is not for pages
	 * of the range. */
	struct eviction *eviction;
	bool evicting;                /* the batch is pages of that range; written outside of
					 calls */
	uint64_t part_low, part_high; /* pages of the part that are still to be taken out */
	bool has_apart;             /* the compressor has a segment of its pages that keep apart */
	unsigned part_batch;        /* as batch, for the range's pages; 0: PART_BATCH */
	unsigned part_acceleration; /* the compressor's for the range's pages; 0: not chosen yet */
	unsigned acceleration;      /* the compressor's for this batch; 0: launder chooses */
	uint64_t zero_fills, refills; /* the daemon's counters when launder last looked at them */
	bool growing;                 /* more pages come from first touches than from where they
					 were stored */
};

#endif
