/* SPDX-License-Identifier: MIT
 *
 * Rights that a process has given up since it, or the one that has forked it, has connected.
 */
#ifndef RIGHTS_H
#define RIGHTS_H

#include <stdbool.h>

struct task;

/* Whether the process still is of the user it has connected as, by all of its ids: one that has
 * given up rights since must not get a hand in the memory of those who have them. Reads /proc. */
bool rights_are_kept(const struct task *task);

#endif
