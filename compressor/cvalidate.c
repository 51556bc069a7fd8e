/* SPDX-License-Identifier: MIT
 *
 * The equations of compressor_priv.h as code. Runs on: any thread. They hold while no other call is
 * under way: a change that takes two steps looks wrong here in between, and the caller looks again
 * (daemon/audit/check_storage.c).
 */
#include "compressor_priv.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "check.h"
#include "cpool.h"
#include "cseg.h"
#include "cstat.h"

struct walk {
	struct compressor *c;
	char *msg;
	size_t msg_size;
	uint32_t *chunk_user; /* row that has the chunk, 0 = none */
	uint64_t populated, open_bytes, pages, pages_raw, bytes, pages_away, bytes_away;
	uint32_t core, away, aged, apart, apart_core, free_rows, queued, classes[CLASS_COUNT];
};

static bool PRINTF_LIKE(2, 3) wrong(struct walk *w, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	if (w->msg != NULL && w->msg_size > 0)
		vsnprintf(w->msg, w->msg_size, fmt, args);
	va_end(args);
	return false;
}

static bool READS_RACILY
slots_are_valid(struct walk *w, uint32_t i, uint64_t word)
{
	struct compressor *c = w->c;
	struct cseg *s = &c->rows[i];
	uint32_t used = load_relaxed(&s->used), slots = load_relaxed(&s->slots),
		 end = CSEG_HEADER_BYTES;
	uint32_t live = 0, bytes = 0;

	for (uint32_t slot = 0; slot < c->slots_max; slot++) {
		uint64_t e = load_acquire(&cseg_directory(c, i)[slot]);
		uint32_t needs = cpage_padded(c, entry_length(e));

		if (e == 0)
			continue;
		if (slot >= slots || entry_offset(e) < end || entry_offset(e) % UNIT_BYTES != 0 ||
		    entry_room(e) % c->grain_bytes != 0 || entry_room(e) < needs)
			return wrong(w, "segment %u slot %u: at %u, %u bytes for %u, after %u", i,
			    slot, entry_offset(e), entry_room(e), needs, end);
		end = entry_offset(e) + entry_room(e);
		if (e & ENTRY_VACANT)
			continue;
		live++;
		bytes += needs;
		w->pages_raw += entry_codec(e) == CODEC_RAW;
		if (entry_length(e) == 0 || entry_length(e) > c->page_bytes ||
		    codec_find(entry_codec(e)) == NULL ||
		    (entry_codec(e) == CODEC_RAW) != (entry_length(e) == c->page_bytes))
			return wrong(w, "segment %u slot %u: %u bytes by codec %u", i, slot,
			    entry_length(e), (unsigned)entry_codec(e));
	}
	if (live > 0 && end > used)
		return wrong(w, "segment %u: pages end at %u, used is %u", i, end, used);
	if (live != word_live(word) || bytes != word_bytes(word))
		return wrong(w, "segment %u %s: %u pages of %u bytes, counted %u of %u", i,
		    cseg_state_name(word_state(word)), live, bytes, word_live(word),
		    word_bytes(word));
	w->pages += live;
	w->bytes += bytes;
	return true;
}

static bool READS_RACILY
memory_is_valid(struct walk *w, uint32_t i, enum cseg_state state)
{
	struct compressor *c = w->c;
	struct cseg *s = &c->rows[i];
	bool in_core = state == CSEG_FILLING || state == CSEG_FULL || state == CSEG_WRITING;

	if (in_core != (s->chunk != CHUNK_NONE))
		return wrong(w, "segment %u %s: chunk %u", i, cseg_state_name(state), s->chunk);
	if (!in_core)
		return s->populated == 0 || wrong(w, "segment %u holds memory without a chunk", i);
	if (s->chunk >= c->chunks_fresh || w->chunk_user[s->chunk] != 0)
		return wrong(w, "segment %u: chunk %u is segment %u's", i, s->chunk,
		    s->chunk < c->chunks_fresh ? w->chunk_user[s->chunk] : 0);
	w->chunk_user[s->chunk] = i;
	if (load_relaxed(&s->used) > s->populated || s->populated > c->segment_bytes)
		return wrong(w, "segment %u: %u used, %u populated", i, load_relaxed(&s->used),
		    s->populated);
	w->populated += s->populated;
	const struct cseg_header *h = (const struct cseg_header *)cseg_bytes(c, s);
	if (h->magic != CSEG_MAGIC || h->segment != i || h->generation != s->generation)
		return wrong(w, "segment %u: its header says segment %u", i, h->segment);
	return true;
}

static bool READS_RACILY
row_is_valid(struct walk *w, uint32_t i)
{
	struct compressor *c = w->c;
	struct cseg *s = &c->rows[i];
	uint64_t word = load_acquire(&s->word), before = w->pages;
	enum cseg_state state = word_state(word);
	enum cclass class = (enum cclass)load_relaxed(&s->class_);

	if (state == CSEG_SLIDING || state == CSEG_BUSY || state == CSEG_DEPARTING ||
	    state == CSEG_PLACING || state == CSEG_RELEASING || word_loads(word) > 0)
		return wrong(w, "segment %u %s, %u loads: not at rest", i, cseg_state_name(state),
		    word_loads(word));
	if (!slots_are_valid(w, i, word) || !memory_is_valid(w, i, state))
		return false;
	if ((state == CSEG_FULL) != s->is_aged || (state == CSEG_FULL) != (class != CLASS_NONE))
		return wrong(w, "segment %u %s: aged %d class %u", i, cseg_state_name(state),
		    s->is_aged, class);
	if (state == CSEG_FULL && class != CLASS_STUCK && !cclass_fits(c, s, word))
		return wrong(w, "segment %u: in class %u", i, class);
	if (class == CLASS_OPEN)
		w->open_bytes += s->populated - load_relaxed(&s->used);
	if ((state == CSEG_FULL || state == CSEG_AWAY) && word_live(word) == 0)
		return wrong(w, "segment %u %s: nothing lives in it", i, cseg_state_name(state));
	if ((state == CSEG_FREE || state == CSEG_EMPTY) && word_live(word) != 0)
		return wrong(w, "segment %u %s: pages live in it", i, cseg_state_name(state));
	w->aged += state == CSEG_FULL && !load_relaxed(&s->is_apart);
	w->apart += state == CSEG_FULL && load_relaxed(&s->is_apart);
	w->apart_core += load_relaxed(&s->is_apart);
	w->classes[class] += state == CSEG_FULL;
	w->free_rows += state == CSEG_FREE;
	w->queued += state == CSEG_EMPTY;
	w->core += state == CSEG_FILLING || state == CSEG_FULL || state == CSEG_WRITING;
	if (state == CSEG_AWAY) {
		w->away++;
		w->pages_away += w->pages - before;
		w->bytes_away += word_bytes(word);
	}
	return true;
}

/* Walks a list: each link in both directions, and the count. */
static bool
list_is_valid(
    struct walk *w, const struct clist *l, unsigned link, uint32_t expected, const char *name)
{
	uint32_t n = 0, prev = 0;

	for (uint32_t i = l->first; i != 0 && n <= l->count; i = w->c->rows[i].link[link].next) {
		if (w->c->rows[i].link[link].prev != prev)
			return wrong(w, "%s list: segment %u points back to %u, not %u", name, i,
			    w->c->rows[i].link[link].prev, prev);
		prev = i;
		n++;
	}
	if (n != l->count || n != expected || l->last != prev)
		return wrong(w, "%s list: %u linked, %u counted, %u belong there", name, n,
		    l->count, expected);
	return true;
}

static bool
lists_are_valid(struct walk *w)
{
	struct compressor *c = w->c;
	uint32_t rows = 0, chunks = 0;

	if (!list_is_valid(w, &c->age, LINK_AGE, w->aged, "age") ||
	    !list_is_valid(w, &c->apart, LINK_AGE, w->apart, "apart"))
		return false;
	for (unsigned i = CLASS_DENSE; i < CLASS_COUNT; i++)
		if (!list_is_valid(w, &c->class_list[i], LINK_CLASS, w->classes[i], "class"))
			return false;
	for (uint32_t i = c->row_free; i != 0 && rows <= w->free_rows;
	     i = c->rows[i].link[LINK_AGE].next)
		rows++;
	if (rows != w->free_rows || c->places.count != w->queued)
		return wrong(w, "%u rows free, %u listed; %u places queued, %u counted",
		    w->free_rows, rows, w->queued, c->places.count);
	for (uint32_t i = c->chunk_free; i != CHUNK_NONE && chunks <= c->chunks_free;
	     i = c->chunk_next[i]) {
		if (w->chunk_user[i] != 0)
			return wrong(w, "free chunk %u is segment %u's", i, w->chunk_user[i]);
		chunks++;
	}
	for (uint32_t i = 0; i < c->spares; i++) {
		if (w->chunk_user[c->spare[i].chunk] != 0)
			return wrong(w, "spare chunk %u is in use", c->spare[i].chunk);
		w->populated += c->spare[i].populated;
	}
	if (chunks != c->chunks_free || chunks + c->spares + w->core != c->chunks_fresh)
		return wrong(w, "%u chunks: %u free, %u listed, %u spare, %u in use",
		    c->chunks_fresh, c->chunks_free, chunks, c->spares, w->core);
	return true;
}

static bool
figures_are_valid(struct walk *w)
{
	struct compressor *c = w->c;
	const struct {
		const char *name;
		uint64_t walked, counted;
	} sums[] = {
		{ "pages", w->pages + cstat_sum(c, CSTAT_PAGES_SINGLE), cstat_sum(c, CSTAT_PAGES) },
		{ "raw pages", w->pages_raw, cstat_sum(c, CSTAT_PAGES_RAW) },
		{ "pages away", w->pages_away, cstat_sum(c, CSTAT_PAGES_AWAY) },
		{ "bytes", w->bytes, cstat_sum(c, CSTAT_BYTES_ALL) },
		{ "bytes away", w->bytes_away, cstat_sum(c, CSTAT_BYTES_AWAY) },
		{ "open bytes", w->open_bytes, c->open_bytes },
		{ "segments apart", w->apart_core, load_relaxed(&c->apart_core) },
		{ "populated bytes", w->populated, cstat_sum(c, CSTAT_POPULATED) },
		{ "segments in core", w->core, cstat_sum(c, CSTAT_SEGMENTS_CORE) },
		{ "segments away", w->away, cstat_sum(c, CSTAT_SEGMENTS_AWAY) },
	};

	for (size_t i = 0; i < ARRAY_LEN(sums); i++)
		if (sums[i].walked != sums[i].counted)
			return wrong(w, "%s: %llu found, %llu counted", sums[i].name,
			    (unsigned long long)sums[i].walked,
			    (unsigned long long)sums[i].counted);
	return true;
}

bool
compressor_is_valid(struct compressor *c, char *msg, size_t msg_size)
{
	struct walk w = { .c = c, .msg = msg, .msg_size = msg_size };
	bool ok = true;

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	w.chunk_user = calloc((size_t)c->chunks_max + 1, sizeof(*w.chunk_user));
	if (w.chunk_user == NULL)
		return wrong(&w, "no memory to look");
	lock_acquire(&c->lock);
	for (uint32_t i = 1; i < load_relaxed(&c->rows_fresh) && ok; i++)
		ok = row_is_valid(&w, i);
	ok = ok && lists_are_valid(&w) && figures_are_valid(&w);
	lock_release(&c->lock);
	free(w.chunk_user);
	return ok;
}
