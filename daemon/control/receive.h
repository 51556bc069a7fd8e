/* SPDX-License-Identifier: MIT
 *
 * The next packet of a session, if it is well-formed.
 */
#ifndef RECEIVE_H
#define RECEIVE_H

#include "control/session.h"

enum received {
	RECEIVED_PACKET,  /* it is there; *ret_fd: its descriptor, or -1 */
	RECEIVED_NOTHING, /* none has come */
	RECEIVED_REFUSED, /* the header is there, and *ret_error is for the peer; the session ends
			     after that */
	RECEIVED_END,     /* the session ends */
};
/* Into `packet`, which has room for PAGER_MSG_BYTES_MAX. Runs on: the control loop */
enum received receive_packet(struct session *session, void *packet, int *ret_fd, int *ret_error);
/* The first packet of a forked child, of which the kernel tells who has sent it: FORK_CHILD, or the
 * session ends. With RECEIVED_PACKET the session is born. Runs on: the control loop */
enum received receive_child(struct session *session, void *packet);

#endif
