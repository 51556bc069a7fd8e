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

#include "peer.h"
#include "process.h"

#define UNDO_TRIES 60 /* of half a second */

/* Its parent is gone or has let it go. The journal is nobody else's any more. */
static void
guardian_undo(struct peer_journal *j)
{
	const struct timespec pause_time = { .tv_nsec = 500000000 };
	int error = 0;

	for (int i = 0; i < UNDO_TRIES; i++) {
		error = peer_undo(j);
		if (!error)
			break;
		nanosleep(&pause_time, NULL);
	}
	if (error)
		fprintf(stderr, "pagerbench: the guardian could not put everything back: %s\n",
		    strerror(-error));
	if (j->directory_made) {
		/* A daemon that has just lost its parent may still be closing its files there. */
		for (int i = 0; i < UNDO_TRIES && access(j->directory, F_OK) == 0; i++) {
			directory_remove(j->directory);
			if (access(j->directory, F_OK) == 0)
				nanosleep(&pause_time, NULL);
		}
		j->directory_made = false;
	}
}

static void
guardian_main(struct peer *p, int fd)
{
	char byte;
	int null;

	/* In a session of its own: what ends the parent's terminal or group does not end this. */
	setsid();
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	prctl(PR_SET_NAME, "pagerbench-undo");
	/* Whoever reads our parent's output must not wait for us. */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
	}
	while (read(fd, &byte, 1) < 0 && errno == EINTR)
		;
	guardian_undo(p->journal);
	_exit(0);
}

int
guardian_start(struct peer *p)
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
		guardian_main(p, fds[0]);
	}
	close(fds[0]);
	p->guardian = pid;
	p->guardian_fd = fds[1];
	return 0;
}

void
guardian_stop(struct peer *p)
{
	if (p->guardian <= 0)
		return;
	close(p->guardian_fd);
	while (waitpid(p->guardian, NULL, 0) < 0 && errno == EINTR)
		;
	p->guardian = 0;
}
