/* SPDX-License-Identifier: MIT
 *
 * A worker's batches: the pages that it has made inactive, and its victims. Runs on: the worker's
 * own thread, no lock held.
 */
#ifndef BATCH_H
#define BATCH_H

#include "pageout/worker.h"

/* The pages made inactive since the last time lose their mappings, a client's after another's: so
 * the watcher finds those that a worker has not come to. */
void worker_age(struct pageout_worker *w);
/* So many more in deactivated[]. */
void worker_made_inactive(struct pageout_worker *w, unsigned count);
/* The batch is laundered. When pages had to stay, the next is smaller; then the worker waits for
 * room. => frames freed */
unsigned worker_launder(struct pageout_worker *w);

#endif
