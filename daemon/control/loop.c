/* SPDX-License-Identifier: MIT
 *
 * The libuv loop: it and accept.c alone know uv.h. Runs on: the main thread.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uv.h>

#include "control/accept.h"
#include "clock.h"
#include "control/control.h"
#include "fault/direct.h"
#include "fault/fault.h"
#include "jobs.h"
#include "vm/pageq.h"
#include "vm/vm_object.h"
#include "watch.h"

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif
#define REFRESH_MS  100
#define COST_TICKS 20 /* of those */
#define SILENT_TICKS 10

struct control {
	struct daemon *daemon;
	uv_loop_t loop;
	struct listening listening;
	struct acceptor acceptor;
	uv_signal_t stop[3];
	uv_async_t jobs_finished;
	uv_timer_t refresh;
	unsigned ticks;     /* of refresh */
	unsigned sessions;  /* connections and teardowns under way */
	bool stopping;
	_Alignas(8) unsigned char packet[PAGER_MSG_BYTES_MAX];
	_Alignas(8) unsigned char reply[PAGER_MSG_BYTES_MAX];
};

struct connection {
	uv_poll_t poll;
	struct session *session;
};

static void
teardown_run(struct job *job, struct stat_shard stats)
{
	(void)stats;
	session_teardown(job->session);
}

static void
teardown_done(struct job *job)
{
	struct daemon *d = job->session->daemon;

	session_put(job->session);
	free(job);
	d->control->sessions--;
	if (d->control->stopping && d->control->sessions == 0)
		uv_stop(&d->control->loop);
}

static void
connection_closed(uv_handle_t *handle)
{
	struct connection *connection = handle->data;
	struct session *s = connection->session;
	struct job *job = calloc(1, sizeof(*job));

	close(s->socket);
	s->socket = -1;
	free(connection);
	s->loop_data = NULL;
	CHECK(job != NULL);
	job->run = teardown_run;
	job->done = teardown_done;
	job->session = s;
	list_init(&job->node);
	jobs_submit(s->daemon, job);
}

static void
session_end(struct session *s)
{
	struct connection *connection = s->loop_data;
	bool was_client;

	if (!connection || uv_is_closing((uv_handle_t *)&connection->poll))
		return;
	was_client = load_acquire(&s->state) == SESSION_CLIENT;
	/* First, so that a server that begins to poll it just now sees that it must not (affinity.c). */
	store_release(&s->state, SESSION_DEAD);
	if (was_client)
		fault_servers_remove(s->daemon, s);
	uv_poll_stop(&connection->poll);
	uv_close((uv_handle_t *)&connection->poll, connection_closed);
}

static bool
send_reply(struct session *s, const void *reply, size_t bytes, int fd)
{
	struct iovec iov = { (void *)(uintptr_t)reply, bytes };
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = { { 0 } };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c;

		message.msg_control = control.bytes;
		message.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&message);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(int));
	}
	/* A client that does not take its one outstanding reply has broken the protocol. */
	return sendmsg(s->socket, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)bytes;
}

/* => bytes, 0 at the end, or -errno; descriptors in fds */
static ssize_t
receive(struct session *s, void *packet, int *fds, unsigned *fd_count)
{
	struct iovec iov = { packet, PAGER_MSG_BYTES_MAX };
	union {
		char bytes[CMSG_SPACE(sizeof(int) * 16)];
		struct cmsghdr align;
	} control;
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t got = recvmsg(s->socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	bool extra = false;

	*fd_count = 0;
	if (got < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (*fd_count < PAGER_MSG_FDS_MAX) {
				fds[(*fd_count)++] = fd;
			} else {
				close(fd);
				extra = true;
			}
		}
	}
	if (extra || message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) {
		for (unsigned i = 0; i < *fd_count; i++)
			close(fds[i]);
		*fd_count = 0;
		return -EMSGSIZE;
	}
	return got;
}

static void
connection_readable(uv_poll_t *poll, int status, int events)
{
	struct connection *connection = poll->data;
	struct session *s = connection->session;
	struct control *control = s->daemon->control;
	int fds[PAGER_MSG_FDS_MAX], reply_fd = -1;
	unsigned fd_count;
	size_t reply_bytes = 0;
	ssize_t got;

	(void)events;
	if (s->job_running) {
		/* Only a hang-up is polled for. Whatever else was sent is not read: one request at a time. */
		session_end(s);
		return;
	}
	got = status < 0 ? 0 : receive(s, control->packet, fds, &fd_count);
	if (got == -EAGAIN || got == -EINTR)
		return;
	if (got == -EMSGSIZE) {
		log_notice_limited("process %d sent an oversized message: its session ends", (int)s->pid);
		stat_add(stats_shard(&s->daemon->stats, shard_index_extra(s->daemon, SHARD_CONTROL)),
		    STAT_PROTOCOL_ERRORS, 1);
	}
	if (got <= 0) {
		session_end(s);
		return;
	}
	switch (dispatch_packet(s, control->packet, (size_t)got, fds, fd_count, control->reply, &reply_bytes, &reply_fd)) {
	case DISPATCH_REPLY:
		if (!send_reply(s, control->reply, reply_bytes, reply_fd))
			session_end(s);
		break;
	case DISPATCH_JOB:
		/* One request at a time: the next is read when this one has been answered. Hang-ups are still seen. */
		s->job_running = true;
		uv_poll_start(poll, UV_DISCONNECT, connection_readable);
		break;
	case DISPATCH_END:
		session_end(s);
		break;
	}
}

static void
job_reply(struct job *job)
{
	struct session *s = job->session;
	struct connection *connection = s->loop_data;

	s->job_running = false;
	if (connection && !uv_is_closing((uv_handle_t *)&connection->poll)) {
		if (send_reply(s, job->reply, job->reply_bytes, -1))
			uv_poll_start(&connection->poll, UV_READABLE, connection_readable);
		else
			session_end(s);
	}
	session_put(s);
	free(job);
}

static void
jobs_are_finished(uv_async_t *async)
{
	struct control *control = async->data;
	struct job *job;

	while ((job = jobs_collect(control->daemon)) != NULL) {
		if (job->done)
			job->done(job);
		else
			job_reply(job);
	}
}

void
control_job_finished(void *context)
{
	struct daemon *d = context;

	uv_async_send(&d->control->jobs_finished);
}

static void
accepted(void *context, int fd)
{
	struct control *control = context;
	struct daemon *d = control->daemon;
	struct connection *connection = calloc(1, sizeof(*connection));
	struct ucred peer;
	socklen_t length = sizeof(peer);
	int pidfd = -1;
	socklen_t pidfd_length = sizeof(pidfd);
	int error = connection ? 0 : -ENOMEM;

	if (!error && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
		error = -errno;
	if (!error && getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &pidfd_length) < 0)
		pidfd = (int)syscall(SYS_pidfd_open, peer.pid, 0u);
	if (!error)
		error = session_create(d, fd, peer.pid, peer.uid, pidfd, &connection->session);
	if (error) {
		log_warning_limited("a connection was refused: %s", strerror(-error));
		if (pidfd >= 0)
			close(pidfd);
		free(connection);
		connection_refuse(fd, error);
		return;
	}
	connection->session->loop_data = connection;
	control->sessions++;
	uv_poll_init(&control->loop, &connection->poll, fd);
	connection->poll.data = connection;
	uv_poll_start(&connection->poll, UV_READABLE, connection_readable);
}

static void
stop_requested(uv_signal_t *handle, int signal)
{
	struct control *control = handle->data;
	struct daemon *d = control->daemon;

	if (control->stopping)
		return;
	log_notice("stopping on SIG%s", sigabbrev_np(signal));
	control->stopping = true;
	watch_hasten(d);
	acceptor_stop(&control->acceptor);
	for (uint32_t i = 0; i < d->sessions.room; i++) {
		struct session *s = session_at(d, i);

		if (!s)
			continue;
		session_end(s);
		session_put(s);
	}
	if (control->sessions == 0)
		uv_stop(&control->loop);
}

/* Sessions whose clients have held threads of ours for too long. */
static void
end_wanted(struct daemon *d)
{
	for (uint32_t i = 0; i < d->sessions.room; i++) {
		struct session *s = session_at(d, i);

		if (!s)
			continue;
		if (load_acquire(&s->end_wanted))
			session_end(s);
		session_put(s);
	}
}

/* Connections are few and kept for those who use them. */
static void
end_silent(struct control *control)
{
	struct daemon *d = control->daemon;
	uint64_t allowed = param(d, hello_seconds) * 1000000000u, now = clock_now_ns();
	uint32_t cursor = 0;
	struct session *s;

	while (now > allowed && (s = session_next_silent(d, &cursor, now - allowed)) != NULL) {
		log_notice_limited("process %d of user %u has said no HELLO in %llu s (parameter hello_seconds): its connection ends",
		    (int)s->pid, (unsigned)s->uid, (unsigned long long)param(d, hello_seconds));
		stat_add(stats_shard(&d->stats, shard_index_extra(d, SHARD_CONTROL)), STAT_HELLO_TIMEOUTS, 1);
		session_end(s);
		session_put(s);
	}
}

static void
refresh(uv_timer_t *timer)
{
	struct control *control = timer->data;

	log_limits_tell(false);
	stats_refresh(control->daemon);
	direct_refresh(control->daemon);
	latency_refresh(control->daemon, REFRESH_MS);
	if (exchange_acq_rel(&control->daemon->sessions_end_wanted, false))
		end_wanted(control->daemon);
	if (++control->ticks % COST_TICKS == 0)
		pageq_cost_refresh(control->daemon);
	if (control->ticks % SILENT_TICKS == 0) {
		end_silent(control);
		tasks_sweep(control->daemon);
	}
}

int
control_create(struct daemon *d, char *message, size_t message_size)
{
	struct control *control = calloc(1, sizeof(*control));
	int error;

	if (!control)
		return -ENOMEM;
	d->control = control;
	control->daemon = d;
	error = listen_open(&d->options, &control->listening, message, message_size);
	if (error) {
		free(control);
		d->control = NULL;
		return error;
	}
	CHECK(uv_loop_init(&control->loop) == 0);
	acceptor_start(&control->acceptor, &control->loop, control->listening.fd, accepted, control);
	for (unsigned i = 0; i < ARRAY_LEN(control->stop); i++) {
		/* SIGQUIT is a key of the terminal: it must not leave swap files and a core of the clients' memory. */
		static const int signals[ARRAY_LEN(control->stop)] = { SIGTERM, SIGINT, SIGQUIT };

		uv_signal_init(&control->loop, &control->stop[i]);
		control->stop[i].data = control;
		uv_signal_start(&control->stop[i], stop_requested, signals[i]);
	}
	uv_async_init(&control->loop, &control->jobs_finished, jobs_are_finished);
	control->jobs_finished.data = control;
	uv_timer_init(&control->loop, &control->refresh);
	control->refresh.data = control;
	uv_timer_start(&control->refresh, refresh, REFRESH_MS, REFRESH_MS);
	return 0;
}

void
control_run(struct daemon *d)
{
	uv_run(&d->control->loop, UV_RUN_DEFAULT);
}

static void
close_handle(uv_handle_t *handle, void *ignored)
{
	(void)ignored;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

void
control_destroy(struct daemon *d)
{
	struct control *control = d->control;

	uv_walk(&control->loop, close_handle, NULL);
	uv_run(&control->loop, UV_RUN_DEFAULT);
	uv_loop_close(&control->loop);
	acceptor_fini(&control->acceptor);
	listen_close(&d->options, &control->listening);
	free(control);
}
