/* SPDX-License-Identifier: MIT */
#include "threads.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The beginning of a thread's file, without newlines at its end. => whether there was anything */
static bool
thread_file(pid_t pid, const char *thread, const char *file, char *text, size_t size)
{
	char path[400];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%s/%s", (int)pid, thread, file);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? 0 : read(fd, text, size - 1);
	if (fd >= 0)
		close(fd);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	text[n > 0 ? n : 0] = '\0';
	return n > 0;
}

static DIR *
threads_open(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	return pid ? opendir(path) : NULL;
}

void
threads_show(pid_t pid)
{
	static const char *const files[] = { "comm", "wchan", "syscall" };
	DIR *dir = threads_open(pid);
	struct dirent *e;
	char text[256];

	while (dir && (e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		fprintf(stderr, "  %s", e->d_name);
		for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
			thread_file(pid, e->d_name, files[i], text, sizeof(text));
			fprintf(stderr, " %s", text);
		}
		fputc('\n', stderr);
	}
	if (dir)
		closedir(dir);
}

/* How often a thread has gone to sleep or lost its processor. */
static uint64_t
switches(const char *status)
{
	static const char *const lines[] = { "\nvoluntary_ctxt_switches:", "\nnonvoluntary_ctxt_switches:" };
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *at = strstr(status, lines[i]);

		if (at)
			sum += strtoull(at + strlen(lines[i]), NULL, 10);
	}
	return sum;
}

static bool
sleeps(pid_t pid, const char *thread, uint64_t *ret_switches)
{
	char status[4096];
	const char *state;

	if (!thread_file(pid, thread, "status", status, sizeof(status)))
		return false;
	state = strstr(status, "\nState:\t");
	*ret_switches = switches(status);
	return state && state[8] == 'S';
}

bool
thread_sleeps(pid_t pid, pid_t thread)
{
	char name[16];
	uint64_t ignored;

	snprintf(name, sizeof(name), "%d", (int)thread);
	return sleeps(pid, name, &ignored);
}

/* => whether each was found asleep, one after the other. What they have in common is the sum of their switches. */
static bool
each_sleeps(pid_t pid, uint64_t *ret_switches)
{
	DIR *dir = threads_open(pid);
	struct dirent *e;
	bool all = dir != NULL;

	*ret_switches = 0;
	while (all && (e = readdir(dir)) != NULL) {
		uint64_t one = 0;

		if (e->d_name[0] == '.')
			continue;
		all = sleeps(pid, e->d_name, &one);
		/* A thread that came between the two looks counts as a switch. */
		*ret_switches += one + 1;
	}
	if (dir)
		closedir(dir);
	return all;
}

/* Who was asleep both times and has not been switched to in between has slept all the while. So all of them did in between. */
bool
threads_rest(pid_t pid)
{
	uint64_t before, after;

	return each_sleeps(pid, &before) && each_sleeps(pid, &after) && before == after;
}
