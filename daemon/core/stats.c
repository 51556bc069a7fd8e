/* SPDX-License-Identifier: MIT
 *
 * The statistics segment (include/pager/shmstat.h). Runs on: created at start; counters by their
 * threads, QUEUE rows under PAGEQ, GAUGE rows by the control loop.
 */
#include "core/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "core/closer.h"
#include "daemon.h"
#include "pageout/pageout.h"
#include "pmap/uffd.h"
#include "vm/task.h"
#include "vm/vm_object.h"

enum { QUEUE = SHMSTAT_QUEUE, GAUGE = SHMSTAT_GAUGE, COUNTER = SHMSTAT_COUNTER };
static const struct {
	const char *name, *unit, *text;
	uint32_t kind;
} rows[] = {
#define STAT(NAME, name, kind, unit, text) { #name, unit, text, kind },
#include "tbl/stat.h"
};

static void
describe(struct shmstat_header *h)
{
	struct shmstat_descriptor *descriptor =
	    (struct shmstat_descriptor *)((char *)h + h->descriptors_offset);

	for (uint32_t i = 0; i < STAT_COUNT; i++, descriptor++) {
		snprintf(descriptor->name, sizeof(descriptor->name), "%s", rows[i].name);
		snprintf(descriptor->unit, sizeof(descriptor->unit), "%s", rows[i].unit);
		snprintf(descriptor->text, sizeof(descriptor->text), "%s", rows[i].text);
		descriptor->kind = rows[i].kind;
		descriptor->index = i;
	}
}

int
stats_create(struct stats *stats, unsigned shards)
{
	uint64_t stride = round_up_u64(STAT_COUNT * 8, CACHE_LINE) / 8;
	uint64_t descriptors = round_up_u64(sizeof(struct shmstat_header), CACHE_LINE);
	uint64_t levels =
	    round_up_u64(descriptors + STAT_COUNT * sizeof(struct shmstat_descriptor), CACHE_LINE);
	uint64_t counters = levels + stride * 8;
	struct shmstat_header *h;
	struct timespec now;

	stats->bytes = round_up_u64(counters + shards * stride * 8, 4096);
	stats->fd = memfd_create("pagerd-stats", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (stats->fd < 0 || ftruncate(stats->fd, (off_t)stats->bytes) < 0)
		return -errno;
	h = mmap(NULL, stats->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, stats->fd, 0);
	if (h == MAP_FAILED)
		return -errno;
	/* From now on nobody else can map it writable. */
	if (fcntl(stats->fd, F_ADD_SEALS,
		F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
		return -errno;
	clock_gettime(CLOCK_REALTIME, &now);
	*h = (struct shmstat_header){
		.magic = SHMSTAT_MAGIC,
		.version = SHMSTAT_VERSION,
		.segment_bytes = stats->bytes,
		.daemon_pid = (uint32_t)getpid(),
		.stat_count = STAT_COUNT,
		.start_time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
		.descriptors_offset = (uint32_t)descriptors,
		.levels_offset = (uint32_t)levels,
		.counters_offset = (uint32_t)counters,
		.shard_count = shards,
		.shard_stride = (uint32_t)stride,
	};
	describe(h);
	stats->header = h;
	stats->levels = (atomic_llong *)((char *)h + levels);
	stats->counters = (atomic_ullong *)((char *)h + counters);
	stats->shards = shards;
	stats->stride = (unsigned)stride;
	store_release((_Atomic uint32_t *)&h->ready, 1);
	return 0;
}

void
stats_destroy(struct stats *stats)
{
	munmap(stats->header, stats->bytes);
	close(stats->fd);
}

struct stat_shard
stats_shard(struct stats *stats, unsigned index)
{
	CHECK(index < stats->shards);
	return (struct stat_shard){ stats->counters + (size_t)index * stats->stride };
}

uint64_t
stats_counter(const struct stats *stats, enum stat_index index)
{
	uint64_t sum = 0;

	for (unsigned s = 0; s < stats->shards; s++)
		sum += load_relaxed(&stats->counters[(size_t)s * stats->stride + index]);
	return sum;
}

static void
refresh_compressor(struct daemon *d)
{
	struct stats *stats = &d->stats;
	struct compressor_stats c;

	compressor_stats(d->compressor, &c);
	stat_level(stats, STAT_STORED_PAGES, (int64_t)c.pages);
	stat_level(stats, STAT_STORED_SINGLE_VALUE, (int64_t)c.pages_single_value);
	stat_level(stats, STAT_STORED_RAW, (int64_t)c.pages_raw);
	stat_level(stats, STAT_STORED_AWAY, (int64_t)c.pages_away);
	stat_level(stats, STAT_COMPRESSED_BYTES, (int64_t)c.bytes_live);
	stat_level(stats, STAT_RETAINED_COPIES,
	    (int64_t)c.pages - (int64_t)load_relaxed(&stats->levels[STAT_PAGES_COMPRESSED]));
}

static void
refresh_tables(struct daemon *d)
{
	struct stats *stats = &d->stats;
	int64_t blocks = load_relaxed(&d->slots.blocks),
		used = (int64_t)share_used(&d->shares, SHARE_TABLES);
	int64_t slots = blocks * SLOTS_PER_BLOCK * (int64_t)sizeof(uint64_t);

	stat_level(stats, STAT_TABLE_LIMIT, (int64_t)share_total(d, SHARE_TABLES));
	stat_level(stats, STAT_TABLE_BYTES, used);
	stat_level(stats, STAT_TABLE_MAPS, used - blocks * (int64_t)TABLE_BLOCK_BYTES);
	stat_level(stats, STAT_TABLE_SLOTS, slots);
	stat_level(stats, STAT_TABLE_POLICY, blocks * TABLE_BLOCK_BYTES - slots);
	stat_level(stats, STAT_TABLE_FRAMES, (int64_t)(d->frames.count * sizeof(struct vm_page)));
}

void
stats_refresh(struct daemon *d)
{
	struct stats *stats = &d->stats;
	unsigned late, waiting;

	refresh_compressor(d);
	stat_level(stats, STAT_PAGE_SIZE, (int64_t)d->page_bytes);
	stat_level(stats, STAT_COMPRESSOR_LIMIT, (int64_t)compressor_frames_limit(d));
	stat_level(stats, STAT_FREE_TARGET, d->frames.free_target);
	stat_level(stats, STAT_FREE_MIN, d->frames.free_min);
	stat_level(stats, STAT_SESSIONS, task_count(d));
	refresh_tables(d);
	stat_level(stats, STAT_PARKED, load_relaxed(&d->park.count));
	closer_counts(d, &late, &waiting);
	stat_level(stats, STAT_CLOSES_STUCK, late);
	stat_level(stats, STAT_CLOSES_WAITING, waiting);
	stat_level(stats, STAT_SQUEEZED, load_relaxed(&d->pageq.squeezed));
	if (d->swap) {
		struct swap_stats s;

		swap_stats(d->swap, &s);
		stat_level(stats, STAT_SWAP_FILES, (int64_t)s.files);
		stat_level(stats, STAT_SWAP_BYTES, (int64_t)s.bytes_allocated);
		stat_level(stats, STAT_SWAP_USED_BYTES,
		    (int64_t)(s.slots_used * compressor_segment_bytes(d->compressor)));
		stat_level(stats, STAT_SWAP_FULL, !swap_has_room(d));
	}
	store_relaxed(
	    &stats_shard(stats, shard_index_extra(d, SHARD_CONTROL)).counters[STAT_UFFD_RETRIES],
	    uffd_retries());
	store_relaxed(
	    &stats_shard(stats, shard_index_extra(d, SHARD_CONTROL)).counters[STAT_SHARES_REFUSED],
	    load_relaxed(&d->shares.refused));
}
