/* SPDX-License-Identifier: MIT
 *
 * Tasks and their list. Runs on: the control loop (sessions begin), whoever drops a session's last
 * reference.
 */
#include "memorystatus/task.h"

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
tasks_create(struct daemon *d)
{
	lock_init(&d->tasks.lock, RANK_JOBS);
}

static void
task_free(struct task *task)
{
	CHECK(load_relaxed(&task->resident) == 0 && load_relaxed(&task->wired_bytes) == 0);
	if (task->pidfd >= 0)
		close(task->pidfd);
	free(task);
}

void
tasks_destroy(struct daemon *d)
{
	struct task *task;

	while ((task = d->tasks.list) != NULL) {
		CHECK(load_relaxed(&task->references) == 0);
		d->tasks.list = task->next;
		task_free(task);
	}
	lock_fini(&d->tasks.lock);
}

static bool
has_ended(const struct task *task)
{
	struct pollfd p = { .fd = task->pidfd, .events = POLLIN };

	return task->pidfd < 0 || poll(&p, 1, 0) > 0;
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
is_same(const struct task *task, pid_t pid, uint64_t identity)
{
	if (identity && task->identity)
		return identity == task->identity;
	return pid > 0 && pid == task->pid && !has_ended(task);
}

struct task *
task_get(struct daemon *d, pid_t pid, int pidfd)
{
	struct task *made = calloc(1, sizeof(*made)), *task = NULL;
	uint64_t identity = identity_of(pidfd);

	if (!made)
		return NULL;
	*made = (struct task){ .pid = pid,
		.pidfd = pidfd >= 0 ? fcntl(pidfd, F_DUPFD_CLOEXEC, 3) : -1,
		.identity = identity };
	lock_acquire(&d->tasks.lock);
	for (task = pidfd >= 0 ? d->tasks.list : NULL; task && !is_same(task, pid, identity);)
		task = task->next;
	if (!task) {
		task = made;
		made = NULL;
		task->next = d->tasks.list;
		d->tasks.list = task;
	}
	fetch_add_relaxed(&task->references, 1);
	lock_release(&d->tasks.lock);
	if (made)
		task_free(made);
	return task;
}

/* Takes it out of the list. => lock held */
static void
unlink_locked(struct daemon *d, struct task *task)
{
	struct task **at = &d->tasks.list;

	while (*at != task)
		at = &(*at)->next;
	*at = task->next;
}

void
task_put(struct daemon *d, struct task *task)
{
	bool ends;

	lock_acquire(&d->tasks.lock);
	ends = fetch_sub_relaxed(&task->references, 1) == 1 &&
	       (!load_relaxed(&task->limit_pages) || has_ended(task));
	if (ends)
		unlink_locked(d, task);
	lock_release(&d->tasks.lock);
	if (ends)
		task_free(task);
}

bool
task_limit_set(struct daemon *d, pid_t pid, uint64_t pages, uint64_t *ret_previous)
{
	struct task *task;

	lock_acquire(&d->tasks.lock);
	for (task = d->tasks.list;
	     task && (load_relaxed(&task->references) > 0 || !is_same(task, pid, 0));)
		task = task->next;
	if (task) {
		*ret_previous = load_relaxed(&task->limit_pages);
		store_relaxed(&task->limit_pages, pages);
	}
	lock_release(&d->tasks.lock);
	return task != NULL;
}

void
tasks_sweep(struct daemon *d)
{
	struct task **at = &d->tasks.list, *gone = NULL, *task;

	lock_acquire(&d->tasks.lock);
	while ((task = *at) != NULL) {
		if (load_relaxed(&task->references) > 0 ||
		    (load_relaxed(&task->limit_pages) && !has_ended(task))) {
			at = &task->next;
			continue;
		}
		*at = task->next;
		task->next = gone;
		gone = task;
	}
	lock_release(&d->tasks.lock);
	while ((task = gone) != NULL) {
		gone = task->next;
		task_free(task);
	}
}

uint32_t
task_room(const struct task *task)
{
	struct task *t = (struct task *)(uintptr_t)task;
	uint64_t limit = load_relaxed(&t->limit_pages), held = (uint64_t)load_relaxed(&t->resident);

	if (limit == 0)
		return UINT32_MAX;
	return held < limit ? (uint32_t)min_u64(limit - held, UINT32_MAX) : 0;
}
