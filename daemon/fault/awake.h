/* SPDX-License-Identifier: MIT
 *
 * Keeps a processor awake while pages are being read from disk for it. One that halts, above all a virtual one, takes 5 to 10 us to come
 * back, twice or three times in a read of 50. On each server's CPU a thread of idle priority (SCHED_IDLE: whatever else can run
 * runs instead of it, at once) spins in place of the halt, while reads are under way, and for `read_spin_us` after the last
 * was begun at most.
 */
#ifndef AWAKE_H
#define AWAKE_H

#include "fault/fault.h"

/* Starts them. => 0 or -errno */
int awake_start(struct daemon *d);
void awake_stop(struct daemon *d);
void awake_fini(struct daemon *d);
/* Reads are under way, and the server is about to sleep. Runs on: the server. */
void awake_begin(struct fault_server *server);
/* None is any more. Runs on: the server. */
void awake_end(struct fault_server *server);

#endif
