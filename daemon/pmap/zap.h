/* SPDX-License-Identifier: MIT
 *
 * Taking away the mappings of deactivated pages, so that the next touch of them is seen.
 */
#ifndef ZAP_H
#define ZAP_H

#include "core/stats.h"
#include "pageq/pageq.h"

/* Pages that one call takes at most. */
#define ZAP_MAX 256u

/* Takes away what mappings it can; the caller keeps its references on the objects. Pages of one
 * object stand together. stats: the calling thread's. => no lock held */
void zap(struct daemon *d, struct stat_shard stats, const struct victim *victims, unsigned count);
/* For a caller that counts on seeing the next touch: unless the system has swap, all mappings are
 * gone when it returns. Drops the references on the objects. => any thread, no lock held */
void zap_now(struct daemon *d, struct stat_shard stats, struct victim *victims, unsigned count);
/* Where the system has swap, agents take mappings away for good. Runs on: start */
void zap_init(struct daemon *d);

#endif
