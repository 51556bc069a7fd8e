/* SPDX-License-Identifier: MIT
 *
 * Vacancies: what freed pages leave in FULL segments, kept by size, and filled with the next page of that size. A full pager
 * frees one stored page for each that it stores, of the same mix of sizes: so nearly every page finds a vacancy, and little is
 * left for compaction to move.
 *
 * A vacancy is a directory entry with ENTRY_VACANT: it keeps its place and size. The lists here are hints: one entry a vacancy at
 * most where it counts, and entries of vacancies that have gone meanwhile (slid over, written out, released) are passed over. Who
 * takes one holds the segment FULL by a pin and claims the entry. Runs on: any thread frees, workers fill.
 */
#include "cseg_priv.h"

#include <string.h>

#include "check.h"

static struct cvacant *
vacant_of(struct compressor *c, uint32_t bytes)
{
	return &c->vacant[bytes / c->grain_bytes];
}

void
cvacant_put(struct compressor *c, uint32_t segment, uint32_t slot, uint32_t bytes)
{
	struct cvacant *h = vacant_of(c, bytes);

	lock_acquire(&h->lock);
	/* No room: compaction will come to it. */
	if (h->count < VACANT_MAX)
		h->item[h->count++] = cref_make(segment, slot);
	lock_release(&h->lock);
}

static bool
cvacant_take(struct compressor *c, uint32_t bytes, uint32_t *ret_segment, uint32_t *ret_slot)
{
	struct cvacant *h = vacant_of(c, bytes);
	struct cref cref = CREF_NONE;

	lock_acquire(&h->lock);
	if (h->count > 0)
		cref = h->item[--h->count];
	lock_release(&h->lock);
	if (cref.v == 0)
		return false;
	(void)cref_row(c, cref, ret_segment, ret_slot);
	return true;
}

/* => *ret_entry, claimed: nobody else fills it, and the segment stays FULL and does not move until it is unpinned. */
static bool
vacant_claim(struct compressor *c, uint32_t segment, uint32_t slot, uint32_t bytes, uint64_t *ret_entry)
{
	atomic_uint_least64_t *entry = &cseg_directory(c, segment)[slot];
	uint64_t e;

	if (!cseg_full_pin(c, segment))
		return false;
	e = load_acquire(entry);
	if ((e & ENTRY_VACANT) && entry_bytes(e) == bytes && cas_acq_rel(entry, &e, 0)) {
		*ret_entry = e & ~ENTRY_VACANT;
		return true;
	}
	cseg_load_unpin(c, segment);
	return false;
}

bool
cvacant_fill(struct compressor *c, struct cowner owner, enum codec_id codec, const void *payload, uint32_t length,
    struct cref *ret_cref, uint32_t *ret_bytes)
{
	uint32_t bytes = cpage_padded(c, length), segment, slot;
	struct cpage_header *h;
	struct cseg *s;
	uint64_t e, word;

	do {
		if (!cvacant_take(c, bytes, &segment, &slot))
			return false;
	} while (!vacant_claim(c, segment, slot, bytes, &e));
	s = &c->rows[segment];
	h = (struct cpage_header *)(cseg_bytes(c, s) + entry_offset(e));
	*h = (struct cpage_header){ .object = owner.object, .page = owner.page, .meta = META_MAKE(length, codec, slot) };
	memcpy(h + 1, payload, length);
	cpage_seal(c, h, h + 1, s->generation);
	store_release(&cseg_directory(c, segment)[slot],
	    (uint64_t)bytes << 32 | entry_offset(e) | (codec == CODEC_RAW ? ENTRY_RAW : 0));
	word = fetch_add_acq_rel(&s->word, word_page(bytes)) + word_page(bytes);
	cstat_add(c, CSTAT_BYTES_ALL, bytes);
	cstat_add(c, CSTAT_REFILLED, 1);
	if (codec == CODEC_RAW)
		cstat_add(c, CSTAT_PAGES_RAW, 1);
	/* It has a young page now. */
	if (!load_relaxed(&s->referenced))
		store_relaxed(&s->referenced, 1);
	if (!cclass_fits(c, s, word))
		cpool_settle(c, segment);
	*ret_cref = cref_make(segment, slot);
	*ret_bytes = bytes;
	cseg_load_unpin(c, segment);
	return true;
}
