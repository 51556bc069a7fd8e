/* SPDX-License-Identifier: MIT
 *
 * Channel I/O by pread and pwrite on a helper thread: if io_uring is refused, and for tests.
 * Requests pass from the channel's thread to the helper at flush, and back when they are put into
 * the ring of completions.
 *
 *   channel's thread: queue -> staged[];  flush -> todo, wakes the helper (`work`)
 *   helper:           todo -> pread/pwrite -> done, eventfd readable, wakes a waiter (`came`)
 *
 * eventfd readable == `done` is not empty. Locks: SWAPRING; no I/O on files under it.
 */
#include "swap_priv.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

struct fifo {
	struct swap_request **items; /* [depth], enough for all requests */
	unsigned first, count;
};

/* (R) SWAPRING lock, (C) set once, (T) the channel's thread. */
struct sync {
	struct lock lock;
	struct cond work, came;        /* (R) */
	pthread_t helper;              /* (C) */
	unsigned depth;                /* (C) */
	int event_fd;                  /* (C) */
	bool stopping;                 /* (R) */
	struct fifo staged;            /* (T) */
	struct fifo todo, done;        /* (R) */
	int *results;                  /* (R) [depth], of the request with that index */
	struct swap_request *requests; /* (C) index 0 */
};

static void
fifo_put(struct fifo *f, unsigned depth, struct swap_request *r)
{
	CHECK(f->count < depth);
	f->items[(f->first + f->count++) % depth] = r;
}

static struct swap_request *
fifo_take(struct fifo *f, unsigned depth)
{
	struct swap_request *r = f->items[f->first];

	CHECK(f->count > 0);
	f->first = (f->first + 1) % depth;
	f->count--;
	return r;
}

static int
transfer(struct swap_request *r)
{
	char *start = r->buffer + r->done;
	off_t offset = (off_t)(r->place.offset + r->done);
	struct stat st;
	ssize_t n;

	if (r->direction == SWAP_SIZE) {
		if (fstat(r->place.fd, &st) < 0)
			return -errno;
		r->size.stx_size = (uint64_t)st.st_size;
		return 0;
	}
	n = r->direction == SWAP_READ ? pread(r->place.fd, start, r->piece, offset)
				      : pwrite(r->place.fd, start, r->piece, offset);

	return n < 0 ? -errno : (int)n;
}

static void *
helper_main(void *arg)
{
	struct sync *y = arg;
	uint64_t one = 1;

	pthread_setname_np(pthread_self(), "swap-io");
	lock_acquire(&y->lock);
	for (;;) {
		while (y->todo.count == 0 && !y->stopping)
			cond_wait(&y->work, &y->lock);
		if (y->todo.count == 0)
			break;
		struct swap_request *r = fifo_take(&y->todo, y->depth);
		lock_release(&y->lock);
		int result = transfer(r);
		lock_acquire(&y->lock);
		y->results[r - y->requests] = result;
		fifo_put(&y->done, y->depth, r);
		if (y->done.count == 1)
			CHECK(write(y->event_fd, &one, sizeof(one)) == sizeof(one));
		cond_signal(&y->came);
	}
	lock_release(&y->lock);
	return NULL;
}

static void
sync_free(struct sync *y)
{
	if (y->event_fd >= 0)
		close(y->event_fd);
	free(y->staged.items);
	free(y->todo.items);
	free(y->done.items);
	free(y->results);
	cond_fini(&y->work);
	cond_fini(&y->came);
	lock_fini(&y->lock);
	free(y);
}

/* The helper takes no signals: they are left to the threads of the program. */
static int
helper_start(struct sync *y)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&y->helper, NULL, helper_main, y);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

static int
sync_open(struct swap_channel *ch)
{
	struct sync *y = calloc(1, sizeof(*y));
	int error = 0;

	if (!y)
		return -ENOMEM;
	lock_init(&y->lock, RANK_SWAPRING);
	cond_init(&y->work);
	cond_init(&y->came);
	y->depth = ch->depth;
	y->requests = ch->requests;
	y->staged.items = calloc(y->depth, sizeof(struct swap_request *));
	y->todo.items = calloc(y->depth, sizeof(struct swap_request *));
	y->done.items = calloc(y->depth, sizeof(struct swap_request *));
	y->results = calloc(y->depth, sizeof(*y->results));
	if (!y->staged.items || !y->todo.items || !y->done.items || !y->results)
		error = -ENOMEM;
	y->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!error && y->event_fd < 0)
		error = -errno;
	if (!error)
		error = helper_start(y);
	if (error) {
		sync_free(y);
		return error;
	}
	ch->io = y;
	return 0;
}

static void
sync_close(struct swap_channel *ch)
{
	struct sync *y = ch->io;

	lock_acquire(&y->lock);
	y->stopping = true;
	cond_signal(&y->work);
	lock_release(&y->lock);
	CHECK(pthread_join(y->helper, NULL) == 0);
	sync_free(y);
}

static int
sync_fd(struct swap_channel *ch)
{
	struct sync *y = ch->io;

	return y->event_fd;
}

static void
sync_queue(struct swap_channel *ch, struct swap_request *r)
{
	struct sync *y = ch->io;

	fifo_put(&y->staged, y->depth, r);
}

static int
sync_flush(struct swap_channel *ch)
{
	struct sync *y = ch->io;

	if (y->staged.count == 0)
		return 0;
	lock_acquire(&y->lock);
	while (y->staged.count > 0)
		fifo_put(&y->todo, y->depth, fifo_take(&y->staged, y->depth));
	cond_signal(&y->work);
	lock_release(&y->lock);
	return 0;
}

static bool
sync_peek(struct swap_channel *ch, struct swap_request **ret_request, int *ret_result)
{
	struct sync *y = ch->io;
	bool found;

	lock_acquire(&y->lock);
	found = y->done.count > 0;
	if (found) {
		*ret_request = y->done.items[y->done.first];
		*ret_result = y->results[*ret_request - y->requests];
	}
	lock_release(&y->lock);
	return found;
}

static void
sync_advance(struct swap_channel *ch)
{
	struct sync *y = ch->io;
	uint64_t count;

	lock_acquire(&y->lock);
	(void)fifo_take(&y->done, y->depth);
	if (y->done.count == 0)
		CHECK(read(y->event_fd, &count, sizeof(count)) == sizeof(count));
	lock_release(&y->lock);
}

static int
sync_wait(struct swap_channel *ch)
{
	struct sync *y = ch->io;

	(void)sync_flush(ch);
	lock_acquire(&y->lock);
	while (y->done.count == 0)
		cond_wait(&y->came, &y->lock);
	lock_release(&y->lock);
	return 0;
}

const struct swapio_ops swapio_sync_ops = {
	.open = sync_open,
	.close = sync_close,
	.fd = sync_fd,
	.queue = sync_queue,
	.flush = sync_flush,
	.peek = sync_peek,
	.advance = sync_advance,
	.wait = sync_wait,
};
