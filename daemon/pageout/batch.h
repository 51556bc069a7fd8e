/* SPDX-License-Identifier: MIT
 *
 * A worker's batch of victims. Runs on: the worker's own thread.
 */
#ifndef BATCH_H
#define BATCH_H

#include "pageout/worker.h"

/* Launders the batch. If pages had to stay for lack of room, the next batch is half as large, and
 * w->refused tells the caller to wait for room. => frames freed; no lock held */
unsigned worker_launder(struct pageout_worker *w);

#endif
