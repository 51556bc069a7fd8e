/* SPDX-License-Identifier: MIT
 *
 * Shared by the harness's files: the test's processes and directories.
 */
#ifndef LIVE_HARNESS_PRIV_H
#define LIVE_HARNESS_PRIV_H

#include "harness.h"

#define ARGUMENTS_MAX 64

struct harness {
	const char *pagerd, *pagerctl; /* the programs */
	pid_t first_process;           /* the test itself; its clients are forked from it */
	pid_t daemon_pid;              /* 0: no daemon runs */
	struct live *current;          /* the daemon whose state a failure shows; NULL: none */
	char directories[2][128];      /* removed at the end: the daemon's, the test's own */
};
extern struct harness harness;

/* With all that is in it. */
void directory_remove(const char *path);

/* Processes that are killed when the test ends. */
void child_add(pid_t pid);
void child_remove(pid_t pid);
/* In a new child: signals do what they do in any program, and the child dies with its parent. */
void child_begin(void);
/* Waits for the end of a child and forgets it. => its wait status */
int child_reap(pid_t pid);

/* Fails the test if the daemon has ended. */
void must_be_alive(struct live *d);

#endif
