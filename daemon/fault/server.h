/* SPDX-License-Identifier: MIT
 *
 * Fault servers. There is one for each CPU, pinned to it. It polls clients' userfaultfds
 * (fault/affinity.h says whose), the completions of its own reads, and its bell. It sleeps on
 * nothing but its poll, takes no lock that is held across I/O, and never reclaims: a fault that
 * finds no frame is parked, and a fault on a busy page is forgotten, because the thread that holds
 * the page wakes the range.
 */
#ifndef SERVER_H
#define SERVER_H

#include "fault/seat.h"

/* Makes seats and servers, direct ones included, and starts their threads. => 0 or -errno */
int fault_servers_start(struct daemon *d);
/* Ends the threads, and waits until they have ended. */
void fault_servers_stop(struct daemon *d);
void fault_servers_fini(struct daemon *d);
/* Every server of the lane polls the client's userfaultfd from now on. => 0 or -errno */
int fault_servers_add(struct daemon *d, struct task *task, unsigned lane);
/* No server reads the client's userfaultfd from now on; a thread that has read a message still
 * answers it. => no lock held */
void fault_servers_remove(struct daemon *d, struct task *task);

#endif
