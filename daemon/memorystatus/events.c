/* SPDX-License-Identifier: MIT
 *
 * The ring of events. Runs on: any thread.
 */
#include "memorystatus/events.h"

#include <errno.h>
#include <stdlib.h>

#include "check.h"

int
events_create(struct events *e)
{
	CHECK(!e->ring);
	lock_init(&e->lock, RANK_JOBS);
	e->ring = calloc(EVENTS_KEPT, sizeof(*e->ring));
	return e->ring ? 0 : -ENOMEM;
}

void
events_destroy(struct events *e)
{
	free(e->ring);
	e->ring = NULL;
	lock_fini(&e->lock);
}

void
events_add(struct events *e, const struct pager_wire_event *event)
{
	struct pager_wire_event *place;

	CHECK(event->count <= PAGER_EVENT_PROCESSES);
	lock_acquire(&e->lock);
	place = &e->ring[++e->last % EVENTS_KEPT];
	*place = *event;
	place->number = e->last;
	lock_release(&e->lock);
}

bool
events_after(struct events *e, uint64_t after, struct pager_wire_event *ret, uint64_t *ret_last)
{
	bool any;

	CHECK(e->ring);
	lock_acquire(&e->lock);
	*ret_last = e->last;
	if (e->last > EVENTS_KEPT && after < e->last - EVENTS_KEPT)
		after = e->last - EVENTS_KEPT;
	any = after < e->last;
	if (any)
		*ret = e->ring[(after + 1) % EVENTS_KEPT];
	lock_release(&e->lock);
	return any;
}
