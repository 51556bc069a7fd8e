/* SPDX-License-Identifier: MIT
 *
 * Finds out the format of a trace. Pure: bytes in, a name out.
 */
#include "trace_guess.h"

#include <string.h>

#include "base.h"
#include "pager/trace_format.h"

/* More records than pagersim can hold: a greater number is not that of a record. */
#define ORACLE_NEXT_MAX (INT64_C(1) << 40)

bool
trace_parse_number(const char **p, const char *end, unsigned base, uint64_t *ret)
{
	const char *start = *p;
	uint64_t v = 0;

	for (; *p < end; (*p)++) {
		unsigned c = (unsigned char)**p, digit;

		if (c >= '0' && c <= '9')
			digit = c - '0';
		else if (base == 16 && (c | 32) >= 'a' && (c | 32) <= 'f')
			digit = (c | 32) - 'a' + 10;
		else
			break;
		if (v > (UINT64_MAX - digit) / base)
			return false;
		v = v * base + digit;
	}
	*ret = v;
	return *p > start;
}

const char *
trace_skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++;
	return p;
}

/* "==PID== ..." and "--PID-- ..." */
bool
trace_is_valgrind(const char *p, const char *end)
{
	return end - p >= 2 && (*p == '=' || *p == '-') && p[1] == *p;
}

/* Guesses from the first line that is not a comment. */
static const char *
guess_text(const char *p, const char *end)
{
	while (p < end) {
		const char *eol = p, *start;
		uint64_t number;

		while (eol < end && *eol != '\n' && *eol != '\r')
			eol++;
		start = p = trace_skip_blanks(p, eol);
		if (p < eol && (trace_is_valgrind(p, eol) || memchr("ILSM", *p, 4) != NULL))
			return "lackey";
		if (p < eol && *p != '#') {
			if (trace_parse_number(&p, eol, 10, &number) &&
			    trace_skip_blanks(p, eol) == eol)
				return "text";
			p = eol;
			while (p > start && (p[-1] == ' ' || p[-1] == '\t'))
				p--;
			return p > start && memchr("rRwW", p[-1], 4) != NULL ? "hex" : "text";
		}
		p = eol + 1;
	}
	return "text";
}

/* Whether in each group of `width` bytes the one at `place` is printable or white space, and the
 * others are zero. */
static bool
is_wide(const uint8_t *data, size_t bytes, size_t width, size_t place)
{
	bytes -= bytes % width;
	for (size_t i = 0; i < bytes; i++) {
		bool shown =
		    (data[i] >= ' ' && data[i] < 0x7f) || (data[i] >= '\t' && data[i] <= '\r');

		if (i % width == place ? !shown : data[i] != 0)
			return false;
	}
	return bytes > 0;
}

const char *
trace_guess_wide(const uint8_t *data, size_t bytes)
{
	static const struct {
		const char *name;
		uint8_t width, place, mark_bytes;
		uint8_t mark[4];
	} encodings[] = {
		{ "UTF-32LE", 4, 0, 4, { 0xff, 0xfe, 0, 0 } },
		{ "UTF-32BE", 4, 3, 4, { 0, 0, 0xfe, 0xff } },
		{ "UTF-16LE", 2, 0, 2, { 0xff, 0xfe } },
		{ "UTF-16BE", 2, 1, 2, { 0xfe, 0xff } },
	};

	if (bytes > TRACE_GUESS_BYTES)
		bytes = TRACE_GUESS_BYTES;
	for (size_t i = 0; i < ARRAY_LEN(encodings); i++) {
		size_t mark = encodings[i].mark_bytes;

		if (bytes >= mark && memcmp(data, encodings[i].mark, mark) == 0) {
			/* The mark alone may be chance. */
			if (is_wide(
				data + mark, bytes - mark, encodings[i].width, encodings[i].place))
				return encodings[i].name;
		} else if (is_wide(data, bytes, encodings[i].width, encodings[i].place)) {
			return encodings[i].name;
		}
	}
	return NULL;
}

const char *
trace_guess(const uint8_t *data, size_t bytes)
{
	static const uint8_t mark[] = { 0xef, 0xbb, 0xbf };

	if (bytes >= 8 && memcmp(data, PAGER_TRACE_MAGIC, 8) == 0)
		return "pagerd";
	if (trace_guess_wide(data, bytes) != NULL)
		return "text"; /* its reader refuses the encoding */
	if (memchr(data, '\0', bytes) != NULL)
		return "oracle";
	if (bytes >= sizeof(mark) && memcmp(data, mark, sizeof(mark)) == 0) {
		data += sizeof(mark);
		bytes -= sizeof(mark);
	}
	return guess_text((const char *)data, (const char *)data + bytes);
}

void
oracle_record_get(const uint8_t *data, struct oracle_record *ret)
{
	memcpy(&ret->time, data, sizeof(ret->time));
	memcpy(&ret->object, data + 4, sizeof(ret->object));
	memcpy(&ret->bytes, data + 12, sizeof(ret->bytes));
	memcpy(&ret->next, data + 16, sizeof(ret->next));
}

const char *
oracle_record_check(
    const struct oracle_record *r, const struct oracle_record *before, uint64_t number)
{
	if (number > 0 && r->time < before->time)
		return "a time before that of the record before it";
	if (r->bytes > INT32_MAX)
		return "an object of 2 GiB or more";
	if (r->next != -1 && r->next != INT64_MAX &&
	    (r->next <= (int64_t)number || r->next > ORACLE_NEXT_MAX))
		return "a next access that does not come after it";
	return NULL;
}
