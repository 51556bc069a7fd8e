/* SPDX-License-Identifier: MIT
 *
 * Eviction: a range leaves memory because its owner says so (PAGER_BEHAVIOR_PAGEOUT). A jobs thread
 * names the range and waits (region/evict.c); every worker takes part after part of it, makes the
 * pages busy and launders them. Faults are answered meanwhile, and one that meets a page on its way
 * out wins, as against any laundering.
 *
 * Nothing is unmapped beforehand: the pages need not be seen to be touched, only to be written,
 * which the write protection sees to; the hole takes the mappings away, a whole neighbourhood at a
 * time.
 *
 * Where nothing can be stored, clean pages leave, and the worker waits for the writer as it does
 * otherwise. When that has been tried as often as squeeze.c asks for before it refuses a first
 * touch, the rest stays.
 *
 * Runs on: pageout workers. Allocates nothing; no lock is held across I/O.
 */
#include "pageout/evict.h"

#include "pageout/launder.h"
#include "pageout/writeback.h"
#include "pagers/store.h"
#include "vm/task.h"

/* Pages that a worker takes up at a time. Neighbours of one part leave in one hole. */
#define PART_PAGES 128u
/* And takes out in one round, with the price of its calls divided by so many. */
#define PART_BATCH 64u

/* The oldest one that has pages for a worker of that lane, or NULL. => PAGEQ held */
static struct eviction *
next_locked(const struct daemon *d, unsigned lane)
{
	struct eviction *e = d->pageq.evictions.first;

	while (e && (e->next == e->end || load_acquire(&e->object->owner->lane) != lane))
		e = e->next_asked;
	return e;
}

bool
evict_wanted_locked(const struct daemon *d, unsigned lane)
{
	return next_locked(d, lane) != NULL;
}

/* The jobs thread goes on when nothing is left to be taken up and nobody is at work. => PAGEQ held
 */
static void
end_locked(struct daemon *d, const struct eviction *e)
{
	if (e->parts == 0 && e->next == e->end)
		cond_broadcast(&d->pageq.evictions.done);
}

/* The worker's eviction, in which it has a part now, or NULL. => PAGEQ held */
static struct eviction *
part_locked(struct pageout_worker *w)
{
	struct eviction *e = w->eviction;

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

static void
part_end_locked(struct pageout_worker *w, struct eviction *e)
{
	w->eviction = NULL;
	w->part_low = w->part_high = 0;
	e->parts--;
	end_locked(w->daemon, e);
}

/* What a search through a part has met. */
struct search {
	uint64_t at; /* where it ended */
	unsigned count;
	bool met_busy, met_dirty;
};

/* Faults wait for PAGEQ: it is not held for longer than so many pages take. */
#define SEARCH_STEP 16u

static struct search
collect(struct pageout_worker *w, struct vm_object *o, unsigned want, bool clean_only)
{
	struct daemon *d = w->daemon;
	struct search s = { .at = w->part_low };

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

/* Pages that go straight on to swap take memory for a moment only, and where the disk has time to
 * spare a processor's is what their leaving takes: pressed less hard more of them leave. Up by half
 * each time, and down by half when a batch found no room, which is how a disk that does not keep up
 * is felt. */
unsigned
evict_acceleration(unsigned now, unsigned least, unsigned most, bool goes_on_to_swap, bool refused)
{
	unsigned next = refused ? now / 2 : now + now / 2 + 1;

	if (!goes_on_to_swap)
		return 0;
	if (next > most)
		next = most;
	return next > least ? next : least;
}

/* Whether what is stored now will have left memory by the end: as much follows as the compressor
 * holds. A page pressed lightly takes about three quarters of one. => PAGEQ held */
static bool
goes_on_to_swap_locked(const struct daemon *d, const struct eviction *e)
{
	uint64_t follow = min_u64(e->end - e->next + e->behind, frames_movable(d));

	return swap_has_room(d) && follow * 3 / 4 > store_share(d);
}

bool
evict_round(struct pageout_worker *w, unsigned *ret_freed)
{
	struct daemon *d = w->daemon;
	struct eviction *e;
	struct vm_object *o;
	struct search s;
	unsigned freed;
	bool room, goes_on = false;

	pageq_lock(d);
	e = part_locked(w);
	if (e)
		goes_on = goes_on_to_swap_locked(d, e);
	pageq_unlock(d);
	if (!e)
		return false;
	/* It stays until this worker's part has ended. */
	o = e->object;
	if (w->part_batch == 0)
		w->part_batch = PART_BATCH;
	room = store_has_room(w->daemon, w->index, w->part_batch);
	s = collect(w, o, room ? w->part_batch : PART_BATCH, !room);
	w->acceleration = goes_on ? w->part_acceleration : 0;
	w->evicting = true;
	freed = launder_begun(w, w->victims, s.count);
	w->evicting = false;
	w->acceleration = 0;
	if (s.met_dirty)
		w->refused = true;
	/* Before there is no room left: then we would wait. */
	if (store_swap_worth(d))
		writeback_want(d);
	w->part_batch = w->refused ? (w->part_batch + 1) / 2 : PART_BATCH;
	w->part_acceleration =
	    evict_acceleration(w->part_acceleration, (unsigned)param(d, compress_acceleration),
		(unsigned)param(d, compress_acceleration_evict), goes_on, w->refused);

	pageq_lock(d);
	e->pages += freed;
	e->met_busy |= s.met_busy;
	if (freed > 0)
		e->since = moment_now(d);
	/* Pages that found no room are come to again. */
	if (!w->refused)
		w->part_low = s.at;
	else if (squeeze_refuses(
		     FRAME_FIRST, moment_tried(e->since, moment_now(d)), swap_has_room(d)))
		e->stuck = true;
	if (e->stuck || task_is_dead(o->owner)) {
		e->next = e->end;
		w->part_low = w->part_high;
	}
	/* What is left of the part is for its lane's worker: the whole of the range is gone through
	 * again (met_busy). */
	if (unlikely(watch_is_relieved() || load_acquire(&o->owner->lane) != w->lane)) {
		e->met_busy |= w->part_low < w->part_high;
		w->part_low = w->part_high;
	}
	if (w->part_low == w->part_high)
		part_end_locked(w, e);
	pageq_unlock(d);
	*ret_freed += freed;
	return !w->refused;
}
