/* SPDX-License-Identifier: MIT
 *
 * The compressor's inside: what stands in the arena, and the tables that all files of this folder
 * work on. Only they include it.
 *
 * A segment is a row of a table, a directory of slots and, while it is in core, a chunk of the
 * arena (a header, then stored pages, each with a header of its own). The directory is kept while
 * the bytes are away: nothing else says where a page stands, how long it is and how it was
 * compressed. Row 0 is never used, so 0 means "none" wherever a row is named.
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

#include "arena.h"
#include "atomics.h"
#include "base.h"
#include "chash.h"
#include "codec.h"
#include "compressor.h"
#include "cword.h"
#include "lock.h"

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

/* Stands before each page's bytes. It holds nothing that is known from elsewhere: a stored page is
 * about two kilobytes, so each byte counts. */
struct cpage_header {
	uint64_t owner;    /* asked by compaction before the page moves */
	uint32_t checksum; /* of the bytes, their length and codec, the owner, the slot and the
			      segment's generation */
} __attribute__((packed, aligned(4)));
#define CPAGE_HEADER_BYTES 12u
_Static_assert(sizeof(struct cpage_header) == CPAGE_HEADER_BYTES, "layout of the arena");

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
	uint32_t populated;  /* (F) bytes of it that take memory */
	struct cplace place; /* (F) or (P); valid from DEPARTING to EMPTY */
	struct {
		uint32_t prev, next;
	} link[LINK_COUNT];      /* (P) age; class. A FREE row hangs by link[LINK_AGE].next */
	uint32_t place_next;     /* (P) queue of released places */
	atomic_uchar class_;     /* (A), (P) to write: see enum cclass */
	atomic_uchar referenced; /* (A) loaded since swap-out looked at it last */
	bool is_aged;            /* (P) on one of the age lists */
	atomic_bool is_apart;    /* (A), (F) to write: its pages keep apart from others */
};
_Static_assert(sizeof(struct cseg) <= CACHE_LINE, "a row is a cache line");

/* FULL segments by the gain of compacting them; waste classes count hardware pages in powers of
 * two. */
enum cclass {
	CLASS_NONE,
	CLASS_DENSE,
	CLASS_LOOSE,  /* a hardware page of waste or more, but less than a twentieth: slid only when
			 every page counts */
	CLASS_SPARSE, /* +0..6: eighths of the segment that are live */
	CLASS_WASTE = CLASS_SPARSE + 7, /* +0..8: more than a twentieth is waste */
	CLASS_STUCK = CLASS_WASTE +
		      9, /* its last merge left pages in it; not tried again until one is freed */
	CLASS_OPEN, /* with populated room at its end, which is filled before fresh memory is taken
		     */
	CLASS_COUNT
};

/* Eighths below which a segment is always worth merging. */
#define CLASS_MERGED 4u

struct clist {
	uint32_t first, last, count;
};

/* Counters and gauges, sharded: each thread adds to one shard, and the sum counts. */
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
	atomic_bool busy;          /* (A) of those for compressor_keep: a thread uses it now */
	uint32_t segment;          /* being filled, or 0 */
	uint32_t other;            /* of the other kind (is_apart), to be filled on, or 0 */
	bool is_apart;             /* what it stores now keeps apart */
	void *packer[CODEC_COUNT]; /* NULL where a codec needs none, or the worker has no such */
	char *
	    bounce; /* where a page is compressed: only then is its size, and so its place, known */
} CACHE_ALIGNED;

struct cexpander {
	atomic_bool busy;
	void *state[CODEC_COUNT]; /* used by the thread that has set `busy` */
} CACHE_ALIGNED;

/* A chunk with [0, populated) of memory. */
struct cchunk {
	uint32_t chunk, populated;
};

/* Vacancies of one size, the last freed first. The numbers bound the memory of the lists, which is
 * not counted anywhere. */
#define VACANT_MAX   256u
#define VACANT_SIZES 576u
struct cvacant {
	struct lock lock;
	uint32_t count;
	struct cref item[VACANT_MAX];
};

/* --- tables that outlive the process (ckept.h) --------------------------------------------- */

/* Where a page is while its bytes are moved onto themselves, or its header gets another owner. One
 * for each slide lock. */
enum caside_use { ASIDE_NONE, ASIDE_SLIDES, ASIDE_RENAMED };
struct caside {
	atomic_uint used; /* enum caside_use: what is below counts */
	uint32_t segment, slot;
	uint64_t from, to; /* the directory's entry before and afterwards */
	char bytes[];      /* the stored page, with its header; RENAMED: its new header */
};

/* What is there for the time of a restoration. */
struct ckept {
	struct arena_shape shape;
	char *memory;
	size_t rows_bytes, directory_bytes, aside_bytes;
	int fd;
	bool was_there;
	uint8_t *named; /* a bit for each entry that somebody has a handle of; NULL: all is done */
	size_t named_bytes;
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
	uint32_t grain_bytes; /* stored pages take a multiple of it; there is a list of vacancies
				 for each multiple */
	uint32_t slack_bytes; /* a page may take a vacancy that is larger by at most this */
	uint32_t raw_limit;   /* a page that compresses to more is stored raw */
	uint32_t slots_max;   /* per segment */
	uint32_t rows_max, chunks_max;
	char *arena;
	struct ckept *kept;               /* NULL: the tables go with the process */
	struct cseg *rows;                /* [rows_max + 1], sparse */
	atomic_uint_least64_t *directory; /* [rows_max + 1][slots_max], sparse */
	struct cvacant *vacant;           /* [vacant_sizes], by size in grains; mostly untouched */
	uint32_t vacant_sizes;
	atomic_uint_least64_t vacant_listed[VACANT_SIZES / 64]; /* (A) the lists that are not empty;
								   each bit under its list's lock */
	struct cworker *workers; /* [workers_count + 1]: the last is compaction's */
	unsigned workers_count;
	unsigned keepers_first;      /* from there on they are compressor_keep's */
	struct cexpander *expanders; /* [expander_count] */
	unsigned expander_count;
	atomic_uint_least64_t generation; /* last one given out */
	/* Exclude readers from a segment whose bytes move; chosen by row number. Taken inside
	 * `lock`. */
	struct lock slide[SLIDE_LOCKS];

	struct lock lock; /* the pool lock, for all below */
	uint32_t *chunk_next;
	uint32_t chunk_free, chunks_free; /* list of free chunks, its length */
	uint32_t chunks_fresh;            /* first chunk never used */
	uint32_t row_free;
	atomic_uint rows_fresh; /* first row never used; (A) to read */
	struct clist age;       /* FULL, SLIDING and BUSY segments, oldest first */
	struct clist apart;     /* likewise, of pages that keep apart: they go first */
	atomic_uint apart_core; /* (A) segments in core whose pages keep apart */
	struct clist class_list[CLASS_COUNT];
	struct clist places; /* EMPTY rows, by place_next */
	/* Emptied chunks that keep their memory: the first choice for a new segment, given back
	 * when the budget refuses more. */
	struct cchunk spare[SPARES_MAX];
	uint32_t spares, spares_max;
	uint64_t open_bytes,
	    open_bytes_max; /* bytes of populated ends of CLASS_OPEN segments, and their bound */

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

#endif
