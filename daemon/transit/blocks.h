/* SPDX-License-Identifier: MIT */
#ifndef BLOCKS_H
#define BLOCKS_H

#include "vm/vm_object.h"

/* Gives back the memory of those blocks of pages [first, last) in which no page is left. => how
 * many; no lock held. Runs on: jobs, the cleaner's hands */
unsigned blocks_release(struct vm_object *o, uint64_t first, uint64_t last);

#endif
