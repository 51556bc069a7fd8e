/* SPDX-License-Identifier: MIT
 *
 * Side lanes' victims. The policy knows no lanes: a worker that meets a victim whose client is
 * served by a side lane hands it to that lane's worker.
 */
#ifndef SIDE_H
#define SIDE_H

#include <stdbool.h>

#include "lock.h"

struct daemon;
struct victim;

/* Victims that a queue holds. A side lane's worker chooses no victims by itself: what does not fit
 * stays in memory. */
#define SIDE_VICTIMS 256u

/* Letters on fields: daemon.h. */
struct side_queue {
	struct victim *victims; /* (Q) a ring of SIDE_VICTIMS */
	unsigned first, count;  /* (Q) of the ring: the oldest victim, and how many there are */
	struct cond wanted;     /* waited for by the lane's worker, signalled by the thread that has
				   work for it */
};

/* => 0 or -ENOMEM */
int side_create(struct daemon *d);
void side_destroy(struct daemon *d);
/* A victim (LAUNDRY) becomes the lane's to launder; if the queue is full, the page stays. => PAGEQ
 * held */
void side_give_locked(struct daemon *d, unsigned lane, const struct victim *v);
/* Up to `want` victims that the lane was given. => how many. Runs on: the lane's worker, no lock
 * held */
unsigned side_take(struct daemon *d, unsigned lane, unsigned want, struct victim *ret);
/* Whether the lane has victims, or clients over their limit. => PAGEQ held */
bool side_wanted_locked(const struct daemon *d, unsigned lane);
/* The workers of all side lanes look again. Any thread, no lock at or below PAGEQ held */
void side_wake(struct daemon *d);

#endif
