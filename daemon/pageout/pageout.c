/* SPDX-License-Identifier: MIT
 *
 * Pageout workers. Runs on: its own threads, one per CPU. Allocates nothing.
 */
#include "pageout/pageout.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fault/fault.h"
#include "session.h"

/* Pages unmapped at a time after a fault; a fault makes one or two due. */
#define SETTLE_MAX 16u

void
pageout_want(struct daemon *d)
{
	lock_acquire(&d->pageq.lock);
	if (d->pageq.first_asleep)
		cond_signal(&d->pageq.pageout_wanted);
	lock_release(&d->pageq.lock);
}

void
pageout_want_session(struct daemon *d, struct session *s)
{
	store_release(&s->reclaim_queued, true);
	store_release(&d->pageq.sessions_over_limit, true);
	pageout_want(d);
}

void
pageout_freed(struct daemon *d)
{
	if (load_acquire(&d->park.count) > 0)
		fault_servers_kick(d);
}

/* Pages beyond resident_frames, those that faults wait for included. */
static bool
over_resident_frames(struct daemon *d)
{
	uint64_t limit = param(d, resident_frames);
	uint64_t resident = frames_resident_movable(d);

	return limit && (resident > limit || (resident == limit && load_relaxed(&d->park.count) > 0));
}

/* Frames that shall be free: crammed, only what lets stored pages come and go. */
static uint32_t
target(const struct daemon *d)
{
	return unlikely(pageout_is_crammed(d)) ? d->frames.last : d->frames.free_target;
}

/* Free frames below which worker `index` works: the first from free_min on, each further one later. => PAGEQ held */
static bool
work_wanted_locked(struct daemon *d, unsigned index, bool working)
{
	uint32_t free_count = load_relaxed(&d->frames.free_count);
	uint32_t start = d->frames.free_min, stop = d->frames.free_target;

	if (index == 0 && load_relaxed(&d->pageq.sessions_over_limit))
		return true;
	if (index < d->worker_count && evict_wanted_locked(&d->workers[index]))
		return true;
	if (index > 0) {
		uint32_t span = d->frames.free_min - d->frames.reserved;

		start = d->frames.reserved + span / (index + 1);
		stop = d->frames.free_min;
	}
	if (unlikely(pageout_is_crammed(d))) {
		start = d->frames.last / 4;
		stop = d->frames.last;
	}
	if (index == 0 && over_resident_frames(d))
		return true;
	return free_count < (working ? stop : start) || (load_relaxed(&d->park.count) > 0 && frames_available(d) == 0);
}

static int
victim_order(const void *a, const void *b)
{
	pol_page x = ((const struct victim *)a)->page, y = ((const struct victim *)b)->page;

	return x < y ? -1 : x > y;
}

/* The pages made inactive since the last time lose their mappings. */
static void
age(struct pageout_worker *w)
{
	unsigned count = w->aged;

	w->aged = 0;
	if (count == 0)
		return;
	qsort(w->deactivated, count, sizeof(w->deactivated[0]), victim_order);
	if (param(w->daemon, resident_frames)) {
		zap_now(w->daemon, w->stats, w->deactivated, count);
		return;
	}
	zap(w, w->deactivated, count);
	for (unsigned i = 0; i < count; i++)
		vm_object_put(w->deactivated[i].object);
}

/* Faults wait for PAGEQ: it is not held for longer than so many pages take. */
#define CHOOSE_STEP 8u

/* The agent takes its processor from a thread that faults there: rather seldom than briefly, for so the thread's 99th percentile does not
 * see it. But before the pages are victims: no more than half of what is inactive waits with all workers together. */
#define AGE_BATCH (PAGEOUT_BATCH_MAX - 4 * CHOOSE_STEP)
static void
age_many(struct pageout_worker *w)
{
	uint64_t inactive = (uint64_t)load_relaxed(&w->daemon->stats.levels[STAT_FRAMES_INACTIVE]);

	if (w->aged >= AGE_BATCH || 2ull * w->daemon->worker_count * w->aged >= inactive)
		age(w);
}

/* So many more in deactivated[]. */
static void
made_inactive(struct pageout_worker *w, unsigned count)
{
	w->aged += count;
	stat_add(w->stats, STAT_DEACTIVATIONS, count);
}

void
pageout_settle(struct daemon *d, struct stat_shard stats)
{
	struct victim victims[SETTLE_MAX];
	unsigned count;

	if (likely(param(d, resident_frames) == 0))
		return;
	do {
		lock_acquire(&d->pageq.lock);
		count = pageq_settle_locked(d, victims, SETTLE_MAX);
		lock_release(&d->pageq.lock);
		stat_add(stats, STAT_DEACTIVATIONS, count);
		zap_now(d, stats, victims, count);
	} while (count == SETTLE_MAX);
}

/* Chooses the batch of a round and the pages to be unmapped, a few at a time. => victims */
static unsigned
choose(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	unsigned chosen = 0, n, more, before = w->aged;

	do {
		unsigned want = w->batch - chosen < CHOOSE_STEP ? w->batch - chosen : CHOOSE_STEP;

		more = 0;
		lock_acquire(&d->pageq.lock);
		n = pageq_round_locked(d, want, 2 * want, chosen == 0 && w->aged == before, w->deactivated + w->aged, &more,
		    w->victims + chosen);
		lock_release(&d->pageq.lock);
		chosen += n;
		made_inactive(w, more);
	} while (n + more > 0 && chosen < w->batch && w->aged + 2 * CHOOSE_STEP <= PAGEOUT_BATCH_MAX);
	return chosen;
}

/* With resident_frames: one victim, in the order of pagersim. => victims */
static unsigned
choose_exact(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	unsigned chosen, aged;

	/* Parameters change while we run: some may have been waiting. */
	age(w);
	do {
		aged = 0;
		lock_acquire(&d->pageq.lock);
		chosen = pageq_round_exact_locked(d, w->deactivated, PAGEOUT_BATCH_MAX, &aged, w->victims);
		lock_release(&d->pageq.lock);
		made_inactive(w, aged);
		age(w);
	} while (chosen == 0 && aged == PAGEOUT_BATCH_MAX);
	return chosen;
}

static unsigned
choose_clean(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	unsigned chosen;

	lock_acquire(&d->pageq.lock);
	chosen = pageq_choose_clean_locked(d, w->batch, w->victims);
	lock_release(&d->pageq.lock);
	return chosen;
}

/* Large batches are cheaper, small ones are over sooner, and so is what their faults wait for. Memory that grows wants pages to leave
 * at the least cost; where as many come back as leave two threads' p99 is a tenth lower with half of the batch. */
static unsigned
largest_batch(const struct pageout_worker *w)
{
	unsigned most = (unsigned)param(w->daemon, pageout_batch);

	return w->growing ? most : (most + 1) / 2;
}

/* A batch is laundered. When pages had to stay, the next is smaller; then the worker waits for room. => frames freed */
static unsigned
launder_batch(struct pageout_worker *w, unsigned chosen)
{
	unsigned most = largest_batch(w), freed = launder(w, w->victims, chosen);

	if (w->refused)
		w->batch = w->batch > 1 ? w->batch / 2 : 1;
	else
		w->batch = 2 * w->batch < most ? 2 * w->batch : most;
	return freed;
}

/* One round: a batch aged, a batch laundered. => frames freed */
static unsigned
round_global(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	/* Without a place to store them dirty pages would only be taken from their owners and given back. */
	bool room = launder_has_room(w, w->batch);
	unsigned chosen = 0;

	/* What leaves for nothing goes first. */
	if (!room || pageout_is_crammed(d))
		chosen = choose_clean(w);
	if (room && chosen == 0 && param(d, resident_frames)) {
		chosen = choose_exact(w);
	} else if (room && chosen == 0) {
		chosen = choose(w);
		age_many(w);
	}
	if (chosen == 0)
		return 0;
	qsort(w->victims, chosen, sizeof(w->victims[0]), victim_order);
	return launder_batch(w, chosen);
}

/* The pages of one object, clock-wise from the session's hand: inactive ones leave, active ones become inactive.
 * => whether the object had any */
static bool
sweep_object(struct pageout_worker *w, struct session *s, struct vm_object *o, unsigned want, unsigned *aged,
    unsigned *chosen)
{
	struct daemon *d = w->daemon;
	uint64_t i = s->reclaim_page;
	bool any = false;

	for (; *chosen < want && *aged < want && (i = vm_object_next_live(o, i, o->page_count)) < o->page_count; i++) {
		lock_acquire(&d->pageq.lock);
		if (pageq_choose_page_locked(d, o, i, &w->victims[*chosen])) {
			++*chosen;
			any = true;
		} else if (pageq_deactivate_page_locked(d, o, i)) {
			vm_object_get(o);
			w->deactivated[*aged] = (struct victim){ vm_object_pol_page(o, i), FRAME_NONE, o };
			++*aged;
			any = true;
		}
		lock_release(&d->pageq.lock);
	}
	s->reclaim_page = i >= o->page_count ? 0 : (uint32_t)i;
	return any;
}

/* The next object of the session in its map, at or behind its hand; with a reference, or NULL. */
static struct vm_object *
next_object(struct session *s)
{
	struct vm_object *o = NULL;

	lock_acquire(&s->map.lock);
	if (s->map.count > 0) {
		if (s->reclaim_entry >= s->map.count)
			s->reclaim_entry = 0;
		o = s->map.entries[s->reclaim_entry].object;
		vm_object_get(o);
	}
	lock_release(&s->map.lock);
	return o;
}

/* Takes pages of a client that is over its limit, and of nobody else. => frames freed; *ret_moved: or pages aged */
static unsigned
round_session(struct pageout_worker *w, struct session *s, bool *ret_moved)
{
	unsigned want = (unsigned)param(w->daemon, pageout_batch), freed = 0;
	uint32_t tries = 2 * s->map.count + 2;

	w->refused = false;
	/* deactivated[] is filled from its beginning below. */
	age(w);
	while (tries-- > 0 && freed < want && !w->refused) {
		struct vm_object *o = next_object(s);
		unsigned aged = 0, chosen = 0;

		if (!o)
			break;
		sweep_object(w, s, o, w->batch, &aged, &chosen);
		if (s->reclaim_page == 0)
			s->reclaim_entry++;
		*ret_moved |= aged + chosen > 0;
		made_inactive(w, aged);
		age(w);
		if (chosen > 0)
			freed += launder_batch(w, chosen);
		vm_object_put(o);
	}
	return freed;
}

/* Own reclaim works until so many pages are free below the limit. */
#define LIMIT_SLACK 32u

/* Whether `more` pages would be too many. */
static bool
session_over_limit(struct session *s, uint64_t more)
{
	uint64_t limit = load_relaxed(&s->limit_pages);

	return limit && ledger_pages(&s->ledger, PAGER_LEDGER_INTERNAL) + more > limit;
}

static unsigned
round_limits(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	struct session *s;
	uint32_t cursor = 0;
	unsigned freed = 0;
	bool again = false;

	store_release(&d->pageq.sessions_over_limit, false);
	while ((s = session_next(d, &cursor)) != NULL) {
		/* Taken back first: a fault that parks from here on asks again. */
		if (exchange_acq_rel(&s->reclaim_queued, false)) {
			bool moved = false, waited_for;

			if (session_over_limit(s, LIMIT_SLACK))
				freed += round_session(w, s, &moved);
			waited_for = load_acquire(&s->limit_parked) > 0;
			/* Below the limit, by our work or its owner's: who waits may go on. */
			if (waited_for && !session_over_limit(s, 1))
				fault_servers_kick(d);
			/* A limit set below what is held is worked down to without a fault, as long as pages move. */
			if (waited_for || (moved && session_over_limit(s, 0))) {
				store_release(&s->reclaim_queued, true);
				again = true;
			}
		}
		session_put(s);
	}
	if (again)
		store_release(&d->pageq.sessions_over_limit, true);
	return freed;
}

/* Nothing could leave, or not all that should. Waits until writeback makes room, or a little while. */
static void
wait_for_room(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;

	writeback_want(d);
	age(w);
	lock_acquire(&d->pageq.lock);
	if (!d->pageq.stopping)
		cond_wait_for(&d->pageq.room_wanted, &d->pageq.lock, 1000000);
	lock_release(&d->pageq.lock);
}

/* Until there is work for this worker. Worker 0 is woken by those who take frames, the others only by a worker that does
 * not keep up. => PAGEQ held, released meanwhile */
static void
sleep_locked(struct pageout_worker *w)
{
	struct pageq *q = &w->daemon->pageq;

	if (w->index == 0) {
		q->first_asleep = true;
		cond_wait(&q->pageout_wanted, &q->lock);
		q->first_asleep = false;
	} else {
		q->helpers_asleep++;
		cond_wait(&q->help_wanted, &q->lock);
		q->helpers_asleep--;
	}
}

static void *
worker_main(void *argument)
{
	struct pageout_worker *w = argument;
	struct daemon *d = w->daemon;
	bool working = false;
	char name[16];

	snprintf(name, sizeof(name), "pageout-%u", w->index);
	pthread_setname_np(pthread_self(), name);
	lock_acquire(&d->pageq.lock);
	while (!d->pageq.stopping) {
		unsigned freed = 0;
		bool evicted;

		if (!work_wanted_locked(d, w->index, working)) {
			working = false;
			/* What waits to be unmapped does not wait for the next work. */
			if (w->aged > 0) {
				lock_release(&d->pageq.lock);
				age(w);
				lock_acquire(&d->pageq.lock);
				continue;
			}
			sleep_locked(w);
			continue;
		}
		working = true;
		/* The next worker joins if even now there is too little. */
		if (d->pageq.helpers_asleep && work_wanted_locked(d, w->index + 1, false))
			cond_broadcast(&d->pageq.help_wanted);
		lock_release(&d->pageq.lock);
		w->refused = false;
		evicted = evict_round(w, &freed);
		if (w->index == 0 && load_acquire(&d->pageq.sessions_over_limit))
			freed += round_limits(w);
		if (load_relaxed(&d->frames.free_count) < target(d) || (w->index == 0 && over_resident_frames(d)))
			freed += round_global(w);
		fetch_add_relaxed(&d->pageq.rounds, 1);
		if (freed > 0) {
			pageout_freed(d);
			if (!w->refused && squeeze_is_far(d))
				park_progress(d);
		}
		if ((freed == 0 && !evicted) || w->refused)
			wait_for_room(w);
		lock_acquire(&d->pageq.lock);
	}
	lock_release(&d->pageq.lock);
	age(w);
	return NULL;
}

int
pageout_start(struct daemon *d)
{
	d->workers = calloc(d->worker_count, sizeof(*d->workers));
	if (!d->workers)
		return -ENOMEM;
	for (unsigned i = 0; i < d->worker_count; i++) {
		struct pageout_worker *w = &d->workers[i];

		w->daemon = d;
		w->index = i;
		w->batch = (unsigned)param(d, pageout_batch);
		w->stats = stats_shard(&d->stats, shard_index_worker(d, i));
		w->bounce = mmap(NULL, (size_t)PAGEOUT_BATCH_MAX << d->page_shift, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
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
	lock_acquire(&d->pageq.lock);
	d->pageq.stopping = true;
	cond_signal(&d->pageq.pageout_wanted);
	cond_broadcast(&d->pageq.help_wanted);
	cond_broadcast(&d->pageq.room_wanted);
	lock_release(&d->pageq.lock);
	for (unsigned i = 0; i < d->worker_count; i++)
		pthread_join(d->workers[i].thread, NULL);
}

void
pageout_fini(struct daemon *d)
{
	for (unsigned i = 0; i < d->worker_count; i++)
		munmap(d->workers[i].bounce, (size_t)PAGEOUT_BATCH_MAX << d->page_shift);
	free(d->workers);
}
