/* SPDX-License-Identifier: MIT
 *
 * Connections: the socket and the process of each session, watched by the control loop. A session
 * ends with the first of the two that goes. Without the socket there is nobody to answer. Without
 * the process somebody else may still hold the other end of the socket: even the daemon itself, in
 * the queue of another socket. Runs on: the control loop.
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <uv.h>

#include "control/session.h"

/* All connections. */
struct connections {
	struct daemon *daemon;
	uv_loop_t *loop;
	struct connection *first;
	unsigned count; /* connections, and teardowns under way */
	void (*empty)(struct daemon
		*d); /* called when the last one has gone; NULL until no more are accepted */
	_Alignas(8) unsigned char packet[PAGER_MSG_BYTES_MAX];
	_Alignas(8) unsigned char reply[PAGER_MSG_BYTES_MAX];
};

/* Takes over a socket that has been accepted. */
void connection_open(struct connections *all, int fd);
/* A client of the worker before this one is served. Takes over socket and the reference on the
 * task.
 * => 0 or -errno: its session ends, or cannot begin */
int connection_take_over(struct connections *all, struct task *task, int socket);
/* Ends sessions whose clients have delayed threads of the daemon for too long (watch/watcher.h).
 * */
void connections_end_wanted(struct connections *all);
/* Ends sessions that have not said HELLO in time, since a user can have only so many connections.
 * */
void connections_end_silent(struct connections *all);
/* Ends barriers of forks that take too long, and sessions of forked children whose address spaces
 * have gone. */
void connections_look_at_forks(struct connections *all);
/* Whether one of them is to be looked at by time: HELLO, a fork or an answer is awaited, or it
 * lives without its socket. */
bool connections_are_timed(struct connections *all);
/* All sessions end; `empty` is called when they have been taken apart. => nothing is accepted any
 * more */
void connections_end(struct connections *all, void (*empty)(struct daemon *d));

#endif
