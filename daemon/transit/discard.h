/* SPDX-License-Identifier: MIT */
#ifndef DISCARD_H
#define DISCARD_H

#include "vm/vm_object.h"

/* Discards pages [first, first + count): content, stored copies and frames. Waits for pages that
 * are busy. => how many pages had content; no lock held. Runs on: jobs */
uint64_t vm_object_discard(struct vm_object *o, uint64_t first, uint64_t count);
/* The same of those that no mapping but `except` (or NULL), and no named entry, covers. */
uint64_t vm_object_discard_uncovered(
    struct vm_object *o, const struct vm_mapping *except, uint64_t first, uint64_t end);
/* Refused faults on pages [first, end) are forgotten, with their poison. No lock held. Runs on:
 * jobs
 */
void vm_object_unrefuse(struct vm_object *o, uint64_t first, uint64_t end);

#endif
