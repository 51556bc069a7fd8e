/* SPDX-License-Identifier: MIT
 *
 * Ranges in pieces. Runs on: jobs.
 */
#include "region/piece.h"

#include "vm/vm_map.h"
#include "vm/vm_share.h"

struct piece
piece_begin(struct range *range, unsigned cost)
{
	CHECK(cost > 0);
	CHECK(range->address <= range->at && range->at <= range->end);
	return (struct piece){ .range = range, .cost = cost };
}

uint64_t
piece_reach(const struct vm_object *o, uint64_t first, uint64_t last, unsigned cost, unsigned *work)
{
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECK(last <= o->page_count);
	while (first < last && *work < PIECE_WORK) {
		uint64_t to =
		    min_u64(round_down_u64(first, SLOTS_PER_BLOCK) + SLOTS_PER_BLOCK, last);

		if (vm_object_next_live(o, first, to) == to) {
			*work += PIECE_EMPTY;
		} else {
			to = min_u64(to, first + (PIECE_WORK - *work) / cost + 1);
			*work += (unsigned)(to - first) * cost;
		}
		first = to;
	}
	return first;
}

struct vm_entry
piece_take_locked(struct vm_map *m, uint32_t i, unsigned page_shift, unsigned *work)
{
	const struct vm_entry *e = &m->entries[i];
	uint64_t first = e->offset >> page_shift,
		 last = first + ((e->end - e->start) >> page_shift), reach;

	lock_assert_held(&m->lock);
	CHECK(i < m->count);
	reach = piece_reach(e->mapping->object, first, last, PIECE_DISCARD, work);
	*work += PIECE_ENTRY;
	if (e->mapping->object->is_shareable)
		vm_mapping_withdraw_locked(e->mapping, first, reach);
	return vm_map_remove_front(m, i, e->start + ((reach - first) << page_shift));
}

/* How far a piece may go back from page `last`. => a page < last, at least first */
static uint64_t
piece_reach_back(const struct vm_object *o, uint64_t first, uint64_t last, unsigned *work)
{
	CHECK(first < last && last <= o->page_count);
	while (first < last && *work < PIECE_WORK) {
		uint64_t from = max_u64(round_down_u64(last - 1, SLOTS_PER_BLOCK), first);

		if (vm_object_next_live(o, from, last) == last) {
			*work += PIECE_EMPTY;
		} else {
			uint64_t most = (PIECE_WORK - *work) / PIECE_DISCARD + 1;

			from = last - from > most ? last - most : from;
			*work += (unsigned)(last - from) * PIECE_DISCARD;
		}
		last = from;
	}
	return last;
}

struct vm_entry
piece_take_last_locked(struct vm_map *m, unsigned page_shift, unsigned *work)
{
	const struct vm_entry *e = &m->entries[m->count - 1];
	uint64_t first = e->offset >> page_shift,
		 last = first + ((e->end - e->start) >> page_shift), reach;

	lock_assert_held(&m->lock);
	CHECK(m->count > 0);
	reach = piece_reach_back(e->mapping->object, first, last, work);
	*work += PIECE_ENTRY;
	if (e->mapping->object->is_shareable)
		vm_mapping_withdraw_locked(e->mapping, reach, last);
	return vm_map_remove_back(m, m->count - 1, e->start + ((reach - first) << page_shift));
}

bool
piece_next(struct piece *p, struct part *ret)
{
	struct range *range = p->range;
	unsigned page_shift = range->task->daemon->page_shift;
	uint64_t from, to;

	locks_assert_none();
	if (range_is_done(range) || p->work + PIECE_ENTRY >= PIECE_WORK)
		return false;
	if (!task_entry_get(range->task, range->at, &ret->entry)) {
		range->at = range->end;
		return false;
	}
	if (ret->entry.start >= range->end) {
		vm_mapping_put(ret->entry.mapping);
		range->at = range->end;
		return false;
	}
	/* Pages that were there when the map became as it is have been counted by now. */
	vm_object_settle(ret->entry.mapping->object);
	from = max_u64(range->at, ret->entry.start);
	to = min_u64(range->end, ret->entry.end);
	CHECK(from < to);
	p->work += PIECE_ENTRY;
	ret->first = (ret->entry.offset + (from - ret->entry.start)) >> page_shift;
	ret->last = piece_reach(ret->entry.mapping->object, ret->first,
	    ret->first + ((to - from) >> page_shift), p->cost, &p->work);
	CHECK(ret->first < ret->last);
	range->at = from + ((ret->last - ret->first) << page_shift);
	return true;
}

uint64_t
piece_walk(struct walk *w)
{
	struct piece p = piece_begin(w->range, w->cost);
	struct part part;

	locks_assert_none();
	CHECK(w->page);
	while (piece_next(&p, &part)) {
		struct vm_mapping *m = part.entry.mapping;
		/* Nothing that is done page by page changes a device's memory. */
		bool skip = m->object->is_device || (w->skips_wired && part.entry.wired_count > 0);

		for (uint64_t i = part.first;
		     !skip && (i = vm_object_next_live(m->object, i, part.last)) < part.last; i++)
			w->page(w, m, i);
		vm_mapping_put(m);
	}
	return w->acted;
}
