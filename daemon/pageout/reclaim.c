/* SPDX-License-Identifier: MIT
 *
 * Reclaim. Runs on: pageout workers. Allocates nothing.
 */
#include "pageout/reclaim.h"

#include "pageout/age.h"
#include "pageout/batch.h"
#include "pageq/choose.h"
#include "pageq/exact.h"
#include "pagers/store.h"

bool
reclaim_is_over_limit(struct daemon *d)
{
	uint64_t limit = param(d, resident_frames);
	uint64_t resident = frames_resident_movable(d);

	return limit &&
	       (resident > limit || (resident == limit && load_relaxed(&d->park.count) > 0));
}

uint32_t
reclaim_target(const struct daemon *d)
{
	uint32_t target = unlikely(frames_are_crammed(d)) ? d->frames.last : d->frames.free_target;

	CHECK(target <= d->frames.count);
	return target;
}

/* Chooses the victims of a round and the pages to be unmapped, a few at a time. */
static void
choose(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	unsigned n, more, before = w->aged;

	CHECK(w->aged + 2 * CHOOSE_STEP <= PAGEOUT_BATCH_MAX && w->batch <= PAGEOUT_BATCH_MAX);
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

/* With resident_frames: chooses one victim, in the order of events that pagersim has. */
static void
choose_exact(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	unsigned aged;

	/* The parameter may have been set while pages waited to be unmapped. */
	worker_age(w);
	do {
		/* A relieved worker's victims would be nobody's. */
		if (watch_is_relieved())
			return;
		CHECK(w->aged == 0);
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

	CHECK(w->chosen == 0);
	pageq_lock(d);
	w->chosen = choose_clean_locked(d, w->batch, w->victims);
	pageq_unlock(d);
}

unsigned
reclaim_round(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	bool room;

	locks_assert_none();
	/* Without a place to store them, dirty pages would be taken from their owners only to be
	 * given back. */
	room = store_has_room(d, w->index, w->batch);
	/* Clean pages go first, because they need no room. */
	if (!room || frames_are_crammed(d))
		choose_clean(w);
	if (room && w->chosen == 0 && param(d, resident_frames)) {
		choose_exact(w);
	} else if (room && w->chosen == 0) {
		choose(w);
		worker_age_many(w);
	}
	return worker_launder(w);
}
