/* SPDX-License-Identifier: MIT
 *
 * Ledgers in full, limits on their entries, and what makes a bill. Runs on: the control loop
 * (LEDGER, LEDGER_LIMIT), jobs (EXPLAIN).
 */
#include <errno.h>

#include "control/clients.h"
#include "memorystatus/memorystatus.h"
#include "region/explain.h"
#include "region/piece.h"
#include "vm/kept_task.h"

/* Of several sessions the limit of the first one that has one is shown. */
static void
limit_show(
    struct ledger_limit *l, uint64_t balance, unsigned shift, struct pager_wire_ledger_entry *ret)
{
	if (ret->limit != 0)
		return;
	ret->limit = load_relaxed(&l->most) << shift;
	ret->against = ret->limit ? ledger_limit_against(l, balance) << shift : 0;
	ret->warn = load_relaxed(&l->warn);
	ret->refill_ms = (uint32_t)(load_relaxed(&l->refill_ns) / 1000000);
}

static void
ledger_add(struct daemon *d, struct task *task, bool begins, struct pager_rep_ledger *out)
{
	struct ledger *l = &task->bill.ledger;

	CHECK_OBJ(task, TASK_MAGIC);
	/* Held so that the balances agree with each other. */
	pageq_lock(d);
	for (int i = 0; i < PAGER_LEDGER_COUNT; i++) {
		bool is_pages = ledger_is_pages((enum pager_ledger_entry)i);
		unsigned shift = is_pages ? d->page_shift : 0;
		struct ledger_entry *e = &l->entries[i];
		uint64_t balance = (uint64_t)load_relaxed(&e->balance);
		uint64_t credit = is_pages ? (uint64_t)load_relaxed(&e->credit) : balance;
		struct pager_wire_ledger_entry *w = &out->entries[i];

		w->balance += balance << shift;
		w->credit += credit << shift;
		w->debit += (credit - balance) << shift;
		w->lifetime_most += (uint64_t)load_relaxed(&e->lifetime_most) << shift;
		w->interval_most += (uint64_t)load_relaxed(&e->interval_most) << shift;
		limit_show(&task->bill.limits[i], balance, shift, w);
	}
	if (begins)
		ledger_interval_begin(l);
	pageq_unlock(d);
	out->sessions++;
}

int
handle_ledger(struct request *r)
{
	const struct pager_req_ledger *in = r->body;
	struct clients clients = clients_named(r, in->pid, in->session);
	struct task *task;

	loop_assert(r->daemon);
	if ((in->flags & ~PAGER_LEDGER_FLAGS) != 0)
		return -EINVAL;
	while ((task = clients_next(&clients)) != NULL) {
		ledger_add(
		    r->daemon, task, (in->flags & PAGER_LEDGER_BEGIN_INTERVAL) != 0, r->reply);
		task_put(task);
	}
	return clients.error;
}

int
handle_ledger_limit(struct request *r)
{
	const struct pager_req_ledger_limit *in = r->body;
	struct pager_rep_ledger_limit *out = r->reply;
	struct clients clients = clients_named(r, in->pid, in->session);
	struct ledger_limit_wish wish = {
		.most = in->limit, .warn = in->warn, .refill_ns = (uint64_t)in->refill_ms * 1000000
	};
	struct daemon *d = r->daemon;
	struct task *task;

	loop_assert(d);
	if (in->entry >= PAGER_LEDGER_COUNT || in->warn > 100 ||
	    ((in->warn > 0 || in->refill_ms > 0) && in->limit == 0) ||
	    (in->refill_ms > 0 && !ledger_only_grows(in->entry)))
		return -EINVAL;
	if (ledger_is_pages(in->entry))
		wish.most >>= d->page_shift;
	if (in->limit > 0 && wish.most == 0)
		return -ERANGE;
	while ((task = clients_next(&clients)) != NULL) {
		struct ledger_limit *l = &task->bill.limits[in->entry];
		uint64_t before = ledger_limit_set(l, &wish);

		task_record_limit(task->map.record, in->entry, &wish);
		if (out->sessions++ == 0)
			out->previous =
			    ledger_is_pages(in->entry) ? before << d->page_shift : before;
		store_release(&task->bill.has_limits, true);
		task_put(task);
	}
	memorystatus_want(d);
	return clients.error;
}

/* Describes the object, if one of the named clients pays for it. */
static bool
billed_describe(
    struct request *r, struct vm_object *o, struct pager_wire_billed *ret, int *ret_error)
{
	const struct pager_req_explain *in = r->body;
	struct clients clients = clients_named(r, in->pid, in->session);
	bool is_billed = false;
	struct task *task;

	while ((task = clients_next(&clients)) != NULL) {
		is_billed = is_billed || object_explain(o, task, ret);
		task_put(task);
	}
	*ret_error = clients.error;
	return is_billed;
}

/* Adds the next object, or goes on with the one whose pages have been counted up to r->progress.
 * => false: there is none */
static bool
explain_add(struct request *r, unsigned *work, int *ret_error)
{
	struct pager_rep_explain *out = r->reply;
	struct pager_wire_billed *row = &out->objects[out->count];
	uint32_t cursor = (uint32_t)out->next_cursor;
	struct vm_object *o = vm_object_next(r->daemon, &cursor);
	bool whole = true;

	CHECK(out->count < PAGER_EXPLAIN_PER_REPLY);
	*work += PIECE_ENTRY;
	if (!o && r->progress == 0)
		return false;
	if (r->progress > 0 && (!o || o->id != row->object_id)) {
		/* It has gone meanwhile, and stays as far as it was counted. */
		out->count++;
		r->progress = 0;
		whole = false;
	} else if (r->progress > 0 || billed_describe(r, o, row, ret_error)) {
		whole = object_doors(o, &r->progress, work, row);
		if (whole) {
			out->count++;
			r->progress = 0;
		}
	}
	if (whole)
		out->next_cursor = cursor;
	if (o)
		vm_object_put(o);
	return true;
}

int
handle_explain(struct request *r)
{
	const struct pager_req_explain *in = r->body;
	struct pager_rep_explain *out = r->reply;
	struct clients clients = clients_named(r, in->pid, in->session);
	struct task *task = clients_next(&clients);
	unsigned work = 0;
	bool more = true;
	int error = 0;

	if (in->reserved != 0)
		return -EINVAL;
	if (!task)
		return clients.error;
	task_put(task);
	if (!r->resumed)
		out->next_cursor = in->cursor;
	while (more && out->count < PAGER_EXPLAIN_PER_REPLY && work < PIECE_WORK)
		more = explain_add(r, &work, &error);
	if (error)
		return error;
	r->again = more && out->count < PAGER_EXPLAIN_PER_REPLY;
	if (!more)
		out->next_cursor = 0;
	r->reply_bytes =
	    offsetof(struct pager_rep_explain, objects) + out->count * sizeof(out->objects[0]);
	return 0;
}
