/* SPDX-License-Identifier: MIT
 *
 * SIGINT, SIGTERM and SIGHUP, which ask a long command to put everything back and end.
 */
#ifndef BENCH_SIGNALS_H
#define BENCH_SIGNALS_H

#include <signal.h>

/* Blocks the three signals, except while ppoll waits with *signals_unblocked(); ignores SIGPIPE. */
void signals_block(void);
/* The mask from before signals_block: for ppoll, and for a child process. */
const sigset_t *signals_unblocked(void);
/* => the signal that has come since signals_block, or 0. */
int signals_received(void);

#endif
