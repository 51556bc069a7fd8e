/* SPDX-License-Identifier: MIT */
#include "foreign.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>

#define LINGER_S 3600 /* longer than any test: a thread that waits for it hangs */

struct honest *foreign_honest;

void
foreign_begin(struct live *d)
{
	live_start(d, "8M", "--socket-mode", "0666", "--log-level", "notice", NULL);
	foreign_honest = honest_start(d);
}

void
foreign_served(struct live *d)
{
	char text[20000];

	REQUIRE(live_pagerctl(d, text, sizeof(text), "clients", NULL) == 0, "%s", text);
	REQUIRE(live_pagerctl(d, text, sizeof(text), "check", NULL) == 0, "%s", text);
	honest_wait(d, foreign_honest, 500);
}

void
foreign_end(struct live *d)
{
	foreign_served(d);
	honest_stop(d, foreign_honest);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0);
	live_stop(d);
}

/* --- descriptors --- */

int
lingering_socket(void)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct linger linger = { 1, LINGER_S };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 2048, fd;
	socklen_t length = sizeof(address);
	static char bytes[65536];

	setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	REQUIRE(bind(listener, (struct sockaddr *)&address, sizeof(address)) == 0 &&
		    listen(listener, 4) == 0 &&
		    getsockname(listener, (struct sockaddr *)&address, &length) == 0,
	    "%s", strerror(errno));
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	REQUIRE(
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "%s", strerror(errno));
	/* The other end stays open with the process, and is never read. */
	REQUIRE(accept4(listener, NULL, NULL, SOCK_CLOEXEC) >= 0, "%s", strerror(errno));
	close(listener);
	while (send(fd, bytes, sizeof(bytes), MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
		continue;
	REQUIRE(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
	return fd;
}

void
send_away(int fd, const void *bytes, size_t size, const int *fds, unsigned count)
{
	REQUIRE(raw_send(fd, bytes, size, fds, count), "%s", strerror(errno));
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

/* --- actors --- */

void
actor_stop_daemon(struct live *d, struct actor *a)
{
	atomic_store(&a->stop, true);
	WAIT_UNTIL(d, atomic_load(&a->stopped));
}

void
actor_continue_daemon(struct actor *a)
{
	atomic_store(&a->stopped, false);
}

void
actor_wait(struct live *d, struct actor *a)
{
	atomic_store(&a->done, true);
	WAIT_UNTIL(d, atomic_load(&a->go_on));
}

static void
stop_for(struct live *d, struct actor *a)
{
	siginfo_t info;

	atomic_store(&a->stop, false);
	REQUIRE(kill(d->pid, SIGSTOP) == 0 && waitid(P_PID, (id_t)d->pid, &info, WSTOPPED) == 0,
	    "%s", strerror(errno));
	atomic_store(&a->stopped, true);
	WAIT_UNTIL(d, !atomic_load(&a->stopped));
	REQUIRE(kill(d->pid, SIGCONT) == 0);
}

pid_t
actor_start(struct live *d, uid_t uid, client_body *body, struct actor *a)
{
	pid_t pid = client_start_as(d, uid, body, a);

	while (!atomic_load(&a->done)) {
		if (atomic_load(&a->stop))
			stop_for(d, a);
		live_tick(d);
	}
	return pid;
}
