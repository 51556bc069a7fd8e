/* SPDX-License-Identifier: MIT */
#ifndef BLOCKS_H
#define BLOCKS_H

#include "vm/vm_object.h"

/* Gives the memory of blocks of pages [first, last) back in which nothing is left. Runs on: jobs.
 * No lock held. */
void blocks_release(struct vm_object *o, uint64_t first, uint64_t last);

#endif
