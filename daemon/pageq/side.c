/* SPDX-License-Identifier: MIT
 *
 * Side lanes: what their workers are given. The policy knows no lanes; a victim whose client is
 * served by a side lane is handed to that lane's worker by the one that meets it.
 */
#include <stdlib.h>

#include "pageout/pageout.h"
#include "vm/task.h"

int
side_create(struct daemon *d)
{
	for (unsigned i = 0; i < SIDE_LANES; i++) {
		struct side_queue *q = &d->pageq.side[i];

		q->victims = calloc(SIDE_VICTIMS, sizeof(*q->victims));
		if (!q->victims)
			return -1;
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

	lock_assert_held(&d->pageq.lock);
	if (q->count == SIDE_VICTIMS) {
		pageq_victim_stays_locked(d, v);
		return;
	}
	q->victims[(q->first + q->count++) % SIDE_VICTIMS] = *v;
	cond_signal(&q->wanted);
}

void
side_take(struct pageout_worker *w)
{
	struct side_queue *q = &w->daemon->pageq.side[w->lane - 1];

	lock_acquire(&w->daemon->pageq.lock);
	while (w->chosen < w->batch && q->count > 0) {
		w->victims[w->chosen++] = q->victims[q->first];
		q->first = (q->first + 1) % SIDE_VICTIMS;
		q->count--;
	}
	lock_release(&w->daemon->pageq.lock);
}

bool
side_wanted_locked(const struct daemon *d, unsigned lane)
{
	const struct side_queue *q = &d->pageq.side[lane - 1];

	return q->count > 0 || load_relaxed(&q->limits_wanted) || evict_wanted_locked(d, lane);
}

void
side_wake(struct daemon *d)
{
	lock_acquire(&d->pageq.lock);
	for (unsigned i = 0; i < SIDE_LANES; i++) {
		store_relaxed(&d->pageq.side[i].limits_wanted, true);
		cond_signal(&d->pageq.side[i].wanted);
	}
	lock_release(&d->pageq.lock);
}
