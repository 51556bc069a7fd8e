/* SPDX-License-Identifier: MIT
 *
 * Closing descriptors that came from clients. Runs on: the closers' own threads; closer_close on
 * any. One lock, a leaf, which is not held while closing.
 */
#include "core/closer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "clock.h"
#include "daemon.h"
#include "own.h"

/* At its end the daemon waits this long for descriptors to be closed; the end of the process closes
 * the rest. */
#define STOP_NS 500000000ull
/* More descriptors than anybody has: one each for the objects, and a few for each session. */
#define ROOM_MAX (1u << 22)

/* A descriptor that is to be closed. There is one for each number that a descriptor can have:
 * queueing needs no memory. */
struct closing {
	int next; /* in its queue; -1: the last */
	pid_t pid;
	uid_t uid;
};

struct queue {
	int head, tail; /* -1: empty */
	unsigned count;
};

struct closer_thread {
	struct closer *closer;
	pthread_t thread;
	struct closing closing; /* whose descriptor it closes: by then the descriptor's number is
				   free for others */
	bool late;
};

/* `lock` covers all of it but the first three. */
struct closer {
	struct daemon *daemon;
	struct closing
	    *closings; /* by descriptor; an entry is used while its descriptor is in a queue */
	unsigned room;
	struct lock lock;
	struct cond work; /* idle threads wait; signalled by a thread that brings a descriptor, and
			     by one that begins to close, since another must stand by */
	struct cond relief; /* the thread that stands by waits, for CLOSER_LATE_NS at a time;
			       broadcast by closer_stop */
	struct cond ended;  /* closer_stop waits; signalled by threads that end */
	struct queue queue, aside;
	struct closer_thread threads[CLOSER_THREADS];
	struct closer_thread *at_work; /* closes, and is not late */
	bool has_standby, stopping;
	unsigned late, running;
	uint64_t begun; /* close calls */
};

static void
queue_put(struct closer *c, struct queue *q, int fd)
{
	lock_assert_held(&c->lock);
	CHECK(fd >= 0 && (unsigned)fd < c->room);
	c->closings[fd].next = -1;
	if (q->tail >= 0)
		c->closings[q->tail].next = fd;
	else
		q->head = fd;
	q->tail = fd;
	q->count++;
}

static int
queue_get(struct closer *c, struct queue *q)
{
	int fd = q->head;

	lock_assert_held(&c->lock);
	CHECK(q->count > 0 && fd >= 0);
	q->head = c->closings[fd].next;
	if (q->head < 0)
		q->tail = -1;
	q->count--;
	return fd;
}

static void
queue_splice(struct closer *c, struct queue *to, struct queue *from)
{
	while (from->count > 0)
		queue_put(c, to, queue_get(c, from));
}

/* => lock held */
static unsigned
late_of(const struct closer *c, uid_t uid)
{
	unsigned count = 0;

	lock_assert_held(&c->lock);
	for (unsigned i = 0; i < CLOSER_THREADS; i++)
		count += c->threads[i].late && c->threads[i].closing.uid == uid;
	return count;
}

/* The next descriptor that a thread may be put at risk for. One thread always stands by; one more
 * is kept for users of whom none is late. => -1: none now; lock held */
static int
take(struct closer *c)
{
	unsigned free_threads = CLOSER_THREADS - c->late;

	lock_assert_held(&c->lock);
	while (c->queue.count > 0) {
		unsigned own = late_of(c, c->closings[c->queue.head].uid);

		if (own == 0)
			return free_threads > 1 ? queue_get(c, &c->queue) : -1;
		if (own < CLOSER_USER_MAX && free_threads > 2)
			return queue_get(c, &c->queue);
		queue_put(c, &c->aside, queue_get(c, &c->queue));
	}
	return -1;
}

static struct stat_shard
closer_stats(struct closer *c)
{
	return stats_shard(&c->daemon->stats, shard_index_extra(c->daemon, SHARD_CLOSER));
}

/* The thread at work has not come back: this one goes on. => lock held, dropped and retaken */
static void
declare_late(struct closer *c)
{
	struct closer_thread *t = c->at_work;
	struct closing what = t->closing;
	unsigned own;

	lock_assert_held(&c->lock);
	CHECK(t && !t->late);
	t->late = true;
	c->late++;
	c->at_work = NULL;
	own = late_of(c, what.uid);
	stat_add(closer_stats(c), STAT_CLOSES_LATE, 1);
	lock_release(&c->lock);
	log_warning_limited("closing a descriptor that process %d of user %u had made takes long "
			    "(%u of that user's do now)%s",
	    (int)what.pid, (unsigned)what.uid, own,
	    own < CLOSER_USER_MAX
		? ""
		: ": the user gets no further connections until some have been closed");
	lock_acquire(&c->lock);
}

/* Until the thread at work has come back, or is late. => lock held, dropped and retaken */
static void
stand_by(struct closer *c)
{
	lock_assert_held(&c->lock);
	CHECK(!c->has_standby);
	c->has_standby = true;
	while (c->at_work) {
		uint64_t begun = c->begun;

		if (!cond_wait_for(&c->relief, &c->lock, CLOSER_LATE_NS) && c->at_work &&
		    c->begun == begun)
			declare_late(c);
	}
	c->has_standby = false;
}

/* => lock held, dropped and retaken */
static void
close_one(struct closer_thread *t, int fd)
{
	struct closer *c = t->closer;

	lock_assert_held(&c->lock);
	t->closing = c->closings[fd];
	c->at_work = t;
	c->begun++;
	if (!c->has_standby)
		cond_signal(&c->work);
	lock_release(&c->lock);
	close(fd);
	lock_acquire(&c->lock);
	if (!t->late) {
		c->at_work = NULL;
		return;
	}
	t->late = false;
	CHECK(c->late > 0);
	c->late--;
	queue_splice(c, &c->queue, &c->aside);
}

static void *
closer_main(void *argument)
{
	struct closer_thread *t = argument;
	struct closer *c = t->closer;

	CHECK(t >= c->threads && t < c->threads + CLOSER_THREADS);
	own_thread("closer");
	lock_acquire(&c->lock);
	for (;;) {
		int fd;

		if (c->at_work && !c->has_standby) {
			stand_by(c);
			continue;
		}
		fd = c->at_work ? -1 : take(c);
		if (fd >= 0)
			close_one(t, fd);
		else if (c->stopping)
			break;
		else
			cond_wait(&c->work, &c->lock);
	}
	CHECK(c->running > 0 && c->running <= CLOSER_THREADS);
	c->running--;
	cond_signal(&c->ended);
	lock_release(&c->lock);
	return NULL;
}

void
closer_close(struct daemon *d, int fd, pid_t pid, uid_t uid)
{
	struct closer *c = d->closer;

	if (fd < 0)
		return;
	CHECK(c != NULL);
	if ((unsigned)fd >= c->room) {
		/* Somebody has raised our limit from outside. It goes with the process. */
		log_warning_limited(
		    "descriptor %d stays open: the limit was %u when the daemon started", fd,
		    c->room);
		return;
	}
	lock_acquire(&c->lock);
	c->closings[fd] = (struct closing){ .pid = pid, .uid = uid };
	queue_put(c, &c->queue, fd);
	if (!c->at_work)
		cond_signal(&c->work);
	lock_release(&c->lock);
}

bool
closer_refuses(struct daemon *d, uid_t uid)
{
	struct closer *c = d->closer;
	bool refuses;

	lock_acquire(&c->lock);
	refuses = c->late > 0 && late_of(c, uid) >= CLOSER_USER_MAX;
	for (int fd = c->aside.head; fd >= 0 && !refuses; fd = c->closings[fd].next)
		refuses = c->closings[fd].uid == uid;
	lock_release(&c->lock);
	return refuses;
}

void
closer_counts(struct daemon *d, unsigned *ret_late, unsigned *ret_waiting)
{
	struct closer *c = d->closer;

	lock_acquire(&c->lock);
	*ret_late = c->late;
	*ret_waiting = c->queue.count + c->aside.count;
	lock_release(&c->lock);
}

static void
closer_free(struct closer *c)
{
	CHECK(c->running == 0 && !c->at_work);
	lock_fini(&c->lock);
	cond_fini(&c->work);
	cond_fini(&c->relief);
	cond_fini(&c->ended);
	own_area_forget(c->closings);
	munmap(c->closings, c->room * sizeof(*c->closings));
	c->daemon->closer = NULL;
	free(c);
}

static int
threads_start(struct closer *c)
{
	CHECK(c->running == 0);
	for (unsigned i = 0; i < CLOSER_THREADS; i++) {
		struct closer_thread *t = &c->threads[i];
		int error;

		t->closer = c;
		lock_acquire(&c->lock);
		error = pthread_create(&t->thread, NULL, closer_main, t);
		c->running += !error;
		lock_release(&c->lock);
		if (error)
			return -error;
	}
	return 0;
}

int
closer_create(struct daemon *d)
{
	struct closer *c = calloc(1, sizeof(*c));
	struct rlimit limit;

	CHECK(!d->closer);
	if (!c)
		return -ENOMEM;
	c->daemon = d;
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > ROOM_MAX)
		limit.rlim_cur = ROOM_MAX;
	c->room = (unsigned)limit.rlim_cur;
	c->closings = mmap(NULL, c->room * sizeof(*c->closings), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (c->closings == MAP_FAILED) {
		free(c);
		return -ENOMEM;
	}
	own_area(OWN_CLOSER, c->closings, c->room * sizeof(*c->closings));
	c->queue.head = c->queue.tail = c->aside.head = c->aside.tail = -1;
	lock_init(&c->lock, RANK_CLOSER);
	cond_init(&c->work);
	cond_init(&c->relief);
	cond_init(&c->ended);
	d->closer = c;
	return threads_start(c);
}

bool
closer_stop(struct daemon *d)
{
	struct closer *c = d->closer;
	uint64_t now = clock_now_ns(), end = now + STOP_NS;
	bool all;

	lock_acquire(&c->lock);
	c->stopping = true;
	cond_broadcast(&c->work);
	cond_broadcast(&c->relief);
	while (c->running > 0 && (now = clock_now_ns()) < end)
		cond_wait_for(&c->ended, &c->lock, end - now);
	all = c->running == 0;
	lock_release(&c->lock);
	if (!all)
		return false;
	for (unsigned i = 0; i < CLOSER_THREADS; i++)
		pthread_join(c->threads[i].thread, NULL);
	closer_free(c);
	return true;
}
