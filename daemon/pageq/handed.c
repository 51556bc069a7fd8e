/* SPDX-License-Identifier: MIT
 *
 * Pages that fault servers hand to workers. Runs on: fault servers, workers. Allocates nothing.
 */
#include "pageq/handed.h"

#include "daemon.h"
#include "pageq/pageq.h"

bool
handed_give_locked(struct daemon *d, unsigned lane, const struct victim *v)
{
	struct handed_queue *q = &d->pageq.handed[lane];

	pageq_assert_held(d);
	CHECK(lane <= SIDE_LANES && q->count <= HANDED_MAX && q->first < HANDED_MAX);
	if (q->count == HANDED_MAX)
		return false;
	q->victims[(q->first + q->count++) % HANDED_MAX] = *v;
	if (lane != LANE_COMMON)
		cond_signal(&d->pageq.side[lane - 1].wanted);
	else if (d->pageq.calls.first_asleep)
		cond_signal(&d->pageq.calls.pageout_wanted);
	return true;
}

bool
handed_take(struct daemon *d, unsigned lane, struct victim *ret)
{
	struct handed_queue *q = &d->pageq.handed[lane];
	bool any;

	locks_assert_none();
	CHECK(lane <= SIDE_LANES);
	pageq_lock(d);
	any = q->count > 0;
	if (any) {
		*ret = q->victims[q->first];
		q->first = (q->first + 1) % HANDED_MAX;
		q->count--;
	}
	pageq_unlock(d);
	return any;
}

bool
handed_wanted_locked(const struct daemon *d, unsigned lane)
{
	pageq_assert_held(d);
	CHECK(lane <= SIDE_LANES);
	return d->pageq.handed[lane].count > 0;
}
