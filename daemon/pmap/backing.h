/* SPDX-License-Identifier: MIT
 *
 * Calls on an object's memfd that wait for the lock of its inode, which whoever has the memfd open
 * for writing can hold. Where several see the object nobody is named to the watch (watch_client):
 * the task for which the thread works cannot help it, and the watcher looks for the process that
 * holds the lock (watch/holder.h). Runs on: any thread, no lock held. Allocates nothing.
 */
#ifndef BACKING_H
#define BACKING_H

#include "vm/vm_object.h"

/* As uffd_punch, uffd_allocate and uffd_write, with bytes of the object. */
int backing_punch(const struct vm_object *o, uint64_t offset, uint64_t bytes);
int backing_allocate(const struct vm_object *o, uint64_t offset, uint64_t bytes);
bool backing_write(const struct vm_object *o, uint64_t offset, const void *content, size_t bytes);

#endif
