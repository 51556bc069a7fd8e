/* SPDX-License-Identifier: MIT
 *
 * Channel I/O by pread and pwrite on helper threads: if io_uring is refused, and for tests.
 * Requests pass from the channel's thread to a helper at flush, and back when they are put into
 * the ring of completions.
 *
 *   channel's thread: queue -> staged[];  flush -> todo, wakes a helper (`work`)
 *   helper:           todo -> pread/pwrite -> the box of completions (swapbox.h)
 *
 * One helper serves swap. Other files may not answer, and must hold up no other request: helpers
 * for them are as many as have a request, and one more, which waits for the next. That one makes
 * another when it takes a request up. They are made when they are first wanted, and stay.
 *
 * Locks: SWAPRING; no I/O on files under it.
 */
#include "swapbox.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "own.h"

/* Of a helper: it has little on it. */
#define STACK_BYTES (128u << 10)

struct queue {
	struct swap_fifo todo; /* (R) */
	struct cond work;      /* (R) */
	unsigned idle;         /* (R) helpers that wait, or are about to */
	unsigned count;        /* (R) helpers, those that are being made among them */
	unsigned started;      /* (R) helpers that are there */
	unsigned most;         /* (C) */
	pthread_t *helpers;    /* (R) [most] */
	struct sync *sync;     /* (C) */
};

/* (R) SWAPRING lock, (C) set once, (T) the channel's thread. */
struct sync {
	struct swap_box box; /* its lock is the one meant */
	struct queue swap, files;
	bool stopping;           /* (R) */
	struct swap_fifo staged; /* (T) */
};

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
	if (r->direction == SWAP_SYNC)
		return fdatasync(r->place.fd) < 0 ? -errno : 0;
	n = r->direction == SWAP_READ ? pread(r->place.fd, start, r->piece, offset)
				      : pwrite(r->place.fd, start, r->piece, offset);

	return n < 0 ? -errno : (int)n;
}

static void *helper_main(void *arg);

/* One more helper, where there is none that waits and another may be made. It takes no signals:
 * they are left to the threads of the program. => 0 or -errno; the lock held, dropped meanwhile */
static int
helper_add_locked(struct queue *q)
{
	struct sync *y = q->sync;
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int error;

	lock_assert_held(&y->box.lock);
	if (q->idle > 0 || q->count == q->most || y->stopping)
		return 0;
	q->idle++;
	q->count++;
	lock_release(&y->box.lock);
	CHECK(pthread_attr_init(&attr) == 0);
	CHECK(pthread_attr_setstacksize(&attr, STACK_BYTES) == 0);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&thread, &attr, helper_main, q);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	lock_acquire(&y->box.lock);
	if (error) {
		q->idle--;
		q->count--;
	} else {
		q->helpers[q->started++] = thread;
	}
	return -error;
}

static void *
helper_main(void *arg)
{
	struct queue *q = arg;
	struct sync *y = q->sync;

	own_thread(q == &y->swap ? "swap-io" : "file-io");
	lock_acquire(&y->box.lock);
	for (;;) {
		while (q->todo.count == 0 && !y->stopping)
			cond_wait(&q->work, &y->box.lock);
		if (q->todo.count == 0)
			break;
		struct swap_request *r = swap_fifo_take(&q->todo, y->box.depth);
		q->idle--;
		/* Where that fails, the next request waits for this one. */
		(void)helper_add_locked(q);
		lock_release(&y->box.lock);
		int result = transfer(r);
		lock_acquire(&y->box.lock);
		q->idle++;
		swap_box_post_locked(&y->box, r, result);
	}
	lock_release(&y->box.lock);
	return NULL;
}

static int
queue_open(struct sync *y, struct queue *q, unsigned most)
{
	int error;

	q->sync = y;
	q->most = most;
	cond_init(&q->work);
	q->todo.items = calloc(y->box.depth, sizeof(struct swap_request *));
	q->helpers = calloc(most, sizeof(*q->helpers));
	if (!q->todo.items || !q->helpers)
		return -ENOMEM;
	lock_acquire(&y->box.lock);
	error = helper_add_locked(q);
	lock_release(&y->box.lock);
	return error;
}

/* => its helpers have been told to stop */
static void
queue_join(struct queue *q)
{
	for (unsigned i = 0; i < q->started; i++)
		CHECK(pthread_join(q->helpers[i], NULL) == 0);
}

static void
queue_free(struct queue *q)
{
	cond_fini(&q->work);
	free(q->todo.items);
	free(q->helpers);
}

static void
sync_free(struct sync *y)
{
	free(y->staged.items);
	queue_free(&y->swap);
	queue_free(&y->files);
	swap_box_fini(&y->box);
	free(y);
}

static void
helpers_stop(struct sync *y)
{
	lock_acquire(&y->box.lock);
	y->stopping = true;
	cond_broadcast(&y->swap.work);
	cond_broadcast(&y->files.work);
	lock_release(&y->box.lock);
	queue_join(&y->swap);
	queue_join(&y->files);
}

static int
sync_open(struct swap_lane *lane)
{
	struct sync *y = calloc(1, sizeof(*y));
	int error;

	if (!y)
		return -ENOMEM;
	error = swap_box_init(&y->box, lane->channel);
	y->staged.items = calloc(y->box.depth, sizeof(struct swap_request *));
	if (!error && !y->staged.items)
		error = -ENOMEM;
	if (!error)
		error = queue_open(y, &y->swap, 1);
	if (!error)
		error = queue_open(y, &y->files, y->box.depth);
	if (error) {
		helpers_stop(y);
		sync_free(y);
		return error;
	}
	lane->io = y;
	return 0;
}

static void
sync_close(struct swap_lane *lane)
{
	struct sync *y = lane->io;

	helpers_stop(y);
	sync_free(y);
}

static int
sync_fd(struct swap_lane *lane)
{
	struct sync *y = lane->io;

	return y->box.event_fd;
}

static void
sync_queue(struct swap_lane *lane, struct swap_request *r)
{
	struct sync *y = lane->io;

	swap_fifo_put(&y->staged, y->box.depth, r);
}

static int
sync_flush(struct swap_lane *lane)
{
	struct sync *y = lane->io;

	if (y->staged.count == 0)
		return 0;
	lock_acquire(&y->box.lock);
	while (y->staged.count > 0) {
		struct swap_request *r = swap_fifo_take(&y->staged, y->box.depth);
		struct queue *q = swap_request_is_swap(r) ? &y->swap : &y->files;

		swap_fifo_put(&q->todo, y->box.depth, r);
		cond_signal(&q->work);
	}
	lock_release(&y->box.lock);
	return 0;
}

static bool
sync_peek(struct swap_lane *lane, struct swap_request **ret_request, int *ret_result)
{
	struct sync *y = lane->io;

	return swap_box_peek(&y->box, ret_request, ret_result);
}

static void
sync_advance(struct swap_lane *lane)
{
	struct sync *y = lane->io;

	swap_box_advance(&y->box);
}

static int
sync_wait(struct swap_lane *lane)
{
	struct sync *y = lane->io;

	(void)sync_flush(lane);
	swap_box_wait(&y->box);
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
