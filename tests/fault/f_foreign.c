/* SPDX-License-Identifier: MIT
 *
 * Descriptors that clients hand in: their close(2) waits, there are too many of them, or no room to
 * receive them. An honest client goes on meanwhile, and SIGTERM ends the daemon.
 *
 * usage: f_foreign linger|back|attach|unread|surplus|crowded
 */
#include "foreign.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define NOBODY      65534
#define OF_ONE_USER 4 /* a user with this many late closes is refused */

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
		sockets[i] = raw_socket(d->socket);
		late[i] = lingering_socket();
	}
	actor_stop_daemon(d, a);
	for (unsigned i = 0; i < OF_ONE_USER; i++) {
		size_t size = i % 2 ? raw_message(message, PAGER_MSG_HELLO, &hello, sizeof(hello))
				    : raw_message(message, PAGER_MSG_STATISTICS, &statistics,
					  sizeof(statistics));

		/* One of them is not a message: it is too short. */
		send_away(sockets[i], message, i == 2 ? 3 : size, &late[i], 1);
	}
	actor_continue_daemon(a);
	for (unsigned i = 0; i < OF_ONE_USER; i++)
		raw_wait_hangup(sockets[i]);
	WAIT_UNTIL(d, live_stat(d, "closes_stuck") == OF_ONE_USER);
	if (geteuid() != 0) {
		struct pager *p;

		EQ(pager_connect(d->socket, NULL, &p), -EDQUOT);
		atomic_store(&a->refused, true);
	}
	actor_wait(d, a);
}

static void
test_linger(void)
{
	bool as_nobody = geteuid() == 0;
	struct actor *a = shared_alloc(sizeof(*a));
	struct live d;

	foreign_begin(&d);
	actor_start(&d, as_nobody ? NOBODY : 0, lingers, a);
	REQUIRE(live_stat(&d, "closes_late") >= OF_ONE_USER);
	foreign_served(&d);
	if (as_nobody) {
		/* Root and the daemon's user are still let in: foreign_served connects as one of
		 * them. */
		REQUIRE(atomic_load(&a->refused));
		REQUIRE(live_log_count(&d, "takes long") > 0 &&
			live_log_count(&d, "cannot be closed") > 0);
	}
	/* They are still stuck when the daemon ends. */
	d.refuses = true;
	foreign_end(&d);
}

/* When the closes have returned their user is let in again. */
static void
test_back(void)
{
	bool as_nobody = geteuid() == 0;
	struct actor *a = shared_alloc(sizeof(*a));
	struct live d;
	pid_t pid;

	foreign_begin(&d);
	pid = actor_start(&d, as_nobody ? NOBODY : 0, lingers, a);
	client_kill(pid);
	WAIT_UNTIL(&d, live_stat(&d, "closes_stuck") == 0 && live_stat(&d, "closes_waiting") == 0);
	{
		struct honest *again = shared_alloc(sizeof(*again));

		atomic_store(&again->stop, true);
		client_join(
		    &d, client_start_as(&d, as_nobody ? NOBODY : 0, honest_client, again), false);
	}
	foreign_end(&d);
}

/* --- with ATTACH, which takes one descriptor, in the userfaultfd's place --- */

static void
attaches(struct live *d, void *argument)
{
	struct actor *a = argument;
	_Alignas(8) unsigned char message[256];
	struct pager_req_attach request = { 0x10000, PAGER_PROBE_PAGES * 4096 };
	size_t size = raw_message(message, PAGER_MSG_ATTACH, &request, sizeof(request));
	struct raw r, two;
	int fds[2], one = lingering_socket();

	raw_hello(d, &two);
	raw_hello(d, &r);
	fds[0] = two.uffd;
	fds[1] = lingering_socket();
	actor_stop_daemon(d, a);
	send_away(two.chan.fd, message, size, fds, 2);
	/* In the place of the userfaultfd: the session may go on. */
	send_away(r.chan.fd, message, size, &one, 1);
	actor_continue_daemon(a);
	raw_wait_hangup(two.chan.fd);
	REQUIRE(recv(r.chan.fd, message, sizeof(message), 0) == sizeof(struct pager_msg_header));
	EQ(((struct pager_msg_header *)message)->error, -EBADF);
	OK(raw_attach(&r, r.uffd, raw_probe(r.uffd)));
	WAIT_UNTIL(d, live_stat(d, "closes_stuck") == 2);
	actor_wait(d, a);
}

/* The actor does its part; the daemon serves beside it, and after its end. */
static void
test_actor(client_body *body)
{
	struct actor *a = shared_alloc(sizeof(*a));
	struct live d;
	pid_t pid;

	foreign_begin(&d);
	pid = actor_start(&d, 0, body, a);
	foreign_served(&d);
	client_kill(pid);
	foreign_end(&d);
}

static void
test_attach(void)
{
	test_actor(attaches);
}

/* --- unread, in the socket's queue, when its session ends --- */

static void
leaves_unread(struct live *d, void *argument)
{
	struct actor *a = argument;
	const size_t bytes = 3000 * d->page_bytes;
	unsigned char *base;
	struct pager_req_behavior release = { .size = bytes, .behavior = PAGER_BEHAVIOR_FREE };
	_Alignas(8) unsigned char message[256];
	struct raw r;
	int memfd, late;
	uint64_t offset;
	size_t size;

	raw_connect(d, &r);
	base = raw_memory(&r, bytes, &memfd, &offset);
	for (size_t i = 0; i < bytes; i += d->page_bytes)
		base[i] = 1;
	/* Queued behind a request that takes a while. If that request has ended by then, this
	 * message ends the session instead. */
	release.address = (uintptr_t)base;
	size = raw_message(message, PAGER_MSG_BEHAVIOR, &release, sizeof(release));
	late = lingering_socket();
	actor_stop_daemon(d, a);
	REQUIRE(send(r.chan.fd, message, size, MSG_NOSIGNAL) == (ssize_t)size);
	send_away(r.chan.fd, message, size, &late, 1);
	actor_continue_daemon(a);
	shutdown(r.chan.fd, SHUT_WR);
	raw_wait_hangup(r.chan.fd);
	WAIT_UNTIL(d, live_stat(d, "closes_stuck") == 1);
	actor_wait(d, a);
}

static void
test_unread(void)
{
	test_actor(leaves_unread);
}

/* --- as many as a message can carry --- */

static void
surplus(struct live *d, void *argument)
{
	struct actor *a = argument;
	_Alignas(8) unsigned char message[256];
	struct pager_req_attach request = { 0x10000, PAGER_PROBE_PAGES * 4096 };
	size_t size = raw_message(message, PAGER_MSG_ATTACH, &request, sizeof(request));

	for (unsigned round = 0; round < 10; round++) {
		int fds[DESCRIPTORS_MAX];
		struct raw r;

		raw_hello(d, &r);
		for (unsigned i = 0; i < DESCRIPTORS_MAX; i++)
			REQUIRE((fds[i] = eventfd(0, EFD_CLOEXEC)) >= 0, "%s", strerror(errno));
		/* A descriptor for which a small buffer would have no room. */
		if (round == 0) {
			close(fds[200]);
			fds[200] = lingering_socket();
			actor_stop_daemon(d, a);
		}
		send_away(r.chan.fd, message, size, fds, DESCRIPTORS_MAX);
		if (round == 0)
			actor_continue_daemon(a);
		raw_wait_hangup(r.chan.fd);
		raw_close(&r);
	}
	WAIT_UNTIL(d, live_stat(d, "closes_stuck") == 1 && live_stat(d, "closes_waiting") == 0);
	actor_wait(d, a);
}

static void
test_surplus(void)
{
	struct actor *a = shared_alloc(sizeof(*a));
	unsigned before;
	struct live d;
	pid_t pid;

	foreign_begin(&d);
	before = live_descriptors_count(d.pid, "eventfd");
	pid = actor_start(&d, 0, surplus, a);
	EQ(live_stat(&d, "protocol_errors"), 10);
	WAIT_UNTIL(&d, live_descriptors_count(d.pid, "eventfd") == before);
	foreign_served(&d);
	client_kill(pid);
	foreign_end(&d);
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
	raw_wait_hangup(r.chan.fd);
}

static void
test_crowded(void)
{
	struct crowd *c = shared_alloc(sizeof(*c));
	struct rlimit before, none;
	struct live d;
	pid_t pid;

	foreign_begin(&d);
	REQUIRE(prlimit(d.pid, RLIMIT_NOFILE, NULL, &before) == 0);
	pid = client_start(&d, crowded, c);
	WAIT_UNTIL(&d, atomic_load(&c->connected));
	/* No descriptor number is left; present clients go on. */
	none = (struct rlimit){ 3, before.rlim_max };
	REQUIRE(prlimit(d.pid, RLIMIT_NOFILE, &none, NULL) == 0, "%s", strerror(errno));
	atomic_store(&c->full, true);
	client_join(&d, pid, false);
	REQUIRE(prlimit(d.pid, RLIMIT_NOFILE, &before, NULL) == 0, "%s", strerror(errno));
	foreign_served(&d);
	foreign_end(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "linger", test_linger },
		{ "back", test_back },
		{ "attach", test_attach },
		{ "unread", test_unread },
		{ "surplus", test_surplus },
		{ "crowded", test_crowded },
	};

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
