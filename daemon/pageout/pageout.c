/* SPDX-License-Identifier: MIT
 *
 * Pageout workers. Runs on: its own threads, one per CPU. Allocates nothing.
 */
#include "pageout/pageout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "alloc.h"
#include "memorystatus/limits.h"
#include "pageout/batch.h"
#include "pageout/evict.h"
#include "pageout/launder.h"
#include "pageout/limit.h"
#include "pageout/writeback.h"
#include "pageq/choose.h"
#include "pageq/exact.h"
#include "pageq/side.h"
#include "pagers/store.h"
#include "vm/task.h"
#include "memorystatus/frame_wait.h"

/* Pages beyond resident_frames, those that faults wait for included. */
static bool
over_resident_frames(struct daemon *d)
{
	uint64_t limit = param(d, resident_frames);
	uint64_t resident = frames_resident_movable(d);

	return limit &&
	       (resident > limit || (resident == limit && load_relaxed(&d->park.count) > 0));
}

/* Frames that shall be free: crammed, only what lets stored pages come and go. */
static uint32_t
target(const struct daemon *d)
{
	return unlikely(frames_are_crammed(d)) ? d->frames.last : d->frames.free_target;
}

/* Free frames below which the worker of that rank works: the first from free_min on, each further
 * one later. => PAGEQ held */
static bool
work_wanted_locked(struct daemon *d, unsigned rank, bool working)
{
	uint32_t free_count = load_relaxed(&d->frames.free_count);
	uint32_t start = d->frames.free_min, stop = d->frames.free_target;

	if (rank == 0 && load_relaxed(&d->limits.wanted[LANE_COMMON]))
		return true;
	if (rank < d->worker_count && evict_wanted_locked(d, LANE_COMMON))
		return true;
	if (rank > 0) {
		uint32_t span = d->frames.free_min - d->frames.reserved;

		start = d->frames.reserved + span / (rank + 1);
		stop = d->frames.free_min;
	}
	if (unlikely(frames_are_crammed(d))) {
		start = d->frames.last / 4;
		stop = d->frames.last;
	}
	if (rank == 0 && over_resident_frames(d))
		return true;
	return free_count < (working ? stop : start) ||
	       (load_relaxed(&d->park.count) > 0 && frames_available(d) == 0);
}

/* Faults wait for PAGEQ: it is not held for longer than so many pages take. */
#define CHOOSE_STEP 8u

/* The agent takes its processor from a thread that faults there: rather seldom than briefly, for so
 * the thread's 99th percentile does not see it. But before the pages are victims: no more than half
 * of what is inactive waits with all workers together. */
#define AGE_BATCH (PAGEOUT_BATCH_MAX - 4 * CHOOSE_STEP)
static void
age_many(struct pageout_worker *w)
{
	uint64_t inactive = (uint64_t)load_relaxed(&w->daemon->stats.levels[STAT_FRAMES_INACTIVE]);

	if (w->aged >= AGE_BATCH || 2ull * w->daemon->worker_count * w->aged >= inactive)
		worker_age(w);
}

/* Chooses the batch of a round and the pages to be unmapped, a few at a time. */
static void
choose(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	unsigned n, more, before = w->aged;

	do {
		unsigned want =
		    w->batch - w->chosen < CHOOSE_STEP ? w->batch - w->chosen : CHOOSE_STEP;

		more = 0;
		pageq_lock(d);
		n = choose_round_locked(d, want, 2 * want, w->chosen == 0 && w->aged == before,
		    w->deactivated + w->aged, &more, w->victims + w->chosen);
		pageq_unlock(d);
		w->chosen += n;
		worker_made_inactive(w, more);
	} while (
	    n + more > 0 && w->chosen < w->batch && w->aged + 2 * CHOOSE_STEP <= PAGEOUT_BATCH_MAX);
}

/* With resident_frames: one victim, in the order of pagersim. */
static void
choose_exact(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	unsigned aged;

	/* Parameters change while we run: some may have been waiting. */
	worker_age(w);
	do {
		/* What it chose now nobody would come to. */
		if (watch_is_relieved())
			return;
		aged = 0;
		pageq_lock(d);
		w->chosen =
		    exact_round_locked(d, w->deactivated, PAGEOUT_BATCH_MAX, &aged, w->victims);
		pageq_unlock(d);
		worker_made_inactive(w, aged);
		worker_age(w);
	} while (w->chosen == 0 && aged == PAGEOUT_BATCH_MAX);
}

static void
choose_clean(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;

	pageq_lock(d);
	w->chosen = choose_clean_locked(d, w->batch, w->victims);
	pageq_unlock(d);
}

/* One round: a batch aged, a batch laundered. => frames freed */
static unsigned
round_global(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	/* Without a place to store them dirty pages would only be taken from their owners and given
	 * back. */
	bool room = store_has_room(w->daemon, w->index, w->batch);

	/* What leaves for nothing goes first. */
	if (!room || frames_are_crammed(d))
		choose_clean(w);
	if (room && w->chosen == 0 && param(d, resident_frames)) {
		choose_exact(w);
	} else if (room && w->chosen == 0) {
		choose(w);
		age_many(w);
	}
	return worker_launder(w);
}

/* Nothing could leave, or not all that should. Waits until writeback makes room, or a little while.
 */
static void
wait_for_room(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;

	writeback_want(d);
	worker_age(w);
	pageq_lock(d);
	if (!d->pageq.calls.stopping)
		cond_wait_for(&d->pageq.calls.room_wanted, &d->pageq.lock, 1000000);
	pageq_unlock(d);
}

/* Until there is work for this worker. Worker 0 is woken by those who take frames, the others only
 * by a worker that does not keep up. => PAGEQ held, released meanwhile */
static void
sleep_locked(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;

	pageq_assert_held(d);
	if (w->rank == 0) {
		d->pageq.calls.first_asleep = true;
		pageq_wait(d, &d->pageq.calls.pageout_wanted);
		d->pageq.calls.first_asleep = false;
	} else {
		d->pageq.calls.helpers_asleep++;
		pageq_wait(d, &d->pageq.calls.help_wanted);
		d->pageq.calls.helpers_asleep--;
	}
}

#define PASSED_OVER_MAX 1024u

bool
worker_has_passed_over(struct pageout_worker *w, unsigned before, unsigned freed)
{
	bool has_passed = freed == 0 && w->passed_over > before && w->passed_over < PASSED_OVER_MAX;

	if (!has_passed)
		w->passed_over = 0;
	return has_passed;
}

/* What a worker of the common lane does in one turn; it was found to be wanted. */
static void
turn(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	unsigned freed = 0, passed_over = w->passed_over;
	bool evicted, has_passed;

	w->refused = false;
	evicted = evict_round(w, &freed);
	if (w->rank == 0 && load_acquire(&d->limits.wanted[LANE_COMMON]))
		freed += round_limits(w);
	if (!watch_is_relieved() && (load_relaxed(&d->frames.free_count) < target(d) ||
					(w->rank == 0 && over_resident_frames(d))))
		freed += round_global(w);
	has_passed = worker_has_passed_over(w, passed_over, freed);
	if (!has_passed)
		fetch_add_relaxed(&d->pageq.rounds, 1);
	if (freed > 0) {
		frame_wait_freed(d);
		if (!w->refused &&
		    squeeze_is_far((uint64_t)load_relaxed(&d->stats.levels[STAT_FRAMES_COMPRESSOR]),
			store_share(d)))
			frame_wait_progress(d);
	}
	if (((freed == 0 && !evicted && !has_passed) || w->refused) && !watch_is_relieved())
		wait_for_room(w);
}

static void
work_in_common(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	bool working = false;

	pageq_lock(d);
	while (!d->pageq.calls.stopping && !watch_is_relieved()) {
		if (!w->eviction && !work_wanted_locked(d, w->rank, working)) {
			working = false;
			/* What waits to be unmapped does not wait for the next work. */
			if (w->aged > 0) {
				pageq_unlock(d);
				worker_age(w);
				pageq_lock(d);
				continue;
			}
			sleep_locked(w);
			continue;
		}
		working = true;
		/* The next worker joins if even now there is too little. */
		if (d->pageq.calls.helpers_asleep && work_wanted_locked(d, w->rank + 1, false))
			cond_broadcast(&d->pageq.calls.help_wanted);
		pageq_unlock(d);
		turn(w);
		pageq_lock(d);
	}
	pageq_unlock(d);
}

/* A side lane's worker does what it is given, and what clients of its lane want or must do with
 * their own pages. */
static void
work_in_side_lane(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;

	pageq_lock(d);
	while (!d->pageq.calls.stopping && !watch_is_relieved()) {
		unsigned freed = 0;

		if (!w->eviction && !side_wanted_locked(d, w->lane) &&
		    !evict_wanted_locked(d, w->lane)) {
			pageq_wait(d, &d->pageq.side[w->lane - 1].wanted);
			continue;
		}
		pageq_unlock(d);
		w->refused = false;
		(void)evict_round(w, &freed);
		if (load_acquire(&d->limits.wanted[w->lane]) && !watch_is_relieved())
			freed += round_limits(w);
		if (!watch_is_relieved()) {
			w->chosen +=
			    side_take(d, w->lane, w->batch > w->chosen ? w->batch - w->chosen : 0,
				w->victims + w->chosen);
			freed += worker_launder(w);
		}
		if (freed > 0)
			frame_wait_freed(d);
		else if (!watch_is_relieved())
			wait_for_room(w);
		pageq_lock(d);
	}
	pageq_unlock(d);
}

/* One duty after the other: most workers have one for good. */
static void *
worker_main(void *argument)
{
	struct pageout_worker *w = argument;
	struct daemon *d = w->daemon;
	int number;

	watch_begin(&w->watch);
	alloc_forbid();
	while ((number = duty_wait(d, &w->duty)) != DUTY_NONE) {
		bool is_common = (unsigned)number < d->worker_count;
		char name[16];

		w->lane = is_common ? LANE_COMMON : (unsigned)number - d->worker_count + 1;
		w->rank = is_common ? (unsigned)number : 0;
		watch_on_duty(&w->watch, w->lane);
		snprintf(name, sizeof(name), "%s-%u", is_common ? "pageout" : "pageside",
		    is_common ? w->rank : w->lane);
		pthread_setname_np(pthread_self(), name);
		/* What the worker before has left. */
		worker_age(w);
		if (worker_launder(w) > 0)
			frame_wait_freed(d);
		if (is_common)
			work_in_common(w);
		else
			work_in_side_lane(w);
		if (!watch_is_relieved())
			break;
		/* What it had not begun the watcher has given to another, under the same lock. */
		lock_acquire(&d->duty_lock);
		w->aged = w->aged_begun = w->chosen = w->begun = 0;
		w->duty.number = DUTY_NONE;
		lock_release(&d->duty_lock);
	}
	worker_age(w);
	return NULL;
}

void
worker_hand_over_locked(struct daemon *d, struct pageout_worker *w, struct pageout_worker *next)
{
	lock_assert_held(&d->duty_lock);
	next->aged = w->aged - w->aged_begun;
	memcpy(next->deactivated, w->deactivated + w->aged_begun,
	    next->aged * sizeof(next->deactivated[0]));
	next->chosen = w->chosen - w->begun;
	memcpy(next->victims, w->victims + w->begun, next->chosen * sizeof(next->victims[0]));
	/* Its part of a range: somebody waits for the end of it. One whose pages it is at it ends
	 * itself, in evict_round. */
	if (w->eviction && !w->evicting) {
		next->eviction = w->eviction;
		next->part_low = w->part_low;
		next->part_high = w->part_high;
		w->eviction = NULL;
	}
	/* Clients at their limit whose turn has not come. */
	if (w->rank == 0)
		store_release(&d->limits.wanted[w->lane], true);
	duty_give_locked(d, &next->duty, w->duty.number);
}

/* A stand-by takes over. Runs on: the watcher, while the worker is inside of a call. */
static void
relieve(struct daemon *d, struct watch *watch)
{
	struct pageout_worker *w = container_of(watch, struct pageout_worker, watch), *next = NULL;

	lock_acquire(&d->duty_lock);
	for (unsigned i = 0; i < worker_thread_count(d) && !next; i++)
		if (d->workers[i].duty.number == DUTY_NONE)
			next = &d->workers[i];
	if (next && !d->duties_end && watch_relieved(watch))
		worker_hand_over_locked(d, w, next);
	lock_release(&d->duty_lock);
}

int
pageout_start(struct daemon *d)
{
	d->workers = calloc(worker_thread_count(d), sizeof(*d->workers));
	if (!d->workers)
		return -ENOMEM;
	for (unsigned i = 0; i < worker_thread_count(d); i++) {
		struct pageout_worker *w = &d->workers[i];

		w->daemon = d;
		w->index = i;
		w->batch = (unsigned)param(d, pageout_batch);
		w->duty.number = DUTY_NONE;
		watch_add(d, &w->watch, relieve);
		if (i < d->worker_count + SIDE_LANES)
			w->duty = (struct duty){ (int)i, true };
		w->stats = stats_shard(&d->stats, shard_index_worker(d, i));
		w->bounce = mmap(NULL, (size_t)PAGEOUT_BATCH_MAX << d->page_shift,
		    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (w->bounce == MAP_FAILED)
			return -ENOMEM;
		if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
			return -EAGAIN;
	}
	return 0;
}

void
pageout_stop(struct daemon *d)
{
	pageq_lock(d);
	d->pageq.calls.stopping = true;
	cond_signal(&d->pageq.calls.pageout_wanted);
	cond_broadcast(&d->pageq.calls.help_wanted);
	cond_broadcast(&d->pageq.calls.room_wanted);
	for (unsigned i = 0; i < SIDE_LANES; i++)
		cond_broadcast(&d->pageq.side[i].wanted);
	pageq_unlock(d);
	for (unsigned i = 0; i < worker_thread_count(d); i++)
		pthread_join(d->workers[i].thread, NULL);
}

void
pageout_fini(struct daemon *d)
{
	for (unsigned i = 0; i < worker_thread_count(d); i++)
		munmap(d->workers[i].bounce, (size_t)PAGEOUT_BATCH_MAX << d->page_shift);
	free(d->workers);
}
