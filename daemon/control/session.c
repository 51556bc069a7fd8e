/* SPDX-License-Identifier: MIT
 *
 * Sessions: their beginning, their states and their end. Runs on: the control loop.
 */
#include "control/session.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "core/closer.h"
#include "failpt.h"
#include "vm/task_record.h"
#include "watch/watcher.h"

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

static const bool arrows[SESSION_ENDED + 1][SESSION_ENDED + 1] = {
#define SESSION_ARROW(FROM, TO, when) [SESSION_##FROM][SESSION_##TO] = true,
#include "tbl/session_arrow.h"
};

static atomic_ullong next_id = 1;

uint64_t
session_next_id(void)
{
	return fetch_add_relaxed(&next_id, 1);
}

int
session_shares_take(struct daemon *d, struct share_account *account)
{
	int error = share_take(d, account, SHARE_SESSIONS, 1);

	if (!error) {
		error = share_take(d, account, SHARE_DESCRIPTORS, SESSION_DESCRIPTORS);
		if (error)
			share_give(d, account, SHARE_SESSIONS, 1);
	}
	return error == -ENOSPC ? -ENFILE : error;
}

void
session_shares_give(struct daemon *d, struct share_account *account)
{
	share_give(d, account, SHARE_DESCRIPTORS, SESSION_DESCRIPTORS);
	share_give(d, account, SHARE_SESSIONS, 1);
}

int
session_init(struct session *session, struct daemon *d, int socket, pid_t pid, uid_t uid, int pidfd)
{
	int error = failpt_hit(FAIL_SESSION_CREATE_ENOMEM);

	loop_assert(d);
	CHECK(socket >= 0 && pidfd >= 0);
	if (error)
		return error;
	*session = (struct session){
		.magic = SESSION_MAGIC,
		.daemon = d,
		.id = session_next_id(),
		.socket = socket,
		.lying_fd = -1,
		.agents_end = -1,
		.pidfd = pidfd,
		.pid = pid,
		.uid = uid,
		.is_control = uid == 0 || uid == geteuid(),
		.created_ns = clock_now_ns(),
	};
	session->account = share_account_get(d, uid, session->is_control);
	if (!session->account)
		return -ENOMEM;
	error = session_shares_take(d, session->account);
	if (error)
		share_account_put(d, session->account);
	return error;
}

void
session_init_forked(struct session *session, struct forked *f)
{
	loop_assert(f->task->daemon);
	CHECK(f->socket >= 0 && f->task && f->parent && f->account);
	*session = (struct session){
		.magic = SESSION_MAGIC,
		.daemon = f->task->daemon,
		.id = f->task->id,
		.socket = f->socket,
		.lying_fd = -1,
		.agents_end = -1,
		.pidfd = -1,
		.uid = f->task->uid,
		.is_control = f->is_control,
		.account = f->account,
		.task = f->task,
		.created_ns = clock_now_ns(),
		.is_forked = true,
		.fork_parent = f->parent,
	};
}

int
session_init_taken(struct session *session, struct task *task, int socket, bool is_control)
{
	struct daemon *d = task->daemon;
	int error;

	loop_assert(d);
	CHECK(socket >= 0 && task->pidfd >= 0);
	*session = (struct session){
		.magic = SESSION_MAGIC,
		.daemon = d,
		.id = task->id,
		.socket = socket,
		.lying_fd = -1,
		.agents_end = keeper_take(d->keeper, KEPT_AGENTS_END, task->id),
		.pidfd = task->pidfd,
		.pid = task->pid,
		.uid = task->uid,
		.is_control = is_control,
		.task = task,
		.outlives_socket = load_relaxed(&task->map.record->outlives_socket),
		.created_ns = clock_now_ns(),
	};
	session->has_agents_end = session->agents_end >= 0;
	store_relaxed(&next_id, max_u64(load_relaxed(&next_id), task->id + 1));
	session->account = share_account_get(d, task->uid, is_control);
	if (!session->account)
		return -ENOMEM;
	error = session_shares_take(d, session->account);
	if (error)
		share_account_put(d, session->account);
	else
		session_commit(session, SESSION_NEW, SESSION_CLIENT);
	return error;
}

void
session_born(struct session *session, pid_t pid, uid_t uid, int pidfd)
{
	loop_assert(session->daemon);
	CHECK(session->is_forked && session->pidfd < 0 && pidfd >= 0);
	session->pid = pid;
	session->pidfd = pidfd;
	/* A process that has given up being root has no children that are. */
	session->is_control = session->is_control && uid == session->uid;
	session->outlives_socket = true;
	task_born(session->task, pid, pidfd);
}

void
session_fini(struct session *session)
{
	struct daemon *d = session->daemon;

	CHECK_OBJ(session, SESSION_MAGIC);
	CHECK(session_is_ended(session) && !session->job_running && session->socket < 0);
	if (session->fork_parent)
		task_put(session->fork_parent);
	closer_close(d, session->lying_fd, session->pid, session->uid);
	closer_close(d, session->agents_end, session->pid, session->uid);
	if (session->task) {
		task_put(session->task);
	} else {
		closer_close(d, session->pidfd, session->pid, session->uid);
		session_shares_give(d, session->account);
	}
	share_account_put(d, session->account);
	session->magic = 0;
}

void
session_commit(struct session *session, enum session_state from, enum session_state to)
{
	loop_assert(session->daemon);
	CHECK_OBJ(session, SESSION_MAGIC);
	CHECK_ARROW(arrows, from, to, "session", session->id);
	CHECKF(load_relaxed(&session->state) == from, "session %llu: not in state %d",
	    (unsigned long long)session->id, (int)from);
	store_release(&session->state, to);
}

int
session_task_create(struct session *session, const char *name)
{
	loop_assert(session->daemon);
	CHECK(!session->task);
	session->task =
	    task_create(session->daemon, &(struct task_birth){
					     .id = session->id,
					     .pid = session->pid,
					     .uid = session->uid,
					     .lane = watch_lane_of(session->daemon, session->uid),
					     .is_control = session->is_control,
					     .pidfd = session->pidfd,
					     .account = session->account,
					     .name = name,
					 });
	return session->task ? 0 : -ENOMEM;
}

bool
session_group(const struct session *session, gid_t *ret)
{
	struct ucred peer;
	socklen_t length = sizeof(peer);

	CHECK_OBJ(session, SESSION_MAGIC);
	if (getsockopt(session->socket, SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0)
		return false;
	*ret = peer.gid;
	return true;
}

bool
session_is_in_group(const struct session *session, gid_t group)
{
	socklen_t length = 0;
	gid_t *groups = NULL, own;
	bool is_in = false;

	if (!session_group(session, &own))
		return false;
	if (own == group)
		return true;
	/* Says how many there are. */
	if (getsockopt(session->socket, SOL_SOCKET, SO_PEERGROUPS, NULL, &length) == 0 ||
	    errno != ERANGE)
		return false;
	groups = malloc(length);
	if (groups && getsockopt(session->socket, SOL_SOCKET, SO_PEERGROUPS, groups, &length) == 0)
		for (size_t i = 0; i < length / sizeof(groups[0]); i++)
			is_in |= groups[i] == group;
	free(groups);
	return is_in;
}
