/* SPDX-License-Identifier: MIT
 *
 * Letting go of clients: RELEASE (control loop), RELEASE_STEP (jobs of the client).
 *
 * The daemon only says whether a client can go, and tells its agent. The client takes its memory
 * itself (libclient/release.c), with page lists and DEALLOCATE, and then hangs up. So a client that
 * dies or stops in the midst is one that dies or stops, and nobody waits for it.
 */
#include <errno.h>

#include "control/clients.h"
#include "memorystatus/host_room.h"
#include "memorystatus/tell.h"
#include "region/let_go.h"
#include "region/page_list.h"
#include "vm/vm_map.h"

/* --- what a tool asks, or the client itself --- */

static void
refusal_set(struct task *task, const struct pager_wire_release_refusal *refusal)
{
	struct task_release *own = &task->release;

	store_relaxed(&own->why, refusal->why);
	store_relaxed(&own->error, refusal->error);
	store_relaxed(&own->address, refusal->address);
	store_relaxed(&own->away, refusal->away);
	store_relaxed(&own->available, refusal->available);
}

static struct pager_wire_release_refusal
refusal_get(struct task *task)
{
	struct task_release *own = &task->release;

	return (struct pager_wire_release_refusal){ .why = load_relaxed(&own->why),
		.error = load_relaxed(&own->error),
		.address = load_relaxed(&own->address),
		.away = load_relaxed(&own->away),
		.available = load_relaxed(&own->available) };
}

/* => the state that it had */
static unsigned
state_change(struct task *task, unsigned from, unsigned to)
{
	unsigned state = from;

	(void)cas_acq_rel(&task->release.state, &state, to);
	return state;
}

static void
task_ask(struct task *task)
{
	struct pager_wire_release_refusal deaf = { .why = RELEASE_WHY_DEAF };

	if (state_change(task, PAGER_WIRE_RELEASE_NONE, PAGER_WIRE_RELEASE_ASKED) >
		PAGER_WIRE_RELEASE_NONE &&
	    state_change(task, PAGER_WIRE_RELEASE_REFUSED, PAGER_WIRE_RELEASE_ASKED) !=
		PAGER_WIRE_RELEASE_REFUSED)
		return;
	if (load_acquire(&task->state) == TASK_ATTACHED && agent_tell(task, PAGER_AGENT_RELEASE, 0))
		return;
	refusal_set(task, &deaf);
	state_change(task, PAGER_WIRE_RELEASE_ASKED, PAGER_WIRE_RELEASE_REFUSED);
}

static void
task_add(struct task *task, struct pager_rep_release *out)
{
	static const uint8_t rank[] = { [PAGER_WIRE_RELEASE_NONE] = 0,
		[PAGER_WIRE_RELEASE_RUNS] = 1,
		[PAGER_WIRE_RELEASE_ASKED] = 2,
		[PAGER_WIRE_RELEASE_REFUSED] = 3 };
	unsigned state = load_acquire(&task->release.state), shift = task->daemon->page_shift;
	const struct ledger *l = &task->bill.ledger;

	out->clients++;
	out->resident += ledger_pages(l, PAGER_LEDGER_PHYS_MEM) << shift;
	out->away += ledger_pages(l, PAGER_LEDGER_INTERNAL_COMPRESSED) << shift;
	if (rank[state] > rank[out->state])
		out->state = state;
	if (state == PAGER_WIRE_RELEASE_REFUSED && out->session == 0) {
		out->session = task->id;
		out->refusal = refusal_get(task);
	}
}

int
handle_release(struct request *r)
{
	const struct pager_req_release *in = r->body;
	struct clients clients = clients_named(r, in->pid, in->session);
	struct task *task;

	loop_assert(r->daemon);
	if (in->what > PAGER_WIRE_RELEASE_TAKE_BACK)
		return -EINVAL;
	while ((task = clients_next(&clients)) != NULL) {
		if (in->what == PAGER_WIRE_RELEASE_ASK)
			task_ask(task);
		else if (in->what == PAGER_WIRE_RELEASE_TAKE_BACK)
			state_change(task, PAGER_WIRE_RELEASE_ASKED, PAGER_WIRE_RELEASE_NONE);
		task_add(task, r->reply);
		task_put(task);
	}
	return clients.error;
}

/* --- what the client does --- */

static void
sizes_look(struct task *task, struct pager_wire_release_refusal *ret)
{
	struct host_room room = host_room(task->daemon->options.host_directory, task->pid);

	ret->available = min_u64(room.machine, room.cgroup);
	if (ret->away > ret->available)
		ret->why = room.cgroup < room.machine ? RELEASE_WHY_CGROUP : RELEASE_WHY_MACHINE;
}

static void
refuse(struct request *r, const struct pager_wire_release_refusal *refusal)
{
	struct task *task = r->task;

	refusal_set(task, refusal);
	/* The client looks again for a while: pins pass. */
	if (refusal->why == RELEASE_WHY_PINNED || refusal->why == RELEASE_WHY_TAKEN_BACK)
		return;
	state_change(task, PAGER_WIRE_RELEASE_ASKED, PAGER_WIRE_RELEASE_REFUSED);
	stat_add(r->stats, STAT_RELEASES_REFUSED, 1);
	log_info_limited(
	    "process %d cannot be let go of: %s", (int)task->pid, release_why_text(refusal->why));
}

static int
step_begin(struct request *r)
{
	struct pager_rep_release_step *out = r->reply;
	struct pager_wire_release_refusal *why = &out->refusal;
	struct task *task = r->task;
	const uint64_t page = r->daemon->page_bytes;
	struct range range;

	CHECK(range_init(&range, task, page, VM_ADDRESS_MAX - page) == 0);
	range.at += r->progress;
	range.stats = r->stats;
	range.place = r->place;
	if (load_acquire(&task->release.state) != PAGER_WIRE_RELEASE_ASKED)
		why->why = RELEASE_WHY_TAKEN_BACK;
	else if (task->lists)
		why->why = RELEASE_WHY_LISTED;
	else if (task->copies)
		why->why = RELEASE_WHY_HELD_COPY;
	else if (task->ports)
		why->why = RELEASE_WHY_PORT;
	else if (let_go_look(&range, why) && range_is_done(&range))
		sizes_look(task, why);
	r->progress = range.at - range.address;
	r->again = why->why == RELEASE_WHY_NONE && !range_is_done(&range);
	if (r->again)
		return 0;
	if (why->why == RELEASE_WHY_NONE &&
	    state_change(task, PAGER_WIRE_RELEASE_ASKED, PAGER_WIRE_RELEASE_RUNS) !=
		PAGER_WIRE_RELEASE_ASKED)
		why->why = RELEASE_WHY_TAKEN_BACK;
	if (why->why == RELEASE_WHY_NONE)
		store_release(&task->release.is_begun, true);
	else
		refuse(r, why);
	return 0;
}

/* Pages of one of its lists that the kernel has pinned: their content may change yet. The client
 * has taken them out of its page tables. */
static int
step_pins(struct request *r, uint64_t id)
{
	struct pager_rep_release_step *out = r->reply;
	struct page_list *l = page_list_find(r->task, id);

	if (!l)
		return -ENOENT;
	out->pinned = page_list_pins(l);
	return 0;
}

/* error 0: what stands in the way is what the last BEGIN has found. */
static int
step_cancel(struct request *r, int error)
{
	struct task *task = r->task;
	struct pager_wire_release_refusal why = { .why = RELEASE_WHY_CLIENT, .error = error };

	if (error > 0)
		return -EINVAL;
	if (error == 0)
		why = refusal_get(task);
	store_release(&task->release.is_begun, false);
	refusal_set(task, &why);
	if (state_change(task, PAGER_WIRE_RELEASE_ASKED, PAGER_WIRE_RELEASE_REFUSED) !=
	    PAGER_WIRE_RELEASE_ASKED)
		state_change(task, PAGER_WIRE_RELEASE_RUNS, PAGER_WIRE_RELEASE_REFUSED);
	stat_add(r->stats, STAT_RELEASES_REFUSED, 1);
	log_info_limited(
	    "process %d cannot be let go of: %s", (int)task->pid, release_why_text(why.why));
	return 0;
}

static int
step_end(struct request *r)
{
	struct task *task = r->task;
	uint32_t entries;

	if (!load_acquire(&task->release.is_begun))
		return -EINVAL;
	lock_acquire(&task->map.lock);
	entries = task->map.count;
	lock_release(&task->map.lock);
	if (entries > 0)
		return -EBUSY;
	stat_add(r->stats, STAT_RELEASES, 1);
	log_info_limited("process %d has been let go of: its memory is its own", (int)task->pid);
	return 0;
}

int
handle_release_step(struct request *r)
{
	const struct pager_req_release_step *in = r->body;

	CHECK(r->task);
	switch (in->what) {
	case PAGER_WIRE_STEP_BEGIN:
		return step_begin(r);
	case PAGER_WIRE_STEP_PINS:
		return step_pins(r, in->list);
	case PAGER_WIRE_STEP_CANCEL:
		return step_cancel(r, in->error);
	case PAGER_WIRE_STEP_END:
		return step_end(r);
	default:
		return -EINVAL;
	}
}
