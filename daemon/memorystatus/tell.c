/* SPDX-License-Identifier: MIT
 *
 * Messages to agents. Runs on: the memorystatus thread. Never waits.
 */
#include "memorystatus/tell.h"

#include <sys/socket.h>

#include "vm/task.h"

bool
agent_tell(const struct task *task, uint32_t op, uint64_t value)
{
	struct pager_agent_message message = { .op = op, .value = value };
	const size_t bytes = offsetof(struct pager_agent_message, ranges);

	return send(task->agent, &message, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)bytes;
}
