/* SPDX-License-Identifier: MIT
 *
 * Who else holds the lock of a client's memfd. The client may have handed the memfd to another
 * process; a write(2) there, from a page whose fault nobody answers, holds the lock even after the
 * client's end.
 */
#ifndef WATCH_HOLDER_H
#define WATCH_HOLDER_H

#include "vm/task.h"

/* Kills the processes that have the memfd open and belong to the client's user or are inside of a
 * call on it. Walks /proc. => how many. Runs on: the watcher. */
unsigned watch_holders_end(const struct task *task, int memfd);

#endif
