/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "harness_priv.h"

/* In the child. */
static void
daemon_exec(struct live *d, const char *memory, va_list args, int output)
{
	/* Clients of any user may connect: most tests do not care about access. Timers stop as soon
	 * as they can, so that tests find them stopped. No disk is so slow that a file counts as
	 * stuck: a test that has one says how long it waits. */
	const char *argv[ARGUMENTS_MAX] = { harness.pagerd, "--socket", d->socket, "--memory",
		memory, "--socket-mode", "0666", "--param", "rest_after_ms=100", "--param",
		"file_patience_ms=600000" };
	char swap[160], log[160];
	bool no_swap = false, own_swap = false;
	int n = 11, fd;

	child_begin();
	snprintf(log, sizeof(log), "%s/log", d->directory);
	snprintf(swap, sizeof(swap), "%s/swap", d->directory);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dup2(output, STDOUT_FILENO);
	if (fd >= 0)
		dup2(fd, STDERR_FILENO);
	while (n < ARGUMENTS_MAX - 4 && (argv[n] = va_arg(args, const char *)) != NULL) {
		no_swap |= strcmp(argv[n], "--no-swap") == 0;
		own_swap |= strcmp(argv[n], "--swap-dir") == 0 ||
			    strcmp(argv[n], "--swap-nbd") == 0 ||
			    strcmp(argv[n], "--swap-device") == 0;
		n++;
	}
	if (!no_swap && !own_swap) {
		argv[n++] = "--swap-dir";
		argv[n++] = swap;
	}
	argv[n] = NULL;
	execv(argv[0], (char *const *)(uintptr_t)argv);
	dprintf(output, "cannot start %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static void
wait_ready(int output)
{
	char text[1024];
	size_t used = 0;

	for (;;) {
		ssize_t got = read(output, text + used, sizeof(text) - 1 - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			FAIL("pagerd ended before it was ready: %.*s", (int)used, text);
		used += (size_t)got;
		text[used] = '\0';
		if (strstr(text, "pagerd: ready on "))
			return;
	}
}

static void
tool_connect(struct live *d)
{
	struct pager_rep_hello hello;

	chan_init(&d->chan);
	OK(chan_open(&d->chan, d->socket));
	OK(chan_hello(&d->chan, PAGER_ROLE_TOOL, "live-test", &hello, NULL));
	if (d->keeper)
		d->pid = (pid_t)hello.daemon_pid;
	EQ(hello.daemon_pid, d->pid);
	d->page_bytes = hello.page_size;
	OK(statread_open(&d->chan, &d->stats));
	d->memory_bytes = (uint64_t)live_stat(d, "total") * d->page_bytes;
}

static void
directory_make(char *path, size_t path_size, char *left)
{
	const char *where = getenv("LIVE_DIR");

	snprintf(path, path_size, "%s/pagerd-live.XXXXXX", where ? where : "/var/tmp");
	REQUIRE(mkdtemp(path), "%s: %s", path, strerror(errno));
	REQUIRE(chmod(path, 0711) == 0, "%s", strerror(errno));
	snprintf(left, sizeof(harness.directories[0]), "%s", path);
}

void
live_directory_make(char *path, size_t path_size)
{
	directory_make(path, path_size, harness.directories[1]);
}

void
live_start(struct live *d, const char *memory, ...)
{
	va_list args;
	int output[2];

	memset(d, 0, sizeof(*d));
	harness.current = d;
	directory_make(d->directory, sizeof(d->directory), harness.directories[0]);
	snprintf(d->socket, sizeof(d->socket), "%s/socket", d->directory);
	REQUIRE(pipe2(output, O_CLOEXEC) == 0, "%s", strerror(errno));
	fflush(NULL);
	va_start(args, memory);
	d->pid = fork();
	if (d->pid == 0)
		daemon_exec(d, memory, args, output[1]);
	va_end(args);
	REQUIRE(d->pid > 0, "%s", strerror(errno));
	child_add(d->pid);
	harness.daemon_pid = d->pid;
	close(output[1]);
	wait_ready(output[0]);
	close(output[0]);
	va_start(args, memory);
	for (const char *word; (word = va_arg(args, const char *)) != NULL;)
		if (strcmp(word, "--keeper") == 0)
			d->keeper = d->pid;
	va_end(args);
	tool_connect(d);
}

void
live_taken_over(struct live *d)
{
	struct pollfd fd = { .fd = d->chan.fd };

	WAIT_UNTIL(d, poll(&fd, 1, 0) > 0);
	/* The alarm looks at statistics. */
	harness.current = NULL;
	statread_close(&d->stats);
	chan_close(&d->chan);
	tool_connect(d);
	harness.current = d;
}

/* --- the end --- */

static void
tool_disconnect(struct live *d)
{
	/* The alarm may come later than `d` lives. */
	harness.current = NULL;
	statread_close(&d->stats);
	chan_close(&d->chan);
}

/* => its wait status */
static int
daemon_reap(struct live *d)
{
	int status = child_reap(d->keeper ? d->keeper : d->pid);

	harness.daemon_pid = 0;
	d->pid = d->keeper = 0;
	return status;
}

static void
directory_leave(struct live *d)
{
	if (!getenv("LIVE_KEEP"))
		directory_remove(d->directory);
	harness.directories[0][0] = '\0';
}

static void
require_good_end(int status)
{
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		FAIL("pagerd's end: %s %d", WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void
require_clean_log(struct live *d)
{
	static const char *const bad[] = { "Sanitizer", "runtime error:", "panic", "check failed" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		REQUIRE(live_log_count(d, bad[i]) == 0, "the log says \"%s\"", bad[i]);
}

/* All memory of clients has come back. The compressor keeps only its credit and its open
 * segments. */
static void
require_nothing_left(struct live *d)
{
	static const char *const zero[] = { "sessions", "active", "inactive", "laundry",
		"speculative", "internal", "internal_compressed", "stored_pages", "swap_used_bytes",
		"parked", "refused_kept", "iokit_mapped" };

	for (size_t i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
		WAIT_UNTIL(d, live_stat(d, zero[i]) == 0);
	/* The daemon's own devices stay. */
	WAIT_UNTIL(d, live_stat(d, "wired") == live_stat(d, "device"));
	live_sample(d, true);
}

void
live_ended(struct live *d)
{
	tool_disconnect(d);
	require_good_end(daemon_reap(d));
	require_clean_log(d);
	directory_leave(d);
}

void
live_stop(struct live *d)
{
	if (!d->refuses)
		require_nothing_left(d);
	/* Recordings take mappings away without counting them as ageing. */
	WAIT_UNTIL(d, live_stat(d, "zapped") >= live_stat(d, "deactivations"));
	live_check(d);
	kill(d->keeper ? d->keeper : d->pid, SIGTERM);
	live_ended(d);
	printf(
	    "daemon ended well: %llu samples, %llu of them exact, at most %llu of %llu KiB held\n",
	    (unsigned long long)d->samples, (unsigned long long)d->exact_samples,
	    (unsigned long long)d->held_peak >> 10, (unsigned long long)d->memory_bytes >> 10);
}

void
live_kill(struct live *d)
{
	tool_disconnect(d);
	/* Its worker dies with a keeper. */
	kill(d->keeper ? d->keeper : d->pid, SIGKILL);
	daemon_reap(d);
	directory_leave(d);
}
