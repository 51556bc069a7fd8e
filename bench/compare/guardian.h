/* SPDX-License-Identifier: MIT
 *
 * A process that outlives its parent and undoes what the journal says is still changed. It sleeps
 * on a pipe that only the parent holds open, so it sees no difference between ^C, SIGTERM, a crash
 * and SIGKILL.
 */
#ifndef BENCH_GUARDIAN_H
#define BENCH_GUARDIAN_H

#include <sys/types.h>

#include "journal.h"

struct guardian {
	pid_t pid; /* 0: not started */
	int fd;    /* the parent's end of the pipe: closing it wakes the guardian */
};

/* journal: in shared memory. => 0 or -errno. */
int guardian_start(struct guardian *g, struct journal *journal);
/* Wakes the guardian, which undoes what is left, and waits until it has ended. */
void guardian_stop(struct guardian *g);

#endif
