/* SPDX-License-Identifier: MIT */
#ifndef BENCH_OOL_FORK_H
#define BENCH_OOL_FORK_H

#include "ool_side.h"

/* The life of memory that a forked child inherits, step by step. Prints it, or adds the
 * rows to `array` where there is one. => whether all went well and every word was right */
bool ool_fork(struct ool *t, struct json_object *array);

#endif
