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

/* Descriptors kept for the moment in which there are no others. Root and the daemon's own user get
 * sessions with them, to look at what has taken all the rest; everybody else is refused with them.
 * */
#define ACCEPT_SPARES 8

struct acceptor {
	struct daemon *daemon;
	uv_poll_t poll;
	uv_timer_t retry; /* runs while the listener is left alone */
	int listen_fd;
	int spares[ACCEPT_SPARES]; /* -1: to be taken again */
	/* The descriptor is the callee's. */
	void (*accepted)(void *context, int fd);
	void *context;
};

/* The handles belong to the loop and are closed with it. => listen_fd stays the caller's */
void acceptor_start(struct acceptor *a, struct daemon *d, uv_loop_t *loop, int listen_fd,
    void (*accepted)(void *context, int fd), void *context);
/* From now on nobody is accepted. */
void acceptor_stop(struct acceptor *a);
/* => its handles are closed */
void acceptor_fini(struct acceptor *a);
/* Answers the first request of the other end with -errno, and hangs up. The socket goes to the
 * closers with all that has been sent to it. */
void connection_refuse(struct daemon *d, int fd, const struct ucred *peer, int error);

#endif
