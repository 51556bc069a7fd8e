/* SPDX-License-Identifier: MIT
 *
 * Windows are made and opened. Runs on: jobs.
 */
#include "region/window.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>

#include "memorystatus/limits.h"
#include "pagers/pager.h"
#include "pmap/backing.h"
#include "pmap/pmap.h"
#include "region/page_list.h"
#include "region/prefetch.h"
#include "region/wire.h"
#include "transit/copy_fill.h"
#include "transit/copy_push.h"
#include "transit/release.h"
#include "transit/run.h"
#include "vm/copy_link.h"
#include "vm/lineage.h"
#include "vm/vm_map.h"
#include "vm/vm_mapping.h"
#include "vm/window.h"
#include "vm/window_source.h"

/* Pages that are looked at in one piece, or blocks. */
#define DONE_PAGES 16384u
/* Times that a page in transit is asked for. */
#define TRIES 64u

/* --- windows are made --- */

/* Blocks that all windows of a task may have, open or not: each may take a mapping of its own, and
 * half of the process's stay for the program. */
static unsigned
blocks_most(void)
{
	FILE *file = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned count = 65530;

	if (file) {
		if (fscanf(file, "%u", &count) != 1)
			count = 65530;
		fclose(file);
	}
	return count / 2;
}

/* Whether all of it is one user's private memory, of which nothing else is known. */
static bool
may_show(const struct vm_object *o, const struct vm_object *copy)
{
	return !o->is_shareable && !o->external && !o->is_device && o->owner && copy->owner &&
	       o->owner->uid == copy->owner->uid;
}

/* The lowest of the pages that `first` was copied from, and how many that follow have one beside
 * it. => false: there is none that may be shown; *count: pages that this is about */
static bool
lowest_get(struct vm_object *copy, uint64_t first, uint64_t *count, struct copy_place *ret)
{
	struct copy_place at = { copy, first }, next;
	bool may = true;
	uint64_t n;

	vm_object_get(copy);
	for (;;) {
		uint64_t index = at.index, end = at.index + *count;

		copies_lock(copy->daemon);
		n = copy_link_next_locked(at.object, false, &index, end, &next);
		copies_unlock(copy->daemon);
		if (n > 0 && index > at.index) {
			/* Only what follows has something below. */
			vm_object_put(next.object);
			*count = index - at.index;
			n = 0;
		}
		if (n == 0)
			break;
		vm_object_put(at.object);
		at = next;
		*count = n;
		may &= may_show(at.object, copy);
	}
	*ret = at;
	if (may && at.object != copy)
		return true;
	vm_object_put(at.object);
	return false;
}

int
region_share_reads(struct range *range, struct shown *ret)
{
	struct task *task = range->task;
	unsigned page_shift = task->daemon->page_shift;
	uint64_t first, count, blocks;
	struct copy_place lowest;
	struct vm_entry e;
	int error = -EOPNOTSUPP;

	locks_assert_none();
	if (!task_entry_get(task, range->address, &e))
		return -EINVAL;
	if (e.start > range->address) {
		vm_mapping_put(e.mapping);
		return -EINVAL;
	}
	first = (e.offset + (range->address - e.start)) >> page_shift;
	count = (min_u64(e.end, range->end) - range->address) >> page_shift;
	if (e.wired_count == 0 && !page_list_around(range) &&
	    may_show(e.mapping->object, e.mapping->object) &&
	    vm_object_is_linked(e.mapping->object, COPY_BELOW) &&
	    lowest_get(e.mapping->object, first, &count, &lowest)) {
		blocks =
		    load_relaxed(&task->window_blocks) + count / window_block(task->daemon) + 2;
		if (blocks <= blocks_most())
			error = window_make(e.mapping, first, count, lowest.object, lowest.index);
		if (error == -EEXIST)
			error = -EOPNOTSUPP;
		*ret = (struct shown){ lowest.object, count << page_shift,
			lowest.index << page_shift };
		if (error)
			vm_object_put(lowest.object);
		else
			lineage_shown(task->lineage, count);
	}
	vm_mapping_put(e.mapping);
	return error;
}

int
region_fork_share(struct range *range, struct shown *ret, uint32_t *ret_protection)
{
	int error = -EOPNOTSUPP;
	struct vm_entry e;

	for (uint64_t at = range->address;
	     error == -EOPNOTSUPP && task_entry_get(range->task, at, &e); at = e.end) {
		range->address = range->at = max_u64(at, e.start);
		range->end = e.end;
		*ret_protection = e.protection;
		vm_mapping_put(e.mapping);
		if (range->end - range->address >= PAGER_FORK_SHARE_BYTES)
			error = region_share_reads(range, ret);
	}
	return error == -EOPNOTSUPP ? -ENOENT : error;
}

/* --- they are opened --- */

bool
region_window_find(const struct range *range, struct window_part *ret)
{
	struct vm_map *map = &range->task->map;
	unsigned page_shift = range->task->daemon->page_shift;
	struct window *w = NULL;
	struct vm_entry *e;

	locks_assert_none();
	lock_acquire(&map->lock);
	e = vm_map_lookup(map, range->address);
	if (e && vm_mapping_has_windows(e->mapping)) {
		uint64_t low = e->offset >> page_shift,
			 index = low + ((range->address - e->start) >> page_shift);

		w = window_at_locked(e->mapping, index);
		if (w) {
			window_block_locked(w, index, low,
			    low + ((e->end - e->start) >> page_shift), &ret->first, &ret->end);
			window_set_locked(w, ret->first, ret->end, WINDOW_ASKED);
			ret->mapping = vm_mapping_get(e->mapping);
			ret->address = vm_mapping_address(e->mapping, ret->first);
			ret->protection = e->protection;
			ret->is_wired = e->wired_count > 0;
		}
	}
	lock_release(&map->lock);
	return w != NULL;
}

enum came {
	CAME,     /* it is resident, or was */
	CAME_NOT, /* there is no frame now */
	AGAIN,    /* what it is filled from is in transit */
	LOST,     /* it cannot be read: left for its first touch, which says so */
};

/* A stored page comes into memory, mapped nowhere. use: of the frame */
static enum came
stored_bring(const struct range *range, struct vm_object *o, uint64_t index, enum frame_use use)
{
	struct daemon *d = o->daemon;
	struct fill fill = { .task = range->task };
	enum run_begun begun = RUN_BUSY;

	lock_acquire(&o->lock);
	vm_object_wait_holes(o, index, index + 1);
	if (slot_kind(load_relaxed(vm_object_slot(o, index))) != SLOT_STORED) {
		lock_release(&o->lock);
		return AGAIN;
	}
	begun = fill_begin(d, o, index, 1, 1, use, &fill);
	lock_release(&o->lock);
	if (begun != RUN_BEGUN)
		return CAME_NOT;
	fill.write = fill.wired = fill.sequential = false;
	fill.seen_by = SEEN_BY_NOBODY;
	if (!prefetch_content(d, range->place, o, index)) {
		fill_abort(d, &fill, 0);
		vm_object_put(o);
		return LOST;
	}
	fill_finish(NULL, &fill, 1, PAGE_SPECULATIVE, true);
	return CAME;
}

/* What is below a page, or zeroes, comes into it. => the fill is over */
static enum came
absent_fill(const struct range *range, struct fill *fill)
{
	struct vm_object *o = fill->object;
	struct daemon *d = o->daemon;
	uint64_t offset = fill->index << d->page_shift;
	void *page = prefetch_page_of(d, range->place);
	enum pager_result result = PAGER_OK;
	struct copy_place away = { NULL, 0 };
	bool foreign = false, good, from_below = fill->from_below;
	struct hole hole;
	enum came came = AGAIN;

	if (from_below)
		result = copy_content(o, fill->index, &hole, page, &foreign, &away);
	if (result == PAGER_OK && from_below) {
		good = backing_write(o, offset, page, d->page_bytes);
	} else if (result == PAGER_OK) {
		good = (!vm_object_is_linked(o, COPY_ABOVE) ||
			   copy_push(&range->stats, o, fill->index, NULL, COPY_TO_WIRE) ==
			       COPY_PUSHED) &&
		       backing_punch(o, offset, d->page_bytes) == 0 &&
		       backing_allocate(o, offset, d->page_bytes) == 0;
	} else {
		good = false;
	}
	if (good) {
		fill_finish(NULL, fill, 1, from_below ? PAGE_SPECULATIVE : PAGE_ACTIVE,
		    from_below && !foreign);
		return CAME;
	}
	backing_punch(o, offset, d->page_bytes);
	fill_abort(d, fill, 0);
	vm_object_put(o);
	if (result == PAGER_AWAY) {
		came = stored_bring(range, away.object, away.index, FRAME_READ);
		vm_object_put(away.object);
		came = came == CAME ? AGAIN : came;
	} else if (result == PAGER_OK) {
		came = CAME_NOT;
	} else if (result != PAGER_AGAIN) {
		came = LOST;
	}
	return came;
}

static enum came
page_bring(const struct range *range, const struct vm_mapping *m, uint64_t index)
{
	struct vm_object *o = m->object;
	struct daemon *d = o->daemon;
	struct fill fill = { .task = range->task, .base = m->base };
	bool is_below = vm_object_is_linked(o, COPY_BELOW);
	enum run_begun begun = RUN_BUSY;
	enum slot_kind kind;

	locks_assert_none();
	lock_acquire(&o->lock);
	vm_object_wait_holes(o, index, index + 1);
	kind = slot_kind(load_relaxed(vm_object_slot(o, index)));
	if (kind == SLOT_ABSENT)
		begun = fill_begin(d, o, index, 1, 1, is_below ? FRAME_WRITE : FRAME_FIRST, &fill);
	lock_release(&o->lock);
	if (kind == SLOT_STORED)
		return stored_bring(range, o, index, FRAME_WRITE);
	if (kind != SLOT_ABSENT)
		return kind == SLOT_POISONED ? LOST : CAME;
	if (begun != RUN_BEGUN)
		return CAME_NOT;
	fill.write = fill.wired = fill.sequential = false;
	fill.seen_by = SEEN_BY_NOBODY;
	return absent_fill(range, &fill);
}

/* => whether the page is wired, or is lost, and nothing can be done about it */
static bool
page_keep(const struct range *range, const struct vm_mapping *m, uint64_t index)
{
	struct vm_object *o = m->object;

	for (unsigned tries = 0; tries < TRIES; tries++) {
		enum came came = page_bring(range, m, index);

		if (came == CAME_NOT) {
			limits_want_of_owner(o);
			frames_want(o->daemon);
			return false;
		}
		if (came == LOST || (came == CAME && page_wire(range, m, index)))
			return true;
		sched_yield();
	}
	return false;
}

uint64_t
region_window_wire(const struct range *range, const struct window_part *part, uint64_t done)
{
	CHECK(part->first + done <= part->end);
	while (
	    part->first + done < part->end && page_keep(range, part->mapping, part->first + done))
		done++;
	return done;
}

void
region_window_done(struct range *range, bool is_mapped)
{
	unsigned page_shift = range->task->daemon->page_shift;
	struct vm_map *map = &range->task->map;
	struct window_part part;

	locks_assert_none();
	for (unsigned work = 0; !range_is_done(range) && work < DONE_PAGES; work++) {
		struct range at = { .task = range->task, .address = range->at };
		uint64_t end;
		struct window *w;

		if (!region_window_find(&at, &part)) {
			range->at += 1ull << page_shift;
			continue;
		}
		end = min_u64(part.end, part.first + ((range->end - part.address) >> page_shift));
		lock_acquire(&map->lock);
		w = window_at_locked(part.mapping, part.first);
		CHECK(w);
		window_set_locked(w, part.first, end, is_mapped ? WINDOW_OPEN : WINDOW_SHOWS);
		lock_release(&map->lock);
		if (!part.is_wired)
			mapping_unwire(part.mapping, part.first, end);
		pmap_wake(part.mapping->object, part.first, end);
		if (is_mapped) {
			stat_add(range->stats, STAT_WINDOWS_OPENED, end - part.first);
			lineage_opened(range->task->lineage, end - part.first);
		}
		range->at = part.address + ((end - part.first) << page_shift);
		vm_mapping_put(part.mapping);
	}
}
