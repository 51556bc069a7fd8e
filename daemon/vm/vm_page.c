/* SPDX-License-Identifier: MIT
 *
 * The page's state machine (text in vm_page.h). Runs on: any thread. Allocates nothing, never
 * blocks.
 */
#include "vm/vm_page.h"

#include "daemon.h"
#include "vm/block.h"

#define NO_GAUGE         (-1)
#define STAT_FRAMES_NONE NO_GAUGE

static const struct {
	const char *name;
	char letter;
	bool resident;
	int gauge;
} states[PAGE_STATE_COUNT] = {
#define PAGE_STATE(NAME, letter, resident, queue, text)                                            \
	[PAGE_##NAME] = { #NAME, letter, resident, STAT_FRAMES_##queue },
#include "tbl/page_state.h"
};

struct arrow {
	uint8_t from, to; /* enum ledger_class */
	bool allowed;
};
static const struct arrow arrows[PAGE_STATE_COUNT][PAGE_STATE_COUNT] = {
#define PAGE_ARROW(FROM, TO, function, from, to)                                                   \
	[PAGE_##FROM][PAGE_##TO] = { LEDGER_CLASS_##from, LEDGER_CLASS_##to, true },
#include "tbl/page_arrow.h"
};

const char *
page_state_name(enum page_state state)
{
	return state < PAGE_STATE_COUNT ? states[state].name
					: frame_state_name(frame_word_state(state));
}

char
page_state_letter(enum page_state state)
{
	return state < PAGE_STATE_COUNT ? states[state].letter : '?';
}

bool
page_state_is_resident(enum page_state state)
{
	return state < PAGE_STATE_COUNT && states[state].resident;
}

bool
page_arrow_allowed(enum page_state from, enum page_state to)
{
	return from < PAGE_STATE_COUNT && to < PAGE_STATE_COUNT && arrows[from][to].allowed;
}

static void
level_add(struct daemon *d, int gauge, int64_t value)
{
	atomic_llong *level;

	if (gauge == NO_GAUGE || value == 0)
		return;
	/* PAGEQ is held: one writer. */
	level = &d->stats.levels[gauge];
	store_relaxed(level, load_relaxed(level) + value);
}

/* The table's classes are those of anonymous pages. */
static enum ledger_class
class_of(const struct vm_object *o, enum ledger_class class)
{
	if (likely(!o->external))
		return class;
	CHECK(class != LEDGER_CLASS_INTERNAL_COMPRESSED);
	return class == LEDGER_CLASS_INTERNAL         ? LEDGER_CLASS_EXTERNAL
	       : class == LEDGER_CLASS_INTERNAL_WIRED ? LEDGER_CLASS_EXTERNAL_WIRED
						      : class;
}

static void
post(struct daemon *d, struct vm_object *o, enum page_state from, enum page_state to)
{
	const struct arrow *arrow = &arrows[from][to];
	enum ledger_class class_from = class_of(o, arrow->from), class_to = class_of(o, arrow->to);
	int gauge_from = states[from].resident ? states[from].gauge : (int)STAT_FRAMES_FREE;
	int gauge_to = states[to].resident ? states[to].gauge : (int)STAT_FRAMES_FREE;

	stats_queues_begin(&d->stats);
	if (gauge_from != gauge_to) {
		level_add(d, gauge_from, -1);
		level_add(d, gauge_to, 1);
	}
	level_add(d, STAT_PAGES_INTERNAL, ledger_delta(LEDGER_OF_INTERNAL, class_from, class_to));
	level_add(d, STAT_PAGES_EXTERNAL, ledger_delta(LEDGER_OF_EXTERNAL, class_from, class_to));
	level_add(d, STAT_PAGES_COMPRESSED,
	    ledger_delta(LEDGER_OF_INTERNAL_COMPRESSED, class_from, class_to));
	level_add(d, STAT_PAGES_DEVICE,
	    (class_to == LEDGER_CLASS_DEVICE) - (class_from == LEDGER_CLASS_DEVICE));
	stats_queues_end(&d->stats);
	if (gauge_from != gauge_to &&
	    (gauge_from == STAT_FRAMES_WIRED || gauge_to == STAT_FRAMES_WIRED))
		frames_targets_refresh(d);
	if (class_from == class_to)
		return;
	if (likely(o->bill != NULL))
		bill_post(o->bill, class_from, class_to, 1);
	if (unlikely(o->is_shareable)) {
		CHECK(class_from == LEDGER_CLASS_NONE || o->class_pages[class_from] > 0);
		o->class_pages[class_from] -= class_from != LEDGER_CLASS_NONE;
		o->class_pages[class_to] += class_to != LEDGER_CLASS_NONE;
	}
}

void
vm_page_commit(
    struct daemon *d, struct vm_object *o, uint32_t frame, enum page_state from, enum page_state to)
{
	struct vm_page *p = &d->frames.pages[frame];
	uint32_t old = load_acquire(&p->word);
	uint32_t expected = states[from].resident ? (uint32_t)from : FRAME_TAKEN;

	pageq_assert_held(d);
	CHECKF(page_arrow_allowed(from, to), "page %llu/%u: no arrow %s -> %s",
	    (unsigned long long)o->id, p->index, page_state_name(from), page_state_name(to));
	CHECKF((old & PAGE_STATE_MASK) == expected,
	    "page %llu/%u: is %s, not %s (word %x, going to %s)", (unsigned long long)o->id,
	    p->index, page_state_name(page_word_state(old)), page_state_name(from), old,
	    page_state_name(to));
	if (states[to].resident) {
		while (!cas_acq_rel(&p->word, &old, (old & ~PAGE_STATE_MASK) | to)) {}
	} else {
		frame_put_locked(d, frame);
	}
	post(d, o, from, to);
}

void
vm_page_commit_slot(struct daemon *d, struct vm_object *o, enum page_state from, enum page_state to)
{
	pageq_assert_held(d);
	CHECKF(page_arrow_allowed(from, to) && !states[from].resident && !states[to].resident,
	    "object %llu: no arrow %s -> %s without a frame", (unsigned long long)o->id,
	    page_state_name(from), page_state_name(to));
	post(d, o, from, to);
}

bool
vm_page_busy_only(struct vm_page *p)
{
	uint32_t old = load_acquire(&p->word);

	while (!(old & PAGE_BUSY))
		if (cas_acq_rel(&p->word, &old, old | PAGE_BUSY))
			return true;
	return false;
}

bool
vm_page_busy_try(struct vm_page *p)
{
	uint32_t old = load_acquire(&p->word);

	for (;;) {
		uint32_t new = old &PAGE_BUSY ? old | PAGE_WANTED : old | PAGE_BUSY;

		if (cas_acq_rel(&p->word, &old, new))
			return !(old & PAGE_BUSY);
	}
}

bool
vm_page_unbusy(struct vm_page *p)
{
	uint32_t old = fetch_and_acq_rel(&p->word, ~(PAGE_BUSY | PAGE_WANTED));

	INVARIANT(old & PAGE_BUSY);
	return old & PAGE_WANTED;
}

#if DEBUG_LEVEL >= 1
static void
resident_assert(const struct vm_object *o, uint64_t index, uint32_t frame)
{
	const struct vm_page *p = &o->daemon->frames.pages[frame];
	uint32_t word = load_acquire(&((struct vm_page *)(uintptr_t)p)->word);
	enum page_state state = page_word_state(word);
	bool dirty = word & PAGE_DIRTY, copy = p->cref != 0;

	CHECK(!(word & PAGE_WRITING) || dirty);

	CHECKF(page_state_is_resident(state) && p->object == o->index && p->index == index,
	    "page %llu/%llu: its frame says page %u of object %u, %s", (unsigned long long)o->id,
	    (unsigned long long)index, p->index, p->object, page_state_name(state));
	CHECKF(word & PAGE_BUSY, "page %llu/%llu: %s, not busy", (unsigned long long)o->id,
	    (unsigned long long)index, page_state_name(state));
	switch (state) {
	case PAGE_FILLING:
		/* The copy is what it is filled from; none: zeroes. */
		CHECK(!dirty);
		break;
	case PAGE_CLEANING:
		CHECK(dirty || copy);
		break;
	case PAGE_WIRED:
	case PAGE_DEVICE:
		CHECK(dirty && !copy);
		break;
	default:
		CHECKF(dirty != copy, "page %llu/%llu: %s, %s", (unsigned long long)o->id,
		    (unsigned long long)index, page_state_name(state),
		    dirty ? "dirty with a copy" : "clean without a copy");
	}
}

void
vm_page_assert(const struct vm_object *o, uint64_t index)
{
	uint64_t slot = load_acquire((_Atomic uint64_t *)(uintptr_t)vm_object_slot(o, index));

	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECK(index < o->page_count);
	switch (slot_kind(slot)) {
	case SLOT_RESIDENT:
		CHECK(slot_frame(slot) < o->daemon->frames.count);
		resident_assert(o, index, slot_frame(slot));
		break;
	case SLOT_STORED:
		CHECK(slot_cref(slot).v != 0);
		break;
	default:
		CHECK(slot == SLOT_ABSENT || slot == SLOT_POISONED);
	}
}
#endif
