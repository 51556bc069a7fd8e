/* SPDX-License-Identifier: MIT
 *
 * The audit's report. Runs on: jobs.
 */
#include "audit/report.h"

#include <stdarg.h>
#include <stdio.h>

void
verify(struct report *r, bool holds, const char *fmt, ...)
{
	va_list args;

	CHECK(r->size > 2 && r->used < r->size);
	r->checks++;
	if (holds)
		return;
	r->failures++;
	if (r->used + 2 >= r->size)
		return;
	va_start(args, fmt);
	r->used += (size_t)vsnprintf(r->text + r->used, r->size - r->used - 1, fmt, args);
	va_end(args);
	if (r->used > r->size - 2)
		r->used = r->size - 2;
	r->text[r->used++] = '\n';
	r->text[r->used] = '\0';
}
