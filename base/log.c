/* SPDX-License-Identifier: MIT
 *
 * Log lines. Runs on: any thread. One write(2) a line, so that lines of several threads do not mix.
 */
#include "log.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "clock.h"
#include "text.h"

#define LINE_BYTES 1024

static const char *const level_names[] = { "error", "warning", "notice", "info", "debug" };
static atomic_int log_level = LOG_NOTICE;
/* Limits that have left out a line at some time. Entries are put in front, and stay for good. */
static _Atomic(struct log_limit *) limits;
/* Count of lines that standard error did not take. */
static atomic_ullong dropped;

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

static bool
level_is_silent(enum log_level level)
{
	return (int)level > atomic_load_explicit(&log_level, memory_order_relaxed);
}

/* A fault server must not sleep here until somebody reads the log: a line that a pipe or a socket
 * does not take at once is not written. A descriptor without such a flag for one write (a terminal,
 * a named pipe) is polled first. Files take everything. => false: the line is lost */
static bool
line_write(const char *line, size_t bytes)
{
	struct iovec iov = { (void *)(uintptr_t)line, bytes };
	struct pollfd target = { .fd = STDERR_FILENO, .events = POLLOUT };
	struct stat st;
	ssize_t put = -1;

	errno = 0;
	if (fstat(STDERR_FILENO, &st) == 0 && (S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)))
		put = pwritev2(STDERR_FILENO, &iov, 1, -1, RWF_NOWAIT);
	if (put >= 0 || errno == EAGAIN)
		return put >= 0;
	if (poll(&target, 1, 0) != 1 || !(target.revents & POLLOUT))
		return false;
	do {
		put = write(STDERR_FILENO, line, bytes);
	} while (put < 0 && errno == EINTR);
	return put >= 0;
}

static void __attribute__((format(printf, 2, 0)))
line_say(enum log_level level, const char *fmt, va_list args)
{
	char line[LINE_BYTES];
	int head = snprintf(line, sizeof(line), "pagerd: %s: ", level_names[level]);
	size_t bytes;

	vsnprintf(line + head, sizeof(line) - 1 - (size_t)head, fmt, args);
	/* Parts of the line may be a client's words. */
	text_clean(line);
	bytes = strlen(line);
	line[bytes++] = '\n';
	if (!line_write(line, bytes))
		atomic_fetch_add_explicit(&dropped, 1, memory_order_relaxed);
}

static void
dropped_say(void)
{
	unsigned long long count;
	char line[128];

	if (likely(atomic_load_explicit(&dropped, memory_order_relaxed) == 0))
		return;
	count = atomic_exchange_explicit(&dropped, 0, memory_order_relaxed);
	if (count == 0)
		return;
	snprintf(line, sizeof(line),
	    "pagerd: warning: %llu lines could not be written here and are lost\n", count);
	if (!line_write(line, strlen(line)))
		atomic_fetch_add_explicit(&dropped, count, memory_order_relaxed);
}

void
log_message(enum log_level level, const char *fmt, ...)
{
	va_list args;

	if (level_is_silent(level))
		return;
	dropped_say();
	va_start(args, fmt);
	line_say(level, fmt, args);
	va_end(args);
}

/* The text of a format, with three dots for each part that differs from line to line. */
static void
format_show(const char *fmt, char *text, size_t text_size)
{
	size_t used = 0;

	while (*fmt && used + 4 < text_size) {
		if (*fmt != '%') {
			text[used++] = *fmt++;
			continue;
		}
		if (fmt[1] == '%') {
			text[used++] = '%';
			fmt += 2;
			continue;
		}
		fmt++;
		fmt += strspn(fmt, "#0- +'.*123456789hljztL");
		if (*fmt)
			fmt++;
		memcpy(text + used, "...", 3);
		used += 3;
	}
	text[used] = '\0';
}

static void
left_out_say(struct log_limit *limit, enum log_level level, const char *fmt)
{
	unsigned long long count;
	char text[512];

	if (atomic_load_explicit(&limit->left_out, memory_order_relaxed) == 0)
		return;
	count = atomic_exchange_explicit(&limit->left_out, 0, memory_order_relaxed);
	if (count == 0)
		return;
	format_show(fmt, text, sizeof(text));
	log_message(level, "(%llu more like this %s left out: \"%s\")", count,
	    count == 1 ? "was" : "were", text);
}

static uint64_t
window_now(void)
{
	return (uint32_t)(clock_now_ns() / LOG_LIMIT_NS);
}

/* => true: the line may be written; *ret_first: it is the first of its interval */
static bool
limit_pass(struct log_limit *limit, bool *ret_first)
{
	uint64_t now = window_now();
	unsigned long long seen = atomic_load_explicit(&limit->window, memory_order_relaxed), next;

	do {
		/* A thread whose clock was read just before the interval ended counts in the newer
		 * one. */
		*ret_first = seen == 0 || (int32_t)(uint32_t)(now - (seen >> 32)) > 0;
		if (*ret_first)
			next = now << 32 | 1;
		else if ((uint32_t)seen < LOG_LIMIT_LINES)
			next = seen + 1;
		else
			return false;
	} while (!atomic_compare_exchange_weak_explicit(
	    &limit->window, &seen, next, memory_order_relaxed, memory_order_relaxed));
	return true;
}

static void
limit_list(struct log_limit *limit, enum log_level level, const char *fmt)
{
	if (atomic_load_explicit(&limit->listed, memory_order_relaxed) ||
	    atomic_exchange_explicit(&limit->listed, true, memory_order_relaxed))
		return;
	limit->level = level;
	limit->fmt = fmt;
	limit->next = atomic_load_explicit(&limits, memory_order_relaxed);
	while (!atomic_compare_exchange_weak_explicit(
	    &limits, &limit->next, limit, memory_order_release, memory_order_relaxed))
		;
}

void
log_message_limited(struct log_limit *limit, enum log_level level, const char *fmt, ...)
{
	va_list args;
	bool first;

	if (level_is_silent(level))
		return;
	if (!limit_pass(limit, &first)) {
		atomic_fetch_add_explicit(&limit->left_out, 1, memory_order_relaxed);
		limit_list(limit, level, fmt);
		return;
	}
	if (first)
		left_out_say(limit, level, fmt);
	dropped_say();
	va_start(args, fmt);
	line_say(level, fmt, args);
	va_end(args);
}

bool
log_limits_are_left(void)
{
	for (struct log_limit *l = atomic_load_explicit(&limits, memory_order_acquire); l;
	     l = l->next)
		if (atomic_load_explicit(&l->left_out, memory_order_relaxed) > 0)
			return true;
	return false;
}

void
log_limits_tell(bool all)
{
	uint64_t now = window_now();

	for (struct log_limit *l = atomic_load_explicit(&limits, memory_order_acquire); l;
	     l = l->next) {
		uint64_t window = atomic_load_explicit(&l->window, memory_order_relaxed) >> 32;

		if (all || window != now)
			left_out_say(l, l->level, l->fmt);
	}
}
