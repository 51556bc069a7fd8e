/* SPDX-License-Identifier: MIT
 *
 * Ageing. Runs on: pageout workers. Allocates nothing.
 */
#include "pageout/age.h"

#include "sort.h"

void
worker_age(struct pageout_worker *w)
{
	locks_assert_none();
	CHECK(w->aged_begun <= w->aged && w->aged <= PAGEOUT_BATCH_MAX);
	/* A relieved worker's pages are another's by now. */
	if (w->aged == 0 || watch_is_relieved())
		return;
	SORT_BY(w->deactivated, w->aged, page);
	while (w->aged_begun < w->aged && !watch_is_relieved()) {
		struct victim *v = &w->deactivated[w->aged_begun];
		unsigned n = 1;

		while (
		    w->aged_begun + n < w->aged && vm_object_same_client(v[n].object, v[0].object))
			n++;
		w->aged_begun += n;
		if (param(w->daemon, resident_frames)) {
			zap_now(w->daemon, w->stats, v, n);
			continue;
		}
		zap(w->daemon, w->stats, v, n);
		for (unsigned i = 0; i < n; i++)
			vm_object_put(v[i].object);
	}
	/* worker_main resets the counts of a relieved worker. */
	if (!watch_is_relieved())
		w->aged = w->aged_begun = 0;
}

void
worker_made_inactive(struct pageout_worker *w, unsigned count)
{
	CHECK(w->aged + count <= PAGEOUT_BATCH_MAX);
	w->aged += count;
	stat_add(w->stats, STAT_DEACTIVATIONS, count);
}

/* Pages that are unmapped at once at the latest: another step of choosing still finds room. */
#define AGE_BATCH (PAGEOUT_BATCH_MAX - 4 * CHOOSE_STEP)

void
worker_age_many(struct pageout_worker *w)
{
	uint64_t inactive = (uint64_t)load_relaxed(&w->daemon->stats.levels[STAT_FRAMES_INACTIVE]);

	locks_assert_none();
	if (w->aged >= AGE_BATCH || 2ull * w->daemon->worker_count * w->aged >= inactive)
		worker_age(w);
}
