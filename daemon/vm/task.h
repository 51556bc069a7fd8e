/* SPDX-License-Identifier: MIT
 *
 * A task: a client's process as pagerd knows it, that is its address space (map, userfaultfd,
 * agent) and its bill. It is made at HELLO and found through an epoll cookie (index and generation)
 * or by walking the table, always with a reference; its descriptors are closed when the last
 * reference goes.
 *
 *   ATTACHING --> ATTACHED --> DEAD (its session has ended; jobs take its objects apart) --> freed
 *        +-----------------------^
 */
#ifndef TASK_H
#define TASK_H

#include <unistd.h>

#include "daemon.h"
#include "vm/books.h"

int task_table_create(struct daemon *d);
void task_table_destroy(struct daemon *d);
/* What a task is made of. */
struct task_birth {
	uint64_t id; /* its session's */
	pid_t pid;
	uid_t uid;
	unsigned lane;                 /* in which its jobs run until it is attached */
	int pidfd;                     /* the task's from now on */
	bool is_control;               /* root or the daemon's own user */
	struct share_account *account; /* it takes a reference of its own */
	struct client_group *group;    /* likewise; NULL: none */
	const char *name;              /* is copied, and cleaned for terminals */
};
/* => the task with a reference, or NULL: no memory, and nothing is taken over. The task gives the
 * session's shares (SHARE_SESSIONS, SHARE_DESCRIPTORS) back at its end. */
struct task *task_create(struct daemon *d, const struct task_birth *birth);
/* Which process a forked child's task is of: it is not attached yet. pidfd: the task's from now on
 */
void task_born(struct task *task, pid_t pid, int pidfd);
/* Changes the state; any change but those in tbl/session_arrow.h is a panic. => false: it was not
 * in `from` any more. Any thread */
bool task_commit(struct task *task, enum task_state from, enum task_state to);
struct task *task_get(struct task *task);
void task_put(struct task *task);
/* => the task with a reference, or NULL if it is gone. */
struct task *task_find_cookie(struct daemon *d, uint64_t cookie);
/* Whatever sits at that index of the table, with a reference, or NULL. */
struct task *task_at(struct daemon *d, uint32_t index);
/* Which clients are meant: a task by its id, or all of a process, or all of a group; all 0:
 * everybody.
 */
struct task_name {
	uint64_t id;
	pid_t pid;
	uint64_t group;
};
static inline bool
task_names_all(struct task_name name)
{
	return name.id == 0 && name.pid == 0 && name.group == 0;
}
static inline bool
task_is_named(const struct task *task, struct task_name name)
{
	const struct client_group *group;

	if (name.group == 0)
		return name.id ? task->id == name.id : task->pid == name.pid;
	group = load_acquire(&task->bill.group);
	return group && group->id == name.group;
}
/* The first client task with an index >= *cursor; moves the cursor behind it. With a reference,
 * or NULL. */
struct task *task_next(struct daemon *d, uint32_t *cursor);
/* Takes bytes that cannot leave memory from the user's share of wired memory, at most half of the
 * process's limit. => 0 or -EAGAIN: there is not as much. Any lock may be held, here and below */
int task_wired_take(struct task *task, uint64_t bytes) MUST_USE;
void task_wired_give(struct task *task, uint64_t bytes);
/* Takes what the map of a worker before this one has promised, be it above what may be promised
 * now. */
void task_wired_restore(struct task *task);
/* Gives back the part of the user's share of wired memory that the map does not use any more.
 * Called after the pages have gone, where they must. */
void task_wired_settle(struct task *task);
/* Whether there is a client with that id. */
bool task_exists(struct daemon *d, uint64_t id);
uint32_t task_count(struct daemon *d);
static inline uint64_t
task_cookie(const struct task *task)
{
	INVARIANT(task->magic == TASK_MAGIC);
	return (uint64_t)task->generation << 32 | task->index;
}
/* Root and the daemon's own user can do anything to the daemon. */
static inline bool
task_is_trusted(const struct task *task)
{
	INVARIANT(task->magic == TASK_MAGIC);
	return task->uid == 0 || task->uid == geteuid();
}
static inline bool
task_is_dead(struct task *task)
{
	INVARIANT(task->magic == TASK_MAGIC);
	return load_acquire(&task->state) == TASK_DEAD;
}

#endif
