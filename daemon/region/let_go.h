/* SPDX-License-Identifier: MIT
 *
 * Whether all of a task's memory can become ordinary memory of its process. Runs on: jobs of the
 * task, no lock held.
 */
#ifndef LET_GO_H
#define LET_GO_H

#include "pager/proto.h"
#include "region/range.h"

/* A piece of the look. Adds to ret->away what has to come into memory. => false: something stands
 * in the way: ret->why and ret->address */
bool let_go_look(struct range *range, struct pager_wire_release_refusal *ret);

#endif
