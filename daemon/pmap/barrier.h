/* SPDX-License-Identifier: MIT
 *
 * The barrier of a fork. From before the first page is copied for a child until its parent has
 * forked, faults of the parent that would let it write are not answered: they are forgotten, and
 * their threads woken at the end. So all of the memory is copied as it is at one instant, the same
 * as for memory that is not the daemon's: no thread's write to the former can be missing in the
 * child while a later one of it to the latter is there. Faults that were found before the barrier
 * began have their pages busy (vm_object_settle), and a copy waits for these. Any thread; M and O
 * are taken.
 */
#ifndef BARRIER_H
#define BARRIER_H

#include "daemon.h"
#include "vm/books.h"

/* child: id of its session. One that is there becomes this one. */
void barrier_begin(struct task *task, uint64_t child);
/* child: of which it must be; 0: of whichever. => whether there was one */
bool barrier_end(struct task *task, uint64_t child);
/* Ends one that is older than that. => its child's session; 0: there is none */
uint64_t barrier_expire(struct task *task, uint64_t allowed_ns);

#endif
