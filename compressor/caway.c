/* SPDX-License-Identifier: MIT
 *
 * Segments that leave for secondary storage, and reads of single pages from there. The caller does
 * the I/O; here bytes are pinned, places are remembered and memory is given back. Runs on: the
 * functions of swap-out on one thread, reads on any.
 */
#include "ccompact.h"

#include <errno.h>
#include <string.h>

#include "carena.h"
#include "check.h"
#include "compressor.h"
#include "cpage.h"
#include "cpool.h"
#include "cseg.h"
#include "csettle.h"
#include "failpt.h"

/* How many segments that were read lately get a second chance in one call. */
#define SECOND_CHANCES 16

/* => whether the segment is to go, WRITING or SLIDING (then *ret_slide). */
static bool
swapout_take_locked(struct compressor *c, uint32_t segment, bool *ret_slide)
{
	struct cseg *s = &c->rows[segment];
	uint64_t word = load_acquire(&s->word);
	uint32_t content = CSEG_HEADER_BYTES + word_bytes(word);

	lock_assert_held(&c->lock);
	*ret_slide = load_relaxed(&s->used) >= content + c->hw_page_bytes &&
		     ccompact_begin_locked(c, segment);
	if (!*ret_slide)
		return cpool_leave_full_locked(c, segment, CSEG_WRITING, NEED_NO_LOADS);
	clist_remove(c, cpool_age_list(c, s), LINK_AGE, segment);
	s->is_aged = false;
	return true;
}

/* => the oldest segment of the list that may go, as swapout_take_locked leaves it, or 0. */
static uint32_t
swapout_choose_locked(struct compressor *c, struct clist *list, int chances, bool *ret_slide)
{
	uint32_t segment, next;

	lock_assert_held(&c->lock);
	for (segment = list->first; segment != 0; segment = next) {
		struct cseg *s = &c->rows[segment];
		uint64_t word = load_acquire(&s->word);

		next = s->link[LINK_AGE].next;
		if (word_state(word) != CSEG_FULL || word_live(word) == 0)
			continue;
		if (load_relaxed(&s->referenced) && chances-- > 0 && next != 0) {
			store_relaxed(&s->referenced, 0);
			clist_remove(c, list, LINK_AGE, segment);
			clist_add_tail(c, list, LINK_AGE, segment);
			continue;
		}
		if (swapout_take_locked(c, segment, ret_slide))
			break;
	}
	return segment;
}

bool
compressor_swapout_begin(struct compressor *c, bool only_apart, uint32_t *ret_segment,
    const void **ret_bytes, size_t *ret_length)
{
	bool slide = false;
	uint32_t segment;

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	lock_acquire(&c->lock);
	segment = swapout_choose_locked(c, &c->apart, 0, &slide);
	if (segment == 0 && !only_apart)
		segment = swapout_choose_locked(c, &c->age, SECOND_CHANCES, &slide);
	lock_release(&c->lock);
	if (segment == 0)
		return false;
	struct cseg *s = &c->rows[segment];
	if (slide) {
		ccompact_slide(c, segment);
		(void)carena_trim(c, segment);
		CHECK(cseg_switch(c, segment, CSEG_BUSY, CSEG_WRITING, 0, NULL));
	}
	*ret_segment = segment;
	*ret_bytes = cseg_bytes(c, s);
	*ret_length = round_up_u32(load_relaxed(&s->used), c->hw_page_bytes);
	INVARIANT(*ret_length <= s->populated);
	return true;
}

bool
compressor_swapout_end(struct compressor *c, uint32_t segment, int error, struct cplace place)
{
	struct cseg *s;
	uint64_t word;
	bool keep;

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	CHECK(segment > 0 && segment < load_relaxed(&c->rows_fresh));
	s = &c->rows[segment];
	lock_acquire(&c->lock);
	word = load_acquire(&s->word);
	CHECK(word_state(word) == CSEG_WRITING);
	keep = error == 0 && word_live(word) > 0;
	if (keep) {
		/* The place is set before a read can ask for it. From here on the last page may be
		 * freed at any time: then the segment is released. */
		s->place = place;
		failpt_die(FAIL_DIE_SWAP_PLACED);
		CHECK(cseg_switch(c, segment, CSEG_WRITING, CSEG_DEPARTING, 0, &word));
	}
	lock_release(&c->lock);
	if (!keep)
		cpool_enter_full(c, segment, CSEG_WRITING, ENTER_OLDEST);
	else if (word_loads(word) == 0)
		cseg_depart(c, segment);
	return !keep;
}

/* --- single pages ------------------------------------------------------------------------- */

int
compressor_read_begin(struct compressor *c, struct cref cref, struct cread *ret)
{
	uint32_t segment, slot;
	struct cseg *s;
	int error;

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	if (compressor_is_single_value(cref))
		return -EAGAIN;
	s = cref_row(c, cref, &segment, &slot);
	error = cseg_read_pin(c, segment);
	if (error)
		return error;
	/* The pin keeps the place, and the entry says where the page stands in it. */
	uint64_t e = cref_entry(c, segment, slot);
	ret->place = s->place;
	ret->offset = entry_offset(e);
	ret->length = cpage_padded(c, entry_length(e));
	return 0;
}

int
compressor_read_decode(struct compressor *c, struct cref cref, const void *bytes, void *page)
{
	uint32_t segment, slot;
	struct cseg *s;

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	s = cref_row(c, cref, &segment, &slot);
	return cpage_expand(c, bytes, cref_entry(c, segment, slot), slot, s->generation, page);
}

void
compressor_read_end(struct compressor *c, struct cref cref)
{
	uint32_t segment, slot;

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	(void)cref_row(c, cref, &segment, &slot);
	cseg_read_unpin(c, segment);
}

/* --- whole segments ----------------------------------------------------------------------- */

int
compressor_place_moved(struct compressor *c, uint32_t segment, struct cplace from, struct cplace to)
{
	struct cseg *s;
	uint64_t word;
	int error = 0;

	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	if (segment == 0 || segment >= load_relaxed(&c->rows_fresh))
		return -ENOENT;
	s = &c->rows[segment];
	lock_acquire(cseg_slide_lock(c, segment));
	if (!cseg_switch(c, segment, CSEG_AWAY, CSEG_PLACING, NEED_NO_READS, &word)) {
		lock_release(cseg_slide_lock(c, segment));
		return word_state(word) == CSEG_AWAY ? -EBUSY : -ENOENT;
	}
	if (s->place.v == from.v)
		s->place = to;
	else
		error = -ENOENT;
	failpt_die(FAIL_DIE_SWAP_PLACING);
	CHECK(cseg_switch(c, segment, CSEG_PLACING, CSEG_AWAY, 0, &word));
	lock_release(cseg_slide_lock(c, segment));
	if (word_live(word) == 0)
		cpool_settle(c, segment);
	return error;
}

bool
compressor_away_next(struct compressor *c, uint32_t *cursor, struct caway *ret)
{
	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	for (uint32_t i = *cursor + 1; i < load_relaxed(&c->rows_fresh); i++) {
		struct cseg *s = &c->rows[i];
		uint64_t w = load_acquire(&s->word);

		if (word_state(w) != CSEG_AWAY)
			continue;
		/* The pin keeps the place as it is meanwhile. */
		if (!cas_acq_rel(&s->word, &w, w + WORD_READS_ONE)) {
			i--;
			continue;
		}
		ret->segment = i;
		ret->place = s->place;
		ret->live_bytes = word_bytes(w);
		ret->length = round_up_u32(load_relaxed(&s->used), c->hw_page_bytes);
		cseg_read_unpin(c, i);
		*cursor = i;
		return true;
	}
	return false;
}
