/* SPDX-License-Identifier: MIT
 *
 * The content of a page: a head (object, page, generation, source and checksum of the body), a body
 * of real data, and a tail that repeats the generation. A touch checks the head, which is one cache
 * line; the pass at the end checks everything. A lost (zero), stale, torn or misplaced page fails
 * one of the two checks.
 */
#ifndef BENCH_PATTERN_H
#define BENCH_PATTERN_H

#include <stdbool.h>
#include <stdint.h>

#include "pool.h"

/* The unit of touching and checking, at every page size of the daemon. */
#define UNIT_BYTES 4096u

struct page_head {
	uint64_t object; /* a hash, never 0 */
	uint64_t page;
	uint32_t generation;
	uint32_t source; /* the page of the pool that the body is from */
	uint64_t check;  /* XXH3 of the body */
};

struct page_tail {
	uint64_t page;
	uint32_t generation;
	uint32_t source;
};

#define BODY_BYTES (UNIT_BYTES - sizeof(struct page_head) - sizeof(struct page_tail))

static inline struct page_head *
page_head(void *unit)
{
	return unit;
}

static inline struct page_tail *
page_tail(void *unit)
{
	return (struct page_tail *)((char *)unit + UNIT_BYTES - sizeof(struct page_tail));
}

/* Checks the head only, which is cheap. The reads are volatile: the first one is the touch. */
static inline bool
page_check(void *unit, uint64_t object, uint64_t page, uint32_t generation)
{
	volatile struct page_head *head = page_head(unit);

	return head->object == object && head->page == page && head->generation == generation;
}

static inline void
page_set_generation(void *unit, uint32_t generation)
{
	*(volatile uint32_t *)&page_head(unit)->generation = generation;
	*(volatile uint32_t *)&page_tail(unit)->generation = generation;
}

/* Writes the whole unit. */
void page_fill(
    void *unit, uint64_t object, uint64_t page, uint32_t generation, const struct pool *pool);
/* Checks the whole unit. */
bool page_verify(
    void *unit, uint64_t object, uint64_t page, uint32_t generation, const struct pool *pool);
/* Uncompressed bytes / compressed bytes of one filled unit for each page of the pool, by LZ4. */
double page_compression_ratio(const struct pool *pool);

#endif
