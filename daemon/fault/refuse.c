/* SPDX-License-Identifier: MIT
 *
 * Faults that end in a signal. Runs on: fault servers. Never sleeps, allocates nothing.
 */
#include "fault/refuse.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fault/target.h"
#include "fault/shown.h"
#include "memorystatus/refused.h"
#include "pagers/pager.h"
#include "pmap/uffd.h"
#include "transit/poison.h"
#include "vm/hole.h"
#include "vm/vm_page.h"

void
fault_answer_unknown(struct fault_server *server, const struct fault *f)
{
	size_t page = server->daemon->page_bytes;
	uint64_t address = round_down_u64(f->address, server->daemon->hw_bytes);

	locks_assert_none();
	/* No thread holds the page, which may belong to a new region by now: so its write
	 * protection stays. But memory that its owner has moved here has brought write-protection
	 * markers along, which would be in the poison's way. */
	uffd_poison(f->task->uffd, address, server->daemon->hw_bytes,
	    load_relaxed(&f->task->has_moved) ? UFFD_MODE_HELD : 0);
	uffd_wake(f->task->uffd, round_down_u64(address, page), page);
}

bool
fault_hole_take_locked(struct fault_server *server, struct vm_object *o, uint64_t index)
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

bool
fault_thread_is_elsewhere(const struct task *task)
{
	char path[64], theirs[64], ours[64];
	ssize_t length;

	CHECK_OBJ(task, TASK_MAGIC);
	snprintf(path, sizeof(path), "/proc/%d/ns/pid", (int)task->pid);
	length = readlink(path, theirs, sizeof(theirs));
	return length <= 0 || readlink("/proc/self/ns/pid", ours, sizeof(ours)) != length ||
	       memcmp(theirs, ours, (size_t)length) != 0;
}

bool
fault_signal(const struct fault *f, int number)
{
	siginfo_t info = { .si_signo = number, .si_code = SI_QUEUE };
	const struct task *task = f->task;

	CHECK_OBJ(task, TASK_MAGIC);
	/* A code of the kernel's own may not be sent; si_addr is where a handler looks. */
	info.si_addr = (void *)(uintptr_t)f->address;
	return syscall(SYS_rt_tgsigqueueinfo, task->pid, (pid_t)f->thread, number, &info) == 0;
}

void
fault_signal_process(const struct fault *f, int number)
{
	CHECK_OBJ(f->task, TASK_MAGIC);
	syscall(SYS_pidfd_send_signal, f->task->pidfd, number, NULL, 0u);
}

void
fault_answer_violation(struct fault_server *server, const struct fault *f)
{
	uint64_t page = round_down_u64(f->address, server->daemon->page_bytes);
	struct task *task = f->task;

	/* If the thread is still there it faults again; a signal for what it has left would be an
	 * accident. */
	if (f->is_refused)
		return;
	if (f->is_kept) {
		uffd_wake(task->uffd, page, server->daemon->page_bytes);
		return;
	}
	/* A thread of another process, which reads this one's memory, waits for what may come, or
	 * to be killed: the process that it reads has done nothing. */
	if (!fault_signal(f, SIGSEGV) && fault_thread_is_elsewhere(task))
		fault_signal_process(f, SIGSEGV);
	/* Whoever sees it counted finds the signal. */
	stat_add(server->stats, STAT_VIOLATIONS, 1);
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
			fault_answer_unknown(server, f);
		return true;
	case TARGET_FORBIDDEN:
		if (f->is_refused)
			refused_keep(d, f, why);
		else
			fault_answer_violation(server, f);
		return true;
	case TARGET_HELD:
		if (f->is_refused)
			refused_keep(d, f, why);
		return true;
	case TARGET_OPENS:
		(void)shown_ask(server, f);
		return true;
	case TARGET_ASKED:
		return true;
	case TARGET_FOUND:
		break;
	}
	kind = slot_kind(load_relaxed(vm_object_slot(t.object, t.index)));
	empty = kind == SLOT_ABSENT || kind == SLOT_STORED;
	/* While it is in the hole no thread fills it: if poison took the protection of a page that
	 * is there, its next write would be lost. */
	if (empty)
		ours = fault_hole_take_locked(server, t.object, t.index);
	lock_release(&t.object->lock);
	if (ours) {
		bool first = kind == SLOT_ABSENT && pager_absent_copy(t.object).v == 0;

		stat_add(server->stats,
		    why == REFUSED_PLACE    ? STAT_FILE_ENDS
		    : why == REFUSED_TABLES ? STAT_REFUSED_TABLES
		    : first                 ? STAT_REFUSED_ZERO_FILLS
					    : STAT_REFUSED_REFILLS,
		    1);
		/* Kept before the client can touch the page again, or free it. */
		refused_keep(d, f, why);
		poison_hole(t.object, &server->hole, f->task, target_address(&t, t.index));
		/* Where table memory was refused, the log says so already. The end of a file is
		 * nothing to tell of. */
		if (why == REFUSED_FRAMES)
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
	if (unlikely(t.copy != NULL))
		vm_object_put(t.copy);
	return empty;
}
