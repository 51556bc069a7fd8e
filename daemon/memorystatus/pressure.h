/* SPDX-License-Identifier: MIT
 *
 * Memory pressure: how much is available, and which level that is. All functions are pure: numbers
 * in, a level out. Notices and kills go by the same number.
 *
 * Available are the frames' worth of space into which pages can still go: free frames beyond the
 * reserve, pages of files (they have a place of their own), volatile memory, what would become free
 * if pages in memory were compressed, as far as the compressor may grow, and what swap can still
 * take. It is a part of the frames that are not wired. So memory that is full of pages is no
 * pressure as long as they can leave. XNU's measures are other ones (what is not compressed on
 * macOS, what is free or of files elsewhere), because it begins to swap when a third of memory is
 * compressed, or not at all.
 */
#ifndef PRESSURE_H
#define PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

enum pressure {
#define PRESSURE(number, NAME, name, text) PRESSURE_##NAME = number,
#include "tbl/pressure.h"
	PRESSURE_COUNT
};
const char *pressure_name(enum pressure level);

/* Pages. */
struct space {
	uint64_t movable;         /* frames that are not wired: what the rest is a part of */
	uint64_t free_above;      /* free frames beyond the reserve */
	uint64_t files;           /* resident pages of files that are not wired */
	uint64_t purgeable;       /* resident pages that are volatile or reusable */
	uint64_t pages;           /* other resident pages that are not wired */
	uint64_t compressor_room; /* frames that the compressor may still take */
	unsigned ratio;           /* permille of a page that a stored page takes */
	uint64_t swap_room;       /* frames' worth of segments that swap can still take */
};
/* Frames that compressing pages would free. */
uint64_t pressure_compressible(const struct space *space);
/* => permille of the movable frames, at most 1000 */
unsigned pressure_available(const struct space *space);

/* Permille of the movable frames below which a level begins; one for each level, of NORMAL: 1001 */
struct pressure_limits {
	unsigned below[PRESSURE_COUNT];
};
/* XNU's, by the size of memory: its thresholds of jetsam "pressure", "idle" and "critical". */
struct pressure_limits pressure_limits_of(uint64_t memory_bytes);

/* Groups of purgeable objects (vm/purgeable.h) that go without having aged: those below this
 * number. All of them do where nothing can leave. */
unsigned pressure_purges(enum pressure level, bool is_squeezed);

/* What the level follows from. */
struct pressure_input {
	unsigned available; /* permille */
	bool is_squeezed;   /* nothing could leave (squeeze.h): critical, whatever the number
			       says */
	bool is_thrashing;  /* at least warning (thrash.h) */
	enum pressure host; /* at least this one, because the machine is short of memory */
	struct pressure_limits limits;
};
/* The level after `now`. A level is left when available is 15 % above where it begins. */
enum pressure pressure_next(enum pressure now, const struct pressure_input *in);

/* What is announced: a rise at once, a fall when it has lasted. */
struct pressure_hold {
	enum pressure announced;
	enum pressure falling;     /* the highest level since the fall began */
	uint64_t falling_since_ns; /* 0: it does not fall */
};
#define PRESSURE_FALL_NS 5000000000ull
/* => whether what is announced has changed */
bool pressure_announce(struct pressure_hold *hold, enum pressure level, uint64_t now_ns);

#endif
