/* SPDX-License-Identifier: MIT
 *
 * The door: connections are accepted here, or refused with a reason. Runs on: the control loop.
 */
#ifndef ACCEPT_H
#define ACCEPT_H

#include <sys/socket.h>
#include <uv.h>

#include "control/loop_thread.h"
#include "daemon.h"

/* Descriptors kept for the moment in which there are no others: for sessions of root's or of the
 * daemon's user, who may want to see what has taken them all, and for refusing everybody else. */
#define ACCEPT_SPARES 8

struct acceptor {
	struct daemon *daemon;
	uv_poll_t poll;
	uv_timer_t retry; /* runs while nothing is polled for */
	int listen_fd;
	int spares[ACCEPT_SPARES]; /* -1: has to be taken again */
	/* The descriptor is the callee's. */
	void (*accepted)(void *context, int fd);
	void *context;
};

/* The handles belong to the loop and are closed with it. => listen_fd stays the caller's */
void acceptor_start(struct acceptor *a, struct daemon *d, uv_loop_t *loop, int listen_fd,
    void (*accepted)(void *context, int fd), void *context);
/* Nobody is accepted any more. */
void acceptor_stop(struct acceptor *a);
/* => its handles are closed */
void acceptor_fini(struct acceptor *a);
/* Answers with -errno what the other end asks first, and hangs up. The socket goes to the closers
 * with all that has been sent to it. */
void connection_refuse(struct daemon *d, int fd, const struct ucred *peer, int error);

#endif
