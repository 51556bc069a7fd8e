/* SPDX-License-Identifier: MIT
 *
 * Blocks of a recording (include/pager/trace_format.h): turns records into bytes and back. No
 * allocation, no I/O, no locks; depends on nothing of the project but that header. Linked by the
 * daemon (recorder) and by pagersim (reader).
 */
#ifndef TRACE_CODEC_H
#define TRACE_CODEC_H

#include <stddef.h>
#include <stdint.h>

#include "pager/trace_format.h"

struct trace_record {
	uint64_t event;  /* number, growing */
	uint64_t object; /* id */
	uint64_t page;   /* index in the object */
	uint32_t thread;
	uint8_t kind;    /* PAGER_TRACE_MAJOR.. FORGET */
	uint8_t written; /* 0 or 1 */
};

/* State of a block that is being written or read. */
struct trace_block {
	uint8_t *buffer;    /* block header, then payload */
	size_t used, bytes; /* of the buffer */
	uint32_t records;   /* bytes written so far, or left to read */
	uint64_t first_event;
	struct trace_record last;
};

void trace_header_fill(struct pager_trace_header *header, uint32_t page_size, uint32_t window_pages,
    uint64_t start_time_ns, uint64_t client_pid);
/* => 0, or -EINVAL: not a recording, or one of another version. */
int trace_header_check(const struct pager_trace_header *header);

/* buffer must hold a block header and one record at least. */
void trace_block_begin(struct trace_block *block, void *buffer, size_t bytes);
/* => 0; -ENOSPC: the block is full: end it, write it out, begin another. The record's event must be
 * larger than that of the record before. */
int trace_block_put(struct trace_block *block, const struct trace_record *record);
/* Fills in the header. => bytes to write out; 0 if there is no record and none was dropped. */
size_t trace_block_end(struct trace_block *block, uint64_t dropped);

/* buffer holds a whole block. => 0 or -EINVAL (magic, length, checksum). */
int trace_block_open(struct trace_block *block, void *buffer, size_t bytes);
/* => 1 and a record; 0 at the end; -EINVAL: the payload is damaged. */
int trace_block_get(struct trace_block *block, struct trace_record *ret);

#endif
