/* SPDX-License-Identifier: MIT
 *
 * A pageout worker, with all that it has under way.
 */
#ifndef WORKER_H
#define WORKER_H

#include "core/watch.h"
#include "daemon.h"
#include "pageq/pageq.h"
#include "pmap/zap.h"

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

#endif
