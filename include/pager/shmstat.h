/* SPDX-License-Identifier: MIT
 *
 * The statistics segment: a read-only memfd that describes itself (varnish's VSC). A reader maps
 * it, waits for `ready` and walks the descriptors. It needs no statistic's name.
 *
 *   value of a QUEUE or GAUGE row:  levels[i]
 *   value of a COUNTER row:         sum over shards s of counters[s * shard_stride + i]
 *   QUEUE rows agree with each other when read between two equal, even values of `sequence`.
 */
#ifndef PAGER_SHMSTAT_H
#define PAGER_SHMSTAT_H

#include <stdint.h>

#define SHMSTAT_MAGIC   0x7461747372676170ull /* "pagrstat" */
#define SHMSTAT_VERSION 1

enum shmstat_kind { SHMSTAT_QUEUE = 1, SHMSTAT_GAUGE = 2, SHMSTAT_COUNTER = 3 };

struct shmstat_descriptor {
	char name[32];
	char unit[16];
	char text[112];
	uint32_t kind;
	uint32_t index;
};

struct shmstat_header {
	uint64_t magic;
	uint32_t version;
	uint32_t ready; /* release-stored last */
	uint64_t segment_bytes;
	uint32_t daemon_pid;
	uint32_t stat_count;
	uint64_t start_time_ns; /* CLOCK_REALTIME */
	uint32_t descriptors_offset;
	uint32_t levels_offset;   /* int64_t[stat_count] */
	uint32_t counters_offset; /* uint64_t[shard_count][shard_stride] */
	uint32_t shard_count;
	uint32_t shard_stride; /* in uint64_t */
	uint32_t reserved;
	uint64_t sequence; /* odd while QUEUE rows change */
};

#endif
