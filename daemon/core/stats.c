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

#include "base.h"
#include "check.h"
#include "own.h"

enum { QUEUE = SHMSTAT_QUEUE, GAUGE = SHMSTAT_GAUGE, COUNTER = SHMSTAT_COUNTER };
static const struct {
	const char *name, *unit, *text;
	uint32_t kind;
} rows[] = {
#define STAT(NAME, name, kind, unit, text) { #name, unit, text, kind },
#include "tbl/stat.h"
};

/* Each row fits into its descriptor, with the zero behind it. */
#define FITS(string, field) (sizeof(string) <= sizeof(((struct shmstat_descriptor *)NULL)->field))
#define STAT(NAME, name_, kind, unit_, text_)                                                      \
	_Static_assert(FITS(#name_, name) && FITS(unit_, unit) && FITS(text_, text),               \
	    "statistic " #name_ ": its name, unit or text is too long for the segment");
#include "tbl/stat.h"

static void
describe(struct shmstat_header *h)
{
	struct shmstat_descriptor *descriptor =
	    (struct shmstat_descriptor *)((char *)h + h->descriptors_offset);

	for (uint32_t i = 0; i < STAT_COUNT; i++, descriptor++) {
		snprintf(descriptor->name, sizeof(descriptor->name), "%s", rows[i].name);
		snprintf(descriptor->unit, sizeof(descriptor->unit), "%s", rows[i].unit);
		snprintf(descriptor->text, sizeof(descriptor->text), "%s", rows[i].text);
		CHECK(rows[i].kind == QUEUE || rows[i].kind == GAUGE || rows[i].kind == COUNTER);
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

	CHECK(shards > 0 && !stats->header);
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
	own_area_shared(OWN_STATISTICS, h, stats->bytes);
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
	CHECK(stats->header != NULL);
	own_area_forget(stats->header);
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

	CHECK(index < STAT_COUNT);
	for (unsigned s = 0; s < stats->shards; s++)
		sum += load_relaxed(&stats->counters[(size_t)s * stats->stride + index]);
	return sum;
}
