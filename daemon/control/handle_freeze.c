/* SPDX-License-Identifier: MIT
 *
 * Requests about freezing: FREEZE, FROZEN (control loop).
 */
#include <errno.h>
#include <stdio.h>

#include "clock.h"
#include "control/clients.h"
#include "control/freezer.h"
#include "control/request.h"
#include "memorystatus/freeze.h"
#include "memorystatus/reap.h"

int
handle_freeze(struct request *r)
{
	const struct pager_req_freeze *in = r->body;
	struct pager_rep_freeze *out = r->reply;
	struct clients clients = clients_named(r, in->pid, in->session);
	struct process *process;
	struct task *task;

	CHECK(r->session->is_control);
	if (in->what > PAGER_WIRE_THAW)
		return -EINVAL;
	task = clients_next(&clients);
	if (!task)
		return clients.error;
	process = task->bill.process;
	out->has_begun =
	    in->what == PAGER_WIRE_THAW ? freeze_thaw_want(process) : freeze_want(process, false);
	freezer_look(r->daemon);
	out->state = load_acquire(&process->freeze.state);
	task_put(task);
	return 0;
}

static void
frozen_describe(struct task *task, struct pager_wire_frozen *ret)
{
	struct process *process = task->bill.process;
	struct process_freeze *f = &process->freeze;
	unsigned shift = task->daemon->page_shift;
	uint64_t now_ns = clock_now_ns();

	CHECK_OBJ(task, TASK_MAGIC);
	*ret = (struct pager_wire_frozen){
		.session_id = task->id,
		.pid = (uint32_t)task->pid,
		.state = load_acquire(&f->state),
		.band = reap_band(task->daemon, process, now_ns),
		.times = load_relaxed(&f->times),
		.thaws = load_relaxed(&f->thaws),
		.footprint = ledger_pages(&task->bill.ledger, PAGER_LEDGER_PHYS_FOOTPRINT) << shift,
		.resident = ledger_pages(&task->bill.ledger, PAGER_LEDGER_PHYS_MEM) << shift,
	};
	snprintf(ret->name, sizeof(ret->name), "%s", task->name);
	if (ret->times == 0)
		return;
	ret->age_ns = now_ns - load_relaxed(&f->since_ns);
	ret->out = load_relaxed(&f->out) << shift;
	ret->gathered = load_relaxed(&f->gathered) << shift;
	ret->shared = load_relaxed(&f->shared) << shift;
	ret->held = load_relaxed(&f->held) << shift;
}

int
handle_frozen(struct request *r)
{
	const struct pager_req_frozen *in = r->body;
	struct pager_rep_frozen *out = r->reply;
	const struct task_name name = { .id = in->session, .pid = (pid_t)in->pid };
	uint32_t cursor = (uint32_t)in->cursor;
	struct task *task = NULL;

	loop_assert(r->daemon);
	if (in->reserved != 0)
		return -EINVAL;
	if (in->cursor == 0)
		out->event_count = freeze_events_after(r->daemon, 0, r->session->is_control,
		    r->session->uid, out->events, PAGER_FREEZE_EVENTS_PER_REPLY, &out->last_event);
	while (
	    out->count < PAGER_FROZEN_PER_REPLY && (task = task_next(r->daemon, &cursor)) != NULL) {
		if ((r->session->is_control || r->session->uid == task->uid) &&
		    (task_names_all(name) || task_is_named(task, name)))
			frozen_describe(task, &out->clients[out->count++]);
		task_put(task);
	}
	out->next_cursor = task ? cursor : 0;
	r->reply_bytes =
	    offsetof(struct pager_rep_frozen, clients) + out->count * sizeof(out->clients[0]);
	return 0;
}
