/* SPDX-License-Identifier: MIT
 *
 * Reusable pages: their owner does not need what they have now, and will put something else there.
 * They stay where they are, write-protected, and are not in the footprint meanwhile. Such a page is
 * a duplicate (PAGE_DUP) of what is below it, where nothing is: so it is clean, leaves for nothing
 * by the ways that there are for duplicates, and is ABSENT then. A write makes it the owner's
 * again, as any first write to a clean page. The idea is XNU's (REUSABLE, REUSE).
 *
 * Only pages of plain private objects, and none that is in a link of copies: what is below it would
 * be its content. So a page is made ordinary before it is copied.
 */
#ifndef REUSE_H
#define REUSE_H

#include "vm/vm_object.h"

/* Pages [first, end), none of them wired, in a page list or in a link, become reusable, or ABSENT
 * where they are stored. Waits for busy ones. => how many; no lock held, here and below. Runs on:
 * jobs */
uint64_t vm_object_make_reusable(struct vm_object *o, uint64_t first, uint64_t end);
/* Those that are there still are ordinary again, with what they have. => how many */
uint64_t vm_object_reuse(struct vm_object *o, uint64_t first, uint64_t end);

#endif
