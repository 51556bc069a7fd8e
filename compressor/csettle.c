/* SPDX-License-Identifier: MIT
 *
 * What follows when a segment's last page, reader or owner has gone: it becomes FULL, is put into
 * another class, is released, becomes AWAY or EMPTY, and its place is collected. Runs on: any
 * thread; takes the pool lock, and gives memory back outside of it.
 */
#include "csettle.h"

#include "check.h"
#include "cpool.h"
#include "cseg.h"
#include "failpt.h"

/* --- places that are no longer needed ----------------------------------------------------- */

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

/* --- settling ----------------------------------------------------------------------------- */

/* RELEASING -> FREE */
static void
cpool_release(struct compressor *c, uint32_t segment)
{
	cpool_chunk_put(c, segment);
	failpt_die(FAIL_DIE_SEGMENT_GONE);
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
		failpt_die(FAIL_DIE_SWAP_EMPTY);
		place_enqueue_locked(c, segment);
	}
	lock_release(&c->lock);
	if (release)
		cpool_release(c, segment);
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
			clist_add_head(c, cpool_age_list(c, s), LINK_AGE, segment);
		else
			clist_add_tail(c, cpool_age_list(c, s), LINK_AGE, segment);
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

void
cseg_depart(struct compressor *c, uint32_t segment)
{
	uint64_t word;

	failpt_die(FAIL_DIE_SWAP_DEPARTING);
	cpool_chunk_put(c, segment);
	failpt_die(FAIL_DIE_SWAP_DEPARTED);
	CHECK(cseg_switch(c, segment, CSEG_DEPARTING, CSEG_AWAY, 0, &word));
	if (word_live(word) == 0)
		cpool_settle(c, segment);
}

/* --- the last reader ---------------------------------------------------------------------- */

void
cseg_load_unpin(struct compressor *c, uint32_t segment)
{
	uint64_t w = fetch_sub_acq_rel(&c->rows[segment].word, WORD_LOADS_ONE);

	INVARIANT(word_loads(w) > 0);
	if (likely(word_loads(w) > 1))
		return;
	if (word_state(w) == CSEG_DEPARTING)
		cseg_depart(c, segment);
	else if (word_state(w) == CSEG_FULL && word_live(w) == 0)
		cpool_settle(c, segment);
}

void
cseg_read_unpin(struct compressor *c, uint32_t segment)
{
	uint64_t w = fetch_sub_acq_rel(&c->rows[segment].word, WORD_READS_ONE);

	INVARIANT(word_reads(w) > 0);
	/* Its last page was freed meanwhile: its place is not needed any more. */
	if (word_reads(w) == 1 && word_state(w) == CSEG_AWAY && word_live(w) == 0)
		cpool_settle(c, segment);
}
