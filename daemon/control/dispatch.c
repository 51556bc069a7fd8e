/* SPDX-License-Identifier: MIT
 *
 * From a packet to its handler: who may ask, and where the request runs. A message that is not
 * allowed ends the session and nothing else. Runs on: the control loop; job handlers on jobs
 * threads.
 */
#include "control/dispatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/closer.h"
#include "control/kept.h"
#include "control/release.h"
#include "control/request.h"

enum access { NONE, ANY, CLIENT, CONTROL };
enum runs { LOOP, JOB };

static const struct row {
	enum access access;
	enum runs runs;
	size_t reply_bytes;
	int (*handle)(struct request *r);
	const char *name;
} rows[] = {
#define MSG(number, NAME, name, fds, access, runs, text)                                           \
	[number] = { access, runs, sizeof(struct pager_rep_##name), handle_##name, #NAME },
#include "tbl/msg.h"
};

static int
access_check(struct session *session, enum access access)
{
	enum session_state state = load_relaxed(&session->state);

	loop_assert(session->daemon);
	switch (access) {
	case NONE:
		return state == SESSION_NEW ? 0 : -EPROTO;
	case ANY:
		return state == SESSION_NEW ? -EPROTO : 0;
	case CLIENT:
		return session->task && load_acquire(&session->task->state) == TASK_ATTACHED
			   ? 0
			   : -EPROTO;
	case CONTROL:
		if (state == SESSION_NEW)
			return -EPROTO;
		return session->is_control ? 0 : -EPERM;
	}
	return -EPROTO;
}

static void
fill_header(void *reply, uint16_t type, uint64_t sequence, int error, size_t body_bytes,
    size_t *reply_bytes)
{
	struct pager_msg_header *header = reply;

	CHECK(error <= 0);
	CHECK(sizeof(*header) + body_bytes <= PAGER_MSG_BYTES_MAX);
	*reply_bytes = sizeof(*header) + (error ? 0 : body_bytes);
	*header = (struct pager_msg_header){
		.length = (uint32_t)*reply_bytes, .type = type, .sequence = sequence, .error = error
	};
}

static void
job_run(struct job *job, const struct jobs_place *place)
{
	struct request_job *j = container_of(job, struct request_job, job);
	struct session *session = j->session;
	struct request r = {
		.daemon = session->daemon,
		.session = session,
		.task = session->task,
		.stats = place->stats,
		.place = place->number,
		.body = j->request,
		.reply = j->reply + sizeof(struct pager_msg_header),
		.reply_bytes = rows[j->type].reply_bytes,
		.fd = j->fd,
		.reply_fd = -1,
		.resumed = j->resumed,
		.progress = j->progress,
		.object = j->object,
		.job = job,
		.state = j->state,
	};
	int error;

	CHECK_OBJ(session, SESSION_MAGIC);
	CHECK(rows[j->type].runs == JOB);
	error = session_is_ended(session) && !r.object ? -ESHUTDOWN : rows[j->type].handle(&r);
	job->parks = r.parks && !error;
	/* From here on another thread may wake it, and a third one run it; but it is queued only
	 * when this one has returned. */
	j->fd = r.fd;
	j->resumed |= !job->parks;
	j->progress = r.progress;
	j->object = r.object;
	j->state = r.state;
	job->again = r.again && !error;
	CHECK(!r.object || job->again);
	if (job->parks || job->again)
		return;
	if (r.state)
		request_state_free(r.state);
	j->state = NULL;
	closer_close(session->daemon, j->fd, session->pid, session->uid);
	j->fd = -1;
	j->reply_fd = (struct reply_fd){ r.reply_fd, r.reply_fd_given };
	j->forked = r.forked;
	fill_header(j->reply, j->type, j->sequence, error, r.reply_bytes, &j->reply_bytes);
}

static enum dispatch
start_job(struct session *session, const struct pager_msg_header *header, int fd,
    void (*done)(struct job *job), void *reply, size_t *reply_bytes)
{
	struct request_job *j = calloc(1, sizeof(*j));

	CHECK(header->length - sizeof(*header) <= sizeof(j->request));
	/* Jobs of one client do not run at the same time. */
	CHECK(!session->job_running);
	if (!j) {
		closer_close(session->daemon, fd, session->pid, session->uid);
		dispatch_error(header, -ENOMEM, reply, reply_bytes);
		return DISPATCH_REPLY;
	}
	j->job.run = job_run;
	j->job.done = done;
	j->job.task = session->task;
	j->session = session;
	list_init(&j->job.node);
	j->type = header->type;
	j->sequence = header->sequence;
	j->fd = fd;
	j->reply_fd.fd = -1;
	memcpy(j->request, header + 1, header->length - sizeof(*header));
	jobs_submit(session->daemon, &j->job);
	return DISPATCH_JOB;
}

static enum dispatch
run_now(struct session *session, const struct pager_msg_header *header, int fd, void *reply,
    size_t *reply_bytes, struct reply_fd *reply_fd)
{
	struct request r = {
		.daemon = session->daemon,
		.session = session,
		.task = session->task,
		.stats = stats_shard(
		    &session->daemon->stats, shard_index_extra(session->daemon, SHARD_CONTROL)),
		.body = header + 1,
		.reply = (char *)reply + sizeof(*header),
		.reply_bytes = rows[header->type].reply_bytes,
		.fd = fd,
		.reply_fd = -1,
	};
	int error;

	loop_assert(session->daemon);
	memset(r.reply, 0, r.reply_bytes);
	error = rows[header->type].handle(&r);
	closer_close(session->daemon, r.fd, session->pid, session->uid);
	fill_header(reply, header->type, header->sequence, error, r.reply_bytes, reply_bytes);
	if (!error)
		*reply_fd = (struct reply_fd){ r.reply_fd, r.reply_fd_given };
	/* After a handshake that failed the peer still gets the reason. */
	return DISPATCH_REPLY;
}

void
dispatch_fd_sent(struct session *session, struct reply_fd *reply_fd)
{
	if (reply_fd->is_given)
		closer_close(session->daemon, reply_fd->fd, session->pid, session->uid);
	*reply_fd = (struct reply_fd){ .fd = -1 };
}

void
dispatch_error(const struct pager_msg_header *request, int error, void *reply, size_t *reply_bytes)
{
	fill_header(reply, request->type, request->sequence, error, 0, reply_bytes);
}

void
protocol_error(struct session *session, const char *what)
{
	loop_assert(session->daemon);
	log_notice_limited(
	    "process %d broke the protocol (%s): its session ends", (int)session->pid, what);
	stat_add(
	    stats_shard(&session->daemon->stats, shard_index_extra(session->daemon, SHARD_CONTROL)),
	    STAT_PROTOCOL_ERRORS, 1);
}

enum dispatch
dispatch_packet(struct session *session, const void *packet, int fd, void (*done)(struct job *job),
    void *reply, size_t *reply_bytes, struct reply_fd *reply_fd)
{
	const struct pager_msg_header *header = packet;
	int error;

	loop_assert(session->daemon);
	CHECK(header->type < ARRAY_LEN(rows) && rows[header->type].handle);
	_Static_assert(sizeof(((struct request_job *)0)->request) >= sizeof(struct pager_req_debug),
	    "a request fits a job");
	error = access_check(session, rows[header->type].access);
	if (!error && unlikely(session->daemon->keeper != NULL) && !kept_is_allowed(header->type)) {
		log_notice_limited(
		    "process %d asked for %s, which --keeper does not keep yet: it is refused",
		    (int)session->pid, rows[header->type].name);
		closer_close(session->daemon, fd, session->pid, session->uid);
		dispatch_error(header, -EOPNOTSUPP, reply, reply_bytes);
		return DISPATCH_REPLY;
	}
	if (!error &&
	    (header->type == PAGER_MSG_ALLOCATE || header->type == PAGER_MSG_MAKE_ENTRY) &&
	    unlikely(!keeper_has_room(session->daemon->keeper, 1))) {
		closer_close(session->daemon, fd, session->pid, session->uid);
		dispatch_error(header, -ENFILE, reply, reply_bytes);
		return DISPATCH_REPLY;
	}
	if (error == 0 && session->task && release_stops(session->task, header->type))
		error = -ESHUTDOWN;
	if (error == 0) {
		if (rows[header->type].runs == JOB)
			return start_job(session, header, fd, done, reply, reply_bytes);
		return run_now(session, header, fd, reply, reply_bytes, reply_fd);
	}
	closer_close(session->daemon, fd, session->pid, session->uid);
	if (error == -EPERM || error == -ESHUTDOWN) {
		dispatch_error(header, error, reply, reply_bytes);
		return DISPATCH_REPLY;
	}
	protocol_error(session, "message not allowed in this state");
	return DISPATCH_END;
}
