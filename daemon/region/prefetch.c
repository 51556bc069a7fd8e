/* SPDX-License-Identifier: MIT
 *
 * Prefetch of stored pages. Runs on: jobs, and the thread of profiles.
 */
#include "region/prefetch.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "memorystatus/limits.h"
#include "pmap/backing.h"
#include "pagers/pager.h"
#include "record/recorder.h"
#include "region/piece.h"
#include "transit/run.h"
#include "vm/vm_mapping.h"

/* Of each jobs thread, and of the thread of profiles. */
#define PLACES        (JOBS_THREADS + 1u)
#define COST_PREFETCH 128u /* of a page, in slots looked at (piece.h) */

/* A jobs thread's own. */
struct prefetch {
	void *page;
	struct swap_channel *channel;
};

int
prefetch_create(struct daemon *d)
{
	int error = 0;

	CHECK(!d->prefetch);
	d->prefetch = calloc(PLACES, sizeof(*d->prefetch));
	if (!d->prefetch)
		return -ENOMEM;
	for (unsigned i = 0; i < PLACES && !error; i++) {
		struct prefetch *p = &d->prefetch[i];

		p->page = aligned_alloc(4096, d->page_bytes);
		error = p->page ? 0 : -ENOMEM;
		if (!error)
			error = swap_channel_create(d->swap, 1, 2 * d->page_bytes, &p->channel);
	}
	return error;
}

void
prefetch_destroy(struct daemon *d)
{
	CHECK(d->prefetch);
	for (unsigned i = 0; i < PLACES; i++) {
		if (d->prefetch[i].channel)
			swap_channel_destroy(d->prefetch[i].channel);
		free(d->prefetch[i].page);
	}
	free(d->prefetch);
}

void *
prefetch_page_of(struct daemon *d, unsigned place)
{
	CHECK(d->prefetch && place < JOBS_THREADS);
	return d->prefetch[place].page;
}

/* => PAGER_OK; anything else: the page is left for its first touch */
static enum pager_result
load_away(struct prefetch *p, const struct vm_object *o, uint64_t index, struct cref copy)
{
	CHECK(copy.v != 0);
	void *buffer = p->channel ? swap_channel_buffer_get(p->channel) : NULL;
	struct swap_completion completion = { 0 };
	enum pager_result result;
	struct pager_read read;

	if (!buffer)
		return PAGER_FAILED;
	result = pager_read_begin(o, index, &copy, 1, 2 * o->daemon->page_bytes, &read);
	if (result == PAGER_OK) {
		result = pager_read_submit(o, &read, p->channel, buffer, 0);
		if (result == PAGER_OK) {
			swap_channel_flush(p->channel);
			do
				swap_channel_wait(p->channel);
			while (swap_channel_reap(p->channel, &completion, 1) == 0);
			read.transferred = completion.bytes;
			result = completion.result == 0
				     ? pager_read_decode(o, &read, 0, buffer, p->page)
				     : PAGER_FAILED;
		}
		pager_read_end(o, &read, completion.result);
	}
	swap_channel_buffer_put(p->channel, buffer);
	return result;
}

enum pager_result
prefetch_read(const struct vm_object *o, unsigned place, uint64_t index, struct cref copy)
{
	struct prefetch *p = &o->daemon->prefetch[place];
	enum pager_result result;

	locks_assert_none();
	CHECK(place < PLACES);
	result = pager_data_request(o, copy, p->page);
	return result == PAGER_AWAY ? load_away(p, o, index, copy) : result;
}

bool
prefetch_content(struct daemon *d, unsigned place, struct vm_object *o, uint64_t index)
{
	struct prefetch *p = &d->prefetch[place];
	uint64_t offset = index << d->page_shift;
	enum pager_result result;
	struct cref cref;

	locks_assert_none();
	CHECK(place < PLACES);
	vm_page_assert(o, index);
	cref.v = d->frames.pages[slot_frame(load_acquire(vm_object_slot(o, index)))].cref;
	result = prefetch_read(o, place, index, cref);
	if (result == PAGER_OK && backing_write(o, offset, p->page, d->page_bytes))
		return true;
	backing_punch(o, offset, d->page_bytes);
	return false;
}

/* Puts a stored page into the memfd, mapped nowhere: the first touch is a soft fault. A page that
 * cannot be read is left for its first touch. *ret: FILLING still if it is there. No lock held */
static enum prefetched
page_fill(unsigned place, const struct vm_mapping *m, uint64_t index, struct fill *ret)
{
	struct vm_object *o = m->object;
	struct daemon *d = o->daemon;
	enum run_begun begun;

	locks_assert_none();
	CHECK(index < o->page_count);
	*ret = (struct fill){ .task = m->task, .base = m->base, .is_read_only = m->is_read_only };
	lock_acquire(&o->lock);
	if (slot_kind(load_relaxed(vm_object_slot(o, index))) != SLOT_STORED) {
		lock_release(&o->lock);
		return PREFETCH_NOT;
	}
	begun = fill_begin(d, o, index, 1, 1, FRAME_READ, ret);
	lock_release(&o->lock);
	if (begun != RUN_BEGUN)
		return begun == RUN_BUSY ? PREFETCH_NOT : PREFETCH_NO_ROOM;
	if (!prefetch_content(d, place, o, index)) {
		fill_abort(d, ret, 0);
		vm_object_put(o);
		return PREFETCH_NOT;
	}
	ret->seen_by = SEEN_BY_NOBODY;
	return PREFETCH_DONE;
}

/* => 1 if the page was brought in, else 0. No lock held. */
static unsigned
prefetch_page(unsigned place, const struct vm_mapping *m, uint64_t index)
{
	struct vm_object *o = m->object;
	struct daemon *d = o->daemon;
	struct fill fill;

	locks_assert_none();
	if (load_relaxed(&d->frames.free_count) <= d->frames.free_target ||
	    page_fill(place, m, index, &fill) != PREFETCH_DONE)
		return 0;
	fill_finish(NULL, &fill, 1, PAGE_SPECULATIVE, true);
	/* No fault comes that would ask for the owner's pages. */
	if (o->is_shareable)
		limits_want_of_owner(o);
	return 1;
}

static void
prefetch_one(struct walk *w, const struct vm_mapping *m, uint64_t index)
{
	w->acted += prefetch_page(w->range->place, m, index);
}

uint64_t
region_prefetch(struct range *range)
{
	struct daemon *d = range->task->daemon;
	uint64_t pages;

	locks_assert_none();
	CHECK(range->place < JOBS_THREADS);
	/* Pages come as speculative ones, which no page of a wired range may be. */
	pages = piece_walk(&(struct walk){ .range = range,
	    .page = prefetch_one,
	    .cost = piece_content_cost(d, COST_PREFETCH),
	    .skips_wired = true });
	stat_add(range->stats, STAT_PREFETCHES, pages);
	return pages;
}

bool
prefetch_target_find(struct task *task, uint64_t address, struct prefetch_target *ret)
{
	const struct vm_object *o;
	struct vm_entry e;

	locks_assert_none();
	if (task_is_dead(task) || !task_entry_get(task, address, &e))
		return false;
	o = e.mapping->object;
	if (address < e.start || e.wired_count > 0 || o->external || o->is_shareable ||
	    o->is_device) {
		vm_mapping_put(e.mapping);
		return false;
	}
	*ret = (struct prefetch_target){ task, e.mapping,
		(e.offset + (address - e.start)) >> task->daemon->page_shift };
	return true;
}

void
prefetch_target_put(struct prefetch_target *target)
{
	locks_assert_none();
	vm_mapping_put(target->mapping);
}

bool
prefetch_may(const struct daemon *d, const struct task *task)
{
	return load_relaxed(&d->park.count) == 0 && !trace_is_exact(d) &&
	       load_acquire(&task->lane) == LANE_COMMON &&
	       load_relaxed(&d->frames.free_count) > load_relaxed(&d->frames.free_guesses);
}

enum prefetched
prefetch_foreseen(const struct prefetch_target *target, unsigned place)
{
	struct daemon *d = target->task->daemon;
	struct fill fill;
	enum prefetched got;

	locks_assert_none();
	if (!prefetch_may(d, target->task))
		return PREFETCH_NO_ROOM;
	got = page_fill(place, target->mapping, target->index, &fill);
	if (got != PREFETCH_DONE)
		return got;
	fill_finish(NULL, &fill, 1, PAGE_SPECULATIVE, true);
	return PREFETCH_DONE;
}
