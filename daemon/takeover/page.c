/* SPDX-License-Identifier: MIT
 *
 * Pages. The slot counts; a frame's row counts where the slot names it and it names the page; and
 * what is in the memfd decides where a step was cut short. A slot is written before what it named
 * is given to others, so the worker that comes after this one may begin again at any point. Runs
 * on: the main thread, before there are others.
 */
#include "takeover/page.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "arena.h"
#include "failpt.h"
#include "pageq/pageq.h"
#include "pagers/store.h"
#include "pmap/backing.h"
#include "vm/block.h"
#include "vm/kept_frame.h"
#include "vm/vm_map.h"
#include "vm/vm_share.h"

struct taking {
	struct vm_object *object;
	struct taken_pages *sum;
	struct arena_run data; /* of the memfd, the last that was looked for */
	uint64_t none_from;    /* bytes: there is no data from here to data.start */
	char *content;         /* a page's */
	bool is_purging;       /* all that the object has is on its way out */
};

static void
punch(int memfd, uint64_t offset, uint64_t bytes)
{
	locks_assert_none();
	while (fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
		   (off_t)bytes) < 0)
		if (errno != EINTR) {
			log_warning_limited(
			    "memory of a client could not be taken away: %s", strerror(errno));
			return;
		}
}

void
pages_drop(int memfd)
{
	CHECK(memfd >= 0);
	punch(memfd, 0, UINT64_C(1) << 46);
}

enum here { HERE_NOT, HERE_PARTLY, HERE };

/* How much of the page is in the memfd. */
static enum here
page_is_here(struct taking *w, uint64_t index)
{
	struct vm_object *o = w->object;
	unsigned shift = o->daemon->page_shift;
	uint64_t start = index << shift, end = (index + 1) << shift;

	if (start < w->none_from || start >= w->data.end) {
		w->none_from = start;
		if (!arena_next_data(o->backing.memfd, start, o->page_count << shift, &w->data))
			w->data = (struct arena_run){ UINT64_MAX, UINT64_MAX };
	}
	if (w->data.start >= end)
		return HERE_NOT;
	return w->data.start <= start && w->data.end >= end ? HERE : HERE_PARTLY;
}

/* Whether the mapping has an entry there, and whether that is wired. */
static bool
has_entry(struct vm_mapping *m, uint64_t index, bool *ret_wired)
{
	struct vm_map *map = &m->task->map;
	const struct vm_entry *e;
	bool found;

	CHECK(index < m->object->page_count);
	lock_acquire(&map->lock);
	e = vm_map_lookup(map, vm_mapping_address(m, index));
	found = e && e->mapping == m;
	*ret_wired = found && e->wired_count > 0;
	lock_release(&map->lock);
	return found;
}

static bool
page_is_covered(struct taking *w, uint64_t index)
{
	struct vm_object *o = w->object;
	uint64_t low, high;
	bool wired;

	if (w->is_purging)
		return false;
	if (o->is_shareable)
		return !vm_object_uncovered(o, NULL, index, index + 1, &low, &high);
	CHECK(o->mappings && !o->mappings->next);
	return has_entry(o->mappings, index, &wired);
}

/* Whether an entry keeps the page, which is resident, in memory. */
static bool
page_is_wired(const struct taking *w, uint64_t index)
{
	bool wired = false;

	for (struct vm_mapping *m = w->object->mappings; m && !wired; m = m->next)
		if (load_relaxed(&m->wired_bytes) > 0 && m->first <= index && index < m->end)
			(void)has_entry(m, index, &wired);
	return wired;
}

static uint64_t
slot_put(struct taking *w, uint64_t index, uint64_t slot)
{
	struct vm_object *o = w->object;

	lock_acquire(&o->lock);
	vm_object_slot_restore(o, index, slot);
	lock_release(&o->lock);
	return slot;
}

/* The page has no frame. */
static uint64_t
page_is_away(struct taking *w, uint64_t index, uint64_t slot)
{
	struct vm_object *o = w->object;
	struct daemon *d = o->daemon;

	if (slot_kind(slot) == SLOT_STORED && !store_adopt(o, slot_cref(slot))) {
		log_error_limited("page %llu of object %llu was stored, and its copy is not there: "
				  "touching it is SIGBUS",
		    (unsigned long long)index, (unsigned long long)o->id);
		w->sum->lost++;
		slot = SLOT_POISONED;
	}
	slot_put(w, index, slot);
	if (slot == SLOT_ABSENT)
		return slot;
	w->sum->stored += slot_kind(slot) == SLOT_STORED;
	pageq_lock(d);
	vm_page_commit_slot(
	    d, o, PAGE_ABSENT, slot_kind(slot) == SLOT_STORED ? PAGE_STORED : PAGE_POISONED);
	pageq_unlock(d);
	return slot;
}

/* The page stays in its frame, as one that has just been filled. */
static void
page_stays(struct taking *w, uint64_t index, uint32_t frame, bool maybe_clean)
{
	struct vm_object *o = w->object;
	struct daemon *d = o->daemon;
	struct vm_page *p = &d->frames.pages[frame];
	uint32_t flags = load_acquire(&p->word) & PAGE_DOOR_MASK;
	bool wired = page_is_wired(w, index);

	/* What is wired is written to unseen, whatever it was before. */
	if (!maybe_clean || wired || p->cref == 0 || !store_adopt(o, (struct cref){ p->cref })) {
		p->cref = 0;
		flags |= failpt_hit(FAIL_TAKEOVER_WRONG) ? 0 : PAGE_DIRTY;
	}
	lock_acquire(&o->lock);
	pageq_lock(d);
	kept_frame_take_locked(d, frame, flags);
	vm_page_commit(d, o, frame, PAGE_ABSENT, PAGE_FILLING);
	pageq_filled_locked(d, o, frame, PAGE_ACTIVE, flags & PAGE_DIRTY ? PF_WRITE : 0);
	if (wired)
		pageq_wire_locked(d, o, frame);
	pageq_unlock(d);
	lock_release(&o->lock);
	vm_page_unbusy(p);
	w->sum->resident++;
}

/* Of a page that was being filled only a part was put in place, and may have been written to since.
 * The rest comes from the page's copy, or is zeroes; then it is as if the fill had just ended. =>
 * false: there is no such copy */
static bool
rest_fill(struct taking *w, uint64_t index, struct cref cref)
{
	struct vm_object *o = w->object;
	struct daemon *d = o->daemon;
	uint64_t start = index << d->page_shift, at;
	struct arena_run there;
	int error;

	locks_assert_none();
	if (cref.v == 0)
		memset(w->content, 0, d->page_bytes);
	error = cref.v != 0 ? store_adopt_load(o, cref, w->content) : 0;
	for (at = start; !error && at < start + d->page_bytes; at += d->hw_bytes) {
		if (arena_next_data(o->backing.memfd, at, at + d->hw_bytes, &there))
			continue;
		failpt_die(FAIL_DIE_TAKEOVER_REST);
		if (!backing_write(o, at, w->content + (at - start), d->hw_bytes))
			error = -ENOMEM;
	}
	if (error)
		log_error_limited(
		    "page %llu of object %llu was half filled, and the rest cannot be "
		    "had (%s): touching it is SIGBUS",
		    (unsigned long long)index, (unsigned long long)o->id, strerror(-error));
	return !error;
}

static uint64_t
resident_take_over(struct taking *w, uint64_t index, uint64_t slot)
{
	struct vm_object *o = w->object;
	struct daemon *d = o->daemon;
	uint32_t frame = slot_frame(slot), word = 0;
	bool is_its = kept_frame_is_of(d, frame, o->index, index), is_filling = true;
	enum here here = page_is_here(w, index);
	struct cref cref = CREF_NONE;

	if (is_its) {
		word = load_acquire(&d->frames.pages[frame].word);
		cref.v = d->frames.pages[frame].cref;
		is_filling =
		    frame_word_state(word) != FRAME_PAGE || page_word_state(word) == PAGE_FILLING;
	}
	is_its = is_its && page_is_covered(w, index);
	/* A page that was there and lacks a part lost it to its client. */
	if (is_its &&
	    (here == HERE || (here && !is_filling) || (here && rest_fill(w, index, cref)))) {
		page_stays(w, index, frame, !is_filling && !(word & PAGE_DIRTY));
		return slot;
	}
	/* What was made ready for content that several may see (fault/swapin.c) is no data. */
	if (here || o->is_shareable)
		punch(o->backing.memfd, index << d->page_shift, d->page_bytes);
	if (here && is_its) {
		w->sum->lost++;
		return page_is_away(w, index, SLOT_POISONED);
	}
	if (!is_its || cref.v == 0) {
		w->sum->discarded++;
		return page_is_away(w, index, SLOT_ABSENT);
	}
	return page_is_away(w, index, slot_with_door(slot_stored(cref), page_word_door(word)));
}

static uint64_t
page_take_over(struct taking *w, uint64_t index, uint64_t slot)
{
	switch (slot_kind(slot)) {
	case SLOT_ABSENT:
		return slot;
	case SLOT_RESIDENT:
		return resident_take_over(w, index, slot);
	default:
		if (!page_is_covered(w, index)) {
			w->sum->discarded++;
			slot = SLOT_ABSENT;
		}
		return page_is_away(w, index, slot);
	}
}

/* The slots of a block, which has memory. */
static void
block_take_over(struct taking *w, uint64_t block)
{
	struct vm_object *o = w->object;
	struct slot_table *t = &o->daemon->slots;
	uint64_t first = block * SLOTS_PER_BLOCK,
		 end = min_u64(first + SLOTS_PER_BLOCK, o->page_count);
	unsigned live = 0;

	failpt_die(FAIL_DIE_TAKEOVER);
	for (uint64_t i = first; i < end; i++)
		live +=
		    page_take_over(w, i, load_acquire(&t->slots[o->slot_base + i])) != SLOT_ABSENT;
	if (live == 0) {
		fallocate(t->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		    (off_t)((o->slot_base + first) * sizeof(uint64_t)),
		    (off_t)(SLOTS_PER_BLOCK * sizeof(uint64_t)));
		return;
	}
	lock_acquire(&o->lock);
	vm_object_block_restore(o, block, live);
	lock_release(&o->lock);
}

void
pages_take_over(struct vm_object *o, char *content, struct taken_pages *sum)
{
	atomic_uint *purgeable = &o->daemon->kept_objects.rows[o->index].purgeable;
	struct taking w = { .object = o,
		.sum = sum,
		.content = content,
		.is_purging = load_acquire(purgeable) & KEPT_PURGING };
	uint64_t bytes = SLOTS_PER_BLOCK * sizeof(uint64_t);
	uint64_t base = o->slot_base * sizeof(uint64_t), end;
	struct arena_run run;

	locks_assert_none();
	end = base + vm_object_block_count(o) * bytes;
	for (uint64_t at = base; arena_next_data(o->daemon->slots.fd, at, end, &run); at = run.end)
		for (uint64_t b = (run.start - base) / bytes;
		     b < (run.end - base + bytes - 1) / bytes; b++)
			block_take_over(&w, b);
	/* It is empty now, and what is put into it stays. */
	if (w.is_purging)
		store_release(purgeable, load_relaxed(purgeable) & ~KEPT_PURGING);
}
