/* SPDX-License-Identifier: MIT
 *
 * Requests that begin a session: HELLO (control loop) and ATTACH (jobs).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/closer.h"
#include "control/request.h"
#include "control/kept.h"
#include "control/prove.h"
#include "descriptors.h"
#include "fault/server.h"
#include "pmap/uffd.h"
#include "region/range.h"
#include "vm/vm_mapping.h"
#include "watch/watcher.h"

int
handle_hello(struct request *r)
{
	const struct pager_req_hello *in = r->body;
	struct pager_rep_hello *out = r->reply;
	struct session *session = r->session;

	loop_assert(r->daemon);
	/* A forked child's session begins with FORK_CHILD. */
	if (r->task)
		return -EALREADY;
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

/* A forked child does not wait for the answer, and may have touched memory by now that nobody is
 * going to serve: it gets SIGBUS, where it would wait without end. */
static int
attach_forked_failed(struct request *r, int error)
{
	struct task *task = r->task;
	struct vm_entry e;

	/* It has gone on to another program. */
	if (error == -ESRCH)
		return error;
	log_warning_limited("process %d of user %u, a forked child, was not attached: %s; touching "
			    "what it has inherited is SIGBUS",
	    (int)task->pid, (unsigned)task->uid, strerror(-error));
	for (uint64_t at = 0; uffd_check(r->fd) == 0 && task_entry_get(task, at, &e); at = e.end) {
		uffd_poison(r->fd, e.start, e.end - e.start, 0);
		vm_mapping_put(e.mapping);
	}
	store_release(&task->end_wanted, true);
	store_release(&r->daemon->tasks_end_wanted, true);
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
	error = r->session->fork_is_void ? -ETIMEDOUT : attach_check(r, &proven);
	/* Servers must never sleep in a read. */
	if (!error)
		error = uffd_never_wait(r->fd);
	if (!error)
		error = descriptors_bell(&task->agent, &r->reply_fd);
	if (error)
		return r->session->is_forked ? attach_forked_failed(r, error) : error;
	r->reply_fd_given = true;
	task->uffd = r->fd;
	r->fd = -1;
	store_release(&task->is_unborn, false);
	error = kept_attach(r->session, r->reply_fd);
	if (error)
		return error;
	out->proven = proven;
	error = fault_servers_add(r->daemon, task, watch_lane_of(r->daemon, task->uid));
	/* A task that has died meanwhile stays dead; it is taken from the servers before it is
	 * taken apart. */
	if (!error && !task_commit(task, TASK_ATTACHING, TASK_ATTACHED))
		error = -ESHUTDOWN;
	return error;
}
