/* SPDX-License-Identifier: MIT
 *
 * Processes and their list. Runs on: the control loop (tasks begin), the thread that drops a task's
 * last reference.
 */
#include "vm/process.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "daemon.h"

#ifndef PIDFS_MAGIC
#define PIDFS_MAGIC 0x50494446
#endif

void
processes_create(struct daemon *d)
{
	lock_init(&d->processes.lock, RANK_JOBS);
}

static void
process_free(struct process *process)
{
	CHECK(load_relaxed(&process->limit_parked) == 0);
	CHECK(load_relaxed(&process->resident) == 0 && load_relaxed(&process->wired) == 0 &&
	      load_relaxed(&process->wired_promised) == 0);
	if (process->pidfd >= 0)
		close(process->pidfd);
	free(process);
}

void
processes_destroy(struct daemon *d)
{
	struct process *process;

	while ((process = d->processes.list) != NULL) {
		CHECK(load_relaxed(&process->references) == 0);
		d->processes.list = process->next;
		process_free(process);
	}
	lock_fini(&d->processes.lock);
}

static bool
has_ended(const struct process *process)
{
	struct pollfd p = { .fd = process->pidfd, .events = POLLIN };

	return process->pidfd < 0 || poll(&p, 1, 0) > 0;
}

static uint64_t
identity_of(int pidfd)
{
	struct statfs fs;
	struct stat st;

	return pidfd >= 0 && fstatfs(pidfd, &fs) == 0 && fs.f_type == PIDFS_MAGIC &&
		       fstat(pidfd, &st) == 0
		   ? st.st_ino
		   : 0;
}

/* A pid is not used again while its process lives. */
static bool
is_same(const struct process *process, pid_t pid, uint64_t identity)
{
	if (identity && process->identity)
		return identity == process->identity;
	return pid > 0 && pid == process->pid && !has_ended(process);
}

struct process *
process_get(struct daemon *d, pid_t pid, int pidfd)
{
	struct process *made = calloc(1, sizeof(*made)), *process = NULL;
	uint64_t identity = identity_of(pidfd);

	CHECK(pid >= 0);
	if (!made)
		return NULL;
	*made = (struct process){ .pid = pid,
		.pidfd = pidfd >= 0 ? fcntl(pidfd, F_DUPFD_CLOEXEC, 3) : -1,
		.identity = identity };
	lock_acquire(&d->processes.lock);
	for (process = pidfd >= 0 ? d->processes.list : NULL;
	     process && !is_same(process, pid, identity);)
		process = process->next;
	if (!process) {
		process = made;
		made = NULL;
		process->next = d->processes.list;
		d->processes.list = process;
	}
	fetch_add_relaxed(&process->references, 1);
	lock_release(&d->processes.lock);
	if (made)
		process_free(made);
	return process;
}

/* Takes it out of the list. => lock held */
static void
unlink_locked(struct daemon *d, struct process *process)
{
	struct process **at = &d->processes.list;

	lock_assert_held(&d->processes.lock);
	while (*at != process) {
		CHECK(*at != NULL);
		at = &(*at)->next;
	}
	*at = process->next;
}

void
process_put(struct daemon *d, struct process *process)
{
	bool ends;

	CHECK(load_relaxed(&process->references) > 0);
	lock_acquire(&d->processes.lock);
	ends = fetch_sub_relaxed(&process->references, 1) == 1 &&
	       (!load_relaxed(&process->limit_pages) || has_ended(process));
	if (ends)
		unlink_locked(d, process);
	lock_release(&d->processes.lock);
	if (ends)
		process_free(process);
}

bool
process_limit_set(struct daemon *d, pid_t pid, uint64_t pages, uint64_t *ret_previous)
{
	struct process *process;

	lock_acquire(&d->processes.lock);
	for (process = d->processes.list;
	     process && (load_relaxed(&process->references) > 0 || !is_same(process, pid, 0));)
		process = process->next;
	if (process) {
		*ret_previous = load_relaxed(&process->limit_pages);
		store_relaxed(&process->limit_pages, pages);
	}
	lock_release(&d->processes.lock);
	return process != NULL;
}

void
processes_sweep(struct daemon *d)
{
	struct process **at = &d->processes.list, *gone = NULL, *process;

	lock_acquire(&d->processes.lock);
	while ((process = *at) != NULL) {
		if (load_relaxed(&process->references) > 0 ||
		    (load_relaxed(&process->limit_pages) && !has_ended(process))) {
			at = &process->next;
			continue;
		}
		CHECK(load_relaxed(&process->wired_promised) == 0);
		*at = process->next;
		process->next = gone;
		gone = process;
	}
	lock_release(&d->processes.lock);
	while ((process = gone) != NULL) {
		gone = process->next;
		process_free(process);
	}
}

uint32_t
process_room(const struct process *process)
{
	struct process *t = (struct process *)(uintptr_t)process;
	uint64_t limit = load_relaxed(&t->limit_pages), held = process_counted(process);

	if (limit == 0)
		return UINT32_MAX;
	return held < limit ? (uint32_t)min_u64(limit - held, UINT32_MAX) : 0;
}
