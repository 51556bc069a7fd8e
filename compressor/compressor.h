/* SPDX-License-Identifier: MIT
 *
 * The compressor: pages in, handles out. XNU's shape:
 * append-only segments of slots, one being filled per worker; a page that repeats one 32-bit word
 * lives in its handle and takes no space; incompressible pages are stored raw; minor compaction
 * slides within a segment, major compaction merges segments; whole cold segments leave for
 * secondary storage. It knows nothing of clients, faults, files or disks.
 *
 * Segments live in one memfd-backed arena and hold no pointers: each stored page carries its owner
 * (an opaque number) and an xxHash checksum of the stored bytes and of all that is known of them.
 *
 * Threads: every function may be called from any thread unless it says otherwise. The caller
 * guarantees, by the page's busy bit, that one cref is not decompressed, freed and relocated at the
 * same time:
 *   - compressor_load / _read_begin..end of a cref never overlap compressor_free of that same cref;
 *   - relocation asks the caller first (ops->relocate) and the caller refuses while the page is in
 *   transit.
 * Nothing here allocates after compressor_create; nothing does I/O. The tables are sparse: a
 * process that locks its memory must do so with MCL_ONFAULT, or it would populate the whole arena.
 */
#ifndef COMPRESSOR_H
#define COMPRESSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A stored page. 0 = none. Always below 2^60, so that a slot word can carry it beside its kind. */
struct cref {
	uint64_t v;
};
#define CREF_NONE       ((struct cref){ 0 })
#define CREF_SINGLE_BIT 59 /* of a single-value page: see compressor_is_single_value */

/* Who a stored page belongs to; opaque to the compressor, written into the segment. */
struct cowner {
	uint64_t v;
};

struct compressor_ops {
	/* The arena is about to grow by / has shrunk by `bytes` (a multiple of the hardware page)
	 * of really populated memory. take returns 0, or -ENOMEM when the budget refuses.
	 * Lock-free: they may be called with the compressor's own locks held. */
	int (*memory_take)(void *ctx, size_t bytes);
	void (*memory_give)(void *ctx, size_t bytes);
	/* Major compaction copied the page `owner` from `from` to `to`. The caller swaps the handle
	 * and returns true, or returns false (page in transit, handle already given up) and nothing
	 * changes. Called with no compressor lock held. */
	bool (*relocate)(void *ctx, struct cowner owner, struct cref from, struct cref to);
};

struct compressor_config {
	size_t page_bytes;    /* 4K, 16K or 64K */
	size_t segment_bytes; /* 0 = default for the page size (256K; 1M for 64K pages) */
	size_t arena_bytes;   /* virtual size of the arena: bounds the number of segments IN CORE */
	size_t
	    max_segments; /* in core and away together; 0 = a default that suits arena_bytes * 16 */
	unsigned workers; /* one segment is being filled per worker */
	/* Memory of emptied segments that is kept for the next ones instead of given back (64
	 * segments at most; counted as taken, given up when memory_take refuses), and as much again
	 * at the ends of segments that were compacted. Fresh memory costs a third of a compression.
	 * 0 = none: everything is given back at once. */
	size_t spare_bytes;
	/* Threads besides the workers that may expand pages at the same time: each finds what it
	 * needs without waiting. */
	unsigned expanding_threads;
	const struct compressor_ops *ops;
	void *ctx;
};

struct compressor;

/* => returns 0 or -errno (-ENOMEM, -EINVAL). */
int compressor_create(const struct compressor_config *config, struct compressor **ret);
void compressor_destroy(struct compressor *c);
/* From now on so many bytes of emptied segments are kept (at least what spare_bytes was, of
 * segments that leave whole; the ends of compacted ones are as before), and what is too much is
 * given back: for a while in which much is stored and leaves again at once. Any thread, but one at
 * a time. */
void compressor_spare_set(struct compressor *c, size_t bytes);
/* Bytes that are kept so now: taken already, and free for what is stored next. */
size_t compressor_spare_bytes(struct compressor *c);

#define COMPRESS_DENSE 0

/* --- pages in and out ----------------------------------------------------------------------------
 */

/* Stores one page. worker: < config.workers, never used by two threads at once (it owns the
 * worker's filling segment and packers). acceleration: LZ4's, 1 = its best ratio; or
 * COMPRESS_DENSE: with zstd.
 * => 0 and *ret_cref; *ret_bytes = bytes the page takes (0 for a single-value page).
 *    -ENOSPC: no memory (ops->memory_take refused) or no segment left; nothing changed. */
int compressor_store(struct compressor *c, unsigned worker, const void *page, struct cowner owner,
    int acceleration, struct cref *ret_cref, uint32_t *ret_bytes);

/* Whether a page could be stored as far as segments go: there is room behind the last one, or
 * another chunk. Memory is the caller's affair. => called by the worker's thread; a hint. */
bool compressor_has_segment(struct compressor *c, unsigned worker);

/* The page will be loaded in a moment: its bytes on their way from memory meanwhile. Any thread;
 * harmless. */
void compressor_prefetch(struct compressor *c, struct cref cref);
/* Expands a page into `page` (page_bytes).
 * => 0; -EAGAIN: its segment is not in core, use compressor_read_begin; -EIO: checksum or codec
 *    says that the bytes are not what was stored (this page is lost, no other). Never returns wrong
 *    data. */
int compressor_load(struct compressor *c, struct cref cref, void *page);

/* Gives a stored page up. The segment's space is reclaimed by compaction, or at once with its last
 * page. */
void compressor_free(struct compressor *c, struct cref cref);

/* A page that repeats one word is its handle: low 32 bits. */
static inline bool
compressor_is_single_value(struct cref cref)
{
	return (cref.v >> CREF_SINGLE_BIT & 1) != 0;
}
/* Whether the page's segment is on secondary storage (a hint: it may change at any time). */
bool compressor_is_away(struct compressor *c, struct cref cref);

/* --- away and back
 * -------------------------------------------------------------------------------- */

/* The opaque place on secondary storage that the caller gave for a segment. */
struct cplace {
	uint64_t v;
};

/* Picks the oldest full segment that is in core, compacts it and pins it for a write.
 * => true: *ret_segment, and [*ret_bytes, *ret_length) is its content, stable until _end (pages may
 *    be freed meanwhile, their bytes stay), a multiple of the hardware page. false: nothing
 *    suitable.
 * Segments read lately get a second chance. */
bool compressor_swapout_begin(
    struct compressor *c, uint32_t *ret_segment, const void **ret_bytes, size_t *ret_length);
/* error 0: the content is at `place`; its memory is given back. Otherwise the segment stays in
 * core.
 * => returns true if `place` is not kept and the caller frees it: the segment has emptied
 *    meanwhile, or error was not 0. */
bool compressor_swapout_end(struct compressor *c, uint32_t segment, int error, struct cplace place);

/* The caller learns of places that are no longer needed (the last
 * page of an away segment was freed) through this queue: poll it from one thread. => true and
 * *ret_place, or false. */
bool compressor_place_released(struct compressor *c, struct cplace *ret_place);

struct cread {
	struct cplace place; /* of the whole segment */
	uint32_t offset;     /* of the stored page in it, header included */
	uint32_t length;     /* bytes, header included */
};
/* Pins an away page's place for a read. => 0 and *ret; -EAGAIN: it is in core (again): use _load.
 */
int compressor_read_begin(struct compressor *c, struct cref cref, struct cread *ret);
/* Expands from bytes that were read (`bytes` = exactly [offset, offset+length) of the segment).
 * => 0 or -EIO as compressor_load. */
int compressor_read_decode(struct compressor *c, struct cref cref, const void *bytes, void *page);
void compressor_read_end(struct compressor *c, struct cref cref);

/* Swap moved a segment's content between places itself. => -ENOENT if the segment is not at `from`,
 * -EBUSY while reads are pinned (`from` stays). On success `from` is the caller's to free. */
int compressor_place_moved(
    struct compressor *c, uint32_t segment, struct cplace from, struct cplace to);
/* Which segments are away, at which place, how full. => false beyond the last; *segment is the
 * cursor. */
struct caway {
	uint32_t segment;
	struct cplace place;
	uint32_t live_bytes, length;
};
bool compressor_away_next(struct compressor *c, uint32_t *cursor, struct caway *ret);

/* --- compaction and figures
 * ------------------------------------------------------------------------ */

/* One bounded step of compaction (minor first, then one major merge). Never called by two threads
 * at once. A step wins an eighth of a segment; urgent: whatever gives one hardware page is worth
 * it.
 * => bytes of memory given back, 1 for a step that gave none but leaves more to do; 0: nothing
 * worth doing. */
size_t compressor_compact(struct compressor *c, bool urgent);

struct compressor_stats {
	uint64_t pages;              /* stored now, single-value included */
	uint64_t pages_single_value; /* of those */
	uint64_t pages_raw;          /* of those: incompressible */
	uint64_t pages_away;         /* of those: in segments on secondary storage */
	uint64_t bytes_live;         /* stored bytes of live pages in core, headers included */
	uint64_t bytes_populated;    /* arena memory really held */
	uint64_t bytes_kept;         /* of that: empty, kept for the next pages (see spare_bytes) */
	uint64_t bytes_away;         /* live bytes in away segments */
	uint64_t segments_core, segments_away;
	uint64_t compressions, decompressions, compactions_minor, compactions_major,
	    checksum_errors;
	uint64_t refilled; /* pages that were stored where a freed one had been, or behind the last
			      page of a full segment */
};
void compressor_stats(struct compressor *c, struct compressor_stats *ret);
/* Bytes of one segment: no swap-out is longer. */
size_t compressor_segment_bytes(const struct compressor *c);
/* The arena's memfd, for the audit by st_blocks. */
int compressor_arena_fd(const struct compressor *c);
/* Walks everything: live counts, bytes, states, owners. => true, or false with a text in msg. Only
 * while no other call is under way: counts that change in two steps would look wrong in between. */
bool compressor_is_valid(struct compressor *c, char *msg, size_t msg_size);

#endif
