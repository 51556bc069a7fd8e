/* SPDX-License-Identifier: MIT
 *
 * The control plane: one libuv loop that accepts connections, reads requests and sends replies. It
 * never touches a page and never waits: what does goes to the jobs threads (control/jobs.h), and
 * what came from clients is closed elsewhere (closer.h).
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "daemon.h"
#include "control/jobs.h"
#include "control/loop_thread.h"
#include "control/session.h"

/* One request while it is being handled. */
struct request {
	struct daemon *daemon;
	struct session *session;
	struct task *task; /* the session's; NULL: a tool asks */
	struct stat_shard stats;
	unsigned place;     /* the jobs thread's number; 0 on the control loop */
	const void *body;   /* struct pager_req_<name> */
	void *reply;        /* struct pager_rep_<name>, zeroed; PAGER_MSG_BYTES_MAX bytes of room */
	size_t reply_bytes; /* preset to sizeof(struct pager_rep_<name>) */
	int fd;             /* received, or -1; a handler that keeps it sets it to -1 */
	int reply_fd;       /* sent along when >= 0 */
	bool reply_fd_given; /* and closed then: it was made for the peer */
	/* Of a job that is carried out in pieces, others' between them: */
	bool resumed; /* this is not the first piece */
	uint64_t
	    progress; /* 0 at first; kept for the handler from piece to piece, as the reply is */
	bool again;   /* set by the handler: there is more */
};

/* A request that is a job. */
struct request_job {
	struct job job;
	struct session *session; /* stays until the job is done */
	uint16_t type;
	uint64_t sequence;
	bool resumed;
	uint64_t progress;
	int fd; /* received, or -1; owned until the handler takes it */
	size_t reply_bytes;
	int reply_fd;
	bool reply_fd_given;
	_Alignas(8) unsigned char request[4096];
	_Alignas(8) unsigned char reply[PAGER_MSG_BYTES_MAX];
};

/* One handler per row of tbl/msg.h: a missing one does not link. => 0 or -errno, which goes into
 * the reply. */
#define MSG(number, NAME, name, fds, access, runs, text) int handle_##name(struct request *r);
#include "tbl/msg.h"

/* control/receive.c: the next packet of a session, if that is well-formed. */
enum received { RECEIVED_PACKET, RECEIVED_NOTHING, RECEIVED_REFUSED, RECEIVED_END };
/* RECEIVED_PACKET: it is at `packet`, which has room for PAGER_MSG_BYTES_MAX; *ret_fd: its
 * descriptor, or -1. RECEIVED_REFUSED: the header is there, and *ret_error is for the peer; the
 * session ends after that. RECEIVED_END: it ends. */
enum received receive_packet(struct session *session, void *packet, int *ret_fd, int *ret_error);

/* control/dispatch.c */
enum dispatch { DISPATCH_REPLY, DISPATCH_JOB, DISPATCH_END };
/* Takes a received packet. DISPATCH_REPLY: *reply_bytes of `reply` (and reply_fd) are to be sent.
 * DISPATCH_JOB: the answer comes later, with a struct request_job for which `done` is called.
 * DISPATCH_END: the session ends. Takes over fd. */
enum dispatch dispatch_packet(struct session *session, const void *packet, int fd,
    void (*done)(struct job *job), void *reply, size_t *reply_bytes, int *reply_fd);
/* A reply without a body. */
void dispatch_error(
    const struct pager_msg_header *request, int error, void *reply, size_t *reply_bytes);
/* The session ends because of what the peer sent. */
void protocol_error(struct session *session, const char *what);

/* control/loop.c */
int control_create(struct daemon *d, char *message, size_t message_size);
/* Serves until a signal says stop. */
void control_run(struct daemon *d);
void control_destroy(struct daemon *d);
void control_job_finished(void *context);
/* The socket's name goes; who is connected stays so. Any thread. */
void control_name_remove(struct daemon *d);

/* control/listen.c */
struct listening {
	int fd;
	dev_t device; /* of the name in the file system: it may be another daemon's by the end */
	ino_t inode;
};
/* => 0, or -errno with a message for people */
int listen_open(
    const struct options *options, struct listening *ret, char *message, size_t message_size);
/* Removes its name, if that is still ours. => the socket is open: its inode's number is nobody
 * else's */
void listen_name_remove(const struct options *options, const struct listening *listening);

#endif
