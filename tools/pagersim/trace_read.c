/* SPDX-License-Identifier: MIT
 *
 * Readers of trace files, and how a file's format is found out.
 */
#include "trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "input.h"
#include "pagersim.h"
#include "trace_codec.h"

struct reader {
	struct trace *trace;
	struct input *in;
	const char *path;
	const struct trace_options *options;
	unsigned page_shift;
	uint64_t line; /* or record, from 1 */
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
	int shown = (int)(length < 60 ? length : 60);

	return error_print(-EINVAL, "%s:%" PRIu64 ": expected %s, found \"%.*s\"%s", r->path,
			   r->line, expected, shown, line, length > 60 ? "..." : "");
}

/* => true, the number and the first character behind it; false when there is no digit or it
 * overflows. */
static bool
parse_number(const char **p, const char *end, unsigned base, uint64_t *ret)
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

static const char *
skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\r'))
		p++;
	return p;
}

static int
read_text_line(struct reader *r, const char *p, const char *end)
{
	const char *line = p;
	uint64_t page;

	if (!parse_number(&p, end, 10, &page) || skip_blanks(p, end) != end)
		return reader_bad_line(r, line, (size_t)(end - line), "a page number");
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
	if (!parse_number(&p, end, 16, &address))
		return reader_bad_line(r, line, (size_t)(end - line), "hexaddr R|W");
	p = skip_blanks(p, end);
	access = p < end ? (char)(*p & ~32) : 0;
	if ((access != 'R' && access != 'W') || skip_blanks(p + 1, end) != end)
		return reader_bad_line(r, line, (size_t)(end - line), "hexaddr R|W");
	return reader_add(r, address >> r->page_shift, access == 'W' ? TRACE_WRITE : 0);
}

/* " L addr,size", " S", " M", "I  addr,size"; what valgrind itself says begins with == or --. */
static int
read_lackey_line(struct reader *r, const char *p, const char *end)
{
	const char *line = p;
	uint64_t address, size, page;
	char kind = *p;
	int error = 0;

	if (kind == '=' || kind == '-')
		return 0;
	p = skip_blanks(p + 1, end);
	if (strchr("ILSM", kind) == NULL || !parse_number(&p, end, 16, &address) || p == end ||
	    *p++ != ',' || !parse_number(&p, end, 10, &size) || size == 0 ||
	    skip_blanks(p, end) != end || address + size < address)
		return reader_bad_line(r, line, (size_t)(end - line),
				       "a lackey record (L, S, M or I addr,size)");
	if (kind == 'I' && !r->options->instructions)
		return 0;
	for (page = address >> r->page_shift;
	     page <= (address + size - 1) >> r->page_shift && error == 0; page++)
		error = reader_add(r, page, kind == 'S' || kind == 'M' ? TRACE_WRITE : 0);
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
		newline = memchr(data, '\n', bytes);
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

static int
read_lines(struct reader *r, int (*read_line)(struct reader *r, const char *p, const char *end))
{
	const char *p = NULL, *end = NULL;
	int result;

	while ((result = next_line(r, &p, &end)) > 0) {
		p = skip_blanks(p, end);
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
	enum { RECORD = 24 };
	const uint8_t *data;
	size_t bytes;
	int error;

	while ((error = input_fill(r->in, RECORD, &data, &bytes)) == 0 && bytes >= RECORD) {
		uint64_t id;

		r->line++;
		memcpy(&id, data + 4, sizeof(id));
		input_take(r->in, RECORD);
		error = reader_add(r, id, 0);
		if (error != 0)
			return error;
	}
	if (error == 0 && bytes > 0)
		error = error_print(-EINVAL, "%s: record %" PRIu64 " is cut off (%zu of %d bytes)",
				    r->path, r->line + 1, bytes, RECORD);
	return error;
}

/* A page of one object. Objects are numbered from small integers, so that both fit. */
static int
read_recorded_block(struct reader *r, uint8_t *data, size_t bytes)
{
	struct trace_block block;
	struct trace_record record;
	int result = trace_block_open(&block, data, bytes);

	if (result != 0)
		return error_print(result, "%s: block behind record %" PRIu64 " has a bad checksum",
				   r->path, r->line);
	while ((result = trace_block_get(&block, &record)) > 0) {
		unsigned flags =
		    record.written || record.kind == PAGER_TRACE_WRITE ? TRACE_WRITE : 0;

		r->line++;
		if (record.page >> 36 != 0 || record.object >> 28 != 0)
			return error_print(
			    -ERANGE, "%s: record %" PRIu64 ": object or page number too large",
			    r->path, r->line);
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
		return error_print(-EINVAL, "%s: not a recording of version %d", r->path,
				   PAGER_TRACE_VERSION);
	r->trace->page_size = header.page_size;
	r->trace->window = header.window_pages;
	input_take(r->in, sizeof(header));
	while ((error = input_fill(r->in, sizeof(block), &data, &bytes)) == 0 &&
	       bytes >= sizeof(block)) {
		size_t whole;

		memcpy(&block, data, sizeof(block));
		if (block.magic != PAGER_TRACE_BLOCK_MAGIC ||
		    block.payload_bytes > PAGER_TRACE_PAYLOAD_MAX)
			return error_print(-EINVAL, "%s: no block behind record %" PRIu64, r->path,
					   r->line);
		whole = sizeof(block) + block.payload_bytes;
		error = input_fill(r->in, whole, &data, &bytes);
		if (error != 0 || bytes < whole)
			break;
		error = read_recorded_block(r, (uint8_t *)data, whole);
		if (error != 0)
			return error;
		r->trace->dropped += block.dropped;
		input_take(r->in, whole);
		bytes = 0;
	}
	if (error == 0 && bytes > 0)
		fprintf(stderr,
			"pagersim: %s: cut off in the block behind record %" PRIu64
			"; using what is whole\n",
			r->path, r->line);
	return error;
}

static const struct trace_format {
	const char *name;
	int (*read)(struct reader *r);
} trace_formats[] = {
    {"text", read_text},     {"hex", read_hex},          {"lackey", read_lackey},
    {"oracle", read_oracle}, {"pagerd", read_recording},
};

static const char *
guess_text_format(const char *p, const char *end)
{
	while (p < end) {
		const char *eol = memchr(p, '\n', (size_t)(end - p)), *start = p;
		uint64_t number;

		eol = eol != NULL ? eol : end;
		p = skip_blanks(p, eol);
		if (p < eol && (*p == '=' || strchr("ILSM", *p) != NULL))
			return "lackey";
		if (p < eol && *p != '#') {
			if (parse_number(&p, eol, 10, &number) && skip_blanks(p, eol) == eol)
				return "text";
			p = eol;
			while (p > start && (p[-1] == ' ' || p[-1] == '\r' || p[-1] == '\t'))
				p--;
			return p > start && strchr("rRwW", p[-1]) != NULL ? "hex" : "text";
		}
		p = eol + 1;
	}
	return "text";
}

static int
guess_format(struct reader *r, const char **ret)
{
	const uint8_t *data;
	size_t bytes;
	int error = input_fill(r->in, 4096, &data, &bytes);

	if (error != 0)
		return error;
	if (bytes >= 8 && memcmp(data, PAGER_TRACE_MAGIC, 8) == 0)
		*ret = "pagerd";
	else if (memchr(data, '\0', bytes) != NULL)
		*ret = "oracle";
	else
		*ret = guess_text_format((const char *)data, (const char *)data + bytes);
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
	struct reader r = {.trace = t,
			   .path = strcmp(path, "-") == 0 ? "standard input" : path,
			   .options = options};
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
