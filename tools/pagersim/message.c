/* SPDX-License-Identifier: MIT */
#include "message.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "text.h"

int
error_print(int error, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int length;

	progress_end();
	va_start(ap, fmt);
	length = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (length < 0)
		text = NULL;
	else
		text_clean(text); /* it may hold file names, and text from files */
	fprintf(stderr, "pagersim: %s\n", text != NULL ? text : "not enough memory for a message");
	free(text);
	return error;
}

/* Used by the main thread only. */
static struct {
	struct timespec start;
	bool running, shown;
} progress;

void
progress_update(const char *what, uint64_t done, uint64_t total)
{
	enum { WIDTH = 40 };
	struct timespec now;
	double elapsed, part = total > 0 && done <= total ? (double)done / (double)total : 0;
	int filled = (int)(part * WIDTH);

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!progress.running)
		progress.start = now;
	progress.running = true;
	elapsed = (double)(now.tv_sec - progress.start.tv_sec) +
		  (double)(now.tv_nsec - progress.start.tv_nsec) / 1e9;
	if (elapsed < 0.5 || !isatty(STDERR_FILENO))
		return;
	progress.shown = true;
	if (total > 0)
		fprintf(stderr, "\r%s [%.*s%*s] %3.0f %%  %.0f s ", what, filled,
		    "########################################", WIDTH - filled, "", part * 100,
		    elapsed);
	else
		fprintf(stderr, "\r%s %" PRIu64 " bytes  %.0f s ", what, done, elapsed);
}

void
progress_end(void)
{
	if (progress.shown)
		fputs("\r\033[K", stderr);
	progress.running = progress.shown = false;
}
