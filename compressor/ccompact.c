/* SPDX-License-Identifier: MIT
 *
 * Compaction. Minor: the live pages of one segment slide down over the freed ones. Major: the live
 * pages of a sparse segment move to the end of a segment that compaction fills like a worker; the
 * caller is asked for each page. Runs on: one thread at a time (compressor_compact); ccompact_slide
 * also on the thread that swaps out.
 */
#include "ccompact.h"

#include "carena.h"
#include "cfill.h"
#include "check.h"
#include "cpage.h"
#include "cpool.h"
#include "cseg.h"
#include "csettle.h"
#include "cstat.h"
#include "cvacant.h"
#include "failpt.h"

/* How many segments of a class are tried before the next class: a segment that is being read cannot
 * slide. */
#define TRIES 8

bool
ccompact_begin_locked(struct compressor *c, uint32_t segment)
{
	struct lock *l = cseg_slide_lock(c, segment);

	lock_assert_held(&c->lock);
	/* The pool lock must not wait for a slide, which takes long. */
	if (!lock_acquire_try(l))
		return false;
	if (cpool_leave_full_locked(c, segment, CSEG_SLIDING, NEED_NO_LOADS))
		return true;
	lock_release(l);
	return false;
}

void
ccompact_slide(struct compressor *c, uint32_t segment)
{
	cseg_slide(c, segment);
	CHECK(cseg_switch(c, segment, CSEG_SLIDING, CSEG_BUSY, 0, NULL));
	lock_release(cseg_slide_lock(c, segment));
	cstat_add(c, CSTAT_MINOR, 1);
}

/* Whether the room behind the pages is worth keeping: it is not too small, there are slots left for
 * it, and it is not more than may be kept. */
static bool
has_good_end(struct compressor *c, struct cseg *s)
{
	uint32_t end = s->populated - load_relaxed(&s->used);
	bool room;

	lock_acquire(&c->lock);
	room = c->open_bytes + end <= c->open_bytes_max && !load_relaxed(&s->is_apart);
	lock_release(&c->lock);
	return room && end >= c->segment_bytes / 32 &&
	       load_relaxed(&s->slots) + c->slots_max / 16 <= c->slots_max;
}

/* => a segment of the class, SLIDING, or 0. */
static uint32_t
minor_choose_locked(struct compressor *c, unsigned class)
{
	uint32_t next = c->class_list[class].first;

	lock_assert_held(&c->lock);
	for (int i = 0; i < TRIES && next != 0; i++) {
		if (ccompact_begin_locked(c, next))
			return next;
		next = c->rows[next].link[LINK_CLASS].next;
	}
	return 0;
}

static size_t
compact_minor(struct compressor *c, bool urgent)
{
	uint32_t segment = 0;

	lock_acquire(&c->lock);
	for (unsigned class = CLASS_STUCK - 1; class >= CLASS_WASTE && segment == 0; class --)
		segment = minor_choose_locked(c, class);
	if (segment == 0 && urgent)
		segment = minor_choose_locked(c, CLASS_LOOSE);
	lock_release(&c->lock);
	if (segment == 0)
		return 0;

	ccompact_slide(c, segment);
	if (!urgent && has_good_end(c, &c->rows[segment])) {
		/* The next pages go there: giving memory back and taking it anew costs more than a
		 * compression. */
		cpool_enter_full(c, segment, CSEG_BUSY, ENTER_OPEN);
		return 1;
	}
	size_t given = carena_trim(c, segment);
	cvacant_close(c, segment);
	cpool_enter_full(c, segment, CSEG_BUSY, 0);
	return given > 0 ? given : 1;
}

enum moved { MOVED, MOVED_NOT, MOVED_NO_ROOM };

static enum moved
merge_slot(struct compressor *c, struct cworker *w, uint32_t donor, uint32_t slot)
{
	struct cseg *s = &c->rows[donor];
	uint64_t e = load_acquire(&cseg_directory(c, donor)[slot]);
	const char *stored = cseg_bytes(c, s) + entry_offset(e);
	struct cowner owner;
	struct cref to;
	uint32_t bytes;

	/* A damaged page stays where it is: a copy would get a checksum that is right. */
	if (cpage_verify(c, stored, e, slot, s->generation, &owner) != 0)
		return MOVED_NOT;
	if (cfill_append(c, w, owner, entry_codec(e), stored + CPAGE_HEADER_BYTES, entry_length(e),
		&to, &bytes) != 0)
		return MOVED_NO_ROOM;
	if (!c->ops.relocate(c->ctx, owner, cref_make(donor, slot), to)) {
		cfill_unappend(c, w, to);
		return MOVED_NOT;
	}
	failpt_die(FAIL_DIE_MERGE);
	cseg_slot_free(c, donor, slot);
	return MOVED;
}

/* Moves as many pages as it can out of a BUSY donor. => bytes of memory won, at least 1 if any page
 * moved. */
static size_t
merge_donor(struct compressor *c, struct cworker *w, uint32_t donor)
{
	struct cseg *s = &c->rows[donor];
	uint32_t slots = load_relaxed(&s->slots), moved = 0, left = 0;
	uint64_t before = cstat_sum(c, CSTAT_POPULATED);

	for (uint32_t i = 0; i < slots; i++) {
		if (!entry_is_page(load_acquire(&cseg_directory(c, donor)[i])))
			continue;
		enum moved m = merge_slot(c, w, donor, i);
		if (m == MOVED_NO_ROOM)
			break;
		moved += m == MOVED;
		left += m == MOVED_NOT;
	}
	cpool_enter_full(c, donor, CSEG_BUSY, left > 0 ? ENTER_STUCK : 0);
	if (moved == 0)
		return 0;
	cstat_add(c, CSTAT_MAJOR, 1);

	uint64_t after = cstat_sum(c, CSTAT_POPULATED);
	return after < before ? before - after : 1;
}

/* => the sparsest segment that is worth emptying, BUSY, or 0. */
static uint32_t
merge_choose(struct compressor *c, bool have_destination, bool urgent)
{
	uint32_t donor = 0, candidates = 0;

	lock_acquire(&c->lock);
	/* A segment that is half full is worth merging; in need, any that is not nearly full. */
	unsigned end = urgent ? CLASS_WASTE : CLASS_SPARSE + CLASS_MERGED;

	for (unsigned class = CLASS_SPARSE; class < end; class ++)
		candidates += c->class_list[class].count;
	if (candidates >= (have_destination ? 1 : 2)) {
		for (unsigned class = CLASS_SPARSE; class < end && donor == 0; class ++)
			donor = c->class_list[class].first;
		if (!cpool_leave_full_locked(c, donor, CSEG_BUSY, 0))
			donor = 0;
	} else if (c->class_list[CLASS_STUCK].first != 0) {
		/* There is nothing better to do: next time the pages that were refused may be tried
		 * again. */
		uint32_t stuck = c->class_list[CLASS_STUCK].first;

		if (cpool_leave_full_locked(c, stuck, CSEG_BUSY, 0)) {
			lock_release(&c->lock);
			cpool_enter_full(c, stuck, CSEG_BUSY, 0);
			return 0;
		}
	}
	lock_release(&c->lock);
	return donor;
}

static size_t
compact_major(struct compressor *c, bool urgent)
{
	struct cworker *w = &c->workers[c->workers_count];

	if (c->ops.relocate == NULL)
		return 0;
	if (w->segment != 0) {
		struct cseg *s = &c->rows[w->segment];
		uint64_t word = load_acquire(&s->word);

		/* Most of the pages gathered here have been freed again: close the segment, so that
		 * it is compacted or released itself.
		 */
		if (word_live(word) == 0 ||
		    cclass_of(c, load_relaxed(&s->used), word) >= CLASS_WASTE) {
			cfill_close(c, w, true);
			return 1;
		}
	}

	uint32_t donor = merge_choose(c, w->segment != 0, urgent);
	return donor != 0 ? merge_donor(c, w, donor) : 0;
}

/* The arena runs out of chunks. */
static bool
chunks_are_scarce(struct compressor *c)
{
	lock_acquire(&c->lock);
	uint32_t chunks = cpool_chunks_left_locked(c);
	lock_release(&c->lock);
	return chunks <= CHUNKS_KEPT + c->chunks_max / 8;
}

size_t
compressor_compact(struct compressor *c, bool urgent)
{
	CHECK_OBJ(c, COMPRESSOR_MAGIC);
	urgent = urgent || chunks_are_scarce(c);
	size_t given = compact_minor(c, urgent);

	if (given == 0)
		given = compact_major(c, urgent);
	if (given == 0 && urgent && cfill_kept_give(c))
		given = 1;
	return given;
}
