/* SPDX-License-Identifier: MIT
 *
 * Encoder and decoder of recording blocks.
 */
#include "trace_codec.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static uint32_t
trace_checksum(const uint8_t *p, size_t n)
{
	uint32_t sum = UINT32_C(2166136261);

	for (size_t i = 0; i < n; i++)
		sum = (sum ^ p[i]) * UINT32_C(16777619);
	return sum;
}

static uint64_t
trace_zigzag(uint64_t now, uint64_t before)
{
	uint64_t d = now - before;

	return (d << 1) ^ (0 - (d >> 63));
}

static uint64_t
trace_unzigzag(uint64_t z, uint64_t before)
{
	return before + ((z >> 1) ^ (0 - (z & 1)));
}

static uint8_t *
trace_put_varint(uint8_t *p, uint64_t v)
{
	for (; v >= 128; v >>= 7)
		*p++ = (uint8_t)(v | 128);
	*p++ = (uint8_t)v;
	return p;
}

static bool
trace_get_varint(struct trace_block *block, uint64_t *ret)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 70 && block->used < block->bytes; shift += 7) {
		uint8_t byte = block->buffer[block->used++];

		if (shift == 63 && byte > 1)
			return false;
		v |= (uint64_t)(byte & 127) << shift;
		if (byte < 128) {
			*ret = v;
			return true;
		}
	}
	return false;
}

void
trace_header_fill(struct pager_trace_header *header, uint32_t page_size, uint32_t window_pages,
    uint64_t start_time_ns, uint64_t client_pid)
{
	*header = (struct pager_trace_header){
		.version = PAGER_TRACE_VERSION,
		.header_bytes = sizeof(*header),
		.page_size = page_size,
		.window_pages = window_pages,
		.start_time_ns = start_time_ns,
		.client_pid = client_pid,
	};
	memcpy(header->magic, PAGER_TRACE_MAGIC, sizeof(header->magic));
}

int
trace_header_check(const struct pager_trace_header *header)
{
	if (memcmp(header->magic, PAGER_TRACE_MAGIC, sizeof(header->magic)) != 0 ||
	    header->version != PAGER_TRACE_VERSION || header->header_bytes != sizeof(*header))
		return -EINVAL;
	return 0;
}

void
trace_block_begin(struct trace_block *block, void *buffer, size_t bytes)
{
	*block = (struct trace_block){
		.buffer = buffer,
		.used = sizeof(struct pager_trace_block),
		.bytes = bytes,
	};
}

int
trace_block_put(struct trace_block *block, const struct trace_record *record)
{
	struct trace_record *last = &block->last;
	uint8_t *p = block->buffer + block->used;
	uint8_t tag = (uint8_t)(record->kind | (record->written ? PAGER_TRACE_WRITTEN : 0));

	if (block->bytes - block->used < PAGER_TRACE_RECORD_MAX)
		return -ENOSPC;
	if (block->records == 0) {
		block->first_event = record->event;
		last->event = record->event - 1;
	}
	tag |= record->event == last->event + 1 ? PAGER_TRACE_NEXT_EVENT : 0;
	tag |= record->object == last->object ? PAGER_TRACE_SAME_OBJECT : 0;
	tag |= record->thread == last->thread ? PAGER_TRACE_SAME_THREAD : 0;
	*p++ = tag;
	if (!(tag & PAGER_TRACE_NEXT_EVENT))
		p = trace_put_varint(p, record->event - last->event);
	if (!(tag & PAGER_TRACE_SAME_OBJECT))
		p = trace_put_varint(p, trace_zigzag(record->object, last->object));
	if (!(tag & PAGER_TRACE_SAME_THREAD))
		p = trace_put_varint(p, record->thread);
	p = trace_put_varint(p, trace_zigzag(record->page, last->page));
	block->used = (size_t)(p - block->buffer);
	block->last = *record;
	block->records++;
	return 0;
}

size_t
trace_block_end(struct trace_block *block, uint64_t dropped)
{
	struct pager_trace_block header = {
		.magic = PAGER_TRACE_BLOCK_MAGIC,
		.payload_bytes = (uint32_t)(block->used - sizeof(header)),
		.records = block->records,
		.first_event = block->first_event,
		.dropped = dropped,
	};

	if (block->records == 0 && dropped == 0)
		return 0;
	header.checksum = trace_checksum(block->buffer + sizeof(header), header.payload_bytes);
	memcpy(block->buffer, &header, sizeof(header));
	return block->used;
}

int
trace_block_open(struct trace_block *block, void *buffer, size_t bytes)
{
	struct pager_trace_block header;

	if (bytes < sizeof(header))
		return -EINVAL;
	memcpy(&header, buffer, sizeof(header));
	if (header.magic != PAGER_TRACE_BLOCK_MAGIC ||
	    header.payload_bytes != bytes - sizeof(header))
		return -EINVAL;
	trace_block_begin(block, buffer, bytes);
	if (trace_checksum(block->buffer + sizeof(header), header.payload_bytes) != header.checksum)
		return -EINVAL;
	block->records = header.records;
	block->first_event = header.first_event;
	block->last.event = header.first_event - 1;
	return 0;
}

int
trace_block_get(struct trace_block *block, struct trace_record *ret)
{
	uint64_t event = 1, object = 0, thread = block->last.thread, page;
	uint8_t tag;

	if (block->records == 0)
		return block->used == block->bytes ? 0 : -EINVAL;
	if (block->used >= block->bytes)
		return -EINVAL;
	tag = block->buffer[block->used++];
	if (tag > PAGER_TRACE_TAG_BITS ||
	    (!(tag & PAGER_TRACE_NEXT_EVENT) && !trace_get_varint(block, &event)) ||
	    (!(tag & PAGER_TRACE_SAME_OBJECT) && !trace_get_varint(block, &object)) ||
	    (!(tag & PAGER_TRACE_SAME_THREAD) && !trace_get_varint(block, &thread)) ||
	    !trace_get_varint(block, &page) || thread > UINT32_MAX)
		return -EINVAL;
	block->last.event += event;
	block->last.object = trace_unzigzag(object, block->last.object);
	block->last.thread = (uint32_t)thread;
	block->last.page = trace_unzigzag(page, block->last.page);
	block->last.kind = tag & PAGER_TRACE_KIND;
	block->last.written = (tag & PAGER_TRACE_WRITTEN) != 0;
	block->records--;
	*ret = block->last;
	return 1;
}
