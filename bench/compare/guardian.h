/* SPDX-License-Identifier: MIT
 *
 * A process that outlives its parent and puts back what the journal says is still changed: it
 * sleeps on a pipe that only the parent holds open, so ^C, SIGTERM, a crash and SIGKILL look the
 * same to it.
 */
#ifndef BENCH_GUARDIAN_H
#define BENCH_GUARDIAN_H

struct peer;

/* => 0 or -errno. Sets guardian and guardian_fd. */
int guardian_start(struct peer *p);
/* Lets it end and waits for that. */
void guardian_stop(struct peer *p);

#endif
