/* SPDX-License-Identifier: MIT
 *
 * Channel I/O on servers: requests go to the threads of the servers (swapserver.c), and come back
 * into a box. Nothing in here waits for a server but `wait`. Runs on: the channel's thread.
 */
#include "swapserver.h"

#include <stdlib.h>

#include "check.h"

struct served {
	struct swap_box box;
	struct swap_fifo staged; /* the channel's thread's */
};

static void
served_close(struct swap_lane *lane)
{
	struct served *v = lane->io;

	swap_box_fini(&v->box);
	free(v->staged.items);
	free(v);
}

static int
served_open(struct swap_lane *lane)
{
	struct served *v = calloc(1, sizeof(*v));
	int error;

	if (!v)
		return -ENOMEM;
	lane->io = v;
	error = swap_box_init(&v->box, lane->channel);
	v->staged.items = calloc(lane->channel->depth, sizeof(struct swap_request *));
	if (!error && !v->staged.items)
		error = -ENOMEM;
	if (error)
		served_close(lane);
	return error;
}

static int
served_fd(struct swap_lane *lane)
{
	struct served *v = lane->io;

	return v->box.event_fd;
}

static void
served_queue(struct swap_lane *lane, struct swap_request *r)
{
	struct served *v = lane->io;

	r->box = &v->box;
	swap_fifo_put(&v->staged, v->box.depth, r);
}

static int
served_flush(struct swap_lane *lane)
{
	struct served *v = lane->io;

	while (v->staged.count > 0)
		swapserver_submit(swap_fifo_take(&v->staged, v->box.depth));
	return 0;
}

static bool
served_peek(struct swap_lane *lane, struct swap_request **ret_request, int *ret_result)
{
	struct served *v = lane->io;

	return swap_box_peek(&v->box, ret_request, ret_result);
}

static void
served_advance(struct swap_lane *lane)
{
	struct served *v = lane->io;

	swap_box_advance(&v->box);
}

static int
served_wait(struct swap_lane *lane)
{
	struct served *v = lane->io;

	(void)served_flush(lane);
	swap_box_wait(&v->box);
	return 0;
}

const struct swapio_ops swapio_nbd_ops = {
	.open = served_open,
	.close = served_close,
	.fd = served_fd,
	.queue = served_queue,
	.flush = served_flush,
	.peek = served_peek,
	.advance = served_advance,
	.wait = served_wait,
};
