/* SPDX-License-Identifier: MIT
 *
 * GAUGE rows of the statistics, collected from the parts of the daemon. Runs on: the control loop.
 */
#include "control/gauges.h"

#include "control/loop_thread.h"
#include "core/closer.h"
#include "daemon.h"
#include "record/profiles.h"
#include "pagers/store.h"
#include "pmap/uffd.h"
#include "vm/copy_link.h"
#include "vm/port.h"
#include "vm/task.h"
#include "vm/vm_object.h"

static void
refresh_compressor(struct daemon *d)
{
	struct stats *stats = &d->stats;
	struct compressor_stats c;

	loop_assert(d);
	compressor_stats(d->compressor, &c);
	stat_level(stats, STAT_STORED_PAGES, (int64_t)c.pages);
	stat_level(stats, STAT_STORED_SINGLE_VALUE, (int64_t)c.pages_single_value);
	stat_level(stats, STAT_STORED_RAW, (int64_t)c.pages_raw);
	stat_level(stats, STAT_STORED_AWAY, (int64_t)c.pages_away);
	stat_level(stats, STAT_COMPRESSED_BYTES, (int64_t)c.bytes_live);
	stat_level(stats, STAT_FROZEN_WAITING, (int64_t)c.segments_apart);
	copies_lock(d);
	stat_level(stats, STAT_COPY_LINKS, (int64_t)d->copies.count);
	copies_unlock(d);
	stat_level(stats, STAT_RETAINED_COPIES,
	    (int64_t)c.pages - (int64_t)load_relaxed(&stats->levels[STAT_PAGES_COMPRESSED]));
}

static void
refresh_tables(struct daemon *d)
{
	struct stats *stats = &d->stats;
	int64_t blocks = load_relaxed(&d->slots.populated), own = load_relaxed(&d->slots.own),
		used = (int64_t)share_used(&d->shares, SHARE_TABLES);
	int64_t slots = blocks * SLOTS_PER_BLOCK * (int64_t)sizeof(uint64_t);

	loop_assert(d);
	stat_level(stats, STAT_TABLE_LIMIT, (int64_t)share_total(d, SHARE_TABLES));
	stat_level(stats, STAT_TABLE_BYTES, used);
	stat_level(stats, STAT_TABLE_IDLE,
	    (int64_t)load_relaxed(&d->slots.idle) * (int64_t)TABLE_BLOCK_BYTES);
	stat_level(stats, STAT_TABLE_MAPS, used - (blocks - own) * (int64_t)TABLE_BLOCK_BYTES);
	stat_level(stats, STAT_TABLE_SLOTS, slots);
	stat_level(stats, STAT_TABLE_POLICY, blocks * TABLE_BLOCK_BYTES - slots);
	stat_level(stats, STAT_TABLE_FRAMES, (int64_t)(d->frames.count * sizeof(struct vm_page)));
}

static void
refresh_backends(struct daemon *d)
{
	uint64_t used[] = { [SWAP_DIRECTORY] = 0, [SWAP_DEVICE] = 0, [SWAP_NBD] = 0 };
	struct swap_backend_stats b;
	int64_t stalled = 0;

	for (unsigned i = 0; swap_backend_stats(d->swap, i, &b); i++) {
		used[b.config.kind] += b.of.slots_used * compressor_segment_bytes(d->compressor);
		stalled += b.is_stalled;
	}
	stat_level(&d->stats, STAT_SWAP_DEVICE_BYTES, (int64_t)used[SWAP_DEVICE]);
	stat_level(&d->stats, STAT_SWAP_NBD_BYTES, (int64_t)used[SWAP_NBD]);
	stat_level(&d->stats, STAT_SWAP_STALLED, stalled);
}

void
gauges_refresh(struct daemon *d)
{
	struct stats *stats = &d->stats;
	unsigned late, waiting, files, objects, ports, messages;

	loop_assert(d);
	refresh_compressor(d);
	stat_level(stats, STAT_FRAMES_WANTED, load_relaxed(&d->frames.size));
	stat_level(stats, STAT_THRASHING, load_relaxed(&d->memorystatus.is_thrashing));
	stat_level(stats, STAT_CREATORS, load_relaxed(&d->memorystatus.creators));
	stat_level(stats, STAT_PAGE_SIZE, (int64_t)d->page_bytes);
	stat_level(stats, STAT_COMPRESSOR_LIMIT, (int64_t)store_frames_limit(d));
	stat_level(stats, STAT_FREE_TARGET, d->frames.free_target);
	stat_level(stats, STAT_FREE_MIN, d->frames.free_min);
	stat_level(stats, STAT_SESSIONS, task_count(d));
	vnodes_counts(d, &files, &objects);
	stat_level(stats, STAT_FILES, files);
	stat_level(stats, STAT_FILE_OBJECTS, objects);
	stat_level(stats, STAT_FILE_DIRTY, load_relaxed(&d->dirty.pages));
	stat_level(stats, STAT_DIRTY_SESSION_LIMIT, (int64_t)dirty_most_of_session(d));
	stat_level(stats, STAT_DIRTY_USER_LIMIT, (int64_t)dirty_most_of_user(d));
	stat_level(stats, STAT_DIRTY_WAITING, load_relaxed(&d->park.storing_count));
	refresh_tables(d);
	ports_count(d, &ports, &messages);
	stat_level(stats, STAT_PORTS, ports);
	stat_level(stats, STAT_QUEUED_MESSAGES, messages);
	stat_level(stats, STAT_QUEUED_BYTES, (int64_t)share_used(&d->shares, SHARE_QUEUED));
	stat_level(stats, STAT_PARKED, load_relaxed(&d->park.count));
	stat_level(stats, STAT_REFUSED_KEPT,
	    load_relaxed(&d->park.refused_count) + load_relaxed(&d->park.tableless_count));
	closer_counts(d, &late, &waiting);
	stat_level(stats, STAT_CLOSES_STUCK, late);
	stat_level(stats, STAT_CLOSES_WAITING, waiting);
	stat_level(stats, STAT_LISTED, load_relaxed(&d->frames.listed));
	stat_level(stats, STAT_PRESSURE, load_relaxed(&d->memorystatus.announced));
	stat_level(stats, STAT_FROZEN, process_freezing_count(d, FREEZE_FROZEN));
	stat_level(stats, STAT_AVAILABLE, load_relaxed(&d->memorystatus.available));
	stat_level(stats, STAT_SQUEEZED, load_relaxed(&d->park.squeezed));
	if (d->swap) {
		struct swap_stats s;

		refresh_backends(d);
		swap_stats(d->swap, &s);
		store_relaxed(&stats_shard(stats, shard_index_extra(d, SHARD_CONTROL))
				   .counters[STAT_SWAP_DAMAGED],
		    s.traffic.damaged);
		stat_level(stats, STAT_SWAP_FILES, (int64_t)s.files);
		stat_level(stats, STAT_SWAP_BYTES, (int64_t)s.bytes_allocated);
		stat_level(stats, STAT_SWAP_USED_BYTES,
		    (int64_t)(s.slots_used * compressor_segment_bytes(d->compressor)));
		stat_level(stats, STAT_SWAP_FULL, !swap_has_room(d));
	}
	store_relaxed(
	    &stats_shard(stats, shard_index_extra(d, SHARD_CONTROL)).counters[STAT_PROFILE_DROPPED],
	    load_relaxed(&d->profiles->dropped));
	store_relaxed(
	    &stats_shard(stats, shard_index_extra(d, SHARD_CONTROL)).counters[STAT_UFFD_RETRIES],
	    uffd_retries());
	store_relaxed(
	    &stats_shard(stats, shard_index_extra(d, SHARD_CONTROL)).counters[STAT_THAW_TOUCHES],
	    load_relaxed(&d->memorystatus.freezes.touched));
	store_relaxed(&stats_shard(stats, shard_index_extra(d, SHARD_CONTROL))
			   .counters[STAT_MESSAGES_DISCARDED],
	    load_relaxed(&d->ports.discarded));
	store_relaxed(
	    &stats_shard(stats, shard_index_extra(d, SHARD_CONTROL)).counters[STAT_SHARES_REFUSED],
	    load_relaxed(&d->shares.refused));
}
