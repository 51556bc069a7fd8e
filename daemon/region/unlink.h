/* SPDX-License-Identifier: MIT
 *
 * Pages that are about to be kept from everybody, for a page list: so nothing may need them
 * meanwhile that looks along links of copies (vm/copy_link.h).
 */
#ifndef UNLINK_H
#define UNLINK_H

#include "vm/vm_object.h"

/* Pages [first, end) get content of their own where it is what is below them, what is above them
 * gets what it lacks, and they leave all links. What they are read as does not change. Nobody
 * copies them meanwhile. place: of the jobs thread. => 0; -ENOBUFS: there is no memory for that
 * now; -EIO: the content of one cannot be read; -ENOTSUP: one is not in memory, and follows a
 * file's. Then some have been done. No lock held. Runs on: jobs */
int pages_unlink(
    struct task *task, unsigned place, struct vm_object *o, uint64_t first, uint64_t end);

#endif
