/* SPDX-License-Identifier: MIT
 *
 * Indexes of a run whose profile is gathered, so that a touch costs the same however much the run
 * has allocated and whatever was brought in: which number belongs to a region's name, what was
 * allocated last at an address, and whether a page was brought in. The memory is the caller's.
 */
#ifndef PROFILE_INDEX_H
#define PROFILE_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "profile.h"

/* --- numbers by name --- */

struct profile_names {
	struct profile_name *slots;
	uint32_t mask; /* number of slots, less one; 0: it has no room */
};
/* Slots for that many names. */
size_t profile_names_bytes(uint32_t count);
/* memory: of that size, zeroed. */
void profile_names_init(struct profile_names *names, void *memory, uint32_t count);
/* => the number that belongs to the name, which is 0 at first. At most `count` names */
uint32_t *profile_name_at(struct profile_names *names, const struct profile_region *name);
/* => the same, or 0 if nobody has asked for its place */
uint32_t profile_name_get(const struct profile_names *names, const struct profile_region *name);

/* --- places by address --- */

/* Ranges that do not overlap, sorted by process and address. */
struct profile_span {
	uint64_t start, end;
	uint32_t process, place;
};
/* A range takes what it covers from others: so each one adds two at most. */
#define PROFILE_SPANS_MAX (2 * PROFILE_REGIONS_MAX)
struct profile_spans {
	struct profile_span *spans; /* PROFILE_SPANS_MAX of them */
	uint32_t count;
};
/* The range is that place's from now on. At most PROFILE_REGIONS_MAX times */
void profile_span_add(struct profile_spans *s, const struct profile_span *span);
/* => the range that has the address, or NULL */
const struct profile_span *profile_span_find(
    const struct profile_spans *s, uint32_t process, uint64_t address);

/* --- pages that were brought in --- */

/* At most: what is older was not wanted. */
#define BROUGHT_MAX   1024u
#define BROUGHT_HEADS 2048u
struct brought {
	struct brought_page {
		struct profile_page page; /* region: of this run; BROUGHT_NONE: it is none now */
		uint32_t mark;            /* whatever the caller likes */
		uint16_t next;            /* of the same hash, its index and 1; 0: none */
	} pages[BROUGHT_MAX];
	uint16_t heads[BROUGHT_HEADS];
	uint32_t from, to; /* the oldest, and where the next one goes */
};
#define BROUGHT_NONE UINT32_MAX
bool brought_has(const struct brought *b, struct profile_page page);
/* The page is not among them yet. => whether the oldest had to go for it; *ret_mark: that one's */
bool brought_add(struct brought *b, struct profile_page page, uint32_t mark, uint32_t *ret_mark);
/* => whether the page was among them; it is no more; *ret_mark: its */
bool brought_take(struct brought *b, struct profile_page page, uint32_t *ret_mark);
/* Takes the oldest of all. => false: there is none */
bool brought_oldest(struct brought *b, uint32_t *ret_mark);

#endif
