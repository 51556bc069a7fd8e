/* SPDX-License-Identifier: MIT
 *
 * Figures: counters and gauges in shards, and what the caller is told of them. Runs on: any thread.
 */
#include "cstat.h"

#include "check.h"
#include "compressor.h"

static unsigned
shard_index(void)
{
	static atomic_uint threads;
	static __thread unsigned index; /* 1 + shard */

	if (unlikely(index == 0))
		index = fetch_add_relaxed(&threads, 1) % SHARDS + 1;
	return index - 1;
}

void
cstat_add(struct compressor *c, enum cstat stat, uint64_t n)
{
	fetch_add_relaxed(&c->shards[shard_index()].v[stat], n);
}

uint64_t
cstat_sum(struct compressor *c, enum cstat stat)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < SHARDS; i++)
		sum += load_relaxed(&c->shards[i].v[stat]);
	/* The free of a page may be seen before its store. */
	return (int64_t)sum < 0 ? 0 : sum;
}

void
compressor_stats(struct compressor *c, struct compressor_stats *ret)
{
	uint64_t all, away, kept, apart;

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	away = cstat_sum(c, CSTAT_BYTES_AWAY);
	all = cstat_sum(c, CSTAT_BYTES_ALL);
	lock_acquire(&c->lock);
	kept = c->open_bytes;
	apart = c->apart.count;
	for (uint32_t i = 0; i < c->spares; i++)
		kept += c->spare[i].populated;
	lock_release(&c->lock);
	*ret = (struct compressor_stats){
		.pages = cstat_sum(c, CSTAT_PAGES),
		.pages_single_value = cstat_sum(c, CSTAT_PAGES_SINGLE),
		.pages_raw = cstat_sum(c, CSTAT_PAGES_RAW),
		.pages_away = cstat_sum(c, CSTAT_PAGES_AWAY),
		.bytes_live = all > away ? all - away : 0,
		.bytes_populated = cstat_sum(c, CSTAT_POPULATED),
		.bytes_kept = kept,
		.bytes_away = away,
		.segments_core = cstat_sum(c, CSTAT_SEGMENTS_CORE),
		.segments_away = cstat_sum(c, CSTAT_SEGMENTS_AWAY),
		.segments_apart = apart,
		.compressions = cstat_sum(c, CSTAT_COMPRESSIONS),
		.decompressions = cstat_sum(c, CSTAT_DECOMPRESSIONS),
		.compactions_minor = cstat_sum(c, CSTAT_MINOR),
		.compactions_major = cstat_sum(c, CSTAT_MAJOR),
		.refilled = cstat_sum(c, CSTAT_REFILLED),
		.checksum_errors = cstat_sum(c, CSTAT_ERRORS),
	};
}
