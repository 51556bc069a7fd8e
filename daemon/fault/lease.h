/* SPDX-License-Identifier: MIT
 *
 * Who reads a client directly: direct servers are given a client, and called off.
 */
#ifndef LEASE_H
#define LEASE_H

#include "fault/seat.h"

#define LEAVE_SIGNAL SIGUSR2

static inline struct fault_server *
direct_of(struct daemon *d, unsigned i)
{
	return &d->servers[d->server_count + i];
}
/* The task's own direct servers are those of the servers in the mask, and nobody polls it. =>
 * false: they are not to be had, or it is dead; nothing has changed. Held: affinity.busy. */
bool direct_set(struct fault_server *server, struct task *task, uint64_t wanted);
/* All servers poll it again, and direct servers leave as soon as they have read once more. Held:
 * affinity.busy. */
void direct_leave(struct daemon *d, struct task *task, struct stat_shard stats);
/* The task is dead. Runs on: the control loop. */
void direct_remove(struct daemon *d, struct task *task);
/* Out of its read, or not into another one. => DIRECT held */
void direct_call_off_locked(struct fault_server *server);

#endif
