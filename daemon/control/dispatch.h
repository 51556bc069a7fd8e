/* SPDX-License-Identifier: MIT
 *
 * From a packet to its handler, and to the answer.
 */
#ifndef DISPATCH_H
#define DISPATCH_H

#include "control/jobs.h"
#include "control/session.h"
#include "pager/proto.h"

/* A request that is a job. */
/* The descriptor of an answer. */
struct reply_fd {
	int fd;        /* -1: none */
	bool is_given; /* it was made for the peer */
};

struct flush;
struct forked;

struct request_job {
	struct job job;
	struct session *session; /* stays until the job is done */
	uint16_t type;
	uint64_t sequence;
	bool resumed;
	struct flush *state; /* what the handler keeps while it waits for others */
	uint64_t progress;
	struct vm_object *object; /* of struct request, like the next */
	struct forked *forked;
	int fd; /* received, or -1; owned until the handler takes it */
	size_t reply_bytes;
	struct reply_fd reply_fd;
	_Alignas(8) unsigned char request[4096];
	_Alignas(8) unsigned char reply[PAGER_MSG_BYTES_MAX];
};

enum dispatch { DISPATCH_REPLY, DISPATCH_JOB, DISPATCH_END };
/* Takes a received packet, which is well-formed, and its descriptor. DISPATCH_REPLY: *reply_bytes
 * of `reply` (and *reply_fd, which dispatch_fd_sent takes afterwards) are to be sent. DISPATCH_JOB:
 * the answer comes later, with a struct request_job for which `done` is called. DISPATCH_END: the
 * session ends. Runs on: the control loop, like all here */
enum dispatch dispatch_packet(struct session *session, const void *packet, int fd,
    void (*done)(struct job *job), void *reply, size_t *reply_bytes, struct reply_fd *reply_fd);
/* The descriptor has been sent, or could not be: one that was made for the peer is closed. */
void dispatch_fd_sent(struct session *session, struct reply_fd *reply_fd);
/* A reply without a body. */
void dispatch_error(
    const struct pager_msg_header *request, int error, void *reply, size_t *reply_bytes);
/* The session ends because of what the peer sent. */
void protocol_error(struct session *session, const char *what);

#endif
