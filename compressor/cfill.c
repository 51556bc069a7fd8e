/* SPDX-License-Identifier: MIT
 *
 * The segment that a worker fills. Runs on: the worker's thread (compaction is a worker of its
 * own); other threads load and free pages in it meanwhile, and learn of a page when its directory
 * entry is there.
 */
#include "cfill.h"

#include <errno.h>
#include <string.h>

#include "carena.h"
#include "check.h"
#include "cpage.h"
#include "cpool.h"
#include "cseg.h"
#include "csettle.h"
#include "cstat.h"
#include "cvacant.h"
#include "failpt.h"

/* => an OPEN segment, BUSY, or 0 */
static uint32_t
open_take_locked(struct compressor *c)
{
	uint32_t segment = c->class_list[CLASS_OPEN].first;

	lock_assert_held(&c->lock);
	return segment != 0 && cpool_leave_full_locked(c, segment, CSEG_BUSY, 0) ? segment : 0;
}

bool
cfill_kept_give(struct compressor *c)
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

/* Makes the first `bytes` of a chunk there: a step further if the budget allows it, or by taking
 * memory that is only kept for later pages. => 0 and *populated, or -ENOMEM. */
static int
cfill_grow(struct compressor *c, uint32_t chunk, uint32_t *populated, uint32_t bytes)
{
	if (carena_grow(c, chunk, populated, bytes, c->grow_bytes) == 0)
		return 0;
	while (carena_grow(c, chunk, populated, bytes, c->hw_page_bytes) != 0)
		if (!cfill_kept_give(c))
			return -ENOMEM;
	return 0;
}

/* => a FREE row with `bytes` of populated memory, for the caller alone; 0: there is no row, no
 * memory, or no chunk but the last `keep`. */
static uint32_t
row_open(struct compressor *c, uint32_t bytes, uint32_t keep)
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
		if (cfill_grow(c, chunk.chunk, &chunk.populated, bytes) == 0) {
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

/* Begins the segment anew: no page lives in it and nobody reads it. */
static void
cfill_rewind(struct compressor *c, uint32_t segment)
{
	struct cseg *s = &c->rows[segment];

	/* Entries of pages that it held before are vacancies. */
	memset(cseg_directory(c, segment), 0, load_relaxed(&s->slots) * sizeof(uint64_t));
	s->generation = fetch_add_relaxed(&c->generation, 1) + 1;
	store_relaxed(&s->used, CSEG_HEADER_BYTES);
	store_relaxed(&s->slots, 0);
	cseg_header_write(c, segment, CSEG_FILLING);
}

/* => 0, or -ENOSPC. The former segment is closed only when there is a new one. */
static int
cfill_open(struct compressor *c, struct cworker *w, uint32_t bytes)
{
	bool compaction = w == &c->workers[c->workers_count];
	/* Pages that compaction gathers are cold, and stay apart from new ones; so do those that
	 * are to leave together. */
	uint32_t segment = compaction || w->is_apart ? 0 : cpool_reopen(c, bytes);

	if (segment == 0) {
		segment = row_open(c, CSEG_HEADER_BYTES + bytes, compaction ? 0 : CHUNKS_KEPT);
		if (segment == 0)
			return -ENOSPC;
		cfill_rewind(c, segment);
		failpt_die(FAIL_DIE_SEGMENT_OPEN);
		store_relaxed(&c->rows[segment].is_apart, w->is_apart);
		if (w->is_apart)
			fetch_add_relaxed(&c->apart_core, 1);
		CHECK(cseg_switch(c, segment, CSEG_FREE, CSEG_FILLING, NEED_NO_PAGES, NULL));
	}
	if (w->segment != 0)
		cfill_close(c, w, compaction);
	w->segment = segment;
	return 0;
}

void
cfill_close(struct compressor *c, struct cworker *w, bool cold)
{
	uint32_t segment = w->segment;

	w->segment = 0;
	carena_trim(c, segment);
	cvacant_close(c, segment);
	cpool_enter_full(c, segment, CSEG_FILLING, cold ? ENTER_OLDEST : 0);
}

/* => where the next stored page of up to `bytes` would begin, populated. NULL: the worker's segment
 * has no room (*ret_refused false), or there is no memory (true). */
static char *
cfill_tail(struct compressor *c, struct cworker *w, uint32_t bytes, bool *ret_refused)
{
	*ret_refused = false;
	if (w->segment == 0)
		return NULL;

	struct cseg *s = &c->rows[w->segment];
	uint64_t word = load_acquire(&s->word);

	if (word_live(word) == 0 && word_loads(word) == 0 && load_relaxed(&s->slots) > 0)
		cfill_rewind(c, w->segment);
	uint32_t used = load_relaxed(&s->used);
	if (load_relaxed(&s->slots) == c->slots_max || used + bytes > c->segment_bytes)
		return NULL;
	if (cfill_grow(c, s->chunk, &s->populated, used + bytes) != 0) {
		*ret_refused = true;
		return NULL;
	}
	return cseg_bytes(c, s) + used;
}

int
cfill_append(struct compressor *c, struct cworker *w, struct cowner owner, enum codec_id codec,
    const void *payload, uint32_t length, struct cref *ret_cref, uint32_t *ret_bytes)
{
	uint32_t bytes = cpage_padded(c, length);
	bool refused;
	char *tail = cfill_tail(c, w, bytes, &refused);

	if (tail == NULL) {
		if (refused || cfill_open(c, w, bytes) != 0)
			return -ENOSPC;
		tail = cfill_tail(c, w, bytes, &refused);
		CHECK(tail != NULL);
	}

	struct cseg *s = &c->rows[w->segment];
	uint32_t slot = load_relaxed(&s->slots);
	uint32_t used = load_relaxed(&s->used);
	uint64_t entry = entry_make(used, bytes, length, codec);

	cpage_write(c, tail, owner, payload, entry, slot, s->generation);
	store_relaxed(&s->used, used + bytes);
	store_relaxed(&s->slots, slot + 1);
	store_release(&cseg_directory(c, w->segment)[slot], entry);
	fetch_add_acq_rel(&s->word, word_page(bytes));
	cstat_add(c, CSTAT_BYTES_ALL, bytes);
	if (codec == CODEC_RAW)
		cstat_add(c, CSTAT_PAGES_RAW, 1);
	*ret_cref = cref_make(w->segment, slot);
	*ret_bytes = bytes;
	return 0;
}

void
cfill_unappend(struct compressor *c, struct cworker *w, struct cref cref)
{
	uint32_t segment, slot;
	struct cseg *s = cref_row(c, cref, &segment, &slot);

	CHECK(segment == w->segment && slot + 1 == load_relaxed(&s->slots));
	store_relaxed(&s->used, entry_offset(cref_entry(c, segment, slot)));
	store_relaxed(&s->slots, slot);
	cseg_slot_free(c, segment, slot);
	store_release(&cseg_directory(c, segment)[slot], 0);
}
