/* SPDX-License-Identifier: MIT */
#ifndef WAKE_H
#define WAKE_H

#include "vm/books.h"

/* Wakes every thread of the client that waits in a fault: it faults again. */
void task_wake_all(struct task *task);

#endif
