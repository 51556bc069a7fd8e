/* SPDX-License-Identifier: MIT
 *
 * Completions that other threads bring to a channel's. Runs on: the channel's thread, and those
 * that do its transfers. Allocates in init only.
 */
#include "swapbox.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "check.h"

void
swap_fifo_put(struct swap_fifo *f, unsigned depth, struct swap_request *r)
{
	CHECK(f->count < depth);
	f->items[(f->first + f->count++) % depth] = r;
}

struct swap_request *
swap_fifo_take(struct swap_fifo *f, unsigned depth)
{
	struct swap_request *r = f->items[f->first];

	CHECK(f->count > 0);
	f->first = (f->first + 1) % depth;
	f->count--;
	return r;
}

int
swap_box_init(struct swap_box *box, const struct swap_channel *ch)
{
	lock_init(&box->lock, RANK_SWAPRING);
	cond_init(&box->came);
	box->depth = ch->depth;
	box->requests = ch->requests;
	box->done.items = calloc(box->depth, sizeof(struct swap_request *));
	box->results = calloc(box->depth, sizeof(*box->results));
	box->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (box->event_fd < 0)
		return -errno;
	return box->done.items && box->results ? 0 : -ENOMEM;
}

void
swap_box_fini(struct swap_box *box)
{
	if (box->event_fd >= 0)
		close(box->event_fd);
	free(box->done.items);
	free(box->results);
	cond_fini(&box->came);
	lock_fini(&box->lock);
}

void
swap_box_post_locked(struct swap_box *box, struct swap_request *r, int result)
{
	uint64_t one = 1;

	lock_assert_held(&box->lock);
	box->results[r - box->requests] = result;
	swap_fifo_put(&box->done, box->depth, r);
	if (box->done.count == 1)
		CHECK(write(box->event_fd, &one, sizeof(one)) == sizeof(one));
	cond_signal(&box->came);
}

void
swap_box_post(struct swap_box *box, struct swap_request *r, int result)
{
	lock_acquire(&box->lock);
	swap_box_post_locked(box, r, result);
	lock_release(&box->lock);
}

bool
swap_box_peek(struct swap_box *box, struct swap_request **ret_request, int *ret_result)
{
	bool found;

	lock_acquire(&box->lock);
	found = box->done.count > 0;
	if (found) {
		*ret_request = box->done.items[box->done.first];
		*ret_result = box->results[*ret_request - box->requests];
	}
	lock_release(&box->lock);
	return found;
}

void
swap_box_advance(struct swap_box *box)
{
	uint64_t count;

	lock_acquire(&box->lock);
	(void)swap_fifo_take(&box->done, box->depth);
	if (box->done.count == 0)
		CHECK(read(box->event_fd, &count, sizeof(count)) == sizeof(count));
	lock_release(&box->lock);
}

void
swap_box_wait(struct swap_box *box)
{
	lock_acquire(&box->lock);
	while (box->done.count == 0)
		cond_wait(&box->came, &box->lock);
	lock_release(&box->lock);
}
