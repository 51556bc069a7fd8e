/* SPDX-License-Identifier: MIT
 *
 * The compressor's inside: segments, their states, the pool. Only files of this folder include it.
 *
 * A segment is a row of a table, a directory of slots (kept while the bytes are away: only it tells
 * where a page stands, how long it is and how it was compressed) and, while in core, a chunk of the
 * arena (a header, then stored pages, each with its own). Row 0 is never used, so 0 means "none"
 * wherever a row is named.
 *
 * Equations:
 *   live          == slots whose directory entry is a page
 *   units * 8     == sum of the bytes they need (cpage_padded)
 *                 <= sum of their rooms <= used - CSEG_HEADER_BYTES
 *   used          <= populated <= segment_bytes, in core
 *   sum of populated == bytes taken - bytes given == st_blocks of the arena
 */
#ifndef COMPRESSOR_PRIV_H
#define COMPRESSOR_PRIV_H

#include "atomics.h"
#include "base.h"
#include "chash.h"
#include "codec.h"
#include "compressor.h"
#include "lock.h"

/* --- states ------------------------------------------------------------------------------- */

/*
 * X(NAME, what a load meets, where it is counted, text)
 *
 *   FREE --> FILLING --> FULL --> SLIDING --> BUSY --> WRITING --> DEPARTING --> AWAY
 *
 *   and besides:
 *     FULL      --> BUSY, WRITING      its pages are moved elsewhere; no waste worth sliding
 *     BUSY      --> FULL               trimmed; some pages stayed; returned
 *     WRITING   --> FULL               the write failed, or nothing lives in it any more
 *     FULL      --> RELEASING          its last page has gone
 *     FULL      --> FILLING            compaction left room at its end
 *     RELEASING --> FREE               its memory was given back
 *     AWAY      --> PLACING --> AWAY   its content was moved to another place
 *     AWAY      --> EMPTY              its last page has gone
 *     EMPTY     --> FREE               its place was collected
 *
 * FULL is the only state from which anything begins in core; it is left and entered under the pool
 * lock, together with the lists. SLIDING and PLACING are held under the row's slide lock: who
 * meets them waits for that lock. DEPARTING: the place is known, loads already inside finish, the
 * last one out gives the memory back.
 */
#define CSEG_STATES(X)                                                                             \
	X(FREE, NEVER, NOWHERE, "on the list of free rows")                                        \
	X(FILLING, HERE, CORE, "one worker appends pages")                                         \
	X(FULL, HERE, CORE, "closed; on the age list and a class list")                            \
	X(SLIDING, WAIT, CORE, "bytes are moving")                                                 \
	X(BUSY, HERE, CORE, "one thread owns it: trims it or moves its pages elsewhere")           \
	X(WRITING, HERE, CORE, "content stable for a write")                                       \
	X(DEPARTING, GONE, OFF, "written; memory goes with the last reader")                       \
	X(AWAY, GONE, OFF, "on secondary storage")                                                 \
	X(PLACING, WAIT, OFF, "its place is being changed")                                        \
	X(RELEASING, NEVER, NOWHERE, "no pages; memory is being given back")                       \
	X(EMPTY, NEVER, NOWHERE, "no pages, no memory; its place waits to be collected")

enum cseg_state {
#define X(name, load, counted, text) CSEG_##name,
	CSEG_STATES(X)
#undef X
	    CSEG_STATE_COUNT
};

/* What switching may insist on, besides the state it comes from. */
enum {
	NEED_NO_LOADS = 1, /* nobody reads the bytes in core */
	NEED_NO_READS = 2, /* nobody reads the bytes at the place */
	NEED_NO_PAGES = 4,
};

/*
 * One word tells a segment's state, counts and pins, so that "the last page went while it was away"
 * is one atomic step. state 4 | live 11 | units 18 | loads 14 | reads 14.
 */
#define WORD_LIVE_SHIFT  4
#define WORD_UNITS_SHIFT 15
#define WORD_LOADS_SHIFT 33
#define WORD_READS_SHIFT 47
#define WORD_STATE_MASK  UINT64_C(0xf)
#define WORD_LIVE_ONE    (UINT64_C(1) << WORD_LIVE_SHIFT)
#define WORD_LOADS_ONE   (UINT64_C(1) << WORD_LOADS_SHIFT)
#define WORD_READS_ONE   (UINT64_C(1) << WORD_READS_SHIFT)
#define UNIT_BYTES       8u

static inline enum cseg_state
word_state(uint64_t w)
{
	return (enum cseg_state)(w & WORD_STATE_MASK);
}

static inline uint32_t
word_live(uint64_t w)
{
	return (uint32_t)(w >> WORD_LIVE_SHIFT) & 0x7ff;
}

static inline uint32_t
word_bytes(uint64_t w)
{
	return ((uint32_t)(w >> WORD_UNITS_SHIFT) & 0x3ffff) * UNIT_BYTES;
}

static inline uint32_t
word_loads(uint64_t w)
{
	return (uint32_t)(w >> WORD_LOADS_SHIFT) & 0x3fff;
}

static inline uint32_t
word_reads(uint64_t w)
{
	return (uint32_t)(w >> WORD_READS_SHIFT) & 0x3fff;
}

/* One page that needs `bytes` (padded) more or less. */
static inline uint64_t
word_page(uint32_t bytes)
{
	return WORD_LIVE_ONE + ((uint64_t)(bytes / UNIT_BYTES) << WORD_UNITS_SHIFT);
}

/* --- what stands in the arena ------------------------------------------------------------- */

#define CSEG_MAGIC   UINT32_C(0x43534547) /* "CSEG" */
#define CSEG_VERSION 1

struct cseg_header {
	uint32_t magic;
	uint16_t version;
	uint16_t state;   /* FILLING, FULL or SLIDING */
	uint32_t segment; /* row number: with the slot, the handle of each page */
	uint32_t page_bytes;
	uint64_t generation; /* no two fillings share one; bound into each page's checksum */
	uint32_t segment_bytes;
	uint32_t used, slots; /* valid when FULL */
	uint32_t pad[7];
};
#define CSEG_HEADER_BYTES 64u
_Static_assert(sizeof(struct cseg_header) == CSEG_HEADER_BYTES, "layout of the arena");

/* Before each page's bytes. What can be had elsewhere is not here: with a page in two kilobytes
 * each byte counts. */
struct cpage_header {
	uint64_t owner;    /* whom compaction asks */
	uint32_t checksum; /* of the bytes, their length and codec, the owner, the slot and the
			      segment's generation */
} __attribute__((packed, aligned(4)));
#define CPAGE_HEADER_BYTES 12u
_Static_assert(sizeof(struct cpage_header) == CPAGE_HEADER_BYTES, "layout of the arena");

/* A slot's directory entry: offset 20 | room 14, in units | length 17 | codec 3 | vacant 1. 0 =
 * nothing. The room is what the page has from its offset on, header and padding included: more than
 * it needs where it filled a larger vacancy. Freeing makes it a vacancy; who moves bytes replaces
 * it by compare-and-set, so that a free wins, and leaves 0 where a vacancy was. */
#define ENTRY_ROOM_SHIFT   20
#define ENTRY_LENGTH_SHIFT 34
#define ENTRY_CODEC_SHIFT  51
#define ENTRY_VACANT       (UINT64_C(1) << 54)
#define ENTRY_PLACE_MASK   ((UINT64_C(1) << ENTRY_LENGTH_SHIFT) - 1)

static inline bool
entry_is_page(uint64_t e)
{
	return e != 0 && !(e & ENTRY_VACANT);
}

static inline uint32_t
entry_offset(uint64_t e)
{
	return (uint32_t)e & 0xfffff;
}

static inline uint32_t
entry_room(uint64_t e)
{
	return ((uint32_t)(e >> ENTRY_ROOM_SHIFT) & 0x3fff) * UNIT_BYTES;
}

static inline uint32_t
entry_length(uint64_t e)
{
	return (uint32_t)(e >> ENTRY_LENGTH_SHIFT) & 0x1ffff;
}

static inline enum codec_id
entry_codec(uint64_t e)
{
	return (enum codec_id)(e >> ENTRY_CODEC_SHIFT & 7);
}

static inline uint64_t
entry_make(uint32_t offset, uint32_t room, uint32_t length, enum codec_id codec)
{
	return offset | (uint64_t)(room / UNIT_BYTES) << ENTRY_ROOM_SHIFT |
	       (uint64_t)length << ENTRY_LENGTH_SHIFT | (uint64_t)codec << ENTRY_CODEC_SHIFT;
}

/* The same page in another place. */
static inline uint64_t
entry_moved(uint64_t e, uint32_t offset, uint32_t room)
{
	return (e & ~ENTRY_PLACE_MASK) | entry_make(offset, room, 0, 0);
}

/* --- handles ------------------------------------------------------------------------------ */

#define CREF_SINGLE    (UINT64_C(1) << 59) /* low 32 bits: the word */
#define CREF_SLOT_BITS 10
#define CSEG_SLOTS_MAX (1u << CREF_SLOT_BITS)

/* --- the pool ----------------------------------------------------------------------------- */

#define CHUNK_NONE UINT32_MAX
enum { LINK_AGE, LINK_CLASS, LINK_COUNT };

/*
 * (A) atomic  (F) the one worker that fills it, or the one thread that holds it SLIDING, BUSY,
 * DEPARTING (last reader), PLACING or RELEASING; read under a pin  (P) pool lock
 */
struct cseg {
	atomic_uint_least64_t word; /* (A) */
	uint64_t generation;        /* (F) */
	atomic_uint used;    /* (A), (F) to write: bytes from the chunk's begin, header included */
	atomic_uint slots;   /* (A), (F) to write: directory entries ever used in this filling */
	uint32_t chunk;      /* (F) where in the arena, or CHUNK_NONE */
	uint32_t populated;  /* (F) bytes of it really held */
	struct cplace place; /* (F) or (P); valid from DEPARTING to EMPTY */
	struct {
		uint32_t prev, next;
	} link[LINK_COUNT];      /* (P) age; class. A FREE row hangs by link[LINK_AGE].next */
	uint32_t place_next;     /* (P) queue of released places */
	atomic_uchar class_;     /* (A), (P) to write: see enum cclass */
	atomic_uchar referenced; /* (A) loaded since it was last looked at by swapout */
	bool is_aged;            /* (P) on the age list */
};
_Static_assert(sizeof(struct cseg) <= CACHE_LINE, "a row is a cache line");

/* FULL segments by what compaction can win; waste classes count hardware pages in powers of two. */
enum cclass {
	CLASS_NONE,
	CLASS_DENSE,
	CLASS_LOOSE,  /* a hardware page of waste or more, but no twentieth: for when every page
			 counts */
	CLASS_SPARSE, /* +0..6: eighths of the segment that live */
	CLASS_WASTE = CLASS_SPARSE + 7, /* +0..8: more than a twentieth is waste */
	CLASS_STUCK = CLASS_WASTE + 9,  /* its last merge left pages; rests until one is freed */
	CLASS_OPEN, /* populated room at its end: filled on before fresh memory is taken */
	CLASS_COUNT
};

/* Eighths below which a segment is always worth merging. */
#define CLASS_MERGED 4u

struct clist {
	uint32_t first, last, count;
};

/* Counters and gauges, sharded: each thread adds to one shard, the sum tells. */
/* clang-format off */
#define CSTATS(X)                                                                                  \
	X(PAGES) X(PAGES_SINGLE) X(PAGES_RAW) X(PAGES_AWAY) X(BYTES_ALL) X(BYTES_AWAY)             \
	X(POPULATED) X(SEGMENTS_CORE) X(SEGMENTS_AWAY) X(COMPRESSIONS) X(DECOMPRESSIONS)           \
	X(MINOR) X(MAJOR) X(REFILLED) X(ERRORS)
/* clang-format on */
enum cstat {
#define X(name) CSTAT_##name,
	CSTATS(X)
#undef X
	    CSTAT_COUNT
};

#define SHARDS 16
struct cshard {
	atomic_uint_least64_t v[CSTAT_COUNT];
} CACHE_ALIGNED;

struct cworker {
	uint32_t segment;          /* being filled, or 0 */
	void *packer[CODEC_COUNT]; /* NULL where a codec needs none */
	char *bounce; /* where a page is compressed: its size tells where it will stand */
} CACHE_ALIGNED;

struct cexpander {
	atomic_bool busy;
	void *state[CODEC_COUNT]; /* of the thread that has made it busy */
} CACHE_ALIGNED;

/* A chunk with [0, populated) of memory. */
struct cchunk {
	uint32_t chunk, populated;
};

/* Vacancies of one size, the last freed first. With more of them, or more sizes, the lists would
 * take memory that nobody counts. */
#define VACANT_MAX   256u
#define VACANT_SIZES 576u
struct cvacant {
	struct lock lock;
	uint32_t count;
	struct cref item[VACANT_MAX];
};

#define SPARES_MAX       64
#define SLIDE_LOCKS      16
#define COMPRESSOR_MAGIC UINT32_C(0x434f4d50) /* "COMP" */

struct compressor {
	uint32_t magic;
	int fd; /* the arena's */
	struct compressor_ops ops;
	void *ctx;
	chash_function *hash;
	size_t page_bytes, segment_bytes, arena_bytes;
	uint32_t segment_shift, slots_shift; /* both sizes are powers of two */
	uint32_t hw_page_bytes, hw_page_shift;
	uint32_t grow_bytes;  /* step in which a chunk's memory grows */
	uint32_t grain_bytes; /* stored pages take a multiple of it: so many sizes, and lists of
				 vacancies, there are */
	uint32_t slack_bytes; /* a page may take a vacancy that is so much larger */
	uint32_t raw_limit;   /* a page that compresses to more is stored raw */
	uint32_t slots_max;   /* per segment */
	uint32_t rows_max, chunks_max;
	char *arena;
	struct cseg *rows;                /* [rows_max + 1], sparse */
	atomic_uint_least64_t *directory; /* [rows_max + 1][slots_max], sparse */
	struct cvacant *vacant;           /* [vacant_sizes], by size in grains; mostly untouched */
	uint32_t vacant_sizes;
	atomic_uint_least64_t vacant_listed[VACANT_SIZES / 64]; /* (A) the lists that are not empty;
								   each bit under its list's lock */
	struct cworker *workers; /* [workers_count + 1]: the last is compaction's */
	unsigned workers_count;
	struct cexpander *expanders; /* [expander_count] */
	unsigned expander_count;
	atomic_uint_least64_t generation; /* last one given out */
	/* Excludes readers from a segment whose bytes move; by row number. Taken inside `lock`. */
	struct lock slide[SLIDE_LOCKS];

	struct lock lock; /* the pool lock, for all below */
	uint32_t *chunk_next;
	uint32_t chunk_free, chunks_free; /* list of free chunks, its length */
	uint32_t chunks_fresh;            /* first chunk never used */
	uint32_t row_free;
	atomic_uint rows_fresh; /* first row never used; (A) to read */
	struct clist age;       /* FULL, SLIDING and BUSY segments, oldest first */
	struct clist class_list[CLASS_COUNT];
	struct clist places; /* EMPTY rows, by place_next */
	/* Emptied chunks that kept their memory: first choice for a new segment, given back when
	 * the budget refuses. */
	struct cchunk spare[SPARES_MAX];
	uint32_t spares, spares_max;
	uint64_t open_bytes, open_bytes_max; /* populated ends of CLASS_OPEN segments */

	struct cshard shards[SHARDS];
};

static inline atomic_uint_least64_t *
cseg_directory(struct compressor *c, uint32_t segment)
{
	return c->directory + (size_t)segment * c->slots_max;
}

static inline char *
cseg_bytes(struct compressor *c, const struct cseg *s)
{
	return c->arena + (size_t)s->chunk * c->segment_bytes;
}

static inline struct cref
cref_make(uint32_t segment, uint32_t slot)
{
	return (struct cref){ (uint64_t)segment << CREF_SLOT_BITS | slot };
}

static inline uint32_t
round_up_u32(uint32_t v, uint32_t align)
{
	return (v + align - 1) & ~(align - 1);
}

/* Bytes that a stored page of `length` needs in its segment. */
static inline uint32_t
cpage_padded(const struct compressor *c, size_t length)
{
	return round_up_u32(CPAGE_HEADER_BYTES + (uint32_t)length, c->grain_bytes);
}

/* cseg.c: one segment ---------------------------------------------------------------------- */

const char *cseg_state_name(enum cseg_state state);
bool cseg_state_is_away(enum cseg_state state);

/* The only place where a state changes. => false, and nothing has changed, when the segment is not
 * in `from` or does not fulfil `needs`; *ret_word (may be NULL) is the word found or left. */
bool cseg_switch(struct compressor *c, uint32_t segment, enum cseg_state from, enum cseg_state to,
    unsigned needs, uint64_t *ret_word);

/* => the row of a handle's segment and *ret_slot; panics on a handle that was never given out. */
struct cseg *cref_row(
    struct compressor *c, struct cref cref, uint32_t *ret_segment, uint32_t *ret_slot);
/* => the live entry of a handle; panics when the page has been freed. */
uint64_t cref_entry(struct compressor *c, uint32_t segment, uint32_t slot);

/* Readers of the bytes in core. => 0, or -EAGAIN: they are away. Waits while they move. */
int cseg_load_pin(struct compressor *c, uint32_t segment);
void cseg_load_unpin(struct compressor *c, uint32_t segment);
/* The same for who writes into a vacancy: only a FULL segment, which then stays FULL, or is taken
 * apart by who may ignore a page that comes. */
bool cseg_full_pin(struct compressor *c, uint32_t segment);
/* Readers of the bytes at the place. => 0, or -EAGAIN: they are in core. */
int cseg_read_pin(struct compressor *c, uint32_t segment);
void cseg_read_unpin(struct compressor *c, uint32_t segment);

/* Takes a slot's page out of the books; the caller owns the page. */
void cseg_slot_free(struct compressor *c, uint32_t segment, uint32_t slot);

/* Describes the segment in the arena. state: what a restarted daemon should know. */
void cseg_header_write(struct compressor *c, uint32_t segment, enum cseg_state state);

/* Slides the live pages down. => segment is SLIDING, its slide lock held. */
void cseg_slide(struct compressor *c, uint32_t segment);
struct lock *cseg_slide_lock(struct compressor *c, uint32_t segment);

/* cpage.c: one stored page ----------------------------------------------------------------- */

/* The bytes of the page that `entry` says, with their header, to `stored`. */
void cpage_write(struct compressor *c, void *stored, struct cowner owner, const void *payload,
    uint64_t entry, uint32_t slot, uint64_t generation);
/* => 0 and *ret_owner if header and bytes are what was stored there, or -EIO. */
int cpage_verify(struct compressor *c, const void *stored, uint64_t entry, uint32_t slot,
    uint64_t generation, struct cowner *ret_owner);
/* Verifies and expands; counts. => 0 or -EIO. */
int cpage_expand(struct compressor *c, const void *stored, uint64_t entry, uint32_t slot,
    uint64_t generation, void *page);

/* cexpander.c: expanding without allocating -------------------------------------------------------
 */

/* => 0 or -1: no memory */
int cexpanders_create(struct compressor *c);
void cexpanders_destroy(struct compressor *c);
/* => 0 or -EIO */
int cexpander_expand(struct compressor *c, const struct codec *codec, enum codec_id id,
    const void *src, size_t bytes, void *page);

/* cvacant.c: freed places in full segments ---------------------------------------------------- */

/* A page that had `room` was freed in a segment that was FULL. */
void cvacant_put(struct compressor *c, uint32_t segment, uint32_t slot, uint32_t room);
/* A segment is about to be FULL: its owner (F) makes its end a vacancy and lists all that it has.
 */
void cvacant_close(struct compressor *c, uint32_t segment);
/* Stores a page in the vacancy that fits best. => false: there is none, nothing has changed. */
bool cvacant_fill(struct compressor *c, struct cowner owner, enum codec_id codec,
    const void *payload, uint32_t length, struct cref *ret_cref, uint32_t *ret_bytes);

/* cfill.c: a worker's segment -------------------------------------------------------------- */

/* => where the next stored page of up to `bytes` would begin, populated; NULL: no room in the
 * worker's segment (*ret_refused false) or no memory (true). */
char *cfill_tail(struct compressor *c, struct cworker *w, uint32_t bytes, bool *ret_refused);
/* Appends a page whose bytes are at `payload`.
 * => 0, or -ENOSPC and nothing has changed. */
int cfill_append(struct compressor *c, struct cworker *w, struct cowner owner, enum codec_id codec,
    const void *payload, uint32_t length, struct cref *ret_cref, uint32_t *ret_bytes);
/* Takes back the page appended last, which nobody has heard of. */
void cfill_unappend(struct compressor *c, struct cworker *w, struct cref cref);
/* Closes the worker's segment. cold: it takes its place among the oldest. */
void cfill_close(struct compressor *c, struct cworker *w, bool cold);

/* carena.c: memory ------------------------------------------------------------------------- */

int carena_open(struct compressor *c);
void carena_close(struct compressor *c);
void carena_punch(struct compressor *c, uint32_t chunk, uint32_t from, uint32_t to);
/* Makes at least the first `bytes` of a chunk there, in steps as long as the budget lasts.
 * => 0 and *populated, or -ENOMEM. => called without locks. */
int carena_grow(struct compressor *c, uint32_t chunk, uint32_t *populated, uint32_t bytes);
/* Gives back what lies behind a segment's used bytes. => segment is owned (F). => bytes given. */
size_t carena_trim(struct compressor *c, uint32_t segment);

/* ccompact.c ------------------------------------------------------------------------------- */

/* FULL -> SLIDING with its slide lock, when nobody reads it and nobody else slides in its stripe.
 * => called with the pool lock held. */
bool ccompact_begin_locked(struct compressor *c, uint32_t segment);
/* SLIDING -> BUSY: slides, lets readers in again. */
void ccompact_slide(struct compressor *c, uint32_t segment);

/* caway.c ---------------------------------------------------------------------------------- */

/* The last reader has left a DEPARTING segment: its memory goes, it is AWAY. */
void caway_depart(struct compressor *c, uint32_t segment);

/* ccreate.c */

void cstat_add(struct compressor *c, enum cstat stat, uint64_t n);
uint64_t cstat_sum(struct compressor *c, enum cstat stat);

/* cpool.c: all segments -------------------------------------------------------------------- */

enum cclass cclass_of(const struct compressor *c, uint32_t used, uint64_t word);
/* Whether the segment may stay in the class it has. */
bool cclass_fits(const struct compressor *c, const struct cseg *s, uint64_t word);
void clist_add_tail(struct compressor *c, struct clist *l, unsigned link, uint32_t segment);
void clist_add_head(struct compressor *c, struct clist *l, unsigned link, uint32_t segment);
void clist_remove(struct compressor *c, struct clist *l, unsigned link, uint32_t segment);

/* The last chunks are compaction's: without one to merge into none would ever be free again. */
#define CHUNKS_KEPT 1u

uint32_t cpool_chunks_left_locked(struct compressor *c);
/* => a chunk, maybe with memory, or CHUNK_NONE: no more than `keep` are left. */
struct cchunk cpool_chunk_get_locked(struct compressor *c, uint32_t keep);
/* Takes a segment's chunk away and gives its memory back, or keeps it as a spare. => segment is
 * owned (F); called without the pool lock. */
void cpool_chunk_put(struct compressor *c, uint32_t segment);
/* The same for a chunk that no segment has. */
void cpool_chunk_drop(struct compressor *c, struct cchunk chunk);
/* Gives a spare's memory back. => false: there is none. */
bool cpool_spare_give(struct compressor *c);
/* Gives memory back that is only kept for the next pages: a spare's, or an open segment's end.
 * => false: there is none. */
bool cpool_kept_give(struct compressor *c);
/* => a FREE row with `bytes` of populated memory, for the caller alone; 0: no row, memory, or
 * chunk but the `keep` last ones. */
uint32_t cpool_open(struct compressor *c, uint32_t bytes, uint32_t keep);
/* => a segment with populated room for `bytes` at its end, FILLING, for the caller alone; 0: none.
 */
uint32_t cpool_reopen(struct compressor *c, uint32_t bytes);
/* FULL -> to, with the lists. => called with the pool lock held. => as cseg_switch. */
bool cpool_leave_full_locked(
    struct compressor *c, uint32_t segment, enum cseg_state to, unsigned needs);
/* from -> FULL, with the lists; then settles if need be. A segment that is on the age list stays
 * where it is, another becomes the youngest unless told otherwise. */
enum { ENTER_OLDEST = 1, ENTER_STUCK = 2, ENTER_OPEN = 4 };
void cpool_enter_full(struct compressor *c, uint32_t segment, enum cseg_state from, unsigned how);
/* Does what the row's state calls for once pages or pins have gone: puts it into another class,
 * releases it, queues its place. Harmless at any time. */
void cpool_settle(struct compressor *c, uint32_t segment);

#endif
