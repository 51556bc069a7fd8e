/* SPDX-License-Identifier: MIT
 *
 * Ports without a daemon's threads: the order of messages, places, bells, what may go into a queue
 * as it is, who pays for what lies there, and every way in which a port or a handle ends.
 */
#include "port_fixture.h"

#include <poll.h>
#include <sys/socket.h>

/* Takes what is in the bell, as a client does before it asks. => whether it had been rung */
static bool
bell_take(const struct end *end)
{
	char byte;
	bool any = false;

	while (recv(end->bell, &byte, 1, MSG_DONTWAIT) > 0)
		any = true;
	return any;
}

static bool
bell_is_hung_up(const struct end *end)
{
	struct pollfd p = { .fd = end->bell, .events = POLLIN };

	assert_int_not_equal(poll(&p, 1, 0), -1);
	return p.revents & POLLHUP;
}

static uint64_t
internal_of(unsigned task)
{
	return ledger_pages(&share.tasks[task]->bill.ledger, PAGER_LEDGER_INTERNAL);
}

static void
names(void **state)
{
	static const char *const good[] = { "a", "A/b:c-d_e.9",
		"012345678901234567890123456789012345678901234567890123456789012" };
	static const char *const bad[] = { "", " ", "a b", "\033[2J", "a\n", "\xc3\xa4", "a;b",
		"0123456789012345678901234567890123456789012345678901234567890123" };
	struct end first, second;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(good); i++)
		assert_true(port_name_is_valid(good[i]));
	for (unsigned i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(port_name_is_valid(bad[i]));
	first = receiver_of(0, "x", 1);
	assert_int_equal(port_open(1, "x", 1, &second), -EEXIST);
	assert_int_equal(port_open(1, "y", 0, &second), -ENOENT);
	end_close(&first);
	assert_int_equal(port_open(1, "x", 0, &second), -ENOENT);
	second = receiver_of(1, "x", 1);
	end_close(&second);
	assert_int_equal(daemon_of()->ports.count, 0);
}

/* Oldest first; what is put back comes first again; places are counted from taking to giving. */
static void
order(void **state)
{
	struct end to = receiver_of(0, "x", 3), from = sender_of(1, "x");
	struct message_label label;
	struct message *m;
	uint64_t number;

	(void)state;
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(send_pages(&from, i * 10, i, i), 0);
	assert_int_equal(port_place_take(daemon_of(), from.h), -EAGAIN);
	number = port_look(daemon_of(), to.h, &label);
	assert_int_equal(label.id, 1);
	m = port_take(daemon_of(), to.h, number);
	/* It has its place still, so that it can come back. */
	assert_int_equal(port_place_take(daemon_of(), from.h), -EAGAIN);
	assert_int_not_equal(port_look(daemon_of(), to.h, &label), number);
	assert_int_equal(label.id, 2);
	port_untake(daemon_of(), to.h, m);
	assert_int_equal(port_look(daemon_of(), to.h, &label), number);
	for (uint64_t i = 1; i <= 3; i++)
		assert_int_equal(receive(&to, i * 10), i);
	assert_int_equal(receive(&to, 0), 0);
	assert_int_equal(send_pages(&from, 50, 1, 4), 0);
	assert_int_equal(receive(&to, 50), 4);
	end_close(&from);
	assert_int_equal(end_close(&to), 0);
}

/* A bell has been rung when, and only when, the next request would not be told -EAGAIN. */
static void
bells(void **state)
{
	struct end to = receiver_of(0, "x", 2), from = sender_of(1, "x"), other = sender_of(2, "x");
	struct message_label label;

	(void)state;
	assert_false(bell_take(&to));
	assert_true(bell_take(&from));
	assert_int_equal(send_pages(&from, 0, 1, 1), 0);
	assert_true(bell_take(&from));
	assert_true(bell_take(&to));
	assert_int_equal(send_pages(&from, 1, 1, 2), 0);
	/* Full: the other one has not asked since it was rung. */
	assert_false(bell_take(&from));
	assert_true(bell_take(&other));
	assert_int_equal(port_place_take(daemon_of(), other.h), -EAGAIN);
	assert_false(bell_take(&other));
	/* One comes out: all who wait hear of it, and the receiver that there is more. */
	port_look(daemon_of(), to.h, &label);
	assert_int_equal(receive(&to, 0), 1);
	assert_true(bell_take(&to));
	assert_true(bell_take(&from));
	assert_true(bell_take(&other));
	assert_int_equal(receive(&to, 1), 2);
	assert_false(bell_take(&to));
	port_look(daemon_of(), to.h, &label);
	port_ring(daemon_of(), to.h);
	assert_false(bell_take(&to));
	/* The end is heard by all, also by those who have been rung. */
	assert_false(bell_is_hung_up(&from));
	end_close(&to);
	assert_true(bell_is_hung_up(&from) && bell_is_hung_up(&other));
	assert_int_equal(port_place_take(daemon_of(), from.h), -EPIPE);
	end_close(&from);
	end_close(&other);
}

/* A client that shuts its bell, or never listens, harms nobody. */
static void
deaf(void **state)
{
	struct end to = receiver_of(0, "x", 2), from = sender_of(1, "x");
	struct message_label label;

	(void)state;
	shutdown(to.bell, SHUT_RDWR);
	for (unsigned i = 1; i < 2000; i++) {
		assert_int_equal(send_pages(&from, 0, 1, i), 0);
		port_look(daemon_of(), to.h, &label);
		assert_int_equal(receive(&to, 0), i);
		share_unmap(0, 0, 1);
	}
	end_close(&to);
	end_close(&from);
}

/* What lies in a queue is the sender's to pay, though it has ended; then the receiver's. */
static void
bill(void **state)
{
	struct end to = receiver_of(0, "x", 5), from = sender_of(1, "x");
	uint64_t queued = share_used(&daemon_of()->shares, SHARE_QUEUED);

	(void)state;
	assert_int_equal(send_pages(&from, 0, 7, 1), 0);
	assert_int_equal(send_pages(&from, 10, 5, 2), 0);
	assert_int_equal(internal_of(1), 12);
	assert_int_equal(share_used(&daemon_of()->shares, SHARE_QUEUED), queued + 12 * PAGE);
	assert_int_equal(receive(&to, 0), 1);
	assert_int_equal(internal_of(0), 7);
	assert_int_equal(internal_of(1), 5);
	assert_int_equal(share_used(&daemon_of()->shares, SHARE_QUEUED), queued + 5 * PAGE);
	close(from.bell);
	/* Its record stays with what it pays for. */
	store_release(&share.tasks[1]->state, TASK_DEAD);
	while (task_teardown(share.tasks[1]))
		continue;
	assert_null(share.tasks[1]->ports);
	assert_int_equal(internal_of(1), 5);
	assert_int_equal(receive(&to, 10), 2);
	assert_int_equal(internal_of(0), 12);
	assert_int_equal(internal_of(1), 0);
	assert_int_equal(share_used(&daemon_of()->shares, SHARE_QUEUED), queued);
	end_close(&to);
}

/* All that is in the queue goes with the port, and the memory with it. */
static void
ends(void **state)
{
	struct end to = receiver_of(0, "x", 5), from = sender_of(1, "x");
	long long free = unit_level(&share.unit, STAT_FRAMES_FREE);
	struct range range;

	(void)state;
	for (uint64_t i = 1; i <= 4; i++)
		assert_int_equal(send_pages(&from, i * 10, i, i), 0);
	assert_int_equal(unit_level(&share.unit, STAT_FRAMES_FREE), free - 10);
	range = content_make(1, 100, 3);
	/* A place is taken before the port ends: the pages stay the sender's. */
	assert_int_equal(port_place_take(daemon_of(), from.h), 0);
	assert_int_equal(end_close(&to), 4);
	assert_int_equal(load_relaxed(&daemon_of()->ports.messages), 0);
	{
		struct message_label label = { .bytes = 1 };
		struct named_range pages;

		assert_int_equal(transfer_check(&range, true, &pages), 0);
		assert_int_equal(
		    port_put_message(daemon_of(), from.h, &pages, &label, false), -EPIPE);
		vm_object_put(pages.object);
	}
	port_place_give(daemon_of(), from.h);
	assert_int_equal(internal_of(1), 3);
	assert_int_equal(unit_level(&share.unit, STAT_FRAMES_FREE), free - 3);
	share_unmap(1, 100, 103);
	assert_int_equal(unit_level(&share.unit, STAT_FRAMES_FREE), free);
	assert_int_equal(share_used(&daemon_of()->shares, SHARE_QUEUED), 0);
	end_close(&from);
}

/* A message that was taken and cannot be mapped comes first again, in no place of the queue. */
static void
returned(void **state)
{
	struct end to = receiver_of(0, "x", 1), from = sender_of(1, "x");
	struct message_label label = { .bytes = 2 * PAGE, .id = 1, .done = PAGER_TRANSFER_MOVED };
	struct named_range pages;
	struct range range;

	(void)state;
	assert_int_equal(send_pages(&from, 0, 2, 1), 0);
	assert_int_equal(receive(&to, 0), 1);
	assert_int_equal(send_pages(&from, 10, 3, 2), 0);
	range = share_pages_of(0, 0, 2);
	assert_int_equal(transfer_check(&range, true, &pages), 0);
	assert_int_equal(port_put_message(daemon_of(), to.h, &pages, &label, true), 0);
	vm_object_put(pages.object);
	share_unmap(0, 0, 2);
	assert_int_equal(port_place_take(daemon_of(), from.h), -EAGAIN);
	assert_int_equal(receive(&to, 20), 1);
	assert_int_equal(port_place_take(daemon_of(), from.h), -EAGAIN);
	assert_int_equal(receive(&to, 30), 2);
	assert_int_equal(port_place_take(daemon_of(), from.h), 0);
	port_place_give(daemon_of(), from.h);
	end_close(&to);
	end_close(&from);
}

static int
check(unsigned task, uint64_t first, uint64_t last, bool is_given)
{
	struct range range = share_pages_of(task, first, last);
	struct named_range pages;
	int error = transfer_check(&range, is_given, &pages);

	if (!error)
		vm_object_put(pages.object);
	return error;
}

/* Only what nobody else has or may have goes to another process as it is. */
static void
movable(void **state)
{
	struct vm_object *o = share_make(8);
	struct vm_mapping *mapping;
	struct vm_entry *e;

	(void)state;
	assert_int_equal(check(0, 0, 8, true), 0);
	assert_int_equal(check(0, 0, 9, true), -EINVAL);
	assert_int_equal(check(1, 0, 8, true), -EINVAL);
	assert_int_equal(check(0, 0, 7, true), -EOPNOTSUPP);
	assert_int_equal(check(0, 1, 8, true), -EOPNOTSUPP);
	share_wire(0, 2, 3);
	assert_int_equal(check(0, 0, 8, true), -EOPNOTSUPP);
	share_unwire(0, 2, 3);
	assert_int_equal(check(0, 0, 8, true), 0);
	lock_acquire(&share.tasks[0]->map.lock);
	e = vm_map_lookup(&share.tasks[0]->map, UNIT_BASE);
	lock_release(&share.tasks[0]->map.lock);
	e->pin_count = 1;
	assert_int_equal(check(0, 0, 8, true), -EBUSY);
	assert_int_equal(check(0, 0, 8, false), 0);
	e->pin_count = 0;
	mapping = e->mapping;
	/* Seen by another, for as long as it is. */
	assert_int_equal(share_map(1, o, 0, 8), 0);
	assert_int_equal(check(0, 0, 8, true), -EOPNOTSUPP);
	share_unmap(1, 0, 8);
	assert_int_equal(check(0, 0, 8, true), 0);
	assert_ptr_equal(mapping->object, o);
	/* A descriptor of it has been in the world: for good. */
	share_name_end(share_name_make(o, 0, 8, 77));
	assert_int_equal(check(0, 0, 8, true), -EOPNOTSUPP);
}

/* What tools are told. */
static void
described(void **state)
{
	struct end a = receiver_of(0, "a", 1), b = receiver_of(1, "b", 9), from = sender_of(2, "a");
	struct pager_wire_port port;
	struct message_label label;

	(void)state;
	assert_int_equal(send_pages(&from, 0, 2, 1), 0);
	assert_int_equal(port_place_take(daemon_of(), from.h), -EAGAIN);
	assert_int_equal(port_look(daemon_of(), b.h, &label), 0);
	assert_true(port_describe(daemon_of(), 0, &port));
	assert_string_equal(port.name, "a");
	assert_int_equal(port.messages, 1);
	assert_int_equal(port.bytes, 2 * PAGE);
	assert_int_equal(port.open, 1);
	assert_int_equal(port.waiting, 1);
	assert_int_equal(port.receiver_waits, 0);
	assert_true(port_describe(daemon_of(), port.id, &port));
	assert_string_equal(port.name, "b");
	assert_int_equal(port.uid, getuid() + 1);
	assert_int_equal(port.queue_limit, 9);
	assert_int_equal(port.receiver_waits, 1);
	assert_false(port_describe(daemon_of(), port.id, &port));
	end_close(&from);
	end_close(&a);
	end_close(&b);
}

/* Shares of ports and of bytes in queues are given back whatever happens. */
static void
shares(void **state)
{
	struct end to = receiver_of(0, "x", 5), from = sender_of(1, "x"), none;
	uint64_t descriptors = share_used(&daemon_of()->shares, SHARE_DESCRIPTORS);
	struct range range;

	(void)state;
	store_relaxed(&daemon_of()->params.max_ports, 1);
	assert_int_equal(port_open(1, "y", 1, &none), -ENOSPC);
	store_relaxed(&daemon_of()->params.max_queued_bytes, 3 * PAGE);
	assert_int_equal(send_pages(&from, 0, 2, 1), 0);
	range = content_make(1, 10, 2);
	assert_int_equal(send_range(&from, &range, 2), -ENOSPC);
	assert_int_equal(internal_of(1), 4);
	share_unmap(1, 10, 12);
	assert_int_equal(receive(&to, 0), 1);
	assert_int_equal(send_pages(&from, 0, 3, 3), 0);
	end_close(&to);
	end_close(&from);
	assert_int_equal(share_used(&daemon_of()->shares, SHARE_QUEUED), 0);
	assert_int_equal(share_used(&daemon_of()->shares, SHARE_PORTS), 0);
	/* Those of the object that was received. */
	assert_int_equal(share_used(&daemon_of()->shares, SHARE_DESCRIPTORS), descriptors - 2 + 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, share_start, share_stop)

int
main(void)
{
	const struct CMUnitTest tests[] = { TEST(names), TEST(order), TEST(bells), TEST(deaf),
		TEST(bill), TEST(ends), TEST(returned), TEST(movable), TEST(described),
		TEST(shares) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
