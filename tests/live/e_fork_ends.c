/* SPDX-License-Identifier: MIT
 *
 * Forks whose parent does not go on as usual, what of its parent's a child must not use, and how
 * long memory is shared.
 *
 * usage: e_fork_ends stuck|parent_killed|hurried|port|life
 */
#include "harness.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

#include "children.h"
#include "raw.h"

enum { PAGES = 64 };

static void
run(client_body *body, const char *memory)
{
	struct live d;

	live_start(&d, memory, NULL);
	client_join(&d, client_start(&d, body, &d), false);
	live_stop(&d);
}

/* --- the parent begins, and does not fork in time --- */

static atomic_bool written;

static void *
stuck_writer(void *base)
{
	*(volatile char *)base = 2;
	atomic_store(&written, true);
	return NULL;
}

/* Takes what lies in a child's socket, and maps it: of one region. => where it is */
static volatile char *
child_map(int socket, struct raw *r)
{
	struct pager_req_fork_child child = { 0 };
	struct pager_rep_fork_child born;
	static struct pager_rep_fork_step step;
	int memfd = -1;
	struct chan_call told = { CHAN_CALL(FORK_CHILD, &child, &born), .ret_fd = &r->device },
			 regions = { CHAN_CALL(FORK_STEP, &child, &step), .ret_fd = &memfd };
	void *at;

	chan_init(&r->chan);
	r->agent = -1;
	r->chan.fd = socket;
	OK(fd_note(socket, &r->chan.note));
	OK(chan_take_locked(&r->chan, &told, 0));
	r->page_bytes = born.page_size;
	r->uffd = raw_uffd(r, born.uffd_features);
	EQ(born.regions, 1);
	regions.reply_bytes_min = offsetof(struct pager_rep_fork_step, regions);
	OK(chan_take_locked(&r->chan, &regions, 0));
	EQ(step.count, 1);
	EQ(step.next_cursor, 0);
	EQ(chan_take_locked(&r->chan, &regions, 0), -EAGAIN);
	at = (void *)(uintptr_t)step.regions[0].address;
	raw_map(r, at, step.regions[0].size, memfd, step.regions[0].object_offset);
	return at;
}

/* => as FORK_CHILD, whose answer a child usually does not wait for */
static int
child_speak(struct raw *r)
{
	struct pager_req_fork_child child = { 0 };
	struct pager_rep_fork_child born;
	struct chan_call speak = { CHAN_CALL(FORK_CHILD, &child, &born) };

	return chan_exchange(&r->chan, &speak);
}

/* What a child would have that speaks too late is not what its parent's memory was: it is told, and
 * gets SIGBUS. */
static void
late_child(int socket)
{
	struct raw r;
	volatile char *at = child_map(socket, &r);

	EQ(child_speak(&r), -ETIMEDOUT);
	EQ(raw_attach(&r, r.uffd, raw_probe(r.uffd)), -ETIMEDOUT);
	signal(SIGBUS, SIG_DFL);
	_exit(*at);
}

static void
stuck_client(struct live *d, void *argument)
{
	struct pager_req_fork_begin begin = { .flags = 0 };
	struct pager_rep_fork_begin begun;
	int socket = -1, status;
	struct chan_call call = { CHAN_CALL(FORK_BEGIN, &begin, &begun), .ret_fd = &socket };
	struct raw r;
	pid_t pid;
	pthread_t thread;
	char *base;
	int memfd;
	uint64_t offset;

	(void)argument;
	raw_connect(d, &r);
	base = (char *)raw_memory(&r, PAGES * d->page_bytes, &memfd, &offset);
	base[0] = 1;
	call.reply_bytes_min = offsetof(struct pager_rep_fork_begin, physical);
	OK(chan_exchange(&r.chan, &call));
	REQUIRE(pthread_create(&thread, NULL, stuck_writer, base) == 0);
	WAIT_UNTIL(d, live_stat(d, "fork_held") > 0);
	REQUIRE(!atomic_load(&written), "a write has not waited for the fork");
	/* Until here it might have waited for an hour. */
	live_param(d, "fork_seconds", "1");
	WAIT_UNTIL(d, live_stat(d, "fork_timeouts") == 1);
	pthread_join(thread, NULL);
	EQ(base[0], 2);
	pid = fork_sure();
	if (pid == 0)
		late_child(socket);
	close(socket);
	status = status_of(pid);
	EQ(WIFSIGNALED(status) ? WTERMSIG(status) : 0, SIGBUS);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 1);
	raw_close(&r);
}

static void
test_stuck(void)
{
	struct live d;

	live_start(&d, "16M", "--param", "fork_seconds=3600", NULL);
	client_join(&d, client_start(&d, stuck_client, NULL), false);
	live_stop(&d);
}

/* --- the parent is killed between FORK_BEGIN and FORK_STEP END --- */

struct orphan {
	atomic_bool mapped, parent_is_gone, right;
};

/* Begins to fork. => the child's socket */
static int
fork_began(struct live *d, struct raw *r)
{
	struct pager_req_fork_begin begin = { .flags = 0 };
	struct pager_rep_fork_begin begun;
	int socket = -1, memfd;
	struct chan_call call = { CHAN_CALL(FORK_BEGIN, &begin, &begun), .ret_fd = &socket };
	uint64_t offset;
	char *base;

	raw_connect(d, r);
	base = (char *)raw_memory(r, PAGES * d->page_bytes, &memfd, &offset);
	for (unsigned i = 0; i < PAGES; i++)
		base[i * d->page_bytes] = (char)(i + 1);
	call.reply_bytes_min = offsetof(struct pager_rep_fork_begin, physical);
	OK(chan_exchange(&r->chan, &call));
	return socket;
}

/* It has all of its parent's memory, whose session ends before it has spoken. */
static void
orphan_child(struct live *d, int socket, struct orphan *o)
{
	struct raw r;
	volatile char *at = child_map(socket, &r);
	bool right = true;

	atomic_store(&o->mapped, true);
	WAIT_UNTIL(d, atomic_load(&o->parent_is_gone));
	OK(child_speak(&r));
	OK(raw_attach(&r, r.uffd, raw_probe(r.uffd)));
	for (unsigned i = 0; i < PAGES; i++)
		right = right && at[i * d->page_bytes] == (char)(i + 1);
	atomic_store(&o->right, right);
	_exit(0);
}

static int64_t
pages_known(struct live *d)
{
	return live_stat(d, "internal") + live_stat(d, "internal_compressed");
}

static void
parent_killed_client(struct live *d, void *argument)
{
	struct orphan *o = shared_alloc(sizeof(*o));

	(void)argument;
	for (unsigned with_child = 0; with_child < 2; with_child++) {
		pid_t pid = fork_sure();

		if (pid == 0) {
			struct raw r;
			int socket = fork_began(d, &r);

			if (with_child && fork_sure() == 0)
				orphan_child(d, socket, o);
			WAIT_UNTIL(d, !with_child || atomic_load(&o->mapped));
			kill(getpid(), SIGKILL);
		}
		EQ(status_of(pid), SIGKILL);
		/* The orphan's session has not begun. What its parent leaves is compressed, or is
		 * so already. */
		WAIT_UNTIL(
		    d, live_stat(d, "sessions") == 0 && pages_known(d) == with_child * PAGES);
	}
	atomic_store(&o->parent_is_gone, true);
	WAIT_UNTIL(d, atomic_load(&o->right));
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0 && pages_known(d) == 0);
	live_check(d);
}

static void
test_parent_killed(void)
{
	run(parent_killed_client, "16M");
}

/* --- a child says all that it has to, and closes everything, before the daemon reads a word --- */

static void
say(struct raw *r, const struct chan_call *call)
{
	uint64_t sequence;

	OK(chan_say_locked(&r->chan, call, &sequence));
}

static void
daemon_pause(struct live *d)
{
	REQUIRE(kill(d->pid, SIGSTOP) == 0);
	while (!is_stopped(d->pid))
		usleep(1000);
}

/* As fork_child.c, it waits for no answer. answered: that to FORK_CHILD lies unread in its socket
 * when that is closed. */
static void
hurried_child(struct live *d, int socket, struct orphan *o, bool answered)
{
	struct raw r;
	volatile char *at = child_map(socket, &r);
	struct pollfd answer = { .fd = socket, .events = POLLIN };
	struct pager_req_fork_child child = { 0 };
	struct pager_rep_fork_child born;
	struct pager_req_attach attach = { .probe_address = (uintptr_t)raw_probe(r.uffd),
		.probe_size = PAGER_PROBE_PAGES * (size_t)sysconf(_SC_PAGESIZE) };
	struct pager_rep_attach attached;
	bool right = true;

	if (!answered)
		daemon_pause(d);
	say(&r, &(struct chan_call){ CHAN_CALL(FORK_CHILD, &child, &born) });
	if (answered) {
		EQ(poll(&answer, 1, -1), 1);
		daemon_pause(d);
	}
	say(&r, &(struct chan_call){ CHAN_CALL(ATTACH, &attach, &attached), .fds_out = &r.uffd,
		    .fds_out_count = 1 });
	closefrom(3);
	kill(d->pid, SIGCONT);
	for (unsigned i = 0; i < PAGES; i++)
		right = right && at[i * d->page_bytes] == (char)(i + 1);
	atomic_store(&o->right, right);
	_exit(0);
}

static void
hurried_client(struct live *d, void *argument)
{
	struct orphan *o = shared_alloc(sizeof(*o));

	(void)argument;
	for (unsigned answered = 0; answered < 2; answered++) {
		struct raw r;
		int socket = fork_began(d, &r);
		pid_t pid = fork_sure();

		if (pid == 0)
			hurried_child(d, socket, o, answered);
		close(socket);
		EQ(status_of(pid), 0);
		REQUIRE(atomic_exchange(&o->right, false));
		raw_close(&r);
		WAIT_UNTIL(d, live_stat(d, "sessions") == 0);
	}
	live_check(d);
}

static void
test_hurried(void)
{
	run(hurried_client, "16M");
}

/* --- a port is its process's --- */

static void
port_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	struct pager_port *receives, *sends;
	struct pager_port_info info;
	struct pager_message m;
	void *base = client_allocate(p, d->page_bytes);
	pid_t pid;

	(void)argument;
	OK(pager_port_create(p, "e_fork/port", PAGER_PORT_SENDERS_USER, 0, &receives));
	OK(pager_port_open(p, "e_fork/port", &sends));
	pid = fork_sure();
	if (pid == 0) {
		struct pager_port *own;

		/* A number of the child's own session, which may be that of one of the parent's. */
		OK(pager_port_create(p, "e_fork/childs", PAGER_PORT_SENDERS_USER, 0, &own));
		EQ(pager_send(sends, base, d->page_bytes, PAGER_SEND_VIRTUAL, 1, 0, NULL),
		    -ENOTCONN);
		EQ(pager_receive(receives, 0, 0, &m), -ENOTCONN);
		EQ(pager_message_discard(receives), -ENOTCONN);
		EQ(pager_port_info(sends, &info), -ENOTCONN);
		EQ(pager_receive(own, 0, 0, &m), -EAGAIN);
		EQ(pager_port_close(sends), -ENOTCONN);
		EQ(pager_receive(own, 0, 0, &m), -EAGAIN);
		OK(pager_disconnect(p));
		_exit(0);
	}
	EQ(status_of(pid), 0);
	/* The parent's go on. */
	OK(pager_send(sends, base, d->page_bytes, PAGER_SEND_VIRTUAL, 7, 0, NULL));
	OK(pager_receive(receives, 0, 0, &m));
	EQ(m.id, 7);
	OK(pager_disconnect(p));
}

static void
test_port(void)
{
	run(port_client, "16M");
}

/* --- shared as long as something is --- */

struct seen {
	uint32_t share_mode, ref_count, shadow_depth;
};
enum life_step { FORKED, HALF, WHOLE, LIFE_STEPS };
/* In memory that both have. */
struct lived {
	atomic_uint done; /* steps of the child's; it goes on when told to */
	atomic_uint told;
	struct seen seen[LIFE_STEPS];
};

static struct seen
see(struct pager *p, const void *at)
{
	struct pager_region_query q = { .size = sizeof(q) };

	OK(pager_region_query(p, at, PAGER_REGION_BASIC, &q));
	return (struct seen){ q.share_mode, q.ref_count, q.shadow_depth };
}

static bool
is_shared(struct seen s, uint32_t depth)
{
	return s.share_mode == PAGER_SHARE_COW && s.ref_count == 2 && s.shadow_depth == depth;
}

static bool
is_private(struct seen s)
{
	return s.share_mode == PAGER_SHARE_PRIVATE && s.ref_count == 1 && s.shadow_depth == 0;
}

static void
life_child(struct live *d, struct pager *p, char *base, struct lived *l)
{
	for (unsigned step = FORKED; step < LIFE_STEPS; step++) {
		WAIT_UNTIL(d, atomic_load(&l->told) > step);
		for (unsigned i = 0; step > FORKED && i < PAGES / (step == HALF ? 2 : 1); i++)
			base[i * d->page_bytes] = 2;
		/* A job finds that nothing is shared any more. */
		WAIT_UNTIL(d, step < WHOLE || is_private(see(p, base)));
		l->seen[step] = see(p, base);
		atomic_store(&l->done, step + 1);
	}
	WAIT_UNTIL(d, atomic_load(&l->told) > LIFE_STEPS);
	for (unsigned i = 0; i < PAGES; i++)
		EQ(base[i * d->page_bytes], 2);
	_exit(0);
}

/* A touch returns before it is counted. */
static int64_t
settled(struct live *d)
{
	live_rest(d);
	return live_stat(d, "internal");
}

static void
life_client(struct live *d, void *argument)
{
	struct lived *l = shared_alloc(sizeof(*l));
	struct pager *p = client_connect(d);
	int64_t frames[LIFE_STEPS];
	char *base;
	void *v;
	pid_t pid;

	(void)argument;
	OK(pager_allocate(p, PAGES * d->page_bytes, PAGER_ALLOC_SHAREABLE, &v));
	base = v;
	for (unsigned i = 0; i < PAGES; i++)
		base[i * d->page_bytes] = 1;
	frames[FORKED] = settled(d);
	pid = fork_sure();
	if (pid == 0)
		life_child(d, p, base, l);
	for (unsigned step = FORKED; step < LIFE_STEPS; step++) {
		atomic_store(&l->told, step + 1);
		WAIT_UNTIL(d, atomic_load(&l->done) > step);
		if (step == FORKED)
			EQ(settled(d), frames[FORKED]);
		frames[step] = settled(d);
		if (step < WHOLE)
			REQUIRE(is_shared(see(p, base), 0) && is_shared(l->seen[step], 1));
		else
			WAIT_UNTIL(d, is_private(see(p, base)));
	}
	EQ(frames[HALF], frames[FORKED] + PAGES / 2);
	EQ(frames[WHOLE], frames[FORKED] + PAGES);
	for (unsigned i = 0; i < PAGES; i++)
		base[i * d->page_bytes]++;
	EQ(settled(d), frames[WHOLE]);
	REQUIRE(is_private(see(p, base)));
	atomic_store(&l->told, LIFE_STEPS + 1);
	EQ(status_of(pid), 0);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 1 && live_stat(d, "internal") == frames[FORKED]);
	REQUIRE(is_private(see(p, base)));
	OK(pager_disconnect(p));
}

static void
test_life(void)
{
	run(life_client, "16M");
}

static const struct live_test tests[] = {
	{ "stuck", test_stuck },
	{ "parent_killed", test_parent_killed },
	{ "hurried", test_hurried },
	{ "port", test_port },
	{ "life", test_life },
};

int
main(int argc, char **argv)
{
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
