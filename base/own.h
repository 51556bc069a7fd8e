/* SPDX-License-Identifier: MIT
 *
 * A program's own memory by kind (tbl/own_memory.h), measured: what malloc has really given for
 * each piece, and of areas that get memory when they are touched, the pages that have it.
 */
#ifndef BASE_OWN_H
#define BASE_OWN_H

#include <stddef.h>
#include <stdint.h>

#include "base.h"

enum own {
#define OWN(NAME, name, unit, text) OWN_##NAME,
#include "tbl/own_memory.h"
	OWN_COUNT
};

/* As calloc of one, realloc and free, and counted. Any thread; they take no lock but malloc's. */
void *own_alloc(enum own kind, size_t bytes) MUST_USE;
void *own_realloc(enum own kind, void *memory, size_t bytes) MUST_USE;
void own_free(enum own kind, void *memory);

/* A private mapping is of that kind until it is forgotten, which must be before it is unmapped. */
void own_area(enum own kind, const void *memory, size_t bytes);
/* The same of a shared mapping of a memfd. */
void own_area_shared(enum own kind, const void *memory, size_t bytes);
void own_area_forget(const void *memory);
/* The calling thread is named, and its stack is an area until it ends. Before alloc_forbid,
 * since it allocates. */
void own_thread(const char *name);

/* => pieces of malloc's; any thread */
uint64_t own_count(enum own kind);

struct own_use {
	uint64_t count;     /* pieces and areas */
	uint64_t bytes;     /* what they take, malloc's own word for each piece included */
	uint64_t heap;      /* of these: malloc's */
	uint64_t anonymous; /* of these: in private memory, malloc's included */
};
/* Looks at the page tables of all areas: milliseconds. ret: OWN_COUNT of them. */
void own_measure(struct own_use *ret);

#endif
