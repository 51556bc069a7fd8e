/* SPDX-License-Identifier: MIT
 *
 * Batches. Runs on: pageout workers. Allocates nothing.
 */
#include "pageout/batch.h"

#include "pageout/launder.h"
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

		while (w->aged_begun + n < w->aged && v[n].object->owner == v[0].object->owner)
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

/* A large batch costs less a page; a small one ends sooner, and with it the wait of faults on its
 * pages. While memory grows, cost counts. Where as many pages come back as leave, the 99th
 * percentile of two threads is a tenth lower with half of the batch. */
static unsigned
largest_batch(const struct pageout_worker *w)
{
	unsigned most = (unsigned)param(w->daemon, pageout_batch);

	CHECK(most <= PAGEOUT_BATCH_MAX);
	return w->growing ? most : (most + 1) / 2;
}

unsigned
worker_launder(struct pageout_worker *w)
{
	unsigned most = largest_batch(w), freed;

	locks_assert_none();
	/* A relieved worker's victims are another's by now. */
	if (watch_is_relieved() || w->chosen == 0)
		return 0;
	SORT_BY(w->victims, w->chosen, page);
	freed = launder(w);
	if (!watch_is_relieved())
		w->begun = w->chosen = 0;
	if (w->refused)
		w->batch = w->batch > 1 ? w->batch / 2 : 1;
	else
		w->batch = 2 * w->batch < most ? 2 * w->batch : most;
	return freed;
}
