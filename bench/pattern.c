/* SPDX-License-Identifier: MIT */
#include "pattern.h"

#include <lz4.h>
#include <string.h>
#include <xxhash.h>

_Static_assert(sizeof(struct page_head) == 32 && sizeof(struct page_tail) == 16, "no padding");
_Static_assert(BODY_BYTES == POOL_BODY_BYTES, "the pool's pages are bodies");

void
page_fill(void *unit, uint64_t object, uint64_t page, uint32_t generation, const struct pool *pool)
{
	uint32_t source = (uint32_t)(page % pool->pages);
	struct page_head head = { .object = object,
		.page = page,
		.generation = generation,
		.source = source,
		.check = pool->check[source] };
	struct page_tail tail = { .page = page, .generation = generation, .source = source };

	memcpy(unit, &head, sizeof(head));
	memcpy((char *)unit + sizeof(head), pool_body(pool, source), BODY_BYTES);
	memcpy(page_tail(unit), &tail, sizeof(tail));
}

bool
page_verify(
    void *unit, uint64_t object, uint64_t page, uint32_t generation, const struct pool *pool)
{
	const struct page_head *head = page_head(unit);
	const struct page_tail *tail = page_tail(unit);
	uint32_t source = (uint32_t)(page % pool->pages);

	return page_check(unit, object, page, generation) && head->source == source &&
	       tail->page == page && tail->generation == generation && tail->source == source &&
	       head->check == pool->check[source] &&
	       XXH3_64bits((const char *)unit + sizeof(*head), BODY_BYTES) == head->check;
}

double
page_compression_ratio(const struct pool *pool)
{
	char unit[UNIT_BYTES], out[LZ4_COMPRESSBOUND(UNIT_BYTES)];
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < pool->pages; i++) {
		page_fill(unit, 1, i, 0, pool);
		bytes += (uint64_t)LZ4_compress_default(unit, out, UNIT_BYTES, sizeof(out));
	}
	return (double)pool->pages * UNIT_BYTES / (double)bytes;
}
