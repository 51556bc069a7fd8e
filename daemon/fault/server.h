/* SPDX-License-Identifier: MIT
 *
 * Fault servers. One per CPU, pinned, polls every client's userfaultfd, its own I/O channel and its
 * bell. A server sleeps on nothing but its poll, takes no lock that is held across I/O, and never
 * reclaims: a fault that finds no frame is parked, a fault on a busy page is forgotten (the holder
 * wakes the range).
 */
#ifndef SERVER_H
#define SERVER_H

#include "fault/seat.h"

int fault_servers_start(struct daemon *d);
void fault_servers_stop(struct daemon *d);
void fault_servers_fini(struct daemon *d);
/* Every server of the lane polls the client's userfaultfd from now on. => 0 or -errno */
int fault_servers_add(struct daemon *d, struct task *task, unsigned lane);
void fault_servers_remove(struct daemon *d, struct task *task);

#endif
