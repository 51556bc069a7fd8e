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
#include "control/kept.h"
#include "control/receive.h"
#include "control/teardown.h"
#include "core/closer.h"
#include "descriptors.h"
#include "failpt.h"
#include "fault/server.h"
#include "own.h"
#include "pmap/barrier.h"
#include "pmap/uffd.h"
#include "vm/kept_task.h"
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
_Static_assert(sizeof(struct connection) <= CONNECTION_BYTES_MAX, "room for a forked child's");

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
	own_free(OWN_CONNECTION, connection);
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

/* Whether the address space of a forked child, or of another client without threads, is there: what
 * has closed its socket was the program then, which has closed all descriptors that it had not
 * opened (closefrom(3)), and not exec(2) or its end. An ATTACH that is under way will show. */
static bool
child_lives(const struct session *session)
{
	if (!session->outlives_socket || session_is_ended((struct session *)(uintptr_t)session))
		return false;
	if (load_acquire(&session->task->is_unborn))
		return session->job_running;
	return uffd_space_lives(session->task->uffd);
}

/* A forked child waits for no answer and may close its end at once. What it has said before is
 * still in the socket, ATTACH for one; after that comes the end. */
static bool
may_have_said_more(const struct session *session)
{
	return session->is_forked && !session->job_running &&
	       load_acquire(&session->task->is_unborn);
}

/* Nothing more can come through the socket. */
static void
socket_gone(struct connection *connection)
{
	struct session *session = &connection->session;

	loop_assert(session->daemon);
	if (!child_lives(session)) {
		connection_end(connection);
		return;
	}
	session->is_deaf = true;
	uv_poll_stop(&connection->socket);
}

/* The barrier of a client that has begun to fork and does not. A child that has not spoken yet gets
 * nothing, because writes of its parent's may come now that belong to it. It is told when it
 * speaks: it may have mapped its memory by then, and its touches must not wait for nobody. */
static void
forks_expire(struct connections *all, struct connection *parent)
{
	struct daemon *d = all->daemon;
	struct session *session = &parent->session;
	uint64_t child =
	    session->task ? barrier_expire(session->task, param(d, fork_seconds) * 1000000000u) : 0;

	loop_assert(d);
	if (!child)
		return;
	log_notice_limited("process %d of user %u began to fork and was not done in %llu s "
			   "(parameter fork_seconds): its child inherits nothing",
	    (int)session->pid, (unsigned)session->uid, (unsigned long long)param(d, fork_seconds));
	stat_add(
	    stats_shard(&d->stats, shard_index_extra(d, SHARD_CONTROL)), STAT_FORK_TIMEOUTS, 1);
	for (struct connection *c = all->first; c; c = c->next)
		if (c->session.id == child && c->session.fork_parent) {
			c->session.fork_is_void = true;
			return;
		}
}

void
connections_look_at_forks(struct connections *all)
{
	loop_assert(all->daemon);
	for (struct connection *c = all->first, *next; c; c = next) {
		next = c->next;
		if (c->session.is_deaf && !child_lives(&c->session))
			connection_end(c);
	}
	for (struct connection *c = all->first; c; c = c->next)
		forks_expire(all, c);
}

/* Whether the session is to be looked at later, although it says nothing. */
static bool
is_timed(const struct connection *c)
{
	const struct session *session = &c->session;
	struct vm_map *map = session->task ? &session->task->map : NULL;
	bool forks = false;

	if (map) {
		lock_acquire(&map->lock);
		forks = map->barrier != 0;
		lock_release(&map->lock);
	}
	return forks || session->is_deaf || session->job_running ||
	       load_relaxed((_Atomic enum session_state *)&session->state) == SESSION_NEW;
}

bool
connections_are_timed(struct connections *all)
{
	loop_assert(all->daemon);
	for (struct connection *c = all->first; c; c = c->next)
		if (is_timed(c))
			return true;
	return false;
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
		/* A child may be stopped before it speaks; its parent holds the socket until it has
		 * forked. */
		if (load_relaxed(&session->state) != SESSION_NEW || session->is_forked ||
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
	struct daemon *d = connection->all->daemon;

	CHECK_OBJ(&connection->session, SESSION_MAGIC);
	(void)status, (void)events;
	connection_end(connection);
	pulse_beat(&d->pulse);
}

/* --- requests --- */

static bool
send_reply(struct session *session, const void *reply, size_t bytes, int fd)
{
	bool is_sent;

	CHECK(bytes >= sizeof(struct pager_msg_header) && bytes <= PAGER_MSG_BYTES_MAX);
	kept_answer(session, reply, bytes);
	failpt_die(FAIL_DIE_ANSWER);
	/* A client that does not take its one outstanding reply has broken the protocol. */
	is_sent = descriptors_send(session->socket, reply, bytes, &fd, fd >= 0, MSG_DONTWAIT);
	failpt_die(FAIL_DIE_ANSWERED);
	if (is_sent)
		kept_answered(session);
	return is_sent;
}

static void socket_readable(uv_poll_t *poll, int status, int events);
static void connection_open_forked(struct connections *all, struct forked *forked);

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
	/* Where the answer has not been sent, nobody has the other end, and it ends at once. */
	if (j->forked)
		connection_open_forked(connection->all, j->forked);
	if (is_ended)
		teardown_submit(connection);
	else if (is_sent && !session->is_deaf)
		uv_poll_start(&connection->socket, UV_READABLE, socket_readable);
	else
		socket_gone(connection);
	free(j);
}

/* A forked child speaks for the first time: from now on its process is watched. */
static enum received
connection_child(struct connection *connection, int *ret_fd)
{
	struct session *session = &connection->session;
	enum received received = receive_child(session, connection->all->packet);

	*ret_fd = -1;
	CHECK(connection->handles == 1);
	if (received != RECEIVED_PACKET)
		return received;
	if (uv_poll_init(connection->all->loop, &connection->process, session->pidfd) != 0)
		return RECEIVED_END;
	connection->handles++;
	connection->process.data = connection;
	return uv_poll_start(&connection->process, UV_READABLE, process_ended) == 0
		   ? RECEIVED_PACKET
		   : RECEIVED_END;
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
	switch (session->is_forked && session->pidfd < 0
		    ? connection_child(connection, &fd)
		    : receive_packet(session, all->packet, &fd, &error)) {
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
		socket_gone(connection);
		return;
	}
	if (kept_begin(session, (struct pager_msg_header *)all->packet, all->reply, &reply_bytes,
		&reply_fd.fd)) {
		closer_close(session->daemon, fd, session->pid, session->uid);
		if (!send_reply(session, all->reply, reply_bytes, reply_fd.fd))
			socket_gone(connection);
		return;
	}
	switch (dispatch_packet(
	    session, all->packet, fd, request_done, all->reply, &reply_bytes, &reply_fd)) {
	case DISPATCH_REPLY:
		is_sent = send_reply(session, all->reply, reply_bytes, reply_fd.fd);
		dispatch_fd_sent(session, &reply_fd);
		if (!is_sent && !may_have_said_more(session))
			socket_gone(connection);
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
	struct session *session = &connection->session;
	struct daemon *d = connection->all->daemon;

	CHECK_OBJ(session, SESSION_MAGIC);
	(void)events;
	/* An error stops the poll. */
	if (status < 0 && may_have_said_more(session))
		status = uv_poll_start(poll, UV_READABLE, socket_readable);
	/* While its request runs, only a hang-up is polled for; nothing that was sent is read. */
	if (status < 0 || session->job_running)
		socket_gone(connection);
	else
		request_receive(connection);
	pulse_beat(&d->pulse);
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

static void
connection_link(struct connections *all, struct connection *connection)
{
	loop_assert(all->daemon);
	connection->all = all;
	connection->next = all->first;
	connection->at = &all->first;
	if (connection->next)
		connection->next->at = &connection->next;
	all->first = connection;
	all->count++;
}

/* Its process is not known yet. */
static void
connection_open_forked(struct connections *all, struct forked *forked)
{
	struct connection *connection = forked->connection;
	struct session *session = &connection->session;
	int error;

	loop_assert(all->daemon);
	session_init_forked(session, forked);
	free(forked);
	connection_link(all, connection);
	error = uv_poll_init(all->loop, &connection->socket, session->socket);
	connection->handles += !error;
	connection->socket.data = connection;
	if (!error)
		error = uv_poll_start(&connection->socket, UV_READABLE, socket_readable);
	/* The second: all sessions are being ended. */
	if (error || all->empty)
		connection_end(connection);
}

void
connection_open(struct connections *all, int fd)
{
	struct daemon *d = all->daemon;
	struct connection *connection = own_alloc(OWN_CONNECTION, sizeof(*connection));
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
		own_free(OWN_CONNECTION, connection);
		return;
	}
	connection_link(all, connection);
	error = connection_watch(connection);
	if (error) {
		log_warning_limited(
		    "process %d cannot be watched: %s", (int)peer.pid, strerror(-error));
		connection_end(connection);
	}
}

int
connection_take_over(struct connections *all, struct task *task, int socket)
{
	struct daemon *d = all->daemon;
	struct connection *connection = own_alloc(OWN_CONNECTION, sizeof(*connection));
	int error = connection ? session_init_taken(&connection->session, task, socket,
				     task->map.record->is_control)
			       : -ENOMEM;

	loop_assert(d);
	if (error)
		return error;
	connection_link(all, connection);
	error = connection_watch(connection);
	if (!error)
		error = uffd_never_wait(task->uffd);
	if (!error)
		error = fault_servers_add(d, task, LANE_COMMON);
	if (error) {
		connection_end(connection);
		return error;
	}
	task_commit(task, TASK_ATTACHING, TASK_ATTACHED);
	kept_faults_again(task);
	return 0;
}
