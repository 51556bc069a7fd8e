/* SPDX-License-Identifier: MIT
 *
 * Objects that several may see. Such an object is allocated as shareable and holds nothing but that
 * allocation. Its mappings say exactly which pages their tasks see, and change when a task gives
 * pages back; named entries keep pages too. A page that neither covers any more is discarded. One
 * task at a time pays for all of it, the owner: its maker, and when that one has no mapping of it
 * any more, another task that has. Its pages are in the daemon's own policy, whoever the owner is.
 */
#ifndef VM_SHARE_H
#define VM_SHARE_H

#include "vm/vm_mapping.h"

/* The first run of pages of [from, end) that no mapping but `except` (or NULL), and no named entry,
 * covers. Pages that are uncovered while it looks may be passed over: whoever uncovers them asks
 * too. => false: there is none. No lock held */
bool vm_object_uncovered(struct vm_object *o, const struct vm_mapping *except, uint64_t from,
    uint64_t end, uint64_t *ret_low, uint64_t *ret_high);
/* Mappings and named entries of pages that a range is about. */
struct vm_references {
	unsigned all, own; /* own: mappings of the task */
};
/* Those of pages [first, end). O held */
struct vm_references vm_object_references_locked(
    const struct vm_object *o, const struct task *task, uint64_t first, uint64_t end);
/* How many mappings cover the page. *end, which lies above it, is moved down to the first page of
 * which that may not be so. O held */
unsigned vm_object_mappings_at_locked(const struct vm_object *o, uint64_t index, uint64_t *end);
/* Whether another mapping that covers the page has wired some of its pages. O held */
bool vm_object_wired_elsewhere_locked(
    const struct vm_object *o, const struct vm_mapping *m, uint64_t index);
/* The mapping covers pages [low, high), at its front or its end, no more. M of its task held */
void vm_mapping_withdraw_locked(struct vm_mapping *m, uint64_t low, uint64_t high);
/* The mapping, which vm_mapping_blank has made, sees pages [first, end) at base + index * page
 * size. A page of an anonymous object that
 * nothing covers is never covered again: another thread may be discarding it. =>
 * 0 with one reference for the caller; -EBADF: no single mapping or
 * named entry covers all of the pages any more; -EMFILE:
 * the object has COVERS_MAX. On an error it is as before. M of the task held */
int vm_mapping_join_locked(struct vm_mapping *m, struct vm_object *o, struct task *task,
    uint64_t base, uint64_t first, uint64_t end);
/* The mapping covers the pages below `at` only, and `upper`, which vm_mapping_blank has made, the
 * others; it is on the object's list then, and has no reference yet. wired_above: what of
 * wired_bytes becomes the upper one's. => false: the object has as
 * many as it may have, and nothing has changed. M of its task held */
bool vm_mapping_split_locked(
    struct vm_mapping *m, uint64_t at, uint64_t wired_above, struct vm_mapping *upper);
/* Whoever pays for the object pays on, if it still maps some of it; else the one of those that do
 * with the largest mapping: who sees a page of it should not come to pay for what others use. To be
 * called after mappings have come or gone. No lock held */
void vm_object_owner_settle(struct vm_object *o);
/* The lane of a task that maps some of the object has changed, or a mapping has come or gone. No
 * lock held */
void vm_object_lane_settle(struct vm_object *o);

#endif
