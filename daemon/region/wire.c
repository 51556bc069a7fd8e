/* SPDX-License-Identifier: MIT
 *
 * Wired memory. Runs on: jobs.
 */
#include "region/wire.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "failpt.h"
#include "pager/pager.h"
#include "pageq/pageq.h"
#include "pagers/marks.h"
#include "pagers/pager.h"
#include "pmap/pmap.h"
#include "region/change.h"
#include "region/page_list.h"
#include "region/piece.h"
#include "region/prefetch.h"
#include "transit/copy_push.h"
#include "transit/release.h"
#include "vm/copy_link.h"
#include "vm/kept_task.h"
#include "vm/submap.h"
#include "vm/vm_map.h"
#include "vm/vm_share.h"

#define COST_WIRE 8u /* of a page, in slots looked at (piece.h) */

/* Waits until the page is not busy, and makes it busy. => NULL: it is not resident; no lock held
 * */
static struct vm_page *
page_busy_wait(struct daemon *d, struct vm_object *o, uint64_t index, uint32_t *ret_frame)
{
	struct vm_page *p = NULL;

	locks_assert_none();
	CHECK(index < o->page_count);
	lock_acquire(&o->lock);
	for (;;) {
		uint64_t slot = load_relaxed(vm_object_slot(o, index));

		if (slot_kind(slot) != SLOT_RESIDENT)
			break;
		*ret_frame = slot_frame(slot);
		p = &d->frames.pages[*ret_frame];
		if (vm_page_busy_only(p))
			break;
		vm_object_wait_unbusy(o, p);
		p = NULL;
	}
	lock_release(&o->lock);
	return p;
}

/* The page is clean: its place has what it has, from now on as far as nobody stores. */
static void
page_mark(const struct range *range, struct vm_object *o, uint64_t index)
{
	struct daemon *d = o->daemon;
	void *page = prefetch_page_of(d, range->place);

	if (pread(o->backing.memfd, page, d->page_bytes, (off_t)(index << d->page_shift)) ==
	    (ssize_t)d->page_bytes)
		marks_set(o, index, page);
}

bool
page_wire(const struct range *range, const struct vm_mapping *m, uint64_t index)
{
	struct vm_object *o = m->object;
	struct daemon *d = o->daemon;
	uint32_t frame;
	struct vm_page *p;
	struct cref given_up;

	locks_assert_none();
	p = page_busy_wait(d, o, index, &frame);
	if (!p)
		return false;
	INVARIANT(load_relaxed(&p->word) & PAGE_BUSY);
	/* It is written to unseen from now on. Where a copy has no frame for what it is then, the
	 * page is wired by its touch. */
	if ((vm_object_is_linked(o, COPY_ABOVE) &&
		copy_push(&range->stats, o, index, prefetch_page_of(d, range->place),
		    COPY_TO_WIRE) != COPY_PUSHED) ||
	    (unlikely(page_word_is_shown(load_acquire(&p->word))) &&
		pmap_hide(o, index, p, prefetch_page_of(d, range->place)) != 0)) {
		vm_object_unbusy(o, index, p);
		return false;
	}
	given_up.v = p->cref;
	if (unlikely(o->external != NULL) && given_up.v)
		page_mark(range, o, index);
	p->cref = 0;
	vm_page_flags_clear(p, PAGE_WRITING | PAGE_DUP);
	vm_page_make_dirty(o, p, m->task);
	pageq_lock(d);
	pageq_wire_locked(d, o, frame);
	pageq_unlock(d);
	if (given_up.v)
		pager_drop(o, given_up);
	vm_object_unbusy(o, index, p);
	return true;
}

static void
wire_page(struct walk *w, const struct vm_mapping *m, uint64_t index)
{
	w->acted += page_wire(w->range, m, index);
}

/* Whether another task keeps the page wired. A thread that wires it just now waits for the page,
 * which is busy, and wires it again. */
static bool
is_wired_elsewhere(const struct vm_mapping *m, uint64_t index)
{
	struct vm_object *o = m->object;
	bool is_wired;

	if (likely(!o->is_shareable))
		return false;
	lock_acquire(&o->lock);
	is_wired = vm_object_wired_elsewhere_locked(o, m, index);
	lock_release(&o->lock);
	return is_wired;
}

/* Whether the page is not wired, and no thread that has it busy is about to wire it. */
static bool
page_is_loose(struct vm_object *o, uint64_t index)
{
	uint64_t slot;
	uint32_t word;

	lock_acquire(&o->lock);
	slot = load_relaxed(vm_object_slot(o, index));
	word = slot_kind(slot) == SLOT_RESIDENT
		   ? load_acquire(&o->daemon->frames.pages[slot_frame(slot)].word)
		   : 0;
	lock_release(&o->lock);
	return slot_kind(slot) != SLOT_RESIDENT ||
	       (!(word & PAGE_BUSY) && page_word_state(word) != PAGE_WIRED);
}

/* => whether it is not wired any more */
static bool
page_unwire(const struct vm_mapping *m, uint64_t index)
{
	struct vm_object *o = m->object;
	struct daemon *d = o->daemon;
	uint32_t frame;
	struct vm_page *p = page_busy_wait(d, o, index, &frame);
	bool stays;

	if (!p)
		return false;
	INVARIANT(load_relaxed(&p->word) & PAGE_BUSY);
	stays = is_wired_elsewhere(m, index);
	if (!stays) {
		marks_clear(o, index);
		pageq_lock(d);
		pageq_unwire_locked(d, o, frame);
		pageq_unlock(d);
	}
	vm_object_unbusy(o, index, p);
	return !stays;
}

static void
unwire_page(struct walk *w, const struct vm_mapping *m, uint64_t index)
{
	w->acted += page_unwire(m, index);
}

static void
pages_unwire(const struct vm_mapping *m, uint64_t first, uint64_t last)
{
	const struct vm_object *o = m->object;

	CHECK(last <= o->page_count);
	for (uint64_t i = first; (i = vm_object_next_live(o, i, last)) < last; i++)
		if (!page_is_loose(m->object, i))
			page_unwire(m, i);
}

/* A task that unwires pages leaves those wired that another mapping may have wired, of which only
 * the number of bytes is looked at. When that mapping has none wired any more they follow. */
void
mapping_leftovers_unwire(struct vm_mapping *m)
{
	struct vm_object *o = m->object;
	uint64_t first, last;

	if (!o->is_shareable || load_acquire(&m->wired_bytes) > 0)
		return;
	lock_acquire(&o->lock);
	first = m->first;
	last = m->end;
	lock_release(&o->lock);
	if (first < last)
		pages_unwire(m, first, last);
}

void
mapping_unwire(struct vm_mapping *m, uint64_t first, uint64_t last)
{
	locks_assert_none();
	CHECK(first < last);
	pages_unwire(m, first, last);
	mapping_leftovers_unwire(m);
}

static void
entry_wire(struct change *c, struct vm_entry *e)
{
	lock_assert_held(&c->range->task->map.lock);
	vm_map_wire_user(&c->range->task->map, e, 1);
	task_record_count_locked(&c->range->task->map);
}

static void
entry_unwire(struct change *c, struct vm_entry *e)
{
	lock_assert_held(&c->range->task->map.lock);
	vm_map_wire_user(&c->range->task->map, e, -1);
	task_record_count_locked(&c->range->task->map);
}

static int
entry_is_wired(struct change *c, const struct vm_entry *e)
{
	lock_assert_held(&c->range->task->map.lock);
	if (e->pin_count > 0)
		return -EBUSY;
	return e->user_wired_count > 0 ? 0 : -EINVAL;
}

/* rights: those with which each page is about to be touched. Bytes that are wired already have been
 * promised already. */
static int
entry_check(struct change *c, const struct vm_entry *e, uint32_t rights)
{
	struct vm_object *o = e->mapping->object;
	bool is_locked = e->mapping->is_read_only && !o->is_device;
	uint64_t start, end;
	int error;

	lock_assert_held(&c->range->task->map.lock);
	if (is_locked || (rights & ~e->protection))
		return -EACCES;
	start = max_u64(e->start, c->range->address);
	end = min_u64(e->end, c->range->end);
	if (o->submap) {
		error = submap_allows(o, (e->offset + (start - e->start)) >> o->daemon->page_shift,
		    (e->offset + (end - e->start)) >> o->daemon->page_shift, rights);
		if (error)
			return error;
	}
	/* They will be dirty when they are unwired. */
	if (e->wired_count == 0 && o->external && !dirty_has_room(c->range->task))
		return -EAGAIN;
	if (e->wired_count == 0 && !o->is_device)
		c->wired_bytes += end - start;
	return 0;
}

static int
entry_may_wire(struct change *c, const struct vm_entry *e)
{
	/* Of a submap the client is about to write to each page. */
	uint32_t rights = e->mapping->object->submap ? PROT_READ | PROT_WRITE : PROT_READ;
	int error = entry_check(c, e, rights);

	lock_assert_held(&c->range->task->map.lock);
	return error ? error : e->user_wired_count < UINT16_MAX ? 0 : -EAGAIN;
}

/* Whether entry i is of the object of the one before it in the range: these are parted and merged
 * meanwhile. => M held */
static bool
is_same_as_before_locked(const struct vm_map *m, uint32_t i, const struct range *range)
{
	lock_assert_held(&((struct vm_map *)(uintptr_t)m)->lock);
	return m->entries[i].start > range->address && i > 0 &&
	       m->entries[i - 1].end > range->address &&
	       m->entries[i - 1].mapping->object == m->entries[i].mapping->object;
}

/* Undoes purgeables_hold_locked for entries below `end`. => M held */
static void
purgeables_let_go_locked(const struct range *range, uint64_t end)
{
	struct vm_map *m = &range->task->map;

	lock_assert_held(&m->lock);
	for (uint32_t i = vm_map_index(m, range->address);
	     i < m->count && m->entries[i].start < end; i++) {
		struct vm_object *o = m->entries[i].mapping->object;

		if (likely(!o->is_purgeable) || is_same_as_before_locked(m, i, range))
			continue;
		lock_acquire(&o->lock);
		CHECK(o->purgeable.wirers > 0);
		o->purgeable.wirers--;
		lock_release(&o->lock);
	}
}

/* Purgeable objects of the range stay nonvolatile while they are being wired: after that their
 * mappings say that they are. end: entries up to there. => 0; -EBUSY: one is not nonvolatile, and
 * nothing has changed; M held */
static int
purgeables_hold_locked(const struct range *range, uint64_t end)
{
	struct vm_map *m = &range->task->map;
	int error = 0;

	lock_assert_held(&m->lock);
	for (uint32_t i = vm_map_index(m, range->address);
	     !error && i < m->count && m->entries[i].start < end; i++) {
		struct vm_object *o = m->entries[i].mapping->object;

		if (likely(!o->is_purgeable) || is_same_as_before_locked(m, i, range))
			continue;
		lock_acquire(&o->lock);
		if (vm_object_is_volatile(o))
			error = -EBUSY;
		else
			o->purgeable.wirers++;
		lock_release(&o->lock);
		if (error)
			purgeables_let_go_locked(range, m->entries[i].start);
	}
	return error;
}

static int
take_wired(struct change *c)
{
	struct task *task = c->range->task;
	int error = purgeables_hold_locked(c->range, c->range->end);

	lock_assert_held(&task->map.lock);
	if (error)
		return error;
	error = task_wired_take(task, c->wired_bytes);
	if (!error)
		task->wired_billed += c->wired_bytes;
	else
		purgeables_let_go_locked(c->range, c->range->end);
	return error;
}

/* The entries are changed. => as change_entries */
static int
entries_wire(struct change *c)
{
	struct vm_map *m = &c->range->task->map;
	int error;

	c->agree = take_wired;
	error = change_entries(c);
	if (error)
		return error;
	failpt_die(FAIL_DIE_WIRED);
	lock_acquire(&m->lock);
	purgeables_let_go_locked(c->range, c->range->end);
	lock_release(&m->lock);
	return 0;
}

/* Objects of files are to know what their places have of pages that will be wired. */
static void
marks_prepare(const struct range *range)
{
	uint64_t at = range->address;
	struct vm_entry e;

	while (at < range->end && task_entry_get(range->task, at, &e)) {
		if (e.start < range->end)
			marks_make(e.mapping->object);
		at = e.end;
		vm_mapping_put(e.mapping);
	}
}

int
region_wire_begin(struct range *range)
{
	locks_assert_none();
	CHECK(range->at == range->address);
	if (page_list_around(range) || range_has_windows(range))
		return -EBUSY;
	marks_prepare(range);
	return entries_wire(
	    &(struct change){ .range = range, .check = entry_may_wire, .apply = entry_wire });
}

static int
entry_may_pin(struct change *c, const struct vm_entry *e)
{
	/* What a device writes, the client must be allowed to write; and what it reads, to read. */
	uint32_t rights = c->value & PAGER_DIRECTION_IN ? PROT_READ | PROT_WRITE : PROT_READ;
	int error = entry_check(c, e, rights);

	lock_assert_held(&c->range->task->map.lock);
	return error ? error : e->pin_count < UINT16_MAX ? 0 : -EAGAIN;
}

static void
entry_pin(struct change *c, struct vm_entry *e)
{
	lock_assert_held(&c->range->task->map.lock);
	vm_map_pin(&c->range->task->map, e, 1);
}

int
region_pin_begin(struct range *range, uint32_t direction)
{
	locks_assert_none();
	CHECK(range->at == range->address);
	if (page_list_around(range) || range_has_windows(range))
		return -EBUSY;
	marks_prepare(range);
	return entries_wire(&(struct change){
	    .range = range, .check = entry_may_pin, .apply = entry_pin, .value = direction });
}

static int
entry_is_pinned(struct change *c, const struct vm_entry *e)
{
	lock_assert_held(&c->range->task->map.lock);
	return e->pin_count > 0 ? 0 : -EINVAL;
}

static void
entry_unpin(struct change *c, struct vm_entry *e)
{
	lock_assert_held(&c->range->task->map.lock);
	vm_map_pin(&c->range->task->map, e, -1);
}

int
region_unpin_begin(struct range *range)
{
	locks_assert_none();
	CHECK(range->at == range->address);
	if (page_list_around(range))
		return -EBUSY;
	return change_entries(
	    &(struct change){ .range = range, .check = entry_is_pinned, .apply = entry_unpin });
}

bool
object_is_pinned(struct vm_object *o, uint64_t first, uint64_t end)
{
	unsigned page_shift = o->daemon->page_shift;
	const struct mapper *m;
	struct mapper_walk w;
	bool pinned = false;

	locks_assert_none();
	mapper_walk_begin(&w, o, first, end);
	while (!pinned && (m = mapper_walk_next(&w)) != NULL) {
		uint64_t low = m->base + (m->low << page_shift),
			 high = m->base + (m->high << page_shift);
		struct vm_map *map = &m->task->map;

		lock_acquire(&map->lock);
		for (uint32_t i = vm_map_index(map, low);
		     i < map->count && map->entries[i].start < high; i++)
			pinned |=
			    map->entries[i].pin_count > 0 && map->entries[i].mapping->object == o;
		lock_release(&map->lock);
	}
	mapper_walk_end(&w);
	return pinned;
}

int
region_pinned_part(const struct range *range, struct vm_entry *ret)
{
	unsigned page_shift = range->task->daemon->page_shift;
	struct vm_map *m = &range->task->map;
	struct vm_entry *e;
	uint64_t end;

	locks_assert_none();
	CHECK(range->address < range->end);
	lock_acquire(&m->lock);
	e = vm_map_lookup(m, range->address);
	if (!e || e->pin_count == 0) {
		lock_release(&m->lock);
		return -EINVAL;
	}
	*ret = *e;
	ret->offset += range->address - e->start;
	ret->start = range->address;
	end = e->end;
	/* Neighbours of one object, side by side there too. */
	for (e++; e < m->entries + m->count && end < range->end; e++) {
		if (e->start != end || e->pin_count == 0 ||
		    e->mapping->object != ret->mapping->object ||
		    e->offset != ret->offset + (end - ret->start) ||
		    e->mapping->is_read_only != ret->mapping->is_read_only)
			break;
		ret->max_protection &= e->max_protection;
		end = e->end;
	}
	ret->end = min_u64(end, range->end);
	vm_mapping_get(ret->mapping);
	lock_release(&m->lock);
	CHECK(ret->end - ret->start >= 1ull << page_shift);
	return 0;
}

uint64_t
region_wire(struct range *range)
{
	CHECK_OBJ(range->task, TASK_MAGIC);
	return piece_walk(&(struct walk){ .range = range, .page = wire_page, .cost = COST_WIRE });
}

int
region_unwire_begin(struct range *range)
{
	int error;

	CHECK(range->at == range->address);
	if (page_list_around(range))
		return -EBUSY;
	error = change_entries(
	    &(struct change){ .range = range, .check = entry_is_wired, .apply = entry_unwire });
	if (!error)
		failpt_die(FAIL_DIE_WIRED);
	return error;
}

static void
range_leftovers_unwire(const struct range *range)
{
	uint64_t at = range->address;
	struct vm_entry e;

	while (at < range->end && task_entry_get(range->task, at, &e)) {
		if (e.start < range->end)
			mapping_leftovers_unwire(e.mapping);
		at = e.end;
		vm_mapping_put(e.mapping);
	}
}

uint64_t
region_unwire(struct range *range)
{
	uint64_t pages = piece_walk(&(struct walk){
	    .range = range, .page = unwire_page, .cost = COST_WIRE, .skips_wired = true });

	if (range_is_done(range)) {
		range_leftovers_unwire(range);
		task_wired_settle(range->task);
	}
	return pages;
}
