/* SPDX-License-Identifier: MIT
 *
 * Lanes: the common one, in which all clients begin, and side lanes for clients that delay calls
 * of the daemon (watch/watcher.h). A client's faults, its pages on their way out and its requests
 * are served by the threads of its lane and by no others, so that threads that wait for it serve
 * only such clients.
 */
#ifndef LANE_H
#define LANE_H

#include "daemon.h"
#include "vm/task.h"

/* From now on the client is served there. Threads of another lane finish what they have begun for
 * it; faults of it that they meet later are woken, and come again in its lane. Where the kernel has
 * no memory for that it stays where it is. Runs on: the watcher; no lock held */
void lane_move(struct daemon *d, struct task *task, unsigned lane, struct stat_shard stats);

#endif
