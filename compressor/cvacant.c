/* SPDX-License-Identifier: MIT
 *
 * Vacancies: the places of freed pages in FULL segments, kept by size, and filled with the next
 * page that fits. A full pager frees a stored page for each one that it stores, and the mix of
 * sizes is the same. So nearly every page finds a vacancy, and little is left for compaction to
 * move.
 *
 * The mix is the same only on average: there are a few vacancies too many of some sizes and too few
 * of others, and since there are many sizes, these few add up. So a page takes the smallest vacancy
 * that it fits into, up to slack_bytes larger, and keeps all of its room. When the page is freed,
 * its place is a vacancy of the old size again; when the segment is slid, the room shrinks to what
 * is needed.
 *
 * A vacancy is a directory entry with ENTRY_VACANT: it keeps its place and room. The lists here are
 * hints: they name a vacancy of a FULL segment at most once, and may name some that are gone (slid
 * over, written out, released), which are passed over. A thread that takes one keeps the segment
 * FULL by a pin and claims the entry. Runs on: any thread frees, workers fill.
 */
#include "cvacant.h"

#include <string.h>

#include "check.h"
#include "cpage.h"
#include "cpool.h"
#include "cseg.h"
#include "csettle.h"
#include "cstat.h"
#include "failpt.h"

/* Grains below which a vacancy is not worth a slot: no page is that small. */
#define VACANT_LEAST 8u

static void
vacant_list(struct compressor *c, uint32_t size, bool any)
{
	atomic_uint_least64_t *word = &c->vacant_listed[size / 64];
	uint64_t bit = UINT64_C(1) << size % 64;

	lock_assert_held(&c->vacant[size].lock);
	if (any)
		fetch_or_acq_rel(word, bit);
	else
		fetch_and_acq_rel(word, ~bit);
}

static void
vacant_put(struct compressor *c, uint32_t segment, uint32_t slot, uint32_t room)
{
	uint32_t size = room / c->grain_bytes;
	struct cvacant *h = &c->vacant[size];

	lock_acquire(&h->lock);
	/* If the list is full, the place is left to compaction. */
	if (h->count < VACANT_MAX)
		h->item[h->count++] = cref_make(segment, slot);
	if (h->count == 1)
		vacant_list(c, size, true);
	lock_release(&h->lock);
}

void
cseg_slot_free(struct compressor *c, uint32_t segment, uint32_t slot)
{
	struct cseg *s = &c->rows[segment];
	atomic_uint_least64_t *entry = &cseg_directory(c, segment)[slot];
	uint64_t e = load_acquire(entry);

	/* The page may move meanwhile: then the vacancy is at its new place. */
	do
		CHECKF(entry_is_page(e), "segment %u slot %u: freed twice", segment, slot);
	while (!cas_acq_rel(entry, &e, e | ENTRY_VACANT));
	uint32_t bytes = cpage_padded(c, entry_length(e));
	uint64_t w = fetch_sub_acq_rel(&s->word, word_page(bytes)) - word_page(bytes);

	/* From here on another thread may use the row for a new segment: cpool_settle looks again
	 * under the pool lock. */
	cstat_add(c, CSTAT_BYTES_ALL, -(uint64_t)bytes);
	if (entry_codec(e) == CODEC_RAW)
		cstat_add(c, CSTAT_PAGES_RAW, (uint64_t)-1);
	if (cseg_state_is_away(word_state(w))) {
		cstat_add(c, CSTAT_PAGES_AWAY, (uint64_t)-1);
		cstat_add(c, CSTAT_BYTES_AWAY, -(uint64_t)bytes);
	}
	if (word_state(w) == CSEG_FULL) {
		if (word_live(w) > 0 && !load_relaxed(&s->is_apart))
			vacant_put(c, segment, slot, entry_room(e));
		if (word_live(w) == 0 || !cclass_fits(c, s, w))
			cpool_settle(c, segment);
	} else if (word_state(w) == CSEG_AWAY && word_live(w) == 0) {
		cpool_settle(c, segment);
	}
}

/* Makes the populated bytes behind a segment's last page a vacancy. They are less than a hardware
 * page, half of one on average: room for a small page. */
static void
vacant_end(struct compressor *c, uint32_t segment)
{
	struct cseg *s = &c->rows[segment];
	uint32_t slot = load_relaxed(&s->slots), used = load_relaxed(&s->used);
	uint32_t room = (s->populated - used) / c->grain_bytes * c->grain_bytes;

	if (slot == c->slots_max || room < c->grain_bytes * VACANT_LEAST ||
	    room > cpage_padded(c, c->page_bytes))
		return;
	store_release(
	    &cseg_directory(c, segment)[slot], entry_make(used, room, 0, CODEC_RAW) | ENTRY_VACANT);
	store_relaxed(&s->slots, slot + 1);
	store_relaxed(&s->used, used + room);
}

void
cvacant_close(struct compressor *c, uint32_t segment)
{
	/* Others' pages do not come there. */
	if (load_relaxed(&c->rows[segment].is_apart)) {
		cseg_header_write(c, segment, CSEG_FULL);
		return;
	}
	vacant_end(c, segment);
	uint32_t slots = load_relaxed(&c->rows[segment].slots);

	for (uint32_t slot = 0; slot < slots; slot++) {
		uint64_t e = load_acquire(&cseg_directory(c, segment)[slot]);

		if (e & ENTRY_VACANT)
			vacant_put(c, segment, slot, entry_room(e));
	}
	cseg_header_write(c, segment, CSEG_FULL);
}

/* => the smallest size from `size` to `last` of which there may be vacancies, or beyond last. */
static uint32_t
vacant_next(struct compressor *c, uint32_t size, uint32_t last)
{
	uint64_t word = load_acquire(&c->vacant_listed[size / 64]) >> size % 64;

	if (word != 0)
		return size + (uint32_t)__builtin_ctzll(word);
	for (size = (size / 64 + 1) * 64; size <= last; size += 64) {
		word = load_acquire(&c->vacant_listed[size / 64]);
		if (word != 0)
			return size + (uint32_t)__builtin_ctzll(word);
	}
	return last + 1;
}

/* => true and a vacancy of the smallest size there is from *size to `last`; *size is its size. */
static bool
vacant_take(
    struct compressor *c, uint32_t *size, uint32_t last, uint32_t *ret_segment, uint32_t *ret_slot)
{
	struct cref cref = CREF_NONE;

	while (cref.v == 0) {
		*size = vacant_next(c, *size, last);
		if (*size > last)
			return false;
		struct cvacant *h = &c->vacant[*size];

		lock_acquire(&h->lock);
		if (h->count > 0) {
			cref = h->item[--h->count];
			if (h->count == 0)
				vacant_list(c, *size, false);
		}
		lock_release(&h->lock);
	}
	(void)cref_row(c, cref, ret_segment, ret_slot);
	return true;
}

/* => true and *ret_entry: the vacancy is the caller's, and the segment stays FULL and does not move
 * until it is unpinned. */
static bool
vacant_claim(
    struct compressor *c, uint32_t segment, uint32_t slot, uint32_t room, uint64_t *ret_entry)
{
	atomic_uint_least64_t *entry = &cseg_directory(c, segment)[slot];
	uint64_t e;

	if (!cseg_full_pin(c, segment))
		return false;
	e = load_acquire(entry);
	/* The name may be of a segment that had the row before. */
	if (!load_relaxed(&c->rows[segment].is_apart) && (e & ENTRY_VACANT) &&
	    entry_room(e) == room && cas_acq_rel(entry, &e, 0)) {
		*ret_entry = e;
		return true;
	}
	cseg_load_unpin(c, segment);
	return false;
}

bool
cvacant_fill(struct compressor *c, struct cowner owner, enum codec_id codec, const void *payload,
    uint32_t length, struct cref *ret_cref, uint32_t *ret_bytes)
{
	uint32_t bytes = cpage_padded(c, length), size = bytes / c->grain_bytes;
	uint32_t last =
	    (uint32_t)min_u64(size + c->slack_bytes / c->grain_bytes, c->vacant_sizes - 1);
	uint32_t segment, slot;
	struct cseg *s;
	uint64_t e, word;

	do {
		if (!vacant_take(c, &size, last, &segment, &slot))
			return false;
	} while (!vacant_claim(c, segment, slot, size * c->grain_bytes, &e));
	s = &c->rows[segment];
	e = entry_make(entry_offset(e), entry_room(e), length, codec);
	cpage_write(c, cseg_bytes(c, s) + entry_offset(e), owner, payload, e, slot, s->generation);
	failpt_die(FAIL_DIE_VACANT_FILL);
	store_release(&cseg_directory(c, segment)[slot], e);
	word = fetch_add_acq_rel(&s->word, word_page(bytes)) + word_page(bytes);
	cstat_add(c, CSTAT_BYTES_ALL, bytes);
	cstat_add(c, CSTAT_REFILLED, 1);
	if (codec == CODEC_RAW)
		cstat_add(c, CSTAT_PAGES_RAW, 1);
	/* The segment has a young page now. */
	if (!load_relaxed(&s->referenced))
		store_relaxed(&s->referenced, 1);
	if (!cclass_fits(c, s, word))
		cpool_settle(c, segment);
	*ret_cref = cref_make(segment, slot);
	*ret_bytes = bytes;
	cseg_load_unpin(c, segment);
	return true;
}
