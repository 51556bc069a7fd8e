/* SPDX-License-Identifier: MIT
 *
 * What clients hand in, and how they end: descriptors whose close(2) waits, too many of them, of
 * the wrong kind or another process's; sockets that hold each other, processes that end in the
 * middle. An honest client beside all that goes on, and SIGTERM ends the daemon.
 *
 * usage: f_foreign linger|back|attach|unread|surplus|crowded|agent|other|orphan|dies|stuck
 */
#include "harness.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "book.h"
#include "pager/uffd_compat.h"
#include "raw.h"

#define NOBODY      65534
#define FDS_MAX     253
#define LINGER_S    3600 /* longer than any test: what waits for it hangs */
#define OF_ONE_USER 4    /* closes that may be late before he is refused */

static const struct mixture mixture = { 5, 10, 30 };

/* --- the honest one --- */

struct honest {
	atomic_bool stop;
	_Atomic uint64_t touches;
};

static void
honest(struct live *d, void *argument)
{
	struct honest *s = argument;
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes);
	uint64_t rng = live_seed;
	struct pager_statistics statistics;
	struct book b;

	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 77);
	for (uint32_t i = 0; i < count; i++)
		book_write(&b, i, mixture_draw(&mixture, &rng));
	while (!atomic_load(&s->stop)) {
		uint32_t page = (uint32_t)rng_below(&rng, count);

		book_verify(&b, page);
		book_write(&b, page, mixture_draw(&mixture, &rng));
		if (atomic_fetch_add(&s->touches, 1) % 64 == 0)
			OK(pager_statistics(p, &statistics));
	}
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

static struct honest *beside;
static pid_t beside_pid;

static void
begin(struct live *d)
{
	beside = shared_alloc(sizeof(*beside));
	live_start(d, "8M", "--socket-mode", "0666", "--log-level", "notice", NULL);
	beside_pid = client_start(d, honest, beside);
	WAIT_UNTIL(d, atomic_load(&beside->touches) > 0);
}

/* The daemon serves as before: jobs and the loop by a request each, faults by touches. */
static void
is_served(struct live *d)
{
	uint64_t touches = atomic_load(&beside->touches);
	char text[20000];

	REQUIRE(live_pagerctl(d, text, sizeof(text), "clients", NULL) == 0, "%s", text);
	REQUIRE(live_pagerctl(d, text, sizeof(text), "check", NULL) == 0, "%s", text);
	WAIT_UNTIL(d, atomic_load(&beside->touches) > touches + 500);
}

/* SIGTERM, with whatever is stuck. */
static void
end(struct live *d)
{
	is_served(d);
	atomic_store(&beside->stop, true);
	client_join(d, beside_pid, false);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0);
	live_stop(d);
}

/* --- descriptors --- */

/* A TCP connection whose close(2) waits: what was sent has not been received. */
static int
lingering(void)
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

/* Sends with descriptors, and closes them here: the other end has the last ones. */
static void
send_fds(int fd, const void *bytes, size_t size, int *fds, unsigned count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * FDS_MAX)];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)bytes, size };
	struct msghdr message = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(sizeof(int) * count) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&message);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(int) * count);
	memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
	REQUIRE(sendmsg(fd, &message, MSG_NOSIGNAL) == (ssize_t)size, "%s", strerror(errno));
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

static size_t
message_make(void *to, uint16_t type, const void *body, size_t body_bytes)
{
	struct pager_msg_header header = {
		.type = type, .length = (uint32_t)(sizeof(header) + body_bytes), .sequence = 1
	};

	memcpy(to, &header, sizeof(header));
	memcpy((char *)to + sizeof(header), body, body_bytes);
	return header.length;
}

static int
socket_open(struct live *d)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	REQUIRE(strlen(d->socket) < sizeof(address.sun_path), "%s", d->socket);
	strcpy(address.sun_path, d->socket);
	REQUIRE(
	    connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "%s", strerror(errno));
	return fd;
}

/* => when the daemon has hung up */
static void
wait_hangup(int fd)
{
	struct pollfd p = { .fd = fd };

	while (poll(&p, 1, -1) < 0 || !(p.revents & POLLHUP))
		continue;
}

/* Those whose names have that in them; "": all. */
static unsigned
descriptors_of(pid_t pid, const char *what)
{
	char path[64], name[400], target[128];
	unsigned count = 0;
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	REQUIRE(dir, "%s: %s", path, strerror(errno));
	while ((e = readdir(dir)) != NULL) {
		ssize_t n;

		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		n = readlink(name, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		count += strstr(target, what) != NULL;
	}
	closedir(dir);
	return count;
}

/* What one process of a test does, and when it may end. */
struct actor {
	atomic_bool stop, stopped; /* the daemon shall be, and is, stopped */
	atomic_bool done, go_on, refused;
	atomic_int number;
};

/* What is sent in between is closed here before the daemon can: it has the last ones. Once in a
 * test: being stopped ends a close(2) that lingers. */
static void
daemon_stop(struct live *d, struct actor *a)
{
	atomic_store(&a->stop, true);
	WAIT_UNTIL(d, atomic_load(&a->stopped));
}

static void
daemon_continue(struct actor *a)
{
	atomic_store(&a->stopped, false);
}

static void
act_until_told(struct live *d, struct actor *a)
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

/* Starts the actor and waits until it has done its part. */
static pid_t
act(struct live *d, uid_t uid, client_body *body, struct actor *a)
{
	pid_t pid = client_start_as(d, uid, body, a);

	while (!atomic_load(&a->done)) {
		if (atomic_load(&a->stop))
			stop_for(d, a);
		live_tick(d);
	}
	return pid;
}

/* --- a descriptor that lingers, with messages that take none --- */

static void
lingers(struct live *d, void *argument)
{
	struct actor *a = argument;
	_Alignas(8) unsigned char message[256];
	struct pager_req_hello hello = { PAGER_PROTO_VERSION, PAGER_PROTO_VERSION, PAGER_ROLE_TOOL,
		0, 0, "lingers" };
	struct pager_req_statistics statistics = { 0 };
	int sockets[OF_ONE_USER], late[OF_ONE_USER];

	for (unsigned i = 0; i < OF_ONE_USER; i++) {
		sockets[i] = socket_open(d);
		late[i] = lingering();
	}
	daemon_stop(d, a);
	for (unsigned i = 0; i < OF_ONE_USER; i++) {
		size_t size = i % 2 ? message_make(message, PAGER_MSG_HELLO, &hello, sizeof(hello))
				    : message_make(message, PAGER_MSG_STATISTICS, &statistics,
					  sizeof(statistics));

		/* One of them is no message at all. */
		send_fds(sockets[i], message, i == 2 ? 3 : size, &late[i], 1);
	}
	daemon_continue(a);
	for (unsigned i = 0; i < OF_ONE_USER; i++)
		wait_hangup(sockets[i]);
	WAIT_UNTIL(d, live_stat(d, "closes_stuck") == OF_ONE_USER);
	if (geteuid() != 0) {
		struct pager *p;

		EQ(pager_connect(d->socket, NULL, &p), -EDQUOT);
		atomic_store(&a->refused, true);
	}
	act_until_told(d, a);
}

static void
test_linger(void)
{
	bool as_nobody = geteuid() == 0;
	struct actor *a = shared_alloc(sizeof(*a));
	struct live d;

	begin(&d);
	act(&d, as_nobody ? NOBODY : 0, lingers, a);
	REQUIRE(live_stat(&d, "closes_late") >= OF_ONE_USER);
	is_served(&d);
	if (as_nobody) {
		/* Root and the daemon's user are let in all the same: is_served is one of them. */
		REQUIRE(atomic_load(&a->refused));
		REQUIRE(live_log_count(&d, "takes long") > 0 &&
			live_log_count(&d, "cannot be closed") > 0);
	}
	/* They are still stuck when the daemon ends. */
	d.refuses = true;
	end(&d);
}

/* When they come back their user is let in again. */
static void
test_back(void)
{
	bool as_nobody = geteuid() == 0;
	struct actor *a = shared_alloc(sizeof(*a));
	struct live d;
	pid_t pid;

	begin(&d);
	pid = act(&d, as_nobody ? NOBODY : 0, lingers, a);
	client_kill(pid);
	WAIT_UNTIL(&d, live_stat(&d, "closes_stuck") == 0 && live_stat(&d, "closes_waiting") == 0);
	{
		struct honest *again = shared_alloc(sizeof(*again));

		atomic_store(&again->stop, true);
		client_join(&d, client_start_as(&d, as_nobody ? NOBODY : 0, honest, again), false);
	}
	end(&d);
}

/* --- with ATTACH, which takes one, and as what has been the agent's --- */

static void
attaches(struct live *d, void *argument)
{
	struct actor *a = argument;
	_Alignas(8) unsigned char message[256];
	struct pager_req_attach request = { 0x10000, PAGER_PROBE_PAGES * 4096 };
	size_t size = message_make(message, PAGER_MSG_ATTACH, &request, sizeof(request));
	struct raw r, two;
	int fds[2], one = lingering();

	raw_hello(d, &two);
	raw_hello(d, &r);
	fds[0] = two.uffd;
	fds[1] = lingering();
	daemon_stop(d, a);
	send_fds(two.chan.fd, message, size, fds, 2);
	/* In the place of the userfaultfd: the session may go on. */
	send_fds(r.chan.fd, message, size, &one, 1);
	daemon_continue(a);
	wait_hangup(two.chan.fd);
	REQUIRE(recv(r.chan.fd, message, sizeof(message), 0) == sizeof(struct pager_msg_header));
	EQ(((struct pager_msg_header *)message)->error, -EBADF);
	OK(raw_attach(&r, r.uffd, raw_probe(r.uffd)));
	WAIT_UNTIL(d, live_stat(d, "closes_stuck") == 2);
	act_until_told(d, a);
}

static void
test_attach(void)
{
	struct actor *a = shared_alloc(sizeof(*a));
	struct live d;
	pid_t pid;

	begin(&d);
	pid = act(&d, 0, attaches, a);
	is_served(&d);
	client_kill(pid);
	end(&d);
}

/* --- unread, in the socket's queue, when its session ends --- */

static void
leaves_unread(struct live *d, void *argument)
{
	struct actor *a = argument;
	const size_t bytes = 3000 * d->page_bytes;
	unsigned char *base = raw_reserve(bytes);
	struct pager_req_behavior release = { (uintptr_t)base, bytes, PAGER_BEHAVIOR_FREE, 0 };
	_Alignas(8) unsigned char message[256];
	struct raw r;
	int memfd, late;
	uint64_t offset;
	size_t size;

	raw_connect(d, &r);
	OK(raw_allocate(&r, (uintptr_t)base, bytes, &memfd, &offset));
	raw_map(&r, base, bytes, memfd, offset);
	for (size_t i = 0; i < bytes; i += d->page_bytes)
		base[i] = 1;
	/* Behind a request that takes a while. If that has ended by then, this one ends the session
	 * as well. */
	size = message_make(message, PAGER_MSG_BEHAVIOR, &release, sizeof(release));
	late = lingering();
	daemon_stop(d, a);
	REQUIRE(send(r.chan.fd, message, size, MSG_NOSIGNAL) == (ssize_t)size);
	send_fds(r.chan.fd, message, size, &late, 1);
	daemon_continue(a);
	shutdown(r.chan.fd, SHUT_WR);
	wait_hangup(r.chan.fd);
	WAIT_UNTIL(d, live_stat(d, "closes_stuck") == 1);
	act_until_told(d, a);
}

static void
test_unread(void)
{
	struct actor *a = shared_alloc(sizeof(*a));
	struct live d;
	pid_t pid;

	begin(&d);
	pid = act(&d, 0, leaves_unread, a);
	is_served(&d);
	client_kill(pid);
	end(&d);
}

/* --- as many as a message can have --- */

static void
surplus(struct live *d, void *argument)
{
	struct actor *a = argument;
	_Alignas(8) unsigned char message[256];
	struct pager_req_attach request = { 0x10000, PAGER_PROBE_PAGES * 4096 };
	size_t size = message_make(message, PAGER_MSG_ATTACH, &request, sizeof(request));

	for (unsigned round = 0; round < 10; round++) {
		int fds[FDS_MAX];
		struct raw r;

		raw_hello(d, &r);
		for (unsigned i = 0; i < FDS_MAX; i++)
			REQUIRE((fds[i] = eventfd(0, EFD_CLOEXEC)) >= 0, "%s", strerror(errno));
		/* One of those that a small buffer has no room for. */
		if (round == 0) {
			close(fds[200]);
			fds[200] = lingering();
			daemon_stop(d, a);
		}
		send_fds(r.chan.fd, message, size, fds, FDS_MAX);
		if (round == 0)
			daemon_continue(a);
		wait_hangup(r.chan.fd);
		raw_close(&r);
	}
	WAIT_UNTIL(d, live_stat(d, "closes_stuck") == 1 && live_stat(d, "closes_waiting") == 0);
	act_until_told(d, a);
}

static void
test_surplus(void)
{
	struct actor *a = shared_alloc(sizeof(*a));
	unsigned before;
	struct live d;
	pid_t pid;

	begin(&d);
	before = descriptors_of(d.pid, "eventfd");
	pid = act(&d, 0, surplus, a);
	EQ(live_stat(&d, "protocol_errors"), 10);
	WAIT_UNTIL(&d, descriptors_of(d.pid, "eventfd") == before);
	is_served(&d);
	client_kill(pid);
	end(&d);
}

/* --- no room to receive them --- */

struct crowd {
	atomic_bool connected, full;
};

static void
crowded(struct live *d, void *argument)
{
	struct crowd *c = argument;
	struct raw r;

	raw_hello(d, &r);
	atomic_store(&c->connected, true);
	while (!atomic_load(&c->full))
		usleep(1000);
	EQ(raw_attach(&r, r.uffd, raw_probe(r.uffd)), -EMFILE);
	wait_hangup(r.chan.fd);
}

static void
test_crowded(void)
{
	struct crowd *c = shared_alloc(sizeof(*c));
	struct rlimit before, none;
	struct live d;
	pid_t pid;

	begin(&d);
	REQUIRE(prlimit(d.pid, RLIMIT_NOFILE, NULL, &before) == 0);
	pid = client_start(&d, crowded, c);
	WAIT_UNTIL(&d, atomic_load(&c->connected));
	/* No number is left, and those who are there go on. */
	none = (struct rlimit){ 3, before.rlim_max };
	REQUIRE(prlimit(d.pid, RLIMIT_NOFILE, &none, NULL) == 0, "%s", strerror(errno));
	atomic_store(&c->full, true);
	client_join(&d, pid, false);
	REQUIRE(prlimit(d.pid, RLIMIT_NOFILE, &before, NULL) == 0, "%s", strerror(errno));
	is_served(&d);
	end(&d);
}

/* --- the agent's socket takes nothing --- */

static void
agent(struct live *d, void *argument)
{
	struct raw r;

	(void)argument;
	raw_connect(d, &r);
	REQUIRE(send(r.agent, "x", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && errno == EPIPE, "%s",
	    strerror(errno));
	if (geteuid() == 0)
		REQUIRE(r.proven);
	raw_close(&r);
}

static void
test_agent(void)
{
	struct live d;

	begin(&d);
	client_join(&d, client_start(&d, agent, NULL), false);
	end(&d);
}

/* --- another process's userfaultfd --- */

static void
others_memory(struct live *d, void *argument)
{
	struct raw r, own;
	void *probe;
	int status;
	pid_t pid;

	(void)argument;
	/* This process's userfaultfd, in the hands of its child, which has a copy of the range. */
	raw_hello(d, &r);
	probe = raw_probe(r.uffd);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		raw_hello(d, &own);
		EQ(raw_attach(&own, r.uffd, probe), -EPERM);
		_exit(0);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid && status == 0, "status %x", (unsigned)status);
	/* It is still good for whom it belongs to. */
	REQUIRE(madvise(probe, PAGER_PROBE_PAGES * 4096, MADV_DONTNEED) == 0);
	OK(raw_attach(&r, r.uffd, probe));
	REQUIRE(r.proven);
	raw_close(&r);
}

static void
test_other(void)
{
	struct live d;

	if (geteuid() != 0) {
		fprintf(stderr, "skipped: only root's daemon looks at every process\n");
		exit(77);
	}
	begin(&d);
	client_join(&d, client_start(&d, others_memory, NULL), false);
	REQUIRE(live_log_count(&d, "watches another process's memory") == 1);
	end(&d);
}

/* --- a session whose process is gone while its socket is open --- */

static void
leaves_socket(struct live *d, void *argument)
{
	struct actor *a = argument;
	unsigned char *base = raw_reserve(64 * d->page_bytes);
	uint64_t offset;
	struct raw r;
	int memfd;
	pid_t pid;

	raw_connect(d, &r);
	OK(raw_allocate(&r, (uintptr_t)base, 64 * d->page_bytes, &memfd, &offset));
	raw_map(&r, base, 64 * d->page_bytes, memfd, offset);
	madvise(base, 64 * d->page_bytes, MADV_DONTFORK);
	for (unsigned i = 0; i < 64; i++)
		base[i * d->page_bytes] = 1;
	WAIT_UNTIL(d, live_stat(d, "sessions") == 2);
	/* The child has every descriptor, and stays. */
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		while (!atomic_load(&a->go_on))
			usleep(1000);
		_exit(0);
	}
	atomic_store(&a->number, pid);
}

static void
test_orphan(void)
{
	struct actor *a = shared_alloc(sizeof(*a));
	struct live d;

	begin(&d);
	client_join(&d, client_start(&d, leaves_socket, a), false);
	REQUIRE(kill(atomic_load(&a->number), 0) == 0);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 1);
	atomic_store(&a->go_on, true);
	end(&d);
}

/* --- gone while its request runs --- */

static void
dies(struct live *d, void *argument)
{
	const unsigned *round = argument;
	const size_t bytes = 2000 * d->page_bytes;
	unsigned char *base = raw_reserve(bytes);
	struct pager_req_behavior behavior = { (uintptr_t)base, bytes,
		PAGER_BEHAVIOR_WILLNEED + *round % 4, 0 };
	struct pager_req_wire range = { (uintptr_t)base, bytes };
	_Alignas(8) unsigned char message[256];
	uint64_t offset;
	struct raw r;
	int memfd;
	size_t size;

	raw_connect(d, &r);
	OK(raw_allocate(&r, (uintptr_t)base, bytes, &memfd, &offset));
	raw_map(&r, base, bytes, memfd, offset);
	for (size_t i = 0; i < bytes; i += d->page_bytes)
		base[i] = 1;
	size = *round % 3
		   ? message_make(message, PAGER_MSG_BEHAVIOR, &behavior, sizeof(behavior))
		   : message_make(message, *round % 2 ? PAGER_MSG_WIRE : PAGER_MSG_DEALLOCATE,
			 &range, sizeof(range));
	REQUIRE(send(r.chan.fd, message, size, MSG_NOSIGNAL) == (ssize_t)size);
	kill(getpid(), SIGKILL);
}

static void
test_dies(void)
{
	unsigned *round = shared_alloc(sizeof(*round));
	struct live d;

	begin(&d);
	for (uint64_t n = live_scaled(60); n > 0; n--) {
		pid_t pid = client_start(&d, dies, round);
		siginfo_t info;

		while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0)
			continue;
		REQUIRE(info.si_status == SIGKILL, "client ended by %d", info.si_status);
		client_kill(pid);
		++*round;
	}
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 1);
	end(&d);
}

/* --- SIGTERM while jobs are stuck: what is recorded goes into a pipe that is full --- */

static bool
thread_waits_in(pid_t pid, const char *where)
{
	char path[64], name[400], text[128];
	bool found = false;
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	REQUIRE(dir, "%s: %s", path, strerror(errno));
	while (!found && (e = readdir(dir)) != NULL) {
		FILE *f;

		snprintf(name, sizeof(name), "%s/%s/wchan", path, e->d_name);
		f = e->d_name[0] == '.' ? NULL : fopen(name, "re");
		if (!f)
			continue;
		found = fgets(text, sizeof(text), f) && strstr(text, where);
		fclose(f);
	}
	closedir(dir);
	return found;
}

static unsigned
names_in(const char *path)
{
	unsigned count = 0;
	struct dirent *e;
	DIR *dir = opendir(path);

	while (dir && (e = readdir(dir)) != NULL)
		count += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return count;
}

static void
test_stuck(void)
{
	_Alignas(8) unsigned char message[256], bytes[4096] = { 0 };
	struct pager_req_trace trace = { .op = PAGER_TRACE_START };
	char swap[160];
	int ends[2], fd;
	siginfo_t info;
	struct live d;

	begin(&d);
	WAIT_UNTIL(&d, live_stat(&d, "swap_files") > 0);
	snprintf(swap, sizeof(swap), "%s/swap", d.directory);
	REQUIRE(names_in(swap) > 0);
	REQUIRE(pipe2(ends, O_CLOEXEC) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
	while (write(ends[1], bytes, sizeof(bytes)) > 0)
		continue;
	REQUIRE(fcntl(ends[1], F_SETFL, 0) == 0);
	fd = dup(d.chan.fd);
	send_fds(fd, message, message_make(message, PAGER_MSG_TRACE, &trace, sizeof(trace)),
	    &ends[1], 1);
	close(fd);
	while (!thread_waits_in(d.pid, "pipe_write"))
		live_tick(&d);
	client_kill(beside_pid);
	REQUIRE(kill(d.pid, SIGTERM) == 0);
	while (waitid(P_PID, (id_t)d.pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		continue;
	REQUIRE(info.si_code == CLD_EXITED && info.si_status == 0, "code %d status %d",
	    info.si_code, info.si_status);
	REQUIRE(live_log_count(&d, "without waiting for them") == 1);
	REQUIRE(access(d.socket, F_OK) < 0 && errno == ENOENT);
	EQ(names_in(swap), 0);
	close(ends[0]);
	live_kill(&d);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(void);
	} tests[] = { { "linger", test_linger }, { "back", test_back }, { "attach", test_attach },
		{ "unread", test_unread }, { "surplus", test_surplus }, { "crowded", test_crowded },
		{ "agent", test_agent }, { "other", test_other }, { "orphan", test_orphan },
		{ "dies", test_dies }, { "stuck", test_stuck } };
	const char *name = argc > 1 ? argv[1] : "";

	live_init(argc, argv);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (strcmp(name, tests[i].name) != 0)
			continue;
		tests[i].run();
		return 0;
	}
	FAIL("no such test: \"%s\"", name);
}
