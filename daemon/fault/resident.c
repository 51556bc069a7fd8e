/* SPDX-License-Identifier: MIT
 *
 * Faults on resident pages. Runs on: fault servers. Never sleeps, allocates nothing.
 */
#include "fault/resident.h"

#include <errno.h>

#include "failpt.h"
#include "fault/ahead.h"
#include "fault/copy_run.h"
#include "fault/made_dirty.h"
#include "fault/shown.h"
#include "fault/stream.h"
#include "pageq/pageq.h"
#include "pagers/pager.h"
#include "pmap/backing.h"
#include "pmap/pmap.h"
#include "pmap/settle.h"
#include "record/profiles.h"
#include "record/recorder.h"
#include "record/window.h"
#include "transit/copy_push.h"
#include "transit/leave.h"
#include "transit/release.h"
#include "vm/copy_link.h"
#include "vm/copy_look.h"

/* Maps what the memfd still has of a page, and zeroes for the rest. => 0, or -errno: nothing is
 * mapped, or what is there is still changing */
static int
patch_holes(struct daemon *d, int uffd, uint64_t address)
{
	int error = -ENOENT;

	CHECK(address % d->page_bytes == 0);
	for (size_t at = 0; at < d->page_bytes; at += d->hw_bytes) {
		size_t done;
		int r = uffd_zeropage(uffd, address + at, d->hw_bytes, 0, &done);

		if (r == -EEXIST)
			r = uffd_continue(uffd, address + at, d->hw_bytes, 0);
		/* A part that is not mapped any more is not missed. */
		if (r && r != -ENOENT)
			return r;
		if (!r)
			error = 0;
	}
	return error;
}

/* The same for a task that must not bring a page into its own mapping, since that would not be the
 * object's: zeroes are put into the backing where it has nothing. */
static int
refill_holes(struct daemon *d, struct vm_object *o, int uffd, uint64_t address, uint64_t index)
{
	int error = backing_allocate(o, index << d->page_shift, d->page_bytes);

	return error ? error : uffd_continue(uffd, address, d->page_bytes, UFFD_MODE_WP);
}

/* A page of several clients has gone from its memfd: one of them has punched it away, and the
 * others have not asked for that. It was clean, so its copy is good: a worker takes the page out
 * and wakes the thread, whose next fault brings it in again. A part of a large page may be mapped
 * writable, in this task only. Lets the page go. => false: it is as before; it may still be written
 */
static bool
return_to_copy(struct fault_server *server, const struct fault *f, const struct target *t,
    struct vm_page *p, struct cref copy)
{
	struct daemon *d = server->daemon;
	struct vm_object *o = t->object;
	uint64_t address = target_address(t, t->index);
	int error = uffd_protect(f->task->uffd, address, d->page_bytes, 0);
	struct victim victim;
	bool taken, given = false;

	if (error && error != -ENOENT && error != -ESRCH)
		return false;
	CHECK(copy.v != 0 && p->cref == 0);
	p->cref = copy.v;
	vm_page_make_clean(o, p);
	vm_page_assert(o, t->index);
	vm_object_unbusy(o, t->index, p);
	pageq_lock(d);
	taken = pageq_evict_page_locked(d, o, t->index, true, &victim) == EVICTION_TAKEN;
	pageq_unlock(d);
	if (!taken) {
		/* Another thread has it now, and the next fault sees what has become of it. */
		uffd_wake(f->task->uffd, address, d->page_bytes);
		return true;
	}
	/* It is busy by this server: WANTED is set, and whoever lets it go wakes the thread. */
	lock_acquire(&o->lock);
	(void)vm_page_busy_try(p);
	lock_release(&o->lock);
	pageq_lock(d);
	given = handed_give_locked(d, vm_object_lane(o), &victim);
	pageq_unlock(d);
	if (!given)
		victim_stay(server->stats, &victim, STAYS_WANTED);
	return true;
}

/* The owner has punched a hole into its own memory, which is resident for the daemon. It reads as
 * zeroes, also for a copy that lacks the page. => 0, or -errno: nothing is mapped */
static int
punched_answer(
    struct fault_server *server, const struct fault *f, const struct target *t, struct vm_page *p)
{
	struct vm_object *o = t->object;
	uint64_t address = target_address(t, t->index);

	/* It is in no page table. */
	if (page_word_is_shown(load_acquire(&p->word)))
		vm_page_flags_clear(p, PAGE_SHOWN);
	(void)page_made_dirty(o, p, f->task);
	if (vm_object_is_linked(o, COPY_ABOVE) &&
	    copy_push(&server->stats, o, t->index, server->bounce, COPY_ON_WRITE) != COPY_PUSHED)
		return -EAGAIN;
	return t->is_read_only ? refill_holes(server->daemon, o, f->task->uffd, address, t->index)
			       : patch_holes(server->daemon, f->task->uffd, address);
}

/* The thread comes again. */
static bool
let_go(const struct fault *f, const struct target *t, struct vm_page *p)
{
	uffd_wake(f->task->uffd, target_address(t, t->index), t->object->daemon->page_bytes);
	vm_object_unbusy(t->object, t->index, p);
	return false;
}

/* The page is not in its memfd, or, of a copy's place, something else is mapped there. *given_up:
 * its copy from now on. => whether it has been let go, and its thread will come again; if not
 * *ret_error says whether it is mapped */
static bool
gone_answer(struct fault_server *server, const struct fault *f, const struct target *t,
    struct vm_page *p, struct cref *given_up, int *ret_error)
{
	if (unlikely(t->copy != NULL)) {
		(void)shown_ask(server, f);
		return !let_go(f, t, p);
	}
	if (!given_up->v) {
		given_up->v = p->cref;
		p->cref = 0;
	}
	if (given_up->v && given_up->v != CREF_BELOW.v && t->object->is_shareable && !t->wired &&
	    return_to_copy(server, f, t, p, *given_up))
		return true;
	*ret_error = punched_answer(server, f, t, p);
	return false;
}

/* Whether the page, which was brought in ahead of this touch, gives its copy up now: as it would
 * have if the touch had brought it in (fill_retains). */
static bool
gives_up_foreseen(const struct target *t)
{
	const struct daemon *d = t->object->daemon;

	return !t->is_read_only && !t->object->external && !load_relaxed(&d->park.squeezed) &&
	       param(d, retain_copies) != 1 && t->want < 2 &&
	       load_relaxed(&d->frames.free_count) <= 2 * load_relaxed(&d->frames.free_target);
}

/* Maps a page that the server holds busy, or lets its writer write, and lets it go. => whether that
 * was possible; if not, the thread has been woken */
static bool
answer_held(
    struct fault_server *server, const struct fault *f, const struct target *t, uint32_t frame)
{
	struct vm_object *o = t->object;
	uint64_t index = t->index;
	struct daemon *d = server->daemon;
	struct vm_page *p = &d->frames.pages[frame];
	uint64_t address = target_address(t, index);
	int uffd = f->task->uffd;
	bool write = f->flags & (UFFD_FAULT_WRITE | UFFD_FAULT_WP);
	bool dirty = load_acquire(&p->word) & PAGE_DIRTY;
	/* Its content is on the way to its place, or a copy lacks it: it is mapped for reading
	 * only.
	 */
	bool writing = load_acquire(&p->word) & PAGE_WRITING ||
		       (vm_object_is_linked(o, COPY_ABOVE) && copy_is_lacking(o, index));
	struct cref given_up = CREF_NONE;
	bool reactivated = false, hidden = false, foreseen;
	int error = 0;

	vm_page_assert(o, index);
	CHECK(load_relaxed(&p->word) & PAGE_BUSY);
	/* It may be written to from now on. */
	if (unlikely(page_word_is_shown(load_acquire(&p->word))) &&
	    (write || t->wired || (dirty && !writing && !t->is_read_only))) {
		if (pmap_hide(o, index, p, server->bounce) != 0)
			return let_go(f, t, p);
		hidden = true;
	}
	if (vm_page_seen(p, t->seen_by) && o->external)
		ahead_touched(&o->external->ahead, 1);
	foreseen = page_word_state(load_acquire(&p->word)) == PAGE_SPECULATIVE &&
		   profile_touched(f->task, o, index, f->address);
	/* In a wired range a page that came ahead of use, or was busy while the range was wired, is
	 * wired by its first touch. */
	if (write || t->wired || (foreseen && !writing && gives_up_foreseen(t))) {
		given_up = page_made_dirty(o, p, f->task);
		dirty = true;
		writing = false;
	}
	pageq_lock(d);
	if (t->wired)
		pageq_wire_locked(d, o, frame);
	else
		reactivated = pageq_reactivate_locked(d, o, frame, write ? PF_WRITE : 0);
	if (write)
		pageq_written_locked(d, o, frame);
	pageq_unlock(d);
	if (reactivated)
		settle_unmap(d, server->stats);

	if (f->flags & UFFD_FAULT_WP && !hidden) {
		failpt_die(FAIL_DIE_WRITE_BOOKED);
		error = uffd_unprotect(uffd, address, d->page_bytes);
		stat_add(server->stats, STAT_WP_FAULTS, 1);
		ledger_count(&f->task->bill.ledger, PAGER_LEDGER_WP_FAULTS, 1);
	} else {
		/* An exact recording must see the first write after a read. */
		error = uffd_continue(uffd, address, d->page_bytes,
		    dirty && !writing && !t->is_read_only && (write || !trace_is_exact(d))
			? 0
			: UFFD_MODE_WP);
		stat_add(server->stats, STAT_SOFT_FAULTS, 1);
		ledger_count(&f->task->bill.ledger, PAGER_LEDGER_SOFT_FAULTS, 1);
		if (error == -EFAULT && gone_answer(server, f, t, p, &given_up, &error))
			return false;
	}
	if (given_up.v)
		pager_drop(o, given_up);
	if (reactivated) {
		stat_add(server->stats, STAT_REACTIVATIONS, 1);
		ledger_count(&f->task->bill.ledger, PAGER_LEDGER_REACTIVATIONS, 1);
	}
	/* The address space is still changing, and the thread faults again; or the mapping is gone,
	 * and it does not. */
	if (error)
		uffd_wake(uffd, address, d->page_bytes);
	vm_object_unbusy(o, index, p);
	return error == 0;
}

/* Resident neighbours of a page with a soft fault, in the direction of its thread's run. They are
 * not mapped, all dirty or all clean, and the server holds them busy. */
struct around {
	uint64_t index; /* of the first */
	unsigned count;
};

static struct around
around_take_locked(struct daemon *d, const struct target *t)
{
	struct around a = { t->index, 0 };
	bool dirty = false;

	lock_assert_held(&t->object->lock);
	/* No map-around for wired ranges (each page is wired by its own touch), or while faults
	 * wait for frames. */
	if (t->want < 2 || t->wired || load_relaxed(&d->park.count) > 0)
		return a;
	for (uint64_t i = t->index; a.count < t->want - 1; a.count++) {
		struct vm_page *p;
		uint64_t slot;
		uint32_t word;

		if (t->direction > 0 ? i + 1 == t->high : i == t->low)
			break;
		i = t->direction > 0 ? i + 1 : i - 1;
		slot = load_relaxed(vm_object_slot(t->object, i));
		if (slot_kind(slot) != SLOT_RESIDENT)
			break;
		p = &d->frames.pages[slot_frame(slot)];
		if (!vm_page_busy_only(p))
			break;
		/* The word is read now that the page is busy: a worker may have cleaned it a moment
		 * ago, and if it were mapped writable its next write would be lost. */
		word = load_acquire(&p->word);
		if ((page_word_state(word) != PAGE_INACTIVE &&
			!(unlikely(t->copy != NULL) && page_word_state(word) == PAGE_ACTIVE)) ||
		    word & PAGE_WRITING || (a.count > 0 && !(word & PAGE_DIRTY) == dirty)) {
			/* O has been held since before it was busy, so no thread wants it. */
			(void)vm_page_unbusy(p);
			break;
		}
		dirty = word & PAGE_DIRTY;
		if (a.count == 0 || t->direction < 0)
			a.index = i;
	}
	return a;
}

/* Lets neighbours go again. */
static void
around_drop(struct daemon *d, const struct target *t, const struct around *a)
{
	for (unsigned i = 0; i < a->count; i++) {
		uint64_t slot = load_relaxed(vm_object_slot(t->object, a->index + i));

		vm_object_unbusy(t->object, a->index + i, &d->frames.pages[slot_frame(slot)]);
	}
}

/* Whether the page, and with it its neighbours or none, may be seen at the places of a copy's. If
 * not they are let go. */
static bool
shown_take(struct fault_server *server, const struct target *t, uint32_t frame, struct around *a)
{
	struct daemon *d = server->daemon;
	struct vm_page *p = &d->frames.pages[frame];
	unsigned good = 0;
	bool is;

	locks_assert_none();
	is = shown_begin(t, t->index, p);
	while (
	    is && good < a->count &&
	    shown_begin(t, a->index + good,
		&d->frames
		     .pages[slot_frame(load_relaxed(vm_object_slot(t->object, a->index + good)))]))
		good++;
	if (good < a->count) {
		around_drop(d, t, a);
		a->count = 0;
	}
	if (!is)
		vm_object_unbusy(t->object, t->index, p);
	else
		stat_add(server->stats, STAT_WINDOW_READS, 1 + a->count);
	return is;
}

/* PAGEQ is held for this many pages at a time, because faults of other clients wait for it. */
#define AROUND_STEP 8u

/* Maps the neighbours and lets them go. For the policy they count as referenced, because a run is
 * about to touch them. */
static void
around_answer(struct fault_server *server, const struct fault *f, const struct target *t,
    const struct around *a)
{
	struct daemon *d = server->daemon;
	struct vm_object *o = t->object;
	struct vm_page *pages[FAULT_CLUSTER_MAX];
	unsigned reactivated = 0, touched = 0;
	bool dirty, is_shown = false;

	locks_assert_none();
	CHECK(a->count > 0 && a->count < FAULT_CLUSTER_MAX);
	for (unsigned i = 0; i < a->count; i++) {
		uint32_t frame = slot_frame(load_relaxed(vm_object_slot(o, a->index + i)));

		vm_page_assert(o, a->index + i);
		pages[i] = &d->frames.pages[frame];
		touched += vm_page_seen(pages[i], t->seen_by);
		is_shown |= page_word_is_shown(load_acquire(&pages[i]->word));
		(void)profile_touched(f->task, o, a->index + i, target_address(t, a->index + i));
		if (i % AROUND_STEP == 0)
			pageq_lock(d);
		reactivated += pageq_reactivate_locked(d, o, frame, 0);
		if (i % AROUND_STEP == AROUND_STEP - 1 || i == a->count - 1)
			pageq_unlock(d);
	}
	if (touched > 0 && o->external)
		ahead_touched(&o->external->ahead, touched);
	/* Copies may lack some of them, or show them. */
	dirty = load_acquire(&pages[0]->word) & PAGE_DIRTY && !is_shown &&
		!vm_object_has_copies(o, a->index, a->count);
	/* Where that fails, because the owner has punched or unmapped some, they get faults of
	 * their own. */
	(void)uffd_continue(f->task->uffd, target_address(t, a->index),
	    (uint64_t)a->count << d->page_shift, dirty && !t->is_read_only ? 0 : UFFD_MODE_WP);
	for (unsigned i = 0; i < a->count; i++)
		vm_object_unbusy(o, a->index + i, pages[i]);
	stat_add(server->stats, STAT_AROUND, a->count);
	stat_add(server->stats, STAT_REACTIVATIONS, reactivated);
	ledger_count(&f->task->bill.ledger, PAGER_LEDGER_REACTIVATIONS, reactivated);
	stream_advance(
	    d, f, target_address(t, t->direction > 0 ? t->index : a->index), a->count + 1);
	settle_unmap(d, server->stats);
}

/* Whether a write to the page must wait for a frame. While memory is squeezed reads get the frames
 * of clean pages, so a clean page may become dirty only where a stored one could be written. */
static bool
write_must_wait_locked(
    const struct daemon *d, const struct fault *f, const struct target *t, uint32_t frame)
{
	lock_assert_held(&t->object->lock);
	if (likely(!load_relaxed(&d->park.squeezed)))
		return false;
	return (t->wired || f->flags & (UFFD_FAULT_WRITE | UFFD_FAULT_WP)) &&
	       !(load_acquire(&d->frames.pages[frame].word) & (PAGE_DIRTY | PAGE_BUSY)) &&
	       frames_available_for(d, FRAME_WRITE) == 0;
}

/* Whether a page of a file, which is clean, may become dirty. => FAULT_ANSWERED: it may, or need
 * not */
static enum fault_outcome
store_may_locked(const struct fault *f, const struct target *t, uint32_t frame)
{
	struct vm_object *o = t->object;
	uint32_t word = load_acquire(&o->daemon->frames.pages[frame].word);

	lock_assert_held(&o->lock);
	if (t->wired || !(f->flags & (UFFD_FAULT_WRITE | UFFD_FAULT_WP)) ||
	    word & (PAGE_DIRTY | PAGE_BUSY))
		return FAULT_ANSWERED;
	switch (dirty_may_store(f->task, o)) {
	case DIRTY_MAY:
		return FAULT_ANSWERED;
	case DIRTY_REFUSED:
		return FAULT_NO_STORE;
	default:
		return FAULT_WAITS;
	}
}

enum fault_outcome
resident_answer(struct fault_server *server, const struct fault *f, const struct target *t,
    uint32_t frame, bool *ret_soft, enum wait_for *ret_wait)
{
	struct daemon *d = server->daemon;
	bool is_protected = f->flags & UFFD_FAULT_WP, exact = trace_is_exact(d), ours, is_mapped;
	enum fault_outcome outcome = FAULT_BUSY;
	struct copy_run run = { .count = 0 };
	struct around around = { 0, 0 };

	lock_assert_held(&t->object->lock);
	*ret_soft = false;
	if (unlikely(write_must_wait_locked(d, f, t, frame))) {
		lock_release(&t->object->lock);
		*ret_wait = WAIT_WRITE;
		return FAULT_WAITS;
	}
	if (unlikely(t->object->external != NULL)) {
		enum fault_outcome may = store_may_locked(f, t, frame);

		if (may != FAULT_ANSWERED) {
			lock_release(&t->object->lock);
			returns_want_soon(t->object);
			*ret_wait = WAIT_DIRTY;
			return may;
		}
	}
	ours = vm_page_busy_try(&d->frames.pages[frame]);
	/* An exact recording must see each touch. */
	if (ours && !is_protected && !exact)
		around = around_take_locked(d, t);
	else if (ours && is_protected && !exact && unlikely(load_relaxed(&t->object->linked)))
		run = copy_run_take_locked(d, t);
	lock_release(&t->object->lock);
	if (!ours) {
		/* The holder wakes the page. */
		stat_add(server->stats, STAT_BUSY_WAITS, 1);
		return FAULT_AGAIN;
	}
	if (unlikely(t->copy != NULL) && !shown_take(server, t, frame, &around)) {
		uffd_wake(f->task->uffd, target_address(t, t->index), d->page_bytes);
		return FAULT_AGAIN;
	}
	if (vm_object_is_linked(t->object, COPY_ABOVE) &&
	    !copies_told(server, f, t, &d->frames.pages[frame], &outcome, ret_wait)) {
		around_drop(d, t, &around);
		copy_run_drop(t, &run);
		return outcome;
	}
	if (is_protected || !exact) {
		trace_fault(d, t->object, t->index, f, is_protected ? TRACE_WRITE : TRACE_SOFT);
	} else if (!trace_window_push(d, server->stats, t->object, t->index, f, TRACE_SOFT)) {
		vm_object_unbusy(t->object, t->index, &d->frames.pages[frame]);
		return FAULT_NO_WINDOW;
	}
	is_mapped = answer_held(server, f, t, frame);
	if (run.count > 0)
		copy_run_answer(server, f, t, &run);
	if (unlikely(t->object->external != NULL) && dirty_is_much(f->task))
		returns_want_soon(t->object);
	if (around.count > 0)
		around_answer(server, f, t, &around);
	if (!is_protected && !exact)
		ahead_read(server, f, t, t->index + 1 + around.count);
	*ret_soft = !is_protected;
	return is_mapped ? FAULT_ANSWERED : FAULT_AGAIN;
}
