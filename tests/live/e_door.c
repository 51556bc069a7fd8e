/* SPDX-License-Identifier: MIT
 *
 * The daemon's door: its socket's name, who may use it, and a machine without descriptors.
 *
 * usage: e_door occupied|successor|given|race|access|descriptors|retry|memlock
 */
#include "beside.h"
#include "base.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#define NOBODY 65534

/* --- the name --- */

static void
test_occupied(void)
{
	static const int types[] = { SOCK_SEQPACKET, SOCK_STREAM, SOCK_DGRAM };
	struct stat before, after;
	struct process p;
	int other;

	file_write(place_path("file"), "precious");
	process_refuses(place_path("file"), "is a file");
	file_is(place_path("file"), "precious");
	REQUIRE(symlink(place_path("file"), place_path("link")) == 0);
	process_refuses(place_path("link"), "is a symbolic link");
	REQUIRE(lstat(place_path("link"), &after) == 0 && S_ISLNK(after.st_mode));
	/* A symbolic link is left alone even if its target does not exist. */
	REQUIRE(symlink(place_path("nothing"), place_path("dangling")) == 0);
	process_refuses(place_path("dangling"), "is a symbolic link");
	REQUIRE(mkdir(place_path("directory"), 0755) == 0 && mkfifo(place_path("fifo"), 0600) == 0);
	process_refuses(place_path("directory"), "is a directory");
	process_refuses(place_path("fifo"), "is no socket");
	EQ(access(place_path("fifo"), F_OK), 0);

	other = socket_bound(place_path("other"), SOCK_STREAM);
	REQUIRE(lstat(place_path("other"), &before) == 0);
	process_refuses(place_path("other"), "another program serves");
	REQUIRE(lstat(place_path("other"), &after) == 0);
	EQ(after.st_ino, before.st_ino);
	close(other);

	/* Dead sockets have no owner, whatever their type. */
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		const char *path = place_path("dead");

		if (types[i] != SOCK_DGRAM)
			close(socket_bound(path, types[i]));
		else
			REQUIRE(mknod(path, S_IFSOCK | 0600, 0) == 0, "%s", strerror(errno));
		process_start(&p, path, NULL, 0, NULL);
		process_wait_serves(&p);
		EQ(who_answers(path), p.pid);
		process_stop(&p, SIGTERM);
		EQ(names_in_place("dead"), 0);
	}
}

static void
test_successor(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const char *path = place_path("socket");
	struct process old, new;
	int fds[1024], count = 0;

	process_start(&old, path, NULL, 0, NULL);
	process_wait_serves(&old);
	process_refuses(path, "another pagerd serves");
	/* A socket whose owner does not answer for a while, or whose queue is full, is not dead. */
	kill(old.pid, SIGSTOP);
	process_refuses(path, "another pagerd serves");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	while (count < 1024) {
		fds[count] = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		REQUIRE(fds[count] >= 0, "%s", strerror(errno));
		if (connect(fds[count++], (struct sockaddr *)&address, sizeof(address)) < 0)
			break;
	}
	REQUIRE(count < 1024, "the queue has no end");
	process_refuses(path, "another pagerd serves");
	while (count > 0)
		close(fds[--count]);
	kill(old.pid, SIGCONT);
	EQ(who_answers(path), old.pid);
	/* The name is removed and another daemon started: the first one's end leaves the new
	 * socket alone. */
	EQ(unlink(path), 0);
	process_start(&new, path, NULL, 0, NULL);
	process_wait_serves(&new);
	process_stop(&old, SIGTERM);
	EQ(who_answers(path), new.pid);
	process_stop(&new, SIGTERM);
	EQ(names_in_place("socket"), 0);
}

/* What a service manager does: sockets are descriptors 3 and following, `count` of them. */
static int given;
static void
give(unsigned count)
{
	char number[16];

	if (dup2(given, 3) < 0)
		_exit(2);
	if (given == 3)
		fcntl(3, F_SETFD, 0);
	snprintf(number, sizeof(number), "%d", (int)getpid());
	setenv("LISTEN_PID", number, 1);
	snprintf(number, sizeof(number), "%u", count);
	setenv("LISTEN_FDS", number, 1);
}

static void
given_is_refused(unsigned count, const char *expected)
{
	struct process p;
	int status;

	process_start(&p, place_path("never"), give, count, NULL);
	while (!process_ended(&p, &status)) {
		REQUIRE(!process_serves(&p), "it serves");
		usleep(1000);
	}
	REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 1 && strstr(process_text(&p), expected),
	    "status %x: %s", status, process_text(&p));
	EQ(names_in_place("never"), 0);
}

/* A socket that a service manager has made: connections wait in it for the daemon, and its name
 * stays when a daemon ends, for the next one. */
static void
test_given(void)
{
	const char *path = place_path("socket");
	struct pager_rep_hello hello;
	struct process p;
	struct chan chan;

	given = socket_bound(place_path("stream"), SOCK_STREAM);
	given_is_refused(1, "is no unix socket of packets that listens");
	close(given);
	given = socket_bound(path, SOCK_SEQPACKET);
	given_is_refused(2, "2 sockets were passed");
	chan_init(&chan);
	EQ(chan_open(&chan, path), 0);
	process_start(&p, place_path("never"), give, 1, NULL);
	EQ(chan_hello(&chan, PAGER_ROLE_TOOL, "waits", &hello, NULL), 0);
	EQ(hello.daemon_pid, p.pid);
	chan_close(&chan);
	process_wait_serves(&p);
	REQUIRE(strstr(process_text(&p), path), "%s", process_text(&p));
	process_stop(&p, SIGTERM);
	EQ(access(path, F_OK), 0);
	process_start(&p, place_path("never"), give, 1, NULL);
	EQ(who_answers(path), p.pid);
	process_stop(&p, SIGTERM);
	EQ(names_in_place("never"), 0);
	close(given);
	/* It is another process that they were for. */
	EQ(setenv("LISTEN_PID", "1", 1), 0);
	EQ(setenv("LISTEN_FDS", "1", 1), 0);
	process_start(&p, place_path("own"), NULL, 0, NULL);
	process_wait_serves(&p);
	EQ(who_answers(place_path("own")), p.pid);
	process_stop(&p, SIGTERM);
}

/* Several daemons start at once on a dead socket: one serves, the others say that it does. */
static void
test_race(void)
{
	enum { DAEMONS = 6 };
	const char *path = place_path("socket");

	for (unsigned round = 0; round < live_scaled(4); round++) {
		struct process p[DAEMONS];
		int serves = -1;

		close(socket_bound(path, SOCK_SEQPACKET));
		for (unsigned i = 0; i < DAEMONS; i++)
			process_start(&p[i], path, NULL, 0, NULL);
		for (unsigned i = 0; i < DAEMONS; i++) {
			int status = 0;

			while (!process_serves(&p[i]) && !process_ended(&p[i], &status))
				usleep(1000);
			if (process_serves(&p[i])) {
				REQUIRE(serves < 0, "two serve");
				serves = (int)i;
			} else {
				REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 1 &&
					    strstr(process_text(&p[i]), "another pagerd serves"),
				    "status %x: %s", status, process_text(&p[i]));
			}
		}
		REQUIRE(serves >= 0, "no daemon serves");
		EQ(who_answers(path), p[serves].pid);
		process_stop(&p[serves], SIGTERM);
		EQ(names_in_place("socket"), 0);
	}
}

/* --- who may connect --- */

/* A file of groups that only the daemon sees. */
static void
groups_replace(unsigned with_pagerd)
{
	const char *path = place_path(with_pagerd ? "with" : "without");

	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount(path, "/etc/group", NULL, MS_BIND, NULL) < 0)
		dprintf(STDERR_FILENO, "no groups of our own\n");
}

static void
access_is(struct process *p, const char *path, mode_t mode, gid_t group, bool told)
{
	struct stat st;

	process_wait_serves(p);
	REQUIRE(lstat(path, &st) == 0, "%s", strerror(errno));
	REQUIRE((st.st_mode & 07777) == mode, "mode %o, not %o: %s", st.st_mode & 07777, mode,
	    process_text(p));
	EQ(st.st_gid, group);
	EQ(strstr(process_text(p), "there is no group pagerd") != NULL, told);
}

static void
connect_as(struct live *d, void *argument)
{
	*(atomic_int *)argument = who_answers(d->socket);
}

static int
answer_to_nobody(const char *path)
{
	atomic_int *answer = shared_alloc(sizeof(*answer));
	struct live d = { 0 };

	snprintf(d.socket, sizeof(d.socket), "%s", path);
	client_join(&d, client_start_as(&d, NOBODY, connect_as, answer), false);
	return *answer;
}

/* Others' users are made, and groups. */
static void
root_is_needed(void)
{
	if (geteuid() == 0)
		return;
	fprintf(stderr, "skipped: only root can become somebody else\n");
	exit(77);
}

static void
test_access(void)
{
	const char *path = place_path("socket");
	struct process p;

	root_is_needed();
	file_write(place_path("without"), "root:x:0:\n");
	file_write(place_path("with"), "root:x:0:\npagerd:x:4321:\n");
	process_start(&p, path, groups_replace, false, NULL);
	process_wait_serves(&p);
	if (strstr(process_text(&p), "no groups of our own")) {
		process_stop(&p, SIGTERM);
		fprintf(stderr, "skipped: no mount namespace for a file of groups\n");
		exit(77);
	}
	access_is(&p, path, 0600, getegid(), true);
	EQ(answer_to_nobody(path), -EACCES);
	EQ(who_answers(path), p.pid);
	process_stop(&p, SIGTERM);

	process_start(&p, path, groups_replace, true, NULL);
	access_is(&p, path, 0660, 4321, false);
	EQ(answer_to_nobody(path), -EACCES);
	process_stop(&p, SIGTERM);

	process_start(
	    &p, path, groups_replace, false, (const char *[]){ "--socket-mode", "0666", NULL });
	access_is(&p, path, 0666, getegid(), false);
	EQ(answer_to_nobody(path), p.pid);
	process_stop(&p, SIGTERM);
}

/* --- descriptors --- */

struct knock {
	atomic_int refused; /* the error of the first connection that was refused */
	atomic_uint let_in, later;
	atomic_bool leave;
};

/* Opens a connection. It is kept if it is let in. => 0 or what it is told */
static int
knock_once(struct live *d, struct knock *k)
{
	struct pager_rep_hello hello;
	struct chan chan;
	int r;

	chan_init(&chan);
	r = chan_open(&chan, d->socket);
	if (r == 0)
		r = chan_hello(&chan, PAGER_ROLE_TOOL, "knock", &hello, NULL);
	if (r == 0)
		atomic_fetch_add(&k->let_in, 1);
	else
		chan_close(&chan);
	return r;
}

/* Opens connections and keeps them until one is refused; then tries until a thousand more have
 * been. The daemon may have had a descriptor for a moment only when it refused the first one, so
 * that another one is let in. */
static void
knock_as_nobody(struct live *d, void *argument)
{
	struct rlimit limit = { 4096, 4096 };
	struct knock *k = argument;
	int r;

	setrlimit(RLIMIT_NOFILE, &limit);
	while ((r = knock_once(d, k)) == 0)
		continue;
	atomic_store(&k->refused, r);
	while (atomic_load(&k->later) < 1000) {
		r = knock_once(d, k);
		REQUIRE(r == 0 || r == -ENFILE, "it is told %d", r);
		atomic_fetch_add(&k->later, r != 0);
	}
	WAIT_UNTIL(d, atomic_load(&k->leave));
}

static int
descriptor_highest(pid_t pid)
{
	char path[64];
	struct dirent *e;
	int highest = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	REQUIRE(dir, "%s", strerror(errno));
	while ((e = readdir(dir)) != NULL)
		if (atoi(e->d_name) > highest)
			highest = atoi(e->d_name);
	closedir(dir);
	return highest;
}

static void
test_descriptors(void)
{
	struct knock *k = shared_alloc(sizeof(*k));
	struct rlimit limit;
	uint64_t start = now_ms();
	char text[4096];
	struct live d;
	pid_t pid;

	root_is_needed();
	live_start(&d, "4M", "--no-swap", NULL);
	limit.rlim_cur = limit.rlim_max = (rlim_t)descriptor_highest(d.pid) + 20;
	REQUIRE(prlimit(d.pid, RLIMIT_NOFILE, &limit, NULL) == 0, "%s", strerror(errno));
	pid = client_start_as(&d, NOBODY, knock_as_nobody, k);
	WAIT_UNTIL(&d, atomic_load(&k->later) == 1000);
	REQUIRE(atomic_load(&k->let_in) > 0, "no connection was let in");
	EQ(atomic_load(&k->refused), -ENFILE);
	/* Root can still list the clients. */
	REQUIRE(live_pagerctl(&d, text, sizeof(text), "clients", NULL) == 0, "%s", text);
	live_check(&d);
	REQUIRE(live_log_count(&d, "was refused") > 0, "the log does not tell");
	REQUIRE(live_log_count(&d, "was refused") <= lines_allowed(start), "%u lines",
	    live_log_count(&d, "was refused"));
	atomic_store(&k->leave, true);
	client_join(&d, pid, false);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	WAIT_UNTIL(&d, answer_to_nobody(d.socket) == d.pid);
	live_stop(&d);
}

struct waiting {
	atomic_int answer;
};

static void
wait_at_the_door(struct live *d, void *argument)
{
	struct waiting *w = argument;

	atomic_store(&w->answer, who_answers(d->socket));
}

/* Where no descriptor can be had, the loop stops watching the listener, so that it does not
 * spin; waiting connections are served later. */
static void
test_retry(void)
{
	static const char *const points[] = { "ACCEPT_EMFILE", "ACCEPT_ENOBUFS" };
	struct waiting *w = shared_alloc(sizeof(*w));
	struct live d;
	char spec[64];

	live_start(&d, "4M", "--no-swap", NULL);
	for (unsigned i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
		uint64_t start, before, tries;
		pid_t pid;

		w->answer = 0;
		before = live_fail_count(&d, points[i]);
		start = now_ms();
		snprintf(spec, sizeof(spec), "%s:0:0", points[i]);
		live_debug_fail(&d, spec);
		pid = client_start(&d, wait_at_the_door, w);
		WAIT_UNTIL(&d, live_fail_count(&d, points[i]) > before);
		/* Each call here is a turn of the daemon's loop. */
		for (unsigned n = 0; n < 1000; n++)
			live_fail_count(&d, points[i]);
		tries = live_fail_count(&d, points[i]) - before;
		REQUIRE(tries <= 2 * ((now_ms() - start) / 200 + 2), "%llu tries in %llu ms",
		    (unsigned long long)tries, (unsigned long long)(now_ms() - start));
		EQ(atomic_load(&w->answer), 0);
		live_debug_fail(&d, NULL);
		client_join(&d, pid, false);
		EQ(atomic_load(&w->answer), d.pid);
	}
	/* A connection that is closed before it is accepted: the next one is accepted. */
	live_debug_fail(&d, "ACCEPT_ECONNABORTED:0:3");
	EQ(who_answers(d.socket), d.pid);
	EQ(live_fail_count(&d, "ACCEPT_ECONNABORTED"), 3);
	REQUIRE(live_log_count(&d, "no connection can be accepted") > 0, "the log does not tell");
	live_stop(&d);
}

/* --- memory that may not be locked --- */

static void
write_and_read(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint64_t *memory = client_allocate(p, 2048 * 4096ull);

	(void)argument;
	/* Words that repeat within a page: there is no swap. */
	for (uint32_t i = 0; i < 2048 * 512; i++)
		memory[i] = mix64(i / 64);
	for (uint32_t i = 0; i < 2048 * 512; i++)
		REQUIRE(memory[i] == mix64(i / 64), "word %u", i);
	OK(pager_disconnect(p));
}

static void
memlock_limit(unsigned mebibytes)
{
	rlim_t bytes = (rlim_t)mebibytes << 20;
	struct rlimit limit;

	getrlimit(RLIMIT_MEMLOCK, &limit);
	if (bytes > limit.rlim_max)
		bytes = limit.rlim_max;
	/* Root gets the capability back by exec, unless it is removed from the bounding set. */
	if (prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK) < 0 ||
	    setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ bytes, bytes }) < 0)
		_exit(2);
}

/* A limit that lets the daemon lock its first memory, and not its tables. */
static void
test_memlock(void)
{
	static const unsigned limits[] = { 0, 1, 4, 8, 16, 64 };

	for (unsigned i = 0; i < ARRAY_LEN(limits); i++) {
		struct live d = { 0 };
		struct process p;

		snprintf(d.socket, sizeof(d.socket), "%s", place_path("socket"));
		process_start(&p, d.socket, memlock_limit, limits[i], NULL);
		process_wait_serves(&p);
		client_join(&d, client_start(&d, write_and_read, NULL), false);
		process_stop(&p, SIGTERM);
	}
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "occupied", test_occupied },
		{ "successor", test_successor },
		{ "given", test_given },
		{ "race", test_race },
		{ "access", test_access },
		{ "descriptors", test_descriptors },
		{ "retry", test_retry },
		{ "memlock", test_memlock },
	};

	live_init(argc, argv);
	place_make();
	return LIVE_RUN(argc, argv, tests);
}
