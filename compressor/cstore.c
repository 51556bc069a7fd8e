/* SPDX-License-Identifier: MIT
 *
 * Pages in and out: the hot paths. Runs on: any thread; a store on its worker's. No allocation, no
 * lock unless a segment is opened or closed (store), moving (load) or changes its class (free).
 */
#include "compressor_priv.h"

#include <errno.h>

#include "cfill.h"
#include "check.h"
#include "ckept.h"
#include "cpage.h"
#include "cpool.h"
#include "cseg.h"
#include "csettle.h"
#include "cstat.h"
#include "cvacant.h"
#include "failpt.h"

static int
page_store(struct compressor *c, struct cworker *w, const void *page, struct cowner owner,
    int acceleration, struct cref *ret_cref, uint32_t *ret_bytes)
{
	int error = failpt_hit(FAIL_COMPRESS_NO_SPACE);
	uint32_t word;

	if (error)
		return error;
	if (codec_is_single_value(page, c->page_bytes, &word)) {
		*ret_cref = (struct cref){ UINT64_C(1) << CREF_SINGLE_BIT | word };
		*ret_bytes = 0;
		cstat_add(c, CSTAT_PAGES_SINGLE, 1);
		goto stored;
	}

	const void *payload = w->bounce;
	enum codec_id codec = acceleration == COMPRESS_DENSE ? CODEC_ZSTD : CODEC_LZ4;
	size_t length = codec_find(codec)->compress(
	    w->packer[codec], page, c->page_bytes, w->bounce, c->raw_limit, acceleration);

	if (length == 0) {
		codec = CODEC_RAW;
		payload = page;
		length = c->page_bytes;
	}
	if (w->is_apart ||
	    !cvacant_fill(c, owner, codec, payload, (uint32_t)length, ret_cref, ret_bytes))
		error = cfill_append(
		    c, w, owner, codec, payload, (uint32_t)length, ret_cref, ret_bytes);
	if (error)
		return error;
stored:
	cstat_add(c, CSTAT_PAGES, 1);
	cstat_add(c, CSTAT_COMPRESSIONS, 1);
	return 0;
}

int
compressor_store(struct compressor *c, unsigned worker, const void *page, struct cowner owner,
    int acceleration, struct cref *ret_cref, uint32_t *ret_bytes)
{
	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	CHECK(worker < c->keepers_first);
	return page_store(c, &c->workers[worker], page, owner, acceleration, ret_cref, ret_bytes);
}

int
compressor_keep(struct compressor *c, const void *page, struct cowner owner, int acceleration,
    struct cref *ret_cref, uint32_t *ret_bytes)
{
	int error = -ENOSPC;
	unsigned i;

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	CHECK(acceleration != COMPRESS_DENSE);
	for (i = c->keepers_first; i < c->workers_count; i++) {
		bool is_busy = false;

		if (!load_relaxed(&c->workers[i].busy) &&
		    cas_acq_rel(&c->workers[i].busy, &is_busy, true))
			break;
	}
	/* There is one for each thread; a thread that looked at it while another one had it may
	 * have missed it, and is told that there is no room. */
	if (i == c->workers_count)
		return error;
	error = page_store(c, &c->workers[i], page, owner, acceleration, ret_cref, ret_bytes);
	store_release(&c->workers[i].busy, false);
	return error;
}

bool
compressor_has_segment(struct compressor *c, unsigned worker)
{
	uint32_t segment = c->workers[worker].segment;
	bool any;

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	if (segment != 0) {
		struct cseg *s = &c->rows[segment];

		if (load_relaxed(&s->slots) < c->slots_max &&
		    load_relaxed(&s->used) + cpage_padded(c, c->page_bytes) <= c->segment_bytes)
			return true;
	}
	lock_acquire(&c->lock);
	any = cpool_chunks_left_locked(c) > CHUNKS_KEPT &&
	      (c->row_free != 0 || load_relaxed(&c->rows_fresh) <= c->rows_max);
	lock_release(&c->lock);
	return any;
}

void READS_RACILY
compressor_prefetch(struct compressor *c, struct cref cref)
{
	uint32_t segment, slot;

	if (compressor_is_single_value(cref))
		return;
	struct cseg *s = cref_row(c, cref, &segment, &slot);
	uint64_t e = load_relaxed(&cseg_directory(c, segment)[slot]);
	uint32_t chunk = s->chunk;

	/* The page may be moving: then the wrong lines are fetched, which does no harm. */
	if (chunk == CHUNK_NONE || !entry_is_page(e))
		return;
	const char *stored = c->arena + (size_t)chunk * c->segment_bytes + entry_offset(e);
	uint32_t bytes = CPAGE_HEADER_BYTES + entry_length(e);
	for (uint32_t i = 0; i < bytes; i += CACHE_LINE)
		__builtin_prefetch(stored + i);
}

int
compressor_load(struct compressor *c, struct cref cref, void *page)
{
	uint32_t segment, slot;

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	if (compressor_is_single_value(cref)) {
		codec_fill(page, c->page_bytes, (uint32_t)cref.v);
		cstat_add(c, CSTAT_DECOMPRESSIONS, 1);
		return 0;
	}

	struct cseg *s = cref_row(c, cref, &segment, &slot);
	int error = cseg_load_pin(c, segment);

	if (error)
		return error;
	uint64_t e = cref_entry(c, segment, slot);
	error = cpage_expand(c, cseg_bytes(c, s) + entry_offset(e), e, slot, s->generation, page);
	if (!load_relaxed(&s->referenced))
		store_relaxed(&s->referenced, 1);
	cseg_load_unpin(c, segment);
	return error;
}

struct cref
compressor_zeroes(struct compressor *c)
{
	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	cstat_add(c, CSTAT_PAGES, 1);
	cstat_add(c, CSTAT_PAGES_SINGLE, 1);
	return (struct cref){ UINT64_C(1) << CREF_SINGLE_BIT };
}

void
compressor_rename(struct compressor *c, struct cref cref, struct cowner owner)
{
	uint32_t segment, slot;

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	if (compressor_is_single_value(cref))
		return;
	struct cseg *s = cref_row(c, cref, &segment, &slot);
	struct cpage_header h;
	enum cseg_state state;
	char *stored;
	uint64_t e;

	if (cseg_load_pin(c, segment) != 0)
		return;
	/* With a pin, a segment that is FILLING or FULL neither slides nor is written. A thread
	 * that takes it apart may meet a name that is half written: the checksum tells it, and the
	 * page stays there. */
	state = word_state(load_acquire(&s->word));
	e = cref_entry(c, segment, slot);
	stored = cseg_bytes(c, s) + entry_offset(e);
	if ((state == CSEG_FILLING || state == CSEG_FULL) &&
	    cpage_renamed(c, stored, owner, e, slot, s->generation, &h)) {
		if (c->kept)
			ckept_rename(c, segment, slot, e, &h);
		else
			cpage_header_put(stored, &h);
	}
	cseg_load_unpin(c, segment);
}

void
compressor_free(struct compressor *c, struct cref cref)
{
	uint32_t segment, slot;

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	cstat_add(c, CSTAT_PAGES, (uint64_t)-1);
	if (compressor_is_single_value(cref)) {
		cstat_add(c, CSTAT_PAGES_SINGLE, (uint64_t)-1);
		return;
	}
	(void)cref_row(c, cref, &segment, &slot);
	cseg_slot_free(c, segment, slot);
}

bool
compressor_is_away(struct compressor *c, struct cref cref)
{
	uint32_t segment, slot;

	if (compressor_is_single_value(cref))
		return false;
	return cseg_state_is_away(
	    word_state(load_acquire(&cref_row(c, cref, &segment, &slot)->word)));
}

/* --- pages that keep apart ---------------------------------------------------------------- */

static void
kinds_exchange(struct cworker *w)
{
	uint32_t segment = w->segment;

	w->segment = w->other;
	w->other = segment;
	w->is_apart = !w->is_apart;
}

void
compressor_apart(struct compressor *c, unsigned worker, bool apart)
{
	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	CHECK(worker < c->workers_count);
	if (c->workers[worker].is_apart != apart)
		kinds_exchange(&c->workers[worker]);
}

int
compressor_gather(struct compressor *c, unsigned worker, struct cref cref, struct cowner owner,
    struct cref *ret_cref)
{
	struct cworker *w = &c->workers[worker];
	uint32_t segment, slot, bytes;
	struct cowner former;
	struct cseg *s;
	int error;

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	CHECK(worker < c->workers_count);
	if (compressor_is_single_value(cref))
		return -EAGAIN;
	s = cref_row(c, cref, &segment, &slot);
	if (load_relaxed(&s->is_apart))
		return -EAGAIN;
	error = cseg_load_pin(c, segment);
	if (error)
		return error;
	uint64_t e = cref_entry(c, segment, slot);
	const char *stored = cseg_bytes(c, s) + entry_offset(e);

	/* A copy of a damaged page would get a checksum that is right. */
	error = cpage_verify(c, stored, e, slot, s->generation, &former);
	if (error == 0)
		error = cfill_append(c, w, owner, entry_codec(e), stored + CPAGE_HEADER_BYTES,
		    entry_length(e), ret_cref, &bytes);
	cseg_load_unpin(c, segment);
	if (error == 0)
		cstat_add(c, CSTAT_PAGES, 1);
	return error;
}

void
compressor_apart_end(struct compressor *c, unsigned worker)
{
	struct cworker *w = &c->workers[worker];

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	CHECK(worker < c->workers_count && !w->is_apart);
	if (w->other == 0)
		return;
	kinds_exchange(w);
	cfill_close(c, w, false);
	kinds_exchange(w);
}

uint32_t
compressor_apart_segments(const struct compressor *c)
{
	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	return load_relaxed(&((struct compressor *)(uintptr_t)c)->apart_core);
}
