/* SPDX-License-Identifier: MIT
 *
 * Log lines of the daemon and the tools: one line a call, on standard error. compressor, swap and
 * policy log nothing above LOG_DEBUG: their caller handles an error, and logs it.
 *
 * A line that a client, a disk or another process can cause again and again is logged with
 * log_*_limited: at most LOG_LIMIT_LINES in LOG_LIMIT_NS from one place in the source, then one
 * line with the count of lines left out. No call waits: if standard error takes nothing (a pipe
 * that nobody reads), the line is dropped and counted.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base.h"

enum log_level { LOG_ERROR, LOG_WARNING, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

#define LOG_LIMIT_LINES 10u
#define LOG_LIMIT_NS    10000000000ull

/* The lines of one place in the source. Zeroed at first, and never freed: once the place has left
 * out a line, its limit stays in a list. */
struct log_limit {
	atomic_ullong
	    window; /* number of the interval of LOG_LIMIT_NS (high half), lines in it (low half) */
	atomic_ullong left_out; /* lines left out that no log line has counted yet */
	/* The thread that sets it puts the limit into the list; the fields below are constant from
	 * then on.
	 */
	atomic_bool listed;
	enum log_level level;
	const char *fmt;
	struct log_limit *next;
};

void log_set_level(enum log_level level);
/* name: error, warning, notice, info or debug. => returns 0 or -EINVAL. */
int log_level_parse(const char *name, enum log_level *ret_level);
void log_message(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Any thread; takes no lock. The time is clock_now_ns's, so that clock_inject holds for it.
 * => limit is static and belongs to this call alone; fmt is a literal, to which a pointer is kept
 */
void log_message_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
    PRINTF_LIKE(3, 4);
/* Logs the counts of lines left out by places whose interval is over, so that a count does not wait
 * for the next line of its kind. A program that runs for long calls it now and then, and once with
 * `all` before it ends. Any thread. */
void log_limits_tell(bool all);
/* Whether there are such counts. */
bool log_limits_are_left(void);

#define log_error(...)   log_message(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_message(LOG_WARNING, __VA_ARGS__)
#define log_notice(...)  log_message(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)    log_message(LOG_INFO, __VA_ARGS__)
#define log_debug(...)   log_message(LOG_DEBUG, __VA_ARGS__)

#define LOG_LIMITED(level, ...)                                                                    \
	do {                                                                                       \
		static struct log_limit log_limit_here;                                            \
		log_message_limited(&log_limit_here, level, __VA_ARGS__);                          \
	} while (0)
#define log_error_limited(...)   LOG_LIMITED(LOG_ERROR, __VA_ARGS__)
#define log_warning_limited(...) LOG_LIMITED(LOG_WARNING, __VA_ARGS__)
#define log_notice_limited(...)  LOG_LIMITED(LOG_NOTICE, __VA_ARGS__)
#define log_info_limited(...)    LOG_LIMITED(LOG_INFO, __VA_ARGS__)
#define log_debug_limited(...)   LOG_LIMITED(LOG_DEBUG, __VA_ARGS__)

#endif
