/*
 * SPDX-License-Identifier: MIT
 *
 * Runs a test and lets nothing of it outlive it: `contain SECONDS COMMAND...`. A test that hangs is
 * told to end (SIGTERM: the live tests then show what each thread does), and killed 20 seconds
 * later. What the command has started and left behind is killed too, whatever session or process
 * group it is in. So one test that hangs costs its own time only, and no orphan holds the test's
 * output open, which `meson test` would wait for.
 *
 * Exits with the command's status, 128 + the signal that ended it, or 124 after SECONDS.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TOLD_S                                                                                     \
	20 /* between SIGTERM and SIGKILL: showing the state of many threads takes seconds         \
	    */
#define KILLED_S 30 /* until a killed process is given up, which sleeps in the kernel */

struct process {
	pid_t pid, parent;
	char state;
	char name[32];
};

/* => whether `pid` is a process, and what /proc says of it */
static bool
process_read(pid_t pid, struct process *p)
{
	char path[64], line[512], *end;
	FILE *f;
	bool read;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "r");
	if (!f)
		return false;
	read = fgets(line, sizeof(line), f) != NULL;
	fclose(f);
	/* "PID (NAME) STATE PARENT ...", and a name may hold parentheses. */
	end = read ? strrchr(line, ')') : NULL;
	if (!end || sscanf(end + 1, " %c %d", &p->state, &p->parent) != 2)
		return false;
	*end = '\0';
	p->pid = pid;
	snprintf(p->name, sizeof(p->name), "%s", strchr(line, '(') ? strchr(line, '(') + 1 : "?");
	return true;
}

/* Kills each child of this process that is alive; it inherits the children of those that die. =>
 * how many there were */
static int
children_kill(bool is_said)
{
	DIR *dir = opendir("/proc");
	struct dirent *e;
	struct process p;
	int count = 0;

	while (dir && (e = readdir(dir)) != NULL) {
		if (!process_read((pid_t)atoi(e->d_name), &p) || p.parent != getpid() ||
		    p.state == 'Z')
			continue;
		if (is_said)
			fprintf(stderr, "contain: %s (%d, state %c) was left behind: killed\n",
			    p.name, (int)p.pid, p.state);
		kill(p.pid, SIGKILL);
		count++;
	}
	if (dir)
		closedir(dir);
	return count;
}

static time_t
seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* Ends everything that is below this process. */
static void
all_kill(bool is_said)
{
	time_t end = seconds_now() + KILLED_S;
	const struct timespec moment = { .tv_nsec = 10 * 1000 * 1000 };

	for (bool first = true;; first = false) {
		children_kill(is_said && first);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
			return;
		if (seconds_now() >= end) {
			fprintf(stderr, "contain: processes cannot be killed, they are left\n");
			return;
		}
		nanosleep(&moment, NULL);
	}
}

/* Waits until `pid` ends (true) or the time is over or this process is told to end (false). */
static bool
ends_within(pid_t pid, const sigset_t *signals, time_t seconds, int *status)
{
	time_t end = seconds_now() + seconds;
	struct timespec wait = { .tv_sec = 1 };

	for (;;) {
		pid_t ended = waitpid(-1, status, WNOHANG);
		int got;

		if (ended == pid)
			return true;
		if (ended > 0)
			continue;
		if (seconds_now() >= end)
			return false;
		got = sigtimedwait(signals, NULL, &wait);
		if (got == SIGTERM || got == SIGINT || got == SIGHUP)
			return false;
	}
}

int
main(int argc, char **argv)
{
	sigset_t signals, before;
	int status = 0, result;
	long seconds = argc > 1 ? atol(argv[1]) : 0;
	pid_t pid;

	if (argc < 3 || seconds <= 0) {
		fprintf(stderr, "usage: contain SECONDS COMMAND [ARGUMENT]...\n");
		return 2;
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	sigemptyset(&signals);
	sigaddset(&signals, SIGCHLD);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, &before);
	pid = fork();
	if (pid == 0) {
		sigprocmask(SIG_SETMASK, &before, NULL);
		execvp(argv[2], argv + 2);
		fprintf(stderr, "contain: cannot run %s: %s\n", argv[2], strerror(errno));
		_exit(127);
	}
	if (pid < 0) {
		fprintf(stderr, "contain: cannot fork: %s\n", strerror(errno));
		return 2;
	}
	if (ends_within(pid, &signals, seconds, &status)) {
		result = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	} else {
		fprintf(stderr, "contain: not done after %ld s, or told to end\n", seconds);
		kill(pid, SIGTERM);
		ends_within(pid, &signals, TOLD_S, &status);
		result = 124;
	}
	/* A process that is about to end by itself is not worth a line where the test has passed.
	 */
	all_kill(result != 0);
	return result;
}
