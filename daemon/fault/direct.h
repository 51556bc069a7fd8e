/* SPDX-License-Identifier: MIT
 *
 * Direct servers: fault servers whose poll is a blocking read of one client's userfaultfd.
 * epoll_wait and a second system call for the message are a tenth of what a fault takes
 * (doc/performance.md). So a client that faults often, and seldom needs the disk, is read by direct
 * servers, on the CPUs where its threads fault. All other clients are polled with epoll.
 *
 * Each server has one direct server on the same CPU, and is its home. The direct server answers
 * what can be answered at once, and hands its home what needs a read from disk. A userfaultfd is
 * one open file for all its readers, and only with O_NONBLOCK can it be polled: so a client has
 * either direct servers or servers that poll it. While it changes from one to the other both may
 * read, and the server that gets a message answers it. No faulting thread is forgotten, because a
 * fault wakes all readers.
 */
#ifndef DIRECT_H
#define DIRECT_H

#include "fault/seat.h"

/* Starts the direct servers. => 0 or -errno */
int direct_start(struct daemon *d);
/* Ends them, and waits until they have ended. */
void direct_stop(struct daemon *d);
void direct_fini(struct daemon *d);
/* Answers what the direct server of its seat has handed over. Runs on: the seat's server. */
void direct_serve_handed(struct fault_server *server);
/* Gives the fault to the server's home, with a reference to the task of its own. Runs on: a direct
 * server. => false: there is no place, nothing is kept */
bool direct_hand_over(struct fault_server *server, const struct fault *f);

/* Clients that have become quiet are polled again; direct servers that should have left are called
 * off once more. Runs on: the control loop's timer. */
void direct_refresh(struct daemon *d);
/* Whether a client has direct servers. No lock held */
bool direct_is_busy(struct daemon *d);

#endif
