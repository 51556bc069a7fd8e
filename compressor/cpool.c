/* SPDX-License-Identifier: MIT
 *
 * All segments: free rows and chunks, the age list, classes for compaction, released places. Runs
 * on: any thread, under the pool lock, which nothing holds for long: memory is given back and bytes
 * are moved outside of it.
 */
#include "compressor_priv.h"

#include "check.h"

/* --- lists by row number ------------------------------------------------------------------ */

void
clist_add_tail(struct compressor *c, struct clist *l, unsigned link, uint32_t segment)
{
	struct cseg *s = &c->rows[segment];

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
	/* What is less than half full is merged, and its waste goes with it. */
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

	/* An open one is as good as any other until there is something to slide again. */
	return class == CLASS_OPEN ? now < CLASS_WASTE : class == now;
}

static uint32_t
open_end_bytes(const struct cseg *s)
{
	return s->populated - load_relaxed(&s->used);
}

static void
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

static void
chunk_free_locked(struct compressor *c, uint32_t chunk)
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
	chunk_free_locked(c, chunk.chunk);
	lock_release(&c->lock);
}

void
cpool_chunk_put(struct compressor *c, uint32_t segment)
{
	struct cseg *s = &c->rows[segment];
	struct cchunk chunk = { s->chunk, s->populated };

	/* What lies there is nobody's any more, also to who finds it after us. */
	if (chunk.populated > 0)
		((struct cseg_header *)cseg_bytes(c, s))->magic = 0;
	s->chunk = CHUNK_NONE;
	s->populated = 0;
	cpool_chunk_drop(c, chunk);
}

/* => an OPEN segment, BUSY, or 0 */
static uint32_t
open_take_locked(struct compressor *c)
{
	uint32_t segment = c->class_list[CLASS_OPEN].first;

	return segment != 0 && cpool_leave_full_locked(c, segment, CSEG_BUSY, 0) ? segment : 0;
}

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
	chunk_free_locked(c, chunk.chunk);
	lock_release(&c->lock);
	return true;
}

bool
cpool_kept_give(struct compressor *c)
{
	uint32_t segment;

	if (cpool_spare_give(c))
		return true;
	lock_acquire(&c->lock);
	segment = open_take_locked(c);
	lock_release(&c->lock);
	if (segment == 0)
		return false;
	carena_trim(c, segment);
	cvacant_close(c, segment);
	cpool_enter_full(c, segment, CSEG_BUSY, 0);
	return true;
}

static uint32_t
cpool_row_get_locked(struct compressor *c)
{
	uint32_t segment = c->row_free, fresh = load_relaxed(&c->rows_fresh);

	if (segment != 0) {
		c->row_free = c->rows[segment].link[LINK_AGE].next;
		return segment;
	}
	if (fresh > c->rows_max)
		return 0;
	store_relaxed(&c->rows_fresh, fresh + 1);
	return fresh;
}

static void
cpool_row_put_locked(struct compressor *c, uint32_t segment)
{
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

uint32_t
cpool_open(struct compressor *c, uint32_t bytes, uint32_t keep)
{
	uint32_t segment = 0;

	lock_acquire(&c->lock);
	struct cchunk chunk = cpool_chunk_get_locked(c, keep);
	if (chunk.chunk != CHUNK_NONE)
		segment = cpool_row_get_locked(c);
	lock_release(&c->lock);
	if (chunk.chunk == CHUNK_NONE)
		return 0;

	struct cseg *s = &c->rows[segment]; /* row 0, if there is none: never used */
	if (segment != 0) {
		s->chunk = CHUNK_NONE;
		if (carena_grow(c, chunk.chunk, &chunk.populated, bytes) == 0) {
			s->chunk = chunk.chunk;
			s->populated = chunk.populated;
			store_relaxed(&s->referenced, 0);
			return segment;
		}
		lock_acquire(&c->lock);
		cpool_row_put_locked(c, segment);
		lock_release(&c->lock);
	}
	cpool_chunk_drop(c, chunk);
	return 0;
}

/* --- entering and leaving FULL ------------------------------------------------------------ */

static void
place_enqueue_locked(struct compressor *c, uint32_t segment)
{
	struct cseg *s = &c->rows[segment];

	lock_assert_held(&c->lock);
	s->place_next = 0;
	if (c->places.last != 0)
		c->rows[c->places.last].place_next = segment;
	else
		c->places.first = segment;
	c->places.last = segment;
	c->places.count++;
}

bool
compressor_place_released(struct compressor *c, struct cplace *ret_place)
{
	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	lock_acquire(&c->lock);
	uint32_t segment = c->places.first;
	if (segment != 0) {
		struct cseg *s = &c->rows[segment];

		c->places.first = s->place_next;
		if (c->places.first == 0)
			c->places.last = 0;
		c->places.count--;
		*ret_place = s->place;
		CHECK(cseg_switch(c, segment, CSEG_EMPTY, CSEG_FREE, 0, NULL));
		cpool_row_put_locked(c, segment);
	}
	lock_release(&c->lock);
	return segment != 0;
}

bool
cpool_leave_full_locked(struct compressor *c, uint32_t segment, enum cseg_state to, unsigned needs)
{
	struct cseg *s = &c->rows[segment];

	lock_assert_held(&c->lock);
	if (!cseg_switch(c, segment, CSEG_FULL, to, needs, NULL))
		return false;
	cpool_classify_locked(c, segment, CLASS_NONE);
	/* Who only compacts keeps the segment's turn to be written. */
	if (to == CSEG_WRITING || to == CSEG_RELEASING || to == CSEG_FILLING) {
		clist_remove(c, &c->age, LINK_AGE, segment);
		s->is_aged = false;
	}
	return true;
}

void
cpool_enter_full(struct compressor *c, uint32_t segment, enum cseg_state from, unsigned how)
{
	struct cseg *s = &c->rows[segment];
	enum cclass class;
	uint64_t word;
	bool settle;

	lock_acquire(&c->lock);
	CHECK(cseg_switch(c, segment, from, CSEG_FULL, 0, &word));
	if (!s->is_aged) {
		if (how & ENTER_OLDEST)
			clist_add_head(c, &c->age, LINK_AGE, segment);
		else
			clist_add_tail(c, &c->age, LINK_AGE, segment);
		s->is_aged = true;
	}
	class = cclass_of(c, load_relaxed(&s->used), word);
	if (how & ENTER_STUCK)
		class = CLASS_STUCK;
	else if ((how & ENTER_OPEN) && class < CLASS_WASTE)
		class = CLASS_OPEN;
	cpool_classify_locked(c, segment, class);
	settle = word_live(word) == 0;
	lock_release(&c->lock);
	if (settle)
		cpool_settle(c, segment);
}

/* RELEASING -> FREE */
static void
cpool_release(struct compressor *c, uint32_t segment)
{
	cpool_chunk_put(c, segment);
	lock_acquire(&c->lock);
	CHECK(cseg_switch(c, segment, CSEG_RELEASING, CSEG_FREE, 0, NULL));
	cpool_row_put_locked(c, segment);
	lock_release(&c->lock);
}

void
cpool_settle(struct compressor *c, uint32_t segment)
{
	struct cseg *s = &c->rows[segment];
	bool release = false;

	lock_acquire(&c->lock);
	uint64_t word = load_acquire(&s->word);
	enum cseg_state state = word_state(word);

	if (state == CSEG_FULL) {
		release = cpool_leave_full_locked(
		    c, segment, CSEG_RELEASING, NEED_NO_LOADS | NEED_NO_PAGES);
		if (!release && !cclass_fits(c, s, word))
			cpool_classify_locked(
			    c, segment, cclass_of(c, load_relaxed(&s->used), word));
	} else if (state == CSEG_AWAY && cseg_switch(c, segment, CSEG_AWAY, CSEG_EMPTY,
					     NEED_NO_READS | NEED_NO_PAGES, NULL)) {
		place_enqueue_locked(c, segment);
	}
	lock_release(&c->lock);
	if (release)
		cpool_release(c, segment);
}
