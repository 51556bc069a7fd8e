/* SPDX-License-Identifier: MIT
 *
 * Side lanes' victims. Runs on: workers, start; side_wake on any thread. Allocates nothing but at
 * start.
 */
#include "pageq/side.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon.h"
#include "pageq/pageq.h"

int
side_create(struct daemon *d)
{
	for (unsigned i = 0; i < SIDE_LANES; i++) {
		struct side_queue *q = &d->pageq.side[i];

		q->victims = calloc(SIDE_VICTIMS, sizeof(*q->victims));
		if (!q->victims)
			return -ENOMEM;
		cond_init(&q->wanted);
	}
	return 0;
}

void
side_destroy(struct daemon *d)
{
	for (unsigned i = 0; i < SIDE_LANES; i++) {
		free(d->pageq.side[i].victims);
		cond_fini(&d->pageq.side[i].wanted);
	}
}

void
side_give_locked(struct daemon *d, unsigned lane, const struct victim *v)
{
	struct side_queue *q = &d->pageq.side[lane - 1];

	pageq_assert_held(d);
	CHECK(lane != LANE_COMMON && lane <= SIDE_LANES);
	CHECK(q->count <= SIDE_VICTIMS && q->first < SIDE_VICTIMS);
	if (q->count == SIDE_VICTIMS) {
		pageq_victim_stays_locked(d, v);
		return;
	}
	q->victims[(q->first + q->count++) % SIDE_VICTIMS] = *v;
	cond_signal(&q->wanted);
}

unsigned
side_take(struct daemon *d, unsigned lane, unsigned want, struct victim *ret)
{
	struct side_queue *q = &d->pageq.side[lane - 1];
	unsigned taken = 0;

	CHECK(lane != LANE_COMMON && lane <= SIDE_LANES);
	pageq_lock(d);
	while (taken < want && q->count > 0) {
		ret[taken++] = q->victims[q->first];
		q->first = (q->first + 1) % SIDE_VICTIMS;
		q->count--;
	}
	pageq_unlock(d);
	return taken;
}

bool
side_wanted_locked(const struct daemon *d, unsigned lane)
{
	const struct side_queue *q = &d->pageq.side[lane - 1];

	pageq_assert_held(d);
	CHECK(lane != LANE_COMMON && lane <= SIDE_LANES);
	return q->count > 0 || load_relaxed(&d->limits.wanted[lane]);
}

void
side_wake(struct daemon *d)
{
	pageq_lock(d);
	for (unsigned i = 0; i < SIDE_LANES; i++) {
		store_relaxed(&d->limits.wanted[1 + i], true);
		cond_signal(&d->pageq.side[i].wanted);
	}
	pageq_unlock(d);
}
