/* SPDX-License-Identifier: MIT
 *
 * Lanes: the common one, in which all clients begin, and side lanes for clients that were met
 * making calls of ours last (watch/watcher.h). A client's faults, its pages on their way out and
 * its requests are served by the threads of its lane and by no others, so that whoever waits for it
 * is there for such clients only.
 */
#ifndef LANE_H
#define LANE_H

#include "daemon.h"
#include "vm/task.h"

/* From now on the client is served there. What threads of another lane are at for it they end; its
 * faults that are met there later are woken, and come again in its lane. Runs on: the watcher; no
 * lock held */
void lane_move(struct daemon *d, struct task *task, unsigned lane, struct stat_shard stats);

#endif
