/* SPDX-License-Identifier: MIT
 *
 * All segments: lists, classes, rows and chunks.
 */
#ifndef CPOOL_H
#define CPOOL_H

#include "compressor_priv.h"

/* --- lists by row number; called with the pool lock held -------------------------------- */

void clist_add_tail(struct compressor *c, struct clist *l, unsigned link, uint32_t segment);
void clist_add_head(struct compressor *c, struct clist *l, unsigned link, uint32_t segment);
void clist_remove(struct compressor *c, struct clist *l, unsigned link, uint32_t segment);

/* The age list that the segment belongs to. */
static inline struct clist *
cpool_age_list(struct compressor *c, const struct cseg *s)
{
	return load_relaxed(&((struct cseg *)(uintptr_t)s)->is_apart) ? &c->apart : &c->age;
}

/* --- classes ---------------------------------------------------------------------------- */

enum cclass cclass_of(const struct compressor *c, uint32_t used, uint64_t word);
/* Whether the segment may stay in the class it has. */
bool cclass_fits(const struct compressor *c, const struct cseg *s, uint64_t word);
/* Puts a segment on the list of a class. */
void cpool_classify_locked(struct compressor *c, uint32_t segment, enum cclass class);

/* --- rows and chunks -------------------------------------------------------------------- */

/* => a row for the caller alone, FREE, or 0: there is none. */
uint32_t cpool_row_get_locked(struct compressor *c);
void cpool_row_put_locked(struct compressor *c, uint32_t segment);

/* The last chunks are compaction's: without one to merge into, none would ever be free again. */
#define CHUNKS_KEPT 1u

uint32_t cpool_chunks_left_locked(struct compressor *c);
/* => a chunk, maybe with memory, or CHUNK_NONE: no more than `keep` are left. */
struct cchunk cpool_chunk_get_locked(struct compressor *c, uint32_t keep);
/* The chunk, which has no memory, is nobody's. */
void cpool_chunk_free_locked(struct compressor *c, uint32_t chunk);
/* Takes a segment's chunk away and gives its memory back, or keeps it as a spare. => segment is
 * owned (F); called without the pool lock. */
void cpool_chunk_put(struct compressor *c, uint32_t segment);
/* The same for a chunk that no segment has. */
void cpool_chunk_drop(struct compressor *c, struct cchunk chunk);
/* Gives a spare's memory back. => false: there is none. */
bool cpool_spare_give(struct compressor *c);

/* --- leaving FULL (entering it: csettle.h) ---------------------------------------------- */

/* FULL -> to, with the lists. => as cseg_switch. */
bool cpool_leave_full_locked(
    struct compressor *c, uint32_t segment, enum cseg_state to, unsigned needs);
/* => a segment with populated room for `bytes` at its end, FILLING, for the caller alone; 0: none.
 */
uint32_t cpool_reopen(struct compressor *c, uint32_t bytes);

#endif
