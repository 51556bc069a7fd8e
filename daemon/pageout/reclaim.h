/* SPDX-License-Identifier: MIT
 *
 * Reclaim: the policy's victims leave, whoever owns them. Runs on: a worker of the common lane, on
 * its own thread.
 */
#ifndef RECLAIM_H
#define RECLAIM_H

#include "pageout/worker.h"

/* Whether more pages are resident than the parameter resident_frames allows, those that faults wait
 * for included. */
bool reclaim_is_over_limit(struct daemon *d);
/* Frames that should be free. When wired pages leave few frames, only as many as let stored pages
 * come and go. */
uint32_t reclaim_target(const struct daemon *d);
/* One round: chooses and launders a batch, and ages the pages that should follow. => frames freed;
 * no lock held */
unsigned reclaim_round(struct pageout_worker *w);

#endif
