/* SPDX-License-Identifier: MIT */
#include "guardian.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "process.h"

#define UNDO_TRIES 60 /* of half a second */

/* The parent has ended, or waits for this process: nobody else uses the journal. */
static void
guardian_undo(struct journal *j)
{
	const struct timespec pause_time = { .tv_nsec = 500000000 };
	int error = 0;

	for (int i = 0; i < UNDO_TRIES; i++) {
		error = journal_undo(j);
		if (!error)
			break;
		nanosleep(&pause_time, NULL);
	}
	if (error)
		fprintf(stderr, "pagerbench: the guardian could not undo everything: %s\n",
		    strerror(-error));
	if (j->directory_made) {
		/* A daemon whose parent has just died may still be closing its files there. */
		for (int i = 0; i < UNDO_TRIES && access(j->directory, F_OK) == 0; i++) {
			directory_remove(j->directory);
			if (access(j->directory, F_OK) == 0)
				nanosleep(&pause_time, NULL);
		}
		j->directory_made = false;
	}
}

static void
guardian_main(struct journal *journal, int fd)
{
	char byte;
	int null;

	/* A session of its own: a signal to the parent's terminal or process group does not come
	 * here. */
	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "pagerbench-undo");
	/* A reader of the parent's output must see its end when the parent ends. */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	while (read(fd, &byte, 1) < 0 && errno == EINTR)
		;
	guardian_undo(journal);
	_exit(0);
}

int
guardian_start(struct guardian *g, struct journal *journal)
{
	int fds[2];
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (pid < 0) {
		int error = -errno;

		close(fds[0]);
		close(fds[1]);
		return error;
	}
	if (pid == 0) {
		close(fds[1]);
		guardian_main(journal, fds[0]);
	}
	close(fds[0]);
	*g = (struct guardian){ .pid = pid, .fd = fds[1] };
	return 0;
}

void
guardian_stop(struct guardian *g)
{
	if (g->pid <= 0)
		return;
	close(g->fd);
	while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
		;
	g->pid = 0;
}
