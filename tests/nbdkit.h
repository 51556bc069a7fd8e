/* SPDX-License-Identifier: MIT
 *
 * An nbdkit for tests: on a socket in a directory, ended with the test. Where it is not installed
 * the test is skipped.
 */
#ifndef TEST_NBDKIT_H
#define TEST_NBDKIT_H

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define NBDKIT_WORDS 16

struct nbdkit {
	pid_t pid;
	char socket[192], uri[240];
};

static inline int
nbdkit_is_missing(void)
{
	return system("nbdkit --version >/dev/null 2>&1") != 0;
}

static inline int
nbdkit_answers(const struct nbdkit *n)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(address.sun_path, n->socket, sizeof(address.sun_path) - 1);
	int error = connect(fd, (struct sockaddr *)&address, sizeof(address));
	close(fd);
	return error == 0;
}

/* words: filters, plugin and its parameters, until NULL. => 0: it serves; -1: it has ended */
static inline int
nbdkit_start(struct nbdkit *n, const char *directory, const char *const *words)
{
	const char *argv[NBDKIT_WORDS + 8] = { "nbdkit", "-f", "-U", n->socket };
	int count = 4, status;

	snprintf(n->socket, sizeof(n->socket), "%s/nbd", directory);
	snprintf(n->uri, sizeof(n->uri), "nbd+unix:///?socket=%s", n->socket);
	unlink(n->socket);
	for (int i = 0; words[i] && i < NBDKIT_WORDS; i++)
		argv[count++] = words[i];
	n->pid = fork();
	if (n->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	while (!nbdkit_answers(n)) {
		if (waitpid(n->pid, &status, WNOHANG) == n->pid)
			return -1;
		usleep(1000);
	}
	return 0;
}

/* => it has stopped */
static inline void
nbdkit_stop(struct nbdkit *n)
{
	int status;

	kill(n->pid, SIGSTOP);
	waitpid(n->pid, &status, WUNTRACED);
}

static inline void
nbdkit_kill(struct nbdkit *n)
{
	kill(n->pid, SIGKILL);
	kill(n->pid, SIGCONT);
	waitpid(n->pid, NULL, 0);
	n->pid = 0;
}

#endif
