/* SPDX-License-Identifier: MIT
 *
 * Bells: how a thread that waits in poll is told that there is something for it. Each fault
 * server's seat owns one. A thread that has freed frames rings, and need not know which server
 * answers.
 */
#ifndef BELL_H
#define BELL_H

#include <stdbool.h>

#include "atomics.h"
#include "base.h"

struct bell {
	int fd;           /* (C) eventfd, which the owner polls */
	atomic_bool rung; /* (A) and not answered yet */
	/* (A) Points to a flag of the thread that answers: whether it runs behind all others, so
	 * that it may come late. NULL: it does not. */
	_Atomic(const atomic_bool *) is_behind;
};

struct bells {
	struct bell *bells;    /* (C) */
	unsigned count;        /* (C) of all bells */
	unsigned common;       /* (C) of the first ones, which stand for one another */
	_Atomic unsigned next; /* (A) of the common ones: round robin */
};

/* common: at least 1. => 0 or -errno */
int bells_create(struct bells *bells, unsigned count, unsigned common);
void bells_destroy(struct bells *bells);
/* Wakes the bell's owner. Any thread. */
void bell_ring(struct bell *bell);
/* The owner has come. After this it sees everything that preceded the ring. */
void bell_answer(struct bell *bell);
/* One of the common bells, and all of these where its owner may come late. Any thread. */
void bells_ring_one(struct bells *bells);
void bells_ring_all(struct bells *bells);

#endif
