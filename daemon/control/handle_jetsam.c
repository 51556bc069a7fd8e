/* SPDX-License-Identifier: MIT
 *
 * Requests about jetsam: PRIORITY, EVENTS, LIMITS (control loop).
 */
#include <errno.h>

#include "clock.h"
#include "control/clients.h"
#include "control/request.h"
#include "memorystatus/limits.h"
#include "memorystatus/memorystatus.h"
#include "memorystatus/reap.h"

_Static_assert(PAGER_WIRE_BAND_NONE == PROCESS_BAND_NONE &&
		   (int)PAGER_BAND_DEFAULT == BAND_IMPORTANT &&
		   (int)PAGER_BAND_INTERNAL == BAND_INTERNAL,
    "one band, two names");

int
handle_priority(struct request *r)
{
	const struct pager_req_priority *in = r->body;
	struct pager_rep_priority *out = r->reply;
	struct daemon *d = r->daemon;
	struct process_named named;
	int error;

	CHECK(r->session->is_control);
	if (in->band < PAGER_WIRE_BAND_SHOW || (in->band >= 0 && !jetsam_band_name(in->band)))
		return -EINVAL;
	error = in->band == PAGER_WIRE_BAND_SHOW
		    ? process_named_get(r, in->pid, in->session, &named)
		    : process_limited_get(r, in->pid, in->session, &named);
	if (error)
		return error;
	out->previous = in->band == PAGER_WIRE_BAND_SHOW
			    ? load_relaxed(&named.process->band)
			    : process_band_set(d, named.process, in->band);
	if (in->band != PAGER_WIRE_BAND_SHOW)
		process_kept(d, named.process);
	out->now = reap_band(d, named.process, clock_now_ns());
	process_named_put(d, &named);
	memorystatus_want(d);
	return 0;
}

int
handle_events(struct request *r)
{
	const struct pager_req_events *in = r->body;
	struct pager_rep_events *out = r->reply;

	CHECK_OBJ(r->session, SESSION_MAGIC);
	out->is_there =
	    events_after(&r->daemon->memorystatus.events, in->after, &out->event, &out->last);
	return 0;
}

/* A limit of tbl PAGER_WIRE_LIMIT_*. */
static struct process_limit *
limit_of(struct process *process, uint32_t which)
{
	CHECK(which < PAGER_WIRE_LIMITS);
	return which >= PAGER_WIRE_LIMIT_RESIDENT_ACTIVE
		   ? &process->resident_limits[which - PAGER_WIRE_LIMIT_RESIDENT_ACTIVE]
		   : &process->footprint_limits[which];
}

_Static_assert(
    PAGER_WIRE_LIMIT_ACTIVE == PROCESS_ACTIVE && PAGER_WIRE_LIMIT_INACTIVE == PROCESS_INACTIVE &&
	PAGER_WIRE_LIMIT_RESIDENT_INACTIVE == PAGER_WIRE_LIMIT_RESIDENT_ACTIVE + PROCESS_INACTIVE,
    "one order on the wire and here");

int
handle_limits(struct request *r)
{
	const struct pager_req_limits *in = r->body;
	struct pager_rep_limits *out = r->reply;
	struct daemon *d = r->daemon;
	uint64_t pages = in->bytes >> d->page_shift;
	struct process_named named;
	struct process_limit *limit;
	int error;

	CHECK(r->session->is_control);
	if (in->which >= PAGER_WIRE_LIMITS || in->is_fatal > 1 || in->reserved != 0)
		return -EINVAL;
	if (in->bytes && pages < LIMIT_PAGES_LEAST)
		return -ERANGE;
	error = process_limited_get(r, in->pid, in->session, &named);
	if (error)
		return error;
	limit = limit_of(named.process, in->which);
	out->was_fatal = exchange_acq_rel(&limit->is_fatal, in->is_fatal != 0);
	out->previous_bytes = exchange_acq_rel(&limit->pages, pages) << d->page_shift;
	process_kept(d, named.process);
	/* It holds from the answer on; the memorystatus thread looks which of the two it is. */
	if (in->which == PAGER_WIRE_LIMIT_ACTIVE)
		store_relaxed(&named.process->footprint_most, in->is_fatal ? pages : 0);
	if (in->which == PAGER_WIRE_LIMIT_RESIDENT_ACTIVE)
		store_relaxed(&named.process->resident_most, in->is_fatal ? pages : 0);
	if (in->which >= PAGER_WIRE_LIMIT_RESIDENT_ACTIVE && named.task)
		limits_want(d, named.task);
	process_named_put(d, &named);
	memorystatus_want(d);
	return 0;
}

int
handle_process_limits(struct request *r)
{
	const struct pager_req_process_limits *in = r->body;
	struct pager_rep_process_limits *out = r->reply;
	unsigned shift = r->daemon->page_shift;
	struct process_named named;
	int error;

	loop_assert(r->daemon);
	if (in->reserved != 0)
		return -EINVAL;
	error = process_named_get(r, in->pid, in->session, &named);
	if (error)
		return error;
	out->pid = (uint32_t)process_pid(named.process);
	out->band = reap_band(r->daemon, named.process, clock_now_ns());
	out->hard = load_relaxed(&named.process->limit_pages) << shift;
	for (uint32_t i = 0; i < PAGER_WIRE_LIMITS; i++) {
		struct process_limit *limit = limit_of(named.process, i);

		out->limits[i] = load_relaxed(&limit->pages) << shift;
		out->is_fatal[i] = load_relaxed(&limit->is_fatal);
	}
	out->footprint = (uint64_t)load_relaxed(&named.process->footprint) << shift;
	out->resident = process_counted(named.process) << shift;
	out->is_there = named.task != NULL;
	process_named_put(r->daemon, &named);
	return 0;
}
