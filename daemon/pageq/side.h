/* SPDX-License-Identifier: MIT
 *
 * Side lanes' victims. The policy knows no lanes: a worker that meets a victim whose client is
 * served by a side lane hands it to that lane's worker.
 */
#ifndef SIDE_H
#define SIDE_H

#include "pageq/pageq.h"

/* => 0 or -ENOMEM */
int side_create(struct daemon *d);
void side_destroy(struct daemon *d);
/* A victim (LAUNDRY) becomes that lane's to launder; if the lane has too many, the page stays. =>
 * PAGEQ held */
void side_give_locked(struct daemon *d, unsigned lane, const struct victim *v);
/* Up to `want` victims that the lane was given. => how many. Runs on: the lane's worker, no lock
 * held */
unsigned side_take(struct daemon *d, unsigned lane, unsigned want, struct victim *ret);
/* Whether the lane has victims, or clients over their limit. => PAGEQ held */
bool side_wanted_locked(const struct daemon *d, unsigned lane);
/* The workers of all side lanes look again. Any thread, no lock at or below PAGEQ held */
void side_wake(struct daemon *d);

#endif
