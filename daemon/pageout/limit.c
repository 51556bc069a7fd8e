/* SPDX-License-Identifier: MIT
 *
 * Clients at their limit: their own pages leave, and nobody else's. Runs on: worker 0 of the common
 * lane, and side lanes' workers.
 */
#include "fault/fault.h"
#include "pageout/pageout_priv.h"
#include "session.h"

atomic_bool *
limits_wanted(struct daemon *d, unsigned lane)
{
	return lane == LANE_COMMON ? &d->pageq.limits_wanted
				   : &d->pageq.side[lane - 1].limits_wanted;
}

static void
want_pages_of(struct daemon *d, struct session *s)
{
	unsigned lane = load_acquire(&s->lane);

	store_release(&s->reclaim_queued, true);
	store_release(limits_wanted(d, lane), true);
	if (lane == LANE_COMMON)
		pageout_want(d);
	else
		side_wake(d);
}

void
pageout_want_session(struct daemon *d, struct session *s)
{
	struct session *other;
	uint32_t cursor = 0;

	want_pages_of(d, s);
	if (likely(load_relaxed(&s->task->references) == 1))
		return;
	/* The limit is the process's: its other sessions' pages serve as well. */
	while ((other = session_next(d, &cursor)) != NULL) {
		if (other != s && other->task == s->task)
			want_pages_of(d, other);
		session_put(other);
	}
}

/* The pages of one object, clock-wise from the session's hand: inactive ones leave, active ones
 * become inactive.
 * => whether the object had any */
static bool
sweep_object(
    struct pageout_worker *w, struct session *s, struct vm_object *o, unsigned want, unsigned *aged)
{
	struct daemon *d = w->daemon;
	uint64_t i = s->reclaim_page;
	bool any = false;

	for (; w->chosen < want && *aged < want &&
	       (i = vm_object_next_live(o, i, o->page_count)) < o->page_count;
	     i++) {
		lock_acquire(&d->pageq.lock);
		if (pageq_choose_page_locked(d, o, i, &w->victims[w->chosen])) {
			w->chosen++;
			any = true;
		} else if (pageq_deactivate_page_locked(d, o, i)) {
			vm_object_get(o);
			w->deactivated[*aged] =
			    (struct victim){ vm_object_pol_page(o, i), FRAME_NONE, o };
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

/* Takes pages of a client that is over its limit, and of nobody else. => frames freed; *ret_moved:
 * or pages aged */
static unsigned
round_session(struct pageout_worker *w, struct session *s, bool *ret_moved)
{
	unsigned want = (unsigned)param(w->daemon, pageout_batch), freed = 0;
	uint32_t tries = 2 * s->map.count + 2;

	w->refused = false;
	/* deactivated[] is filled from its beginning below. */
	worker_age(w);
	while (tries-- > 0 && freed < want && !w->refused && !watch_is_relieved()) {
		struct vm_object *o = next_object(s);
		unsigned aged = 0;

		if (!o)
			break;
		sweep_object(w, s, o, w->batch, &aged);
		if (s->reclaim_page == 0)
			s->reclaim_entry++;
		*ret_moved |= aged + w->chosen > 0;
		worker_made_inactive(w, aged);
		worker_age(w);
		freed += worker_launder(w);
		vm_object_put(o);
	}
	return freed;
}

/* Own reclaim works until so many pages are free below the limit. */
#define LIMIT_SLACK 32u

unsigned
round_limits(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	struct session *s;
	uint32_t cursor = 0;
	unsigned freed = 0;
	bool again = false;

	store_release(limits_wanted(d, w->lane), false);
	while ((s = session_next(d, &cursor)) != NULL) {
		bool is_ours = load_acquire(&s->lane) == w->lane && !watch_is_relieved();

		/* Taken back first: a fault that parks from here on asks again. */
		if (is_ours && exchange_acq_rel(&s->reclaim_queued, false)) {
			bool moved = false, waited_for;

			if (task_over_limit(s->task, LIMIT_SLACK))
				freed += round_session(w, s, &moved);
			waited_for = load_acquire(&s->task->limit_parked) > 0;
			/* Below the limit, by our work or its owner's: who waits may go on. */
			if (waited_for && !task_over_limit(s->task, 1))
				fault_servers_kick(d);
			/* A limit set below what is held is worked down to without a fault, as long
			 * as pages move. */
			if (waited_for || (moved && task_over_limit(s->task, 0))) {
				store_release(&s->reclaim_queued, true);
				again = true;
			}
		}
		session_put(s);
	}
	if (again)
		store_release(limits_wanted(d, w->lane), true);
	return freed;
}
