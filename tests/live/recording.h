/* SPDX-License-Identifier: MIT
 *
 * A recording's file, read back.
 */
#ifndef RECORDING_H
#define RECORDING_H

#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace_codec.h"

struct recording {
	struct trace_record *records;
	size_t count;
	uint64_t dropped, last_event;
	long bytes; /* of its blocks */
	struct pager_trace_header header;
};

static inline void
recording_block(struct recording *r, void *bytes, size_t size)
{
	struct trace_block block;
	struct trace_record record;
	int result;

	OK(trace_block_open(&block, bytes, size));
	while ((result = trace_block_get(&block, &record)) > 0) {
		if (r->count % 65536 == 0) {
			r->records = realloc(r->records, (r->count + 65536) * sizeof(record));
			REQUIRE(r->records, "memory");
		}
		REQUIRE(record.event > r->last_event, "event %llu behind %llu",
		    (unsigned long long)record.event, (unsigned long long)r->last_event);
		r->last_event = record.event;
		r->records[r->count++] = record;
	}
	OK(result);
}

/* Blocks of the file are whole, and nothing stands behind them. */
static inline struct recording
recording_read(const char *path)
{
	struct recording r = { 0 };
	FILE *f = fopen(path, "re");
	struct pager_trace_block head;

	REQUIRE(
	    f && fread(&r.header, sizeof(r.header), 1, f) == 1, "%s: %s", path, strerror(errno));
	OK(trace_header_check(&r.header));
	while (fread(&head, sizeof(head), 1, f) == 1) {
		size_t size = sizeof(head) + head.payload_bytes;
		char *bytes = malloc(size);

		memcpy(bytes, &head, sizeof(head));
		REQUIRE(fread(bytes + sizeof(head), head.payload_bytes, 1, f) == 1 ||
			    head.payload_bytes == 0,
		    "cut off");
		if (head.records > 0)
			recording_block(&r, bytes, size);
		r.dropped += head.dropped;
		r.bytes += (long)size;
		free(bytes);
	}
	REQUIRE(ftell(f) == (long)sizeof(r.header) + r.bytes && feof(f), "cut off");
	fclose(f);
	return r;
}

static inline void
recording_free(struct recording *r)
{
	free(r->records);
	*r = (struct recording){ 0 };
}

#endif
