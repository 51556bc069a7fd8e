/* SPDX-License-Identifier: MIT
 *
 * Descriptions. Runs on: jobs; what walks no pages also on the control loop.
 */
#include "region/describe.h"

#include <stdio.h>

#include "pagers/pager.h"
#include "region/piece.h"
#include "vm/copy_link.h"
#include "vm/copy_look.h"
#include "vm/submap.h"
#include "vm/vm_share.h"

/* Makes of an entry that maps a submap the part that its next region covers, from the address on.
 * => false: there is none */
static bool
region_within(struct vm_entry *e, uint64_t address)
{
	struct vm_object *o = e->mapping->object;
	unsigned page_shift = o->daemon->page_shift;
	uint64_t first = e->offset >> page_shift, end = first + ((e->end - e->start) >> page_shift),
		 from, to;
	struct submap_region r;

	from = address > e->start ? first + ((address - e->start) >> page_shift) : first;
	if (!submap_region_at(o, from, &r) || r.start >= end)
		return false;
	from = max_u64(r.start, first);
	to = min_u64(r.end, end);
	e->end = e->start + ((to - first) << page_shift);
	e->start += (from - first) << page_shift;
	e->offset = from << page_shift;
	e->protection &= r.protection;
	e->max_protection &= r.max_protection;
	e->tag = r.tag;
	return true;
}

bool
region_at(struct task *task, uint64_t address, uint32_t depth, struct region *ret)
{
	locks_assert_none();
	*ret = (struct region){ 0 };
	while (task_entry_get(task, address, &ret->entry)) {
		if (!ret->entry.mapping->object->submap)
			return true;
		ret->is_submap = depth == 0;
		ret->depth = depth > 0 ? 1 : 0;
		if (ret->is_submap || region_within(&ret->entry, address))
			return true;
		ret->depth = 0;
		address = ret->entry.end;
		vm_mapping_put(ret->entry.mapping);
	}
	return false;
}

/* The rules are XNU's for extended information. Two of them have no case here: an external pager
 * has no reference that would count, and an object behind another one (COW) does not exist. */
static enum pager_share_mode
share_mode(const struct region *region, struct vm_references references)
{
	CHECK(references.own <= references.all);
	if (region->is_submap)
		return PAGER_SHARE_EMPTY;
	if (references.all <= 1)
		return PAGER_SHARE_PRIVATE;
	if (region->depth > 0)
		return PAGER_SHARE_TRUESHARED;
	if (references.own == references.all)
		return PAGER_SHARE_PRIVATE_ALIASED;
	return references.own > 1 ? PAGER_SHARE_SHARED_ALIASED : PAGER_SHARE_SHARED;
}

/* is_wired: the range that it is looked at in. A page that is brought in there is wired a moment
 * after the thread has been woken that touched it, and which may ask by then. */
static bool
word_is_wired(uint32_t word, bool is_wired)
{
	enum page_state state = page_word_state(word);

	return state == PAGE_WIRED || state == PAGE_DEVICE || (is_wired && state == PAGE_FILLING);
}

static void
count_page_locked(struct vm_object *o, uint64_t index, bool is_wired, struct pager_wire_region *ret)
{
	uint64_t slot = load_acquire(vm_object_slot(o, index));
	uint32_t word;

	lock_assert_held(&o->lock);
	switch (slot_kind(slot)) {
	case SLOT_RESIDENT:
		word = load_relaxed(&o->daemon->frames.pages[slot_frame(slot)].word);
		ret->pages_resident++;
		ret->pages_dirty += (word & PAGE_DIRTY) != 0;
		ret->pages_wired += word_is_wired(word, is_wired);
		break;
	case SLOT_STORED:
		if (pager_is_away(o, slot_cref(slot)))
			ret->pages_swapped++;
		else
			ret->pages_compressed++;
		break;
	default:
		break;
	}
}

/* Whether any of these pages, which have a link below, lacks. COPIES is taken for some at a time.
 */
static bool
any_lacks(const struct vm_object *o, uint64_t index, uint64_t count)
{
	bool lacks = false;

	locks_assert_none();
	for (uint64_t at = 0; at < count && !lacks;) {
		uint64_t end = min_u64(count, at + 64);

		copies_lock(o->daemon);
		for (; at < end && !lacks; at++)
			lacks = !copy_page_is_own_locked(o, index + at);
		copies_unlock(o->daemon);
	}
	return lacks;
}

/* Copies next to pages of a region, and how long the lines below them are. A copy that has content
 * of its own for every page is none any more, as XNU's object whose shadow has been bypassed. */
struct relatives {
	unsigned above, below, depth;
};

static struct relatives
relatives_of(struct vm_object *o, uint64_t first, uint64_t end)
{
	struct relatives r = { 0, 0, 0 };
	struct copy_place place;
	uint64_t at, count;

	if (!vm_object_is_linked(o, COPY_ABOVE | COPY_BELOW))
		return r;
	for (unsigned above = 0; above < 2; above++)
		for (at = first; at < end; at += count) {
			unsigned depth = 0;
			bool lacks;

			copies_lock(o->daemon);
			count = copy_link_next_locked(o, above, &at, end, &place);
			copies_unlock(o->daemon);
			if (count == 0)
				break;
			lacks = above ? any_lacks(place.object, place.index, count)
				      : any_lacks(o, at, count);
			vm_object_put(place.object);
			if (!lacks)
				continue;
			if (!above)
				depth = copy_depth(o, at);
			r.above |= above;
			r.below |= !above;
			r.depth = depth > r.depth ? depth : r.depth;
		}
	return r;
}

struct pager_wire_region
region_describe(const struct region *region)
{
	const struct vm_entry *e = &region->entry;
	struct vm_object *o = e->mapping->object;
	uint64_t first = e->offset >> o->daemon->page_shift,
		 end = first + ((e->end - e->start) >> o->daemon->page_shift);
	struct relatives relatives = relatives_of(o, first, end);
	struct vm_references references;
	enum pager_share_mode mode;
	uint16_t purgeable = 0;
	bool billed;

	CHECK_OBJ(e->mapping, VM_MAPPING_MAGIC);
	CHECK(e->start < e->end);
	lock_acquire(&o->lock);
	references = vm_object_references_locked(o, e->mapping->task, first, end);
	billed = o->owner == e->mapping->task;
	if (o->is_purgeable)
		purgeable = (uint16_t)(1 + o->purgeable.state);
	lock_release(&o->lock);
	mode = share_mode(region, references);
	if (mode == PAGER_SHARE_PRIVATE && relatives.above + relatives.below > 0)
		mode = PAGER_SHARE_COW;
	return (struct pager_wire_region){
		.address = e->start,
		.size = e->end - e->start,
		.object_id = o->id,
		.object_offset = e->offset,
		.protection = e->protection,
		.max_protection = e->max_protection,
		.behavior = e->behavior,
		.inheritance = e->inheritance,
		.tag = e->tag,
		.wired_count = e->wired_count,
		.user_wired_count = e->user_wired_count,
		.share_mode = mode,
		.ref_count = references.all + relatives.above + relatives.below,
		.shadow_depth = relatives.depth,
		.external_pager = pager_is_external(o) || copies_follow(o, first, end),
		.billed = billed,
		.cache_mode = o->cache_mode,
		.depth = region->depth,
		.is_submap = region->is_submap,
		.is_device = o->is_device,
		.purgeable = purgeable,
	};
}

/* Counts pages [first, last) of the entry's object, which are mapped in `mappings` places. */
static void
count_run(const struct vm_entry *e, uint64_t first, uint64_t last, unsigned mappings,
    struct pager_wire_region *ret)
{
	struct vm_object *o = e->mapping->object;
	uint64_t resident = ret->pages_resident,
		 stored = ret->pages_compressed + ret->pages_swapped;

	for (uint64_t i = first; (i = vm_object_next_live(o, i, last)) < last; i++) {
		/* Retaken for each page: faults want it, too. */
		lock_acquire(&o->lock);
		count_page_locked(o, i, e->wired_count > 0, ret);
		lock_release(&o->lock);
	}
	resident = ret->pages_resident - resident;
	stored = ret->pages_compressed + ret->pages_swapped - stored;
	ret->proportional_resident += resident * o->daemon->page_bytes / mappings;
	ret->proportional_stored += stored * o->daemon->page_bytes / mappings;
}

bool
region_count(
    const struct region *region, uint64_t *done, unsigned *work, struct pager_wire_region *ret)
{
	const struct vm_entry *e = &region->entry;
	struct vm_object *o = e->mapping->object;
	unsigned page_shift = o->daemon->page_shift;
	uint64_t first = (e->offset + *done) >> page_shift;
	uint64_t last = (e->offset + (e->end - e->start)) >> page_shift;
	uint64_t to, end;

	CHECK(*done < e->end - e->start);
	if (region->is_submap)
		return true;
	to = piece_reach(o, first, last, 1, work);
	for (uint64_t at = first; at < to; at = end) {
		unsigned mappings;

		end = to;
		lock_acquire(&o->lock);
		mappings = vm_object_mappings_at_locked(o, at, &end);
		lock_release(&o->lock);
		/* None: its owner has given it back meanwhile. */
		count_run(e, at, end, mappings > 0 ? mappings : 1, ret);
		*work += mappings;
	}
	*done += (to - first) << page_shift;
	*work += PIECE_ENTRY;
	return to == last;
}

static uint32_t
disposition_locked(struct vm_object *o, uint64_t index, bool is_wired)
{
	uint64_t slot = load_acquire(vm_object_slot(o, index));
	uint32_t word, result;

	lock_assert_held(&o->lock);
	switch (slot_kind(slot)) {
	case SLOT_RESIDENT:
		word = load_relaxed(&o->daemon->frames.pages[slot_frame(slot)].word);
		result = PAGER_PAGE_PRESENT | (word & PAGE_DIRTY ? PAGER_PAGE_DIRTY : 0u);
		if (word_is_wired(word, is_wired))
			return result | PAGER_PAGE_WIRED | PAGER_PAGE_REFERENCED;
		switch (page_word_state(word)) {
		case PAGE_ACTIVE:
		case PAGE_FILLING:
			return result | PAGER_PAGE_REFERENCED;
		case PAGE_SPECULATIVE:
			return result | PAGER_PAGE_SPECULATIVE;
		default:
			return result;
		}
	case SLOT_STORED:
		return pager_is_away(o, slot_cref(slot)) ? PAGER_PAGE_SWAPPED
							 : PAGER_PAGE_COMPRESSED;
	case SLOT_POISONED:
		return PAGER_PAGE_POISONED;
	default:
		return 0;
	}
}

uint32_t
page_disposition(struct vm_object *o, uint64_t index, bool is_wired)
{
	uint32_t disposition;

	CHECK(index < o->page_count);
	lock_acquire(&o->lock);
	disposition = disposition_locked(o, index, is_wired);
	lock_release(&o->lock);
	return disposition;
}

/* Pages. */
static uint64_t
footprint_peak(const struct task *task)
{
	struct task *t = (struct task *)(uintptr_t)task;

	return (uint64_t)load_relaxed(
	    &t->bill.ledger.entries[PAGER_LEDGER_PHYS_FOOTPRINT].lifetime_most);
}

void
task_statistics(struct task *task, struct pager_statistics *ret)
{
	struct daemon *d = task->daemon;
	uint64_t page = d->page_bytes;

	CHECK_OBJ(task, TASK_MAGIC);
	/* Held so that the balances agree with each other. */
	pageq_lock(d);
#define L(NAME) ledger_value(&task->bill.ledger, PAGER_LEDGER_##NAME, page)
	*ret = (struct pager_statistics){
		.page_size = page,
		.phys_footprint = L(PHYS_FOOTPRINT),
		.phys_mem = L(PHYS_MEM),
		.internal = L(INTERNAL),
		.internal_compressed = L(INTERNAL_COMPRESSED),
		.wired_mem = L(WIRED_MEM),
		.phys_footprint_peak = footprint_peak(task) * page,
		.limit = load_relaxed(&task->bill.process->limit_pages) * page,
		.faults = L(FAULTS),
		.zero_fills = L(ZERO_FILLS),
		.soft_faults = L(SOFT_FAULTS),
		.decompressions = L(DECOMPRESSIONS),
		.swapins = L(SWAPINS),
		.write_protect_faults = L(WP_FAULTS),
		.stall_fill_ns = L(STALL_FILL),
		.stall_swap_ns = L(STALL_SWAP),
		.stall_frame_ns = L(STALL_FRAME),
		.stall_limit_ns = L(STALL_LIMIT),
		.pages_lost = L(PAGES_LOST),
		.iokit_mapped = L(IOKIT_MAPPED),
		.takeovers = d->keeper ? d->keeper->takeovers : 0,
		.takeover_ns = load_relaxed(&d->takeover_ns),
	};
#undef L
	pageq_unlock(d);
	lock_acquire(&task->map.lock);
	ret->virtual_size = task->map.virtual_bytes;
	lock_release(&task->map.lock);
}

void
task_describe(struct task *task, struct pager_wire_client *ret)
{
	struct daemon *d = task->daemon;

	CHECK_OBJ(task, TASK_MAGIC);
	*ret = (struct pager_wire_client){
		.session_id = task->id,
		.pid = (uint32_t)task->pid,
		.uid = task->uid,
		.limit_bytes = load_relaxed(&task->bill.process->limit_pages) * d->page_bytes,
		.phys_footprint_peak = footprint_peak(task) * d->page_bytes,
	};
	pageq_lock(d);
	for (int i = 0; i < PAGER_LEDGER_COUNT; i++)
		ret->ledger[i] =
		    ledger_value(&task->bill.ledger, (enum pager_ledger_entry)i, d->page_bytes);
	pageq_unlock(d);
	lock_acquire(&task->map.lock);
	ret->virtual_bytes = task->map.virtual_bytes;
	ret->regions = task->map.count;
	lock_release(&task->map.lock);
	snprintf(ret->name, sizeof(ret->name), "%s", task->name);
}
