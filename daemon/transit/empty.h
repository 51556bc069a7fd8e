/* SPDX-License-Identifier: MIT
 *
 * Ranges of pages that are emptied. Who discards memory calls transit/discard.h, which begins with
 * what was copied from it.
 */
#ifndef EMPTY_H
#define EMPTY_H

#include "vm/vm_object.h"

/* Pages [first, end) become ABSENT. Waits for busy ones. => how many had content; no lock held.
 * Runs on: jobs */
uint64_t vm_object_empty(struct vm_object *o, uint64_t first, uint64_t end);
/* The same in a hole of the caller's that has all of them. */
uint64_t vm_object_empty_in_hole(struct vm_object *o, uint64_t first, uint64_t end);
/* The same, and the caller has the resident ones of them busy: nothing is waited for. Runs on:
 * jobs, pageout workers */
uint64_t vm_object_empty_busy(struct vm_object *o, uint64_t first, uint64_t end);

#endif
