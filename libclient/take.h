/* SPDX-License-Identifier: MIT
 *
 * A managed range becomes ordinary memory, a chunk at a time: take.c.
 */
#ifndef TAKE_H
#define TAKE_H

#include "pager_priv.h"

/* Where a range's memory is made: private anonymous memory of its size, which is moved over it. */
struct room {
	uint64_t start, end; /* of the range */
	uint64_t at;         /* address of the room */
};

/* => 0 or -ENOMEM */
int room_make(uint64_t start, uint64_t end, struct room *ret);
/* Unmaps what has not been moved. */
void room_end(const struct room *room);
/* Takes all of it. => 0; -ENOTCONN: the daemon has gone, and the rest is as it was; change_lock
 * held, on the agent, and the daemon has agreed (BEGIN) */
int room_take(struct pager *p, const struct room *room);

/* A millisecond, where nothing says when to go on. */
void take_nap(void);

#endif
