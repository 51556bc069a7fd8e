/* SPDX-License-Identifier: MIT
 *
 * Ports under clients that speak the protocol themselves and mean no good: forged numbers, foreign
 * ports and messages, wrong sizes, bells that nobody hears, floods. Each gets an error, and an
 * honest pair beside them notices nothing.
 *
 * usage: e_port_bad forged|flood|terminated [page=SIZE] [memory=SIZE]
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "share.h"

enum { NOBODY = 65534 };

static int
ask_open(struct raw *r, uint32_t op, const char *name, uint64_t *ret_port, int *ret_bell)
{
	struct pager_req_port_open request = { .op = op };
	struct pager_rep_port_open reply;
	int bell = -1, error;
	struct chan_call call = { CHAN_CALL(PORT_OPEN, &request, &reply), .ret_fd = &bell };

	snprintf(request.name, sizeof(request.name), "%s", name);
	error = chan_exchange(&r->chan, &call);
	if (error)
		return error;
	*ret_port = reply.port;
	*ret_bell = bell;
	return 0;
}

static int
ask_close(struct raw *r, uint64_t port)
{
	struct pager_req_port_close request = { port };
	struct pager_rep_port_close reply;
	struct chan_call call = { CHAN_CALL(PORT_CLOSE, &request, &reply) };

	return chan_exchange(&r->chan, &call);
}

static int
ask_send(struct raw *r, struct pager_req_port_send request)
{
	struct pager_rep_port_send reply;
	struct chan_call call = { CHAN_CALL(PORT_SEND, &request, &reply) };

	return chan_exchange(&r->chan, &call);
}

static int
ask_receive(struct raw *r, struct pager_req_port_receive request,
    struct pager_rep_port_receive *reply, int *ret_memfd)
{
	int memfd = -1, error;
	struct chan_call call = { CHAN_CALL(PORT_RECEIVE, &request, reply),
		.ret_fd = request.op == PAGER_RECEIVE_TAKE ? &memfd : NULL };

	error = chan_exchange(&r->chan, &call);
	if (ret_memfd)
		*ret_memfd = memfd;
	else if (memfd >= 0)
		close(memfd);
	return error;
}

/* Addresses with shareable memory that is not mapped here. */
static uint64_t
shareable(struct raw *r, uint64_t bytes)
{
	struct pager_req_allocate request = { .address = (uintptr_t)raw_reserve(bytes),
		.size = bytes,
		.flags = PAGER_WIRE_ALLOC_SHAREABLE };
	struct pager_rep_allocate reply;
	int memfd = -1;
	struct chan_call call = { CHAN_CALL(ALLOCATE, &request, &reply), .ret_fd = &memfd };

	OK(chan_exchange(&r->chan, &call));
	close(memfd);
	return request.address;
}

#define GIVE ((uint32_t)(PAGER_SEND_VIRTUAL | PAGER_SEND_DEALLOCATE))

static void
numbers(struct live *d, struct raw *r)
{
	uint64_t page = d->page_bytes, large = 16 * page > 65536 ? 16 * page : 65536, to, from, at;
	struct pager_rep_port_receive m;
	int bells[2];

	OK(ask_open(r, PAGER_PORT_CREATE, "bad", &to, &bells[0]));
	OK(ask_open(r, PAGER_PORT_OPEN_SEND, "bad", &from, &bells[1]));
	EQ(ask_open(r, 0, "bad", &at, &bells[1]), -EINVAL);
	EQ(ask_open(r, PAGER_PORT_OPEN_SEND, "\033[2J", &at, &bells[1]), -EINVAL);
	EQ(ask_close(r, 0), -EBADF);
	EQ(ask_close(r, UINT64_MAX), -EBADF);
	at = shareable(r, large);
	/* Numbers of ports, ranges and flags that there are not. */
	EQ(ask_send(r, (struct pager_req_port_send){ 77, at, large, 0, GIVE, 0, 0, 0 }), -EBADF);
	EQ(ask_send(r, (struct pager_req_port_send){ to, at, large, 0, GIVE, 0, 0, 0 }), -EPERM);
	EQ(ask_send(r, (struct pager_req_port_send){ from, at, 0, 0, GIVE, 0, 0, 0 }), -EINVAL);
	EQ(ask_send(r, (struct pager_req_port_send){ from, at, UINT64_MAX, 0, GIVE, 0, 0, 0 }),
	    -EINVAL);
	EQ(ask_send(r, (struct pager_req_port_send){ from, at + 1, page, 0, GIVE, 0, 0, 0 }),
	    -EINVAL);
	EQ(ask_send(r, (struct pager_req_port_send){ from, at - large, large, 0, GIVE, 0, 0, 0 }),
	    -EINVAL);
	EQ(ask_send(r, (struct pager_req_port_send){ from, at, 2 * large, 0, GIVE, 0, 0, 0 }),
	    -EINVAL);
	EQ(ask_send(r, (struct pager_req_port_send){ from, at, large, 0, ~0u, 0, 0, 0 }), -EINVAL);
	EQ(ask_send(r, (struct pager_req_port_send){ from, at, large, 0, GIVE, 1, 2, 3 }), -EINVAL);
	/* A part of an allocation is no copy that was made to be sent. */
	EQ(ask_send(r, (struct pager_req_port_send){ from, at, page, 0,
			   GIVE | PAGER_WIRE_SEND_STAGED, 0, 0, 0 }),
	    -EINVAL);
	/* What has not been received is not returned, and not by a sender. */
	EQ(ask_send(r, (struct pager_req_port_send){ from, at, large, 0,
			   GIVE | PAGER_WIRE_SEND_RETURN, 1, 2, 3 }),
	    -EPERM);
	EQ(ask_send(r, (struct pager_req_port_send){ to, at, large, 0,
			   GIVE | PAGER_WIRE_SEND_RETURN, 9, 2, 3 }),
	    -EINVAL);
	OK(ask_send(r, (struct pager_req_port_send){ from, at, large, 5, GIVE, 0, 0, 0 }));
	EQ(ask_send(r, (struct pager_req_port_send){ from, at, large, 5, GIVE, 0, 0, 0 }), -EINVAL);

	EQ(ask_receive(r, (struct pager_req_port_receive){ .port = from, .op = 1 }, &m, NULL),
	    -EPERM);
	EQ(ask_receive(r, (struct pager_req_port_receive){ .port = 99, .op = 1 }, &m, NULL),
	    -EBADF);
	EQ(ask_receive(r, (struct pager_req_port_receive){ .port = to, .op = 7 }, &m, NULL),
	    -EINVAL);
	OK(ask_receive(r, (struct pager_req_port_receive){ .port = to, .op = 1 }, &m, NULL));
	EQ(m.bytes, large);
	EQ(m.id, 5);
	EQ(ask_receive(r,
	       (struct pager_req_port_receive){
		   .port = to, .op = 2, .message = m.message + 1, .address = at, .size = large },
	       &m, NULL),
	    -ENOENT);
}

/* Takes the message of `numbers` in wrong ways first, then returns it as another user's. */
static void
takes(struct live *d, struct raw *r)
{
	uint64_t page = d->page_bytes, large = 16 * page > 65536 ? 16 * page : 65536,
		 at = (uintptr_t)raw_reserve(large), taken = shareable(r, page), to = 1;
	struct pager_req_port_receive take = {
		.port = to, .op = PAGER_RECEIVE_TAKE, .message = 1, .address = at, .size = large
	};
	struct pager_rep_port_receive m;
	int memfd;

	take.size = large - page;
	EQ(ask_receive(r, take, &m, NULL), -EINVAL);
	take.size = large + page;
	EQ(ask_receive(r, take, &m, NULL), -EINVAL);
	take.size = large;
	take.address = at + 1;
	EQ(ask_receive(r, take, &m, NULL), -EINVAL);
	take.address = taken;
	EQ(ask_receive(r, take, &m, NULL), -EEXIST);
	take.address = at;
	OK(ask_receive(r, take, &m, &memfd));
	EQ(fcntl(memfd, F_GETFL) & O_ACCMODE, O_RDWR);
	close(memfd);
	EQ(ask_receive(r, take, &m, NULL), -ENOENT);
	/* It goes back as if from another user: from then on it can only be read. */
	OK(ask_send(r, (struct pager_req_port_send){
			   to, at, large, 6, GIVE | PAGER_WIRE_SEND_RETURN, 3, 1, 12345 }));
	OK(ask_receive(r, (struct pager_req_port_receive){ .port = to, .op = 1 }, &m, NULL));
	EQ(m.uid, 12345);
	REQUIRE(m.flags & PAGER_WIRE_RECEIVE_COPY);
	take.message = m.message;
	OK(ask_receive(r, take, &m, &memfd));
	EQ(fcntl(memfd, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(memfd);
	/* And so it stays, whatever is said of it. */
	OK(ask_send(r, (struct pager_req_port_send){
			   to, at, large, 6, GIVE | PAGER_WIRE_SEND_RETURN, 3, 1, getuid() }));
	OK(ask_receive(r, (struct pager_req_port_receive){ .port = to, .op = 1 }, &m, NULL));
	take.message = m.message;
	OK(ask_receive(r, take, &m, &memfd));
	EQ(fcntl(memfd, F_GETFL) & O_ACCMODE, O_RDONLY);
	close(memfd);
}

static void
forger(struct live *d, void *argument)
{
	struct raw r;

	(void)argument;
	raw_connect(d, &r);
	numbers(d, &r);
	takes(d, &r);
	raw_close(&r);
}

enum { OWN = 1234567 };

/* Receives one message. => whether it is the own one, with the right content */
static bool
own_receive(struct pager *p, struct pager_port *port, size_t bytes, unsigned round)
{
	struct pager_message m;

	OK(pager_receive(port, 0, -1, &m));
	if (m.id == OWN)
		REQUIRE(((unsigned char *)m.addr)[bytes - 1] == (unsigned char)round);
	OK(pager_deallocate(p, m.addr, m.size));
	return m.id == OWN;
}

/* Sends to itself for as long as others try. */
static void
honest_pair(struct live *d, void *argument)
{
	struct stage *stage = argument;
	struct pager *p = client_connect(d);
	struct pager_port *ports[2];
	size_t bytes = 20 * d->page_bytes;
	unsigned rounds = 0;

	OK(pager_port_create(p, "honest", PAGER_PORT_SENDERS_ALL, 4, &ports[0]));
	OK(pager_port_open(p, "honest", &ports[1]));
	atomic_store(&stage->reached, 1);
	while (rounds++ < 20 || atomic_load(&stage->allowed) == 0) {
		unsigned char *at;
		int r;

		OK(pager_allocate(p, bytes, PAGER_ALLOC_SHAREABLE, (void **)&at));
		memset(at, (int)rounds, bytes);
		/* The queue may be full of others' messages. */
		while ((r = pager_send(ports[1], at, bytes, GIVE, OWN, 0, NULL)) == -EAGAIN)
			own_receive(p, ports[0], bytes, rounds);
		OK(r);
		while (!own_receive(p, ports[0], bytes, rounds))
			continue;
	}
	OK(pager_disconnect(p));
}

static void
beside_honest(client_body *bad, uid_t uid)
{
	struct stage *stage = shared_alloc(sizeof(*stage));
	struct live d = { 0 };
	unsigned descriptors;
	pid_t pid;

	daemon_start(&d);
	live_param(&d, "max_ports", "40");
	descriptors = clients_descriptors(&d);
	pid = client_start(&d, honest_pair, stage);
	WAIT_UNTIL(&d, atomic_load(&stage->reached) == 1);
	client_join(&d, client_start_as(&d, uid, bad, NULL), false);
	live_check(&d);
	stage_allow(stage, 1);
	client_join(&d, pid, false);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	WAIT_UNTIL(&d, resident(&d) == 0);
	WAIT_UNTIL(&d, live_stat(&d, "queued_messages") == 0);
	WAIT_UNTIL(&d, clients_descriptors(&d) == descriptors);
	live_stop(&d);
}

static void
forged(void)
{
	beside_honest(forger, 0);
}

/* Opens what it can, and closes and empties no bell; sends what it can. */
static void
flooder(struct live *d, void *argument)
{
	uint64_t port, from = 0;
	unsigned opened = 0;
	struct raw r;
	char name[PAGER_PORT_NAME];
	int bell, error;

	(void)argument;
	raw_connect(d, &r);
	/* Its share of ports. */
	do {
		snprintf(name, sizeof(name), "flood/%u", opened++);
		error = ask_open(&r, PAGER_PORT_CREATE, name, &port, &bell);
		if (!error)
			close(bell);
	} while (!error);
	EQ(error, -ENOMEM);
	REQUIRE(opened > 10);
	/* Another's port: its queue is filled, and its sender's bell is shut. */
	for (unsigned i = 0; i < 200; i++) {
		OK(ask_open(&r, PAGER_PORT_OPEN_SEND, "honest", &from, &bell));
		shutdown(bell, SHUT_RDWR);
		for (unsigned n = 0; n < 8; n++) {
			uint64_t at = shareable(&r, d->page_bytes);

			error = ask_send(
			    &r, (struct pager_req_port_send){ from, at, d->page_bytes, n,
				    PAGER_SEND_PHYSICAL | PAGER_WIRE_SEND_STAGED, 0, 0, 0 });
			REQUIRE(error == 0 || error == -EAGAIN || error == -EDQUOT, "%d", error);
			if (error)
				OK(chan_exchange(&r.chan,
				    &(struct chan_call){ CHAN_CALL(DEALLOCATE,
					(&(struct pager_req_deallocate){ at, d->page_bytes }),
					(&(struct pager_rep_deallocate){ 0 })) }));
		}
		close(bell);
	}
	raw_close(&r);
}

static void
flood(void)
{
	beside_honest(flooder, NOBODY);
}

/* --- terminated: the daemon ends while queues are full and calls wait --- */

static void
waiter(struct live *d, void *argument)
{
	struct stage *stage = argument;
	struct pager *p = client_connect(d);
	struct pager_port *ports[2];
	unsigned char byte = 1;
	int r;

	OK(pager_port_create(p, "full", PAGER_PORT_SENDERS_USER, 2, &ports[0]));
	OK(pager_port_open(p, "full", &ports[1]));
	OK(pager_send(ports[1], &byte, 1, PAGER_SEND_PHYSICAL, 1, 0, NULL));
	OK(pager_send(ports[1], &byte, 1, PAGER_SEND_PHYSICAL, 1, 0, NULL));
	atomic_store(&stage->reached, 1);
	r = pager_send(ports[1], &byte, 1, PAGER_SEND_PHYSICAL, 1, -1, NULL);
	REQUIRE(r == -ENOTCONN || r == -EPIPE, "%d", r);
	_exit(0);
}

static void
terminated(void)
{
	struct stage *stage = shared_alloc(sizeof(*stage));
	struct live d = { 0 };
	int status;
	pid_t pid;

	daemon_start(&d);
	pid = client_start(&d, waiter, stage);
	WAIT_UNTIL(&d, atomic_load(&stage->reached) == 1);
	d.refuses = true; /* it leaves a client behind */
	live_stop(&d);
	client_forget(pid);
	REQUIRE(waitpid(pid, &status, 0) == pid);
	EQ(status, 0);
}

static const struct live_test tests[] = { { "forged", forged }, { "flood", flood },
	{ "terminated", terminated } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
