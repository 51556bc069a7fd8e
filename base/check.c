/* SPDX-License-Identifier: MIT
 *
 * Ends a process that has found a mistake of its own. Runs on: any thread. Avoids allocating.
 */
#include "check.h"

#include <execinfo.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void
panic_at(const char *file, int line, const char *fmt, ...)
{
	static atomic_flag dying = ATOMIC_FLAG_INIT;
	char thread_name[32] = "?";
	void *frames[48];
	va_list args;

	if (atomic_flag_test_and_set(&dying)) {
		/* A second thread, or the report itself, has failed while the first thread reports.
		 */
		for (;;)
			pause();
	}
	pthread_getname_np(pthread_self(), thread_name, sizeof(thread_name));
	fprintf(stderr, "panic: %s:%d [%s] ", file, line, thread_name);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	fflush(stderr);
	backtrace_symbols_fd(frames, backtrace(frames, 48), STDERR_FILENO);
	abort();
}
