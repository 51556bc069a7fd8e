/* SPDX-License-Identifier: MIT
 *
 * What the threads of servers and of direct servers have in common.
 */
#ifndef FAULT_THREAD_H
#define FAULT_THREAD_H

#include "fault/seat.h"
#include "pmap/uffd.h"

/* index: in daemon.servers. => 0 or -errno */
int fault_server_create(struct daemon *d, struct fault_server *server, unsigned index,
    bool (*defer)(struct fault_server *server, const struct fault *fault));
int fault_server_start(struct fault_server *server, void *(*run)(void *));
/* First in its thread, and when it takes another seat. */
void fault_server_begin(struct fault_server *server, const char *name);
/* Answers messages of one client that arrived together. */
void fault_server_answer(struct fault_server *server, struct task *task,
    const struct uffd_fault *faults, unsigned count);

#endif
