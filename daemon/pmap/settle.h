/* SPDX-License-Identifier: MIT
 *
 * The order of events of pagersim: a policy's wishes are carried out before the next touch.
 */
#ifndef SETTLE_H
#define SETTLE_H

#include "core/stats.h"

struct daemon;

/* With resident_frames set: unmaps what the policy wants unmapped after a fault, before the thread
 * that faulted can touch it again. stats: the calling thread's. Runs on: fault servers, no lock
 * held. */
void settle_unmap(struct daemon *d, struct stat_shard stats);

#endif
