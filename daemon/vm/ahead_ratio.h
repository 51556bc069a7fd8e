/* SPDX-License-Identifier: MIT
 *
 * How far a file is read ahead of a run: as far as what is read ahead is touched afterwards. It is
 * XNU's hit ratio, of those pages whose fate is known: they have been touched, or have left memory
 * untouched. What is still to come says nothing.
 */
#ifndef AHEAD_RATIO_H
#define AHEAD_RATIO_H

#include <stdatomic.h>

/* Written by any thread, without a lock: an update may be lost. */
struct ahead_ratio {
	atomic_uint touched, wasted; /* pages, those of long ago counting less */
};

void ahead_touched(struct ahead_ratio *r, unsigned count);
void ahead_wasted(struct ahead_ratio *r, unsigned count);
/* => how many pages are worth reading: `most` until enough is known, and never less than `least` */
unsigned ahead_far(const struct ahead_ratio *r, unsigned least, unsigned most);

#endif
