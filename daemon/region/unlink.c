/* SPDX-License-Identifier: MIT
 *
 * Pages leave links of copies and stay what they are. Runs on: jobs.
 */
#include "region/unlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "pagers/pager.h"
#include "pmap/pmap.h"
#include "region/prefetch.h"
#include "transit/copy_fill.h"
#include "transit/copy_leave.h"
#include "transit/copy_push.h"
#include "transit/release.h"
#include "vm/copy_look.h"
#include "vm/copy_reserve.h"
#include "vm/hole.h"

/* A page that is to get content of its own. */
struct own {
	struct task *task;
	unsigned place; /* of the jobs thread */
	struct vm_object *object;
	uint64_t index;
	void *page; /* the thread's memory for one */
};

/* => the page is busy by this thread, or (NULL) there is a hole around it; no lock held */
static struct vm_page *
page_take(struct own *w, struct hole *hole, uint64_t *ret_slot)
{
	struct vm_object *o = w->object;
	struct vm_page *p = NULL;

	locks_assert_none();
	lock_acquire(&o->lock);
	for (;;) {
		*ret_slot = load_relaxed(vm_object_slot(o, w->index));
		if (slot_kind(*ret_slot) != SLOT_RESIDENT) {
			if (vm_object_wait_holes(o, w->index, w->index + 1))
				continue;
			vm_object_hole_begin(o, hole, w->index, w->index + 1);
			break;
		}
		p = &o->daemon->frames.pages[slot_frame(*ret_slot)];
		if (vm_page_busy_only(p))
			break;
		vm_object_wait_unbusy(o, p);
		p = NULL;
	}
	lock_release(&o->lock);
	return p;
}

static int
resident_own(struct own *w, struct vm_page *p)
{
	struct vm_object *o = w->object;
	/* What windows show of it will change without a fault. */
	bool pushed = copy_push(NULL, o, w->index, w->page, COPY_BY_JOB) == COPY_PUSHED &&
		      pmap_hide(o, w->index, p, w->page) == 0;

	if (pushed && load_acquire(&p->word) & PAGE_DUP) {
		CHECK(p->cref == CREF_BELOW.v);
		p->cref = 0;
		vm_page_flags_clear(p, PAGE_DUP);
		vm_page_make_dirty(o, p, w->task);
	}
	vm_object_unbusy(o, w->index, p);
	return pushed ? 0 : -ENOBUFS;
}

/* The page from which the content comes is in transit. Nothing is held meanwhile, for its thread
 * may wait for what is above it. */
static void
below_wait(const struct own *w)
{
	struct copy_place at = { NULL, 0 };
	uint64_t slot;
	bool foreign;

	copies_lock(w->object->daemon);
	if (copy_link_below_locked(w->object, w->index)) {
		at = copy_owner_locked(w->object, w->index, &foreign);
		vm_object_get(at.object);
	}
	copies_unlock(w->object->daemon);
	if (!at.object)
		return;
	lock_acquire(&at.object->lock);
	slot = load_relaxed(vm_object_slot(at.object, at.index));
	if (slot_kind(slot) == SLOT_RESIDENT)
		vm_object_wait_unbusy(
		    at.object, &at.object->daemon->frames.pages[slot_frame(slot)]);
	else
		(void)vm_object_wait_holes(at.object, at.index, at.index + 1);
	lock_release(&at.object->lock);
}

/* What is stored below, on secondary storage. Drops the reference. */
static enum pager_result
away_read(const struct own *w, const struct copy_place *at)
{
	struct vm_object *o = at->object;
	enum pager_result result = PAGER_AGAIN;
	struct hole hole;
	uint64_t slot;

	lock_acquire(&o->lock);
	slot = load_relaxed(vm_object_slot(o, at->index));
	if (slot_kind(slot) != SLOT_STORED || vm_object_hole_at(o, at->index)) {
		lock_release(&o->lock);
	} else {
		vm_object_hole_begin(o, &hole, at->index, at->index + 1);
		lock_release(&o->lock);
		result = prefetch_read(o, w->place, at->index, slot_cref(slot));
		vm_object_hole_close(o, &hole);
	}
	vm_object_put(o);
	return result;
}

static bool
is_zero(const void *page, size_t bytes)
{
	const uint64_t *words = page;

	return words[0] == 0 && memcmp(words, words + 1, bytes - sizeof(*words)) == 0;
}

/* Of a page without a frame, in the thread's hole: its content. *ret_is_new: it is not stored yet
 */
static enum pager_result
content_get(const struct own *w, uint64_t slot, bool *ret_is_new)
{
	struct vm_object *o = w->object;
	struct copy_place away = { NULL, 0 };
	enum pager_result result;
	struct hole below;
	bool foreign;

	*ret_is_new = false;
	if (slot_kind(slot) == SLOT_POISONED)
		return PAGER_LOST;
	if (slot_kind(slot) == SLOT_STORED)
		return prefetch_read(o, w->place, w->index, slot_cref(slot));
	result = copy_content(o, w->index, &below, w->page, &foreign, &away);
	if (result == PAGER_AWAY)
		result = away_read(w, &away);
	/* What nobody has written stays absent. */
	*ret_is_new = result == PAGER_OK && !is_zero(w->page, o->daemon->page_bytes);
	return result;
}

/* => 0, -ENOBUFS, -EIO; -EAGAIN: the content is in transit. Ends the hole */
static int
empty_own(struct own *w, struct hole *hole, uint64_t slot)
{
	struct vm_object *o = w->object;
	bool is_new = false, kept = true;
	enum pager_result result = PAGER_FAILED;
	int error =
	    slot_kind(slot) == SLOT_ABSENT && copies_follow(w->object, w->index, w->index + 1)
		? -ENOTSUP
		: 0;

	if (!error) {
		result = content_get(w, slot, &is_new);
		error = result == PAGER_OK ? 0 : result == PAGER_AGAIN ? -EAGAIN : -EIO;
	}
	/* What is lost is lost for what is above it, too. */
	if (slot_kind(slot) == SLOT_POISONED)
		error = 0;
	if (!error && is_new)
		kept = copy_keep(NULL, o, w->index, w->page);
	if (!error && kept)
		kept = copy_push_kept(NULL, o, w->index, w->page);
	vm_object_hole_close(o, hole);
	return error ? error : kept ? 0 : -ENOBUFS;
}

static int
page_own(struct own *w)
{
	int error;

	do {
		struct hole hole;
		uint64_t slot;
		struct vm_page *p = page_take(w, &hole, &slot);

		error = p ? resident_own(w, p) : empty_own(w, &hole, slot);
		if (error == -EAGAIN)
			below_wait(w);
	} while (error == -EAGAIN);
	return error;
}

int
pages_unlink(struct task *task, unsigned place, struct vm_object *o, uint64_t first, uint64_t end)
{
	struct own w = { .task = task, .place = place, .object = o };
	int error = 0;

	locks_assert_none();
	CHECK(first <= end && end <= o->page_count);
	if (first == end || !vm_object_is_linked(o, ~0u) ||
	    !vm_object_has_links(o, first, end - first))
		return 0;
	if (!copy_reserve_settle(o->daemon))
		return -ENOBUFS;
	w.page = prefetch_page_of(o->daemon, place);
	for (uint64_t i = first; i < end && !error; i++) {
		w.index = i;
		if (vm_object_has_links(o, i, 1))
			error = page_own(&w);
	}
	if (!error)
		vm_object_copies_part(o, first, end);
	return error;
}
