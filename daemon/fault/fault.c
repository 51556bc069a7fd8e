/* SPDX-License-Identifier: MIT
 *
 * From a fault message to a decision. Runs on: fault servers. Never sleeps, never reclaims,
 * allocates nothing.
 */
#include "fault/fault.h"

#include "clock.h"
#include "fault/resident.h"
#include "fault/stream.h"
#include "fault/swapin.h"
#include "pmap/settle.h"
#include "record/recorder.h"
#include "record/window.h"
#include "pageq/pageq.h"
#include "transit/poison.h"
#include "transit/put.h"
#include "transit/release.h"
#include "pagers/pager.h"

/* An address that the daemon does not serve: it was given back while a thread was touching it. */
static void
answer_unknown(struct fault_server *server, const struct fault *f)
{
	size_t page = server->daemon->page_bytes;
	uint64_t address = round_down_u64(f->address, server->daemon->hw_bytes);

	/* Nobody holds it: protection stays what it is, for it may be somebody's page by now. But
	 * memory that its owner has moved here has brought its write-protection markers along,
	 * which stay in the poison's way. */
	uffd_poison(f->task->uffd, address, server->daemon->hw_bytes,
	    load_relaxed(&f->task->has_moved) ? UFFD_MODE_HELD : 0);
	uffd_wake(f->task->uffd, round_down_u64(address, page), page);
}

/* A page without a frame that is to get poison. => false: others are at it and will wake */
static bool
hole_take_locked(struct fault_server *server, struct vm_object *o, uint64_t index)
{
	struct hole *hole;

	lock_assert_held(&o->lock);
	hole = vm_object_hole_at(o, index);
	if (hole)
		hole->wanted = true;
	else
		vm_object_hole_begin(o, &server->hole, index, index + 1);
	return !hole;
}

/* No page could be taken for `use`. */
static enum fault_outcome
answer_not_begun(struct daemon *d, const struct target *t, enum frame_use use, enum run_begun begun,
    enum wait_for *ret_wait)
{
	switch (begun) {
	case RUN_NO_FRAME:
		if (param(d, resident_frames))
			pageq_missed(d, t->object, t->index);
		*ret_wait = use == FRAME_READ    ? WAIT_READ
			    : use == FRAME_WRITE ? WAIT_WRITE
						 : WAIT_FIRST;
		return FAULT_WAITS;
	case RUN_OVER_LIMIT:
		*ret_wait = WAIT_LIMIT;
		return FAULT_WAITS;
	case RUN_NO_TABLE:
		return FAULT_NO_TABLE;
	default:
		CHECK(begun == RUN_BUSY);
		return FAULT_BUSY;
	}
}

/* A page without a frame. => O held, dropped */
static enum fault_outcome
answer_absent(struct fault_server *server, const struct fault *f, struct target *t, uint64_t slot,
    enum wait_for *ret_wait)
{
	struct daemon *d = server->daemon;
	struct fill fill;
	unsigned want = t->want;
	bool stored = slot_kind(slot) == SLOT_STORED;
	/* What is wired gives its copy up as a write does. */
	bool write = t->wired || f->flags & UFFD_FAULT_WRITE;
	enum frame_use use = !stored ? FRAME_FIRST : write ? FRAME_WRITE : FRAME_READ;
	enum fault_outcome outcome;
	enum run_begun begun;

	lock_assert_held(&t->object->lock);
	if (stored)
		pager_prefetch(t->object, slot_cref(slot));
	if (t->direction > 0)
		want = (unsigned)min_u64(want, t->high - t->index);
	else
		want = (unsigned)min_u64(want, t->index - t->low + 1);
	/* Frames that others wait for are not for guesses, nor does an exact recording want any. */
	if (load_relaxed(&d->park.count) > 0 || trace_is_exact(d))
		want = 1;
	fill.task = f->task;
	fill.base = t->base;
	begun = fill_begin(d, t->object, t->index, want, t->direction, use, &fill);
	lock_release(&t->object->lock);
	if (begun != RUN_BEGUN)
		return answer_not_begun(d, t, use, begun, ret_wait);
	fill.write = f->flags & UFFD_FAULT_WRITE;
	fill.wired = t->wired;
	fill.sequential = t->want > 1;
	if (fill.count > 1)
		stream_advance(d, f, fill_address(&fill, 0), fill.count);
	if (!trace_is_exact(d)) {
		trace_fault(d, t->object, t->index, f, TRACE_MAJOR);
	} else if (!trace_window_push(d, server->stats, t->object, t->index, f, TRACE_MAJOR)) {
		fill_defer(d, &fill);
		vm_object_put(fill.object);
		return FAULT_NO_WINDOW;
	}
	if (stored) {
		outcome = fill_stored(server, f, &fill);
	} else {
		fill_zero(server->stats, &fill);
		outcome = FAULT_ANSWERED;
	}
	if (outcome == FAULT_ANSWERED)
		settle_unmap(d, server->stats);
	return outcome;
}

/* => O held, dropped */
static enum fault_outcome
answer_poisoned(struct fault_server *server, const struct fault *f, const struct target *t)
{
	bool ours;

	lock_assert_held(&t->object->lock);
	ours = hole_take_locked(server, t->object, t->index);
	lock_release(&t->object->lock);
	if (!ours)
		return FAULT_BUSY;
	poison_hole(t->object, &server->hole, f->task, target_address(t, t->index));
	return FAULT_ANSWERED;
}

static void
count_answered(struct fault_server *server, const struct fault *f, enum slot_kind kind, bool soft)
{
	uint64_t ns = clock_now_ns() - f->start_ns;

	stat_add(server->stats, STAT_FAULTS, 1);
	ledger_count(&f->task->bill.ledger, PAGER_LEDGER_FAULTS, 1);
	ledger_count(&f->task->bill.ledger, PAGER_LEDGER_STALL_FILL, ns);
	if (soft)
		stat_add(server->stats, STAT_SOFT_FAULT_NS, ns);
	else if (kind == SLOT_STORED)
		fault_count_refill(server, f, ns);
}

enum fault_outcome
fault_handle(struct fault_server *server, const struct fault *f, enum wait_for *ret_wait)
{
	enum fault_outcome outcome = FAULT_BUSY;
	bool soft = false;
	struct target t;
	uint64_t slot;

	if (!target_find(server->daemon, f, &t)) {
		answer_unknown(server, f);
		return FAULT_ANSWERED;
	}
	/* What the page was when it faulted: each of these drops O. */
	slot = load_relaxed(vm_object_slot(t.object, t.index));
	switch (slot_kind(slot)) {
	case SLOT_RESIDENT:
		outcome = resident_answer(server, f, &t, slot_frame(slot), &soft, ret_wait);
		break;
	case SLOT_POISONED:
		outcome = answer_poisoned(server, f, &t);
		break;
	case SLOT_ABSENT:
	case SLOT_STORED:
		outcome = answer_absent(server, f, &t, slot, ret_wait);
		break;
	}
	if (outcome == FAULT_BUSY)
		stat_add(server->stats, STAT_BUSY_WAITS, 1);
	if (outcome == FAULT_ANSWERED)
		count_answered(server, f, slot_kind(slot), soft);
	vm_object_put(t.object);
	return outcome;
}

bool
fault_refuse(struct fault_server *server, const struct fault *f, enum refusal why)
{
	struct daemon *d = server->daemon;
	bool empty, ours = false;
	struct target t;
	enum slot_kind kind;

	watch_client(task_cookie(f->task));
	if (!target_find(d, f, &t)) {
		answer_unknown(server, f);
		return true;
	}
	kind = slot_kind(load_relaxed(vm_object_slot(t.object, t.index)));
	empty = kind == SLOT_ABSENT || kind == SLOT_STORED;
	/* From here on nobody fills it: lifting protection of a page that is there would lose its
	 * next write. */
	if (empty)
		ours = hole_take_locked(server, t.object, t.index);
	lock_release(&t.object->lock);
	if (ours) {
		bool first = kind == SLOT_ABSENT;

		stat_add(server->stats,
		    why == REFUSED_TABLES ? STAT_REFUSED_TABLES
		    : first               ? STAT_REFUSED_ZERO_FILLS
					  : STAT_REFUSED_REFILLS,
		    1);
		/* Known before the client can touch it again, or free it. */
		frame_wait_refused(d, f, why);
		poison_hole(t.object, &server->hole, f->task, target_address(&t, t.index));
		/* Of table memory the log has been told by who refused it. */
		if (why != REFUSED_TABLES)
			log_error_limited("memory and swap are full: process %d gets SIGBUS for "
					  "its %s %#llx (give pagerd more "
					  "--memory or swap, or the client a limit)",
			    (int)f->task->pid,
			    first ? "first touch of"
				  : "touch of the stored page (which is kept) at",
			    (unsigned long long)f->address);
	} else if (empty) {
		stat_add(server->stats, STAT_BUSY_WAITS, 1);
	}
	vm_object_put(t.object);
	return empty;
}
