/* SPDX-License-Identifier: MIT
 *
 * Completions that other threads bring to a channel's: a ring of requests with their results, and a
 * descriptor that is readable while there are any. Locks: SWAPRING.
 */
#ifndef SWAPBOX_H
#define SWAPBOX_H

#include "swap_priv.h"

struct swap_fifo {
	struct swap_request **items; /* [depth], enough for all requests */
	unsigned first, count;
};

void swap_fifo_put(struct swap_fifo *f, unsigned depth, struct swap_request *r);
/* => it is not empty */
struct swap_request *swap_fifo_take(struct swap_fifo *f, unsigned depth);

/* (R) the lock, (C) set once. */
struct swap_box {
	struct lock lock;
	struct cond came;              /* (R) waited for by the channel's thread */
	unsigned depth;                /* (C) */
	int event_fd;                  /* (C) readable == `done` is not empty */
	struct swap_fifo done;         /* (R) */
	int *results;                  /* (R) [depth], of the request with that index */
	struct swap_request *requests; /* (C) index 0 */
};

/* => 0 or -errno; undone by _fini in any case */
int swap_box_init(struct swap_box *box, const struct swap_channel *ch);
void swap_box_fini(struct swap_box *box);
/* Any thread. result: bytes, or -errno. */
void swap_box_post(struct swap_box *box, struct swap_request *r, int result);
void swap_box_post_locked(struct swap_box *box, struct swap_request *r, int result);
/* As the operations of struct swapio_ops. */
bool swap_box_peek(struct swap_box *box, struct swap_request **ret_request, int *ret_result);
void swap_box_advance(struct swap_box *box);
void swap_box_wait(struct swap_box *box);

#endif
