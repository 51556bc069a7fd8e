/* SPDX-License-Identifier: MIT
 *
 * What the memorystatus thread (memorystatus.h) knows and says.
 */
#ifndef STATUS_H
#define STATUS_H

#include <pthread.h>
#include "atomics.h"
#include "lock.h"
#include "memorystatus/events.h"
#include "memorystatus/freeze.h"
#include "memorystatus/freeze_policy.h"
#include "memorystatus/jetsam.h"
#include "memorystatus/notice.h"
#include "memorystatus/thrash.h"
#include "vm/ledger_walk.h"

struct daemon;
struct process;
struct task;

#define PRESSURE_MEASURED (-1) /* no level is simulated */

struct memorystatus {
	pthread_t thread;
	struct lock lock;   /* covers asked and stopping; leaf */
	struct cond wanted; /* the thread waits for it, at most MEMORYSTATUS_TICK_NS; signalled by
			       memorystatus_want and memorystatus_stop */
	bool asked, stopping;
	/* The thread's own. */
	bool is_timed; /* something that the last look found will be over, or begin, by itself */
	struct pressure_hold hold;
	struct notice_client *clients; /* with their tasks, room for all */
	struct task **tasks;
	size_t count;
	struct process **processes; /* with room for all, and as jetsam sees them */
	struct jetsam_process *choices;
	struct freeze_candidate *candidates; /* likewise as the freezer does */
	uint32_t process_count;
	struct ledger_walk walk; /* bills that are compared with the pages */
	struct jetsam_settle settle;
	struct thrash thrash;
	uint64_t told_ns;  /* when the last notice was sent */
	uint64_t short_ns; /* since when less was available than the level of warning; 0: more is */
	uint64_t began_ns; /* when what is announced was announced, or said again */
	uint64_t last_sent;  /* number of the last notice */
	bool purge_asked;    /* workers were asked to purge at the last look */
	unsigned purge_vain; /* looks in a row in which that was in vain */
	/* (A) for readers: written by the thread. */
	atomic_uint level, announced, host, available;
	atomic_bool is_thrashing;
	atomic_uint creators; /* clients that make pages fast */
	atomic_bool
	    can_help; /* (A) somebody can be ended, or is being ended, where memory is full */
	atomic_ullong most_bytes; /* (A) that an administrator wants the daemon to hold; the
				     machine may leave it less. Written by the control loop */
	struct events events;
	struct freezes freezes;
	atomic_int simulated; /* (A) a level, or PRESSURE_MEASURED; written by the control loop */
};

#endif
