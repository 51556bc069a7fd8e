/* SPDX-License-Identifier: MIT
 *
 * One segment: its state word, pins, slots. Runs on: any thread. The hot paths (pin, unpin, free)
 * are atomic operations on the word; a reader waits, for the slide lock, only while a segment's
 * bytes move.
 */
#include "cseg.h"

#include <errno.h>
#include <string.h>

#include "check.h"
#include "ckept.h"
#include "cstat.h"
#include "failpt.h"

enum loads { LOAD_NEVER, LOAD_HERE, LOAD_WAIT, LOAD_GONE };
enum counted { COUNTED_NOWHERE, COUNTED_CORE, COUNTED_OFF };

static const struct {
	const char *name;
	enum loads loads;
	enum counted counted;
} states[] = {
#define X(name, load, counted, text) { #name, LOAD_##load, COUNTED_##counted },
	CSEG_STATES(X)
#undef X
};

#define TO(name) (1u << CSEG_##name)
static const unsigned arrows[CSEG_STATE_COUNT] = {
	[CSEG_FREE] = TO(FILLING),
	[CSEG_FILLING] = TO(FULL),
	[CSEG_FULL] = TO(FILLING) | TO(SLIDING) | TO(BUSY) | TO(WRITING) | TO(RELEASING),
	[CSEG_SLIDING] = TO(BUSY),
	[CSEG_BUSY] = TO(FULL) | TO(WRITING),
	[CSEG_WRITING] = TO(FULL) | TO(DEPARTING),
	[CSEG_DEPARTING] = TO(AWAY),
	[CSEG_AWAY] = TO(PLACING) | TO(EMPTY),
	[CSEG_PLACING] = TO(AWAY),
	[CSEG_RELEASING] = TO(FREE),
	[CSEG_EMPTY] = TO(FREE),
};

const char *
cseg_state_name(enum cseg_state state)
{
	return (unsigned)state < CSEG_STATE_COUNT ? states[state].name : "?";
}

bool
cseg_state_is_away(enum cseg_state state)
{
	return states[state].counted == COUNTED_OFF;
}

bool
cseg_state_has_pages(enum cseg_state state)
{
	return states[state].counted != COUNTED_NOWHERE;
}

/* Moves a segment with all its pages from one gauge to the other. */
static void
cseg_count(struct compressor *c, enum cseg_state from, enum cseg_state to, uint64_t w)
{
	int away = (states[to].counted == COUNTED_OFF) - (states[from].counted == COUNTED_OFF);
	int core = (states[to].counted == COUNTED_CORE) - (states[from].counted == COUNTED_CORE);

	if (core != 0)
		cstat_add(c, CSTAT_SEGMENTS_CORE, (uint64_t)(int64_t)core);
	if (away == 0)
		return;
	cstat_add(c, CSTAT_SEGMENTS_AWAY, (uint64_t)(int64_t)away);
	cstat_add(c, CSTAT_PAGES_AWAY, (uint64_t)(away * (int64_t)word_live(w)));
	cstat_add(c, CSTAT_BYTES_AWAY, (uint64_t)(away * (int64_t)word_bytes(w)));
}

bool
cseg_switch(struct compressor *c, uint32_t segment, enum cseg_state from, enum cseg_state to,
    unsigned needs, uint64_t *ret_word)
{
	struct cseg *s = &c->rows[segment];
	uint64_t old = load_acquire(&s->word), new;

	CHECKF(arrows[from] & 1u << to, "segment %u: no arrow %s -> %s", segment,
	    cseg_state_name(from), cseg_state_name(to));
	do {
		if (word_state(old) != from || ((needs & NEED_NO_LOADS) && word_loads(old) > 0) ||
		    ((needs & NEED_NO_READS) && word_reads(old) > 0) ||
		    ((needs & NEED_NO_PAGES) && word_live(old) > 0)) {
			if (ret_word != NULL)
				*ret_word = old;
			return false;
		}
		new = (old & ~WORD_STATE_MASK) | to;
	} while (!cas_acq_rel(&s->word, &old, new));
	cseg_count(c, from, to, new);
	if (ret_word != NULL)
		*ret_word = new;
	return true;
}

struct cseg *
cref_row(struct compressor *c, struct cref cref, uint32_t *ret_segment, uint32_t *ret_slot)
{
	uint64_t segment = cref.v >> CREF_SLOT_BITS;
	uint32_t slot = (uint32_t)cref.v & (CSEG_SLOTS_MAX - 1);

	CHECKF(segment > 0 && segment < load_relaxed(&c->rows_fresh) && slot < c->slots_max,
	    "bad handle %#llx", (unsigned long long)cref.v);
	*ret_segment = (uint32_t)segment;
	*ret_slot = slot;
	return &c->rows[segment];
}

uint64_t
cref_entry(struct compressor *c, uint32_t segment, uint32_t slot)
{
	uint64_t e = load_acquire(&cseg_directory(c, segment)[slot]);

	CHECKF(entry_is_page(e), "segment %u slot %u: the page has been freed", segment, slot);
	return e;
}

struct lock *
cseg_slide_lock(struct compressor *c, uint32_t segment)
{
	return &c->slide[segment % SLIDE_LOCKS];
}

/* The holder of the slide lock leaves the state that makes readers wait before it lets the lock go.
 */
static void
cseg_wait(struct compressor *c, uint32_t segment)
{
	struct lock *l = cseg_slide_lock(c, segment);

	lock_acquire(l);
	lock_release(l);
}

/* here: the value of column `loads` that admits this kind of reader. */
static int
cseg_pin(struct compressor *c, uint32_t segment, enum loads here, uint64_t one)
{
	struct cseg *s = &c->rows[segment];
	uint64_t w = load_acquire(&s->word);

	for (;;) {
		enum loads loads = states[word_state(w)].loads;

		if (loads == here) {
			if (cas_acq_rel(&s->word, &w, w + one))
				return 0;
			continue;
		}
		CHECKF(loads != LOAD_NEVER, "segment %u: a handle into %s", segment,
		    cseg_state_name(word_state(w)));
		if (loads != LOAD_WAIT)
			return -EAGAIN;
		cseg_wait(c, segment);
		w = load_acquire(&s->word);
	}
}

int
cseg_load_pin(struct compressor *c, uint32_t segment)
{
	return cseg_pin(c, segment, LOAD_HERE, WORD_LOADS_ONE);
}

bool
cseg_full_pin(struct compressor *c, uint32_t segment)
{
	struct cseg *s = &c->rows[segment];
	uint64_t w = load_acquire(&s->word);

	while (word_state(w) == CSEG_FULL)
		if (cas_acq_rel(&s->word, &w, w + WORD_LOADS_ONE))
			return true;
	return false;
}

int
cseg_read_pin(struct compressor *c, uint32_t segment)
{
	return cseg_pin(c, segment, LOAD_GONE, WORD_READS_ONE);
}

void
cseg_header_write(struct compressor *c, uint32_t segment, enum cseg_state state)
{
	struct cseg *s = &c->rows[segment];
	struct cseg_header *h = (struct cseg_header *)cseg_bytes(c, s);

	h->state = (uint16_t)state;
	h->generation = s->generation;
	h->used = load_relaxed(&s->used);
	h->slots = load_relaxed(&s->slots);
	h->version = CSEG_VERSION;
	h->segment = segment;
	h->page_bytes = (uint32_t)c->page_bytes;
	h->segment_bytes = (uint32_t)c->segment_bytes;
	h->magic = CSEG_MAGIC;
}

void
cseg_slide(struct compressor *c, uint32_t segment)
{
	struct cseg *s = &c->rows[segment];
	atomic_uint_least64_t *directory = cseg_directory(c, segment);
	char *base = cseg_bytes(c, s);
	struct cseg_header *header = (struct cseg_header *)base;
	uint32_t slots = load_relaxed(&s->slots), left = 0, to = CSEG_HEADER_BYTES;

	lock_assert_held(cseg_slide_lock(c, segment));
	header->state = CSEG_SLIDING;
	/* Slots are always in the order of their offsets. */
	for (uint32_t i = 0; i < slots; i++) {
		uint64_t e = load_acquire(&directory[i]);
		uint32_t bytes = cpage_padded(c, entry_length(e));

		if (e == 0)
			continue;
		INVARIANT(entry_offset(e) >= to);
		if (entry_is_page(e) && (entry_offset(e) != to || entry_room(e) != bytes)) {
			bool aside =
			    c->kept && entry_offset(e) != to && to + bytes > entry_offset(e);

			if (aside)
				ckept_aside_begin(c, segment, i, e, entry_moved(e, to, bytes));
			if (unlikely(failpt_hit(FAIL_DIE_SLIDE_HALF))) {
				memmove(base + to, base + entry_offset(e), bytes / 2);
				failpt_kill();
			}
			if (entry_offset(e) != to)
				memmove(base + to, base + entry_offset(e), bytes);
			failpt_die(FAIL_DIE_SLIDE_MOVED);
			if (!cas_acq_rel(&directory[i], &e, entry_moved(e, to, bytes)))
				INVARIANT(e & ENTRY_VACANT); /* freed meanwhile */
			if (aside)
				ckept_aside_end(c, segment);
		}
		if (entry_is_page(e)) {
			to += bytes;
			left = i + 1;
		} else {
			store_release(&directory[i], 0);
		}
	}
	store_relaxed(&s->used, to);
	store_relaxed(&s->slots, left);
	header->used = to;
	header->slots = left;
	header->state = CSEG_FULL;
}
