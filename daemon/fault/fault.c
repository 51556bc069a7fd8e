/* SPDX-License-Identifier: MIT
 *
 * From a fault message to an outcome. Runs on: fault servers. Never sleeps, never reclaims,
 * allocates nothing.
 */
#include "fault/fault.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "fault/content.h"
#include "fault/resident.h"
#include "fault/target.h"
#include "memorystatus/limits.h"
#include "pmap/uffd.h"
#include "transit/poison.h"
#include "vm/hole.h"
#include "vm/vm_page.h"

/* An address that the daemon does not serve: it was given back while a thread was touching it. */
static void
answer_unknown(struct fault_server *server, const struct fault *f)
{
	size_t page = server->daemon->page_bytes;
	uint64_t address = round_down_u64(f->address, server->daemon->hw_bytes);

	/* No thread holds the page, which may belong to a new region by now: so its write
	 * protection stays. But memory that its owner has moved here has brought write-protection
	 * markers along, which would be in the poison's way. */
	uffd_poison(f->task->uffd, address, server->daemon->hw_bytes,
	    load_relaxed(&f->task->has_moved) ? UFFD_MODE_HELD : 0);
	uffd_wake(f->task->uffd, round_down_u64(address, page), page);
}

/* Puts a hole around a page without a frame, which is to get poison. => false: the page is in
 * another thread's hole, which will wake the fault */
static bool
hole_take_locked(struct fault_server *server, struct vm_object *o, uint64_t index)
{
	struct hole *hole;

	lock_assert_held(&o->lock);
	vm_page_assert(o, index);
	INVARIANT(slot_kind(load_relaxed(vm_object_slot(o, index))) != SLOT_RESIDENT);
	hole = vm_object_hole_at(o, index);
	if (hole)
		hole->wanted = true;
	else
		vm_object_hole_begin(o, &server->hole, index, index + 1);
	return !hole;
}

/* The page is lost, or its content could not be brought in: its threads get SIGBUS. => O held,
 * dropped */
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

/* A touch that the task may not make: a write to memory that it may only read, and has made
 * writable for itself (were the protection lifted, the kernel would make it a page of its own,
 * which nobody pays for), or a touch that a submap does not allow. It gets what the processor would
 * give it. Its signal handler may return; then it faults again. */
static void
answer_violation(struct fault_server *server, const struct fault *f)
{
	uint64_t page = round_down_u64(f->address, server->daemon->page_bytes);
	siginfo_t info = { .si_signo = SIGSEGV, .si_code = SI_QUEUE };
	struct task *task = f->task;

	/* If the thread is still there it faults again; a signal for what it has left would be an
	 * accident. */
	if (f->is_refused)
		return;
	if (f->is_kept) {
		uffd_wake(task->uffd, page, server->daemon->page_bytes);
		return;
	}
	stat_add(server->stats, STAT_VIOLATIONS, 1);
	/* A code of the kernel's own may not be sent; si_addr is where a handler looks. */
	info.si_addr = (void *)(uintptr_t)f->address;
	/* In another PID namespace the thread's number means nothing here. */
	if (syscall(SYS_rt_tgsigqueueinfo, task->pid, (pid_t)f->thread, SIGSEGV, &info) != 0)
		syscall(SYS_pidfd_send_signal, task->pidfd, SIGSEGV, NULL, 0u);
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
	struct fault as_read;
	struct target t;
	uint64_t slot;

	locks_assert_none();
	CHECK_OBJ(server, FAULT_SERVER_MAGIC);
	CHECK_OBJ(f->task, TASK_MAGIC);
	switch (target_find(server->daemon, f, &t)) {
	case TARGET_UNKNOWN:
		if (!f->is_refused)
			answer_unknown(server, f);
		return FAULT_ANSWERED;
	case TARGET_FORBIDDEN:
		answer_violation(server, f);
		return f->is_refused ? FAULT_AGAIN : FAULT_ANSWERED;
	case TARGET_FOUND:
		break;
	}
	if (unlikely(t.is_read_only)) {
		if (f->flags & UFFD_FAULT_WP) {
			lock_release(&t.object->lock);
			answer_violation(server, f);
			vm_object_put(t.object);
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
	return outcome;
}

bool
fault_refuse(struct fault_server *server, const struct fault *f, enum refusal why)
{
	struct daemon *d = server->daemon;
	bool empty, ours = false;
	struct target t;
	enum slot_kind kind;

	locks_assert_none();
	CHECK_OBJ(server, FAULT_SERVER_MAGIC);
	watch_client(task_cookie(f->task));
	switch (target_find(d, f, &t)) {
	case TARGET_UNKNOWN:
		if (!f->is_refused)
			answer_unknown(server, f);
		return true;
	case TARGET_FORBIDDEN:
		if (f->is_refused)
			refused_keep(d, f, why);
		else
			answer_violation(server, f);
		return true;
	case TARGET_FOUND:
		break;
	}
	kind = slot_kind(load_relaxed(vm_object_slot(t.object, t.index)));
	empty = kind == SLOT_ABSENT || kind == SLOT_STORED;
	/* While it is in the hole no thread fills it: if poison took the protection of a page that
	 * is there, its next write would be lost. */
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
		/* Kept before the client can touch the page again, or free it. */
		refused_keep(d, f, why);
		poison_hole(t.object, &server->hole, f->task, target_address(&t, t.index));
		/* Where table memory was refused, the log says so already. */
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
		if (f->is_refused)
			refused_keep(d, f, why);
	}
	vm_object_put(t.object);
	return empty;
}
