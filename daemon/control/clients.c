/* SPDX-License-Identifier: MIT
 *
 * Clients that a request names. Runs on: the control loop and jobs.
 */
#include "control/clients.h"

#include <errno.h>

struct clients
clients_named(struct request *r, uint32_t pid, uint64_t task)
{
	CHECK(r->session);
	return (
	    struct clients){ .r = r, .name = { .id = task, .pid = (pid_t)pid }, .error = -ESRCH };
}

struct task *
clients_next(struct clients *c)
{
	const struct session *own = c->r->session;
	struct task *task;

	CHECK_OBJ(own, SESSION_MAGIC);
	while ((task = task_next(c->r->daemon, &c->cursor)) != NULL) {
		bool named = task_is_named(task, c->name);

		if (named && (own->is_control || own->uid == task->uid)) {
			c->error = 0;
			return task;
		}
		if (named && c->error)
			c->error = -EPERM;
		task_put(task);
	}
	return NULL;
}

int
process_named_get(struct request *r, uint32_t pid, uint64_t session, struct process_named *ret)
{
	struct clients clients = clients_named(r, pid, session);
	struct task *task = clients_next(&clients);
	struct process *process = NULL;

	if (task)
		process = task->bill.process;
	else if (clients.error == -ESRCH && session == 0 && r->session->is_control)
		process = process_idle_get(r->daemon, (pid_t)pid);
	if (!process)
		return clients.error;
	*ret = (struct process_named){ task, process };
	return 0;
}

int
process_limited_get(struct request *r, uint32_t pid, uint64_t session, struct process_named *ret)
{
	int error = process_named_get(r, pid, session, ret);

	loop_assert(r->daemon);
	if (error)
		return error;
	error = process_keep(r->daemon, ret->process);
	if (error)
		process_named_put(r->daemon, ret);
	return error;
}

void
process_named_put(struct daemon *d, const struct process_named *named)
{
	CHECK(named->process != NULL);
	if (named->task)
		task_put(named->task);
	else
		process_put(d, named->process);
}
