/* SPDX-License-Identifier: MIT
 *
 * Writes traces.
 */
#include "trace_write.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "message.h"

enum { BLOCK_BYTES = 64 << 10 };

int
trace_write_format(const char *name, enum trace_write_format *ret)
{
	static const char *const names[] = { "text", "hex", "pagerd" };

	for (unsigned i = 0; i < ARRAY_LEN(names); i++) {
		if (strcmp(names[i], name) == 0) {
			*ret = (enum trace_write_format)i;
			return 0;
		}
	}
	return error_print(-EINVAL, "\"%s\" cannot be written: text, hex or pagerd", name);
}

int
trace_writer_open(struct trace_writer *w, const char *path, enum trace_write_format format,
    uint32_t page_size, uint32_t window)
{
	struct pager_trace_header header;
	int error;

	*w = (struct trace_writer){ .format = format, .page_size = page_size };
	error = output_open(&w->output, path);
	if (error != 0 || format != TRACE_WRITE_RECORDING)
		return error;
	w->buffer = malloc(BLOCK_BYTES);
	if (w->buffer == NULL)
		return error_print(-ENOMEM, "not enough memory");
	trace_block_begin(&w->block, w->buffer, BLOCK_BYTES);
	trace_header_fill(&header, page_size, window, 0, 0);
	return fwrite(&header, sizeof(header), 1, w->output.file) == 1 ? 0
								       : output_failed(&w->output);
}

static int
writer_flush(struct trace_writer *w)
{
	size_t bytes = trace_block_end(&w->block, 0);

	if (bytes > 0 && fwrite(w->buffer, bytes, 1, w->output.file) != 1)
		return output_failed(&w->output);
	trace_block_begin(&w->block, w->buffer, BLOCK_BYTES);
	return 0;
}

static int
writer_put_record(struct trace_writer *w, uint64_t object, uint64_t page, unsigned kind, bool write)
{
	struct trace_record record = {
		.event = w->event++,
		.object = object,
		.page = page,
		.kind = (uint8_t)kind,
		.written = write,
	};
	int error = 0;

	if (trace_block_put(&w->block, &record) == -ENOSPC) {
		error = writer_flush(w);
		if (error == 0)
			error = trace_block_put(&w->block, &record);
	}
	return error;
}

int
trace_writer_put(struct trace_writer *w, uint64_t object, uint64_t page, unsigned kind, bool write)
{
	uint64_t id = object << 36 | page;
	int n;

	if (w->format == TRACE_WRITE_RECORDING)
		return writer_put_record(w, object, page, kind, write);
	if (kind == PAGER_TRACE_FORGET)
		return error_print(
		    -EINVAL, "the trace has discards, which only the format pagerd can hold");
	if (w->format == TRACE_WRITE_HEX && id > UINT64_MAX / w->page_size)
		return error_print(-ERANGE,
		    "page %" PRIu64 " has no address of 64 bits with pages of %" PRIu32
		    " bytes (--page-size)",
		    id, w->page_size);
	if (w->format == TRACE_WRITE_TEXT)
		n = fprintf(w->output.file, "%" PRIu64 "\n", id);
	else
		n = fprintf(
		    w->output.file, "%" PRIx64 " %c\n", id * w->page_size, write ? 'W' : 'R');
	return n > 0 ? 0 : output_failed(&w->output);
}

int
trace_writer_close(struct trace_writer *w, bool good)
{
	int error = 0, closed;

	if (w->buffer != NULL && good)
		error = writer_flush(w);
	free(w->buffer);
	w->buffer = NULL;
	closed = output_close(&w->output, good && error == 0);
	return error != 0 ? error : closed;
}
