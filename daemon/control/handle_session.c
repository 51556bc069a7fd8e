/* SPDX-License-Identifier: MIT
 *
 * Requests that begin a session: HELLO (control loop) and ATTACH (jobs).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/closer.h"
#include "control/request.h"
#include "control/prove.h"
#include "fault/server.h"
#include "pmap/uffd.h"
#include "watch/watcher.h"

int
handle_hello(struct request *r)
{
	const struct pager_req_hello *in = r->body;
	struct pager_rep_hello *out = r->reply;
	struct session *session = r->session;

	loop_assert(r->daemon);
	CHECK(!r->task);
	if (in->version_min > PAGER_PROTO_VERSION || in->version_max < PAGER_PROTO_VERSION)
		return -EPROTONOSUPPORT;
	if (in->features != 0 || in->reserved != 0 ||
	    memchr(in->name, '\0', sizeof(in->name)) == NULL ||
	    (in->role != PAGER_ROLE_CLIENT && in->role != PAGER_ROLE_TOOL))
		return -EINVAL;
	if (in->role == PAGER_ROLE_CLIENT) {
		int error = session_task_create(session, in->name);

		if (error)
			return error;
		r->reply_fd = r->daemon->uffd_device;
	}
	session_commit(
	    session, SESSION_NEW, in->role == PAGER_ROLE_CLIENT ? SESSION_CLIENT : SESSION_TOOL);
	*out = (struct pager_rep_hello){
		.version = PAGER_PROTO_VERSION,
		.daemon_pid = (uint32_t)getpid(),
		.page_size = r->daemon->page_bytes,
		.session_id = session->id,
		.uffd_features = uffd_features(),
	};
	return 0;
}

/* The agent's socket: our end, and the client's. */
static int
agent_open(int *ret_own, int *ret_clients)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	/* Nothing is read from it, so nothing may be sent to it: what lay in it would make closing
	 * it last. */
	shutdown(pair[0], SHUT_RD);
	*ret_own = pair[0];
	*ret_clients = pair[1];
	return 0;
}

static int
attach_check(struct request *r, bool *ret_proven)
{
	const struct pager_req_attach *in = r->body;
	struct task *task = r->task;
	uint64_t page = r->daemon->hw_bytes;
	int error = uffd_check(r->fd);

	CHECK_OBJ(task, TASK_MAGIC);
	if (error)
		return error;
	if (in->probe_address == 0 || in->probe_address % page != 0 ||
	    in->probe_address >= 1ull << 47 || in->probe_size != PAGER_PROBE_PAGES * page)
		return -EINVAL;
	error = userfaultfd_prove(task, r->fd, in->probe_address, ret_proven);
	if (error == -EPERM)
		log_notice_limited(
		    "process %d was not attached: its userfaultfd watches another process's memory",
		    (int)task->pid);
	return error;
}

int
handle_attach(struct request *r)
{
	struct pager_rep_attach *out = r->reply;
	struct task *task = r->task;
	bool proven;
	int error;

	CHECK(r->fd >= 0);
	if (!task || load_acquire(&task->state) != TASK_ATTACHING || task->uffd >= 0)
		return -EALREADY;
	error = attach_check(r, &proven);
	if (error)
		return error;
	/* Servers must never sleep in a read. */
	error = uffd_never_wait(r->fd);
	if (!error)
		error = agent_open(&task->agent, &r->reply_fd);
	if (error)
		return error;
	r->reply_fd_given = true;
	task->uffd = r->fd;
	r->fd = -1;
	out->proven = proven;
	error = fault_servers_add(r->daemon, task, watch_lane_of(r->daemon, task->uid));
	/* A task that has died meanwhile stays dead; it is taken from the servers before it is
	 * taken apart. */
	if (!error && !task_commit(task, TASK_ATTACHING, TASK_ATTACHED))
		error = -ESHUTDOWN;
	return error;
}
