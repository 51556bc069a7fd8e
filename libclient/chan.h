/* SPDX-License-Identifier: MIT
 *
 * The control socket as libpager and the tools see it: connect, hello, and one request with its
 * reply at a time. Linked into both; nothing of it is exported.
 */
#ifndef PAGER_CHAN_H
#define PAGER_CHAN_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pager/proto.h"

#define PAGER_CHAN_PAGE_SIZE_MAX (2u << 20)

/* The file behind a descriptor's number. A program may close descriptors that it did not open (with
 * closefrom(3) when it becomes a daemon, for instance), and later the number may name another file.
 */
struct fd_note {
	uint64_t inode;
	uint32_t device_major, device_minor;
};
/* => 0 or -errno of statx(2). */
int fd_note(int fd, struct fd_note *ret);
/* Whether the number still names the noted file. */
bool fd_is_noted(int fd, const struct fd_note *note);

/* Locks: `lock` is held from sending a request until its reply has come. Its holder waits for
 * nothing but the daemon. */
struct chan {
	int fd;              /* constant until chan_close */
	struct fd_note note; /* of fd; constant */
	pthread_mutex_t lock;
	uint64_t sequence; /* (lock) */
	uint64_t posted;   /* (lock) the number of a request whose answer is not waited for and has
			      not been read; 0: there is none */
	uint16_t posted_type; /* (lock) its type */
	atomic_bool broken;   /* no request is sent any more; never becomes false again */
};

/* One request and what is expected of its reply. Descriptors in `fds_out` stay the caller's. */
struct chan_call {
	const void *request;
	void *reply;
	const int *fds_out;
	int *ret_fd;  /* NULL: the reply must have no descriptor; else it must have exactly one */
	bool fd_lost; /* set with -EMFILE: the request was carried out, but its descriptor was lost
		       */
	size_t request_bytes;
	size_t reply_bytes_min, reply_bytes_max;
	size_t reply_bytes; /* set on success: bytes received */
	unsigned fds_out_count;
	uint16_t type;
};

/* The request and reply structures of message NAME/name, for an initializer of struct chan_call. */
#define CHAN_CALL(NAME, req, rep)                                                                  \
	.type = PAGER_MSG_##NAME, .request = (req), .request_bytes = sizeof(*(req)),               \
	.reply = (rep), .reply_bytes_min = sizeof(*(rep)), .reply_bytes_max = sizeof(*(rep))

/* Where the socket is looked for by default: see pager_connect. => 0; -EINVAL: the path is too
 * long. */
int chan_default_path(char *buf, size_t buf_size);

/* Moves a descriptor that a system call has just made above 2. If the program's standard streams
 * are closed it may have the number of one, and the program would print into it. fd: the call's
 * result. => a descriptor above 2, or -errno (of the call, if that failed). */
int chan_fd_above_standard(int fd);

/* A thread that has it already is told -EDEADLK: a signal handler that forks asks (fork.c). */
void mutex_init(pthread_mutex_t *lock);
void chan_init(struct chan *c);
/* Connects. path NULL: the default. => 0, or -errno of socket(2) and connect(2). */
int chan_open(struct chan *c, const char *path);
/* Closes the descriptor. While another copy is open (in a forked child) the daemon sees no hang-up;
 * chan_break makes one. => no thread is inside chan_exchange, unless it was lost in fork. */
void chan_close(struct chan *c);
/* From now on requests end with -ENOTCONN; both ends see a hang-up. */
void chan_break(struct chan *c);

/* => 0; the daemon's -errno; -ENOTCONN when the connection is gone; -EPROTO when the answer made no
 * sense (the connection is broken then); -EBADF when the program has closed the descriptor;
 * -ENOMEM, -EMFILE when the request could not be sent; -EMFILE with call->fd_lost when the reply
 * came without its descriptor, because this process has no number free. */
int chan_exchange(struct chan *c, struct chan_call *call);

/* The same => lock held */
int chan_exchange_locked(struct chan *c, struct chan_call *call);
/* The two halves of an exchange: sends the request, and receives the answer to request number
 * `sequence` as chan_exchange does. => lock held */
int chan_send_locked(struct chan *c, const struct chan_call *call, uint64_t *ret_sequence);
int chan_receive_locked(struct chan *c, struct chan_call *call, uint64_t sequence);
/* As chan_receive_locked, what lies in the socket. => also -EAGAIN: there is nothing */
int chan_take_locked(struct chan *c, struct chan_call *call, uint64_t sequence);
/* Sends a request of whose answer only the header counts for nothing: the next request reads it. =>
 * lock held; 0 or -errno of sendmsg(2) */
int chan_post_locked(struct chan *c, const struct chan_call *call);
/* Sends a request. Unlike chan_send_locked this says when nobody is there to read it. => lock held;
 * 0 or -errno of sendmsg(2) */
int chan_say_locked(struct chan *c, const struct chan_call *call, uint64_t *ret_sequence);

/* The first exchange. name NULL: the program's. ret_dev_fd NULL for tools. */
int chan_hello(struct chan *c, enum pager_role role, const char *name, struct pager_rep_hello *ret,
    int *ret_dev_fd);

#endif
