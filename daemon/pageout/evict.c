/* SPDX-License-Identifier: MIT
 *
 * Eviction: a range leaves memory because its owner says so (PAGER_BEHAVIOR_PAGEOUT). A jobs thread
 * names the range and waits (region/evict.c). Each worker takes one part of it after another, makes
 * the pages busy and launders them. Faults are answered meanwhile; a fault on a page that is on its
 * way out wins, as with any other laundering.
 *
 * Nothing is unmapped beforehand. Touches of these pages need not be seen; writes must be, and the
 * write protection sees them. The punch takes the mappings away, those of many neighbours at a
 * time.
 *
 * If nothing can be stored, clean pages leave, and the worker waits for the writer as it does for
 * other pages. If that has been tried as often as squeeze.c demands before a first touch is
 * refused, the rest of the range stays.
 *
 * Pages of a client that is frozen keep apart: each worker stores them in a segment of its own for
 * them, which goes to swap before all others, and puts beside them what the client has in other
 * segments. So all that it has is a run of segments, and none of them has pages of others.
 *
 * Runs on: pageout workers. Allocates nothing; no lock is held across I/O.
 */
#include "pageout/evict.h"

#include <errno.h>

#include "pageout/launder.h"
#include "pageout/writeback.h"
#include "pagers/pager.h"
#include "pagers/store.h"
#include "transit/release.h"
#include "vm/hole.h"
#include "vm/task.h"

/* Pages of a part. Neighbours of one part leave in one punch. */
#define PART_PAGES 128u
/* Pages of a part that are laundered in one round, which share the cost of its system calls. */
#define PART_BATCH 64u

/* The range that was asked for first of those that have pages for a worker of that lane, or NULL.
 * => PAGEQ held */
static struct eviction *
next_locked(const struct daemon *d, unsigned lane)
{
	struct eviction *e = d->pageq.evictions.first;

	pageq_assert_held(d);
	while (e && (e->next == e->end || vm_object_lane(e->object) != lane))
		e = e->next_asked;
	return e;
}

bool
evict_wanted_locked(const struct daemon *d, unsigned lane)
{
	pageq_assert_held(d);
	return next_locked(d, lane) != NULL;
}

/* Wakes the jobs thread if all pages have been taken up and no worker has a part. => PAGEQ held */
static void
end_locked(struct daemon *d, const struct eviction *e)
{
	pageq_assert_held(d);
	if (e->parts == 0 && e->next == e->end)
		cond_broadcast(&d->pageq.evictions.done);
}

/* Takes up a part, unless the worker has one. => the range, or NULL: there is none; PAGEQ held */
static struct eviction *
part_locked(struct pageout_worker *w)
{
	struct eviction *e = w->eviction;

	pageq_assert_held(w->daemon);
	while (!e && (e = next_locked(w->daemon, w->lane)) != NULL) {
		e->next = vm_object_next_live(e->object, e->next, e->end);
		if (e->next == e->end) {
			end_locked(w->daemon, e);
			e = NULL;
			continue;
		}
		w->part_low = e->next;
		w->part_high = min_u64(round_down_u64(e->next, PART_PAGES) + PART_PAGES, e->end);
		e->next = w->part_high;
		e->parts++;
		w->eviction = e;
	}
	return e;
}

/* => PAGEQ held */
static void
part_end_locked(struct pageout_worker *w, struct eviction *e)
{
	pageq_assert_held(w->daemon);
	CHECK(w->eviction == e && e->parts > 0);
	w->eviction = NULL;
	w->part_low = w->part_high = 0;
	e->parts--;
	end_locked(w->daemon, e);
}

/* The result of a search through a part. */
struct search {
	uint64_t at;    /* the page before which it ended */
	unsigned count; /* pages taken */
	bool met_busy, met_dirty;
};

/* Pages that are looked at while PAGEQ is held once: faults wait for PAGEQ that long. */
#define SEARCH_STEP 16u

/* Makes up to `want` pages of the part CLEANING, in w->victims. */
static struct search
collect(struct pageout_worker *w, struct vm_object *o, unsigned want, bool clean_only)
{
	struct daemon *d = w->daemon;
	struct search s = { .at = w->part_low };

	CHECK(want <= PAGEOUT_BATCH_MAX && w->part_low < w->part_high);
	while (s.at < w->part_high && s.count < want) {
		uint64_t step_end = min_u64(s.at + SEARCH_STEP, w->part_high);

		pageq_lock(d);
		for (; s.at < step_end && s.count < want; s.at++) {
			enum pageq_eviction what =
			    pageq_evict_page_locked(d, o, s.at, clean_only, &w->victims[s.count]);

			s.count += what == EVICTION_TAKEN;
			s.met_busy |= what == EVICTION_BUSY;
			s.met_dirty |= what == EVICTION_DIRTY;
		}
		pageq_unlock(d);
	}
	return s;
}

/* Pages that go straight on to swap take memory only for a moment. While the disk has time to
 * spare, the processor limits how fast they leave, so less compression lets more of them leave. The
 * acceleration grows by half each time, and falls by half when a batch found no room: that is how a
 * disk that does not keep up shows. */
unsigned
evict_acceleration(unsigned now, unsigned least, unsigned most, bool goes_on_to_swap, bool refused)
{
	unsigned next = refused ? now / 2 : now + now / 2 + 1;

	CHECK(least > 0 && most > 0);
	if (!goes_on_to_swap)
		return 0;
	if (next > most)
		next = most;
	return next > least ? next : least;
}

/* Whether the pages that are stored now will have left memory by the end, because as much follows
 * as the compressor may hold. A lightly compressed page takes about three quarters of a page. =>
 * PAGEQ held */
static bool
goes_on_to_swap_locked(const struct daemon *d, const struct eviction *e)
{
	uint64_t follow = min_u64(e->end - e->next + e->behind, frames_movable(d));

	pageq_assert_held(d);
	return swap_has_room(d) && follow * 3 / 4 > store_share(d);
}

/* --- pages that keep apart --- */

/* Puts a stored page beside the others, if it is in memory and nobody has it now; w->refused: there
 * was no room. => whether it has moved */
static bool
gather_page(struct pageout_worker *w, struct vm_object *o, uint64_t index)
{
	struct daemon *d = w->daemon;
	struct cref from, to;
	uint64_t slot;
	int error;

	lock_acquire(&o->lock);
	slot = load_relaxed(vm_object_slot(o, index));
	from = slot_kind(slot) == SLOT_STORED ? slot_cref(slot) : CREF_NONE;
	if (from.v == 0 || vm_object_hole_at(o, index) || compressor_is_single_value(from) ||
	    compressor_is_away(d->compressor, from)) {
		lock_release(&o->lock);
		return false;
	}
	vm_object_hole_begin(o, &w->hole, index, index + 1);
	lock_release(&o->lock);
	error = compressor_gather(d->compressor, w->index, from, vm_object_owner(o, index), &to);
	if (error == 0) {
		lock_acquire(&o->lock);
		vm_object_slot_set(o, index, slot_with_door(slot_stored(to), slot_door(slot)));
		lock_release(&o->lock);
	}
	vm_object_hole_close(o, &w->hole);
	w->refused |= error == -ENOSPC;
	if (error == 0)
		compressor_free(d->compressor, from);
	return error == 0;
}

/* The stored pages of [first, last); w->refused: not all found room. => how many have moved */
static uint64_t
gather(struct pageout_worker *w, struct vm_object *o, uint64_t first, uint64_t last)
{
	struct daemon *d = w->daemon;
	uint64_t gathered = 0, count = 0;

	locks_assert_none();
	for (uint64_t i = first; (i = vm_object_next_live(o, i, last)) < last; i++)
		count += slot_kind(load_acquire(vm_object_slot(o, i))) == SLOT_STORED;
	if (count == 0)
		return 0;
	w->refused = pager_room_take(o, count) != PAGER_ROOM_ALL;
	if (w->refused)
		return 0;
	watch_client(vm_object_cookie(o));
	for (uint64_t i = first; (i = vm_object_next_live(o, i, last)) < last && !w->refused; i++)
		gathered += gather_page(w, o, i);
	pageq_lock(d);
	frames_reclaim_credit_locked(d, 64u << 10);
	pageq_unlock(d);
	return gathered;
}

bool
evict_apart_is_over_locked(const struct pageout_worker *w)
{
	pageq_assert_held(w->daemon);
	return w->has_apart && w->daemon->pageq.evictions.freezes == 0;
}

void
evict_apart_end(struct pageout_worker *w)
{
	locks_assert_none();
	CHECK(w->has_apart);
	compressor_apart_end(w->daemon->compressor, w->index);
	w->has_apart = false;
	writeback_want(w->daemon);
}

bool
evict_round(struct pageout_worker *w, unsigned *ret_freed)
{
	struct daemon *d = w->daemon;
	struct eviction *e;
	struct vm_object *o;
	struct search s;
	uint64_t gathered = 0;
	unsigned freed;
	bool room, goes_on = false;

	locks_assert_none();
	CHECK(w->chosen == 0);
	pageq_lock(d);
	e = part_locked(w);
	if (e)
		goes_on = goes_on_to_swap_locked(d, e);
	pageq_unlock(d);
	if (!e)
		return false;
	/* The range and its object stay until this worker's part has ended. */
	o = e->object;
	if (w->part_batch == 0)
		w->part_batch = PART_BATCH;
	if (e->apart) {
		compressor_apart(d->compressor, w->index, true);
		w->has_apart = true;
	}
	room = store_has_room(w->daemon, w->index, w->part_batch);
	s = collect(w, o, room ? w->part_batch : PART_BATCH, !room);
	w->acceleration = goes_on ? w->part_acceleration : 0;
	w->evicting = true;
	freed = launder_begun(w, w->victims, s.count);
	w->evicting = false;
	w->acceleration = 0;
	if (e->apart) {
		if (!w->refused && !s.met_dirty)
			gathered = gather(w, o, w->part_low, s.at);
		compressor_apart(d->compressor, w->index, false);
	}
	if (s.met_dirty)
		w->refused = true;
	/* The writer begins before there is no room left, so that this worker need not wait. */
	if (store_swap_worth(d))
		writeback_want(d);
	w->part_batch = w->refused ? (w->part_batch + 1) / 2 : PART_BATCH;
	w->part_acceleration =
	    evict_acceleration(w->part_acceleration, (unsigned)param(d, compress_acceleration),
		(unsigned)param(d, compress_acceleration_evict), goes_on, w->refused);

	pageq_lock(d);
	e->pages += freed;
	e->gathered += gathered;
	e->met_busy |= s.met_busy || w->stayed;
	if (freed + gathered > 0)
		e->since = moment_now(d);
	/* Pages that found no room are tried again. */
	if (!w->refused)
		w->part_low = s.at;
	else if (squeeze_refuses(
		     FRAME_FIRST, moment_tried(e->since, moment_now(d)), swap_has_room(d)))
		e->stuck = true;
	if (e->stuck || vm_object_is_deserted(o)) {
		e->next = e->end;
		w->part_low = w->part_high;
	}
	/* The rest of the part is for another worker, or for another lane's. met_busy makes the job
	 * ask for the whole range again. */
	if (unlikely(watch_is_relieved() || vm_object_lane(o) != w->lane)) {
		e->met_busy |= w->part_low < w->part_high;
		w->part_low = w->part_high;
	}
	if (w->part_low == w->part_high)
		part_end_locked(w, e);
	pageq_unlock(d);
	*ret_freed += freed;
	return !w->refused;
}
