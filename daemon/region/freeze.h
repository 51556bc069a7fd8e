/* SPDX-License-Identifier: MIT
 *
 * Freezing: what a task has for itself leaves memory.
 */
#ifndef REGION_FREEZE_H
#define REGION_FREEZE_H

#include "memorystatus/freeze.h"
#include "region/range.h"

/* Has the pages of a piece put apart, and waits until all have left that can. Files have a place of
 * their own, and what others have too stays. Adds to the tally. Runs on: jobs, no lock held */
void region_freeze(struct range *range, struct freeze_tally *tally);

#endif
