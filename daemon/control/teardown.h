/* SPDX-License-Identifier: MIT */
#ifndef TEARDOWN_H
#define TEARDOWN_H

#include <stdbool.h>

struct task;

/* Takes a piece of a dead task apart. => whether there is more. Runs on: jobs */
bool task_teardown(struct task *task);

#endif
