/* SPDX-License-Identifier: MIT
 *
 * Pages go out of all links of copies (vm/copy_link.h), because they are about to be discarded:
 * what a copy above them lacks moves up, and what is above is linked to what is below. So lines are
 * never longer than there are copies.
 */
#ifndef COPY_LEAVE_H
#define COPY_LEAVE_H

#include "vm/vm_object.h"

/* Pages [first, end) of the object, which nobody copies meanwhile. Pages that have moved are ABSENT
 * afterwards. No lock held. Runs on: jobs */
void vm_object_copies_leave(struct vm_object *o, uint64_t first, uint64_t end);
/* Pages [first, end) of the object, of which nothing above lacks one, and which all have content of
 * their own or none, go out of all links and stay what they are. Likewise */
void vm_object_copies_part(struct vm_object *o, uint64_t first, uint64_t end);

#endif
