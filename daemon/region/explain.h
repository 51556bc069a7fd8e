/* SPDX-License-Identifier: MIT
 *
 * What makes a client's bill, object by object. Runs on: jobs.
 */
#ifndef EXPLAIN_H
#define EXPLAIN_H

#include "vm/vm_object.h"

/* The object as its owner is billed for it, without its pages by door. => false: another client
 * than that pays for it; no lock held */
bool object_explain(struct vm_object *o, struct task *task, struct pager_wire_billed *ret);
/* Counts its pages by door from page *done on, as far as a piece goes (piece.h). => whether that
 * was all of them; no lock held */
bool object_doors(
    struct vm_object *o, uint64_t *done, unsigned *work, struct pager_wire_billed *ret);

#endif
