/* SPDX-License-Identifier: MIT
 *
 * What a client is told through its agent.
 */
#ifndef TELL_H
#define TELL_H

#include <stdbool.h>
#include <stdint.h>

struct task;

/* Sends the client's agent a message without ranges (PAGER_AGENT_*), without waiting for it. =>
 * whether it has taken it; it may not listen */
bool agent_tell(const struct task *task, uint32_t op, uint64_t value);

#endif
