/* SPDX-License-Identifier: MIT
 *
 * What the threads of polling servers and of direct servers have in common.
 */
#ifndef FAULT_THREAD_H
#define FAULT_THREAD_H

#include "fault/seat.h"
#include "pmap/uffd.h"

/* Makes the server at that index of daemon.servers, without its thread. => 0 or -errno */
int fault_server_create(struct daemon *d, struct fault_server *server, unsigned index,
    bool (*defer)(struct fault_server *server, const struct fault *fault));
/* Starts its thread. => 0 or -errno */
int fault_server_start(struct fault_server *server, void *(*run)(void *));
/* Settles the calling thread, which is the server's: its CPU, name and priority. Called first in
 * the thread, and when it takes another seat. */
void fault_server_begin(struct fault_server *server, const char *name);
/* Answers `count` messages of one client, which arrived together. => no lock held */
void fault_server_answer(struct fault_server *server, struct task *task,
    const struct uffd_fault *faults, unsigned count);

#endif
