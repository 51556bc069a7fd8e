/* SPDX-License-Identifier: MIT
 *
 * What keeps a userfaultfd open in a process that may close all its descriptors and has no thread
 * of this library's to hold one (keeper.c): a forked child before its first call, a connection
 * without threads (light.c). If the daemon died then, the userfaultfd would go with it, and the
 * kernel would give zeroes for whatever is away.
 *
 * All but anchor_own under fork_lock, or in a child's one thread.
 */
#ifndef ANCHOR_H
#define ANCHOR_H

#include <stdbool.h>

/* In a process that is about to fork: its child can hold that many userfaultfds. shares_files: in
 * the same table of descriptors; is_light: the program does not know of the descriptor that this
 * takes */
void anchor_prepare(unsigned count, bool shares_files, bool is_light);
/* In the child: number nth of them. => whether it stays open as long as this address space is there
 */
bool anchor_hold(unsigned nth, int uffd);
/* In the child, afterwards. What it has inherited otherwise is let go of. */
void anchor_born(void);
/* A process holds its own. => whether it does */
bool anchor_own(int uffd);
/* There is no connection any more. */
void anchor_end(void);
/* In a child of clone(2), to which nothing belongs. */
void anchor_forget(void);

#endif
