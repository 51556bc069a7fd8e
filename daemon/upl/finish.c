/* SPDX-License-Identifier: MIT
 *
 * Pages of a list are handed back. Runs on: any thread. Allocates nothing. No lock is held across a
 * call on the memfd or the userfaultfd: the pages are busy until the list has let go of them.
 */
#include <errno.h>
#include <stdlib.h>

#include "memorystatus/frame_wait.h"
#include "own.h"
#include "pageq/pageq.h"
#include "pagers/pager.h"
#include "pmap/backing.h"
#include "pmap/pmap.h"
#include "record/recorder.h"
#include "record/window.h"
#include "transit/release.h"
#include "transit/run.h"
#include "upl/upl.h"
#include "vm/vm_page.h"

/* Pages that are handed back together. */
#define RUN_PAGES FAULT_CLUSTER_MAX

/* What the list has a page for. */
enum how { HOW_FILLING, HOW_RESIDENT, HOW_WIRED };

static enum how
how_held(const struct upl *u, unsigned i)
{
	CHECK(upl_holds(u, i));
	switch (u->pages[i]) {
	case UPL_PAGE_ABSENT:
	case UPL_PAGE_STORED:
		return HOW_FILLING;
	case UPL_PAGE_WIRED:
		return HOW_WIRED;
	default:
		return HOW_RESIDENT;
	}
}

/* Adjacent pages of one kind, held. */
struct run {
	struct upl *upl;
	unsigned from, count;
	enum upl_page page;
	enum how how;
};

/* The next run of [*at, end), which is moved behind it. => false: there is none */
static bool
run_next(struct upl *u, unsigned *at, unsigned end, struct run *ret)
{
	unsigned i = upl_next_held(u, *at), n = 1;

	*at = i;
	if (i >= end)
		return false;
	while (
	    i + n < end && n < RUN_PAGES && upl_holds(u, i + n) && u->pages[i + n] == u->pages[i])
		n++;
	*ret = (struct run){ u, i, n, (enum upl_page)u->pages[i], how_held(u, i) };
	*at = i + n;
	return true;
}

static uint64_t
run_index(const struct run *r)
{
	return r->upl->first + r->from;
}

/* The frames of pages that the run has, or has just had. */
static void
run_frames(const struct run *r, uint32_t *frames)
{
	for (unsigned i = 0; i < r->count; i++)
		frames[i] =
		    slot_frame(load_relaxed(vm_object_slot(r->upl->object, run_index(r) + i)));
}

/* The list gives the run up; the calling thread has its pages busy. */
static void
run_give(const struct run *r)
{
	struct upl *u = r->upl;
	struct vm_object *o = u->object;

	lock_acquire(&o->lock);
	pageq_lock(o->daemon);
	for (unsigned i = 0; i < r->count; i++)
		upl_give_locked(u, r->from + i);
	pageq_unlock(o->daemon);
	lock_release(&o->lock);
}

static void
run_punch(const struct run *r)
{
	const struct vm_object *o = r->upl->object;
	unsigned shift = o->daemon->page_shift;

	backing_punch(o, run_index(r) << shift, (uint64_t)r->count << shift);
}

/* Pages that were to be filled, as a fill of the calling thread's. */
static struct fill
run_fill(const struct run *r)
{
	struct fill fill = { .object = r->upl->object,
		.task = r->upl->task,
		.base = r->upl->base,
		.index = run_index(r),
		.count = r->count,
		.wired = r->upl->is_wired };

	CHECK(r->how == HOW_FILLING);
	run_frames(r, fill.frames);
	vm_object_get(fill.object);
	return fill;
}

static void
run_deactivate(const struct run *r)
{
	struct vm_object *o = r->upl->object;

	pageq_lock(o->daemon);
	for (unsigned i = 0; i < r->count; i++)
		(void)pageq_deactivate_page_locked(o->daemon, o, run_index(r) + i);
	pageq_unlock(o->daemon);
}

/* A page becomes ABSENT, whatever it was. Adds what else is to be freed. => O held */
static bool
page_free_locked(struct vm_object *o, uint64_t index, uint32_t frame, struct cref *ret_copy)
{
	struct daemon *d = o->daemon;
	struct vm_page *p = &d->frames.pages[frame];
	bool wanted = load_acquire(&p->word) & PAGE_WANTED;

	lock_assert_held(&o->lock);
	vm_page_assert(o, index);
	ret_copy->v = p->cref;
	vm_object_slot_set(o, index, SLOT_ABSENT);
	pageq_lock(d);
	if (page_word_state(load_relaxed(&p->word)) == PAGE_FILLING) {
		vm_page_commit(d, o, frame, PAGE_FILLING, PAGE_ABSENT);
		pageq_forget_locked(d, o, vm_object_pol_page(o, index));
	} else {
		pageq_discard_locked(d, o, frame);
	}
	pageq_unlock(d);
	if (trace_is_on(d))
		trace_forgotten(d, o, index);
	return wanted;
}

/* The content of a run is thrown away. */
static void
run_free(const struct run *r)
{
	struct vm_object *o = r->upl->object;
	uint32_t frames[RUN_PAGES];
	struct cref copies[RUN_PAGES];
	bool wanted = false;

	locks_assert_none();
	CHECK(r->how != HOW_WIRED);
	run_frames(r, frames);
	run_punch(r);
	run_give(r);
	lock_acquire(&o->lock);
	for (unsigned i = 0; i < r->count; i++)
		wanted |= page_free_locked(o, run_index(r) + i, frames[i], &copies[i]);
	if (load_acquire(&o->waiters) > 0)
		cond_broadcast(&o->unbusy);
	lock_release(&o->lock);
	for (unsigned i = 0; i < r->count; i++)
		if (copies[i].v)
			pager_drop(o, copies[i]);
	if (wanted)
		pmap_wake(o, run_index(r), run_index(r) + r->count);
	frame_wait_freed(o->daemon);
}

/* What resident pages become with regard to their copies. */
enum becomes {
	AS_BEFORE,
	DIRTY, /* their copies are no more */
	CLEAN, /* what the pager has in their places is their content */
};

/* => the copy that the page gives up, or CREF_NONE; it is busy, and CLEAN: write-protected */
static struct cref
page_becomes(const struct upl *u, struct vm_page *p, enum becomes what)
{
	struct vm_object *o = u->object;
	struct cref copy = { p->cref };

	/* What is on the way to its place is not all of it, or is there. */
	vm_page_flags_clear(p, PAGE_WRITING);
	if (what == DIRTY) {
		p->cref = 0;
		vm_page_make_dirty(o, p, u->task);
		return copy;
	}
	CHECK(what == CLEAN && o->external);
	p->cref = CREF_PLACE.v;
	vm_page_make_clean(o, p);
	return CREF_NONE;
}

/* Resident pages are let go. touched: they count as referenced */
static void
run_release(const struct run *r, bool touched, enum becomes what)
{
	bool dirty = what == DIRTY;
	struct vm_object *o = r->upl->object;
	struct daemon *d = o->daemon;
	struct cref copies[RUN_PAGES] = { 0 };
	uint32_t frames[RUN_PAGES];

	locks_assert_none();
	CHECK(r->how == HOW_RESIDENT);
	run_frames(r, frames);
	for (unsigned i = 0; what != AS_BEFORE && i < r->count; i++)
		copies[i] = page_becomes(r->upl, &d->frames.pages[frames[i]], what);
	run_give(r);
	pageq_lock(d);
	for (unsigned i = 0; i < r->count && (touched || dirty); i++) {
		if (touched)
			pageq_reactivate_locked(d, o, frames[i], dirty ? PF_WRITE : 0);
		if (dirty)
			pageq_written_locked(d, o, frames[i]);
	}
	pageq_unlock(d);
	for (unsigned i = 0; i < r->count; i++)
		if (copies[i].v)
			pager_drop(o, copies[i]);
	for (unsigned i = 0; i < r->count; i++)
		vm_object_unbusy(o, run_index(r) + i, &d->frames.pages[frames[i]]);
}

/* --- pages that were to be filled go back --- */

/* A page could not be had, and a thread waits for it. It gets poison when that thread faults again.
 * => whether it was so; O held */
static bool
page_lose_locked(struct vm_object *o, uint64_t index, uint32_t frame)
{
	struct daemon *d = o->daemon;

	lock_assert_held(&o->lock);
	if (!(load_acquire(&d->frames.pages[frame].word) & PAGE_WANTED))
		return false;
	vm_page_assert(o, index);
	vm_object_slot_set(o, index, SLOT_POISONED);
	pageq_lock(d);
	vm_page_commit(d, o, frame, PAGE_FILLING, PAGE_POISONED);
	pageq_unlock(d);
	return true;
}

/* The page of a fill could not be had. A thread that waits for it learns that; otherwise it leaves
 * no trace. */
static void
page_fail(struct fill *fill)
{
	struct vm_object *o = fill->object;
	bool lost;

	CHECK(fill->count == 1);
	lock_acquire(&o->lock);
	lost = page_lose_locked(o, fill->index, fill->frames[0]);
	if (lost && load_acquire(&o->waiters) > 0)
		cond_broadcast(&o->unbusy);
	lock_release(&o->lock);
	if (lost)
		pmap_wake(o, fill->index, fill->index + 1);
	else
		fill_defer(o->daemon, fill);
}

/* Pages go back to what they were before they were to be filled. */
static void
filling_abort(const struct run *r, bool is_error)
{
	struct vm_object *o = r->upl->object;
	struct fill fill = run_fill(r), one = fill;

	run_punch(r);
	run_give(r);
	/* What is stored is as good as before; what an external pager has is asked for again. */
	if (r->page == UPL_PAGE_STORED || !is_error || o->external) {
		fill_defer(o->daemon, &fill);
	} else {
		for (unsigned i = 0; i < r->count; i++) {
			one.index = fill.index + i;
			one.count = 1;
			one.frames[0] = fill.frames[i];
			page_fail(&one);
		}
	}
	vm_object_put(o);
	frame_wait_freed(o->daemon);
}

/* --- commit --- */

/* Pages that were filled have the content that lies in the memfd; where none was put it is zeroes.
 */
static int
filling_commit(const struct run *r, unsigned flags)
{
	struct vm_object *o = r->upl->object;
	unsigned shift = o->daemon->page_shift;
	bool ahead = flags & UPL_COMMIT_SPECULATE && !r->upl->is_wired, same;
	struct fill fill;

	if (backing_allocate(o, run_index(r) << shift, (uint64_t)r->count << shift))
		return -ENOMEM;
	fill = run_fill(r);
	run_give(r);
	/* What came from an external pager's place is a copy of that; nothing has mapped it yet. */
	same = o->external && !(flags & UPL_COMMIT_SET_DIRTY) && !(r->upl->flags & UPL_PRECIOUS);
	fill_finish(NULL, &fill, r->count, ahead ? PAGE_SPECULATIVE : PAGE_ACTIVE, same);
	if (flags & UPL_COMMIT_INACTIVATE && !ahead)
		run_deactivate(r);
	return 0;
}

static void
resident_commit(const struct run *r, unsigned flags)
{
	const struct upl *u = r->upl;

	if (!(u->flags & UPL_COPYOUT_FROM)) /* Who had it could write to it. */
		run_release(r, !(flags & (UPL_COMMIT_INACTIVATE | UPL_COMMIT_SPECULATE)), DIRTY);
	else if (flags & UPL_COMMIT_SET_DIRTY)
		run_release(r, false, DIRTY);
	else /* An external pager has it now; any other only knows what it was given. */
		run_release(r, false, u->object->external ? CLEAN : AS_BEFORE);
	if (flags & UPL_COMMIT_INACTIVATE)
		run_deactivate(r);
}

static bool
range_fits(const struct upl *u, unsigned from, unsigned count)
{
	CHECK_OBJ(u, UPL_MAGIC);
	locks_assert_none();
	return from <= u->count && count <= u->count - from;
}

int
upl_commit(struct upl *u, unsigned from, unsigned count, unsigned flags)
{
	unsigned end = from + count;
	bool frees = u->flags & UPL_COPYOUT_FROM && !(u->flags & UPL_CLEAN_IN_PLACE);
	struct run r;
	int error = 0;

	if (!range_fits(u, from, count) || flags & ~UPL_COMMIT_FLAGS)
		return -EINVAL;
	if (u->flags & UPL_CLEANING) {
		upl_clean_finish(u, from, count, !(flags & UPL_COMMIT_SET_DIRTY));
		return 0;
	}
	while (error == 0 && run_next(u, &from, end, &r)) {
		if (r.how == HOW_WIRED)
			run_give(&r);
		else if (frees)
			run_free(&r);
		else if (r.how == HOW_RESIDENT)
			resident_commit(&r, flags);
		else if (r.page == UPL_PAGE_ABSENT && flags & UPL_COMMIT_FREE_ABSENT)
			filling_abort(&r, false);
		else
			error = filling_commit(&r, flags);
	}
	return error;
}

int
upl_abort(struct upl *u, unsigned from, unsigned count, unsigned flags)
{
	unsigned end = from + count;
	/* A page that could be written to may differ from its copy. */
	enum becomes what = u->flags & UPL_COPYOUT_FROM ? AS_BEFORE : DIRTY;
	struct run r;

	if (!range_fits(u, from, count) || flags & ~UPL_ABORT_FLAGS)
		return -EINVAL;
	if (u->flags & UPL_CLEANING) {
		upl_clean_finish(u, from, count, false);
		return 0;
	}
	while (run_next(u, &from, end, &r)) {
		if (r.how == HOW_WIRED)
			run_give(&r);
		else if (flags & UPL_ABORT_DUMP_PAGES)
			run_free(&r);
		else if (r.how == HOW_FILLING)
			filling_abort(&r, flags & UPL_ABORT_ERROR);
		else
			run_release(&r, flags & UPL_ABORT_REFERENCE, what);
	}
	return 0;
}

void
upl_end(struct upl *u)
{
	struct vm_object *o = u->object;
	struct upl **at;

	CHECK_OBJ(u, UPL_MAGIC);
	locks_assert_none();
	CHECK(upl_abort(u, 0, u->count, 0) == 0);
	lock_acquire(&o->lock);
	CHECK(u->held == 0);
	for (at = &o->upls; *at != u; at = &(*at)->next)
		CHECK(*at);
	*at = u->next;
	lock_release(&o->lock);
	u->magic = 0;
	vm_object_put(o);
}

void
upl_destroy(struct upl *u)
{
	if (!u)
		return;
	upl_end(u);
	own_free(OWN_PAGE_LIST, u);
}
