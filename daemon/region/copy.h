/* SPDX-License-Identifier: MIT
 *
 * Copies of ranges of clients' memory (vm/copy_link.h), and copies that a client holds without
 * having them in its map, as Mach's copy objects. Runs on: jobs.
 */
#ifndef COPY_H
#define COPY_H

#include "region/range.h"

/* Copies that a client may hold. */
#define COPIES_HELD_MAX 1024u

/* Whether `source` may be read and shared, and may be put in the place of `destination`, of the
 * same size and perhaps of another task. destination NULL: only the first. => 0; -EINVAL: not all
 * of it is allocated; -EACCES: a protection does not allow it; -EBUSY: a page list has some;
 * -EOPNOTSUPP: it must be copied by content: something of it is wired, of a file or of a device, or
 * the two overlap */
int region_copy_check(struct range *source, struct range *destination);
/* The second alone. */
int region_copy_check_destination(struct range *destination);
/* Copies a piece; both ranges are moved behind it. Nobody else changes the destination's map
 * meanwhile. => 0 or what vm_object_copy_range says; the destination has none of what was there */
int region_copy(struct range *source, struct range *destination);

/* A copy that is held: pages of an object of its own, which no task maps. */
struct copy_held;

/* The number of a new one of that many bytes, empty as yet. => 0 and *ret; -EAGAIN: there are
 * COPIES_HELD_MAX; or as vm_object_create */
int copy_held_create(struct task *task, uint64_t bytes, struct copy_held **ret);
/* => NULL: the task has no such copy */
struct copy_held *copy_held_find(struct task *task, uint64_t id);
uint64_t copy_held_id(const struct copy_held *c);
/* Bytes that it still has. */
uint64_t copy_held_size(const struct copy_held *c);
/* The next piece of the source comes into it. As region_copy */
int copy_held_fill(struct copy_held *c, struct range *source);
/* Its next piece goes into the destination, and out of it. As region_copy */
int copy_held_put(struct copy_held *c, struct range *destination);
/* A piece of it is discarded; the last one ends it. => true: there is more */
bool copy_held_discard(struct task *task, struct copy_held *c);
/* A piece of all that a dead task holds. => true: there is more */
bool copies_held_drop(struct task *task);

#endif
