/* SPDX-License-Identifier: MIT
 *
 * Accepting when the machine has nothing left to accept with. A listener whose connection cannot
 * be taken stays readable, and a loop that polled it all the same would do nothing else. So there
 * are spare descriptors, with which such a connection is taken and refused. Where even these do
 * not help, the listener is left alone for a while. Runs on: the control loop.
 */
#include "control/accept.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/closer.h"
#include "failpt.h"

#define BATCH    16 /* connections taken before the loop looks at everything else */
#define RETRY_MS 200
/* Never given to a session: without one of them nobody could be refused. */
#define SPARES_KEPT 2

/* => whether all are there */
static bool
spares_take(struct acceptor *a)
{
	bool all = true;

	loop_assert(a->daemon);
	for (unsigned i = 0; i < ACCEPT_SPARES; i++) {
		if (a->spares[i] < 0)
			a->spares[i] = eventfd(0, EFD_CLOEXEC);
		all &= a->spares[i] >= 0;
	}
	return all;
}

/* => how many */
static unsigned
spares_release(struct acceptor *a)
{
	unsigned count = 0;

	for (unsigned i = 0; i < ACCEPT_SPARES; i++) {
		if (a->spares[i] < 0)
			continue;
		close(a->spares[i]);
		a->spares[i] = -1;
		count++;
	}
	return count;
}

void
connection_refuse(struct daemon *d, int fd, const struct ucred *peer, int error)
{
	struct pager_msg_header reply = {
		.length = sizeof(reply),
		.type = PAGER_MSG_HELLO,
		.sequence = 1,
		.error = error,
	};

	loop_assert(d);
	CHECK(fd >= 0 && error < 0);
	/* Whether the other end reads this does not matter: the daemon hangs up. */
	(void)!send(fd, &reply, sizeof(reply), MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(fd, SHUT_RDWR);
	closer_close(d, fd, peer->pid, peer->uid);
}

/* => a connection, or -errno */
static int
connection_take(struct acceptor *a)
{
	static const enum fail_point points[] = { FAIL_ACCEPT_EMFILE, FAIL_ACCEPT_ENOBUFS,
		FAIL_ACCEPT_ECONNABORTED };
	int fd;

	CHECK(a->listen_fd >= 0);
	for (unsigned i = 0; i < ARRAY_LEN(points); i++) {
		int error = failpt_hit(points[i]);

		if (error)
			return error;
	}
	fd = accept4(a->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return fd >= 0 ? fd : -errno;
}

/* A connection needs a second descriptor, for its process. This looks whether there is one.
 * Descriptors that refused connections give back only now are for the spares first. */
static bool
is_another_left(struct acceptor *a)
{
	int fd = spares_take(a) ? fcntl(a->listen_fd, F_DUPFD_CLOEXEC, 0) : -1;

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/* No descriptor is left but the spare ones. fd: a connection that was taken with the last one, or
 * -1.
 * => false: they did not help */
static bool
take_with_spares(struct acceptor *a, int error, int fd)
{
	struct rlimit limit = { 0 };
	struct ucred peer = { 0 };
	socklen_t length = sizeof(peer);
	unsigned spares;
	bool known;

	CHECK(error == -EMFILE || error == -ENFILE);
	spares = spares_release(a);
	if (spares == 0 && fd < 0)
		return false;
	if (fd < 0)
		fd = connection_take(a);
	known = fd >= 0 && getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0;
	if (known && spares > SPARES_KEPT && (peer.uid == 0 || peer.uid == geteuid())) {
		a->accepted(a->context, fd);
	} else if (fd >= 0) {
		getrlimit(RLIMIT_NOFILE, &limit);
		log_warning_limited(
		    "process %d of user %u was refused: %s (the daemon may have %llu files open); "
		    "end some clients, or raise %s",
		    (int)peer.pid, (unsigned)peer.uid, strerror(-error),
		    (unsigned long long)limit.rlim_cur,
		    error == -ENFILE ? "fs.file-max" : "the daemon's RLIMIT_NOFILE");
		connection_refuse(a->daemon, fd, &peer, -ENFILE);
	}
	spares_take(a);
	return fd >= 0 || fd == -EAGAIN;
}

static void listener_readable(uv_poll_t *poll, int status, int events);

static void
retry(uv_timer_t *timer)
{
	struct acceptor *a = timer->data;

	CHECK(!uv_is_active((uv_handle_t *)&a->poll));
	spares_take(a);
	uv_poll_start(&a->poll, UV_READABLE, listener_readable);
}

static void
pause_listening(struct acceptor *a, int error)
{
	CHECK(error < 0);
	log_warning_limited(
	    "no connection can be accepted (%s): those that come wait", strerror(-error));
	uv_poll_stop(&a->poll);
	uv_timer_start(&a->retry, retry, RETRY_MS, 0);
}

static void
listener_readable(uv_poll_t *poll, int status, int events)
{
	struct acceptor *a = poll->data;

	loop_assert(a->daemon);
	(void)events;
	if (status < 0)
		return;
	for (unsigned n = 0; n < BATCH; n++) {
		int fd;

		/* Spares could not be taken back while a refused connection was still being
		 * closed. */
		spares_take(a);
		fd = connection_take(a);
		if (fd >= 0 && is_another_left(a)) {
			a->accepted(a->context, fd);
			continue;
		}
		if (fd >= 0) {
			(void)take_with_spares(a, -EMFILE, fd);
			continue;
		}
		switch (fd) {
		case -EAGAIN:
			return;
		case -EINTR:
		case -ECONNABORTED:
		case -EPROTO:
			/* This connection has gone again; the next may be there. */
			continue;
		case -EMFILE:
		case -ENFILE:
			if (take_with_spares(a, fd, -1))
				continue;
			break;
		default:
			break;
		}
		pause_listening(a, fd);
		return;
	}
}

void
acceptor_start(struct acceptor *a, struct daemon *d, uv_loop_t *loop, int listen_fd,
    void (*accepted)(void *context, int fd), void *context)
{
	loop_assert(d);
	CHECK(listen_fd >= 0 && accepted);
	a->daemon = d;
	a->listen_fd = listen_fd;
	a->accepted = accepted;
	a->context = context;
	memset(a->spares, -1, sizeof(a->spares));
	spares_take(a);
	uv_poll_init(loop, &a->poll, listen_fd);
	uv_timer_init(loop, &a->retry);
	a->poll.data = a->retry.data = a;
	uv_poll_start(&a->poll, UV_READABLE, listener_readable);
}

void
acceptor_stop(struct acceptor *a)
{
	loop_assert(a->daemon);
	uv_poll_stop(&a->poll);
	uv_timer_stop(&a->retry);
}

void
acceptor_fini(struct acceptor *a)
{
	loop_assert(a->daemon);
	spares_release(a);
}
