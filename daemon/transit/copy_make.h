/* SPDX-License-Identifier: MIT
 *
 * Copies are made: vm/copy_link.h.
 */
#ifndef COPY_MAKE_H
#define COPY_MAKE_H

#include "vm/vm_object.h"

/* Pages [upper_first, +count) of `upper` become a copy of [lower_first, +count) of `lower`, as
 * these are when they are write-protected, one after the other, before this returns. What was there
 * is discarded. No frame is taken and nothing is expanded; a wired page is copied at once. The
 * ranges do not overlap. The caller has references on both, and nobody else copies or discards the
 * upper range meanwhile. => 0; otherwise the upper pages have no content: -EOPNOTSUPP: it must be
 * copied by content (files, devices; an object or a page would have too many links; a page list has
 * some of the pages); -ENOBUFS: no memory for the content of a wired page; -ENOMEM; or -errno of a
 * mapping that could not be protected. No lock held. Runs on: jobs */
int vm_object_copy_range(struct vm_object *lower, uint64_t lower_first, struct vm_object *upper,
    uint64_t upper_first, uint64_t count);
/* Pages [upper_first, +count) of `upper`, which is anonymous, follow [first, +count) of an object
 * of a file: they have what that has until they are written. What was there is discarded. The
 * caller keeps the file's object in its table (vnode_join). => 0; otherwise the upper pages have no
 * content: -ENOMEM: an object would have too many links; -EOPNOTSUPP: a page list has some of
 * them. No lock held. Runs on: jobs */
int vm_object_follow_range(struct vm_object *file, uint64_t first, struct vm_object *upper,
    uint64_t upper_first, uint64_t count);

#endif
