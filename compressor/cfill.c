/* SPDX-License-Identifier: MIT
 *
 * The segment that a worker fills. Runs on: the worker's thread (compaction is a worker of its
 * own); other threads load and free pages in it meanwhile, and know a page only once its directory
 * entry is there.
 */
#include "compressor_priv.h"

#include <errno.h>
#include <string.h>

#include "check.h"

/* Begins the segment anew: nothing lives in it and nobody reads it. */
static void
cfill_rewind(struct compressor *c, uint32_t segment)
{
	struct cseg *s = &c->rows[segment];

	/* Vacancies of what it held before. */
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
	/* What compaction gathers is cold, and stays by itself. */
	uint32_t segment = compaction ? 0 : cpool_reopen(c, bytes);

	if (segment == 0) {
		segment = cpool_open(c, CSEG_HEADER_BYTES + bytes, compaction ? 0 : CHUNKS_KEPT);
		if (segment == 0)
			return -ENOSPC;
		cfill_rewind(c, segment);
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

char *
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
	if (carena_grow(c, s->chunk, &s->populated, used + bytes) != 0) {
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
