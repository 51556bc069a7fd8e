/* SPDX-License-Identifier: MIT
 *
 * Questions: statistics, clients, maps, ledgers, parameters; and the control operations. Runs on:
 * the control loop, or jobs where pages are walked.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "audit/check.h"
#include "region/piece.h"
#include "control/gauges.h"
#include "vm/vm_map.h"
#include "failpt.h"
#include "memorystatus/limits.h"
#include "pageout/pageout.h"
#include "record/recorder.h"
#include "pageq/pageq.h"
#include "pagers/pager.h"

/* => O held */
static void
count_page(struct daemon *d, struct vm_object *o, uint64_t index, struct pager_wire_region *ret)
{
	uint64_t slot = load_acquire(vm_object_slot(o, index));
	uint32_t word;

	switch (slot_kind(slot)) {
	case SLOT_RESIDENT:
		word = load_relaxed(&d->frames.pages[slot_frame(slot)].word);
		ret->pages_resident++;
		ret->pages_dirty += (word & PAGE_DIRTY) != 0;
		ret->pages_wired += page_word_state(word) == PAGE_WIRED;
		break;
	case SLOT_STORED:
		if (pager_is_away(o, slot_cref(slot)))
			ret->pages_swapped++;
		else
			ret->pages_compressed++;
		break;
	default:
		break;
	}
}

/* All but what its pages are. */
static struct pager_wire_region
region_describe(const struct vm_entry *e)
{
	return (struct pager_wire_region){
		.address = e->start,
		.size = e->end - e->start,
		.object_id = e->object->id,
		.object_offset = e->offset,
		.protection = e->protection,
		.max_protection = e->max_protection,
		.behavior = e->behavior,
		.wired_count = e->wired_count,
	};
}

/* Counts a piece of its pages, from *done bytes into it. => whether it has come to its end */
static bool
region_count(struct daemon *d, const struct vm_entry *e, uint64_t *done, unsigned *work,
    struct pager_wire_region *ret)
{
	uint64_t first = (e->offset + *done) >> d->page_shift;
	uint64_t last = (e->offset + (e->end - e->start)) >> d->page_shift;
	uint64_t to = piece_reach(e->object, first, last, 1, work);

	for (uint64_t i = first; (i = vm_object_next_live(e->object, i, to)) < to; i++) {
		/* For each page anew: faults want it too. */
		lock_acquire(&e->object->lock);
		count_page(d, e->object, i, ret);
		lock_release(&e->object->lock);
	}
	*done += (to - first) << d->page_shift;
	*work += PIECE_ENTRY;
	return to == last;
}

/* The region at or above the address, with a reference on its object. => false: none */
static bool
region_get(struct task *task, uint64_t address, struct vm_entry *ret)
{
	struct vm_entry *e;

	lock_acquire(&task->map.lock);
	e = vm_map_lookup_from(&task->map, address);
	if (e) {
		*ret = *e;
		vm_object_get(e->object);
	}
	lock_release(&task->map.lock);
	return e != NULL;
}

int
handle_region(struct request *r)
{
	const struct pager_req_region *in = r->body;
	struct pager_rep_region *out = r->reply;
	unsigned work = 0;
	struct vm_entry e;

	if (!region_get(r->task, in->address, &e))
		return -ENOENT;
	if (!r->resumed)
		out->region = region_describe(&e);
	r->again = !region_count(r->daemon, &e, &r->progress, &work, &out->region);
	vm_object_put(e.object);
	return 0;
}

static uint32_t
disposition(struct daemon *d, struct vm_object *o, uint64_t index)
{
	uint64_t slot = load_acquire(vm_object_slot(o, index));
	uint32_t word, result;

	switch (slot_kind(slot)) {
	case SLOT_RESIDENT:
		word = load_relaxed(&d->frames.pages[slot_frame(slot)].word);
		result = PAGER_PAGE_PRESENT | (word & PAGE_DIRTY ? PAGER_PAGE_DIRTY : 0u);
		switch (page_word_state(word)) {
		case PAGE_ACTIVE:
		case PAGE_FILLING:
			return result | PAGER_PAGE_REFERENCED;
		case PAGE_WIRED:
			return result | PAGER_PAGE_WIRED | PAGER_PAGE_REFERENCED;
		case PAGE_SPECULATIVE:
			return result | PAGER_PAGE_SPECULATIVE;
		default:
			return result;
		}
	case SLOT_STORED:
		return pager_is_away(o, slot_cref(slot)) ? PAGER_PAGE_SWAPPED
							 : PAGER_PAGE_COMPRESSED;
	case SLOT_POISONED:
		return PAGER_PAGE_POISONED;
	default:
		return 0;
	}
}

int
handle_page_query(struct request *r)
{
	const struct pager_req_page_query *in = r->body;
	struct pager_rep_page_query *out = r->reply;
	struct vm_entry e;

	if (!region_get(r->task, in->address, &e))
		return -ENOENT;
	if (in->address >= e.start) {
		lock_acquire(&e.object->lock);
		out->disposition = disposition(r->daemon, e.object,
		    (e.offset + (in->address - e.start)) >> r->daemon->page_shift);
		lock_release(&e.object->lock);
	}
	vm_object_put(e.object);
	return in->address >= e.start ? 0 : -ENOENT;
}

int
handle_statistics(struct request *r)
{
	struct pager_rep_statistics *out = r->reply;
	struct task *task = r->task;
	struct pager_statistics *st = &out->statistics;
	uint64_t page = r->daemon->page_bytes;

	/* Held so that the balances agree with each other. */
	lock_acquire(&r->daemon->pageq.lock);
#define L(NAME) ledger_value(&task->bill.ledger, PAGER_LEDGER_##NAME, page)
	*st = (struct pager_statistics){
		.page_size = page,
		.phys_footprint = L(PHYS_FOOTPRINT),
		.phys_mem = L(PHYS_MEM),
		.internal = L(INTERNAL),
		.internal_compressed = L(INTERNAL_COMPRESSED),
		.wired_mem = L(WIRED_MEM),
		.phys_footprint_peak =
		    (uint64_t)load_relaxed(&task->bill.ledger.footprint_peak) * page,
		.limit = load_relaxed(&task->bill.process->limit_pages) * page,
		.faults = L(FAULTS),
		.zero_fills = L(ZERO_FILLS),
		.soft_faults = L(SOFT_FAULTS),
		.decompressions = L(DECOMPRESSIONS),
		.swapins = L(SWAPINS),
		.write_protect_faults = L(WP_FAULTS),
		.stall_fill_ns = L(STALL_FILL),
		.stall_swap_ns = L(STALL_SWAP),
		.stall_frame_ns = L(STALL_FRAME),
		.stall_limit_ns = L(STALL_LIMIT),
		.pages_lost = L(PAGES_LOST),
	};
#undef L
	lock_release(&r->daemon->pageq.lock);
	lock_acquire(&task->map.lock);
	st->virtual_size = task->map.virtual_bytes;
	lock_release(&task->map.lock);
	return 0;
}

int
handle_stat_segment(struct request *r)
{
	struct pager_rep_stat_segment *out = r->reply;

	gauges_refresh(r->daemon);
	out->segment_bytes = r->daemon->stats.bytes;
	r->reply_fd = r->daemon->stats.fd;
	return 0;
}

static void
client_describe(struct daemon *d, struct task *task, struct pager_wire_client *ret)
{
	*ret = (struct pager_wire_client){
		.session_id = task->id,
		.pid = (uint32_t)task->pid,
		.uid = task->uid,
		.limit_bytes = load_relaxed(&task->bill.process->limit_pages) * d->page_bytes,
		.phys_footprint_peak =
		    (uint64_t)load_relaxed(&task->bill.ledger.footprint_peak) * d->page_bytes,
	};
	lock_acquire(&d->pageq.lock);
	for (int i = 0; i < PAGER_LEDGER_COUNT; i++)
		ret->ledger[i] =
		    ledger_value(&task->bill.ledger, (enum pager_ledger_entry)i, d->page_bytes);
	lock_release(&d->pageq.lock);
	lock_acquire(&task->map.lock);
	ret->virtual_bytes = task->map.virtual_bytes;
	ret->regions = task->map.count;
	lock_release(&task->map.lock);
	snprintf(ret->name, sizeof(ret->name), "%s", task->name);
}

int
handle_clients(struct request *r)
{
	const struct pager_req_clients *in = r->body;
	struct pager_rep_clients *out = r->reply;
	uint32_t cursor = (uint32_t)in->cursor;
	struct task *task = NULL;

	while (out->count < PAGER_CLIENTS_PER_REPLY &&
	       (task = task_next(r->daemon, &cursor)) != NULL) {
		client_describe(r->daemon, task, &out->clients[out->count++]);
		task_put(task);
	}
	out->next_cursor = task ? cursor : 0;
	r->reply_bytes =
	    offsetof(struct pager_rep_clients, clients) + out->count * sizeof(out->clients[0]);
	return 0;
}

/* The clients asked about, one after the other. */
struct clients {
	struct request *r;
	struct task_name name;
	uint32_t cursor;
	int error; /* -ESRCH: none yet; -EPERM: some that are another user's; 0 */
};

static struct clients
clients_named(struct request *r, uint32_t pid, uint64_t task)
{
	return (struct clients){ .r = r, .name = { task, (pid_t)pid }, .error = -ESRCH };
}

/* => with a reference, or NULL */
static struct task *
clients_next(struct clients *c)
{
	const struct session *own = c->r->session;
	struct task *task;

	while ((task = task_next(c->r->daemon, &c->cursor)) != NULL) {
		bool named = task_is_named(task, c->name);

		if (named && (own->is_control || own->uid == task->uid)) {
			c->error = 0;
			return task;
		}
		if (named && c->error)
			c->error = -EPERM;
		task_put(task);
	}
	return NULL;
}

/* The lowest region at or above the address of all clients named, with a reference on its object.
 * => false: none */
static bool
lowest_region(struct clients c, uint64_t address, struct vm_entry *ret, int *ret_error)
{
	struct task *task;
	bool any = false;

	while ((task = clients_next(&c)) != NULL) {
		struct vm_entry e;

		if (region_get(task, address, &e)) {
			bool lower = !any || e.start < ret->start;

			if (any || !lower)
				vm_object_put(lower ? ret->object : e.object);
			if (lower)
				*ret = e;
			any = true;
		}
		task_put(task);
	}
	*ret_error = c.error;
	return any;
}

/* Whether it is still what a region in the reply says; between two pieces its owner may have
 * changed it. */
static bool
region_is(const struct vm_entry *e, const struct pager_wire_region *region)
{
	return e->start == region->address && e->end - e->start == region->size &&
	       e->object->id == region->object_id;
}

/* Another region of the clients named into the reply, or on with the one of which r->progress bytes
 * have been counted. => false: there is none; *ret_error: -ESRCH or -EPERM, or 0 */
static bool
map_add(struct request *r, unsigned *work, int *ret_error)
{
	const struct pager_req_map *in = r->body;
	struct pager_rep_map *out = r->reply;
	struct pager_wire_region *region = &out->regions[out->count];
	uint64_t cursor = out->count > 0 ? region[-1].address + region[-1].size : in->cursor;
	bool is_there, whole;
	struct vm_entry e;

	is_there = lowest_region(clients_named(r, in->pid, in->session), cursor, &e, ret_error);
	if (r->progress > 0 && !(is_there && region_is(&e, region))) {
		/* It stays as far as it has been counted: who changes his map all the time is told
		 * of all the same. */
		whole = true;
	} else if (!is_there) {
		return false;
	} else {
		if (r->progress == 0)
			*region = region_describe(&e);
		whole = region_count(r->daemon, &e, &r->progress, work, region);
	}
	if (is_there)
		vm_object_put(e.object);
	if (whole) {
		r->progress = 0;
		out->count++;
	}
	return true;
}

int
handle_map(struct request *r)
{
	struct pager_rep_map *out = r->reply;
	unsigned work = 0;
	bool more = true;
	int error = 0;

	while (more && out->count < PAGER_REGIONS_PER_REPLY && work < PIECE_WORK)
		more = map_add(r, &work, &error);
	if (error)
		return error;
	r->again = more && out->count < PAGER_REGIONS_PER_REPLY;
	if (more && !r->again) {
		const struct pager_wire_region *last = &out->regions[out->count - 1];

		out->next_cursor = last->address + last->size;
	}
	r->reply_bytes =
	    offsetof(struct pager_rep_map, regions) + out->count * sizeof(out->regions[0]);
	return 0;
}

static void
client_add(struct pager_wire_client *sum, const struct pager_wire_client *c)
{
	sum->virtual_bytes += c->virtual_bytes;
	sum->regions += c->regions;
	sum->phys_footprint_peak += c->phys_footprint_peak;
	for (int i = 0; i < PAGER_LEDGER_COUNT; i++)
		sum->ledger[i] += c->ledger[i];
}

int
handle_footprint(struct request *r)
{
	const struct pager_req_footprint *in = r->body;
	struct pager_rep_footprint *out = r->reply;
	struct clients clients = clients_named(r, in->pid, in->session);
	struct task *task;

	while ((task = clients_next(&clients)) != NULL) {
		struct pager_wire_client c;

		client_describe(r->daemon, task, &c);
		if (out->sessions++ == 0)
			out->client = c;
		else
			client_add(&out->client, &c);
		task_put(task);
	}
	return clients.error;
}

int
handle_limit(struct request *r)
{
	const struct pager_req_limit *in = r->body;
	struct pager_rep_limit *out = r->reply;
	struct daemon *d = r->daemon;
	struct clients clients = clients_named(r, in->pid, in->session);
	uint64_t pages = in->bytes >> d->page_shift, previous;
	struct task *task;

	/* Less than a few pages would stop the client for good: an instruction may touch several.
	 */
	if (in->bytes && pages < 16)
		return -ERANGE;
	task = clients_next(&clients);
	if (task) {
		previous = exchange_acq_rel(&task->bill.process->limit_pages, pages);
		limits_want(d, task);
		task_put(task);
	} else if (clients.error != -ESRCH || in->session ||
		   !process_limit_set(d, (pid_t)in->pid, pages, &previous)) {
		return clients.error;
	}
	out->previous_bytes = previous << d->page_shift;
	return 0;
}

int
handle_check(struct request *r)
{
	struct pager_rep_check *out = r->reply;

	out->failures = check_all(r->daemon, out->text, sizeof(out->text), &out->checks);
	return 0;
}

int
handle_debug(struct request *r)
{
	const struct pager_req_debug *in = r->body;
	struct pager_rep_debug *out = r->reply;
	enum log_level log_level;
	size_t used = 0;

	if (memchr(in->argument, '\0', sizeof(in->argument)) == NULL)
		return -EINVAL;
	switch (in->op) {
	case PAGER_DEBUG_FAIL_ARM:
		return failpt_arm(in->argument);
	case PAGER_DEBUG_FAIL_DISARM:
		failpt_disarm_all();
		return 0;
	case PAGER_DEBUG_LOG_LEVEL:
		if (log_level_parse(in->argument, &log_level) != 0)
			return -EINVAL;
		log_set_level(log_level);
		return 0;
	case PAGER_DEBUG_SHOW:
		used += (size_t)snprintf(
		    out->text, sizeof(out->text), "fail points (name, times hit):\n");
#define FAIL(name, error, what)                                                                    \
	used += (size_t)snprintf(out->text + used, sizeof(out->text) - used, "  %-24s %llu  %s\n", \
	    #name, (unsigned long long)failpt_count(FAIL_##name), what);
#include "tbl/fail_point.h"
		return 0;
	default:
		return -EINVAL;
	}
}

int
handle_policy(struct request *r)
{
	const struct pager_req_policy *in = r->body;
	struct pager_rep_policy *out = r->reply;
	struct daemon *d = r->daemon;
	struct clients clients = clients_named(r, in->pid, in->session);
	struct task *task = NULL;
	bool one = in->pid || in->session;
	int error = 0;

	if (memchr(in->policy, '\0', sizeof(in->policy)) == NULL || in->set > 1)
		return -EINVAL;
	if (in->set && !r->session->is_control)
		return -EPERM;
	do {
		if (one) {
			task = clients_next(&clients);
			error = clients.error;
		}
		if (error || (one && !task))
			break;
		if (in->set)
			error = pageq_policy_switch(d, task, in->policy);
		if (!error) {
			lock_acquire(&d->pageq.lock);
			pageq_policy_text_locked(d, task, out->text, sizeof(out->text));
			lock_release(&d->pageq.lock);
		}
		if (task)
			task_put(task);
	} while (one && !error);
	return error;
}

int
handle_trace(struct request *r)
{
	const struct pager_req_trace *in = r->body;
	struct daemon *d = r->daemon;
	int error = 0;

	switch (in->op) {
	case PAGER_TRACE_START:
		error = trace_start(d, r->fd, (struct task_name){ in->session, (pid_t)in->pid },
		    in->window, r->stats);
		if (!error)
			r->fd = -1;
		break;
	case PAGER_TRACE_STOP:
		error = trace_stop(d);
		break;
	case PAGER_TRACE_SHOW:
		break;
	default:
		return -EINVAL;
	}
	trace_show(d, r->reply);
	return error;
}

int
handle_param(struct request *r)
{
	const struct pager_req_param *in = r->body;
	struct daemon *d = r->daemon;
	unsigned index;
	int error;

	if (memchr(in->name, '\0', sizeof(in->name)) == NULL ||
	    memchr(in->value, '\0', sizeof(in->value)) == NULL)
		return -EINVAL;
	if (!in->set)
		return param_describe(&d->params, in->index, r->reply);
	if (!r->session->is_control)
		return -EPERM;
	error = param_index(in->name, &index);
	if (!error && !param_is_live(in->name))
		error = -EBUSY;
	if (!error)
		error = param_set(&d->params, in->name, in->value);
	if (error)
		return error;
	lock_acquire(&d->pageq.lock);
	frames_params_refresh(d);
	if (strcmp(in->name, "resident_frames") == 0)
		pageq_resize_locked(d);
	lock_release(&d->pageq.lock);
	return param_describe(&d->params, index, r->reply);
}
