/* SPDX-License-Identifier: MIT
 *
 * Ports: what is sent and how, who may send, what the calls answer, and that nothing is left.
 *
 * usage: e_port NAME [page=SIZE] [memory=SIZE]
 */
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "share.h"
#include "children.h"

#define PORT "unit/test:1"

static void
pattern_write(unsigned char *at, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size; i++)
		at[i] = (unsigned char)(mix64(seed + i / 8) >> i % 8 * 8);
}

static void
pattern_verify(const unsigned char *at, size_t size, uint64_t seed)
{
	for (size_t i = 0; i < size; i++)
		REQUIRE(at[i] == (unsigned char)(mix64(seed + i / 8) >> i % 8 * 8),
		    "byte %zu of %zu", i, size);
}

/* --- kinds: each kind of memory, sent to oneself in every way --- */

static struct pager_message
receive(struct pager_port *port, uint64_t id)
{
	struct pager_message m = { 0 };

	OK(pager_receive(port, 0, -1, &m));
	EQ(m.id, id);
	EQ(m.pid, getpid());
	EQ(m.uid, getuid());
	return m;
}

static void
kind(struct pager *p, struct pager_port *ports[2], void *at, size_t size, unsigned flags,
    enum pager_transfer want)
{
	static uint64_t id;
	enum pager_transfer done = 0;
	struct pager_message m;

	id++;
	pattern_write(at, size, id);
	OK(pager_send(ports[1], at, size, flags, id, 0, &done));
	EQ(done, want);
	/* What the sender does from now on is not seen. */
	if (!(flags & PAGER_SEND_DEALLOCATE))
		memset(at, 0xa5, size);
	m = receive(ports[0], id);
	EQ(m.size, size);
	EQ(m.flags, flags);
	EQ(m.done, want);
	pattern_verify(m.addr, size, id);
	memset(m.addr, 0x5a, size);
	OK(pager_deallocate(p, m.addr, m.size));
}

static void
ports_make(struct pager *p, struct pager_port *ports[2], unsigned limit)
{
	OK(pager_port_create(p, PORT, PAGER_PORT_SENDERS_USER, limit, &ports[0]));
	OK(pager_port_open(p, PORT, &ports[1]));
}

static void
kinds_client(struct live *d, void *argument)
{
	static unsigned char plain[100000];
	struct pager *p = client_connect(d);
	size_t large = 16 * d->page_bytes > 65536 ? 16 * d->page_bytes : 65536;
	struct pager_port *ports[2];
	unsigned char *at;

	(void)argument;
	ports_make(p, ports, 0);
	kind(p, ports, plain, 1, PAGER_SEND_VIRTUAL, PAGER_TRANSFER_PHYSICAL);
	kind(p, ports, plain + 3, 99990, PAGER_SEND_PHYSICAL, PAGER_TRANSFER_PHYSICAL);
	at = client_allocate(p, large);
	kind(p, ports, at, large, PAGER_SEND_PHYSICAL, PAGER_TRANSFER_PHYSICAL);
	kind(p, ports, at + 7, large - 7, PAGER_SEND_VIRTUAL, PAGER_TRANSFER_PHYSICAL);
	kind(p, ports, at, large, PAGER_SEND_VIRTUAL, PAGER_TRANSFER_VIRTUAL);
	kind(p, ports, at, large - 5, PAGER_SEND_VIRTUAL, PAGER_TRANSFER_VIRTUAL);
	kind(p, ports, at, large, PAGER_SEND_VIRTUAL | PAGER_SEND_DEALLOCATE,
	    PAGER_TRANSFER_VIRTUAL);
	at = client_allocate(p, large);
	kind(p, ports, at, large, PAGER_SEND_PHYSICAL | PAGER_SEND_DEALLOCATE,
	    PAGER_TRANSFER_PHYSICAL);
	EQ(pager_deallocate(p, at, large), -EINVAL);
	/* Small memory is copied, even where it could move. */
	OK(pager_allocate(p, 1, PAGER_ALLOC_SHAREABLE, (void **)&at));
	kind(p, ports, at, 1, PAGER_SEND_VIRTUAL | PAGER_SEND_DEALLOCATE, PAGER_TRANSFER_PHYSICAL);
	for (unsigned way = PAGER_SEND_VIRTUAL; way <= PAGER_SEND_PHYSICAL; way++) {
		OK(pager_allocate(p, large, PAGER_ALLOC_SHAREABLE, (void **)&at));
		OK(pager_tag(p, at, large, 9));
		kind(p, ports, at, large, way | PAGER_SEND_DEALLOCATE, PAGER_TRANSFER_MOVED);
		EQ(pager_deallocate(p, at, large), -EINVAL);
	}
	OK(pager_port_close(ports[1]));
	OK(pager_port_close(ports[0]));
	OK(pager_disconnect(p));
}

static void
kinds(void)
{
	struct live d = { 0 };

	daemon_start(&d);
	client_join(&d, client_start(&d, kinds_client, NULL), false);
	WAIT_UNTIL(&d, resident(&d) == 0);
	EQ(live_stat(&d, "messages_sent"), live_stat(&d, "messages_received"));
	EQ(live_stat(&d, "messages_moved"), 2);
	WAIT_UNTIL(&d, live_stat(&d, "ports") == 0);
	live_stop(&d);
}

/* --- rights: who may send to whom; what comes from another user is a copy of the receiver's own */

struct rights {
	struct stage stage;
	char name[PAGER_PORT_NAME];
	enum pager_port_senders senders;
	unsigned messages;
};

static void
rights_receiver(struct live *d, void *argument)
{
	struct rights *r = argument;
	struct pager *p = client_connect(d);
	struct pager_port *port, *other;
	struct pager_port_info info;

	OK(pager_port_create(p, r->name, r->senders, 0, &port));
	EQ(pager_port_create(p, r->name, r->senders, 0, &other), -EEXIST);
	OK(pager_port_info(port, &info));
	EQ(info.uid, getuid());
	EQ(info.pid, getpid());
	EQ(info.queue_limit, 5);
	EQ(info.receives, 1);
	EQ(pager_send(port, &info, sizeof(info), PAGER_SEND_PHYSICAL, 1, 0, NULL), -EPERM);
	stage_meet(d, &r->stage, 1);
	for (unsigned i = 0; i < r->messages; i++) {
		struct pager_region_info region;
		struct pager_message m;

		OK(pager_receive(port, 0, -1, &m));
		EQ(m.done, PAGER_TRANSFER_VIRTUAL);
		EQ(m.uid, m.id);
		pattern_verify(m.addr, m.size, m.id);
		OK(pager_region(p, m.addr, &region));
		EQ(region.max_protection, PROT_READ | PROT_WRITE);
		memset(m.addr, 1, m.size);
		OK(pager_deallocate(p, m.addr, m.size));
	}
	OK(pager_disconnect(p));
}

static void
rights_sender(struct live *d, void *argument)
{
	struct rights *r = argument;
	struct pager *p = client_connect(d);
	size_t bytes = 20 * d->page_bytes;
	struct pager_port_info info;
	struct pager_port *port;
	struct pager_message m;
	void *at;

	OK(pager_port_open(p, r->name, &port));
	OK(pager_port_info(port, &info));
	EQ(info.receives, 0);
	REQUIRE(strcmp(info.name, r->name) == 0);
	EQ(pager_receive(port, 0, 0, &m), -EPERM);
	EQ(pager_message_discard(port), -EPERM);
	OK(pager_allocate(p, bytes, PAGER_ALLOC_SHAREABLE, &at));
	pattern_write(at, bytes, getuid());
	OK(pager_send(
	    port, at, bytes, PAGER_SEND_VIRTUAL | PAGER_SEND_DEALLOCATE, getuid(), -1, NULL));
	EQ(pager_deallocate(p, at, bytes), -EINVAL);
	OK(pager_disconnect(p));
}

static void
rights_refused(struct live *d, void *argument)
{
	struct rights *r = argument;
	struct pager *p = client_connect(d);
	struct pager_port *port;

	EQ(pager_port_open(p, r->name, &port), -EACCES);
	EQ(pager_port_open(p, "nobody", &port), -ENOENT);
	OK(pager_disconnect(p));
}

/* Two users, who are not root. */
enum { ONE_UID = 65534, OTHER_UID = 65533 };

static void
rights_row(struct live *d, uid_t maker, enum pager_port_senders senders, uid_t user, bool may)
{
	struct rights *r = shared_alloc(sizeof(*r));
	char text[4096];
	pid_t pid;

	*r = (struct rights){ .name = PORT, .senders = senders, .messages = may };
	pid = client_start_as(d, maker, rights_receiver, r);
	stage_wait(d, &r->stage, 1);
	EQ(live_pagerctl(d, text, sizeof(text), "ports", NULL), 0);
	REQUIRE(strstr(text, PORT) != NULL, "%s", text);
	client_join(d, client_start_as(d, user, may ? rights_sender : rights_refused, r), false);
	stage_allow(&r->stage, 1);
	client_join(d, pid, false);
	WAIT_UNTIL(d, live_stat(d, "ports") == 0);
}

static void
rights(void)
{
	struct live d = { 0 };

	daemon_start(&d);
	rights_row(&d, ONE_UID, PAGER_PORT_SENDERS_USER, OTHER_UID, false);
	rights_row(&d, ONE_UID, PAGER_PORT_SENDERS_GROUP, OTHER_UID, false);
	rights_row(&d, ONE_UID, PAGER_PORT_SENDERS_ALL, OTHER_UID, true);
	rights_row(&d, 0, PAGER_PORT_SENDERS_USER, ONE_UID, false);
	rights_row(&d, 0, PAGER_PORT_SENDERS_ALL, ONE_UID, true);
	/* Root may send to anybody. */
	rights_row(&d, ONE_UID, PAGER_PORT_SENDERS_USER, 0, true);
	WAIT_UNTIL(&d, resident(&d) == 0);
	EQ(live_stat(&d, "messages_moved"), 0);
	live_stop(&d);
}

/* --- answers: what each call says where it does not do as it is told --- */

static void
fill(struct pager_port *port, unsigned count)
{
	unsigned char byte = 1;

	for (unsigned i = 0; i < count; i++)
		OK(pager_send(port, &byte, 1, PAGER_SEND_PHYSICAL, i, 0, NULL));
}

static bool
is_readable(const struct pager_port *port)
{
	struct pager_port_info info;
	struct pollfd p = { .events = POLLIN };

	OK(pager_port_info((struct pager_port *)(uintptr_t)port, &info));
	p.fd = info.fd;
	return poll(&p, 1, 0) == 1 && p.revents & POLLIN;
}

static void
full_and_empty(struct pager *p)
{
	struct pager_port *ports[2];
	struct pager_message m = { 0 };
	unsigned char byte = 1;

	ports_make(p, ports, 3);
	REQUIRE(!is_readable(ports[0]));
	REQUIRE(is_readable(ports[1]));
	EQ(pager_receive(ports[0], 0, 0, &m), -EAGAIN);
	EQ(pager_receive(ports[0], 0, 1, &m), -ETIMEDOUT);
	EQ(pager_message_discard(ports[0]), -EAGAIN);
	fill(ports[1], 3);
	REQUIRE(is_readable(ports[0]));
	REQUIRE(!is_readable(ports[1]));
	EQ(pager_send(ports[1], &byte, 1, PAGER_SEND_PHYSICAL, 9, 0, NULL), -EAGAIN);
	EQ(pager_send(ports[1], &byte, 1, PAGER_SEND_PHYSICAL, 9, 1, NULL), -ETIMEDOUT);
	OK(pager_receive(ports[0], 1, 0, &m));
	EQ(m.id, 0);
	EQ(*(unsigned char *)m.addr, 1);
	OK(pager_deallocate(p, m.addr, m.size));
	REQUIRE(is_readable(ports[0]));
	REQUIRE(is_readable(ports[1]));
	OK(pager_message_discard(ports[0]));
	OK(pager_message_discard(ports[0]));
	EQ(pager_message_discard(ports[0]), -EAGAIN);
	REQUIRE(!is_readable(ports[0]));
	/* One that is too large stays. */
	OK(pager_send(ports[1], ports, sizeof(ports), PAGER_SEND_PHYSICAL, 7, 0, NULL));
	EQ(pager_receive(ports[0], sizeof(ports) - 1, 0, &m), -EMSGSIZE);
	EQ(m.size, sizeof(ports));
	REQUIRE(is_readable(ports[0]));
	OK(pager_receive(ports[0], sizeof(ports), 0, &m));
	OK(pager_deallocate(p, m.addr, m.size));
	OK(pager_port_close(ports[0]));
	REQUIRE(pager_send(ports[1], &byte, 1, PAGER_SEND_PHYSICAL, 9, -1, NULL) == -EPIPE);
	OK(pager_port_close(ports[1]));
}

/* Memory that may not be given away, and memory that is not one's own. */
static void
refused_memory(struct live *d, struct pager *p)
{
	const unsigned gives = PAGER_SEND_VIRTUAL | PAGER_SEND_DEALLOCATE;
	size_t bytes = 16 * d->page_bytes > 65536 ? 16 * d->page_bytes : 65536;
	struct pager_memory_descriptor *pin;
	const struct pager_memory_piece *pieces;
	struct pager_port *ports[2];
	struct pager_message m;
	struct pager_upl *list;
	enum pager_transfer done;
	size_t count;
	char *at, *hole;
	int fd;

	ports_make(p, ports, 0);
	at = client_allocate(p, bytes);
	hole = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	EQ(pager_send(ports[1], at, 0, gives, 0, 0, NULL), -EINVAL);
	EQ(pager_send(ports[1], at, 1, 0, 0, 0, NULL), -EINVAL);
	EQ(pager_send(ports[1], at, 1, 3, 0, 0, NULL), -EINVAL);
	EQ(pager_send(ports[1], at, 1, 0x101, 0, 0, NULL), -EINVAL);
	EQ(pager_send(ports[1], at, SIZE_MAX, PAGER_SEND_VIRTUAL, 0, 0, NULL), -EINVAL);
	EQ(pager_send(ports[1], at + 1, 1, gives, 0, 0, NULL), -EINVAL);
	EQ(pager_send(ports[1], hole, bytes, PAGER_SEND_VIRTUAL, 0, 0, NULL), -EFAULT);
	EQ(pager_send(ports[1], hole, bytes, gives, 0, 0, NULL), -EINVAL);
	/* Pinned, and in a page list. */
	OK(pager_memory_descriptor_create(p, at, bytes, PAGER_DIRECTION_IN, &pin));
	OK(pager_memory_descriptor_prepare(pin, &pieces, &count));
	EQ(pager_send(ports[1], at, bytes, gives, 0, 0, NULL), -EBUSY);
	OK(pager_memory_descriptor_complete(pin));
	OK(pager_memory_descriptor_release(pin));
	OK(pager_upl_create(p, at, bytes, PAGER_UPL_COPYOUT_FROM, &list));
	EQ(pager_send(ports[1], at, bytes, gives, 0, 0, NULL), -EBUSY);
	OK(pager_upl_destroy(list));
	/* Nothing of that has come, and the memory is as it was. */
	memset(at, 3, bytes);
	EQ(pager_receive(ports[0], 0, 0, &m), -EAGAIN);
	OK(pager_deallocate(p, at, bytes));
	/* What has a name, or is wired, is copied. */
	for (unsigned i = 0; i < 2; i++) {
		OK(pager_allocate(p, bytes, PAGER_ALLOC_SHAREABLE, (void **)&at));
		memset(at, 4, bytes);
		if (i == 0) {
			OK(pager_make_entry(p, at, bytes, PROT_READ, 0, &fd));
			close(fd);
		} else {
			OK(pager_wire(p, at, bytes));
		}
		OK(pager_send(ports[1], at, bytes, gives, 0, 0, &done));
		EQ(done, i == 0 ? PAGER_TRANSFER_VIRTUAL : PAGER_TRANSFER_PHYSICAL);
		OK(pager_receive(ports[0], 0, 0, &m));
		REQUIRE(memchr(m.addr, 4, 1) && !memchr(m.addr, 0, bytes));
		OK(pager_deallocate(p, m.addr, m.size));
	}
	munmap(hole, bytes);
	OK(pager_port_close(ports[1]));
	OK(pager_port_close(ports[0]));
}

static void
names_refused(struct pager *p)
{
	static const char *const bad[] = { "", "a b", "tab\t", "esc\033[2J", "ä", "semi;colon",
		"0123456789012345678901234567890123456789012345678901234567890123" };
	struct pager_port *port;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EQ(pager_port_create(p, bad[i], 0, 0, &port), -EINVAL);
	EQ(pager_port_create(p, NULL, 0, 0, &port), -EINVAL);
	EQ(pager_port_create(p, PORT, 0, 0, NULL), -EINVAL);
	EQ(pager_port_create(p, PORT, 3, 0, &port), -EINVAL);
	EQ(pager_port_create(p, PORT, 0, 1025, &port), -EINVAL);
	EQ(pager_port_open(p, PORT, &port), -ENOENT);
}

static void
answers_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	struct pager_port *ports[2], *many[3];

	(void)argument;
	names_refused(p);
	full_and_empty(p);
	refused_memory(d, p);
	/* What is left open ends with the connection. */
	ports_make(p, ports, 0);
	fill(ports[1], 4);
	/* Parameter max_ports. */
	live_param(d, "max_ports", "2");
	OK(pager_port_create(p, "a", 0, 0, &many[0]));
	EQ(pager_port_create(p, "b", 0, 0, &many[1]), -ENOMEM);
	OK(pager_port_close(many[0]));
	OK(pager_port_create(p, "b", 0, 0, &many[1]));
	OK(pager_disconnect(p));
}

/* One user's share of what is in queues. */
static void
share_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	struct pager_port *ports[2];
	struct pager_message m;
	size_t bytes = 8 * d->page_bytes;
	char *plain = calloc(1, bytes);

	(void)argument;
	ports_make(p, ports, 100);
	for (unsigned i = 0; i < 2; i++) {
		OK(pager_send(ports[1], plain, bytes, PAGER_SEND_PHYSICAL, i, 0, NULL));
		OK(pager_send(ports[1], plain, bytes, PAGER_SEND_PHYSICAL, i, 0, NULL));
		EQ(pager_send(ports[1], plain, bytes, PAGER_SEND_PHYSICAL, i, -1, NULL), -EDQUOT);
		for (unsigned n = 0; n < 2; n++) {
			OK(pager_receive(ports[0], 0, 0, &m));
			OK(pager_deallocate(p, m.addr, m.size));
		}
	}
	OK(pager_disconnect(p));
}

static void
answers(void)
{
	struct live d = { 0 };
	char bytes[32];

	daemon_start(&d);
	client_join(&d, client_start(&d, answers_client, NULL), false);
	live_param(&d, "max_ports", "100");
	snprintf(bytes, sizeof(bytes), "%llu", (unsigned long long)(22 * d.page_bytes));
	live_param(&d, "max_queued_bytes", bytes);
	client_join(&d, client_start_as(&d, ONE_UID, share_client, NULL), false);
	WAIT_UNTIL(&d, resident(&d) == 0);
	WAIT_UNTIL(&d, live_stat(&d, "queued_messages") == 0);
	WAIT_UNTIL(&d, live_stat(&d, "messages_sent") == live_stat(&d, "messages_received") +
							     live_stat(&d, "messages_discarded"));
	live_stop(&d);
}

/* --- waits: a call that waits ends by a message, by room, by a signal, by the other's end --- */

enum waits_for {
	FOR_MESSAGE,
	FOR_SIGNAL_EMPTY,
	FOR_ROOM,
	FOR_SIGNAL_FULL,
	FOR_END,
	FOR_KILL,
	WAYS
};

struct waits {
	struct stage stage;
	enum waits_for what;
};

static void
interrupted(int number)
{
	(void)number;
}

static void
waits_client(struct live *d, void *argument)
{
	struct waits *w = argument;
	struct sigaction action = { .sa_handler = interrupted };
	struct pager *p = client_connect(d);
	bool receives = w->what == FOR_MESSAGE || w->what == FOR_SIGNAL_EMPTY;
	static const int want[WAYS] = { 0, -EINTR, 0, -EINTR, -EPIPE, -EPIPE };
	struct pager_port *port;
	struct pager_message m;
	unsigned char byte = 1;
	int r;

	sigaction(SIGUSR1, &action, NULL);
	if (receives)
		OK(pager_port_create(p, PORT, PAGER_PORT_SENDERS_ALL, 1, &port));
	else
		OK(pager_port_open(p, PORT, &port));
	stage_meet(d, &w->stage, 1);
	r = receives ? pager_receive(port, 0, -1, &m)
		     : pager_send(port, &byte, 1, PAGER_SEND_PHYSICAL, 1, -1, NULL);
	EQ(r, want[w->what]);
	OK(pager_disconnect(p));
}

static void
peer_client(struct live *d, void *argument)
{
	struct waits *w = argument;
	struct pager *p = client_connect(d);
	struct pager_port *ports[2];
	struct pager_message m;

	if (w->what == FOR_MESSAGE) {
		OK(pager_port_open(p, PORT, &ports[1]));
		stage_meet(d, &w->stage, 11);
		fill(ports[1], 1);
	} else {
		ports_make(p, ports, 1);
		fill(ports[1], 1);
		stage_meet(d, &w->stage, 11);
		if (w->what == FOR_ROOM) {
			OK(pager_receive(ports[0], 0, 0, &m));
			OK(pager_receive(ports[0], 0, -1, &m));
		} else if (w->what == FOR_KILL) {
			raise(SIGKILL);
		} else if (w->what == FOR_END) {
			OK(pager_port_close(ports[0]));
		} else {
			stage_meet(d, &w->stage, 12);
		}
	}
	OK(pager_disconnect(p));
}

static bool
somebody_waits(struct live *d)
{
	char text[4096];

	EQ(live_pagerctl(d, text, sizeof(text), "--json", "ports", NULL), 0);
	return strstr(text, "\"senders_waiting\":1") || strstr(text, "\"receiver_waiting\":1") ||
	       strstr(text, "\"senders_waiting\": 1") || strstr(text, "\"receiver_waiting\": 1");
}

static void
waits_row(struct live *d, enum waits_for what)
{
	struct waits *client = shared_alloc(sizeof(*client)), *peer = shared_alloc(sizeof(*peer));
	bool receives = what == FOR_MESSAGE || what == FOR_SIGNAL_EMPTY;
	pid_t pids[2] = { 0 };

	client->what = peer->what = what;
	if (!receives) {
		pids[1] = client_start(d, peer_client, peer);
		stage_wait(d, &peer->stage, 11);
	}
	pids[0] = client_start(d, waits_client, client);
	stage_wait(d, &client->stage, 1);
	stage_allow(&client->stage, 1);
	WAIT_UNTIL(d, somebody_waits(d));
	if (what == FOR_MESSAGE) {
		pids[1] = client_start(d, peer_client, peer);
		stage_wait(d, &peer->stage, 11);
	}
	if (what == FOR_KILL)
		client_forget(pids[1]);
	if (pids[1])
		stage_allow(&peer->stage, 11);
	/* A signal before the call sleeps is lost. */
	if (what == FOR_SIGNAL_EMPTY || what == FOR_SIGNAL_FULL)
		WAIT_UNTIL(d, kill(pids[0], SIGUSR1) == 0 && has_ended(pids[0]));
	client_join(d, pids[0], false);
	stage_allow(&peer->stage, 12);
	if (what == FOR_KILL)
		waitpid(pids[1], NULL, 0);
	else if (pids[1])
		client_join(d, pids[1], false);
	WAIT_UNTIL(d, live_stat(d, "ports") == 0);
}

static void
waits(void)
{
	struct live d = { 0 };

	daemon_start(&d);
	for (enum waits_for what = 0; what < WAYS; what++)
		waits_row(&d, what);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

static const struct live_test tests[] = { { "kinds", kinds }, { "rights", rights },
	{ "answers", answers }, { "waits", waits } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
