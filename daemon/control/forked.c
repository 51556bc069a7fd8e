/* SPDX-License-Identifier: MIT
 *
 * Forked children before their sessions. Runs on: jobs of the parent.
 */
#include "control/forked.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/teardown.h"
#include "own.h"
#include "record/profiles.h"
#include "watch/watcher.h"

#ifndef SO_PASSPIDFD
#define SO_PASSPIDFD 76
#endif

/* The kernel tells with each message which process has sent it. => 0 or -errno */
static int
socket_open(int *ret_own, int *ret_childs)
{
	int pair[2], on = 1, error = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	if (setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
	    setsockopt(pair[0], SOL_SOCKET, SO_PASSPIDFD, &on, sizeof(on)) < 0 ||
	    fcntl(pair[0], F_SETFL, O_NONBLOCK) < 0)
		error = -errno;
	if (error) {
		close(pair[0]);
		close(pair[1]);
		return error;
	}
	*ret_own = pair[0];
	*ret_childs = pair[1];
	return 0;
}

static int
task_make(struct forked *f)
{
	const struct task *parent = f->parent;
	struct daemon *d = parent->daemon;
	int error = session_shares_take(d, f->account);

	if (error)
		return error;
	f->task = task_create(d, &(struct task_birth){
				     .id = session_next_id(),
				     .uid = parent->uid,
				     .lane = watch_lane_of(d, parent->uid),
				     .is_control = f->is_control,
				     .pidfd = -1,
				     .account = f->account,
				     .group = load_acquire(&parent->bill.group),
				     .name = parent->name,
				 });
	if (!f->task) {
		session_shares_give(d, f->account);
		return -ENOMEM;
	}
	store_release(&f->task->is_unborn, true);
	process_inherit(d, f->task->bill.process, parent->bill.process);
	profile_inherit(f->task, parent);
	return 0;
}

int
forked_create(struct session *parent, struct forked **ret, int *ret_childs)
{
	struct forked *f = calloc(1, sizeof(*f));
	int error = -ENOMEM;

	CHECK_OBJ(parent, SESSION_MAGIC);
	if (!f)
		return -ENOMEM;
	f->socket = -1;
	f->is_control = parent->is_control;
	f->parent = task_get(parent->task);
	f->connection = own_alloc(OWN_CONNECTION, CONNECTION_BYTES_MAX);
	f->account = share_account_get(parent->daemon, parent->uid, parent->is_control);
	if (f->connection && f->account)
		error = task_make(f);
	if (!error)
		error = socket_open(&f->socket, ret_childs);
	if (error) {
		forked_destroy(f);
		return error;
	}
	*ret = f;
	return 0;
}

void
forked_destroy(struct forked *f)
{
	struct daemon *d = f->parent->daemon;

	locks_assert_none();
	if (f->task) {
		CHECK(task_commit(f->task, TASK_ATTACHING, TASK_DEAD));
		while (task_teardown(f->task))
			continue;
		task_put(f->task);
	}
	if (f->socket >= 0)
		close(f->socket);
	if (f->account)
		share_account_put(d, f->account);
	task_put(f->parent);
	own_free(OWN_CONNECTION, f->connection);
	free(f);
}
