/* SPDX-License-Identifier: MIT
 *
 * Clients over their limit: the workers' half (memorystatus/limits.h asks).
 */
#ifndef LIMIT_H
#define LIMIT_H

#include "pageout/worker.h"

/* Takes out pages of those clients of the worker's lane that are over their limits. => frames
 * freed; no lock held */
unsigned round_limits(struct pageout_worker *w);

#endif
