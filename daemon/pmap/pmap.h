/* SPDX-License-Identifier: MIT
 *
 * Page tables of all tasks that map an object: the only place that walks mappings to change them.
 * Named after the machine-dependent half of Mach's VM. Each call goes to every mapper in turn, with
 * no lock held, and is held against it (watch_client) while it lasts. The caller keeps a reference
 * on the object, and the pages still: busy, or in a hole.
 */
#ifndef PMAP_H
#define PMAP_H

#include "vm/vm_object.h"

/* Pages [low, high) can be written through no mapping. => 0, or the -errno of a mapping through
 * which they still can; a mapping that is gone, or whose process is, counts as done. */
int pmap_protect(struct vm_object *o, uint64_t low, uint64_t high);
/* Threads that wait for pages [low, high) in a fault fault again. */
void pmap_wake(struct vm_object *o, uint64_t low, uint64_t high);
/* Takes poison and what refusals have left out of the page tables: zeroes are put over page
 * `index`, and punched away again. The page has no content that counts. */
void pmap_clear(struct vm_object *o, uint64_t index);

#endif
