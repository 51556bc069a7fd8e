/* SPDX-License-Identifier: MIT
 *
 * Pagersim's order of events: what a policy wants unmapped is unmapped before the next touch.
 */
#ifndef SETTLE_H
#define SETTLE_H

#include "core/stats.h"

struct daemon;

/* With the parameter resident_frames: unmaps what the policy wants unmapped after a fault, before
 * the thread that faulted can touch it again. stats: the calling thread's. Runs on: fault servers.
 * => no lock held */
void settle_unmap(struct daemon *d, struct stat_shard stats);

#endif
