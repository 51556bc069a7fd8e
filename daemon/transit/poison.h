/* SPDX-License-Identifier: MIT
 *
 * Poison: touching the page is SIGBUS.
 */
#ifndef POISON_H
#define POISON_H

#include "vm/vm_object.h"

/* Poisons the one page of the caller's hole, at the address where the task sees it, and ends the
 * hole. => no lock held */
void poison_hole(struct vm_object *o, struct hole *hole, struct task *task, uint64_t address);

#endif
