/* SPDX-License-Identifier: MIT
 *
 * Children that a test makes by fork(2).
 */
#ifndef CHILDREN_H
#define CHILDREN_H

#include "harness.h"
#include "threads.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The status of a child that has been waited for. */
static inline int
status_of(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		REQUIRE(errno == EINTR);
	return status;
}

/* Whether a child has ended; it can still be waited for. */
static inline bool
has_ended(pid_t pid)
{
	siginfo_t info = { .si_pid = 0 };

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
	       info.si_pid == pid;
}

static inline bool
thread_is_stopped(pid_t pid, pid_t thread, void *argument)
{
	char text[512];
	const char *at;

	(void)argument;
	if (!thread_file_read(pid, thread, "stat", text, sizeof(text)))
		return false;
	at = strrchr(text, ')');
	return at && at[1] == ' ' && at[2] == 'T';
}

/* Whether a process has been stopped by a signal: a thread may go on after another has stopped. */
static inline bool
is_stopped(pid_t pid)
{
	return threads_each(pid, thread_is_stopped, NULL);
}

/* Whether a thread waits for an answer to its fault. */
static inline bool
waits_for_a_fault(pid_t pid, int thread)
{
	char path[64], text[64] = "";
	int fd;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/wchan", (int)pid, thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	return n > 0 && strstr(text, "userfault") != NULL;
}

static inline pid_t
fork_sure(void)
{
	pid_t pid = fork();

	REQUIRE(pid >= 0, "fork: %s", strerror(errno));
	return pid;
}

#endif
