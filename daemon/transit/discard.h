/* SPDX-License-Identifier: MIT */
#ifndef DISCARD_H
#define DISCARD_H

#include "vm/vm_object.h"

/* Discards pages [first, first + count): content, stored copies and frames. Waits for busy pages.
 * => returns how many were there. Runs on: jobs. No lock held. */
uint64_t vm_object_discard(struct vm_object *o, uint64_t first, uint64_t count);

#endif
