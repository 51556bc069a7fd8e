/* SPDX-License-Identifier: MIT
 *
 * One request while it is being handled, and the handlers.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include "control/session.h"
#include "daemon.h"

struct job;
struct flush;
struct forked;

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
	/* A job may be carried out in pieces, with others' jobs between them. */
	bool resumed; /* this is not the first piece */
	uint64_t
	    progress; /* 0 at first; kept for the handler from piece to piece, like the reply */
	bool again;   /* set by the handler: there is more to do */
	struct vm_object *object; /* kept for the handler from piece to piece, with a reference that
				     the last piece puts. While there is one the rest is carried out
				     though the session has ended, because it is owed to others */
	/* The handler is called again when its job has been woken (jobs_wake), and not before; the
	 * call does not count as a piece. Set by the handler, with a state that says what it waits
	 * for. */
	bool parks;
	struct job *job; /* to be woken */
	struct flush *state;
	struct forked *forked; /* set by the handler: a child's session begins */
};

/* Whether a worker before this one has begun with the request. */
static inline bool
request_is_asked_again(const struct request *r)
{
	return unlikely(r->daemon->keeper != NULL) && r->session->is_asked_again;
}
/* Frees the state of a request that will not be called again. */
void request_state_free(struct flush *flush);
/* One handler per row of tbl/msg.h: a missing one does not link. => 0 or -errno, which goes into
 * the reply. */
#define MSG(number, NAME, name, fds, access, runs, text) int handle_##name(struct request *r);
#include "tbl/msg.h"

#endif
