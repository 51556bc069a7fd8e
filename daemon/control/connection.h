/* SPDX-License-Identifier: MIT
 *
 * Connections: the socket and the process of each session, watched by the control loop. A session
 * ends with whichever of the two goes first: with the socket, because there is nobody to answer;
 * with the process, because somebody else may hold the other end of the socket, the daemon itself
 * included, in the queue of another one. Runs on: the control loop.
 */
#ifndef CONNECTION_H
#define CONNECTION_H

#include <uv.h>

#include "control/session.h"

/* Everybody that is connected. */
struct connections {
	struct daemon *daemon;
	uv_loop_t *loop;
	struct connection *first;
	unsigned count;                  /* connections, and teardowns under way */
	void (*empty)(struct daemon *d); /* the last one has gone, and nobody else is accepted; NULL
					    until that is asked for */
	_Alignas(8) unsigned char packet[PAGER_MSG_BYTES_MAX];
	_Alignas(8) unsigned char reply[PAGER_MSG_BYTES_MAX];
};

/* Takes over a socket that has been accepted. */
void connection_open(struct connections *all, int fd);
/* Sessions whose clients have held threads of ours for too long (watch/watcher.h) end. */
void connections_end_wanted(struct connections *all);
/* And those that have not said HELLO in time: connections are few and kept for those who use them.
 */
void connections_end_silent(struct connections *all);
/* All sessions end; `empty` is called when they have been taken apart. => nothing is accepted any
 * more */
void connections_end(struct connections *all, void (*empty)(struct daemon *d));

#endif
