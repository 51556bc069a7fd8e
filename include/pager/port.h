/* SPDX-License-Identifier: MIT
 *
 * Ports: memory is sent from one process to another, as out-of-line data of a Mach message. A part
 * of pager/pager.h, which includes it; what is said there of all functions holds here.
 *
 * A port is a queue of messages with a name that all clients of one daemon see. Its maker receives;
 * whoever may send opens it by its name. A message is a range of memory and a number. While it is
 * in the queue its content belongs to nobody's address space, can be paged out like any other, and
 * is billed to the sender; it stays there though the sender ends. The port ends with its maker, and
 * what is in its queue then is discarded.
 */
#ifndef PAGER_PORT_H
#define PAGER_PORT_H

#include <stddef.h>
#include <stdint.h>

#include "pager/pager.h"

#ifdef __cplusplus
extern "C" {
#endif

struct pager;
struct pager_port;

/* Bytes of a name, NUL included. Names are made of letters, digits and the characters . _ - / : */
#define PAGER_PORT_NAME 64

/* Who may send, besides root and the daemon's own user: by the credentials with which the sender
 * has connected. */
enum pager_port_senders {
	PAGER_PORT_SENDERS_USER = 0,  /* clients of the maker's user */
	PAGER_PORT_SENDERS_GROUP = 1, /* and of the maker's group, also as a supplementary one */
	PAGER_PORT_SENDERS_ALL = 2,
};

/* Makes a port, from which the caller receives. queue_limit: most messages in its queue; 0: 5. The
 * daemon's parameter max_port_messages bounds it. Errors: -EINVAL (a name that is empty, too long
 * or has other characters; a limit above the parameter), -EEXIST (there is a port of that name),
 * -ENOMEM (no memory, or this user's share of ports or descriptors is used up), -EMFILE, -EBADF,
 * -ENOTCONN. */
PAGER_API int pager_port_create(struct pager *p, const char *name, enum pager_port_senders senders,
    unsigned queue_limit, struct pager_port **ret);
/* Opens a port for sending. Names belong to whoever comes first: pager_port_info says whose port
 * it is. Errors: -ENOENT (there is no port of that name), -EACCES (its maker does not let this
 * user send), and as above. */
PAGER_API int pager_port_open(struct pager *p, const char *name, struct pager_port **ret);
/* Frees it; no other thread may use it. The maker's port ends: messages in its queue are discarded,
 * and senders get -EPIPE. NULL: 0. -ENOTCONN, -EBADF: the connection is gone, and the port is freed
 * all the same. pager_disconnect frees the ports of its connection. A forked child has none of
 * its parent's ports: every call for one is -ENOTCONN there, and this one frees it. */
PAGER_API int pager_port_close(struct pager_port *port);

struct pager_port_info {
	char name[PAGER_PORT_NAME];
	uint32_t uid, gid, pid; /* of its maker, when that connected */
	uint32_t queue_limit;   /* messages */
	/* Readable (POLLIN) while a message can be received, or, of a port opened for sending,
	 * while the queue has room. It is for poll(2) and its like only, and stays the port's. It
	 * may be readable once too often, so calls after it take a time-out of 0. POLLHUP: the
	 * port or the daemon has ended. */
	int fd;
	int receives; /* 1: the caller has made it */
};
PAGER_API int pager_port_info(struct pager_port *port, struct pager_port_info *ret);

enum pager_send_flags {
	/* How the receiver gets the content; one of the two. VIRTUAL: nothing is copied before
	 * somebody writes, where that is possible. PHYSICAL: it is copied at once. */
	PAGER_SEND_VIRTUAL = 1,
	PAGER_SEND_PHYSICAL = 2,
	/* The range is given back, as by pager_deallocate; the caller must not use it any more.
	 * Where sender and receiver are of one user, and the range is all of an allocation that was
	 * made with PAGER_ALLOC_SHAREABLE, has no name, is mapped once and not wired, the memory
	 * itself moves to the receiver, whatever the other flag says. */
	PAGER_SEND_DEALLOCATE = 4,
};
/* What was done with the content. */
enum pager_transfer {
	PAGER_TRANSFER_PHYSICAL = 1, /* it was copied */
	PAGER_TRANSFER_VIRTUAL = 2,  /* it is copied when somebody writes */
	PAGER_TRANSFER_MOVED = 3,    /* the memory itself went to the receiver */
};
/* Sends `size` bytes at addr, which may be any memory of the program that can be read, with the
 * number `id`; they need not be whole pages. At most the daemon's parameter port_copy_bytes are
 * always copied, and so is what cannot be shared: memory that the daemon does not serve, wired
 * memory, files, devices. timeout_ms: how long the call waits while the queue is full; 0: not at
 * all; negative: without end. *ret_done (ret may be NULL): what was done. On an error the memory is
 * the caller's as before, and nothing has been sent.
 * Errors: -EINVAL (size 0; flags that there are not; PAGER_SEND_DEALLOCATE of what is not
 * page-aligned or not allocated), -EBUSY (PAGER_SEND_DEALLOCATE of memory that is pinned or in a
 * page list), -EAGAIN (the queue is full, and timeout_ms is 0), -ETIMEDOUT (the queue was full all
 * the time), -EINTR (a signal came while the call waited), -EPIPE (the port has ended), -EPERM
 * (the port was made here, for receiving), -EDQUOT (this user has as much in queues as one user
 * may: parameter max_queued_bytes; receivers have to receive first), -EFAULT (some of it cannot be
 * read), -ENOMEM (no memory for a copy, or a share is used up), -EBADF, -ENOTCONN. */
PAGER_API int pager_send(struct pager_port *port, void *addr, size_t size, unsigned flags,
    uint64_t id, int timeout_ms, enum pager_transfer *ret_done);

struct pager_message {
	void *addr;        /* new memory of the caller's, of whole pages, for pager_deallocate */
	size_t size;       /* that the sender has sent; in the rest of the last page is zeroes, or
			      what the sender had there if the memory was not copied */
	uint64_t id;       /* the sender's number */
	uint32_t flags;    /* the sender's intent: enum pager_send_flags */
	uint32_t done;     /* enum pager_transfer */
	uint32_t pid, uid; /* the sender's, when it connected */
};
/* Receives the oldest message. size_max: most bytes that the caller takes; 0: any. timeout_ms: as
 * of pager_send, while the queue is empty. Errors: -EMSGSIZE (the message is larger than size_max:
 * it stays where it is, and ret->size alone is set), -EAGAIN, -ETIMEDOUT, -EINTR, -EPERM (the port
 * was opened for sending), -ENOMEM and -EMFILE (the message is in the queue still), -EIO (its
 * content cannot be read any more: it is lost), -EBADF, -ENOTCONN. */
PAGER_API int pager_receive(
    struct pager_port *port, size_t size_max, int timeout_ms, struct pager_message *ret);
/* Discards the oldest message unread. -EAGAIN: there is none */
PAGER_API int pager_message_discard(struct pager_port *port);

#ifdef __cplusplus
}
#endif
#endif
