/* SPDX-License-Identifier: MIT
 *
 * The file in which pagerd records its page faults (pagerctl trace) and which pagersim replays.
 * Types and constants only; policy/trace_codec.[ch] encode and decode blocks.
 *
 *   file   := header block*
 *   block  := block header, payload of payload_bytes
 *   payload:= record*        each record starts where the last one ended
 *
 * All integers are little-endian. A block can be decoded alone: differences start from zero in
 * each. A file that ends inside a block was cut off (the daemon died): the whole blocks before it
 * are good.
 *
 * A record is a tag byte and then, in this order, what the tag says:
 *
 *   event    varint   number of this event minus that of the record before,
 *                     if not PAGER_TRACE_NEXT_EVENT (then 1)
 *   object   varint   zigzag difference to the last object id, if not PAGER_TRACE_SAME_OBJECT
 *   thread   varint   number of the faulting thread, if not PAGER_TRACE_SAME_THREAD
 *   page     varint   zigzag difference to the last record's page index in its object
 *
 * varint: 7 bits a byte, low ones first, bit 7 set on all but the last byte, at most 10 bytes.
 * zigzag: (d << 1) ^ (d >> 63). At the start of a block the last event is first_event - 1, the last
 * object, thread and page are 0.
 *
 * Event numbers count the events that the daemon has seen of this recording's clients, recorded or
 * not. Events that it could not store are counted in `dropped` of the next block, so sum(records) +
 * sum(dropped) is the number of all events.
 */
#ifndef PAGER_TRACE_FORMAT_H
#define PAGER_TRACE_FORMAT_H

#include <stdint.h>

#define PAGER_TRACE_MAGIC       "PGRTRACE" /* 8 bytes, no terminator */
#define PAGER_TRACE_VERSION     1
#define PAGER_TRACE_BLOCK_MAGIC UINT32_C(0x4b4c4254) /* "TBLK" */

/* Longest record: tag, event, object, thread, page. */
#define PAGER_TRACE_RECORD_MAX (1 + 10 + 10 + 5 + 10)
/* A reader refuses longer payloads. Writers use about 64 KiB. */
#define PAGER_TRACE_PAYLOAD_MAX (16u << 20)

struct pager_trace_header {
	uint8_t magic[8];
	uint32_t version;
	uint32_t header_bytes;  /* sizeof this struct; blocks start there */
	uint32_t page_size;     /* bytes */
	uint32_t window_pages;  /* mapped pages while recording: the resolution of the trace */
	uint64_t start_time_ns; /* CLOCK_REALTIME */
	uint64_t client_pid;    /* 0: all clients */
	uint8_t reserved[24];   /* zero */
};

struct pager_trace_block {
	uint32_t magic;
	uint32_t payload_bytes;
	uint32_t records;
	uint32_t checksum;    /* FNV-1a, 32 bits, of the payload */
	uint64_t first_event; /* number of the first record's event */
	uint64_t dropped;     /* records lost between the block before and this one's end */
};

_Static_assert(sizeof(struct pager_trace_header) == 64, "on disk");
_Static_assert(sizeof(struct pager_trace_block) == 32, "on disk");

/* Tag byte: kind in the low two bits. The upper two bits are zero. */
enum {
	PAGER_TRACE_MAJOR = 0,  /* the page was not resident */
	PAGER_TRACE_SOFT = 1,   /* resident, inactive, touched */
	PAGER_TRACE_WRITE = 2,  /* mapped read-only, written to */
	PAGER_TRACE_FORGET = 3, /* deallocated or discarded; no reference */
	PAGER_TRACE_KIND = 3,
	PAGER_TRACE_WRITTEN = 4, /* the access was a write */
	PAGER_TRACE_NEXT_EVENT = 8,
	PAGER_TRACE_SAME_OBJECT = 16,
	PAGER_TRACE_SAME_THREAD = 32,
	PAGER_TRACE_TAG_BITS = 63,
};

#endif
