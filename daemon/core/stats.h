/* SPDX-License-Identifier: MIT
 *
 * The statistics segment (include/pager/shmstat.h): rows of tbl/stat.h. Counters have one writer a
 * shard, levels are written as the row's kind says.
 */
#ifndef STATS_H
#define STATS_H

#include <stddef.h>
#include <stdint.h>

#include "atomics.h"
#include "check.h"
#include "pager/shmstat.h"

enum stat_index {
#define STAT(NAME, name, kind, unit, text) STAT_##NAME,
#include "tbl/stat.h"
	STAT_COUNT
};

struct stats {
	int fd;
	size_t bytes;
	struct shmstat_header *header;
	atomic_llong *levels;    /* (Q) for QUEUE rows, else (A) */
	atomic_ullong *counters; /* shard s, row i: counters[s * stride + i], one writer a shard */
	unsigned shards, stride;
};

/* One thread's row of counters. */
struct stat_shard {
	atomic_ullong *counters;
};

int stats_create(struct stats *stats, unsigned shards);
void stats_destroy(struct stats *stats);
struct stat_shard stats_shard(struct stats *stats, unsigned index);
static inline void
stat_add(struct stat_shard shard, enum stat_index index, uint64_t value)
{
	INVARIANT(index < STAT_COUNT);
	store_relaxed(&shard.counters[index], load_relaxed(&shard.counters[index]) + value);
}
static inline void
stat_level(struct stats *stats, enum stat_index index, int64_t value)
{
	INVARIANT(index < STAT_COUNT);
	store_relaxed(&stats->levels[index], value);
}
/* A timer rests (1), or goes on (-1). */
static inline void
stat_resting(struct stats *stats, int by)
{
	fetch_add_relaxed(&stats->levels[STAT_TIMERS_RESTING], by);
}
/* QUEUE rows change between these, so that a reader who sees the same even number before and after
 * has rows of one moment. => PAGEQ held */
static inline void
stats_queues_begin(struct stats *stats)
{
	_Atomic uint64_t *sequence = (_Atomic uint64_t *)&stats->header->sequence;

	INVARIANT(load_relaxed(sequence) % 2 == 0);
	store_relaxed(sequence, load_relaxed(sequence) + 1);
	atomic_thread_fence(memory_order_release);
}
static inline void
stats_queues_end(struct stats *stats)
{
	_Atomic uint64_t *sequence = (_Atomic uint64_t *)&stats->header->sequence;

	INVARIANT(load_relaxed(sequence) % 2 == 1);
	store_release(sequence, load_relaxed(sequence) + 1);
}
uint64_t stats_counter(const struct stats *stats, enum stat_index index);

#endif
