/* SPDX-License-Identifier: MIT
 *
 * Mappings of deactivated pages are taken away, so that the next touch is seen.
 */
#ifndef ZAP_H
#define ZAP_H

#include "core/stats.h"
#include "pageq/pageq.h"

/* Pages that one call takes. */
#define ZAP_MAX 256u

/* Best effort; the objects stay referenced. Pages of one object stand together. stats: the calling
 * thread's. No lock held */
void zap(struct daemon *d, struct stat_shard stats, const struct victim *victims, unsigned count);
/* The same, done when it returns (unless the system has swap), and drops the references on the
 * objects: for a caller that counts on seeing the next touch. Any thread, no lock held. */
void zap_now(struct daemon *d, struct stat_shard stats, struct victim *victims, unsigned count);
/* Chooses between daemon and agent for good, at start. */
void zap_init(struct daemon *d);

#endif
