/* SPDX-License-Identifier: MIT
 *
 * One connection: requests in, replies out, and its end. Runs on: the control loop.
 */
#include "control/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "control/accept.h"
#include "control/dispatch.h"
#include "control/receive.h"
#include "control/teardown.h"
#include "core/closer.h"
#include "descriptors.h"
#include "fault/server.h"
#include "watch/watcher.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

struct connection {
	struct connections *all;
	struct connection *next, **at; /* on all->first */
	struct session session;
	uv_poll_t socket, process;
	unsigned handles; /* of these two, those that the loop still has: the socket's first */
	struct job teardown;
};

/* --- the end --- */

static void
connection_free(struct connection *connection)
{
	struct connections *all = connection->all;

	loop_assert(all->daemon);
	CHECK(connection->handles == 0 && all->count > 0 && *connection->at == connection);
	*connection->at = connection->next;
	if (connection->next)
		connection->next->at = connection->at;
	session_fini(&connection->session);
	free(connection);
	if (--all->count == 0 && all->empty)
		all->empty(all->daemon);
}

static void
teardown_run(struct job *job, const struct jobs_place *place)
{
	CHECK(task_is_dead(job->task));
	(void)place;
	job->again = task_teardown(job->task);
}

static void
teardown_done(struct job *job)
{
	CHECK(!job->again);
	connection_free(container_of(job, struct connection, teardown));
}

/* To be called when the loop has let go of the connection, and when its request has come back from
 * jobs: the request may be on another thread than the teardown. */
static void
teardown_submit(struct connection *connection)
{
	struct task *task = connection->session.task;

	CHECK_OBJ(&connection->session, SESSION_MAGIC);
	if (!session_is_ended(&connection->session) || connection->handles > 0 ||
	    connection->session.job_running)
		return;
	if (!task) {
		connection_free(connection);
		return;
	}
	/* A second time: an ATTACH that was under way may have added it since. */
	if (task->uffd >= 0)
		fault_servers_remove(task->daemon, task);
	connection->teardown =
	    (struct job){ .run = teardown_run, .done = teardown_done, .task = task };
	list_init(&connection->teardown.node);
	jobs_submit(task->daemon, &connection->teardown);
}

static void
handles_gone(struct connection *connection)
{
	struct session *session = &connection->session;

	CHECK(session_is_ended(session) && session->socket >= 0);
	closer_close(session->daemon, session->socket, session->pid, session->uid);
	session->socket = -1;
	teardown_submit(connection);
}

static void
handle_closed(uv_handle_t *handle)
{
	struct connection *connection = handle->data;

	CHECK(connection->handles > 0);
	if (--connection->handles == 0)
		handles_gone(connection);
}

static void
connection_end(struct connection *connection)
{
	struct session *session = &connection->session;
	struct task *task = session->task;

	loop_assert(session->daemon);
	CHECK_OBJ(session, SESSION_MAGIC);
	if (session_is_ended(session))
		return;
	session_commit(session, load_relaxed(&session->state), SESSION_ENDED);
	/* The task dies first. So a server that begins to poll it just now sees that it must not
	 * (affinity.c), and ATTACH sees that it is too late. */
	if (task && !task_commit(task, TASK_ATTACHING, TASK_DEAD) &&
	    task_commit(task, TASK_ATTACHED, TASK_DEAD))
		fault_servers_remove(task->daemon, task);
	/* The peer is told now: closing may take a while. */
	shutdown(session->socket, SHUT_RDWR);
	connection->socket.data = connection->process.data = connection;
	if (connection->handles > 1)
		uv_close((uv_handle_t *)&connection->process, handle_closed);
	if (connection->handles > 0)
		uv_close((uv_handle_t *)&connection->socket, handle_closed);
	else
		handles_gone(connection);
}

void
connections_end_wanted(struct connections *all)
{
	loop_assert(all->daemon);
	for (struct connection *c = all->first, *next; c; c = next) {
		next = c->next;
		if (c->session.task && load_acquire(&c->session.task->end_wanted))
			connection_end(c);
	}
}

void
connections_end_silent(struct connections *all)
{
	struct daemon *d = all->daemon;
	uint64_t allowed = param(d, hello_seconds) * 1000000000u, now = clock_now_ns();

	loop_assert(d);
	for (struct connection *c = all->first, *next; c; c = next) {
		struct session *session = &c->session;

		next = c->next;
		if (load_relaxed(&session->state) != SESSION_NEW ||
		    now - session->created_ns <= allowed)
			continue;
		log_notice_limited("process %d of user %u has said no HELLO in %llu s "
				   "(parameter hello_seconds): its connection ends",
		    (int)session->pid, (unsigned)session->uid,
		    (unsigned long long)param(d, hello_seconds));
		stat_add(stats_shard(&d->stats, shard_index_extra(d, SHARD_CONTROL)),
		    STAT_HELLO_TIMEOUTS, 1);
		connection_end(c);
	}
}

void
connections_end(struct connections *all, void (*empty)(struct daemon *d))
{
	loop_assert(all->daemon);
	CHECK(empty && !all->empty);
	all->empty = empty;
	/* A connection whose handles never reached the loop is freed at once; the last one calls
	 * `empty`. */
	if (all->count == 0) {
		empty(all->daemon);
		return;
	}
	for (struct connection *c = all->first, *next; c; c = next) {
		next = c->next;
		connection_end(c);
	}
}

/* The process has ended. */
static void
process_ended(uv_poll_t *poll, int status, int events)
{
	struct connection *connection = poll->data;

	CHECK_OBJ(&connection->session, SESSION_MAGIC);
	(void)status, (void)events;
	connection_end(connection);
}

/* --- requests --- */

static bool
send_reply(const struct session *session, const void *reply, size_t bytes, int fd)
{
	CHECK(bytes >= sizeof(struct pager_msg_header) && bytes <= PAGER_MSG_BYTES_MAX);
	/* A client that does not take its one outstanding reply has broken the protocol. */
	return descriptors_send(session->socket, reply, bytes, &fd, fd >= 0, MSG_DONTWAIT);
}

static void socket_readable(uv_poll_t *poll, int status, int events);

static void
request_done(struct job *job)
{
	struct request_job *j = container_of(job, struct request_job, job);
	struct connection *connection = container_of(j->session, struct connection, session);
	struct session *session = j->session;
	bool is_ended = session_is_ended(session),
	     is_sent = !is_ended && send_reply(session, j->reply, j->reply_bytes, j->reply_fd.fd);

	CHECK_OBJ(session, SESSION_MAGIC);
	CHECK(session->job_running);
	session->job_running = false;
	dispatch_fd_sent(session, &j->reply_fd);
	if (is_ended)
		teardown_submit(connection);
	else if (is_sent)
		uv_poll_start(&connection->socket, UV_READABLE, socket_readable);
	else
		connection_end(connection);
	free(j);
}

static void
request_receive(struct connection *connection)
{
	struct connections *all = connection->all;
	struct session *session = &connection->session;
	struct reply_fd reply_fd = { .fd = -1 };
	int fd, error = 0;
	size_t reply_bytes = 0;
	bool is_sent;

	CHECK(!session->job_running && !session_is_ended(session));
	switch (receive_packet(session, all->packet, &fd, &error)) {
	case RECEIVED_PACKET:
		break;
	case RECEIVED_NOTHING:
		return;
	case RECEIVED_REFUSED:
		dispatch_error(
		    (struct pager_msg_header *)all->packet, error, all->reply, &reply_bytes);
		send_reply(session, all->reply, reply_bytes, -1);
		connection_end(connection);
		return;
	case RECEIVED_END:
		connection_end(connection);
		return;
	}
	switch (dispatch_packet(
	    session, all->packet, fd, request_done, all->reply, &reply_bytes, &reply_fd)) {
	case DISPATCH_REPLY:
		is_sent = send_reply(session, all->reply, reply_bytes, reply_fd.fd);
		dispatch_fd_sent(session, &reply_fd);
		if (!is_sent)
			connection_end(connection);
		break;
	case DISPATCH_JOB:
		/* One request at a time: the next one is read after the answer. Hang-ups are still
		 * seen. */
		session->job_running = true;
		uv_poll_start(&connection->socket, UV_DISCONNECT, socket_readable);
		break;
	case DISPATCH_END:
		connection_end(connection);
		break;
	}
}

static void
socket_readable(uv_poll_t *poll, int status, int events)
{
	struct connection *connection = poll->data;

	CHECK_OBJ(&connection->session, SESSION_MAGIC);
	(void)events;
	/* While its request runs, only a hang-up is polled for; nothing that was sent is read. */
	if (status < 0 || connection->session.job_running)
		connection_end(connection);
	else
		request_receive(connection);
}

/* --- the beginning --- */

/* Peers that are refused before there is a session. => 0 or -errno */
static int
peer_check(struct daemon *d, int fd, struct ucred *ret, int *ret_pidfd)
{
	socklen_t length = sizeof(*ret), pidfd_length = sizeof(*ret_pidfd);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &length) < 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, ret_pidfd, &pidfd_length) < 0)
		return -errno;
	if (ret->uid == 0 || ret->uid == geteuid())
		return 0;
	if (closer_refuses(d, ret->uid)) {
		log_notice_limited("process %d of user %u was refused: what this user had made and "
				   "given away cannot be closed",
		    (int)ret->pid, (unsigned)ret->uid);
		return -EDQUOT;
	}
	if (watch_refuses(d, ret->uid)) {
		stat_add(stats_shard(&d->stats, shard_index_extra(d, SHARD_CONTROL)),
		    STAT_HOLDERS_REFUSED, 1);
		log_notice_limited("process %d of user %u was refused: clients of this user have "
				   "delayed calls of the daemon until they were ended",
		    (int)ret->pid, (unsigned)ret->uid);
		return -EAGAIN;
	}
	return 0;
}

/* Hands it to the loop. => 0 or -errno; handles that the loop has are counted in either case */
static int
connection_watch(struct connection *connection)
{
	struct session *session = &connection->session;
	uv_loop_t *loop = connection->all->loop;
	int error = uv_poll_init(loop, &connection->socket, session->socket);

	CHECK(connection->handles == 0);
	connection->handles += !error;
	if (!error)
		error = uv_poll_init(loop, &connection->process, session->pidfd);
	if (error)
		return error;
	connection->handles++;
	connection->socket.data = connection->process.data = connection;
	error = uv_poll_start(&connection->socket, UV_READABLE, socket_readable);
	return error ? error : uv_poll_start(&connection->process, UV_READABLE, process_ended);
}

void
connection_open(struct connections *all, int fd)
{
	struct daemon *d = all->daemon;
	struct connection *connection = calloc(1, sizeof(*connection));
	struct ucred peer = { 0 };
	int pidfd = -1, error = connection ? peer_check(d, fd, &peer, &pidfd) : -ENOMEM;

	loop_assert(d);
	CHECK(fd >= 0);
	if (!error)
		error = session_init(&connection->session, d, fd, peer.pid, peer.uid, pidfd);
	if (error) {
		if (error != -EDQUOT && error != -EAGAIN)
			log_warning_limited("process %d of user %u was refused: %s", (int)peer.pid,
			    (unsigned)peer.uid, strerror(-error));
		closer_close(d, pidfd, peer.pid, peer.uid);
		connection_refuse(d, fd, &peer, error);
		free(connection);
		return;
	}
	connection->all = all;
	connection->next = all->first;
	connection->at = &all->first;
	if (connection->next)
		connection->next->at = &connection->next;
	all->first = connection;
	all->count++;
	error = connection_watch(connection);
	if (error) {
		log_warning_limited(
		    "process %d cannot be watched: %s", (int)peer.pid, strerror(-error));
		connection_end(connection);
	}
}
