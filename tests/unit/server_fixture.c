/* SPDX-License-Identifier: MIT */
#include "server_fixture.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/epoll.h>

#include "fault/dispatch.h"
#include "fault/lease.h"
#include "fault/poll.h"
#include "fault/server.h"
#include "fault/thread.h"

struct server_world server_world;

typedef void *(*thread_main)(void *argument);
static thread_main mains[2]; /* of polling servers, and of direct ones */

void __wrap_fault_dispatch(struct fault_server *server, const struct fault *f);
int __wrap_fault_server_start(struct fault_server *server, thread_main run);
void __wrap_fault_server_begin(struct fault_server *server, const char *name);
int __real_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout);
int __wrap_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout);
void __wrap_closer_close(struct daemon *d, int fd, pid_t pid, uid_t uid);

void
__wrap_fault_dispatch(struct fault_server *server, const struct fault *f)
{
	unsigned at = load_relaxed(&server_world.count);

	assert_true(at < SERVED_MAX);
	server_world.served[at] = (struct served){ server, f->task, f->address };
	if (server_world.on_fault)
		server_world.on_fault(server, f);
	store_release(&server_world.count, at + 1);
}

int
__wrap_fault_server_start(struct fault_server *server, thread_main run)
{
	mains[server->home != NULL] = run;
	server->thread = pthread_self();
	return 0;
}

void
__wrap_fault_server_begin(struct fault_server *server, const char *name)
{
	(void)name;
	store_release(&server->tid, gettid());
}

static struct fault_seat *running;

/* Instead of sleeping the server ends. */
int
__wrap_epoll_wait(int epoll, struct epoll_event *events, int max, int timeout)
{
	int count = __real_epoll_wait(epoll, events, max, 0);

	assert_int_equal(epoll, running->epoll);
	assert_true(server_world.polls < POLLS_MAX);
	server_world.timeouts[server_world.polls++] = timeout;
	if (count == 0)
		store_release(&running->stopping, true);
	return count;
}

void
__wrap_closer_close(struct daemon *d, int fd, pid_t pid, uid_t uid)
{
	(void)d, (void)pid, (void)uid;
	if (fd >= 0)
		close(fd);
}

struct daemon *
servers_start(struct unit *u, unsigned servers)
{
	memset(&server_world, 0, sizeof(server_world));
	unit_start_servers(u, servers);
	assert_int_equal(fault_servers_start(u->daemon), 0);
	return u->daemon;
}

void
servers_stop(struct unit *u)
{
	fault_servers_fini(u->daemon);
	unit_stop(u);
}

void
server_run(struct fault_server *server)
{
	struct daemon *d = server->daemon;
	pthread_t thread;

	assert_int_not_equal(server->duty.number, DUTY_NONE);
	running = &d->seats[server->duty.number];
	store_release(&running->stopping, false);
	server->duty.is_new = true;
	server_world.polls = 0;
	/* A thread of its own: it forbids itself to allocate. */
	assert_int_equal(pthread_create(&thread, NULL, mains[0], server), 0);
	pthread_join(thread, NULL);
	store_release(&server->tid, 0);
}

void
direct_begin(struct fault_server *server)
{
	assert_int_equal(pthread_create(&server->thread, NULL, mains[1], server), 0);
}

void
direct_end(struct fault_server *server)
{
	struct daemon *d = server->daemon;

	lock_acquire(&d->direct_lock);
	store_release(&server->stopping, true);
	cond_signal(&server->assigned);
	lock_release(&d->direct_lock);
	pthread_join(server->thread, NULL);
	server->thread = pthread_self();
	store_release(&server->stopping, false);
	store_release(&server->tid, 0);
}

void
directs_let_go(struct daemon *d)
{
	for (unsigned i = 0; i < d->server_count; i++) {
		struct fault_server *server = direct_of(d, i);

		if (!server->client || !load_relaxed(&server->leaving))
			continue;
		direct_begin(server);
		direct_end(server);
		assert_null(server->client);
	}
}

void
client_open(struct unit *u, struct client *c)
{
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	c->task = unit_task(u->daemon);
	c->task->uffd = ends[0];
	c->messages = ends[1];
	assert_true(task_commit(c->task, TASK_ATTACHING, TASK_ATTACHED));
}

void
client_close(struct client *c)
{
	assert_int_equal(load_relaxed(&c->task->references), 1);
	task_put(c->task);
	close(c->messages);
}

void
client_touch(const struct client *c, uint64_t first, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct uffd_msg message = { .event = UFFD_EVENT_PAGEFAULT,
			.arg.pagefault.address = UNIT_BASE + (first + i) * 4096 };

		assert_int_equal(write(c->messages, &message, sizeof(message)), sizeof(message));
	}
}

unsigned
client_served(const struct client *c)
{
	unsigned served = 0, count = load_acquire(&server_world.count);

	for (unsigned i = 0; i < count; i++)
		served += server_world.served[i].task == c->task;
	return served;
}

int
seat_edges_take(const struct fault_seat *seat)
{
	struct epoll_event events[8];

	return __real_epoll_wait(seat->epoll, events, ARRAY_LEN(events), 0);
}

bool
seat_polls(const struct fault_seat *seat, const struct client *c)
{
	struct epoll_event events[8];
	struct uffd_msg message;
	bool polls = false;
	int count;

	client_touch(c, 0, 1);
	count = __real_epoll_wait(seat->epoll, events, ARRAY_LEN(events), 0);
	for (int i = 0; i < count; i++)
		polls |= events[i].data.u64 == task_cookie(c->task);
	assert_int_equal(read(c->task->uffd, &message, sizeof(message)), sizeof(message));
	return polls;
}

bool
client_waits(const struct client *c)
{
	return !(fcntl(c->task->uffd, F_GETFL) & O_NONBLOCK);
}
