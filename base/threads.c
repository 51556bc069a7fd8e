/* SPDX-License-Identifier: MIT */
#include "threads.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

bool
thread_file_read(pid_t pid, pid_t thread, const char *file, char *text, size_t size)
{
	char path[80];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)pid, (int)thread, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, size - 1);
	if (fd >= 0)
		close(fd);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

void
thread_nice_set(int by)
{
	/* Of a thread, in Linux. The kernel keeps the sum within what there is. */
	setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, (id_t)getpid()) + by);
}

bool
threads_each(pid_t pid, bool (*f)(pid_t pid, pid_t thread, void *argument), void *argument)
{
	struct dirent *e;
	char path[64];
	bool all;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	dir = opendir(path);
	all = dir != NULL;
	while (all && (e = readdir(dir)) != NULL)
		all = e->d_name[0] == '.' || f(pid, (pid_t)atoi(e->d_name), argument);
	if (dir)
		closedir(dir);
	return all;
}

/* How often a thread has gone to sleep or lost its processor. */
static uint64_t
switches(const char *status)
{
	static const char *const lines[] = { "\nvoluntary_ctxt_switches:",
		"\nnonvoluntary_ctxt_switches:" };
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *at = strstr(status, lines[i]);

		if (at)
			sum += strtoull(at + strlen(lines[i]), NULL, 10);
	}
	return sum;
}

static bool
sleeps(pid_t pid, pid_t thread, uint64_t *ret_switches)
{
	char status[4096];
	const char *state;

	if (!thread_file_read(pid, thread, "status", status, sizeof(status)))
		return false;
	*ret_switches = switches(status);
	state = strstr(status, "\nState:\t");
	return state && state[strlen("\nState:\t")] == 'S';
}

bool
thread_sleeps(pid_t pid, pid_t thread)
{
	uint64_t ignored;

	return sleeps(pid, thread, &ignored);
}

bool
thread_is_io_worker(pid_t pid, pid_t thread)
{
	const unsigned io_worker = 0x10; /* PF_IO_WORKER of the kernel */
	char text[512];
	const char *at;
	unsigned flags;

	/* The name, which may have any characters, is in parentheses. */
	return thread_file_read(pid, thread, "stat", text, sizeof(text)) &&
	       (at = strrchr(text, ')')) != NULL &&
	       sscanf(at, ") %*c %*d %*d %*d %*d %*d %u", &flags) == 1 && flags & io_worker;
}

/* Whether the thread will go on by itself when a time is over. Where the kernel does not say, it is
 * taken to wait for somebody. Of one of the kernel's own it names the call in which the thread was
 * that has started it. */
static bool
is_pausing(pid_t pid, pid_t thread)
{
#ifdef __SANITIZE_THREAD__ /* which has a thread that does nothing else */
	return false;
#endif
	char text[160];
	long number;

	if (!thread_file_read(pid, thread, "syscall", text, sizeof(text)) || text[0] < '0' ||
	    text[0] > '9')
		return false;
	number = strtol(text, NULL, 10);
	return (number == SYS_nanosleep || number == SYS_clock_nanosleep) &&
	       !thread_is_io_worker(pid, thread);
}

struct look {
	pid_t except;
	uint64_t switches; /* sum over the threads; it also changes when a thread starts or ends */
};

static bool
look_at(pid_t pid, pid_t thread, void *argument)
{
	struct look *l = argument;
	uint64_t one;

	if (thread == l->except)
		return true;
	if (!sleeps(pid, thread, &one) || is_pausing(pid, thread))
		return false;
	l->switches += one + 1;
	return true;
}

/* A thread that is asleep both times, and has not run in between, has slept all the time. */
uint64_t
threads_asleep(pid_t pid, pid_t except)
{
	struct look look = { .except = except, .switches = 1 };

	return threads_each(pid, look_at, &look) ? look.switches : 0;
}
