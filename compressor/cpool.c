/* SPDX-License-Identifier: MIT
 *
 * All segments: free rows and chunks, the age list, classes for compaction, chunks that are kept.
 * Runs on: any thread, under the pool lock, which is never held for long: memory is given back and
 * bytes are moved outside of it.
 */
#include "cpool.h"

#include "carena.h"
#include "check.h"
#include "compressor.h"
#include "cseg.h"

/* --- lists by row number ------------------------------------------------------------------ */

void
clist_add_tail(struct compressor *c, struct clist *l, unsigned link, uint32_t segment)
{
	struct cseg *s = &c->rows[segment];

	lock_assert_held(&c->lock);
	s->link[link].next = 0;
	s->link[link].prev = l->last;
	if (l->last != 0)
		c->rows[l->last].link[link].next = segment;
	else
		l->first = segment;
	l->last = segment;
	l->count++;
}

void
clist_add_head(struct compressor *c, struct clist *l, unsigned link, uint32_t segment)
{
	struct cseg *s = &c->rows[segment];

	lock_assert_held(&c->lock);
	s->link[link].prev = 0;
	s->link[link].next = l->first;
	if (l->first != 0)
		c->rows[l->first].link[link].prev = segment;
	else
		l->last = segment;
	l->first = segment;
	l->count++;
}

void
clist_remove(struct compressor *c, struct clist *l, unsigned link, uint32_t segment)
{
	uint32_t prev = c->rows[segment].link[link].prev, next = c->rows[segment].link[link].next;

	lock_assert_held(&c->lock);
	if (prev != 0)
		c->rows[prev].link[link].next = next;
	else
		l->first = next;
	if (next != 0)
		c->rows[next].link[link].prev = prev;
	else
		l->last = prev;
	l->count--;
}

/* --- classes ------------------------------------------------------------------------------ */

enum cclass
cclass_of(const struct compressor *c, uint32_t used, uint64_t word)
{
	uint64_t live_bytes = word_bytes(word);
	uint64_t waste =
	    used > CSEG_HEADER_BYTES + live_bytes ? used - CSEG_HEADER_BYTES - live_bytes : 0;

	if (waste >= c->hw_page_bytes && waste * 20 > used) {
		unsigned pages_log2 = 63 - (unsigned)__builtin_clzll(waste >> c->hw_page_shift);

		return (enum cclass)(
		    CLASS_WASTE + min_u64(pages_log2, CLASS_STUCK - CLASS_WASTE - 1));
	}
	/* A segment is as full as the scarcer of bytes and slots says. */
	uint64_t eighths = max_u64(
	    live_bytes * 8 >> c->segment_shift, (uint64_t)word_live(word) * 8 >> c->slots_shift);
	/* A segment less than half full is merged, which frees its waste too. */
	if (waste >= c->hw_page_bytes && eighths >= CLASS_MERGED)
		return CLASS_LOOSE;
	return eighths < CLASS_WASTE - CLASS_SPARSE ? (enum cclass)(CLASS_SPARSE + eighths)
						    : CLASS_DENSE;
}

bool
cclass_fits(const struct compressor *c, const struct cseg *s, uint64_t word)
{
	enum cclass class = (enum cclass)load_relaxed(&s->class_);
	enum cclass now = cclass_of(c, load_relaxed(&s->used), word);

	/* An OPEN segment keeps its class until there is something to slide again. */
	return class == CLASS_OPEN ? now < CLASS_WASTE : class == now;
}

static uint32_t
open_end_bytes(const struct cseg *s)
{
	return s->populated - load_relaxed(&s->used);
}

void
cpool_classify_locked(struct compressor *c, uint32_t segment, enum cclass class)
{
	struct cseg *s = &c->rows[segment];
	enum cclass old = (enum cclass)load_relaxed(&s->class_);

	lock_assert_held(&c->lock);
	if (old == class)
		return;
	if (old != CLASS_NONE)
		clist_remove(c, &c->class_list[old], LINK_CLASS, segment);
	if (old == CLASS_OPEN)
		c->open_bytes -= open_end_bytes(s);
	if (class == CLASS_OPEN)
		c->open_bytes += open_end_bytes(s);
	if (class != CLASS_NONE)
		clist_add_tail(c, &c->class_list[class], LINK_CLASS, segment);
	store_relaxed(&s->class_, (unsigned char)class);
}

/* --- rows and chunks ---------------------------------------------------------------------- */

void
cpool_chunk_free_locked(struct compressor *c, uint32_t chunk)
{
	lock_assert_held(&c->lock);
	c->chunk_next[chunk] = c->chunk_free;
	c->chunk_free = chunk;
	c->chunks_free++;
}

uint32_t
cpool_chunks_left_locked(struct compressor *c)
{
	lock_assert_held(&c->lock);
	return c->chunks_free + c->spares + (c->chunks_max - c->chunks_fresh);
}

struct cchunk
cpool_chunk_get_locked(struct compressor *c, uint32_t keep)
{
	uint32_t chunk = c->chunk_free;

	lock_assert_held(&c->lock);
	if (cpool_chunks_left_locked(c) <= keep)
		return (struct cchunk){ CHUNK_NONE, 0 };
	if (c->spares > 0)
		return c->spare[--c->spares];
	if (chunk != CHUNK_NONE) {
		c->chunk_free = c->chunk_next[chunk];
		c->chunks_free--;
		return (struct cchunk){ chunk, 0 };
	}
	chunk = c->chunks_fresh < c->chunks_max ? c->chunks_fresh++ : CHUNK_NONE;
	return (struct cchunk){ chunk, 0 };
}

void
cpool_chunk_drop(struct compressor *c, struct cchunk chunk)
{
	bool spare;

	lock_acquire(&c->lock);
	spare = c->spares < c->spares_max && chunk.populated >= c->segment_bytes / 2;
	if (spare)
		c->spare[c->spares++] = chunk;
	lock_release(&c->lock);
	if (spare)
		return;
	carena_punch(c, chunk.chunk, 0, chunk.populated);
	lock_acquire(&c->lock);
	cpool_chunk_free_locked(c, chunk.chunk);
	lock_release(&c->lock);
}

void
cpool_chunk_put(struct compressor *c, uint32_t segment)
{
	struct cseg *s = &c->rows[segment];
	struct cchunk chunk = { s->chunk, s->populated };

	/* A reader of the arena after a crash must not take the chunk for a segment. */
	if (chunk.populated > 0)
		((struct cseg_header *)cseg_bytes(c, s))->magic = 0;
	s->chunk = CHUNK_NONE;
	s->populated = 0;
	if (load_relaxed(&s->is_apart))
		fetch_sub_relaxed(&c->apart_core, 1);
	store_relaxed(&s->is_apart, false);
	cpool_chunk_drop(c, chunk);
}

uint32_t
cpool_row_get_locked(struct compressor *c)
{
	uint32_t segment = c->row_free, fresh = load_relaxed(&c->rows_fresh);

	lock_assert_held(&c->lock);
	if (segment != 0) {
		c->row_free = c->rows[segment].link[LINK_AGE].next;
		return segment;
	}
	if (fresh > c->rows_max)
		return 0;
	store_relaxed(&c->rows_fresh, fresh + 1);
	return fresh;
}

void
cpool_row_put_locked(struct compressor *c, uint32_t segment)
{
	lock_assert_held(&c->lock);
	c->rows[segment].link[LINK_AGE].next = c->row_free;
	c->row_free = segment;
}

uint32_t
cpool_reopen(struct compressor *c, uint32_t bytes)
{
	uint32_t segment;

	lock_acquire(&c->lock);
	for (segment = c->class_list[CLASS_OPEN].first; segment != 0;
	     segment = c->rows[segment].link[LINK_CLASS].next)
		if (open_end_bytes(&c->rows[segment]) >= bytes &&
		    cpool_leave_full_locked(c, segment, CSEG_FILLING, 0))
			break;
	lock_release(&c->lock);
	return segment;
}

bool
cpool_leave_full_locked(struct compressor *c, uint32_t segment, enum cseg_state to, unsigned needs)
{
	struct cseg *s = &c->rows[segment];

	lock_assert_held(&c->lock);
	if (!cseg_switch(c, segment, CSEG_FULL, to, needs, NULL))
		return false;
	cpool_classify_locked(c, segment, CLASS_NONE);
	/* A segment that is only compacted keeps its turn to be written out. */
	if (to == CSEG_WRITING || to == CSEG_RELEASING || to == CSEG_FILLING) {
		clist_remove(c, cpool_age_list(c, s), LINK_AGE, segment);
		s->is_aged = false;
	}
	return true;
}

/* --- memory that is kept -------------------------------------------------------------------- */

bool
cpool_spare_give(struct compressor *c)
{
	struct cchunk chunk = { CHUNK_NONE, 0 };

	lock_acquire(&c->lock);
	if (c->spares > 0)
		chunk = c->spare[--c->spares];
	lock_release(&c->lock);
	if (chunk.chunk == CHUNK_NONE)
		return false;
	carena_punch(c, chunk.chunk, 0, chunk.populated);
	lock_acquire(&c->lock);
	cpool_chunk_free_locked(c, chunk.chunk);
	lock_release(&c->lock);
	return true;
}

void
compressor_spare_set(struct compressor *c, size_t bytes)
{
	uint32_t most =
	    (uint32_t)min_u64(max_u64(bytes, c->open_bytes_max) / c->segment_bytes, SPARES_MAX);
	bool more;

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	do {
		lock_acquire(&c->lock);
		c->spares_max = most;
		more = c->spares > most;
		lock_release(&c->lock);
	} while (more && cpool_spare_give(c));
}

size_t
compressor_spare_bytes(struct compressor *c)
{
	size_t bytes = 0;

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	lock_acquire(&c->lock);
	for (uint32_t i = 0; i < c->spares; i++)
		bytes += c->spare[i].populated;
	lock_release(&c->lock);
	return bytes;
}
