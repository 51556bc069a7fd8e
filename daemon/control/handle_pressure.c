/* SPDX-License-Identifier: MIT
 *
 * Requests about memory pressure and the size of memory: PRESSURE_WATCH, PRESSURE_DONE, PRESSURE,
 * MEMORY (control loop).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "control/request.h"
#include "pager/pressure.h"
#include "memorystatus/memorystatus.h"
#include "memorystatus/reap.h"
#include "pageq/exact.h"

_Static_assert((int)PAGER_PRESSURE_NORMAL == (int)PRESSURE_NORMAL &&
		   (int)PAGER_PRESSURE_WARNING == (int)PRESSURE_WARNING &&
		   (int)PAGER_PRESSURE_CRITICAL == (int)PRESSURE_CRITICAL,
    "one level, two names");
_Static_assert(
    sizeof(((struct pager_rep_pressure *)0)->below) == sizeof(((struct pressure_limits *)0)->below),
    "the wire has all levels");

int
handle_pressure_watch(struct request *r)
{
	const struct pager_req_pressure_watch *in = r->body;
	struct pager_rep_pressure_watch *out = r->reply;

	CHECK(r->task);
	if (in->reserved != 0 || in->levels & ~PAGER_PRESSURE_LEVELS)
		return -EINVAL;
	memorystatus_listen(r->task, in->levels);
	out->level = notice_level((enum pressure)load_acquire(&r->daemon->memorystatus.announced));
	return 0;
}

int
handle_pressure_done(struct request *r)
{
	CHECK(r->task);
	memorystatus_done(r->task);
	return 0;
}

static void
notice_describe(struct task *task, struct pager_wire_notice *ret)
{
	struct task_notices *n = &task->notices;
	unsigned shift = task->daemon->page_shift;
	uint64_t number = load_acquire(&n->sent);

	CHECK_OBJ(task, TASK_MAGIC);
	*ret = (struct pager_wire_notice){
		.session_id = task->id,
		.pid = (uint32_t)task->pid,
		.levels = load_relaxed(&n->levels),
		.told = load_relaxed(&n->told),
		.band = reap_band(task->daemon, task->bill.process, clock_now_ns()),
		.number = number,
		.now = ledger_pages(&task->bill.ledger, PAGER_LEDGER_PHYS_FOOTPRINT) << shift,
	};
	snprintf(ret->name, sizeof(ret->name), "%s", task->name);
	if (number == 0)
		return;
	ret->age_ns = clock_now_ns() - load_relaxed(&n->sent_ns);
	ret->before = load_relaxed(&n->before) << shift;
	ret->least = load_relaxed(&n->least) << shift;
	/* It may have been told again since. */
	ret->is_done = load_acquire(&n->done) == number;
	if (ret->is_done)
		ret->after = load_relaxed(&n->after) << shift;
}

static void
level_describe(struct daemon *d, struct pager_rep_pressure *ret)
{
	struct memorystatus *s = &d->memorystatus;
	struct pressure_limits limits;
	struct space space;

	CHECK(s->clients);
	memorystatus_measure(d, &space, &limits);
	ret->level = load_relaxed(&s->level);
	ret->simulated = load_relaxed(&s->simulated);
	/* One that is simulated is announced in the memorystatus thread's next look. */
	ret->announced =
	    ret->simulated >= 0 ? (uint32_t)ret->simulated : load_relaxed(&s->announced);
	ret->host = load_relaxed(&s->host);
	ret->available = pressure_available(&space);
	memcpy(ret->below, limits.below, sizeof(ret->below));
	ret->movable = space.movable << d->page_shift;
	ret->free_above = space.free_above << d->page_shift;
	ret->files = space.files << d->page_shift;
	ret->compressible = pressure_compressible(&space) << d->page_shift;
	ret->swap_room = space.swap_room << d->page_shift;
}

/* => 0, -EPERM or -EINVAL */
static int
simulate(struct request *r, uint32_t what)
{
	if (what == PAGER_WIRE_SIMULATE_KEEP)
		return 0;
	if (!r->session->is_control)
		return -EPERM;
	if (what >= PAGER_WIRE_SIMULATE_LEVEL + PRESSURE_COUNT)
		return -EINVAL;
	memorystatus_simulate(r->daemon, what == PAGER_WIRE_SIMULATE_MEASURED
					     ? PRESSURE_MEASURED
					     : (int)(what - PAGER_WIRE_SIMULATE_LEVEL));
	return 0;
}

int
handle_pressure(struct request *r)
{
	const struct pager_req_pressure *in = r->body;
	struct pager_rep_pressure *out = r->reply;
	uint32_t cursor = (uint32_t)in->cursor;
	struct task *task = NULL;
	int error;

	loop_assert(r->daemon);
	if (in->reserved != 0)
		return -EINVAL;
	error = simulate(r, in->simulate);
	if (error)
		return error;
	level_describe(r->daemon, out);
	while (out->count < PAGER_NOTICES_PER_REPLY &&
	       (task = task_next(r->daemon, &cursor)) != NULL) {
		if (r->session->is_control || r->session->uid == task->uid)
			notice_describe(task, &out->clients[out->count++]);
		task_put(task);
	}
	out->next_cursor = task ? cursor : 0;
	r->reply_bytes =
	    offsetof(struct pager_rep_pressure, clients) + out->count * sizeof(out->clients[0]);
	return 0;
}

int
handle_memory(struct request *r)
{
	const struct pager_req_memory *in = r->body;
	struct pager_rep_memory *out = r->reply;
	struct daemon *d = r->daemon;
	unsigned shift = d->page_shift;
	struct frame_sizes sizes = frames_sizes(d);

	CHECK(r->session->is_control);
	out->previous = (uint64_t)load_relaxed(&d->frames.size) << shift;
	out->is_refused = in->bytes != 0 && frames_resize(d, in->bytes >> shift) != 0;
	if (in->bytes != 0 && !out->is_refused) {
		store_relaxed(&d->memorystatus.most_bytes, in->bytes);
		pageq_lock(d);
		exact_resize_locked(d);
		pageq_unlock(d);
		log_info_limited("memory is to be %llu bytes (was %llu)",
		    (unsigned long long)in->bytes, (unsigned long long)out->previous);
	}
	out->wanted = (uint64_t)load_relaxed(&d->frames.size) << shift;
	out->total = (uint64_t)load_relaxed(&d->stats.levels[STAT_FRAMES_TOTAL]) << shift;
	out->least = sizes.least << shift;
	out->most = sizes.most << shift;
	out->wired = share_used(&d->shares, SHARE_WIRED) +
		     ((uint64_t)load_relaxed(&d->stats.levels[STAT_PAGES_DEVICE]) << shift);
	return 0;
}
