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
	return (struct clients){ .r = r, .name = { task, (pid_t)pid }, .error = -ESRCH };
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
