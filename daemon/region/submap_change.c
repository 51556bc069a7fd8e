/* SPDX-License-Identifier: MIT
 *
 * Changes of submaps. Runs on: jobs.
 */
#include "region/submap_change.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "core/watch.h"
#include "pmap/pmap.h"
#include "region/piece.h"
#include "region/prefetch.h"
#include "region/wire.h"
#include "transit/discard.h"
#include "transit/release.h"

#define COST_LOWER 4u  /* of a page, in slots looked at (piece.h) */
#define COST_UNMAP 16u /* the same, of a page that is taken out of page tables */
/* Pages that are busy at a time. */
#define LOWER_RUN 64u

int
region_submap_add(struct vm_object *o, const struct submap_place *place, uint32_t protection,
    uint32_t tag, uint64_t *ret_first)
{
	int error = submap_add(o, place, protection, tag, ret_first);

	locks_assert_none();
	/* A thread that blocks SIGSEGV, or pins pages inside a system call, has waited in the hole.
	 */
	if (!error)
		pmap_wake(o, *ret_first, *ret_first + place->count);
	return error;
}

int
region_submap_remove(struct submap_change *c)
{
	CHECK_OBJ(c->object, VM_OBJECT_MAGIC);
	CHECK(c->at == c->first);
	/* What a device writes would be lost. */
	if (object_is_pinned(c->object, c->first, c->end))
		return -EBUSY;
	return submap_remove(c->object, c->first, c->end);
}

void
region_submap_discard(struct submap_change *c)
{
	struct vm_object *o = c->object;
	uint64_t client = watch_client(vm_object_cookie(o));
	unsigned work = 0;

	locks_assert_none();
	CHECK(c->first <= c->at && c->at < c->end);
	/* Pages of faults that have found the region are seen then. */
	vm_object_settle(o);
	c->pages = 0;
	while (c->at < c->end && work < PIECE_WORK) {
		uint64_t to = piece_reach(o, c->at, c->end, PIECE_DISCARD, &work);

		c->pages += vm_object_discard(o, c->at, to - c->at);
		submap_left(o, c->at, to);
		c->at = to;
	}
	stat_add(c->stats, STAT_DISCARDS, c->pages);
	watch_client(client);
}

int
region_submap_protect(struct submap_change *c, uint32_t protection, bool is_maximum)
{
	struct vm_object *o = c->object;
	int error;

	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	CHECK(c->at == c->first);
	/* Taking pages out of all page tables moves their content to other memory, and what a
	 * device writes to the old one would be lost. */
	if (!(protection & PROT_READ) && object_is_pinned(o, c->first, c->end))
		return -EBUSY;
	error = submap_protect(o, c->first, c->end, protection, is_maximum);
	/* As in region_submap_add. */
	if (!error && !is_maximum && protection != PROT_NONE)
		pmap_wake(o, c->first, c->end);
	return error;
}

/* Takes a busy page out of all page tables. */
static void
page_unmap(const struct submap_change *c, uint64_t index)
{
	struct vm_object *o = c->object;
	int error = pmap_unmap(o, index, prefetch_page_of(o->daemon, c->place));

	locks_assert_none();
	if (error == 0)
		return;
	if (error == -ENOMEM)
		stat_add(c->stats, STAT_PAGES_LOST, 1);
	log_error_limited("page %llu of object %llu could not be taken out of page tables%s: %s",
	    (unsigned long long)index, (unsigned long long)o->id,
	    error == -ENOMEM ? ", and its content is lost" : "", strerror(-error));
}

/* Write-protects busy pages [low, high), or takes them out of page tables. */
static void
run_lower(const struct submap_change *c, uint64_t low, uint64_t high, bool unmaps)
{
	int error = pmap_protect(c->object, low, high);

	/* Where the protection is refused they are taken away, which nobody can refuse. */
	for (uint64_t i = low; (unmaps || error) && i < high; i++)
		page_unmap(c, i);
}

/* The same for the resident pages of [first, last). */
static void
pages_lower(const struct submap_change *c, uint64_t first, uint64_t last, bool unmaps)
{
	struct vm_object *o = c->object;
	struct vm_page *pages = o->daemon->frames.pages;
	uint32_t frames[LOWER_RUN];
	unsigned count;

	CHECK(first < last && last - first <= LOWER_RUN);
	lock_acquire(&o->lock);
	count = vm_object_busy_resident(o, first, last, frames);
	lock_release(&o->lock);
	for (unsigned start = 0, n; start < count; start += n) {
		uint64_t low = pages[frames[start]].index;

		for (n = 1; start + n < count && pages[frames[start + n]].index == low + n;)
			n++;
		run_lower(c, low, low + n, unmaps);
	}
	for (unsigned i = 0; i < count; i++)
		vm_object_unbusy(o, pages[frames[i]].index, &pages[frames[i]]);
}

void
region_submap_lower(struct submap_change *c)
{
	struct vm_object *o = c->object;
	uint64_t client = watch_client(vm_object_cookie(o));
	struct submap_region region;
	unsigned work = 0;

	locks_assert_none();
	CHECK(c->first <= c->at && c->at < c->end);
	vm_object_settle(o);
	while (c->at < c->end && work + PIECE_ENTRY < PIECE_WORK) {
		uint64_t to;
		bool unmaps;

		work += PIECE_ENTRY;
		/* What it says now: others may change it, too, and see to their own change. */
		if (!submap_region_at(o, c->at, &region) || region.start >= c->end) {
			c->at = c->end;
			break;
		}
		c->at = max_u64(c->at, region.start);
		to = min_u64(c->end, region.end);
		if (region.protection & PROT_WRITE) {
			c->at = to;
			continue;
		}
		unmaps = !(region.protection & PROT_READ);
		to = piece_reach(o, c->at, to, unmaps ? COST_UNMAP : COST_LOWER, &work);
		/* They would be answered when there is room. */
		if (unmaps)
			vm_object_unrefuse(o, c->at, to);
		for (uint64_t i = c->at; (i = vm_object_next_live(o, i, to)) < to;) {
			uint64_t last = min_u64(round_down_u64(i, LOWER_RUN) + LOWER_RUN, to);

			pages_lower(c, i, last, unmaps);
			i = last;
		}
		c->at = to;
	}
	if (c->at >= c->end)
		submap_protected(o);
	watch_client(client);
}
