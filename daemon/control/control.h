/* SPDX-License-Identifier: MIT
 *
 * The control plane: one libuv loop that accepts connections, reads requests and sends replies. It never touches a page and
 * never waits: what does goes to the jobs thread (jobs.h).
 */
#ifndef CONTROL_H
#define CONTROL_H

#include "daemon.h"
#include "session.h"

/* One request while it is being handled. */
struct request {
	struct daemon *daemon;
	struct session *session;
	struct stat_shard stats;
	const void *body; /* struct pager_req_<name> */
	void *reply;      /* struct pager_rep_<name>, zeroed; PAGER_MSG_BYTES_MAX bytes of room */
	size_t reply_bytes; /* preset to sizeof(struct pager_rep_<name>) */
	int fds[PAGER_MSG_FDS_MAX]; /* received; a handler that keeps one sets it to -1 */
	int reply_fd;     /* sent along when >= 0; not closed */
	/* Of a job that is carried out in pieces, others' between them: */
	uint64_t progress; /* 0 at first; kept for the handler from piece to piece, as the reply is */
	bool again;        /* set by the handler: there is more */
};

/* One handler per row of tbl/msg.h: a missing one does not link. => 0 or -errno, which goes into the reply. */
#define MSG(number, NAME, name, fds, access, text) int handle_##name(struct request *r);
#include "tbl/msg.h"

/* control/dispatch.c */
enum dispatch { DISPATCH_REPLY, DISPATCH_JOB, DISPATCH_END };
/* Takes a received packet. DISPATCH_REPLY: *reply_bytes of `reply` (and reply_fd) are to be sent. DISPATCH_JOB: the
 * answer comes later. DISPATCH_END: the session ends. Closes what it does not keep of fds. */
enum dispatch dispatch_packet(struct session *s, const void *packet, size_t bytes, int *fds, unsigned fd_count,
    void *reply, size_t *reply_bytes, int *reply_fd);

/* control/loop.c */
int control_create(struct daemon *d, char *message, size_t message_size);
/* Serves until a signal says stop. */
void control_run(struct daemon *d);
void control_destroy(struct daemon *d);
void control_job_finished(void *context);

/* control/listen.c */
struct listening {
	int fd;
	dev_t device; /* of the name in the file system: it may be another daemon's by the end */
	ino_t inode;
};
/* => 0, or -errno with a message for people */
int listen_open(const struct options *options, struct listening *ret, char *message, size_t message_size);
/* Closes the socket and removes its name, if it is still ours. */
void listen_close(const struct options *options, const struct listening *listening);

/* control/check.c: walks every invariant. => failures; text gets a line each */
unsigned check_all(struct daemon *d, char *text, size_t text_size, unsigned *ret_checks);
/* control/teardown.c: takes everything of a dead session apart. Runs on: jobs */
void session_teardown(struct session *s);
/* What a region's pages are. Runs on: jobs */
void region_describe(struct daemon *d, const struct vm_entry *e, struct pager_wire_region *ret);

#endif
