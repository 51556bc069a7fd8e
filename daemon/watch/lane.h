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

/* Whether the client must do with what it has. Its pages leave no faster than its locks let them:
 * while others wait for frames it would end up with all of them. Where nothing can leave at all it
 * is treated as everybody. */
static inline bool
lane_must_wait(const struct daemon *d, const struct task *task)
{
	return unlikely(load_relaxed(&task->lane) != LANE_COMMON) &&
	       load_relaxed(&d->park.frame_count) > 0 && !load_relaxed(&d->pageq.squeezed);
}

#endif
