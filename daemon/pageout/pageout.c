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
#include "own.h"
#include "pageout/age.h"
#include "pageout/batch.h"
#include "pageout/evict.h"
#include "pageout/limit.h"
#include "pageout/purge.h"
#include "pageout/reclaim.h"
#include "pageout/writeback.h"
#include "pageq/handed.h"
#include "pageq/side.h"
#include "transit/leave.h"
#include "pagers/store.h"
#include "vm/task.h"
#include "memorystatus/frame_wait.h"

/* Whether the worker of that rank should work, or (working) go on. The first worker begins below
 * free_min, each further one at a lower number of free frames. => PAGEQ held */
static bool
work_wanted_locked(struct daemon *d, unsigned rank, bool working)
{
	uint32_t free_count = load_relaxed(&d->frames.free_count);
	uint32_t start = d->frames.free_min, stop = d->frames.free_target;

	pageq_assert_held(d);
	if (rank == 0 &&
	    (load_relaxed(&d->limits.wanted[LANE_COMMON]) || handed_wanted_locked(d, LANE_COMMON) ||
		purge_wanted_locked(d, LANE_COMMON)))
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
	if (rank == 0 && reclaim_is_over_limit(d))
		return true;
	return free_count < (working ? stop : start) ||
	       (load_relaxed(&d->park.count) > 0 && frames_available(d) == 0);
}

/* Nothing could leave, or not all that should: waits until the writer makes room, or for
 * ROOM_WAIT_NS. */
#define ROOM_WAIT_NS 1000000u
static void
wait_for_room(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;

	locks_assert_none();
	writeback_want(d);
	worker_age(w);
	pageq_lock(d);
	if (!d->pageq.calls.stopping)
		cond_wait_for(&d->pageq.calls.room_wanted, &d->pageq.lock, ROOM_WAIT_NS);
	pageq_unlock(d);
}

/* Sleeps until there may be work for this worker. Worker 0 is woken by threads that take frames,
 * the others by a worker that does not keep up. => PAGEQ held, released meanwhile */
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

/* Victims in a row that may be passed over before the worker waits. */
#define PASSED_OVER_MAX 1024u

bool
worker_has_passed_over(struct pageout_worker *w, unsigned before, unsigned freed)
{
	bool has_passed = freed == 0 && w->passed_over > before && w->passed_over < PASSED_OVER_MAX;

	CHECK(w->passed_over >= before);
	if (!has_passed)
		w->passed_over = 0;
	return has_passed;
}

/* Takes out the pages that fault servers have handed to its lane. What a relieved worker has not
 * begun stays in the queue, for the next one. => frames freed; no lock held */
static unsigned
take_handed(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	unsigned freed = 0;
	struct victim v;

	locks_assert_none();
	while (!watch_is_relieved() && handed_take(d, w->lane, &v)) {
		unsigned lane = vm_object_lane(v.object);
		bool given = false;

		if (unlikely(lane != w->lane && lane != LANE_COMMON)) {
			pageq_lock(d);
			given = handed_give_locked(d, lane, &v);
			pageq_unlock(d);
			if (!given)
				victim_stay(w->stats, &v, STAYS_WANTED);
			continue;
		}
		watch_client(vm_object_cookie(v.object));
		victims_leave(w->stats, &w->hole, &v, 1);
		freed++;
	}
	return freed;
}

/* Makes room. Volatile memory goes first: one object, if there is one whose time has come, or
 * memory cannot be had otherwise. => frames freed */
static unsigned
make_room(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	bool has_room = store_has_room(d, w->index, w->batch);
	unsigned force =
	    pressure_purges((enum pressure)load_relaxed(&d->memorystatus.level), !has_room);
	unsigned freed = purge_round(w, force);

	if (freed > 0 || watch_is_relieved())
		return freed;
	w->met_volatile = false;
	freed = reclaim_round(w);
	/* The coldest pages are volatile ones, or nothing could leave. */
	if ((w->met_volatile || freed == 0) && !watch_is_relieved())
		freed += purge_round(w, PURGEABLE_GROUPS);
	return freed;
}

/* One turn of a worker of the common lane for which there is work. */
static void
turn(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	unsigned freed = 0, passed_over = w->passed_over;
	bool evicted, has_passed;

	locks_assert_none();
	w->refused = false;
	w->pins_pass = 0;
	if (w->rank == 0)
		freed += take_handed(w);
	evicted = !watch_is_relieved() && evict_round(w, &freed);
	if (w->rank == 0 && load_acquire(&d->limits.wanted[LANE_COMMON]))
		freed += round_limits(w);
	if (w->rank == 0 && !watch_is_relieved())
		freed += purge_for_pressure(w);
	if (!watch_is_relieved() && (load_relaxed(&d->frames.free_count) < reclaim_target(d) ||
					(w->rank == 0 && reclaim_is_over_limit(d))))
		freed += make_room(w);
	frames_retire(d);
	has_passed = worker_has_passed_over(w, passed_over, freed);
	/* While pages are on their way to their places, or stay for a transfer, memory is not full.
	 */
	if (!has_passed &&
	    (freed > 0 || (!load_relaxed(&d->returns.under_way) && w->pins_pass == 0)))
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

	CHECK(w->lane == LANE_COMMON && w->rank < d->worker_count);
	pageq_lock(d);
	while (!d->pageq.calls.stopping && !watch_is_relieved()) {
		if (!w->eviction && !work_wanted_locked(d, w->rank, working)) {
			working = false;
			/* Pages that are to be unmapped do not wait for the next work. */
			if (w->aged > 0) {
				pageq_unlock(d);
				worker_age(w);
				pageq_lock(d);
				continue;
			}
			if (evict_apart_is_over_locked(w)) {
				pageq_unlock(d);
				evict_apart_end(w);
				pageq_lock(d);
				continue;
			}
			sleep_locked(w);
			continue;
		}
		working = true;
		/* Free frames are so few that the next worker should join. */
		if (d->pageq.calls.helpers_asleep && work_wanted_locked(d, w->rank + 1, false))
			cond_broadcast(&d->pageq.calls.help_wanted);
		pageq_unlock(d);
		turn(w);
		pulse_beat(&d->pulse);
		pageq_lock(d);
	}
	pageq_unlock(d);
}

/* A side lane's worker launders the victims that it is given, and takes out its lane's clients' own
 * pages: those that they want to leave, and those above their limits. */
static void
work_in_side_lane(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;

	CHECK(w->lane > LANE_COMMON && w->lane <= SIDE_LANES && w->rank == 0);
	pageq_lock(d);
	while (!d->pageq.calls.stopping && !watch_is_relieved()) {
		unsigned freed = 0;

		if (!w->eviction && !side_wanted_locked(d, w->lane) &&
		    !handed_wanted_locked(d, w->lane) && !evict_wanted_locked(d, w->lane) &&
		    !purge_wanted_locked(d, w->lane)) {
			if (!evict_apart_is_over_locked(w)) {
				pageq_wait(d, &d->pageq.side[w->lane - 1].wanted);
				continue;
			}
			pageq_unlock(d);
			evict_apart_end(w);
			pageq_lock(d);
			continue;
		}
		pageq_unlock(d);
		w->refused = false;
		freed += take_handed(w);
		if (!watch_is_relieved())
			(void)evict_round(w, &freed);
		if (load_acquire(&d->limits.wanted[w->lane]) && !watch_is_relieved())
			freed += round_limits(w);
		if (!watch_is_relieved()) {
			w->chosen +=
			    side_take(d, w->lane, w->batch > w->chosen ? w->batch - w->chosen : 0,
				w->victims + w->chosen);
			w->met_volatile = false;
			freed += worker_launder(w);
		}
		if (!watch_is_relieved())
			freed += w->met_volatile ? purge_round(w, PURGEABLE_GROUPS)
						 : purge_for_pressure(w);
		if (freed > 0)
			frame_wait_freed(d);
		else if (!watch_is_relieved())
			wait_for_room(w);
		pulse_beat(&d->pulse);
		pageq_lock(d);
	}
	pageq_unlock(d);
}

/* Serves one duty after another. Most workers keep their first. */
static void *
worker_main(void *argument)
{
	struct pageout_worker *w = argument;
	struct daemon *d = w->daemon;
	int number;

	watch_begin(&w->watch);
	own_thread("pageout");
	alloc_forbid();
	while ((number = duty_wait(d, &w->duty)) != DUTY_NONE) {
		bool is_common = (unsigned)number < d->worker_count;
		char name[16];

		CHECK((unsigned)number < d->worker_count + SIDE_LANES);
		w->lane = is_common ? LANE_COMMON : (unsigned)number - d->worker_count + 1;
		w->rank = is_common ? (unsigned)number : 0;
		watch_on_duty(&w->watch, w->lane);
		snprintf(name, sizeof(name), "%s-%u", is_common ? "pageout" : "pageside",
		    is_common ? w->rank : w->lane);
		pthread_setname_np(pthread_self(), name);
		/* The pages that the worker before has handed over. */
		worker_age(w);
		if (worker_launder(w) > 0)
			frame_wait_freed(d);
		pulse_beat(&d->pulse);
		if (is_common)
			work_in_common(w);
		else
			work_in_side_lane(w);
		if (w->has_apart)
			evict_apart_end(w);
		/* What a relieved one has ended may have come long after the last beat. */
		pulse_beat(&d->pulse);
		if (!watch_is_relieved())
			break;
		/* The watcher has given what this worker had not begun to another, under the same
		 * lock. */
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
	CHECK(w->aged_begun <= w->aged && w->begun <= w->chosen && w != next);
	next->aged = w->aged - w->aged_begun;
	memcpy(next->deactivated, w->deactivated + w->aged_begun,
	    next->aged * sizeof(next->deactivated[0]));
	next->chosen = w->chosen - w->begun;
	memcpy(next->victims, w->victims + w->begun, next->chosen * sizeof(next->victims[0]));
	/* A job waits for the worker's part of a range. If the worker is inside of a call for pages
	 * of that part, it ends the part itself, in evict_round. */
	if (w->eviction && !w->evicting) {
		next->eviction = w->eviction;
		next->part_low = w->part_low;
		next->part_high = w->part_high;
		w->eviction = NULL;
	}
	/* There may be clients over their limit whose turn has not come. */
	if (w->rank == 0)
		store_release(&d->limits.wanted[w->lane], true);
	duty_give_locked(d, &next->duty, w->duty.number);
}

/* A worker that stands by takes over. Runs on: the watcher, while the worker is inside of a call.
 */
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
	CHECK(d->workers == NULL);
	d->workers = own_alloc(OWN_WORKER, worker_thread_count(d) * sizeof(*d->workers));
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
		own_area(OWN_BOUNCE, w->bounce, (size_t)PAGEOUT_BATCH_MAX << d->page_shift);
		if (pthread_create(&w->thread, NULL, worker_main, w) != 0)
			return -EAGAIN;
	}
	return 0;
}

void
pageout_stop(struct daemon *d)
{
	struct victim v;

	CHECK(d->workers != NULL);
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
	/* So that no page stays busy. Fault servers have ended, and hand over no more. */
	for (unsigned lane = 0; lane <= SIDE_LANES; lane++)
		while (handed_take(d, lane, &v))
			victim_stay(d->workers[0].stats, &v, STAYS_WANTED);
}

void
pageout_fini(struct daemon *d)
{
	for (unsigned i = 0; i < worker_thread_count(d); i++) {
		own_area_forget(d->workers[i].bounce);
		munmap(d->workers[i].bounce, (size_t)PAGEOUT_BATCH_MAX << d->page_shift);
	}
	own_free(OWN_WORKER, d->workers);
}
