/* SPDX-License-Identifier: MIT
 *
 * Purging: volatile memory goes before anything is taken out for which it would have to be stored.
 * Runs on: pageout workers. Allocates nothing, and waits for no page.
 */
#include "pageout/purge.h"

#include "memorystatus/jetsam.h"
#include "memorystatus/memorystatus.h"
#include "transit/purge.h"

/* Objects that are tried in a round, while pages of those before are in transit. */
#define TRIES 8u

struct choice_of {
	struct daemon *daemon;
	unsigned lane;
	const struct vm_object *tried[TRIES];
	unsigned count;
	bool side[1 + SIDE_LANES]; /* objects of that lane were passed over */
};

static struct vm_object *
object_of(struct purgeable *p)
{
	return container_of(p, struct vm_object, purgeable);
}

static int
importance_of(void *context, const struct purgeable *p)
{
	struct choice_of *c = context;
	const struct vm_object *o = object_of((struct purgeable *)(uintptr_t)p);
	unsigned lane = vm_object_lane(o);
	int band;

	pageq_assert_held(c->daemon);
	for (unsigned i = 0; i < c->count; i++)
		if (c->tried[i] == o)
			return -1;
	if (lane != c->lane) {
		c->side[lane] |= lane != LANE_COMMON;
		return -1;
	}
	band = load_relaxed(&o->bill->process->band);
	return band == PROCESS_BAND_NONE ? BAND_IMPORTANT : band;
}

/* Chooses an object, with a reference. Side lanes' workers are asked for what is theirs. */
static struct vm_object *
choose(struct daemon *d, struct choice_of *c, unsigned force)
{
	struct purge_queue *q = &d->pageq.purge;
	struct purgeable *p;

	pageq_lock(d);
	p = purge_queue_choose(q, force, importance_of, c);
	if (p)
		vm_object_get(object_of(p));
	for (unsigned lane = 1; lane <= SIDE_LANES && !p; lane++) {
		if (!c->side[lane] || q->asked[lane])
			continue;
		q->asked[lane] = true;
		cond_signal(&d->pageq.side[lane - 1].wanted);
	}
	pageq_unlock(d);
	return p ? object_of(p) : NULL;
}

unsigned
purge_object(struct pageout_worker *w, struct vm_object *o)
{
	struct daemon *d = w->daemon;
	uint64_t before = load_relaxed(&d->frames.free_count), pages, after;

	locks_assert_none();
	CHECK(o->is_purgeable);
	watch_client(vm_object_cookie(o));
	if (vm_object_purge(w->stats, &w->hole, o, false, &pages) != PURGE_DONE || pages == 0)
		return 0;
	after = load_relaxed(&d->frames.free_count);
	/* Stored pages were no frames of their own, and others take frames meanwhile: it counts
	 * that something has gone. */
	return after > before ? (unsigned)(after - before) : 1;
}

unsigned
purge_round(struct pageout_worker *w, unsigned force)
{
	struct choice_of c = { .daemon = w->daemon, .lane = w->lane };
	unsigned freed = 0;

	locks_assert_none();
	while (freed == 0 && c.count < TRIES && !watch_is_relieved()) {
		struct vm_object *o = choose(w->daemon, &c, force);

		if (!o)
			break;
		freed = purge_object(w, o);
		c.tried[c.count++] = o;
		vm_object_put(o);
	}
	return freed;
}

bool
purge_wanted_locked(const struct daemon *d, unsigned lane)
{
	const struct purge_queue *q = &d->pageq.purge;

	pageq_assert_held(d);
	return lane == LANE_COMMON ? load_relaxed(&((struct purge_queue *)(uintptr_t)q)->wanted) > 0
				   : q->asked[lane];
}

unsigned
purge_for_pressure(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	struct purge_queue *q = &d->pageq.purge;
	unsigned force = PURGEABLE_GROUPS, freed;

	locks_assert_none();
	if (w->lane == LANE_COMMON) {
		force = exchange_acq_rel(&q->wanted, 0);
	} else {
		pageq_lock(d);
		q->asked[w->lane] = false;
		pageq_unlock(d);
	}
	freed = force > 0 ? purge_round(w, force) : 0;
	/* There may be more. */
	if (freed > 0 && w->lane == LANE_COMMON) {
		store_release(&q->wanted, force);
	} else if (freed > 0) {
		pageq_lock(d);
		q->asked[w->lane] = true;
		pageq_unlock(d);
	}
	return freed;
}
