/* SPDX-License-Identifier: MIT
 *
 * libpager's calls about ports: what reaches the daemon, how long they wait, and what becomes of
 * memory when something fails in the midst of them.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "d_test.h"

enum { PAGES = 4, BYTES = PAGES * FAKE_PAGE_SIZE };

struct ports {
	struct pager_port *receives, *sends;
};

static struct ports
ports_of(struct d_fixture *d)
{
	struct ports ports;

	assert_int_equal(
	    pager_port_create(d->pager, "d/port", PAGER_PORT_SENDERS_GROUP, 2, &ports.receives), 0);
	assert_int_equal(fake_port_opened(d->fake).op, PAGER_PORT_CREATE);
	assert_int_equal(fake_port_opened(d->fake).senders, PAGER_PORT_SENDERS_GROUP);
	assert_int_equal(fake_port_opened(d->fake).queue_limit, 2);
	assert_int_equal(pager_port_open(d->pager, "d/port", &ports.sends), 0);
	assert_int_equal(fake_port_opened(d->fake).op, PAGER_PORT_OPEN_SEND);
	assert_string_equal(fake_port_opened(d->fake).name, "d/port");
	return ports;
}

static unsigned char *
memory(struct d_fixture *d)
{
	unsigned char *bytes;
	void *base;

	assert_int_equal(pager_allocate(d->pager, BYTES, PAGER_ALLOC_SHAREABLE, &base), 0);
	bytes = base;
	for (unsigned i = 0; i < PAGES; i++)
		bytes[i * FAKE_PAGE_SIZE] = (unsigned char)(i + 1);
	return bytes;
}

/* Nothing was given back twice, nor kept, and nobody has touched what was gone. */
static void
books_agree(struct d_fixture *d, uint64_t bytes)
{
	assert_int_equal(fake_allocated_bytes(d->fake), bytes);
	assert_int_equal(fake_range_errors(d->fake) + fake_strays(d->fake), 0);
}

/* What cannot be right is refused here, and leaves results alone. */
static void
arguments(void **state)
{
	struct d_fixture *d = *state;
	struct ports ports = ports_of(d);
	unsigned char *base = memory(d);
	unsigned sent = fake_requests(d->fake, PAGER_MSG_PORT_SEND),
		 opened = fake_requests(d->fake, PAGER_MSG_PORT_OPEN);
	struct pager_port *port = NULL;
	struct pager_port_info info;
	struct pager_message m = { 0 };
	char name[PAGER_PORT_NAME + 1];

	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(pager_port_open(d->pager, name, &port), -EINVAL);
	assert_int_equal(pager_port_open(d->pager, NULL, &port), -EINVAL);
	assert_int_equal(pager_port_open(d->pager, "d/port", NULL), -EINVAL);
	assert_int_equal(pager_port_open(NULL, "d/port", &port), -EINVAL);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_PORT_OPEN), opened);
	assert_null(port);
	assert_int_equal(
	    pager_send(ports.receives, base, 1, PAGER_SEND_VIRTUAL, 0, 0, NULL), -EPERM);
	assert_int_equal(pager_receive(ports.sends, 0, 0, &m), -EPERM);
	assert_int_equal(pager_message_discard(ports.sends), -EPERM);
	assert_int_equal(pager_send(NULL, base, 1, PAGER_SEND_VIRTUAL, 0, 0, NULL), -EINVAL);
	assert_int_equal(pager_send(ports.sends, base, 0, PAGER_SEND_VIRTUAL, 0, 0, NULL), -EINVAL);
	assert_int_equal(pager_send(ports.sends, base, 1, 0, 0, 0, NULL), -EINVAL);
	assert_int_equal(
	    pager_send(ports.sends, base, 1, PAGER_SEND_VIRTUAL | PAGER_SEND_PHYSICAL, 0, 0, NULL),
	    -EINVAL);
	assert_int_equal(
	    pager_send(ports.sends, base, SIZE_MAX, PAGER_SEND_VIRTUAL, 0, 0, NULL), -EINVAL);
	/* Only paged memory can be given away. */
	assert_int_equal(pager_send(ports.sends, name, 1,
			     PAGER_SEND_VIRTUAL | PAGER_SEND_DEALLOCATE, 0, 0, NULL),
	    -EINVAL);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_PORT_SEND), sent);
	assert_int_equal(pager_receive(ports.receives, 0, 0, NULL), -EINVAL);
	assert_int_equal(pager_port_info(ports.sends, NULL), -EINVAL);
	assert_int_equal(pager_port_info(ports.sends, &info), 0);
	assert_true(info.uid == 11 && info.gid == 12 && info.pid == 13 && info.queue_limit == 2 &&
		    !info.receives);
	books_agree(d, BYTES);
	assert_int_equal(pager_port_close(ports.sends), 0);
	assert_int_equal(fake_port_closed(d->fake), 2);
	assert_int_equal(pager_port_close(NULL), 0);
}

static void
ways(void **state)
{
	struct d_fixture *d = *state;
	struct ports ports = ports_of(d);
	unsigned char *base = memory(d), outside[100] = { 9 };
	enum pager_transfer done = 0;
	struct pager_message m = { 0 };

	/* As it is, and given away. */
	assert_int_equal(
	    pager_send(ports.sends, base, BYTES - 1, PAGER_SEND_VIRTUAL, 5, 0, &done), 0);
	assert_int_equal(done, PAGER_TRANSFER_VIRTUAL);
	assert_int_equal(fake_port_sent(d->fake).port, 2);
	assert_int_equal(fake_port_sent(d->fake).bytes, BYTES - 1);
	assert_int_equal(fake_port_sent(d->fake).id, 5);
	assert_int_equal(base[FAKE_PAGE_SIZE], 2);
	assert_int_equal(pager_send(ports.sends, base, BYTES,
			     PAGER_SEND_PHYSICAL | PAGER_SEND_DEALLOCATE, 6, 0, &done),
	    0);
	assert_int_equal(done, PAGER_TRANSFER_MOVED);
	books_agree(d, 0);
	/* The queue is full. */
	base = memory(d);
	assert_int_equal(pager_send(ports.sends, base, BYTES,
			     PAGER_SEND_VIRTUAL | PAGER_SEND_DEALLOCATE, 7, 0, &done),
	    -EAGAIN);
	assert_int_equal(base[FAKE_PAGE_SIZE], 2);
	books_agree(d, BYTES);
	assert_int_equal(pager_receive(ports.receives, 0, 0, &m), 0);
	assert_true(m.addr && m.size == BYTES - 1 && m.id == 5 && m.flags == PAGER_SEND_VIRTUAL &&
		    m.done == PAGER_TRANSFER_MOVED && m.pid == 21 && m.uid == 22);
	books_agree(d, 2 * BYTES);
	assert_int_equal(pager_deallocate(d->pager, m.addr, m.size), 0);
	assert_int_equal(pager_receive(ports.receives, BYTES - 1, 0, &m), -EMSGSIZE);
	assert_int_equal(m.size, BYTES);
	assert_int_equal(pager_message_discard(ports.receives), 0);
	assert_int_equal(pager_receive(ports.receives, 0, 0, &m), -EAGAIN);
	/* Copied here: memory of no daemon's, and what the daemon will not send as it is. */
	assert_int_equal(
	    pager_send(ports.sends, outside, sizeof(outside), PAGER_SEND_VIRTUAL, 8, 0, &done), 0);
	assert_int_equal(done, PAGER_TRANSFER_PHYSICAL);
	assert_true(fake_port_sent(d->fake).flags & PAGER_WIRE_SEND_STAGED);
	fake_fail_next(d->fake, PAGER_MSG_PORT_SEND, -EOPNOTSUPP);
	assert_int_equal(pager_send(ports.sends, base, BYTES,
			     PAGER_SEND_PHYSICAL | PAGER_SEND_DEALLOCATE, 9, 0, &done),
	    0);
	assert_true(fake_port_sent(d->fake).flags & PAGER_WIRE_SEND_STAGED);
	books_agree(d, 0);
	assert_int_equal(fake_port_messages(d->fake), 2);
}

/* --- waiting --- */

struct receiving {
	struct pager_port *port;
	struct pager_message message;
	int timeout_ms, result;
};

static void *
receive_main(void *argument)
{
	struct receiving *r = argument;

	r->result = pager_receive(r->port, 0, r->timeout_ms, &r->message);
	return NULL;
}

static void
waiting(void **state)
{
	struct d_fixture *d = *state;
	struct pager_port *sends, *receives;
	unsigned char *base = memory(d);
	struct receiving r = { .timeout_ms = -1 };
	struct pager_message m = { 0 };
	unsigned asked;
	pthread_t thread;

	assert_int_equal(pager_port_open(d->pager, "d/port", &sends), 0);
	/* The last one has the bell. */
	assert_int_equal(
	    pager_port_create(d->pager, "d/port", PAGER_PORT_SENDERS_USER, 0, &receives), 0);
	assert_int_equal(pager_receive(receives, 0, 1, &m), -ETIMEDOUT);
	r.port = receives;
	asked = fake_requests(d->fake, PAGER_MSG_PORT_RECEIVE);
	assert_int_equal(pthread_create(&thread, NULL, receive_main, &r), 0);
	WAIT_UNTIL(fake_requests(d->fake, PAGER_MSG_PORT_RECEIVE) > asked);
	/* The connection is free while it waits. */
	assert_int_equal(pager_send(sends, base, BYTES, PAGER_SEND_VIRTUAL, 1, 0, NULL), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(r.result, 0);
	assert_int_equal(r.message.id, 1);
	assert_int_equal(pager_deallocate(d->pager, r.message.addr, r.message.size), 0);
	/* A bell that has hung up: the daemon is asked once more. */
	asked = fake_requests(d->fake, PAGER_MSG_PORT_RECEIVE);
	fake_port_hang_up(d->fake);
	assert_int_equal(pager_receive(receives, 0, -1, &m), -EPIPE);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_PORT_RECEIVE), asked + 2);
	books_agree(d, BYTES);
}

/* --- failures --- */

static void
failures(void **state)
{
	struct d_fixture *d = *state;
	unsigned fds = fds_settled(d);
	struct ports ports;
	struct pager_port *port = NULL;
	unsigned char *base = memory(d);
	enum pager_transfer done = 77;
	struct pager_message m = { 0 };

	fake_fail_next(d->fake, PAGER_MSG_PORT_OPEN, -EEXIST);
	assert_int_equal(
	    pager_port_create(d->pager, "d/port", PAGER_PORT_SENDERS_USER, 0, &port), -EEXIST);
	assert_null(port);
	ports = ports_of(d);
	/* Neither the range nor the result is changed. */
	fake_fail_next(d->fake, PAGER_MSG_PORT_SEND, -EPIPE);
	assert_int_equal(pager_send(ports.sends, base, BYTES,
			     PAGER_SEND_VIRTUAL | PAGER_SEND_DEALLOCATE, 1, -1, &done),
	    -EPIPE);
	assert_int_equal(done, 77);
	assert_int_equal(base[0], 1);
	/* Nor is a copy left. */
	fake_fail_next(d->fake, PAGER_MSG_PORT_SEND, -EDQUOT);
	assert_int_equal(
	    pager_send(ports.sends, &done, sizeof(done), PAGER_SEND_VIRTUAL, 1, -1, NULL), -EDQUOT);
	books_agree(d, BYTES);
	/* Another thread has taken the message between the two requests. */
	assert_int_equal(pager_send(ports.sends, base, BYTES, PAGER_SEND_VIRTUAL, 2, 0, NULL), 0);
	fake_fail_next(d->fake, PAGER_MSG_PORT_RECEIVE, -ENOENT);
	assert_int_equal(pager_receive(ports.receives, 0, 0, &m), 0);
	assert_int_equal(pager_deallocate(d->pager, m.addr, m.size), 0);
	books_agree(d, BYTES);
	assert_int_equal(pager_port_close(ports.sends), 0);
	assert_int_equal(pager_port_close(ports.receives), 0);
	/* The fake daemon keeps the end of the last bell. */
	assert_int_equal(fds_settled(d), fds + 1);
	/* A daemon that has gone: what was the port's is freed. */
	ports = ports_of(d);
	fake_kill(d->fake);
	assert_int_equal(pager_receive(ports.receives, 0, -1, &m), -ENOTCONN);
	assert_int_equal(pager_port_close(ports.receives), -ENOTCONN);
}

/* An answer that makes no sense ends the connection. */
static void
nonsense(void **state)
{
	struct d_fixture *d = *state;
	struct pager_port *port = NULL;

	fake_mangle_next(d->fake, PAGER_MSG_PORT_OPEN, FAKE_MANGLE_NO_FD);
	assert_int_equal(pager_port_open(d->pager, "d/port", &port), -EPROTO);
	assert_null(port);
	assert_int_equal(pager_port_open(d->pager, "d/port", &port), -ENOTCONN);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(arguments, d_setup, d_teardown),
		cmocka_unit_test_setup_teardown(ways, d_setup, d_teardown),
		cmocka_unit_test_setup_teardown(waiting, d_setup, d_teardown),
		cmocka_unit_test_setup_teardown(failures, d_setup, d_teardown),
		cmocka_unit_test_setup_teardown(nonsense, d_setup, d_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
