/* SPDX-License-Identifier: MIT
 *
 * How clients and sessions end: the agent's socket, a userfaultfd that is another process's, a
 * socket that outlives its process, processes that end while a request runs, SIGTERM while jobs are
 * stuck. An honest client goes on meanwhile.
 *
 * usage: f_ends agent|other|orphan|dies|stuck
 */
#include "foreign.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "threads.h"

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

	foreign_begin(&d);
	client_join(&d, client_start(&d, agent, NULL), false);
	foreign_end(&d);
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
	/* Its owner can still attach it. */
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
	foreign_begin(&d);
	client_join(&d, client_start(&d, others_memory, NULL), false);
	REQUIRE(live_log_count(&d, "watches another process's memory") == 1);
	foreign_end(&d);
}

/* --- a session whose process is gone while its socket is open --- */

static void
leaves_socket(struct live *d, void *argument)
{
	struct actor *a = argument;
	unsigned char *base;
	uint64_t offset;
	struct raw r;
	int memfd;
	pid_t pid;

	raw_connect(d, &r);
	base = raw_memory(&r, 64 * d->page_bytes, &memfd, &offset);
	madvise(base, 64 * d->page_bytes, MADV_DONTFORK);
	for (unsigned i = 0; i < 64; i++)
		base[i * d->page_bytes] = 1;
	WAIT_UNTIL(d, live_stat(d, "sessions") == 2);
	/* The child keeps every descriptor open. */
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

	foreign_begin(&d);
	client_join(&d, client_start(&d, leaves_socket, a), false);
	REQUIRE(kill(atomic_load(&a->number), 0) == 0);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 1);
	atomic_store(&a->go_on, true);
	foreign_end(&d);
}

/* --- gone while its request runs --- */

static void
dies(struct live *d, void *argument)
{
	const unsigned *round = argument;
	const size_t bytes = 2000 * d->page_bytes;
	unsigned char *base;
	struct pager_req_behavior behavior = { .size = bytes,
		.behavior = PAGER_BEHAVIOR_WILLNEED + *round % 4 };
	struct pager_req_wire range = { .size = bytes };
	_Alignas(8) unsigned char message[256];
	uint64_t offset;
	struct raw r;
	int memfd;
	size_t size;

	raw_connect(d, &r);
	base = raw_memory(&r, bytes, &memfd, &offset);
	for (size_t i = 0; i < bytes; i += d->page_bytes)
		base[i] = 1;
	behavior.address = range.address = (uintptr_t)base;
	size = *round % 3 ? raw_message(message, PAGER_MSG_BEHAVIOR, &behavior, sizeof(behavior))
			  : raw_message(message, *round % 2 ? PAGER_MSG_WIRE : PAGER_MSG_DEALLOCATE,
				&range, sizeof(range));
	REQUIRE(send(r.chan.fd, message, size, MSG_NOSIGNAL) == (ssize_t)size);
	kill(getpid(), SIGKILL);
}

static void
test_dies(void)
{
	unsigned *round = shared_alloc(sizeof(*round));
	struct live d;

	foreign_begin(&d);
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
	foreign_end(&d);
}

/* --- SIGTERM while jobs are stuck: a recording goes into a full pipe --- */

static bool
is_not_in(pid_t pid, pid_t thread, void *where)
{
	char text[128];

	return !thread_file_read(pid, thread, "wchan", text, sizeof(text)) || !strstr(text, where);
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

	foreign_begin(&d);
	WAIT_UNTIL(&d, live_stat(&d, "swap_files") > 0);
	snprintf(swap, sizeof(swap), "%s/swap", d.directory);
	REQUIRE(live_names_count(swap) > 0);
	REQUIRE(pipe2(ends, O_CLOEXEC) == 0 && fcntl(ends[1], F_SETFL, O_NONBLOCK) == 0);
	while (write(ends[1], bytes, sizeof(bytes)) > 0)
		continue;
	REQUIRE(fcntl(ends[1], F_SETFL, 0) == 0);
	fd = dup(d.chan.fd);
	send_away(
	    fd, message, raw_message(message, PAGER_MSG_TRACE, &trace, sizeof(trace)), &ends[1], 1);
	close(fd);
	while (threads_each(d.pid, is_not_in, (void *)(uintptr_t) "pipe_write"))
		live_tick(&d);
	client_kill(foreign_honest->pid);
	REQUIRE(kill(d.pid, SIGTERM) == 0);
	while (waitid(P_PID, (id_t)d.pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		continue;
	REQUIRE(info.si_code == CLD_EXITED && info.si_status == 0, "code %d status %d",
	    info.si_code, info.si_status);
	REQUIRE(live_log_count(&d, "without waiting for them") == 1);
	REQUIRE(access(d.socket, F_OK) < 0 && errno == ENOENT);
	EQ(live_names_count(swap), 0);
	close(ends[0]);
	live_kill(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "agent", test_agent },
		{ "other", test_other },
		{ "orphan", test_orphan },
		{ "dies", test_dies },
		{ "stuck", test_stuck },
	};

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
