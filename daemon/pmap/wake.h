/* SPDX-License-Identifier: MIT */
#ifndef WAKE_H
#define WAKE_H

#include "vm/books.h"

/* Wakes each thread of the client that waits in a fault, so that it faults again. => no lock held
 */
void task_wake_all(struct task *task);

#endif
