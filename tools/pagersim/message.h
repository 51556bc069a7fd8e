/* SPDX-License-Identifier: MIT
 *
 * What pagersim tells its user on standard error: errors and progress.
 */
#ifndef PAGERSIM_MESSAGE_H
#define PAGERSIM_MESSAGE_H

#include <stdint.h>

#include "base.h"

/* Prints "pagersim: message". => error, so that a caller can `return error_print(-EINVAL, ...)`. */
int error_print(int error, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Draws a bar if standard error is a terminal and the work has taken more than half a second. Only
 * the main thread calls it. total 0: unknown, `done` is shown in bytes. */
void progress_update(const char *what, uint64_t done, uint64_t total);
void progress_end(void);

#endif
