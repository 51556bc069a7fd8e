/* SPDX-License-Identifier: MIT
 *
 * Clients over their limit: the workers' half (memorystatus/limits.h asks).
 */
#ifndef LIMIT_H
#define LIMIT_H

#include "pageout/worker.h"

/* Pages of such clients of the worker's lane leave. => frames freed */
unsigned round_limits(struct pageout_worker *w);

#endif
