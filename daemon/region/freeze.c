/* SPDX-License-Identifier: MIT
 *
 * Freezing a task's regions, a piece at a time. Runs on: jobs.
 */
#include "region/freeze.h"

#include "region/evict.h"
#include "region/piece.h"
#include "transit/purge.h"
#include "vm/vm_mapping.h"
#include "vm/vm_share.h"

#define COST_FREEZE 2u /* of a page, in slots looked at (piece.h) */

static uint64_t
resident_count(struct vm_object *o, uint64_t first, uint64_t last)
{
	uint64_t count = 0;

	for (uint64_t i = first; (i = vm_object_next_live(o, i, last)) < last; i++)
		count += slot_kind(load_acquire(vm_object_slot(o, i))) == SLOT_RESIDENT;
	return count;
}

/* Whether somebody else maps some of the pages, or may come to. */
static bool
is_shared(struct vm_object *o, const struct task *task, uint64_t first, uint64_t last)
{
	struct vm_references references;

	if (likely(!o->is_shareable))
		return false;
	lock_acquire(&o->lock);
	references = vm_object_references_locked(o, task, first, last);
	lock_release(&o->lock);
	return references.all != references.own;
}

static void
part_freeze(
    const struct part *part, const struct range *range, uint64_t behind, struct freeze_tally *tally)
{
	struct vm_object *o = part->entry.mapping->object;
	struct eviction e;

	if (o->external || o->is_device)
		return;
	if (o->submap || is_shared(o, range->task, part->first, part->last)) {
		tally->shared += resident_count(o, part->first, part->last);
		return;
	}
	/* As in XNU. What is in transit is held. */
	if (o->is_purgeable) {
		struct hole hole;
		uint64_t pages;

		(void)vm_object_purge(range->stats, &hole, o, true, &pages);
	}
	e = region_evict_pages(o, part->first, part->last, behind, true);
	tally->out += e.pages;
	tally->gathered += e.gathered;
	tally->held += resident_count(o, part->first, part->last);
}

void
region_freeze(struct range *range, struct freeze_tally *tally)
{
	struct daemon *d = range->task->daemon;
	struct piece p = piece_begin(range, piece_content_cost(d, COST_FREEZE));
	uint64_t before = tally->out + tally->gathered;
	struct part part;

	locks_assert_none();
	while (piece_next(&p, &part)) {
		part_freeze(&part, range, (range->end - range->at) >> d->page_shift, tally);
		vm_mapping_put(part.entry.mapping);
	}
	stat_add(range->stats, STAT_FROZEN_PAGES, tally->out + tally->gathered - before);
}
