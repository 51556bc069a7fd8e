/* SPDX-License-Identifier: MIT
 *
 * Log lines. Runs on: any thread. One write(2) a line, so that lines of several threads do not mix.
 */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const level_names[] = { "error", "warning", "notice", "info", "debug" };
static atomic_int log_level = LOG_NOTICE;

void
log_set_level(enum log_level level)
{
	atomic_store_explicit(&log_level, (int)level, memory_order_relaxed);
}

int
log_level_parse(const char *name, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (strcmp(name, level_names[i]) != 0)
			continue;
		*ret_level = (enum log_level)i;
		return 0;
	}
	return -EINVAL;
}

void
log_message(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list args;
	int used;

	if ((int)level > atomic_load_explicit(&log_level, memory_order_relaxed))
		return;
	used = snprintf(line, sizeof(line) - 1, "pagerd: %s: ", level_names[level]);
	va_start(args, fmt);
	used += vsnprintf(line + used, sizeof(line) - 1 - (size_t)used, fmt, args);
	va_end(args);
	if (used > (int)sizeof(line) - 2)
		used = (int)sizeof(line) - 2;
	line[used++] = '\n';
	if (write(STDERR_FILENO, line, (size_t)used) < 0) {
		/* Nobody is left to tell. */
	}
}
