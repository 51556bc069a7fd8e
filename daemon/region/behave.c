/* SPDX-License-Identifier: MIT
 *
 * Behaviors of ranges. Runs on: jobs.
 */
#include "region/behave.h"

#include <errno.h>

#include "pageq/pageq.h"
#include "pmap/zap.h"
#include "region/change.h"
#include "region/page_list.h"
#include "region/piece.h"
#include "transit/discard.h"
#include "transit/reuse.h"
#include "vm/copy_look.h"
#include "vm/copy_reserve.h"
#include "vm/vm_map.h"
#include "vm/vm_share.h"

#define COST_COOL  4u /* of a page, in slots looked at (piece.h) */
#define COOL_BATCH 64u
_Static_assert(COOL_BATCH <= ZAP_MAX, "a batch is unmapped at once");

static void
entry_behave(struct change *c, struct vm_entry *e)
{
	lock_assert_held(&c->range->task->map.lock);
	e->behavior = c->value;
}

int
region_behave(struct range *range, uint32_t behavior)
{
	locks_assert_none();
	CHECK(range->at == range->address);
	return change_entries(
	    &(struct change){ .range = range, .apply = entry_behave, .value = behavior });
}

/* => 0, -EINVAL (not all of it is allocated), or the first that `check` says */
static int
entries_check(struct range *range, int (*check)(const struct vm_entry *e))
{
	struct vm_map *m = &range->task->map;
	int error = 0;

	locks_assert_none();
	CHECK(range->address < range->end);
	lock_acquire(&m->lock);
	if (!vm_map_is_covered(m, range->address, range->end))
		error = -EINVAL;
	else if (page_list_around(range))
		error = -EBUSY;
	for (uint32_t i = vm_map_index(m, range->address);
	     !error && i < m->count && m->entries[i].start < range->end; i++)
		error = check(&m->entries[i]);
	lock_release(&m->lock);
	return error;
}

static int
entry_may_leave(const struct vm_entry *e)
{
	return e->mapping->object->is_device ? -ENOTSUP : 0;
}

static int
entry_may_be_discarded(const struct vm_entry *e)
{
	return e->pin_count > 0 ? -EBUSY : entry_may_leave(e);
}

int
region_may_leave(struct range *range)
{
	locks_assert_none();
	return entries_check(range, entry_may_leave);
}

int
region_may_be_discarded(struct range *range)
{
	locks_assert_none();
	/* What leaves may part links of copies. */
	if (!copy_reserve_settle(range->task->daemon))
		return -ENOMEM;
	return entries_check(range, entry_may_be_discarded);
}

struct cool {
	struct walk walk;
	struct victim victims[COOL_BATCH];
	unsigned count;
};

static void
cool_flush(struct cool *c)
{
	const struct range *range = c->walk.range;

	CHECK(c->count <= COOL_BATCH);
	zap(range->task->daemon, range->stats, c->victims, c->count);
	for (unsigned i = 0; i < c->count; i++)
		vm_object_put(c->victims[i].object);
	c->count = 0;
}

static void
cool_page(struct walk *w, const struct vm_mapping *m, uint64_t index)
{
	struct vm_object *o = m->object;
	struct cool *c = container_of(w, struct cool, walk);
	struct daemon *d = o->daemon;
	bool cooled;

	CHECK(index < o->page_count && c->count < COOL_BATCH);
	pageq_lock(d);
	cooled = pageq_deactivate_page_locked(d, o, index);
	pageq_unlock(d);
	if (!cooled)
		return;
	vm_object_get(o);
	c->victims[c->count++] = (struct victim){ vm_object_pol_page(o, index), FRAME_NONE, o };
	w->acted++;
	if (c->count == COOL_BATCH)
		cool_flush(c);
}

uint64_t
region_cool(struct range *range)
{
	struct cool c = { .walk = { .range = range, .page = cool_page, .cost = COST_COOL } };
	uint64_t pages = piece_walk(&c.walk);

	if (c.count > 0)
		cool_flush(&c);
	CHECK(c.count == 0);
	stat_add(range->stats, STAT_DEACTIVATIONS, pages);
	return pages;
}

/* What is below a page of a copy would be its content, and what is above it counts on it. */
static bool
may_be_reusable(const struct part *part)
{
	const struct vm_object *o = part->entry.mapping->object;

	return part->entry.wired_count == 0 && !o->is_shareable && !o->external && !o->is_device &&
	       !o->is_purgeable && o->standing == STANDING_PLAIN &&
	       !vm_object_has_links(o, part->first, part->last - part->first);
}

uint64_t
region_reusable(struct range *range)
{
	struct cool c = { .walk = { .range = range } };
	struct piece p = piece_begin(range, PIECE_DISCARD);
	uint64_t pages = 0;
	struct part part;

	while (piece_next(&p, &part)) {
		const struct vm_mapping *m = part.entry.mapping;
		bool may = may_be_reusable(&part);

		if (may)
			pages += vm_object_make_reusable(m->object, part.first, part.last);
		/* They are the first to leave. */
		for (uint64_t i = part.first;
		     may && (i = vm_object_next_live(m->object, i, part.last)) < part.last; i++)
			cool_page(&c.walk, m, i);
		if (c.count > 0)
			cool_flush(&c);
		vm_mapping_put(part.entry.mapping);
	}
	stat_add(range->stats, STAT_DEACTIVATIONS, c.walk.acted);
	return pages;
}

uint64_t
region_reuse(struct range *range)
{
	struct piece p = piece_begin(range, PIECE_DISCARD);
	uint64_t pages = 0;
	struct part part;

	while (piece_next(&p, &part)) {
		pages += vm_object_reuse(part.entry.mapping->object, part.first, part.last);
		vm_mapping_put(part.entry.mapping);
	}
	return pages;
}

/* What others keep, too, stays: it is not this task's to throw away. */
static uint64_t
part_discard(const struct part *part)
{
	const struct vm_mapping *m = part->entry.mapping;
	struct vm_object *o = m->object;

	/* What is in a file is not this task's alone. */
	if (o->external)
		return 0;
	if (!o->is_shareable)
		return vm_object_discard(o, part->first, part->last - part->first);
	/* To throw content away is to write; and a submap's regions keep it. */
	if (m->is_read_only || o->submap)
		return 0;
	return vm_object_discard_uncovered(o, m, part->first, part->last);
}

uint64_t
region_discard(struct range *range)
{
	struct piece p = piece_begin(range, PIECE_DISCARD);
	uint64_t gone = 0;
	struct part part;

	while (piece_next(&p, &part)) {
		CHECK(part.first < part.last);
		gone += part_discard(&part);
		vm_mapping_put(part.entry.mapping);
	}
	stat_add(range->stats, STAT_DISCARDS, gone);
	return gone;
}
