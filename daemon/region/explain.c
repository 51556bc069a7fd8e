/* SPDX-License-Identifier: MIT
 *
 * Bills explained. Runs on: jobs.
 */
#include "region/explain.h"

#include <string.h>

#include "region/piece.h"
#include "vm/copy_link.h"
#include "vm/ledger_walk.h"
#include "vm/vm_share.h"

_Static_assert(DOOR_COUNT <= (int)PAGER_DOORS, "each door has a place");

/* What it has posted. => PAGEQ held */
static void
bill_locked(const struct vm_object *o, struct pager_wire_billed *ret)
{
	unsigned shift = o->daemon->page_shift;
	struct class_pages billed;

	pageq_assert_held(o->daemon);
	memcpy(billed.pages, o->class_pages, sizeof(billed.pages));
	ret->standing = o->standing;
	ret->footprint = class_pages_of(&billed, PAGER_LEDGER_PHYS_FOOTPRINT) << shift;
	ret->resident = class_pages_of(&billed, PAGER_LEDGER_PHYS_MEM) << shift;
	ret->stored = class_pages_of(&billed, PAGER_LEDGER_INTERNAL_COMPRESSED) << shift;
	ret->wired = class_pages_of(&billed, PAGER_LEDGER_WIRED_MEM) << shift;
	ret->reusable = class_pages_of(&billed, PAGER_LEDGER_REUSABLE) << shift;
}

bool
object_explain(struct vm_object *o, struct task *task, struct pager_wire_billed *ret)
{
	struct vm_references references;
	bool is_payer;

	locks_assert_none();
	*ret = (struct pager_wire_billed){ .object_id = o->id };
	lock_acquire(&o->lock);
	is_payer = o->owner == task;
	if (is_payer) {
		references = vm_object_references_locked(o, task, 0, o->page_count);
		ret->own = references.own;
		ret->all = references.all;
		for (const struct vm_mapping *m = o->mappings; m && ret->address == 0; m = m->next)
			if (m->task == task && m->first < m->end)
				ret->address = m->base + (m->first << o->daemon->page_shift);
		pageq_lock(o->daemon);
		bill_locked(o, ret);
		pageq_unlock(o->daemon);
	}
	lock_release(&o->lock);
	ret->flags = (o->is_shareable ? PAGER_BILLED_SHAREABLE : 0) |
		     (vm_object_is_linked(o, COPY_ABOVE | COPY_BELOW) ? PAGER_BILLED_COPIED : 0) |
		     (o->is_device ? PAGER_BILLED_DEVICE : 0);
	return is_payer;
}

/* => O held */
static void
count_door_locked(const struct vm_object *o, uint64_t index, struct pager_wire_billed *ret)
{
	uint64_t slot = load_relaxed(vm_object_slot(o, index)), bytes = o->daemon->page_bytes;
	const struct vm_page *p;

	lock_assert_held(&((struct vm_object *)(uintptr_t)o)->lock);
	switch (slot_kind(slot)) {
	case SLOT_STORED:
		ret->stored_by[slot_door(slot)] += bytes;
		break;
	case SLOT_RESIDENT:
		p = &o->daemon->frames.pages[slot_frame(slot)];
		ret->resident_by[page_word_door(
		    load_relaxed(&((struct vm_page *)(uintptr_t)p)->word))] += bytes;
		break;
	default:
		break;
	}
}

bool
object_doors(struct vm_object *o, uint64_t *done, unsigned *work, struct pager_wire_billed *ret)
{
	uint64_t to = piece_reach(o, *done, o->page_count, 1, work), end;

	locks_assert_none();
	for (uint64_t at = *done; at < to; at = end) {
		end = min_u64(round_down_u64(at, SLOTS_PER_BLOCK) + SLOTS_PER_BLOCK, to);
		if (vm_object_next_live(o, at, end) == end)
			continue;
		/* Retaken for each block: faults want it, too. */
		lock_acquire(&o->lock);
		for (uint64_t i = at; i < end; i++)
			count_door_locked(o, i, ret);
		lock_release(&o->lock);
	}
	*work += PIECE_ENTRY;
	*done = to;
	return to == o->page_count;
}
