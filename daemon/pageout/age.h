/* SPDX-License-Identifier: MIT
 *
 * Ageing: pages that the policy has made inactive lose their mappings, so that their next touch is
 * seen. Runs on: the worker's own thread.
 */
#ifndef AGE_H
#define AGE_H

#include "pageout/worker.h"

/* Takes away the mappings of the pages that were made inactive since the last call, one client
 * after the other: the pages of clients whose turn has not come are where the watcher finds them.
 * => no lock held */
void worker_age(struct pageout_worker *w);
/* As worker_age, if enough pages wait for it. Large batches are better, because each one takes the
 * processor from a thread that faults there. But the pages must lose their mappings before they
 * become victims, so no more than half of the inactive pages wait, with all workers together. =>
 * no lock held */
void worker_age_many(struct pageout_worker *w);
/* `count` more pages in w->deactivated have been made inactive. */
void worker_made_inactive(struct pageout_worker *w, unsigned count);

#endif
