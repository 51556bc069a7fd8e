/* SPDX-License-Identifier: MIT
 *
 * A reference string in memory: four bytes an event, pages numbered densely in the order of their
 * first use.
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
	uint64_t *
	    ids; /* dense page -> what the file called it (page number, or object and page mixed) */
	uint32_t *map; /* open addressing: dense page + 1, 0 free; map_bits wide */
	unsigned map_bits;
	bool has_writes, has_forgets;
	uint64_t dropped;           /* records that the recorder says it lost */
	uint32_t page_size, window; /* of a recording; 0 unknown */
	uint32_t *next; /* per event: index of the page's next reference, or TRACE_NO_NEXT; see
			   trace_link */
};

struct trace_options {
	const char *format; /* NULL: found out by looking */
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

/* The value of --page-size: a power of two up to 1 GiB. => 0 or -EINVAL, said */
int trace_page_size_parse(const char *text, uint32_t *ret);

/* A name that trace_options.format may have. */
bool trace_format_known(const char *name);

/* Reads a file of any format known ("-": standard input). Messages are printed. => 0 or a negative
 * errno. */
int trace_load(struct trace *t, const char *path, const struct trace_options *options);

#endif
