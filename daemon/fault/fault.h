/* SPDX-License-Identifier: MIT
 *
 * Faults. One server per CPU, pinned, polls every client's userfaultfd, its own I/O channel and its
 * bell. A server sleeps on nothing but its poll, takes no lock that is held across I/O,
 * and never reclaims: a fault that finds no frame is parked, a fault on a busy page is forgotten
 * (the holder wakes the range).
 */
#ifndef FAULT_H
#define FAULT_H

#include "fault/seat.h"

/* fault/server.c */
int fault_servers_start(struct daemon *d);
void fault_servers_stop(struct daemon *d);
void fault_servers_fini(struct daemon *d);
/* Every server of the lane polls the client's userfaultfd from now on. => 0 or -errno */
int fault_servers_add(struct daemon *d, struct task *task, unsigned lane);
void fault_servers_remove(struct daemon *d, struct task *task);
/* One server begins or ceases to poll it. */
int fault_seat_watch(struct fault_seat *seat, struct task *task);
void fault_seat_unwatch(struct fault_seat *seat, struct task *task);
/* While several servers poll a client a fault wakes them all, and the one on the faulting thread's
 * CPU runs as soon as that thread blocks. The others shall not interrupt what their CPUs do for an
 * empty look: in a virtual machine that interrupt costs the faulting thread more than the rest of
 * its fault. A SCHED_BATCH thread preempts nobody when it wakes. With one server polling, who must
 * also answer a thread that has moved, it preempts. Any thread. */
void fault_server_give_way(struct fault_server *server, bool give_way);
/* What is common to servers and direct servers. index: in daemon.servers. => 0 or -errno */
int fault_server_create(struct daemon *d, struct fault_server *server, unsigned index,
    bool (*no_io)(struct fault_server *server, const struct fault *fault));
/* The fault lies in the server's seat until there is room for a read: struct fault_server, no_io.
 */
bool fault_server_defer(struct fault_server *server, const struct fault *fault);
int fault_server_start(struct fault_server *server, void *(*run)(void *));
/* First in its thread, and when it takes another seat. */
void fault_server_begin(struct fault_server *server, const char *name);
/* Answers messages of one client that arrived together. */
void fault_server_answer(struct fault_server *server, struct task *task,
    const struct uffd_fault *faults, unsigned count);
/* The server of seat i. */
static inline struct fault_server *
fault_seat_server(const struct daemon *d, unsigned i)
{
	return load_acquire(&d->seats[i].server);
}
/* fault/affinity.c: which servers poll a client. Called after faults have been answered; cheap but
 * for the one in 32 to 256 that is a sample. Runs on: fault servers, direct servers */
void affinity_note(
    struct fault_server *server, struct task *task, uint32_t thread, unsigned faults);

/* fault/fault.c */
/* *ret_wait: what it waits for (FAULT_WAITS). */
enum fault_outcome fault_handle(
    struct fault_server *server, const struct fault *fault, enum wait_for *ret_wait);

/* The fault is answered with SIGBUS, and kept, to be answered truly once there is room. What is
 * stored stays stored. => false: the page is resident, it needs no refusal. */
bool fault_refuse(struct fault_server *server, const struct fault *fault, enum refusal why);

#endif
