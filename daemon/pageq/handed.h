/* SPDX-License-Identifier: MIT
 *
 * Pages that are to leave because a fault server found that their places are empty. A fault server
 * takes nothing out of memory: it hands the page to a worker of its object's lane.
 */
#ifndef HANDED_H
#define HANDED_H

#include <stdbool.h>

#include "pageq/victim.h"

struct daemon;

/* Pages that a lane's queue holds. */
#define HANDED_MAX 64u

/* Letters on fields: daemon.h. */
struct handed_queue {
	struct victim victims[HANDED_MAX]; /* (Q) a ring; each CLEANING, busy, with its copy and a
					      reference on its object */
	unsigned first, count;             /* (Q) of the ring */
};

/* The page is the lane's worker's to take out. => false: the queue is full; PAGEQ held */
bool handed_give_locked(struct daemon *d, unsigned lane, const struct victim *v);
/* The oldest page of the lane. => false: there is none; no lock held */
bool handed_take(struct daemon *d, unsigned lane, struct victim *ret);
/* Whether there is one. => PAGEQ held */
bool handed_wanted_locked(const struct daemon *d, unsigned lane);

#endif
