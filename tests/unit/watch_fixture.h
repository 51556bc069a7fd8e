/* SPDX-License-Identifier: MIT
 *
 * A watcher that looks when the test says so, a client, and threads that the test controls.
 */
#ifndef WATCH_FIXTURE_H
#define WATCH_FIXTURE_H

#include "c_unit.h"

#include <pthread.h>
#include <semaphore.h>

#include "fault/fault.h"
#include "pageout/pageout.h"
#include "pageq/side.h"

#define HELD_LOOKS 3u /* looks until a thread is taken for held up */
/* Looks until a client is ended for a memfd's lock: if its holder is seen, and if it is not. */
#define SEEN_LOOKS   (200 / WATCH_TICK_MS)
#define UNSEEN_LOOKS (5000 / WATCH_TICK_MS)

/* A thread that the test controls, inside and outside of calls. */
struct actor {
	struct watch watch;
	pthread_t thread;
	sem_t orders, done;
	enum { ENTER, LEAVE, SPIN, END } order;
	enum watch_call call;
	uint64_t client;
	int memfd;
	atomic_bool spins, is_relieved;
	unsigned relieved; /* times that the watcher asked for it */
	bool refuses;      /* no thread stands by to take over */
};

void actor_tell(struct actor *a, int order);
/* Enters the call and runs in it, until actor_spin_end. */
void actor_spin(struct actor *a);
void actor_spin_end(struct actor *a);
void actor_begin(struct unit *u, struct actor *a, enum watch_call call);
void actor_finish(struct actor *a);
void watched_start(struct unit *u, struct actor *a, enum watch_call call);
void watched_stop(struct unit *u, struct actor *a);
void watched_look(struct unit *u, unsigned times);
/* A look finds the thread in each of its calls, and in none of them twice. */
void actor_short_calls(struct unit *u, struct actor *a, unsigned times);
uint64_t watched_counted(struct unit *u, enum stat_index index);

#endif
