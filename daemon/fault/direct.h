/* SPDX-License-Identifier: MIT
 *
 * Direct servers: fault servers whose poll is a blocking read of one client's userfaultfd.
 * epoll_wait and a second system call for the message are a tenth of what a fault takes
 * (doc/performance.md), so a client that faults often, and seldom needs the disk, is read by direct
 * servers, on the CPUs where its threads fault; everybody else by the servers' epoll.
 *
 * There is one for each server, its home, on the same CPU. It answers what can be answered at once
 * and hands its home what needs a read from disk. A userfaultfd is one open file for all who read
 * it, and only with O_NONBLOCK can it be polled: so a client has either direct servers or servers
 * that poll it. While it changes from one to the other both may read, and a message is answered by
 * whoever gets it; nobody who waits is forgotten, since a fault wakes all.
 */
#ifndef DIRECT_H
#define DIRECT_H

#include "fault/seat.h"

/* Starts them. => 0 or -errno */
int direct_start(struct daemon *d);
void direct_stop(struct daemon *d);
void direct_fini(struct daemon *d);
/* What the direct server of its seat hands over is answered. Runs on: the server. */
void direct_serve_handed(struct fault_server *server);
/* To the server's home, which gets its own reference to the task. => false: no place, nothing is
 * kept. */
bool direct_hand_over(struct fault_server *server, const struct fault *f);

/* Whoever is quiet goes back to the poll; direct servers that should have left are called again.
 * Runs on: the control loop's timer. */
void direct_refresh(struct daemon *d);

#endif
