/* SPDX-License-Identifier: MIT
 *
 * Writes a reference string as text, as `hexaddr R|W` or as a recording.
 */
#ifndef PAGERSIM_TRACE_WRITE_H
#define PAGERSIM_TRACE_WRITE_H

#include <stdbool.h>

#include "output.h"
#include "trace_codec.h"

enum trace_write_format { TRACE_WRITE_TEXT, TRACE_WRITE_HEX, TRACE_WRITE_RECORDING };

struct trace_writer {
	struct output output;
	enum trace_write_format format;
	uint32_t page_size;
	uint64_t event;
	struct trace_block block;
	uint8_t *buffer;
};

/* name: "text", "hex" or "pagerd". => 0 or -EINVAL, printed. */
int trace_write_format(const char *name, enum trace_write_format *ret);
/* path NULL or "-": standard output. => 0 or a negative errno, printed. */
int trace_writer_open(struct trace_writer *w, const char *path, enum trace_write_format format,
    uint32_t page_size, uint32_t window);
/* kind: PAGER_TRACE_*; only a recording holds it. The other formats refuse a discard, and hex a
 * page whose address does not fit into 64 bits. => 0 or a negative errno, printed. */
int trace_writer_put(
    struct trace_writer *w, uint64_t object, uint64_t page, unsigned kind, bool write);
/* Must be called after a failed put, too. good false: the old file stays. => 0 or a negative errno,
 * printed: the new file is not complete. */
int trace_writer_close(struct trace_writer *w, bool good);

#endif
