/* SPDX-License-Identifier: MIT
 *
 * Shared by the tests of ill-behaved clients: the daemon with an honest client, sockets whose
 * close(2) lingers, and processes that act while the daemon is stopped.
 */
#ifndef FAULT_FOREIGN_H
#define FAULT_FOREIGN_H

#include <stdatomic.h>

#include "harness.h"
#include "honest.h"
#include "raw.h"

extern struct honest *foreign_honest;

/* A daemon that serves everybody, and an honest client. */
void foreign_begin(struct live *d);
/* The daemon serves as before: jobs and the loop answer a request each, faults are answered by
 * touches. */
void foreign_served(struct live *d);
/* SIGTERM, even if threads of the daemon are stuck. */
void foreign_end(struct live *d);

/* A TCP connection whose close(2) waits: its bytes are never received. */
int lingering_socket(void);
/* Sends a message with descriptors, and closes them here: the receiver has the last ones. */
void send_away(int fd, const void *bytes, size_t size, const int *fds, unsigned count);

/* One process of a test. */
struct actor {
	atomic_bool stop, stopped; /* the daemon is to be stopped; it is stopped */
	atomic_bool done;          /* the actor has done its part */
	atomic_bool go_on;         /* it may end */
	atomic_bool refused;       /* the daemon has refused its user, as expected */
	atomic_int number;
};

/* Starts the actor and waits until it has done its part. */
pid_t actor_start(struct live *d, uid_t uid, client_body *body, struct actor *a);
/* By the actor: descriptors that it sends between stop and continue are closed here first, so
 * that the daemon has the last ones. Once in a test, because stopping the daemon ends a close(2)
 * that lingers. */
void actor_stop_daemon(struct live *d, struct actor *a);
void actor_continue_daemon(struct actor *a);
/* By the actor: its part is done; returns when it may end. */
void actor_wait(struct live *d, struct actor *a);

#endif
