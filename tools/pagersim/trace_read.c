/* SPDX-License-Identifier: MIT
 *
 * Reads trace files.
 */
#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "input.h"
#include "message.h"
#include "text.h"
#include "trace_codec.h"
#include "trace_guess.h"

/* The greatest access believed. Real ones have some hundred bytes at most. */
#define LACKEY_SIZE_MAX 65536

struct reader {
	struct trace *trace;
	struct input *in;
	const char *path;
	const struct trace_options *options;
	bool guessed; /* the format was guessed, and not given by the user */
	char newline;
	unsigned page_shift;
	uint64_t line; /* or record, counted from 1 */
	uint64_t last_id;
};

static int
reader_add(struct reader *r, uint64_t id, unsigned flags)
{
	int error;

	if (r->options->collapse && r->trace->count > 0 && id == r->last_id &&
	    !(flags & TRACE_FORGET)) {
		uint32_t *event = &r->trace->events[r->trace->count - 1];

		if (!(*event & TRACE_FORGET)) {
			*event |= flags;
			r->trace->has_writes |= (flags & TRACE_WRITE) != 0;
			return 0;
		}
	}
	r->last_id = id;
	error = trace_add(r->trace, id, flags);
	if (error == -E2BIG)
		return error_print(error, "%s: more than 2^32 references or 2^28 pages", r->path);
	if (error != 0)
		return error_print(error, "%s: %s", r->path, strerror(-error));
	if ((r->trace->count & 0xfffff) == 0)
		progress_update("reading", input_position(r->in), input_size(r->in));
	return 0;
}

static int
reader_bad_line(struct reader *r, const char *line, size_t length, const char *expected)
{
	size_t shown = length < 60 ? length : 60;
	char text[61];

	for (size_t i = 0; i < shown; i++)
		text[i] = line[i] != '\0' ? line[i] : '?';
	text[shown] = '\0';
	text_clean(text);
	return error_print(-EINVAL, "%s:%" PRIu64 ": expected %s, found \"%s\"%s", r->path, r->line,
	    expected, text, length > 60 ? "..." : "");
}

static int
read_text_line(struct reader *r, const char *p, const char *end)
{
	const char *line = p;
	uint64_t page;

	if (!trace_parse_number(&p, end, 10, &page) || trace_skip_blanks(p, end) != end)
		return reader_bad_line(r, line, (size_t)(end - line), "a page number below 2^64");
	return reader_add(r, page, 0);
}

static int
read_hex_line(struct reader *r, const char *p, const char *end)
{
	const char *line = p;
	uint64_t address;
	char access;

	if (end - p > 2 && p[0] == '0' && (p[1] | 32) == 'x')
		p += 2;
	if (!trace_parse_number(&p, end, 16, &address))
		return reader_bad_line(r, line, (size_t)(end - line), "hexaddr R|W");
	p = trace_skip_blanks(p, end);
	access = p < end ? (char)(*p & ~32) : 0;
	if ((access != 'R' && access != 'W') || trace_skip_blanks(p + 1, end) != end)
		return reader_bad_line(r, line, (size_t)(end - line), "hexaddr R|W");
	return reader_add(r, address >> r->page_shift, access == 'W' ? TRACE_WRITE : 0);
}

/* " L addr,size", " S", " M", "I  addr,size"; messages of valgrind itself begin with == or --. */
static int
read_lackey_line(struct reader *r, const char *p, const char *end)
{
	const char *line = p;
	uint64_t address, size, page, last;
	char kind = *p;
	int error = 0;

	if (trace_is_valgrind(p, end))
		return 0;
	p = trace_skip_blanks(p + 1, end);
	if (memchr("ILSM", kind, 4) == NULL || !trace_parse_number(&p, end, 16, &address) ||
	    p == end || *p++ != ',' || !trace_parse_number(&p, end, 10, &size) ||
	    trace_skip_blanks(p, end) != end)
		return reader_bad_line(
		    r, line, (size_t)(end - line), "a lackey record (L, S, M or I addr,size)");
	if (size == 0 || size > LACKEY_SIZE_MAX || address + size - 1 < address)
		return reader_bad_line(r, line, (size_t)(end - line),
		    "an access of 1 to 65536 bytes below address 2^64");
	if (kind == 'I' && !r->options->instructions)
		return 0;
	last = (address + size - 1) >> r->page_shift;
	for (page = address >> r->page_shift; error == 0; page++) {
		error = reader_add(r, page, kind == 'S' || kind == 'M' ? TRACE_WRITE : 0);
		/* Not in the loop's head, because the last page may have the greatest number. */
		if (page == last)
			break;
	}
	return error;
}

/* Finds the next line. => 1; 0 at the end; a negative errno. */
static int
next_line(struct reader *r, const char **ret, const char **ret_end)
{
	size_t want = 1, bytes, length;
	const uint8_t *data, *newline;

	do {
		int error = input_fill(r->in, want, &data, &bytes);

		if (error != 0)
			return error;
		newline = memchr(data, r->newline, bytes);
		if (newline == NULL && bytes < want)
			break;
		want = bytes + 4096;
		if (newline == NULL && bytes > 1 << 20)
			return error_print(-EINVAL, "%s:%" PRIu64 ": line longer than 1 MiB",
			    r->path, r->line + 1);
	} while (newline == NULL);
	if (bytes == 0)
		return 0;
	length = newline != NULL ? (size_t)(newline - data) : bytes;
	*ret = (const char *)data;
	*ret_end = *ret + length;
	input_take(r->in, newline != NULL ? length + 1 : length);
	r->line++;
	return 1;
}

/* Skips a byte order mark, refuses encodings of 16 and 32 bits, and finds out how lines end. */
static int
text_begin(struct reader *r)
{
	static const uint8_t mark[] = { 0xef, 0xbb, 0xbf };
	const uint8_t *data;
	const char *wide;
	size_t bytes;
	int error = input_fill(r->in, TRACE_GUESS_BYTES, &data, &bytes);

	if (error != 0)
		return error;
	wide = trace_guess_wide(data, bytes);
	if (wide != NULL)
		return error_print(-EINVAL,
		    "%s: its text is %s, which cannot be read: iconv -f %s -t UTF-8", r->path, wide,
		    wide);
	/* Lines end with CR only in files of old Macs; elsewhere a CR is a blank. */
	r->newline = '\n';
	if (memchr(data, '\n', bytes) == NULL && memchr(data, '\r', bytes) != NULL)
		r->newline = '\r';
	if (bytes >= sizeof(mark) && memcmp(data, mark, sizeof(mark)) == 0)
		input_take(r->in, sizeof(mark));
	return 0;
}

static int
read_lines(struct reader *r, int (*read_line)(struct reader *r, const char *p, const char *end))
{
	const char *p = NULL, *end = NULL;
	int result = text_begin(r);

	if (result != 0)
		return result;
	while ((result = next_line(r, &p, &end)) > 0) {
		p = trace_skip_blanks(p, end);
		if (p == end || *p == '#')
			continue;
		result = read_line(r, p, end);
		if (result != 0)
			break;
	}
	return result;
}

static int
read_text(struct reader *r)
{
	return read_lines(r, read_text_line);
}

static int
read_hex(struct reader *r)
{
	return read_lines(r, read_hex_line);
}

static int
read_lackey(struct reader *r)
{
	return read_lines(r, read_lackey_line);
}

/* libCacheSim: u32 time, u64 object, u32 size, i64 next access, packed, little-endian. */
static int
read_oracle(struct reader *r)
{
	struct oracle_record record, before = { 0 };
	const uint8_t *data;
	const char *why;
	size_t bytes;
	int error;

	while ((error = input_fill(r->in, ORACLE_RECORD_BYTES, &data, &bytes)) == 0 &&
	       bytes >= ORACLE_RECORD_BYTES) {
		oracle_record_get(data, &record);
		/* Any bytes are valid records, so only a guess is checked, not a given format. */
		why = r->guessed ? oracle_record_check(&record, &before, r->line) : NULL;
		if (why != NULL)
			return error_print(-EINVAL,
			    "%s: not a trace: it holds zero bytes, and read as "
			    "oracleGeneral, record %" PRIu64
			    " has %s (--format oracle reads it nevertheless)",
			    r->path, r->line + 1, why);
		before = record;
		r->line++;
		input_take(r->in, ORACLE_RECORD_BYTES);
		error = reader_add(r, record.object, 0);
		if (error != 0)
			return error;
	}
	if (error == 0 && bytes > 0)
		error = error_print(-EINVAL, "%s: record %" PRIu64 " is cut off (%zu of %d bytes)",
		    r->path, r->line + 1, bytes, ORACLE_RECORD_BYTES);
	return error;
}

/* A page's id combines the numbers of its object and its page. Objects have small numbers, so both
 * fit. */
static int
read_recorded_block(struct reader *r, uint8_t *data, size_t bytes)
{
	struct trace_block block;
	struct trace_record record;
	int result = trace_block_open(&block, data, bytes);

	if (result != 0)
		return error_print(result,
		    "%s: the block after record %" PRIu64 " has a bad checksum", r->path, r->line);
	while ((result = trace_block_get(&block, &record)) > 0) {
		unsigned flags =
		    record.written || record.kind == PAGER_TRACE_WRITE ? TRACE_WRITE : 0;

		r->line++;
		if (record.page >> 36 != 0 || record.object >> 28 != 0)
			return error_print(-ERANGE,
			    "%s: record %" PRIu64 ": object or page number too large", r->path,
			    r->line);
		if (record.kind == PAGER_TRACE_FORGET)
			flags = TRACE_FORGET;
		result = reader_add(r, record.object << 36 | record.page, flags);
		if (result != 0)
			return result;
	}
	if (result != 0)
		error_print(result, "%s: record %" PRIu64 " is damaged", r->path, r->line + 1);
	return result;
}

static int
read_recording(struct reader *r)
{
	struct pager_trace_header header;
	struct pager_trace_block block;
	const uint8_t *data;
	size_t bytes;
	int error = input_fill(r->in, sizeof(header), &data, &bytes);

	if (error != 0)
		return error;
	if (bytes >= sizeof(header))
		memcpy(&header, data, sizeof(header));
	if (bytes < sizeof(header) || trace_header_check(&header) != 0)
		return error_print(
		    -EINVAL, "%s: not a recording of version %d", r->path, PAGER_TRACE_VERSION);
	if (header.page_size == 0 || (header.page_size & (header.page_size - 1)) != 0)
		return error_print(-EINVAL,
		    "%s: damaged recording: pages of %" PRIu32 " bytes, which is no power of two",
		    r->path, header.page_size);
	r->trace->page_size = header.page_size;
	r->trace->window = header.window_pages;
	input_take(r->in, sizeof(header));
	while ((error = input_fill(r->in, sizeof(block), &data, &bytes)) == 0 &&
	       bytes >= sizeof(block)) {
		size_t whole;

		memcpy(&block, data, sizeof(block));
		if (block.magic != PAGER_TRACE_BLOCK_MAGIC ||
		    block.payload_bytes > PAGER_TRACE_PAYLOAD_MAX)
			return error_print(
			    -EINVAL, "%s: no block after record %" PRIu64, r->path, r->line);
		whole = sizeof(block) + block.payload_bytes;
		error = input_fill(r->in, whole, &data, &bytes);
		if (error != 0 || bytes < whole)
			break;
		error = read_recorded_block(r, (uint8_t *)data, whole);
		if (error != 0)
			return error;
		r->trace->dropped = block.dropped < UINT64_MAX - r->trace->dropped
					? r->trace->dropped + block.dropped
					: UINT64_MAX;
		input_take(r->in, whole);
		bytes = 0;
	}
	if (error == 0 && bytes > 0)
		fprintf(stderr,
		    "pagersim: %s: cut off in the block after record %" PRIu64
		    "; using the complete blocks\n",
		    r->path, r->line);
	return error;
}

static const struct trace_format {
	const char *name;
	int (*read)(struct reader *r);
} trace_formats[] = {
	{ "text", read_text },
	{ "hex", read_hex },
	{ "lackey", read_lackey },
	{ "oracle", read_oracle },
	{ "pagerd", read_recording },
};

static int
guess_format(struct reader *r, const char **ret)
{
	const uint8_t *data;
	size_t bytes;
	int error = input_fill(r->in, TRACE_GUESS_BYTES, &data, &bytes);

	if (error == 0)
		*ret = trace_guess(data, bytes);
	r->guessed = true;
	return error;
}

int
trace_page_size_parse(const char *text, uint32_t *ret)
{
	const char *p = text, *end = text + strlen(text);
	uint64_t v;

	if (!trace_parse_number(&p, end, 10, &v) || p != end || v == 0 || v > 1 << 30 ||
	    (v & (v - 1)) != 0)
		return error_print(
		    -EINVAL, "--page-size %s: a power of two, at most 1073741824", text);
	*ret = (uint32_t)v;
	return 0;
}

bool
trace_format_known(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(trace_formats); i++)
		if (strcmp(trace_formats[i].name, name) == 0)
			return true;
	return false;
}

int
trace_load(struct trace *t, const char *path, const struct trace_options *options)
{
	struct reader r = { .trace = t,
		.path = strcmp(path, "-") == 0 ? "standard input" : path,
		.options = options };
	const char *format = options->format;
	int error = input_open(path, &r.in);

	if (error != 0)
		return error;
	while ((UINT32_C(1) << r.page_shift) < options->page_size)
		r.page_shift++;
	if (format == NULL)
		error = guess_format(&r, &format);
	for (size_t i = 0; error == 0 && i < ARRAY_LEN(trace_formats); i++)
		if (strcmp(trace_formats[i].name, format) == 0)
			error = trace_formats[i].read(&r);
	progress_end();
	input_close(r.in);
	if (error == 0 && t->references == 0)
		error = error_print(-EINVAL, "%s: no references", r.path);
	return error;
}
