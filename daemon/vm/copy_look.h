/* SPDX-License-Identifier: MIT
 *
 * Looks along lines of copies (vm/copy_link.h), and at what follows files.
 */
#ifndef COPY_LOOK_H
#define COPY_LOOK_H

#include "vm/copy_link.h"

/* Whether a page that the caller has busy must stay write-protected. Takes COPIES; O may be held */
bool copy_is_lacking(const struct vm_object *o, uint64_t index);
/* Whether any of `count` pages from index on has been copied: something above may lack it. Takes
 * COPIES; O may be held */
bool copies_are_above(const struct vm_object *o, uint64_t index, uint64_t count);
/* Whether any of them is in a link at all. Takes COPIES */
bool vm_object_has_links(const struct vm_object *o, uint64_t index, uint64_t count);
/* The first, tested first. */
static inline bool
vm_object_has_copies(const struct vm_object *o, uint64_t index, uint64_t count)
{
	return vm_object_is_linked(o, COPY_ABOVE) && copies_are_above(o, index, count);
}
/* Pages from index on, in the direction, of which all have a link below, or none has, as the first;
 * at most `most`. Takes COPIES; O may be held */
unsigned copy_alike(
    const struct vm_object *o, uint64_t index, unsigned most, int direction, bool *ret_is_copied);

/* How many links are below a page. No lock held */
unsigned copy_depth(const struct vm_object *o, uint64_t index);

/* Whether a page of [first, end) follows a file, at the lower end of its line. Takes COPIES; O may
 * be held */
bool copies_follow(const struct vm_object *o, uint64_t first, uint64_t end);
/* Pages of followers that follow some of the file's pages [low, high), of the first follower whose
 * number is at least *number, which moves on behind it. => with a reference on the object, and *end
 * of its pages; .object NULL: there is none. No lock held */
struct copy_place copy_follower_next(
    const struct vm_object *file, uint64_t low, uint64_t high, uint64_t *number, uint64_t *end);
/* Whether an external object has no mapping, no name and no follower. O held */
bool vm_object_is_deserted_locked(const struct vm_object *o);

#endif
