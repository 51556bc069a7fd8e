/* SPDX-License-Identifier: MIT
 *
 * A reference string in memory: four bytes for each event, and pages numbered densely in the order
 * of their first use.
 */
#ifndef PAGERSIM_TRACE_H
#define PAGERSIM_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An event: page << TRACE_SHIFT | flags. */
enum { TRACE_WRITE = 1, TRACE_FORGET = 2, TRACE_SHIFT = 2 };
#define TRACE_NO_NEXT UINT32_MAX

struct trace {
	uint32_t *events;
	size_t count, capacity;
	size_t references; /* events that are not TRACE_FORGET */
	uint32_t npages;
	/* For each dense page its number in the file: a page number, or object and page combined.
	 */
	uint64_t *ids;
	uint32_t *map; /* hash table from ids: dense page + 1, 0: free; 2^map_bits entries */
	unsigned map_bits;
	bool has_writes, has_forgets;
	uint64_t dropped;           /* records that the recorder lost */
	uint32_t page_size, window; /* of a recording; 0: unknown */
	/* For each event the index of the page's next reference, or TRACE_NO_NEXT: trace_link. */
	uint32_t *next;
};

struct trace_options {
	const char *format; /* NULL: guessed from the content */
	uint32_t page_size; /* of formats with addresses */
	bool instructions;  /* lackey: also count instruction fetches */
	bool collapse;      /* runs of references to the same page become one */
};

void trace_init(struct trace *t);
void trace_fini(struct trace *t);
/* => 0, -ENOMEM, or -E2BIG: too many events or pages for 32 and 28 bits. */
int trace_add(struct trace *t, uint64_t id, unsigned flags);
/* Fills next[], once. => 0 or -ENOMEM. */
int trace_link(struct trace *t);

/* Parses the value of --page-size: a power of two up to 1 GiB. => 0 or -EINVAL, printed. */
int trace_page_size_parse(const char *text, uint32_t *ret);

/* Whether trace_options.format may have this name. */
bool trace_format_known(const char *name);

/* Reads a file of any known format ("-": standard input). => 0 or a negative errno, printed. */
int trace_load(struct trace *t, const char *path, const struct trace_options *options);

#endif
