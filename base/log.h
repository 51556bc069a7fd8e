/* SPDX-License-Identifier: MIT
 *
 * The daemon's and the tools' voice: one line a call, on standard error. compressor, swap and policy
 * never speak above LOG_DEBUG: what they meet is handled, and told, by their caller.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

void log_set_level(enum log_level level);
/* name: error, warning, notice, info or debug. => returns 0 or -EINVAL. */
int log_level_parse(const char *name, enum log_level *ret_level);
void log_message(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define log_error(...)   log_message(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_message(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_message(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_message(LOG_DEBUG, __VA_ARGS__)

#endif
