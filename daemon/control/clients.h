/* SPDX-License-Identifier: MIT
 *
 * The clients that a request is about, by process or session: the caller's own user's, or all for
 * CONTROL.
 */
#ifndef CLIENTS_H
#define CLIENTS_H

#include "control/request.h"

struct clients {
	struct request *r;
	struct task_name name;
	uint32_t cursor;
	int error; /* -ESRCH: none yet; -EPERM: only some that are another user's; 0 */
};

struct clients clients_named(struct request *r, uint32_t pid, uint64_t task);
/* The next one, with a reference; NULL: there is none. */
struct task *clients_next(struct clients *c);

/* The process that a request is about: of a client, or (for CONTROL) one that has no session now,
 * but limits or a band. */
struct process_named {
	struct task *task; /* one of its clients, with a reference; NULL: it has none now */
	struct process *process;
};
/* => 0, -ESRCH or -EPERM; the caller puts *ret. */
int process_named_get(struct request *r, uint32_t pid, uint64_t session, struct process_named *ret);
/* Likewise, to give it a limit or a band. => as above; -ENFILE: the worker that comes after this
 * one could not be told of it */
int process_limited_get(
    struct request *r, uint32_t pid, uint64_t session, struct process_named *ret);
void process_named_put(struct daemon *d, const struct process_named *named);

#endif
