/* SPDX-License-Identifier: MIT
 *
 * Sessions: their beginning, their states and their end. Runs on: the control loop.
 */
#include "control/session.h"

#include <errno.h>
#include <unistd.h>

#include "clock.h"
#include "core/closer.h"
#include "failpt.h"
#include "watch/watcher.h"

static const bool arrows[SESSION_ENDED + 1][SESSION_ENDED + 1] = {
#define SESSION_ARROW(FROM, TO, when) [SESSION_##FROM][SESSION_##TO] = true,
#include "tbl/session_arrow.h"
};

static uint64_t
next_id(void)
{
	static atomic_ullong id = 1;

	return fetch_add_relaxed(&id, 1);
}

/* => 0, -EDQUOT or -ENFILE */
static int
shares_take(struct session *session)
{
	struct daemon *d = session->daemon;
	int error = share_take(d, session->account, SHARE_SESSIONS, 1);

	if (!error) {
		error = share_take(d, session->account, SHARE_DESCRIPTORS, SESSION_DESCRIPTORS);
		if (error)
			share_give(d, session->account, SHARE_SESSIONS, 1);
	}
	return error == -ENOSPC ? -ENFILE : error;
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
		.id = next_id(),
		.socket = socket,
		.pidfd = pidfd,
		.pid = pid,
		.uid = uid,
		.is_control = uid == 0 || uid == geteuid(),
		.created_ns = clock_now_ns(),
	};
	session->account = share_account_get(d, uid, session->is_control);
	if (!session->account)
		return -ENOMEM;
	error = shares_take(session);
	if (error)
		share_account_put(d, session->account);
	return error;
}

void
session_fini(struct session *session)
{
	struct daemon *d = session->daemon;

	CHECK_OBJ(session, SESSION_MAGIC);
	CHECK(session_is_ended(session) && !session->job_running && session->socket < 0);
	if (session->task) {
		task_put(session->task);
	} else {
		closer_close(d, session->pidfd, session->pid, session->uid);
		share_give(d, session->account, SHARE_DESCRIPTORS, SESSION_DESCRIPTORS);
		share_give(d, session->account, SHARE_SESSIONS, 1);
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
