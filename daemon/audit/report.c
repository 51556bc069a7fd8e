/* SPDX-License-Identifier: MIT
 *
 * The audit's report. Runs on: jobs.
 */
#include "audit/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vm/task.h"

struct report
report_begin(char *text, size_t size)
{
	CHECK(size > 2);
	text[0] = '\0';
	return (struct report){ .text = text, .size = size };
}

/* Adds a line. *used: without the end of the string */
static void
line_add(char *text, size_t size, size_t *used, const char *fmt, va_list args)
{
	CHECK(size > 2 && *used < size);
	if (*used + 2 >= size)
		return;
	*used += (size_t)vsnprintf(text + *used, size - *used - 1, fmt, args);
	if (*used > size - 2)
		*used = size - 2;
	text[(*used)++] = '\n';
	text[*used] = '\0';
}

void
verify(struct report *r, bool holds, const char *fmt, ...)
{
	va_list args;

	r->checks++;
	if (holds)
		return;
	r->failures++;
	va_start(args, fmt);
	line_add(r->text, r->size, &r->used, fmt, args);
	va_end(args);
}

void
verify_client(struct report *r, bool is_trusted, bool holds, const char *fmt, ...)
{
	va_list args;

	r->checks++;
	if (holds)
		return;
	va_start(args, fmt);
	if (is_trusted) {
		r->failures++;
		line_add(r->text, r->size, &r->used, fmt, args);
	} else {
		r->notes++;
		line_add(r->note_text, sizeof(r->note_text), &r->note_used, fmt, args);
	}
	va_end(args);
}

static void PRINTF_LIKE(2, 3) text_add(struct report *r, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	line_add(r->text, r->size, &r->used, fmt, args);
	va_end(args);
}

void
note(struct report *r, const char *fmt, ...)
{
	va_list args;

	r->notes++;
	va_start(args, fmt);
	line_add(r->note_text, sizeof(r->note_text), &r->note_used, fmt, args);
	va_end(args);
}

void
report_end(struct report *r)
{
	char *line = r->note_text, *end;

	CHECK(r->note_used < sizeof(r->note_text));
	while ((end = memchr(line, '\n', r->note_used - (size_t)(line - r->note_text))) != NULL) {
		text_add(r, "note: %.*s", (int)(end - line), line);
		line = end + 1;
	}
}
