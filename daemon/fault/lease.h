/* SPDX-License-Identifier: MIT
 *
 * Leases of direct servers (direct.h): they are given a client, and called off.
 */
#ifndef LEASE_H
#define LEASE_H

#include "fault/seat.h"

/* Ends a blocking read. */
#define LEAVE_SIGNAL SIGUSR2

/* The direct server of seat i of the common lane. */
static inline struct fault_server *
direct_of(struct daemon *d, unsigned i)
{
	CHECK(i < d->server_count);
	return &d->servers[d->server_count + i];
}
/* From here on the direct servers of the servers in the mask read the task, and no seat polls it.
 * The caller has set affinity.busy, here and in direct_leave. => false: they cannot be had, or the
 * task is dead; nothing has changed; no lock held */
bool direct_set(struct fault_server *server, struct task *task, uint64_t wanted);
/* All servers poll the task again, and its direct servers leave: at once, or after the read that
 * they are in. stats: the calling thread's. => no lock held */
void direct_leave(struct daemon *d, struct task *task, struct stat_shard stats);
/* The task has ended, or could not be attached. Runs on: the control loop, jobs. => no lock held
 */
void direct_remove(struct daemon *d, struct task *task);
/* Makes the server leave its read, and begin no other one for this client. => DIRECT held */
void direct_call_off_locked(struct fault_server *server);

#endif
