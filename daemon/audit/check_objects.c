/* SPDX-License-Identifier: MIT
 *
 * Objects: their slots against frames and, of submaps, against regions, and the memory of their
 * memfds (st_blocks) against both. Runs on: jobs.
 */
#include "audit/audit_priv.h"

#include <sys/mman.h>

#include "audit/look.h"
#include "pagers/pager_types.h"
#include "upl/upl.h"
#include "vm/ledger_walk.h"
#include "vm/submap.h"
#include "vm/vm_object.h"
#include "vm/vm_page.h"

/* *listed: pages that page lists have, counted. => O and PAGEQ held */
static void
check_slot_locked(
    struct daemon *d, struct report *r, struct vm_object *o, uint64_t i, long long *listed)
{
	uint64_t slot = load_relaxed(vm_object_slot(o, i));
	struct vm_page *p;
	enum page_state state;
	uint32_t word;

	lock_assert_held(&o->lock);
	pageq_assert_held(d);
	switch (slot_kind(slot)) {
	case SLOT_STORED:
		verify(r, slot_cref(slot).v != 0, "object %llu page %llu: stored without a copy",
		    (unsigned long long)o->id, (unsigned long long)i);
		return;
	case SLOT_RESIDENT:
		break;
	default:
		return;
	}
	p = &d->frames.pages[slot_frame(slot)];
	word = load_relaxed(&p->word);
	state = page_word_state(word);
	verify(r, p->object == o->index && p->index == i && page_state_is_resident(state),
	    "object %llu page %llu: its frame says object %u page %u, %s",
	    (unsigned long long)o->id, (unsigned long long)i, p->object, p->index,
	    page_state_name(state));
	*listed += (word & PAGE_LISTED) != 0;
	verify(r, !(word & PAGE_LISTED) || word & PAGE_BUSY,
	    "object %llu page %llu: in a page list and not busy", (unsigned long long)o->id,
	    (unsigned long long)i);
	verify(r, !(word & PAGE_WRITING) || upl_is_cleaning(o, i),
	    "object %llu page %llu: on its way to its place, and no page list has it",
	    (unsigned long long)o->id, (unsigned long long)i);
	if (word & PAGE_BUSY)
		return;
	verify(r, (word & PAGE_DIRTY) != 0 || p->cref != 0,
	    "object %llu page %llu: clean without a copy", (unsigned long long)o->id,
	    (unsigned long long)i);
	verify(r, !(word & PAGE_DIRTY) || p->cref == 0, "object %llu page %llu: dirty with a copy",
	    (unsigned long long)o->id, (unsigned long long)i);
	verify(r, !(word & PAGE_DUP) == (p->cref != CREF_BELOW.v),
	    "object %llu page %llu: a duplicate of what is below, and its copy is %llx",
	    (unsigned long long)o->id, (unsigned long long)i, (unsigned long long)p->cref);
	verify(r, (state != PAGE_WIRED && state != PAGE_DEVICE) || (word & PAGE_DIRTY),
	    "object %llu page %llu: wired and not dirty", (unsigned long long)o->id,
	    (unsigned long long)i);
}

/* Pages in all of its mappings. => O held */
static uint64_t
mapped_locked(const struct vm_object *o)
{
	uint64_t pages = 0;

	lock_assert_held(&o->lock);
	for (const struct vm_mapping *m = o->mappings; m; m = m->next)
		pages += m->end - m->first;
	return pages;
}

/* Each page that a list has busy is marked, and marked pages are of one list. => O and PAGEQ held
 */
static void
check_lists_locked(struct daemon *d, struct report *r, const struct vm_object *o, long long marked)
{
	long long listed = 0;

	lock_assert_held(&((struct vm_object *)(uintptr_t)o)->lock);
	pageq_assert_held(d);
	for (const struct upl *u = o->upls; u; u = u->next) {
		unsigned held = 0;

		for (unsigned i = upl_next_held(u, 0); i < u->count; i = upl_next_held(u, i + 1)) {
			uint64_t slot = load_relaxed(vm_object_slot(o, u->first + i));

			held++;
			if (!upl_has_busy(u, i))
				continue;
			listed++;
			verify(r,
			    slot_kind(slot) == SLOT_RESIDENT &&
				load_relaxed(&d->frames.pages[slot_frame(slot)].word) & PAGE_LISTED,
			    "object %llu page %llu: a page list has it busy, its slot is %llx",
			    (unsigned long long)o->id, (unsigned long long)(u->first + i),
			    (unsigned long long)slot);
		}
		verify(r, held == u->held, "object %llu: a page list holds %u pages, counts %u",
		    (unsigned long long)o->id, held, u->held);
	}
	verify(r, listed == marked, "object %llu: page lists have %lld pages busy, %lld are marked",
	    (unsigned long long)o->id, listed, marked);
}

/* The list is in order, and lies in the object. */
static void
check_regions_locked(struct report *r, const struct vm_object *o)
{
	const struct submap *s = o->submap;
	uint64_t end = 0;

	lock_assert_held(&s->lock);
	for (uint32_t i = 0; i < s->count; i++) {
		const struct submap_region *region = &s->regions[i];

		verify(r,
		    end <= region->start && region->start < region->end &&
			region->end <= o->page_count,
		    "submap %llu: region %u is %llu to %llu, after one that ends at %llu",
		    (unsigned long long)o->id, i, (unsigned long long)region->start,
		    (unsigned long long)region->end, (unsigned long long)end);
		verify(r,
		    (region->protection & ~region->max_protection) == 0 &&
			(region->max_protection & ~(uint32_t)(PROT_READ | PROT_WRITE)) == 0,
		    "submap %llu: region %u has protection %x, and %x at most",
		    (unsigned long long)o->id, i, region->protection, region->max_protection);
		end = region->end;
	}
}

/* A page with a frame or a copy lies in a region, or where one is being removed. *region: those
 * below are done */
static void
check_covered_locked(struct report *r, const struct vm_object *o, uint64_t page, uint32_t *region)
{
	const struct submap *s = o->submap;

	lock_assert_held(&s->lock);
	while (*region < s->count && s->regions[*region].end <= page)
		(*region)++;
	verify(r, *region < s->count && s->regions[*region].start <= page,
	    "submap %llu page %llu: it has content, and lies in no region",
	    (unsigned long long)o->id, (unsigned long long)page);
}

/* => the object's submap, locked, or NULL */
static struct submap *
submap_lock(struct vm_object *o)
{
	struct submap *s;

	lock_acquire(&o->lock);
	s = o->submap;
	lock_release(&o->lock);
	if (s)
		lock_acquire(&s->lock);
	return s;
}

/* Pages of an object, as one look sees them. */
struct object_memory {
	long long settled, moving; /* its memfd must hold those, and may hold these */
	long long held;
};

static struct object_memory
memory_look(struct daemon *d, struct vm_object *o)
{
	struct object_memory memory = { 0 };
	uint32_t word;

	lock_acquire(&o->lock);
	pageq_lock(d);
	for (uint64_t i = 0; (i = vm_object_next_live(o, i, o->page_count)) < o->page_count; i++) {
		uint64_t slot = load_relaxed(vm_object_slot(o, i));

		if (slot_kind(slot) != SLOT_RESIDENT)
			continue;
		word = load_relaxed(&d->frames.pages[slot_frame(slot)].word);
		memory.settled += !(word & PAGE_BUSY);
		memory.moving += (word & PAGE_BUSY) != 0;
	}
	memory.held = held_bytes(o->backing.memfd) / (long long)d->page_bytes;
	pageq_unlock(d);
	lock_release(&o->lock);
	return memory;
}

/* The memory of the memfd against the pages that it must and may hold. */
static void
check_memory(struct daemon *d, struct report *r, struct vm_object *o)
{
	struct look look = { 0 };
	struct object_memory m;
	bool is_trusted;

	lock_acquire(&o->lock);
	is_trusted = !o->is_exposed;
	lock_release(&o->lock);
	do
		m = memory_look(d, o);
	while ((m.held < m.settled || m.held > m.settled + m.moving) && is_trusted &&
	       look_again(&look));
	/* Clients punch holes and plant pages as they like. */
	verify_client(r, is_trusted, m.held >= m.settled,
	    "object %llu: %lld pages in its memfd, %lld resident", (unsigned long long)o->id,
	    m.held, m.settled);
	verify_client(r, is_trusted, m.held <= m.settled + m.moving,
	    "object %llu: %lld pages in its memfd, %lld resident and %lld busy",
	    (unsigned long long)o->id, m.held, m.settled, m.moving);
}

void
check_object_books(struct daemon *d, struct report *r, struct vm_object *o)
{
	long long live = 0, counted = 0, listed = 0, idle = 0;
	struct submap *submap;
	uint32_t region = 0;
	bool is_billed;
	struct class_pages walked;
	enum ledger_class class;
	uint64_t mapped, posted;

	locks_assert_none();
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	submap = submap_lock(o);
	if (submap)
		check_regions_locked(r, o);
	lock_acquire(&o->lock);
	pageq_lock(d);
	for (uint64_t i = 0; (i = vm_object_next_live(o, i, o->page_count)) < o->page_count; i++) {
		if (slot_kind(load_relaxed(vm_object_slot(o, i))) != SLOT_ABSENT) {
			counted++;
			if (submap)
				check_covered_locked(r, o, i, &region);
		}
		check_slot_locked(d, r, o, i, &listed);
	}
	for (uint64_t block = 0; block * SLOTS_PER_BLOCK < o->page_count; block++) {
		live += load_relaxed(&o->blocks[block]) & ~BLOCK_POPULATED;
		idle += load_relaxed(&o->blocks[block]) == BLOCK_POPULATED;
	}
	idle -= load_relaxed(&o->idle_blocks);
	check_lists_locked(d, r, o, listed);
	mapped = mapped_locked(o);
	vm_object_walk_locked(o, &walked);
	class = vm_object_differs_locked(o, &walked);
	posted = o->class_pages[class];
	is_billed = !o->is_device || mapped == o->mapped_pages;
	pageq_unlock(d);
	lock_release(&o->lock);
	if (submap)
		lock_release(&submap->lock);
	verify(r, live == counted, "object %llu: %lld live slots, blocks say %lld",
	    (unsigned long long)o->id, counted, live);
	verify(r, idle == 0, "object %llu: %lld blocks more than are counted have no page",
	    (unsigned long long)o->id, idle);
	verify(r, class == LEDGER_CLASS_NONE,
	    "object %llu: %llu pages of class %d were counted, %llu are billed",
	    (unsigned long long)o->id, (unsigned long long)walked.pages[class], (int)class,
	    (unsigned long long)posted);
	verify(r, is_billed,
	    "device object %llu: its mappings have %llu pages, and others are billed",
	    (unsigned long long)o->id, (unsigned long long)mapped);
}

void
check_objects(struct daemon *d, struct report *r)
{
	struct vm_object *o;
	uint32_t cursor = 0;

	locks_assert_none();
	while ((o = vm_object_next(d, &cursor)) != NULL) {
		check_object_books(d, r, o);
		if (!o->backing.is_foreign)
			check_memory(d, r, o);
		vm_object_put(o);
	}
}
