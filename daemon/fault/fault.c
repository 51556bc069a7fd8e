/* SPDX-License-Identifier: MIT
 *
 * From a fault message to an outcome. Runs on: fault servers. Never sleeps, never reclaims,
 * allocates nothing.
 */
#include "fault/fault.h"

#include "clock.h"
#include "fault/content.h"
#include "fault/refuse.h"
#include "fault/resident.h"
#include "fault/shown.h"
#include "fault/target.h"
#include "memorystatus/freeze.h"
#include "memorystatus/limits.h"
#include "pagers/pager.h"
#include "pmap/uffd.h"
#include "transit/poison.h"
#include "vm/vm_page.h"

/* The page is lost, or its content could not be brought in: its threads get SIGBUS. => O held,
 * dropped */
static enum fault_outcome
answer_poisoned(struct fault_server *server, const struct fault *f, const struct target *t)
{
	bool ours;

	lock_assert_held(&t->object->lock);
	ours = fault_hole_take_locked(server, t->object, t->index);
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

/* What is filled ahead is new memory of the thread's own, on its run. */
static bool
is_fit_ahead(const struct target *t, uint64_t slot)
{
	return t->want > 1 && t->direction > 0 && slot_kind(slot) == SLOT_ABSENT && !t->wired &&
	       !t->copy && !t->is_read_only && !t->object->external &&
	       !load_relaxed(&t->object->linked) && pager_absent_copy(t->object).v == 0;
}

enum fault_outcome
fault_fill_ahead(struct fault_server *server, const struct fault *f)
{
	enum fault_outcome outcome = FAULT_BUSY;
	enum wait_for wait;
	struct target t;
	uint64_t slot;

	locks_assert_none();
	CHECK(f->is_ahead);
	CHECK_OBJ(f->task, TASK_MAGIC);
	if (target_find(server->daemon, f, &t) != TARGET_FOUND)
		return FAULT_BUSY;
	slot = load_relaxed(vm_object_slot(t.object, t.index));
	if (is_fit_ahead(&t, slot))
		outcome = content_answer(server, f, &t, slot, &wait);
	else
		lock_release(&t.object->lock);
	vm_object_put(t.object);
	if (unlikely(t.copy != NULL))
		vm_object_put(t.copy);
	return outcome;
}

enum fault_outcome
fault_handle(struct fault_server *server, const struct fault *f, enum wait_for *ret_wait)
{
	enum fault_outcome outcome = FAULT_BUSY;
	bool soft = false;
	struct fault as_read;
	struct target t;
	uint64_t slot;

	locks_assert_none();
	CHECK_OBJ(server, FAULT_SERVER_MAGIC);
	CHECK_OBJ(f->task, TASK_MAGIC);
	freeze_touch(f->task);
	switch (target_find(server->daemon, f, &t)) {
	case TARGET_UNKNOWN:
		if (!f->is_refused)
			fault_answer_unknown(server, f);
		return FAULT_ANSWERED;
	case TARGET_FORBIDDEN:
		fault_answer_violation(server, f);
		return f->is_refused ? FAULT_AGAIN : FAULT_ANSWERED;
	case TARGET_HELD:
		stat_add(server->stats, STAT_FORK_HELD, 1);
		return FAULT_BUSY;
	case TARGET_OPENS:
		return shown_ask(server, f);
	case TARGET_ASKED:
		return FAULT_BUSY;
	case TARGET_FOUND:
		break;
	}
	if (unlikely(t.is_read_only)) {
		if (f->flags & UFFD_FAULT_WP) {
			lock_release(&t.object->lock);
			fault_answer_violation(server, f);
			vm_object_put(t.object);
			CHECK(!t.copy);
			return FAULT_ANSWERED;
		}
		/* A first touch that writes comes back as a violation when the page is there. */
		as_read = *f;
		as_read.flags &= ~(uint32_t)UFFD_FAULT_WRITE;
		f = &as_read;
	}
	/* What the page is while O is held. Each of these functions drops O. */
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
		/* It is brought in for reading, and the store comes again then. */
		if (unlikely(t.object->external != NULL) && f->flags & UFFD_FAULT_WRITE &&
		    !t.wired && dirty_may_store(f->task, t.object) != DIRTY_MAY) {
			as_read = *f;
			as_read.flags &= ~(uint32_t)UFFD_FAULT_WRITE;
			f = &as_read;
		}
		outcome = content_answer(server, f, &t, slot, ret_wait);
		if (unlikely(t.object->is_shareable))
			limits_want_of_owner(t.object);
		break;
	}
	if (outcome == FAULT_BUSY)
		stat_add(server->stats, STAT_BUSY_WAITS, 1);
	if (outcome == FAULT_ANSWERED || outcome == FAULT_AGAIN)
		count_answered(server, f, slot_kind(slot), soft);
	vm_object_put(t.object);
	if (unlikely(t.copy != NULL))
		vm_object_put(t.copy);
	return outcome;
}
