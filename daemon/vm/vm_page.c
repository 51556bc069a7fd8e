/* SPDX-License-Identifier: MIT
 *
 * The page's state machine (text in vm_page.h). Runs on: any thread. Allocates nothing, never
 * blocks.
 */
#include "vm/vm_page.h"

#include "daemon.h"
#include "vm/block.h"
#include "vm/purgeable.h"

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

/* The class of a page of the object in a state of which the table says `class`. */
static enum ledger_class
class_of(const struct vm_object *o, enum ledger_class class, bool is_reusable)
{
	if (unlikely(is_reusable) && class == LEDGER_CLASS_INTERNAL)
		return LEDGER_CLASS_REUSABLE;
	return likely(o->standing == STANDING_PLAIN) ? class : ledger_class_of(o->standing, class);
}

bool
vm_object_is_counted(const struct vm_object *o)
{
	lock_assert_held(&((struct vm_object *)(uintptr_t)o)->lock);
	return LEDGER_OF_PHYS_FOOTPRINT >> class_of(o, LEDGER_CLASS_INTERNAL, false) & 1;
}

enum ledger_class
vm_page_class_locked(const struct vm_object *o, uint64_t slot)
{
	uint32_t word;

	lock_assert_held(&((struct vm_object *)(uintptr_t)o)->lock);
	pageq_assert_held(o->daemon);
	switch (slot_kind(slot)) {
	case SLOT_STORED:
		return class_of(o, LEDGER_CLASS_INTERNAL_COMPRESSED, false);
	case SLOT_RESIDENT:
		word = load_relaxed(&o->daemon->frames.pages[slot_frame(slot)].word);
		switch (page_word_state(word)) {
		case PAGE_WIRED:
			return class_of(o, LEDGER_CLASS_INTERNAL_WIRED, false);
		case PAGE_DEVICE:
			return LEDGER_CLASS_DEVICE;
		default:
			return class_of(o, LEDGER_CLASS_INTERNAL, word & PAGE_REUSABLE);
		}
	default:
		return LEDGER_CLASS_NONE;
	}
}

/* What all clients have follows, inside of stats_queues_begin. */
static void
levels_post(struct daemon *d, enum ledger_class from, enum ledger_class to, int64_t pages)
{
	static const struct {
		int gauge, counted;
	} rows[] = {
		{ STAT_PAGES_INTERNAL, LEDGER_OF_INTERNAL },
		{ STAT_PAGES_EXTERNAL, LEDGER_OF_EXTERNAL },
		{ STAT_PAGES_COMPRESSED, LEDGER_OF_INTERNAL_COMPRESSED },
		{ STAT_PAGES_REUSABLE, LEDGER_OF_REUSABLE },
		{ STAT_PAGES_VOLATILE, LEDGER_OF_PURGEABLE_VOLATILE },
		{ STAT_PAGES_VOLATILE_COMPRESSED, LEDGER_OF_PURGEABLE_VOLATILE_COMPRESSED },
		{ STAT_PAGES_DEVICE, 1 << LEDGER_CLASS_DEVICE },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		level_add(d, rows[i].gauge, pages * ledger_delta(rows[i].counted, from, to));
}

/* The bill of the object's owner, and what the object knows of it. => PAGEQ held */
static void
class_post(struct vm_object *o, enum ledger_class from, enum ledger_class to, uint64_t pages)
{
	pageq_assert_held(o->daemon);
	if (likely(o->bill != NULL))
		bill_post(o->bill, from, to, pages);
	if (from != LEDGER_CLASS_NONE) {
		CHECK(o->class_pages[from] >= pages);
		o->class_pages[from] -= pages;
	}
	if (to != LEDGER_CLASS_NONE)
		o->class_pages[to] += pages;
}

/* Pages change their class where they are, in the state that they have. => PAGEQ held */
static void
class_move(struct daemon *d, struct vm_object *o, enum ledger_class from, enum ledger_class to,
    uint64_t pages)
{
	pageq_assert_held(d);
	stats_queues_begin(&d->stats);
	levels_post(d, from, to, (int64_t)pages);
	stats_queues_end(&d->stats);
	class_post(o, from, to, pages);
}

static uint64_t
inactive_pages(const struct daemon *d)
{
	long long inactive =
	    load_relaxed(&((struct daemon *)(uintptr_t)d)->stats.levels[STAT_FRAMES_INACTIVE]);

	return inactive > 0 ? (uint64_t)inactive : 0;
}

static void
post(struct daemon *d, struct vm_object *o, enum page_state from, enum page_state to,
    bool is_reusable)
{
	const struct arrow *arrow = &arrows[from][to];
	enum ledger_class class_from = class_of(o, arrow->from, is_reusable),
			  class_to = class_of(o, arrow->to, is_reusable);
	int gauge_from = states[from].resident ? states[from].gauge : (int)STAT_FRAMES_FREE;
	int gauge_to = states[to].resident ? states[to].gauge : (int)STAT_FRAMES_FREE;

	stats_queues_begin(&d->stats);
	if (gauge_from != gauge_to) {
		level_add(d, gauge_from, -1);
		level_add(d, gauge_to, 1);
	}
	if (class_from != class_to)
		levels_post(d, class_from, class_to, 1);
	stats_queues_end(&d->stats);
	d->pageq.purge.turned += from == PAGE_INACTIVE;
	if (unlikely(o->is_purgeable) &&
	    (class_from == LEDGER_CLASS_NONE) != (class_to == LEDGER_CLASS_NONE))
		purgeable_count(&d->pageq.purge, &o->purgeable,
		    class_from == LEDGER_CLASS_NONE ? 1 : -1, inactive_pages(d));
	if (gauge_from != gauge_to &&
	    (gauge_from == STAT_FRAMES_WIRED || gauge_to == STAT_FRAMES_WIRED))
		frames_targets_refresh(d);
	if (class_from != class_to)
		class_post(o, class_from, class_to, 1);
	if (gauge_from == STAT_FRAMES_FREE && gauge_to != STAT_FRAMES_FREE && o->bill)
		ledger_count(&o->bill->ledger, PAGER_LEDGER_PAGES_GRABBED, 1);
}

/* A dirty page of a file changes its state, or goes without having been written. */
static void
dirty_commit(struct vm_object *o, uint32_t word, enum page_state from, enum page_state to)
{
	uint32_t payer = word >> PAGE_PAYER_SHIFT;
	bool is_wired = to == PAGE_WIRED, was_wired = from == PAGE_WIRED;

	if (!states[to].resident)
		dirty_unbill(o, payer, was_wired);
	else if (is_wired != was_wired)
		dirty_wired(o, payer, is_wired);
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
	if (unlikely(o->external != NULL) && old & PAGE_DIRTY)
		dirty_commit(o, old, from, to);
	if (states[to].resident) {
		uint32_t clear =
		    to == PAGE_WIRED ? PAGE_STATE_MASK | PAGE_REUSABLE : PAGE_STATE_MASK;

		while (!cas_acq_rel(&p->word, &old, (old & ~clear) | to)) {}
	} else {
		frame_put_locked(d, frame);
	}
	post(d, o, from, to, old & PAGE_REUSABLE);
}

void
vm_page_reusable_set_locked(struct daemon *d, struct vm_object *o, uint32_t frame, bool is_reusable)
{
	struct vm_page *p = &d->frames.pages[frame];
	uint32_t word = load_acquire(&p->word);
	enum page_state state = page_word_state(word);

	pageq_assert_held(d);
	CHECK(o->standing == STANDING_PLAIN && states[state].resident && state != PAGE_WIRED &&
	      state != PAGE_FILLING);
	if (!(word & PAGE_REUSABLE) == !is_reusable)
		return;
	if (is_reusable)
		vm_page_flags_set(p, PAGE_REUSABLE);
	else
		vm_page_flags_clear(p, PAGE_REUSABLE);
	class_move(d, o, is_reusable ? LEDGER_CLASS_INTERNAL : LEDGER_CLASS_REUSABLE,
	    is_reusable ? LEDGER_CLASS_REUSABLE : LEDGER_CLASS_INTERNAL, 1);
}

void
vm_page_reused(struct vm_object *o, struct vm_page *p)
{
	struct daemon *d = o->daemon;

	CHECK(load_relaxed(&p->word) & PAGE_BUSY);
	if (likely(!(load_relaxed(&p->word) & PAGE_REUSABLE)))
		return;
	pageq_lock(d);
	vm_page_reusable_set_locked(d, o, (uint32_t)(p - d->frames.pages), false);
	pageq_unlock(d);
}

void
vm_object_standing_set_locked(struct vm_object *o, enum ledger_standing standing)
{
	static const enum ledger_class classes[] = { LEDGER_CLASS_INTERNAL,
		LEDGER_CLASS_INTERNAL_WIRED, LEDGER_CLASS_INTERNAL_COMPRESSED };
	enum ledger_standing before = o->standing;

	pageq_assert_held(o->daemon);
	CHECK(!o->external && !o->is_device && standing != STANDING_EXTERNAL);
	CHECK(o->class_pages[LEDGER_CLASS_REUSABLE] == 0);
	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++) {
		enum ledger_class from = ledger_class_of(before, classes[i]);
		enum ledger_class to = ledger_class_of(standing, classes[i]);

		if (from != to && o->class_pages[from] > 0)
			class_move(o->daemon, o, from, to, o->class_pages[from]);
	}
	o->standing = standing;
}

void
vm_object_purgeable_switch_locked(
    struct vm_object *o, enum purgeable_state state, uint32_t how, bool purged)
{
	struct daemon *d = o->daemon;

	lock_assert_held(&o->lock);
	pageq_assert_held(d);
	CHECK(o->is_purgeable);
	purgeable_switch(&d->pageq.purge, &o->purgeable, state, how, purged, inactive_pages(d));
	kept_object_purgeable_locked(o, purged);
	vm_object_standing_set_locked(
	    o, state == PURGEABLE_NONVOLATILE ? STANDING_NONVOLATILE : STANDING_VOLATILE);
}

void
vm_page_make_dirty(struct vm_object *o, struct vm_page *p, struct task *task)
{
	uint32_t word = load_acquire(&p->word), payer = DIRTY_NOBODY;

	CHECK(word & PAGE_BUSY);
	if (word & PAGE_DIRTY)
		return;
	if (unlikely(o->external != NULL))
		payer = dirty_bill(o, task, page_word_state(word) == PAGE_WIRED);
	vm_page_flags_set(p, PAGE_DIRTY | payer << PAGE_PAYER_SHIFT);
	vm_object_dirtied(o);
}

void
vm_page_make_clean(struct vm_object *o, struct vm_page *p)
{
	uint32_t word = load_acquire(&p->word);

	CHECK(word & PAGE_BUSY);
	vm_page_flags_clear(p, PAGE_DIRTY | PAGE_WRITING | (o->external ? PAGE_PAYER_MASK : 0));
	if (unlikely(o->external != NULL) && word & PAGE_DIRTY)
		dirty_unbill(o, word >> PAGE_PAYER_SHIFT, page_word_state(word) == PAGE_WIRED);
}

void
vm_page_commit_slot(struct daemon *d, struct vm_object *o, enum page_state from, enum page_state to)
{
	pageq_assert_held(d);
	CHECKF(page_arrow_allowed(from, to) && !states[from].resident && !states[to].resident,
	    "object %llu: no arrow %s -> %s without a frame", (unsigned long long)o->id,
	    page_state_name(from), page_state_name(to));
	post(d, o, from, to, false);
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
	CHECK(!(word & PAGE_DUP) || !dirty);

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
