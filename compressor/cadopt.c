/* SPDX-License-Identifier: MIT
 *
 * What another process has left is taken over. What a row's owner was doing to it is not finished:
 * a segment in core becomes FULL with the pages that somebody names, or is given up; what lies in
 * the arena behind what rows say is punched. All lists, classes and figures are made anew. Any step
 * may be the last one: the tables are such at each moment that the next process can do the same
 * again.
 *
 * Runs on: the thread that creates the compressor, while nobody else calls.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "carena.h"
#include "check.h"
#include "ckept.h"
#include "cpage.h"
#include "cpool.h"
#include "cseg.h"
#include "csettle.h"
#include "cstat.h"
#include "cvacant.h"

/* A move or a new header that may have been cut short is made again, unless the move was done, or
 * the page was freed. */
static void
aside_redo(struct compressor *c, struct caside *a)
{
	enum caside_use use = load_acquire(&a->used);
	atomic_uint_least64_t *entry;
	enum cseg_state state;
	struct cseg *s;

	if (use == ASIDE_NONE)
		return;
	CHECK(a->segment > 0 && a->segment <= c->rows_max && a->slot < c->slots_max);
	s = &c->rows[a->segment];
	entry = &cseg_directory(c, a->segment)[a->slot];
	state = word_state(load_acquire(&s->word));
	if (use == ASIDE_RENAMED && cseg_state_has_pages(state) && !cseg_state_is_away(state) &&
	    load_acquire(entry) == a->from) {
		memcpy(cseg_bytes(c, s) + entry_offset(a->from), a->bytes,
		    sizeof(struct cpage_header));
	} else if (use == ASIDE_SLIDES && state == CSEG_SLIDING && load_acquire(entry) == a->from) {
		memcpy(cseg_bytes(c, s) + entry_offset(a->to), a->bytes,
		    cpage_padded(c, entry_length(a->to)));
		store_release(entry, a->to);
	}
	store_release(&a->used, ASIDE_NONE);
}

static size_t
named_index(const struct compressor *c, uint32_t segment, uint32_t slot)
{
	return (size_t)segment * c->slots_max + slot;
}

static bool
is_named(const struct compressor *c, uint32_t segment, uint32_t slot)
{
	size_t i = named_index(c, segment, slot);

	return c->kept->named[i / 8] >> i % 8 & 1;
}

int
compressor_adopt_begin(struct compressor *c)
{
	struct ckept *k = c->kept;
	struct arena_run run = { 0 };
	uint64_t end = 0;

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	CHECK(k && k->was_there && !k->named);
	/* Rows beyond the last page that has data were never used. */
	while (arena_next_data(k->fd, end, k->rows_bytes, &run))
		end = run.end;
	store_relaxed(&c->rows_fresh,
	    (uint32_t)max_u64(1, min_u64(end / sizeof(struct cseg), (uint64_t)c->rows_max + 1)));
	k->named_bytes = named_index(c, load_relaxed(&c->rows_fresh), 0) / 8 + 1;
	k->named = calloc(1, k->named_bytes);
	if (!k->named)
		return -ENOMEM;
	for (unsigned i = 0; i < SLIDE_LOCKS; i++)
		aside_redo(c, ckept_aside(c, i));
	return 0;
}

/* The entry of a handle that may be wrong. => 0: there is no such page, or somebody has it */
static uint64_t
entry_left(const struct compressor *c, struct cref cref, uint32_t *ret_segment, uint32_t *ret_slot)
{
	uint64_t segment = cref.v >> CREF_SLOT_BITS, e;
	uint32_t slot = (uint32_t)cref.v & (CSEG_SLOTS_MAX - 1);

	CHECK(c->kept && c->kept->named);
	if (segment == 0 || segment >= load_relaxed(&c->rows_fresh) || slot >= c->slots_max)
		return 0;
	*ret_segment = (uint32_t)segment;
	*ret_slot = slot;
	e = load_acquire(&c->directory[segment * c->slots_max + slot]);
	return cseg_state_has_pages(word_state(load_acquire(&c->rows[segment].word))) &&
		       entry_is_page(e) && !is_named(c, *ret_segment, slot)
		   ? e
		   : 0;
}

bool
compressor_adopt(struct compressor *c, struct cref cref)
{
	uint32_t segment, slot;
	size_t i;

	CHECK(c->kept && c->kept->named);
	if (!compressor_is_single_value(cref)) {
		if (entry_left(c, cref, &segment, &slot) == 0)
			return false;
		i = named_index(c, segment, slot);
		c->kept->named[i / 8] |= (uint8_t)(1u << i % 8);
	} else {
		cstat_add(c, CSTAT_PAGES_SINGLE, 1);
	}
	cstat_add(c, CSTAT_PAGES, 1);
	return true;
}

int
compressor_adopt_load(struct compressor *c, struct cref cref, void *page)
{
	uint32_t segment, slot;
	struct cseg *s;
	uint64_t e;

	if (compressor_is_single_value(cref)) {
		codec_fill(page, c->page_bytes, (uint32_t)cref.v);
		return 0;
	}
	e = entry_left(c, cref, &segment, &slot);
	if (e == 0)
		return -EIO;
	s = &c->rows[segment];
	if (cseg_state_is_away(word_state(load_acquire(&s->word))))
		return -EAGAIN;
	CHECK(s->chunk < c->chunks_max && entry_offset(e) + entry_room(e) <= c->segment_bytes);
	return cpage_expand(c, cseg_bytes(c, s) + entry_offset(e), e, slot, s->generation, page);
}

int
compressor_adopt_place(struct compressor *c, struct cref cref, struct cread *ret)
{
	uint32_t segment, slot;
	uint64_t e = entry_left(c, cref, &segment, &slot);

	if (e == 0 || !cseg_state_is_away(word_state(load_acquire(&c->rows[segment].word))))
		return -EIO;
	*ret = (struct cread){ c->rows[segment].place, entry_offset(e),
		cpage_padded(c, entry_length(e)) };
	return 0;
}

int
compressor_adopt_decode(struct compressor *c, struct cref cref, const void *bytes, void *page)
{
	uint32_t segment, slot;
	uint64_t e = entry_left(c, cref, &segment, &slot);

	return e == 0 ? -EIO : cpage_expand(c, bytes, e, slot, c->rows[segment].generation, page);
}

struct crestored {
	uint64_t pages; /* as they stand in a state word */
	uint32_t live, bytes, raw;
	uint32_t used, slots; /* ends of what entries say */
};

/* Entries of pages that nobody names become vacancies. Entries are stored after `slots` counts
 * them, but for one, the vacancy at the end. */
static struct crestored
slots_restore(struct compressor *c, uint32_t segment)
{
	atomic_uint_least64_t *directory = cseg_directory(c, segment);
	uint32_t slots = (uint32_t)min_u64(load_relaxed(&c->rows[segment].slots) + 1, c->slots_max);
	struct crestored r = { .used = CSEG_HEADER_BYTES };

	for (uint32_t i = 0; i < slots; i++) {
		uint64_t e = load_acquire(&directory[i]);

		if (e == 0)
			continue;
		if (entry_is_page(e) && !is_named(c, segment, i)) {
			e |= ENTRY_VACANT;
			store_release(&directory[i], e);
		}
		r.used = (uint32_t)max_u64(r.used, entry_offset(e) + entry_room(e));
		r.slots = i + 1;
		if (e & ENTRY_VACANT)
			continue;
		r.live++;
		r.bytes += cpage_padded(c, entry_length(e));
		r.raw += entry_codec(e) == CODEC_RAW;
		r.pages += word_page(cpage_padded(c, entry_length(e)));
	}
	return r;
}

static void
counts_restore(struct compressor *c, const struct crestored *r, bool is_away)
{
	cstat_add(c, CSTAT_BYTES_ALL, r->bytes);
	cstat_add(c, CSTAT_PAGES_RAW, r->raw);
	cstat_add(c, is_away ? CSTAT_SEGMENTS_AWAY : CSTAT_SEGMENTS_CORE, 1);
	if (!is_away)
		return;
	cstat_add(c, CSTAT_PAGES_AWAY, r->live);
	cstat_add(c, CSTAT_BYTES_AWAY, r->bytes);
}

/* The row holds nothing. */
static void
row_free(struct compressor *c, uint32_t segment)
{
	struct cseg *s = &c->rows[segment];
	uint32_t slots = (uint32_t)min_u64(load_relaxed(&s->slots) + 1, c->slots_max);

	store_release(&s->word, CSEG_FREE);
	for (uint32_t i = 0; i < slots; i++)
		store_relaxed(&cseg_directory(c, segment)[i], 0);
	store_relaxed(&s->slots, 0);
	s->chunk = CHUNK_NONE;
	s->populated = 0;
	lock_acquire(&c->lock);
	cpool_row_put_locked(c, segment);
	lock_release(&c->lock);
}

/* In core, with pages that are named. The chunk is marked in `chunks`. */
static void
core_restore(struct compressor *c, uint32_t segment, const struct crestored *r, uint8_t *chunks)
{
	struct cseg *s = &c->rows[segment];
	uint32_t keep = round_up_u32(r->used, c->hw_page_bytes);

	CHECKF(s->chunk < c->chunks_max && !chunks[s->chunk] && keep <= c->segment_bytes,
	    "segment %u: chunk %u, %u bytes", segment, s->chunk, keep);
	chunks[s->chunk] = 1;
	c->chunks_fresh = (uint32_t)max_u64(c->chunks_fresh, s->chunk + 1);
	s->populated = keep;
	store_relaxed(&s->used, r->used);
	store_relaxed(&s->slots, r->slots);
	/* One store: at no moment is the row without its pages. */
	store_release(&s->word, CSEG_FILLING | r->pages);
	counts_restore(c, r, false);
}

/* => whether it is in core */
static bool
row_restore(struct compressor *c, uint32_t segment, uint8_t *chunks)
{
	struct cseg *s = &c->rows[segment];
	enum cseg_state state = word_state(load_acquire(&s->word));
	struct crestored r;

	store_relaxed(&c->generation, max_u64(load_relaxed(&c->generation), s->generation));
	memset(s->link, 0, sizeof(s->link));
	s->place_next = 0;
	store_relaxed(&s->class_, CLASS_NONE);
	store_relaxed(&s->referenced, 0);
	s->is_aged = false;
	store_relaxed(&s->is_apart, false);
	if (!cseg_state_has_pages(state)) {
		row_free(c, segment);
		return false;
	}
	r = slots_restore(c, segment);
	if (r.live == 0) {
		row_free(c, segment);
		return false;
	}
	if (!cseg_state_is_away(state)) {
		core_restore(c, segment, &r, chunks);
		return true;
	}
	/* The place was known before DEPARTING. */
	s->chunk = CHUNK_NONE;
	s->populated = 0;
	store_release(&s->word, CSEG_AWAY | r.pages);
	counts_restore(c, &r, true);
	return false;
}

/* Of a run of the arena that has data, in one chunk: what no row has is given back. */
static void
chunk_restore(struct compressor *c, uint32_t chunk, uint64_t from, uint64_t to,
    const uint8_t *chunks, const uint32_t *owner)
{
	uint64_t begin = (uint64_t)chunk * c->segment_bytes, keep = begin;

	CHECK(begin <= from && from < to && to <= begin + c->segment_bytes);
	if (chunks[chunk])
		keep += c->rows[owner[chunk]].populated;
	if (keep < to)
		carena_hole(c, keep, (uint32_t)(begin + c->segment_bytes - keep));
}

/* Memory of the arena that no row has is given back. A run is looked for once, however many chunks
 * it covers, since the kernel looks at each of its pages. */
static void
arena_restore(struct compressor *c, const uint8_t *chunks, const uint32_t *owner)
{
	struct arena_run run;

	for (uint64_t at = 0; arena_next_data(c->fd, at, c->arena_bytes, &run); at = run.end)
		for (uint64_t from = run.start; from < run.end;) {
			uint32_t chunk = (uint32_t)(from / c->segment_bytes);
			uint64_t to = min_u64(run.end, ((uint64_t)chunk + 1) * c->segment_bytes);

			chunk_restore(c, chunk, from, to, chunks, owner);
			from = to;
		}
	lock_acquire(&c->lock);
	for (uint32_t i = 0; i < c->chunks_fresh; i++)
		if (!chunks[i])
			cpool_chunk_free_locked(c, i);
	lock_release(&c->lock);
}

size_t
compressor_adopt_end(struct compressor *c)
{
	struct ckept *k = c->kept;
	uint8_t *chunks = calloc(c->chunks_max, 1);
	uint32_t *owner = calloc(c->chunks_max, sizeof(*owner));
	uint64_t populated = 0;

	CHECK(k && k->named);
	if (!chunks || !owner) {
		free(chunks);
		free(owner);
		return SIZE_MAX;
	}
	for (uint32_t i = load_relaxed(&c->rows_fresh); i-- > 1;)
		if (row_restore(c, i, chunks)) {
			owner[c->rows[i].chunk] = i;
			populated += c->rows[i].populated;
		}
	arena_restore(c, chunks, owner);
	cstat_add(c, CSTAT_POPULATED, populated);
	for (uint32_t i = 0; i < c->chunks_fresh; i++)
		if (chunks[i]) {
			cvacant_close(c, owner[i]);
			cpool_enter_full(c, owner[i], CSEG_FILLING, 0);
		}
	free(chunks);
	free(owner);
	free(k->named);
	k->named = NULL;
	return populated;
}
