/* SPDX-License-Identifier: MIT
 *
 * From a packet to its handler: form, access, where it runs. A malformed message ends the session and nothing else.
 * Runs on: the control loop; job handlers on the jobs thread.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/control.h"
#include "jobs.h"

enum access { NONE, ANY, CLIENT, CONTROL };

static const struct row {
	enum access access;
	size_t reply_bytes;
	int (*handle)(struct request *r);
} rows[] = {
#define MSG(number, NAME, name, fds, access, text)                                                 \
	[number] = { access, sizeof(struct pager_rep_##name), handle_##name },
#include "tbl/msg.h"
};

/* What walks pages or waits. */
static bool
is_job(uint16_t type)
{
	switch (type) {
	case PAGER_MSG_DEALLOCATE:
	case PAGER_MSG_WIRE:
	case PAGER_MSG_UNWIRE:
	case PAGER_MSG_BEHAVIOR:
	case PAGER_MSG_REGION:
	case PAGER_MSG_MAP:
	case PAGER_MSG_CHECK:
	case PAGER_MSG_POLICY:
	case PAGER_MSG_TRACE:
		return true;
	default:
		return false;
	}
}

static int
access_check(struct session *s, enum access access)
{
	enum session_state state = load_acquire(&s->state);

	switch (access) {
	case NONE:
		return state == SESSION_NEW ? 0 : -EPROTO;
	case ANY:
		return state == SESSION_NEW ? -EPROTO : 0;
	case CLIENT:
		return state == SESSION_CLIENT ? 0 : -EPROTO;
	case CONTROL:
		if (state == SESSION_NEW)
			return -EPROTO;
		return s->is_control ? 0 : -EPERM;
	}
	return -EPROTO;
}

static void
fill_header(void *reply, uint16_t type, uint64_t sequence, int error, size_t body_bytes, size_t *reply_bytes)
{
	struct pager_msg_header *header = reply;

	*reply_bytes = sizeof(*header) + (error ? 0 : body_bytes);
	*header = (struct pager_msg_header){
		.length = (uint32_t)*reply_bytes, .type = type, .sequence = sequence, .error = error };
}

static void
close_fds(const int *fds)
{
	for (unsigned i = 0; i < PAGER_MSG_FDS_MAX; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void
job_run(struct job *job, struct stat_shard stats)
{
	struct request r = {
		.daemon = job->session->daemon,
		.session = job->session,
		.stats = stats,
		.body = job->request,
		.reply = job->reply + sizeof(struct pager_msg_header),
		.reply_bytes = rows[job->type].reply_bytes,
		.fds = { job->fds[0], job->fds[1] },
		.reply_fd = -1,
		.progress = job->progress,
	};
	int error = session_is_dead(job->session) ? -ESHUTDOWN : rows[job->type].handle(&r);

	job->again = r.again && !error;
	job->progress = r.progress;
	if (job->again)
		return;
	close_fds(r.fds);
	fill_header(job->reply, job->type, job->sequence, error, r.reply_bytes, &job->reply_bytes);
}

static enum dispatch
start_job(struct session *s, const struct pager_msg_header *header, const int *fds, void *reply, size_t *reply_bytes)
{
	struct job *job = calloc(1, sizeof(*job));

	if (!job) {
		close_fds(fds);
		fill_header(reply, header->type, header->sequence, -ENOMEM, 0, reply_bytes);
		return DISPATCH_REPLY;
	}
	job->run = job_run;
	job->session = session_get(s);
	job->type = header->type;
	job->sequence = header->sequence;
	memcpy(job->fds, fds, sizeof(job->fds));
	list_init(&job->node);
	memcpy(job->request, header + 1, header->length - sizeof(*header));
	jobs_submit(s->daemon, job);
	return DISPATCH_JOB;
}

static enum dispatch
run_now(struct session *s, const struct pager_msg_header *header, const int *fds, void *reply, size_t *reply_bytes,
    int *reply_fd)
{
	struct request r = {
		.daemon = s->daemon,
		.session = s,
		.stats = stats_shard(&s->daemon->stats, shard_index_extra(s->daemon, SHARD_CONTROL)),
		.body = header + 1,
		.reply = (char *)reply + sizeof(*header),
		.reply_bytes = rows[header->type].reply_bytes,
		.fds = { fds[0], fds[1] },
		.reply_fd = -1,
	};
	int error;

	memset(r.reply, 0, r.reply_bytes);
	error = rows[header->type].handle(&r);
	close_fds(r.fds);
	fill_header(reply, header->type, header->sequence, error, r.reply_bytes, reply_bytes);
	if (!error)
		*reply_fd = r.reply_fd;
	/* A handshake that failed leaves nothing to go on with; the peer still gets the reason. */
	return DISPATCH_REPLY;
}

enum dispatch
dispatch_packet(struct session *s, const void *packet, size_t bytes, int *fds, unsigned fd_count, void *reply,
    size_t *reply_bytes, int *reply_fd)
{
	const struct pager_msg_header *header = packet;
	const char *wrong = pager_msg_request_check(packet, bytes, fd_count);
	int both[PAGER_MSG_FDS_MAX] = { fd_count > 0 ? fds[0] : -1, fd_count > 1 ? fds[1] : -1 };
	int error;

	_Static_assert(sizeof(((struct job *)0)->request) >= sizeof(struct pager_req_debug), "a request fits a job");
	if (!wrong && header->type >= ARRAY_LEN(rows))
		wrong = "unknown message type";
	error = wrong ? -EPROTO : access_check(s, rows[header->type].access);
	if (error == 0) {
		if (is_job(header->type))
			return start_job(s, header, both, reply, reply_bytes);
		return run_now(s, header, both, reply, reply_bytes, reply_fd);
	}
	for (unsigned i = 0; i < fd_count; i++)
		close(fds[i]);
	if (error == -EPERM) {
		fill_header(reply, header->type, header->sequence, error, 0, reply_bytes);
		return DISPATCH_REPLY;
	}
	log_notice_limited("process %d broke the protocol (%s): its session ends", (int)s->pid,
	    wrong ? wrong : "message not allowed in this state");
	stat_add(stats_shard(&s->daemon->stats, shard_index_extra(s->daemon, SHARD_CONTROL)), STAT_PROTOCOL_ERRORS, 1);
	return DISPATCH_END;
}
