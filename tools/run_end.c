/* SPDX-License-Identifier: MIT
 *
 * What is left of a run whose daemon has ended. Memory of its programs that was away is lost, and
 * who touches it would wait for ever: so they are killed, with all that they have started and left
 * behind. The kernel hands that to the launcher, so all of them are found below it. Only who has
 * not the library, a static program for example, lives on: it had no memory of the daemon's. One
 * that has the library and no such memory is not told from one that is just being forked.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "run.h"

#define LOOK_NS   5000000
#define LOOKS_MAX 2000 /* a process that is killed may be in a call that does not end */
#define DEPTH_MAX 4096
#define LIBRARY   "/libpagerrun.so"

void
run_rest_adopt(void)
{
	prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* => 0: there is no such process any more */
static pid_t
parent_of(pid_t pid)
{
	char path[64], text[512], *end;
	FILE *file;
	size_t got;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return 0;
	got = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[got] = '\0';
	/* Its name may have any letter in it: "pid (name) state parent". */
	end = strrchr(text, ')');
	return end && strlen(end) > 4 ? (pid_t)strtol(end + 4, NULL, 10) : 0;
}

static bool
is_below(pid_t pid, pid_t top)
{
	for (unsigned depth = 0; pid > 1 && pid != top && depth < DEPTH_MAX; depth++)
		pid = parent_of(pid);
	return pid == top;
}

/* A process that does not let itself be looked at counts as one that has. */
static bool
has_library(pid_t pid)
{
	char path[64], *line = NULL;
	size_t room = 0;
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return errno == EACCES || errno == EPERM;
	while (!found && getline(&line, &room, file) > 0)
		found = strstr(line, LIBRARY) != NULL;
	found |= ferror(file) && (errno == EACCES || errno == EPERM);
	free(line);
	fclose(file);
	return found;
}

/* => how many were there to be killed */
static unsigned
rest_kill(void)
{
	DIR *directory = opendir("/proc");
	pid_t own = getpid(), pid;
	struct dirent *entry;
	unsigned count = 0;

	while (directory && (entry = readdir(directory)) != NULL) {
		pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid > 1 && pid != own && is_below(pid, own) && has_library(pid))
			count += kill(pid, SIGKILL) == 0;
	}
	if (directory)
		closedir(directory);
	return count;
}

void
run_rest_end(void)
{
	const struct timespec tick = { .tv_nsec = LOOK_NS };

	/* One that is just being forked is there at the next look, below who has forked it or below
	 * this process. */
	for (unsigned i = 0; i < LOOKS_MAX && rest_kill() > 0; i++) {
		nanosleep(&tick, NULL);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			continue;
	}
}
