/* SPDX-License-Identifier: MIT
 *
 * Poison: a page that its owner gets SIGBUS for.
 */
#ifndef POISON_H
#define POISON_H

#include "vm/vm_object.h"

/* The page in the caller's hole gets poison where the task sees it, at the address, so that its
 * threads get SIGBUS there; the hole is no more. => no lock held */
void poison_hole(struct vm_object *o, struct hole *hole, struct task *task, uint64_t address);

#endif
