/* SPDX-License-Identifier: MIT */
#include "one.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "process.h"
#include "signals.h"

#define LOOK_NS  5000000
#define TICK_NS  500000000
#define CHUNK    65536
#define ARGS_MAX (PROGRAM_ARGS + 8)

struct stream {
	int fd; /* what the program writes; -1: closed */
	int reference;
	uint64_t bytes;
	bool is_equal;
};

struct child {
	const struct one_request *request;
	struct stream streams[2];
	pid_t pid;
	int pidfd;
	uint64_t start_ns, end_ns;
};

static bool
chunk_is_equal(int reference, uint64_t at, const char *chunk, size_t size)
{
	static char other[CHUNK];

	return pread(reference, other, size, (off_t)at) == (ssize_t)size &&
	       memcmp(other, chunk, size) == 0;
}

/* Takes what there is. => whether there was something */
static bool
stream_take(struct stream *s, bool is_first)
{
	static char chunk[CHUNK];
	ssize_t got = read(s->fd, chunk, sizeof(chunk));

	if (got < 0)
		return false;
	if (got == 0) {
		close(s->fd);
		s->fd = -1;
		return false;
	}
	if (is_first)
		s->is_equal &= pwrite(s->reference, chunk, (size_t)got, (off_t)s->bytes) == got;
	else
		s->is_equal &= chunk_is_equal(s->reference, s->bytes, chunk, (size_t)got);
	s->bytes += (uint64_t)got;
	return true;
}

/* Runs in the child. */
static void
child_exec(const struct one_request *r, const int output[2])
{
	const char *argv[ARGS_MAX];
	char path[400];
	int n = 0, null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigprocmask(SIG_SETMASK, signals_unblocked(), NULL);
	signal(SIGPIPE, SIG_DFL);
	setenv("LC_ALL", "C", 1);
	setenv("PYTHONHASHSEED", "0", 1);
	setenv("PERL_HASH_SEED", "0", 1);
	if (r->in_cgroup) {
		snprintf(path, sizeof(path), "%s/cgroup.procs", r->journal->cgroup);
		if (file_write(path, "0")) {
			fprintf(stderr, "pagerbench: cannot enter %s\n", path);
			_exit(126);
		}
	}
	if (r->pagerctl) {
		argv[n++] = r->pagerctl;
		argv[n++] = "--socket";
		argv[n++] = r->socket;
		argv[n++] = "run";
		argv[n++] = "--";
	}
	for (int i = 0; r->plan->argv[i]; i++)
		argv[n++] = r->plan->argv[i];
	argv[n] = NULL;
	dup2(null, STDIN_FILENO);
	dup2(output[0], STDOUT_FILENO);
	dup2(output[1], STDERR_FILENO);
	execv(argv[0], (char *const *)argv);
	_exit(127);
}

static int
child_start(struct child *c, const struct one_request *r)
{
	int pipes[2][2], output[2], error = 0;

	*c = (struct child){ .request = r, .pidfd = -1 };
	for (int i = 0; i < 2; i++) {
		if (pipe2(pipes[i], O_CLOEXEC))
			return -errno;
		fcntl(pipes[i][0], F_SETFL, O_NONBLOCK);
		c->streams[i] = (struct stream){ pipes[i][0], r->reference->fds[i], 0, true };
		output[i] = pipes[i][1];
	}
	c->start_ns = clock_now_ns();
	c->pid = fork();
	if (c->pid == 0)
		child_exec(r, output);
	if (c->pid < 0)
		error = -errno;
	else
		setpgid(c->pid, c->pid); /* as the child does: whoever is first */
	r->journal->group = c->pid > 0 ? c->pid : 0;
	if (!error) {
		c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0u);
		if (c->pidfd < 0)
			error = -errno;
	}
	close(output[0]);
	close(output[1]);
	return error;
}

/* => 0; -ETIME: it has been too long; -EINTR */
static int
child_watch(struct child *c)
{
	const struct one_request *r = c->request;
	uint64_t limit_ns = r->limit_s > 0 ? (uint64_t)(r->limit_s * 1e9) : UINT64_MAX;

	for (;;) {
		struct pollfd fds[3] = { { c->streams[0].fd, POLLIN, 0 },
			{ c->streams[1].fd, POLLIN, 0 }, { c->pidfd, POLLIN, 0 } };
		struct timespec tick = { .tv_nsec = r->peak ? LOOK_NS : TICK_NS };

		if (signals_received())
			return -EINTR;
		ppoll(fds, 3, &tick, signals_unblocked());
		if (fds[2].revents) {
			c->end_ns = clock_now_ns();
			return 0;
		}
		if (clock_now_ns() - c->start_ns > limit_ns)
			return -ETIME;
		for (int i = 0; i < 2; i++)
			if (fds[i].revents)
				stream_take(&c->streams[i], r->is_first);
		if (r->peak)
			peak_look(r->peak, c->pid, r->smaps);
	}
}

static void
first_note(const struct child *c, struct reference *ret, int status)
{
	for (int i = 0; i < 2; i++)
		ret->bytes[i] = c->streams[i].bytes;
	ret->status = status;
}

int
one_run(const struct one_request *r, struct one_result *ret)
{
	struct rusage used = { 0 };
	int status = 0, error;
	struct child c;

	error = child_start(&c, r);
	if (!error)
		error = child_watch(&c);
	if (c.pid > 0) {
		/* All that it has started ends with it. */
		kill(-c.pid, SIGKILL);
		while (wait4(c.pid, &status, 0, &used) < 0 && errno == EINTR)
			;
		r->journal->group = 0;
	}
	if (c.pidfd >= 0)
		close(c.pidfd);
	*ret = (struct one_result){ .is_equal = true, .is_slow = error == -ETIME };
	for (int i = 0; i < 2; i++) {
		struct stream *s = &c.streams[i];

		while (s->fd >= 0 && stream_take(s, r->is_first))
			;
		if (s->fd >= 0)
			close(s->fd);
		ret->is_equal &= s->is_equal && (r->is_first || s->bytes == r->reference->bytes[i]);
	}
	if (error && error != -ETIME)
		return error;
	if (r->is_first)
		first_note(&c, r->reference, status);
	ret->is_equal &= status == r->reference->status;
	ret->status = status;
	ret->seconds = (double)(c.end_ns - c.start_ns) * 1e-9;
	ret->cpu_s = (double)used.ru_utime.tv_sec + (double)used.ru_stime.tv_sec +
		     (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e-6;
	return 0;
}
