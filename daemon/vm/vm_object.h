/* SPDX-License-Identifier: MIT
 *
 * A VM object: a run of slots in the slot arena and a memfd that holds its resident pages at
 * page index * page size. It is content: who sees it, and where, its mappings say (vm_mapping.h).
 * Anonymous objects take the allocations of their client that lie beside what they have. A page
 * that no region maps is ABSENT.
 *
 * References: one per mapping, one per operation under way (a fault, an I/O, a laundered page). A
 * page that is busy keeps the object: a thread that takes it apart waits for busy pages first.
 */
#ifndef VM_OBJECT_H
#define VM_OBJECT_H

#include "daemon.h"
#include "vm/block.h"
#include "vm/books.h"
#include "vm/hole.h"
#include "vm/vm_page.h"

int object_table_create(struct daemon *d);
void object_table_destroy(struct daemon *d);
/* owner: pays for it. => 0, -ENOMEM, -EMFILE, -ENOSPC (no slots, or all of a share is in use),
 * -EDQUOT (the user has its share). One reference for the caller. */
int vm_object_create(
    struct daemon *d, struct task *owner, uint64_t page_count, struct vm_object **ret);
/* The last reference frees it: every slot must be ABSENT by then. */
void vm_object_put(struct vm_object *o);

/* The owner that the compressor writes beside a stored page. */
struct cowner vm_object_owner(const struct vm_object *o, uint64_t page);
/* The object that may be meant, with a reference, and the page in it; or NULL. */
struct vm_object *vm_object_of_owner(struct daemon *d, struct cowner owner, uint64_t *ret_page);
/* The first object at or behind *cursor, with a reference; moves the cursor behind it. NULL at the
 * end. */
struct vm_object *vm_object_next(struct daemon *d, uint32_t *cursor);
/* The page's number for the policy. */
static inline pol_page
vm_object_pol_page(const struct vm_object *o, uint64_t index)
{
	INVARIANT(index < o->page_count);
	return o->slot_base + (uint32_t)index;
}
/* Passes once through O. target_find takes O while it still has M: a fault that has found what a
 * map was before it changed has published its pages when this returns, and vm_object_next_live sees
 * them. Before a walk of what has changed. */
void vm_object_settle(struct vm_object *o);
#endif
