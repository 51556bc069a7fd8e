/* SPDX-License-Identifier: MIT
 *
 * Runs of dirty pages go to their places. Runs on: the cleaner. Allocates nothing.
 *
 * The order, for a run: make its pages busy, mark them WRITING, write-protect them, copy them, let
 * them go. From here on they can be read, and a write takes the mark away. Then the size of the
 * content is asked for, so that no write makes a file longer, and what lies within is written.
 * Pages that still have the mark at the end are clean. Whatever fails, a page stays dirty until its
 * content is in its place.
 *
 * Two runs with the same page are never under way together, since the older content could be
 * written last.
 */
#include "pageout/cleaner_priv.h"

#include <errno.h>
#include <unistd.h>

#include "clock.h"
#include "memorystatus/frame_wait.h"
#include "pagers/pager.h"
#include "pmap/pmap.h"
#include "transit/drop.h"
#include "transit/release.h"

/* The first dirty page of [from, end) that no run under way has; what others write is skipped, and
 * is waited for by number. => end if there is none; a hint */
static uint64_t
next_dirty(const struct vm_object *o, uint64_t from, uint64_t end)
{
	struct daemon *d = o->daemon;

	for (uint64_t i = from; (i = vm_object_next_live(o, i, end)) < end; i++) {
		uint64_t slot = load_acquire((_Atomic uint64_t *)(uintptr_t)vm_object_slot(o, i));
		uint32_t word;

		if (slot_kind(slot) != SLOT_RESIDENT)
			continue;
		word = load_acquire(&d->frames.pages[slot_frame(slot)].word);
		if (word & PAGE_DIRTY && !(word & PAGE_WRITING))
			return i;
	}
	return end;
}

/* => whether a run under way has the page, or one behind it and below *high, which becomes *high */
static bool
is_under_way(const struct cleaner *c, const struct vm_object *o, uint64_t index, uint64_t *high)
{
	for (unsigned i = 0; i < RUNS_MAX; i++) {
		const struct clean_run *run = &c->runs[i];

		if (run->stage == RUN_FREE || run->object != o)
			continue;
		if (index >= run->index && index < run->index + run->count)
			return true;
		if (run->index > index && run->index < *high)
			*high = run->index;
	}
	return false;
}

/* => a free entry, or NULL: those that the object may have are in use */
static struct clean_run *
run_get(struct cleaner *c, const struct vm_object *o, uid_t uid)
{
	struct clean_run *free_run = NULL;
	unsigned of_user = 0;

	for (unsigned i = 0; i < RUNS_MAX; i++) {
		if (c->runs[i].stage == RUN_FREE)
			free_run = &c->runs[i];
		else
			of_user += c->runs[i].uid == uid;
	}
	if (o->external->in_flight >= RUNS_OBJECT_MAX || of_user >= RUNS_USER_MAX)
		return NULL;
	return free_run;
}

/* Makes the page busy if it is dirty and, but for the first page, as wired as that one. => O held
 */
static bool
page_take_locked(struct vm_object *o, struct clean_run *run, uint64_t index)
{
	uint64_t slot = load_relaxed(vm_object_slot(o, index));
	struct vm_page *p;
	uint32_t word;
	bool wired;

	lock_assert_held(&o->lock);
	if (slot_kind(slot) != SLOT_RESIDENT)
		return false;
	p = &o->daemon->frames.pages[slot_frame(slot)];
	if (!vm_page_busy_only(p))
		return false;
	word = load_acquire(&p->word);
	wired = page_word_state(word) == PAGE_WIRED;
	if (!(word & PAGE_DIRTY) || word & PAGE_WRITING ||
	    (run->count > 0 && wired != run->is_wired)) {
		/* O has been held since before it was busy, so no thread wants it. */
		(void)vm_page_unbusy(p);
		return false;
	}
	if (!wired)
		vm_page_flags_set(p, PAGE_WRITING);
	run->is_wired = wired;
	run->frames[run->count++] = slot_frame(slot);
	return true;
}

static void
pages_take(struct clean_run *run, struct vm_object *o, uint64_t index, uint64_t high)
{
	locks_assert_none();
	CHECK(index < high && high - index <= RUN_PAGES_MAX);
	run->count = 0;
	run->index = index;
	lock_acquire(&o->lock);
	while (run->index + run->count < high && page_take_locked(o, run, run->index + run->count))
		continue;
	lock_release(&o->lock);
}

/* Lets the run's pages go. */
static void
pages_release(struct clean_run *run, struct vm_object *o)
{
	struct daemon *d = o->daemon;

	locks_assert_none();
	for (unsigned i = 0; i < run->count; i++)
		vm_object_unbusy(o, run->index + i, &d->frames.pages[run->frames[i]]);
}

/* => whether the pages' content is in the buffer */
static bool
pages_copy(struct clean_run *run, struct vm_object *o)
{
	unsigned shift = o->daemon->page_shift;
	size_t bytes = (size_t)run->count << shift, have = 0;

	/* What a device writes into wired pages goes past any protection. */
	if (!run->is_wired && pmap_protect(o, run->index, run->index + run->count) != 0)
		return false;
	while (have < bytes) {
		ssize_t got = pread(o->backing.memfd, (char *)run->buffer + have, bytes - have,
		    (off_t)((run->index << shift) + have));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		have += (size_t)got;
	}
	return true;
}

/* Pages are not clean: they lose the mark, if they have it. */
static void
pages_stay_dirty(struct clean_run *run, struct vm_object *o)
{
	struct daemon *d = o->daemon;

	lock_acquire(&o->lock);
	for (unsigned i = 0; i < run->count; i++)
		if (load_relaxed(vm_object_slot(o, run->index + i)) ==
		    slot_resident(run->frames[i]))
			vm_page_flags_clear(&d->frames.pages[run->frames[i]], PAGE_WRITING);
	lock_release(&o->lock);
	vm_object_dirtied(o);
}

bool
clean_run_begin(struct cleaner *c, struct clean_request *r)
{
	struct vm_object *o = r->object;
	struct daemon *d = c->daemon;
	uint64_t most = RUN_BYTES >> d->page_shift, high = r->high, at;
	struct clean_run *run;
	uid_t uid;

	locks_assert_none();
	CHECK(r->at <= r->high && most <= RUN_PAGES_MAX);
	at = next_dirty(o, r->at, r->high);
	r->at = at;
	if (at == r->high || is_under_way(c, o, at, &high))
		return false;
	lock_acquire(&o->lock);
	uid = o->owner->uid;
	lock_release(&o->lock);
	run = run_get(c, o, uid);
	if (!run)
		return false;
	run->buffer = swap_channel_buffer_get(c->channel);
	CHECK(run->buffer != NULL);
	pages_take(run, o, at, min_u64(high, at + most));
	if (run->count > 0) {
		bool copied;

		watch_client(vm_object_cookie(o));
		copied = pages_copy(run, o);
		pages_release(run, o);
		if (!copied) {
			pages_stay_dirty(run, o);
			run->count = 0;
		}
	}
	if (run->count == 0 || !pager_size_submit(o, c->channel, (uint64_t)(run - c->runs))) {
		if (run->count > 0)
			pages_stay_dirty(run, o);
		swap_channel_buffer_put(c->channel, run->buffer);
		/* It is in transit, or its client's address space is changing. */
		c->must_try_again = true;
		return false;
	}
	vm_object_get(o);
	run->object = o;
	run->stage = RUN_SIZE;
	run->leaves = r->leaves;
	run->is_late = false;
	run->uid = uid;
	run->number = ++c->number;
	run->start_ns = clock_now_ns();
	run->written = 0;
	r->at = at + run->count;
	c->in_flight++;
	o->external->in_flight++;
	return true;
}

/* The pages' content is in their places, or lies behind the end of the content: those that nobody
 * has written to since they were copied are clean. */
static void
pages_become_clean(struct clean_run *run)
{
	struct vm_object *o = run->object;
	struct daemon *d = o->daemon;
	bool any_dirty = run->is_wired;

	locks_assert_none();
	lock_acquire(&o->lock);
	for (unsigned i = 0; i < run->count && !run->is_wired; i++) {
		struct vm_page *p = &d->frames.pages[run->frames[i]];

		if (load_relaxed(vm_object_slot(o, run->index + i)) !=
		    slot_resident(run->frames[i]))
			continue;
		if (!(load_acquire(&p->word) & PAGE_WRITING)) {
			any_dirty = true;
			continue;
		}
		if (!vm_page_busy_only(p)) {
			/* In transit: it is written once more. */
			vm_page_flags_clear(p, PAGE_WRITING);
			any_dirty = true;
			continue;
		}
		if (load_acquire(&p->word) & PAGE_WRITING) {
			p->cref = CREF_PLACE.v;
			vm_page_flags_clear(p, PAGE_WRITING | PAGE_DIRTY);
		} else {
			any_dirty = true;
		}
		/* O has been held since before it was busy, so no thread wants it. */
		(void)vm_page_unbusy(p);
	}
	lock_release(&o->lock);
	if (any_dirty)
		vm_object_dirtied(o);
}

static void
run_end(struct cleaner *c, struct clean_run *run, int error)
{
	struct vm_object *o = run->object;
	struct daemon *d = c->daemon;
	bool is_busy;

	locks_assert_none();
	CHECK(c->in_flight > 0 && o->external->in_flight > 0);
	pager_write_end(o, error);
	if (error) {
		stat_add(c->stats, STAT_FILE_ERRORS, 1);
		pages_stay_dirty(run, o);
		for (struct clean_request *r = c->active; r; r = r->next)
			if (r->object == o)
				r->error = error;
	} else {
		pages_become_clean(run);
		stat_add(c->stats, STAT_FILE_WRITES, run->count);
		stat_add(c->stats, STAT_FILE_WRITE_BYTES, run->written);
		/* What lies behind the end of a file is to be asked for anew. */
		if (run->leaves || run->bytes < (uint64_t)run->count << d->page_shift ||
		    load_relaxed(&d->frames.free_count) < d->frames.free_target)
			(void)vm_object_drop_clean(
			    c->stats, &c->hole, o, run->index, run->index + run->count, &is_busy);
		frame_wait_progress(d);
		pageq_lock(d);
		cond_broadcast(&d->pageq.calls.room_wanted);
		pageq_unlock(d);
	}
	swap_channel_buffer_put(c->channel, run->buffer);
	run->stage = RUN_FREE;
	c->in_flight--;
	o->external->in_flight--;
	vm_object_put(o);
}

/* Begins the next write of the run, or ends it. What fills whole blocks goes first, so that it can
 * go past the page cache. */
static void
run_write(struct cleaner *c, struct clean_run *run)
{
	uint64_t whole = round_down_u64(run->bytes, 4096),
		 to = run->written < whole ? whole : run->bytes;
	uint64_t start = run->index << c->daemon->page_shift;
	enum pager_result result;

	if (run->written == run->bytes) {
		run_end(c, run, 0);
		return;
	}
	run->stage = to == run->bytes ? RUN_TAIL : RUN_WHOLE;
	result = pager_write_submit(run->object, start + run->written, to - run->written,
	    c->channel, (char *)run->buffer + run->written, (uint64_t)(run - c->runs));
	/* The channel has an entry for each run. */
	CHECK(result != PAGER_AGAIN);
	if (result != PAGER_OK)
		run_end(c, run, -EIO);
}

void
clean_run_step(struct cleaner *c, struct clean_run *run, int error, uint64_t bytes)
{
	uint64_t start = run->index << c->daemon->page_shift, within;

	CHECK(run->stage != RUN_FREE);
	if (error) {
		run_end(c, run, error);
		return;
	}
	if (run->stage == RUN_SIZE) {
		within = pager_bytes_within(run->object, bytes);
		run->bytes = within > start ? min_u64(within - start,
						  (uint64_t)run->count << c->daemon->page_shift)
					    : 0;
	} else {
		run->written += bytes;
	}
	run_write(c, run);
}
