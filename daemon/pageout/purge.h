/* SPDX-License-Identifier: MIT */
#ifndef PAGEOUT_PURGE_H
#define PAGEOUT_PURGE_H

#include "pageout/worker.h"

/* A purgeable object of the worker's lane goes. force: groups below go without a token. Those of
 * side lanes are asked for. => frames that it had, and more that are free by then; 0: none
 * goes. No lock held */
unsigned purge_round(struct pageout_worker *w, unsigned force);
/* The same for one that is billed to a client over its limit. The caller has a reference. */
unsigned purge_object(struct pageout_worker *w, struct vm_object *o);
/* Whether the lane's worker is to purge, although there may be free frames. => PAGEQ held */
bool purge_wanted_locked(const struct daemon *d, unsigned lane);
/* One round because of that. */
unsigned purge_for_pressure(struct pageout_worker *w);

#endif
