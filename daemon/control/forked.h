/* SPDX-License-Identifier: MIT
 *
 * A forked child, from the moment at which its parent is about to fork until its session is the
 * control loop's. Its task is made with the parent's request, because its memory is what the
 * parent's was then; which process it is, its first message says.
 */
#ifndef FORKED_H
#define FORKED_H

#include "control/session.h"

/* The child's end of the socket goes to *ret_childs. The child's map is empty. => 0, or as
 * session_init; nothing is left then. Runs on: jobs, here and below */
int forked_create(struct session *parent, struct forked **ret, int *ret_childs);
/* The child is not to be: its task is taken apart. */
void forked_destroy(struct forked *forked);

#endif
