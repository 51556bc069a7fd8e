/* SPDX-License-Identifier: MIT
 *
 * Sessions without connections: their states, what they take of their user's shares, and their
 * task.
 */
#include "c_unit.h"
#include "panics.h"

#include <sys/socket.h>
#include <sys/syscall.h>

#include "control/session.h"
#include "core/closer.h"
#include "failpt.h"

static struct unit u;
static struct session session;
static int peer; /* the other end of its socket */

static int
start(void **state)
{
	int pair[2];

	(void)state;
	unit_start(&u);
	assert_int_equal(closer_create(u.daemon), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	peer = pair[1];
	assert_int_equal(session_init(&session, u.daemon, pair[0], getpid(), getuid(),
			     (int)syscall(SYS_pidfd_open, getpid(), 0u)),
	    0);
	return 0;
}

/* As connection.c ends one. */
static void
end(void)
{
	session_commit(&session, load_relaxed(&session.state), SESSION_ENDED);
	if (session.task)
		assert_true(task_commit(session.task, TASK_ATTACHING, TASK_DEAD));
	closer_close(u.daemon, session.socket, session.pid, session.uid);
	session.socket = -1;
	session_fini(&session);
}

static int
stop(void **state)
{
	(void)state;
	close(peer);
	while (!closer_stop(u.daemon))
		continue;
	unit_stop(&u);
	return 0;
}

static uint64_t
used(enum share share)
{
	return share_used(&u.daemon->shares, share);
}

/* --- states --- */

struct change {
	enum session_state from, to;
};

static void
change(void *argument)
{
	const struct change *c = argument;

	store_relaxed(&session.state, c->from);
	session_commit(&session, c->from, c->to);
}

/* Every change that the table does not have is a panic; so is one from another state. */
static void
only_the_tables_changes(void **state)
{
	static const bool allowed[SESSION_ENDED + 1][SESSION_ENDED + 1] = {
#define SESSION_ARROW(FROM, TO, when) [SESSION_##FROM][SESSION_##TO] = true,
#include "tbl/session_arrow.h"
	};
	struct change c;

	(void)state;
	for (c.from = 0; c.from <= SESSION_ENDED; c.from++)
		for (c.to = 0; c.to <= SESSION_ENDED; c.to++)
			assert_int_equal(panics(change, &c, "session "), !allowed[c.from][c.to]);
	session_commit(&session, SESSION_NEW, SESSION_TOOL);
	assert_false(session_is_ended(&session));
	end();
}

static void
commit_again(void *argument)
{
	(void)argument;
	session_commit(&session, SESSION_NEW, SESSION_TOOL);
}

static void
fini_alive(void *argument)
{
	(void)argument;
	session_fini(&session);
}

static void
in_its_turn(void **state)
{
	(void)state;
	session_commit(&session, SESSION_NEW, SESSION_TOOL);
	assert_true(panics(commit_again, NULL, "session "));
	assert_true(panics(fini_alive, NULL, "session_is_ended"));
	end();
}

/* --- shares and task --- */

static void
shares_go_with_it(void **state)
{
	uint64_t sessions = used(SHARE_SESSIONS), descriptors = used(SHARE_DESCRIPTORS);
	struct session other;

	(void)state;
	assert_int_equal(failpt_arm("SESSION_CREATE_ENOMEM:0"), 0);
	assert_int_equal(
	    session_init(&other, u.daemon, session.socket, 1, getuid(), session.pidfd), -ENOMEM);
	failpt_disarm_all();
	assert_int_equal(used(SHARE_SESSIONS), sessions);
	session_commit(&session, SESSION_NEW, SESSION_TOOL);
	end();
	assert_int_equal(used(SHARE_SESSIONS), sessions - 1);
	assert_int_equal(used(SHARE_DESCRIPTORS), descriptors - SESSION_DESCRIPTORS);
}

/* The task may outlive its session; the shares are given back with the last of them. */
static void
task_outlives_it(void **state)
{
	uint64_t sessions = used(SHARE_SESSIONS);
	struct task *task;

	(void)state;
	assert_int_equal(session_task_create(&session, "outlives"), 0);
	session_commit(&session, SESSION_NEW, SESSION_CLIENT);
	task = task_get(session.task);
	assert_int_equal(task->id, session.id);
	assert_int_equal(task->uid, session.uid);
	end();
	assert_true(task_is_dead(task));
	assert_int_equal(used(SHARE_SESSIONS), sessions);
	task_put(task);
	assert_int_equal(used(SHARE_SESSIONS), sessions - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_the_tables_changes, start, stop),
		cmocka_unit_test_setup_teardown(in_its_turn, start, stop),
		cmocka_unit_test_setup_teardown(shares_go_with_it, start, stop),
		cmocka_unit_test_setup_teardown(task_outlives_it, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
