/* SPDX-License-Identifier: MIT
 *
 * Batches. Runs on: pageout workers. Allocates nothing.
 */
#include "pageout/batch.h"

#include "pageout/launder.h"
#include "sort.h"

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
