/* SPDX-License-Identifier: MIT
 *
 * The asking half of an eviction: pageout's workers take the pages out (pageout/evict.c). Ask and
 * answer meet in `struct eviction` of the page queues. Runs on: jobs.
 */
#include "region/evict.h"

#include "memorystatus/frame_wait.h"
#include "pageq/pageq.h"
#include "region/piece.h"
#include "transit/release.h"
#include "vm/vm_mapping.h"

#define COST_PAGEOUT 2u /* of a page, in slots looked at (piece.h) */
/* How often pages are tried that were in transit, or stayed: because a thread touched them, because
 * the kernel had a reference on them, as it may for a moment on any, or because they could not be
 * write-protected. */
#define TIMES_MAX 5u

/* Waits until the pages of the range that are busy now have been let go. passes_lists: not while
 * the object has page lists, whose owner may take any time. */
static void
wait_for_busy(struct vm_object *o, uint64_t first, uint64_t last, bool passes_lists)
{
	CHECK(last <= o->page_count);
	for (uint64_t i = first; (i = vm_object_next_live(o, i, last)) < last; i++) {
		uint64_t slot;

		lock_acquire(&o->lock);
		slot = load_relaxed(vm_object_slot(o, i));
		if (slot_kind(slot) == SLOT_RESIDENT) {
			struct vm_page *p = &o->daemon->frames.pages[slot_frame(slot)];

			if (load_acquire(&p->word) & PAGE_BUSY && !(passes_lists && o->upls))
				vm_object_wait_unbusy(o, p);
		}
		lock_release(&o->lock);
	}
}

static void
asked_locked(struct daemon *d, struct eviction *e)
{
	struct eviction **at = &d->pageq.evictions.first;

	pageq_assert_held(d);
	while (*at)
		at = &(*at)->next_asked;
	e->next_asked = NULL;
	*at = e;
}

static void
answered_locked(struct daemon *d, struct eviction *e)
{
	struct eviction **at = &d->pageq.evictions.first;

	pageq_assert_held(d);
	while (*at != e) {
		CHECK(*at);
		at = &(*at)->next_asked;
	}
	*at = e->next_asked;
}

/* Wakes the workers of the object's lane. */
static void
wake_locked(struct daemon *d, const struct vm_object *o)
{
	unsigned lane = vm_object_lane(o);
	struct worker_calls *calls = &d->pageq.calls;

	pageq_assert_held(d);
	if (lane != LANE_COMMON)
		cond_signal(&d->pageq.side[lane - 1].wanted);
	if (calls->first_asleep)
		cond_signal(&calls->pageout_wanted);
	cond_broadcast(&calls->help_wanted);
}

struct eviction
region_evict_pages(struct vm_object *o, uint64_t first, uint64_t last, uint64_t behind, bool apart)
{
	struct daemon *d = o->daemon;
	struct eviction e = {
		.object = o, .behind = behind, .apart = apart, .since = moment_now(d)
	};

	locks_assert_none();
	CHECK(first <= last && last <= o->page_count);
	for (unsigned times = 0; times < TIMES_MAX; times++) {
		pageq_lock(d);
		e.met_busy = false;
		e.next = first;
		e.end = last;
		asked_locked(d, &e);
		store_relaxed(&d->writeback.evicting, true);
		wake_locked(d, o);
		watch_client(vm_object_cookie(o));
		while (e.next < e.end || e.parts > 0) {
			watch_enter(WATCH_WAIT, -1);
			pageq_wait(d, &d->pageq.evictions.done);
			watch_leave();
		}
		answered_locked(d, &e);
		pageq_unlock(d);
		if (!e.met_busy || e.stuck || vm_object_is_deserted(o))
			break;
		wait_for_busy(o, first, last, apart);
	}
	CHECK(e.parts == 0);
	return e;
}

uint64_t
region_evict(struct range *range)
{
	struct daemon *d = range->task->daemon;
	struct piece p = piece_begin(range, piece_content_cost(d, COST_PAGEOUT));
	uint64_t pages = 0;
	struct part part;

	locks_assert_none();
	while (piece_next(&p, &part)) {
		pages += region_evict_pages(part.entry.mapping->object, part.first, part.last,
		    (range->end - range->at) >> d->page_shift, false)
			     .pages;
		vm_mapping_put(part.entry.mapping);
	}
	stat_add(range->stats, STAT_EVICTIONS, pages);
	return pages;
}
