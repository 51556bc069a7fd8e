/* SPDX-License-Identifier: MIT
 *
 * A worker's batches: the pages that it has made inactive, and its victims. Runs on: the worker's
 * own thread.
 */
#ifndef BATCH_H
#define BATCH_H

#include "pageout/worker.h"

/* Takes away the mappings of the pages that were made inactive since the last call, one client
 * after the other: the pages of clients whose turn has not come are where the watcher finds them.
 * => no lock held */
void worker_age(struct pageout_worker *w);
/* `count` more pages in w->deactivated have been made inactive. */
void worker_made_inactive(struct pageout_worker *w, unsigned count);
/* Launders the batch. If pages had to stay for lack of room, the next batch is half as large, and
 * w->refused tells the caller to wait for room. => frames freed; no lock held */
unsigned worker_launder(struct pageout_worker *w);

#endif
