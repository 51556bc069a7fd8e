/* SPDX-License-Identifier: MIT
 *
 * Bodies of the messages about ports: PORT_OPEN, PORT_CLOSE, PORT_SEND, PORT_RECEIVE, PORTS. A part
 * of pager/proto.h.
 */
#ifndef PAGER_PROTO_PORT_H
#define PAGER_PROTO_PORT_H

#include <stdint.h>

#include "pager/pager.h"

enum pager_port_op { PAGER_PORT_CREATE = 1, PAGER_PORT_OPEN_SEND = 2 };
/* Answered with one end of a socket pair, the port's bell: the daemon sends a byte when the next
 * PORT_SEND or PORT_RECEIVE need not be answered with -EAGAIN. The client takes what is in it
 * before it asks. Errors: -EINVAL; -EEXIST (CREATE); -ENOENT, -EACCES (for sending); -EMFILE;
 * -ENOMEM
 */
struct pager_req_port_open {
	uint32_t op;          /* enum pager_port_op */
	uint32_t senders;     /* CREATE: enum pager_port_senders; else 0 */
	uint32_t queue_limit; /* CREATE: 0: as the daemon likes; else 0 */
	uint32_t reserved;
	char name[PAGER_PORT_NAME]; /* NUL-terminated */
};
struct pager_rep_port_open { /* carries the client's end of the bell */
	uint64_t port;       /* a number of this session's */
	uint32_t uid, gid, pid;
	uint32_t queue_limit;
};

struct pager_req_port_close {
	uint64_t port;
};
struct pager_rep_port_close {
	uint64_t messages; /* that were in the queue of a port that has ended */
};

/* With PAGER_SEND_DEALLOCATE, STAGED and RETURN the client has put the range out of its own reach;
 * when it is answered the range is not the client's any more. STAGED: the range is all of a
 * shareable allocation with a copy of what is sent, made by the client. RETURN: the message that
 * has been taken, and could not be mapped, goes back to the front of the queue (of a port that the
 * session has made), with what it was told of it. Errors: -EBADF (no such port); -EPERM (a port for
 * receiving; RETURN: for sending); -EPIPE (it has ended); -EAGAIN (the queue is full); -EOPNOTSUPP
 * (the client copies by content, and sends the copy STAGED); -EXDEV (likewise, but the copy is made
 * by COPY); -EINVAL; -EBUSY (pinned,
 * or in a page list); -EDQUOT (the user's share of bytes in queues); -ENOMEM. */
#define PAGER_WIRE_SEND_STAGED 0x100u
#define PAGER_WIRE_SEND_RETURN 0x200u
#define PAGER_WIRE_SEND_INTENT                                                                     \
	((uint32_t)(PAGER_SEND_VIRTUAL | PAGER_SEND_PHYSICAL | PAGER_SEND_DEALLOCATE))
#define PAGER_WIRE_SEND_FLAGS                                                                      \
	(PAGER_WIRE_SEND_INTENT | PAGER_WIRE_SEND_STAGED | PAGER_WIRE_SEND_RETURN)
struct pager_req_port_send {
	uint64_t port;
	uint64_t address; /* a multiple of the page size */
	uint64_t bytes;   /* rounded up to pages: the range */
	uint64_t id;
	uint32_t flags; /* PAGER_WIRE_SEND_FLAGS */
	uint32_t done;  /* here and below: RETURN, as it was told; else 0 */
	uint32_t pid, uid;
};
struct pager_rep_port_send {
	uint32_t done; /* enum pager_transfer */
	uint32_t reserved;
	uint64_t pages; /* of the sender's that are gone */
};

enum pager_receive_op {
	PAGER_RECEIVE_LOOK = 1, /* tells of the oldest message; -EAGAIN: there is none */
	PAGER_RECEIVE_TAKE = 2, /* maps it, as MAP_ENTRY does; -ENOENT: it is not there any more */
	PAGER_RECEIVE_DROP = 3, /* discards it */
};
/* The message is told with the flag if its pages are another user's: the client maps them for
 * reading only, copies, and gives them back. */
#define PAGER_WIRE_RECEIVE_COPY 0x10000u
struct pager_req_port_receive {
	uint64_t port;
	uint64_t message;       /* TAKE, DROP: as LOOK has told it; else 0 */
	uint64_t address, size; /* TAKE: all pages of the message; else 0 */
	uint64_t size_max;      /* LOOK: a message with more bytes is told with the number 0 */
	uint32_t op;            /* enum pager_receive_op */
	uint32_t reserved;
};
struct pager_rep_port_receive { /* of TAKE: carries the memfd */
	uint64_t message;       /* ascending in the port */
	uint64_t bytes;         /* here and below: LOOK */
	uint64_t id;
	uint32_t flags; /* the sender's intent, and PAGER_WIRE_RECEIVE_COPY */
	uint32_t done;  /* enum pager_transfer */
	uint32_t pid, uid;
	uint64_t object_id, object_offset; /* TAKE */
};

struct pager_wire_port {
	uint64_t id;
	char name[PAGER_PORT_NAME]; /* NUL-terminated */
	uint32_t uid, gid, pid;     /* of its maker */
	uint32_t senders;           /* enum pager_port_senders */
	uint32_t queue_limit, messages;
	uint64_t bytes;          /* in the queue */
	uint32_t open;           /* sessions that have opened it for sending, each time counted */
	uint32_t waiting;        /* of those: found the queue full, and have not asked since */
	uint32_t receiver_waits; /* 1: the maker found the queue empty, and has not asked since */
	uint32_t reserved;
};
#define PAGER_PORTS_PER_REPLY 64
struct pager_req_ports {
	uint64_t cursor; /* 0 at first, then the reply's */
};
struct pager_rep_ports {
	uint64_t next_cursor; /* 0: that was all */
	uint32_t count, reserved;
	struct pager_wire_port ports[PAGER_PORTS_PER_REPLY]; /* only `count` of them are sent */
};

_Static_assert(sizeof(struct pager_req_port_open) == 80, "wire layout");
_Static_assert(sizeof(struct pager_req_port_send) == 48, "wire layout");
_Static_assert(sizeof(struct pager_req_port_receive) == 48, "wire layout");
_Static_assert(sizeof(struct pager_rep_port_receive) == 56, "wire layout");
_Static_assert(sizeof(struct pager_wire_port) == 120, "wire layout");

#endif
