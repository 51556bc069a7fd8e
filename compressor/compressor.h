/* SPDX-License-Identifier: MIT
 *
 * The compressor: pages go in, handles come out. Its shape is that of the VM compressor of macOS:
 * segments to which pages are only appended, one being filled by each worker. A page that repeats
 * one 32-bit word lives in its handle and takes no space; an incompressible page is stored raw.
 * Minor compaction slides pages down within a segment, major compaction merges segments, and whole
 * cold segments leave for secondary storage. The compressor knows nothing of clients, faults, files
 * or disks.
 *
 * Segments live in one memfd-backed arena and hold no pointers: each stored page carries its owner
 * (an opaque number) and an xxHash checksum, which covers the stored bytes and all that is known of
 * them.
 *
 * Threads: every function may be called from any thread unless it says otherwise. The caller
 * guarantees, by the page's busy bit, that a cref is not decompressed, freed and relocated at the
 * same time:
 *   - compressor_load and compressor_read_begin .. _end of a cref never overlap compressor_free of
 *     that cref;
 *   - relocation asks the caller first (ops->relocate), and the caller refuses while the page is in
 *     transit.
 * Nothing here allocates after compressor_create, and nothing does I/O. The tables are sparse: a
 * process that locks its memory must do so with MCL_ONFAULT, or it populates the whole arena.
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
#define CREF_SINGLE_BIT 59 /* set in the handle of a single-value page */

/* The page that owns a stored page; opaque to the compressor, written into the segment. */
struct cowner {
	uint64_t v;
};

struct compressor_ops {
	/* memory_take: the arena is about to populate `bytes` more (a multiple of the hardware
	 * page). => 0, or -ENOMEM when the budget refuses. memory_give: it has given `bytes` back.
	 * Both are lock-free, since they may be called with the compressor's own locks held. */
	int (*memory_take)(void *ctx, size_t bytes);
	void (*memory_give)(void *ctx, size_t bytes);
	/* Major compaction has copied the page of `owner` from `from` to `to`. The caller replaces
	 * the handle and returns true, or returns false (the page is in transit, or its handle has
	 * been given up), and nothing changes. Called with no compressor lock held. */
	bool (*relocate)(void *ctx, struct cowner owner, struct cref from, struct cref to);
};

struct compressor_config {
	size_t page_bytes;    /* 4K, 16K or 64K */
	size_t segment_bytes; /* 0 = default for the page size (256K; 1M for 64K pages) */
	size_t arena_bytes;   /* virtual size of the arena: bounds the number of segments IN CORE */
	size_t max_segments;  /* in core and away together; 0 = as for 16 times the arena */
	unsigned workers;     /* each fills a segment of its own */
	/* Threads besides the workers that may store pages at the same time (compressor_keep): each
	 * finds a packer, and the segment that goes with it, without waiting. */
	unsigned keeping_threads;
	/* Bytes of emptied segments that are kept for the next segments instead of being given
	 * back (64 segments at most), and as much again at the ends of segments that were
	 * compacted. Kept memory counts as taken, and is given up when memory_take refuses. Without
	 * it populating fresh memory costs a third of a compression. 0 = nothing is kept. */
	size_t spare_bytes;
	/* Threads besides the workers that may expand pages at the same time: each finds an
	 * expander without waiting. 0 = 16. */
	unsigned expanding_threads;
	const struct compressor_ops *ops;
	void *ctx;
	struct compressor_kept *kept; /* NULL: nothing outlives the process */
};

/* Memfds in which tables and segments stand, so that another process can go on with them. */
struct compressor_kept {
	int tables, segments; /* both -1: they are made, and then the compressor's */
};

struct compressor;

/* => returns 0 or -errno (-ENOMEM, -EINVAL). */
int compressor_create(const struct compressor_config *config, struct compressor **ret);
void compressor_destroy(struct compressor *c);

/* What another process has left in config.kept is taken over: after compressor_create nothing but
 * these may be called until the last of them has returned. */
/* => 0 or -ENOMEM */
int compressor_adopt_begin(struct compressor *c);
/* Somebody has the handle. => false: there is no such page, or somebody else has it */
bool compressor_adopt(struct compressor *c, struct cref cref);
/* Reads a stored page, which stays as it is: nobody has the handle by that. => 0; -EIO: there is no
 * such page, or it is damaged; -EAGAIN: its segment is away */
int compressor_adopt_load(struct compressor *c, struct cref cref, void *page);
/* Where a page is whose segment is away, and its expansion from the bytes that were read there. =>
 * 0; -EIO as above */
struct cread;
int compressor_adopt_place(struct compressor *c, struct cref cref, struct cread *ret);
int compressor_adopt_decode(struct compressor *c, struct cref cref, const void *bytes, void *page);
/* Stored pages whose handles nobody has are given up. => bytes of memory that the arena has, which
 * the caller has to take from its budget itself; SIZE_MAX: no memory */
size_t compressor_adopt_end(struct compressor *c);
/* Keeps `bytes` of emptied segments from now on, at least spare_bytes, and gives back what is above
 * that; the ends of compacted segments are kept as before. For phases in which much is stored and
 * leaves again at once. Any thread, but one at a time. */
void compressor_spare_set(struct compressor *c, size_t bytes);
/* Bytes of emptied segments that are kept now: they count as taken, and the next pages need no
 * others. */
size_t compressor_spare_bytes(struct compressor *c);

#define COMPRESS_DENSE 0

/* --- pages in and out --------------------------------------------------------------------- */

/* Stores one page. worker: < config.workers, never used by two threads at once (it owns the
 * worker's segment and packers). acceleration: LZ4's, 1 compresses best; COMPRESS_DENSE compresses
 * with zstd instead.
 * => 0 and *ret_cref; *ret_bytes = bytes the page takes (0 for a single-value page).
 *    -ENOSPC: no memory (ops->memory_take refused) or no segment left; nothing has changed. */
int compressor_store(struct compressor *c, unsigned worker, const void *page, struct cowner owner,
    int acceleration, struct cref *ret_cref, uint32_t *ret_bytes);

/* The same for a thread that is no worker, with a packer and a segment that no other thread has at
 * that moment: the first of them, so that few segments are open. acceleration: not COMPRESS_DENSE.
 * At most config.keeping_threads threads at the same time. */
int compressor_keep(struct compressor *c, const void *page, struct cowner owner, int acceleration,
    struct cref *ret_cref, uint32_t *ret_bytes);

/* Whether there is a segment for another page: room at the end of the worker's segment, or a free
 * chunk and row. Whether there is memory is for the caller to know. => called by the worker's
 * thread; a hint. */
bool compressor_has_segment(struct compressor *c, unsigned worker);

/* Fetches the bytes of a page that will be loaded in a moment into the processor's cache. Any
 * thread; harmless. */
void compressor_prefetch(struct compressor *c, struct cref cref);
/* Expands a page into `page` (page_bytes).
 * => 0; -EAGAIN: its segment is not in core, use compressor_read_begin; -EIO: checksum or codec
 *    says that the bytes are not what was stored (only this page is lost). Never returns wrong
 *    data. */
int compressor_load(struct compressor *c, struct cref cref, void *page);

/* A stored page of zeroes, which takes no space. Never fails. */
struct cref compressor_zeroes(struct compressor *c);
/* The stored page is another's from now on: compaction will ask for `owner`. Where the segment is
 * not open to changes (it is being written, or away) the page keeps its former owner's name, and
 * is not moved by compaction while it has that. => the handle is the caller's alone, here as for
 * compressor_free */
void compressor_rename(struct compressor *c, struct cref cref, struct cowner owner);

/* Gives a stored page up. Compaction reclaims its space, or the segment is released at once with
 * its last page. */
void compressor_free(struct compressor *c, struct cref cref);

/* Whether the page repeats one 32-bit word. */
static inline bool
compressor_is_single_value(struct cref cref)
{
	return (cref.v >> CREF_SINGLE_BIT & 1) != 0;
}

/* Whether the page's segment is on secondary storage (a hint: it may change at any time). */
bool compressor_is_away(struct compressor *c, struct cref cref);

/* --- pages that keep apart ---------------------------------------------------------------- */

/* Pages that are to leave together, as a frozen program's, come into segments of their own: none of
 * them into the place of a freed page, and nobody else's page into the place of one of them. A run
 * of such segments is a run of writes. The caller is the worker's thread for all three. */

/* What the worker stores from now on keeps apart, or (false) does not. */
void compressor_apart(struct compressor *c, unsigned worker, bool apart);
/* Copies a stored page as it is to where the worker stores now. => 0 and *ret_cref: the caller
 * frees the former one. -EAGAIN: it is away, takes no space, or keeps apart already. -ENOSPC: as
 * compressor_store. -EIO: it is damaged, and stays where it is. */
int compressor_gather(struct compressor *c, unsigned worker, struct cref cref, struct cowner owner,
    struct cref *ret_cref);
/* Nothing follows: the segment is full, and may be written. => what the worker stores now does not
 * keep apart */
void compressor_apart_end(struct compressor *c, unsigned worker);
/* Segments in core whose pages keep apart, those being filled and being written included. Any
 * thread. */
uint32_t compressor_apart_segments(const struct compressor *c);

/* --- on secondary storage ----------------------------------------------------------------- */

/* The opaque place on secondary storage that the caller gave a segment. */
struct cplace {
	uint64_t v;
};

/* Picks the oldest full segment in core, compacts it and pins it for a write: one whose pages keep
 * apart before all others, and with only_apart no other. A segment that was read lately gets a
 * second chance.
 * => true: *ret_segment, and [*ret_bytes, *ret_length) is its content, a multiple of the hardware
 *    page, which stays as it is until _end (pages may be freed meanwhile, their bytes stay).
 *    false: no segment is suitable. */
bool compressor_swapout_begin(struct compressor *c, bool only_apart, uint32_t *ret_segment,
    const void **ret_bytes, size_t *ret_length);
/* error 0: the content is at `place`, and its memory is given back. Otherwise the segment stays in
 * core.
 * => true if `place` is not kept and the caller frees it: the segment has emptied meanwhile, or
 *    error was not 0. */
bool compressor_swapout_end(struct compressor *c, uint32_t segment, int error, struct cplace place);

/* Takes a place that is no longer needed (the last page of its segment was freed). Polled from one
 * thread. => true and *ret_place, or false: there is none. */
bool compressor_place_released(struct compressor *c, struct cplace *ret_place);

struct cread {
	struct cplace place; /* of the whole segment */
	uint32_t offset;     /* of the stored page in it, header included */
	uint32_t length;     /* bytes, header included */
};
/* Pins the place of a page that is away for a read.
 * => 0 and *ret; -EAGAIN: the page is in core: use compressor_load. */
int compressor_read_begin(struct compressor *c, struct cref cref, struct cread *ret);
/* Expands from bytes that were read (`bytes` = exactly [offset, offset+length) of the segment).
 * => 0 or -EIO as compressor_load. */
int compressor_read_decode(struct compressor *c, struct cref cref, const void *bytes, void *page);
void compressor_read_end(struct compressor *c, struct cref cref);

/* The caller has moved a segment's content from one place to another. => 0: `from` is the caller's
 * to free. -ENOENT: the segment is not at `from`. -EBUSY: reads are pinned, and `from` stays. */
int compressor_place_moved(
    struct compressor *c, uint32_t segment, struct cplace from, struct cplace to);
/* Walks the segments that are away: where each is, and how full. *cursor: the last one seen, 0 to
 * begin with. => false beyond the last. */
struct caway {
	uint32_t segment;
	struct cplace place;
	uint32_t live_bytes, length;
};
bool compressor_away_next(struct compressor *c, uint32_t *cursor, struct caway *ret);

/* --- compaction and figures --------------------------------------------------------------- */

/* One bounded step of compaction (minor first, then one major merge). Never called by two threads
 * at once. It slides a segment of which more than a twentieth is waste, or merges one that is less
 * than half full. urgent: a hardware page of waste is enough, and so is a segment that is not
 * nearly full.
 * => bytes of memory given back; 1: the step gave none back, but there is more to do; 0: there is
 *    nothing worth doing. */
size_t compressor_compact(struct compressor *c, bool urgent);

struct compressor_stats {
	uint64_t pages;              /* stored now, single-value included */
	uint64_t pages_single_value; /* of those */
	uint64_t pages_raw;          /* of those: incompressible */
	uint64_t pages_away;         /* of those: in segments on secondary storage */
	uint64_t bytes_live;         /* stored bytes of live pages in core, headers included */
	uint64_t bytes_populated;    /* of the arena that take memory */
	uint64_t bytes_kept;         /* of those: empty, kept for the next pages (spare_bytes) */
	uint64_t bytes_away;         /* live bytes in segments that are away */
	uint64_t segments_core, segments_away;
	uint64_t segments_apart; /* of those in core: full ones of pages that keep apart */
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
 * while no other call is under way: counts that change in two steps look wrong in between. */
bool compressor_is_valid(struct compressor *c, char *msg, size_t msg_size);

#endif
