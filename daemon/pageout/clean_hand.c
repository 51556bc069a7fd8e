/* SPDX-License-Identifier: MIT
 *
 * The hands' threads and their queues. Runs on: hands, the cleaner. Allocates nothing.
 */
#include "pageout/clean_hand.h"

#include <errno.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "alloc.h"
#include "own.h"
#include "pageout/clean_object.h"

/* Places that are left to runs. */
#define WORKS_OF_RUNS (2u * RUNS_MAX)

static void
append_locked(struct clean_hands *h, struct clean_queue *q, struct clean_work *work)
{
	lock_assert_held(&h->lock);
	work->next = NULL;
	if (q->last)
		q->last->next = work;
	else
		q->first = work;
	q->last = work;
}

/* Takes the work behind `before` out, or the first one. */
static struct clean_work *
remove_locked(struct clean_hands *h, struct clean_queue *q, struct clean_work *before)
{
	struct clean_work *work = before ? before->next : q->first;

	lock_assert_held(&h->lock);
	if (!work)
		return NULL;
	if (before)
		before->next = work->next;
	else
		q->first = work->next;
	if (q->last == work)
		q->last = before;
	return work;
}

/* Whether as many hands of the common lane as one user may have are busy for this one. */
static bool
has_its_part_locked(const struct clean_hands *h, uid_t uid)
{
	unsigned count = 0;

	lock_assert_held(&h->lock);
	for (unsigned i = 0; i < CLEAN_HANDS; i++)
		count += h->hands[i].lane == LANE_COMMON && h->hands[i].work &&
			 h->hands[i].work->uid == uid;
	return count >= HANDS_COMMON / 2;
}

/* The first work for the hand. Work of objects whose client has been moved meanwhile goes to its
 * lane. => NULL: none */
static struct clean_work *
next_locked(struct clean_hand *hand)
{
	struct clean_hands *h = hand->hands;
	struct clean_queue *q = &h->queues[hand->lane];
	struct clean_work *before = NULL, *work;

	lock_assert_held(&h->lock);
	while ((work = before ? before->next : q->first) != NULL) {
		unsigned lane = vm_object_lane(work->object);

		if (lane != hand->lane) {
			append_locked(h, &h->queues[lane], remove_locked(h, q, before));
			cond_broadcast(&h->given);
		} else if (lane == LANE_COMMON && has_its_part_locked(h, work->uid)) {
			before = work;
		} else {
			return remove_locked(h, q, before);
		}
	}
	return NULL;
}

static void
work_do(struct clean_hand *hand, struct clean_work *work)
{
	locks_assert_none();
	switch (work->what) {
	case WORK_GATHER:
		clean_run_gather(work->run);
		break;
	case WORK_LEAVE:
		clean_run_leave(work->run, hand->stats, &hand->hole);
		break;
	case WORK_VISIT:
		work->met_busy = clean_object_visit(
		    hand->stats, &hand->hole, work->object, work->why, &work->met_dirty);
		break;
	}
}

static void *
hand_main(void *argument)
{
	struct clean_hand *hand = argument;
	struct clean_hands *h = hand->hands;
	uint64_t one = 1;

	own_thread("cleaner-hand");
	watch_begin(&hand->watch);
	watch_on_duty(&hand->watch, hand->lane);
	alloc_forbid();
	lock_acquire(&h->lock);
	for (;;) {
		struct clean_work *work = next_locked(hand);

		if (!work && h->stopping)
			break;
		if (!work) {
			cond_wait(&h->given, &h->lock);
			continue;
		}
		hand->work = work;
		lock_release(&h->lock);
		work_do(hand, work);
		lock_acquire(&h->lock);
		hand->work = NULL;
		append_locked(h, &h->done, work);
		/* Its user's next may begin. */
		cond_broadcast(&h->given);
		CHECK(write(h->bell, &one, sizeof(one)) == sizeof(one));
	}
	lock_release(&h->lock);
	return NULL;
}

/* Nobody stands by for a hand: the others go on. */
static void
relieve(struct daemon *d, struct watch *w)
{
	(void)d;
	CHECK(w->relieve == relieve);
}

int
clean_hands_start(struct daemon *d, struct clean_hands *h)
{
	int error = 0;

	lock_init(&h->lock, RANK_JOBS);
	cond_init(&h->given);
	h->is_made = true;
	lock_acquire(&h->lock);
	for (unsigned i = 0; i < CLEAN_WORKS; i++)
		append_locked(h, &h->unused, &h->works[i]);
	lock_release(&h->lock);
	h->unused_count = CLEAN_WORKS;
	h->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (h->bell < 0)
		return -errno;
	for (; h->started < CLEAN_HANDS && !error; h->started += !error) {
		struct clean_hand *hand = &h->hands[h->started];

		hand->hands = h;
		hand->lane =
		    h->started < HANDS_COMMON ? LANE_COMMON : h->started - HANDS_COMMON + 1;
		hand->stats =
		    stats_shard(&d->stats, shard_index_extra(d, SHARD_HANDS + h->started));
		watch_add(d, &hand->watch, relieve);
		error = -pthread_create(&hand->thread, NULL, hand_main, hand);
	}
	return error;
}

void
clean_hands_stop(struct clean_hands *h)
{
	lock_acquire(&h->lock);
	h->stopping = true;
	cond_broadcast(&h->given);
	lock_release(&h->lock);
	for (unsigned i = 0; i < h->started; i++)
		pthread_join(h->hands[i].thread, NULL);
}

void
clean_hands_fini(struct clean_hands *h)
{
	if (!h->is_made)
		return;
	CHECK(!h->queues[LANE_COMMON].first && !h->done.first);
	cond_fini(&h->given);
	lock_fini(&h->lock);
	if (h->bell >= 0)
		close(h->bell);
}

bool
clean_work_give(struct clean_hands *h, struct clean_work work)
{
	struct vm_object *o = work.object;
	struct clean_work *own = NULL;

	locks_assert_none();
	CHECK(!o->in_hand);
	lock_acquire(&o->lock);
	work.uid = o->owner->uid;
	lock_release(&o->lock);
	lock_acquire(&h->lock);
	if (h->unused_count > (work.what == WORK_VISIT ? WORKS_OF_RUNS : 0)) {
		own = remove_locked(h, &h->unused, NULL);
		h->unused_count--;
		*own = work;
		append_locked(h, &h->queues[vm_object_lane(o)], own);
		cond_broadcast(&h->given);
	}
	lock_release(&h->lock);
	o->in_hand = own != NULL;
	return own != NULL;
}

bool
clean_work_take(struct clean_hands *h, struct clean_work *ret)
{
	struct clean_work *work;
	uint64_t count;

	locks_assert_none();
	lock_acquire(&h->lock);
	work = remove_locked(h, &h->done, NULL);
	if (work) {
		*ret = *work;
		append_locked(h, &h->unused, work);
		h->unused_count++;
	} else {
		(void)!read(h->bell, &count, sizeof(count));
	}
	lock_release(&h->lock);
	if (work)
		ret->object->in_hand = false;
	return work != NULL;
}
