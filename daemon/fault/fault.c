/* SPDX-License-Identifier: MIT
 *
 * From a fault message to a decision. Runs on: fault servers. Never sleeps, never reclaims,
 * allocates nothing.
 */
#include "fault/fault.h"

#include <errno.h>

#include "clock.h"
#include "fault/swapin.h"
#include "pmap/settle.h"
#include "record/recorder.h"
#include "record/window.h"
#include "pageq/pageq.h"
#include "vm/vm_map.h"
#include "transit/poison.h"
#include "transit/put.h"
#include "transit/release.h"
#include "pagers/pager.h"

/* What the map says about the faulting address. */
struct target {
	struct vm_object *object; /* with a reference */
	uint64_t index;
	uint64_t low, high; /* pages of the object that this region maps: [low, high) */
	uint32_t behavior;
	bool wired;
	unsigned want; /* pages to bring in, the faulting one included */
	int direction; /* of the run: 1 or -1 */
};

/* Follows one thread's run of faults. => how many pages the next fill should bring. M held */
static unsigned
stream_follow(
    struct daemon *d, struct task *task, const struct fault *f, uint32_t behavior, int *direction)
{
	uint64_t page = round_down_u64(f->address, d->page_bytes);
	struct stream *stream = &task->streams[f->thread % STREAMS];
	unsigned most = (unsigned)param(d, fault_cluster), want;

	*direction = behavior == PAGER_BEHAVIOR_REVERSE_SEQUENTIAL ? -1 : 1;
	if (behavior == PAGER_BEHAVIOR_RANDOM)
		return 1;
	if (stream->thread != f->thread) {
		*stream = (struct stream){ .thread = f->thread };
	} else if (page == stream->next_up) {
		stream->run++;
	} else if (page == stream->next_down) {
		stream->run++;
		*direction = -1;
	} else if (page + d->page_bytes != stream->next_up ||
		   page - d->page_bytes != stream->next_down) {
		/* Not the same once more, either: written now, or answered only now. */
		stream->run = 0;
	}
	stream->next_up = page + d->page_bytes;
	stream->next_down = page - d->page_bytes;
	if (behavior == PAGER_BEHAVIOR_SEQUENTIAL || behavior == PAGER_BEHAVIOR_REVERSE_SEQUENTIAL)
		want = most;
	else if (stream->run < 2)
		want = 1;
	else
		want = stream->run >= 8 ? most : (unsigned)min_u64(1u << (stream->run - 1), most);
	return want > FAULT_CLUSTER_MAX ? FAULT_CLUSTER_MAX : want;
}

/* Tells the stream that more pages than the one that faulted come to be mapped. M not held; losing
 * a race only costs a guess. */
static void
stream_advance(
    struct daemon *d, const struct fault *f, struct vm_object *o, uint64_t index, unsigned count)
{
	struct task *task = f->task;
	struct stream *stream = &task->streams[f->thread % STREAMS];
	uint64_t start = vm_object_address(o, index);

	lock_acquire(&task->map.lock);
	if (stream->thread == f->thread) {
		stream->next_up = start + ((uint64_t)count << d->page_shift);
		stream->next_down = start - d->page_bytes;
	}
	lock_release(&task->map.lock);
}

/* => returns with the object locked: taken while the map still says that the page belongs to the
 * region, so that a region being given back is either seen here or discarded after us. */
static bool
find_target(struct daemon *d, const struct fault *f, struct target *ret)
{
	struct vm_map *m = &f->task->map;
	struct vm_entry *e;

	lock_acquire(&m->lock);
	e = vm_map_lookup(m, f->address);
	if (e) {
		ret->object = e->object;
		vm_object_get(e->object);
		ret->low = e->offset >> d->page_shift;
		ret->high = ret->low + ((e->end - e->start) >> d->page_shift);
		ret->index = ret->low + ((f->address - e->start) >> d->page_shift);
		ret->behavior = e->behavior;
		ret->wired = e->wired_count > 0;
		ret->want = stream_follow(d, f->task, f, e->behavior, &ret->direction);
		lock_acquire(&e->object->lock);
	}
	lock_release(&m->lock);
	return e != NULL;
}

/* Maps what the memfd still has of a page and zeroes for the rest. */
static int
patch_holes(struct daemon *d, int uffd, uint64_t address)
{
	int error = -ENOENT;

	for (size_t at = 0; at < d->page_bytes; at += d->hw_bytes) {
		size_t done;
		int r = uffd_zeropage(uffd, address + at, d->hw_bytes, &done);

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

/* The page is resident and we hold it busy: map it again, or let its writer write. */
static void
answer_resident(
    struct fault_server *server, const struct fault *f, const struct target *t, uint32_t frame)
{
	struct vm_object *o = t->object;
	uint64_t index = t->index;
	struct daemon *d = server->daemon;
	struct vm_page *p = &d->frames.pages[frame];
	uint64_t address = vm_object_address(o, index);
	int uffd = f->task->uffd;
	bool write = f->flags & (UFFD_FAULT_WRITE | UFFD_FAULT_WP);
	bool dirty = load_acquire(&p->word) & PAGE_DIRTY;
	struct cref given_up = CREF_NONE;
	bool reactivated = false;
	int error = 0;

	/* In a wired range a page that came ahead of use, or stood still while it was wired, is
	 * wired by its first touch. */
	if ((write || t->wired) && !dirty) {
		given_up.v = p->cref;
		p->cref = 0;
		vm_page_flags_set(p, PAGE_DIRTY);
		dirty = true;
	}
	pageq_lock(d);
	if (t->wired)
		pageq_wire_locked(d, o, frame);
	else
		reactivated = pageq_reactivate_locked(d, o, frame, write ? PF_WRITE : 0);
	if (write)
		pageq_written_locked(d, o, frame);
	pageq_unlock(d);
	if (given_up.v)
		pager_drop(o, given_up);
	if (reactivated)
		settle_unmap(d, server->stats);

	if (f->flags & UFFD_FAULT_WP) {
		error = uffd_unprotect(uffd, address, d->page_bytes);
		stat_add(server->stats, STAT_WP_FAULTS, 1);
		ledger_count(&o->bill->ledger, PAGER_LEDGER_WP_FAULTS, 1);
	} else {
		/* An exact recording must see the first write behind a read. */
		error = uffd_continue(uffd, address, d->page_bytes,
		    dirty && (write || !trace_is_exact(d)) ? 0 : UFFD_MODE_WP);
		stat_add(server->stats, STAT_SOFT_FAULTS, 1);
		ledger_count(&o->bill->ledger, PAGER_LEDGER_SOFT_FAULTS, 1);
		if (error == -EFAULT) {
			/* A hole in what we hold resident: its owner punched its own memory. It
			 * reads as zeroes. */
			given_up.v = p->cref;
			p->cref = 0;
			vm_page_flags_set(p, PAGE_DIRTY);
			if (given_up.v)
				pager_drop(o, given_up);
			error = patch_holes(d, uffd, address);
		}
	}
	if (reactivated) {
		stat_add(server->stats, STAT_REACTIVATIONS, 1);
		ledger_count(&o->bill->ledger, PAGER_LEDGER_REACTIVATIONS, 1);
	}
	/* Still changing, or the mapping is gone: it faults again, or never. */
	if (error)
		uffd_wake(uffd, address, d->page_bytes);
	vm_object_unbusy(o, index, p);
}

/* Resident neighbours of a page with a soft fault, in the direction of its thread's run: unmapped,
 * all dirty or all clean, and ours (busy). */
struct around {
	uint64_t index; /* of the first */
	unsigned count;
};

/* O held */
static struct around
around_take(struct daemon *d, const struct target *t)
{
	struct around a = { t->index, 0 };
	bool dirty = false;

	/* What is wired is so by its own touch, a recording sees each, and pages that could leave
	 * are not for guesses while others wait for frames. */
	if (t->want < 2 || t->wired || trace_is_exact(d) || load_relaxed(&d->park.count) > 0)
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
		/* Only now: a worker may have cleaned it a moment ago, and mapped writable its next
		 * write would be lost. */
		word = load_acquire(&p->word);
		if (page_word_state(word) != PAGE_INACTIVE ||
		    (a.count > 0 && !(word & PAGE_DIRTY) == dirty)) {
			/* With O held since before it was busy nobody has wanted it. */
			(void)vm_page_unbusy(p);
			break;
		}
		dirty = word & PAGE_DIRTY;
		if (a.count == 0 || t->direction < 0)
			a.index = i;
	}
	return a;
}

/* Faults of others wait for PAGEQ: it is not held for longer than so many pages take. */
#define AROUND_STEP 8u

/* They are mapped, so for the policy they count as referenced: a run is about to touch them. */
static void
around_answer(struct fault_server *server, const struct fault *f, const struct target *t,
    const struct around *a)
{
	struct daemon *d = server->daemon;
	struct vm_object *o = t->object;
	struct vm_page *pages[FAULT_CLUSTER_MAX];
	unsigned reactivated = 0;
	bool dirty;

	for (unsigned i = 0; i < a->count; i++) {
		uint32_t frame = slot_frame(load_relaxed(vm_object_slot(o, a->index + i)));

		pages[i] = &d->frames.pages[frame];
		if (i % AROUND_STEP == 0)
			pageq_lock(d);
		reactivated += pageq_reactivate_locked(d, o, frame, 0);
		if (i % AROUND_STEP == AROUND_STEP - 1 || i == a->count - 1)
			pageq_unlock(d);
	}
	dirty = load_acquire(&pages[0]->word) & PAGE_DIRTY;
	/* Where that fails, for the owner has punched or unmapped some, they fault by themselves.
	 */
	(void)uffd_continue(f->task->uffd, vm_object_address(o, a->index),
	    (uint64_t)a->count << d->page_shift, dirty ? 0 : UFFD_MODE_WP);
	for (unsigned i = 0; i < a->count; i++)
		vm_object_unbusy(o, a->index + i, pages[i]);
	stat_add(server->stats, STAT_AROUND, a->count);
	stat_add(server->stats, STAT_REACTIVATIONS, reactivated);
	ledger_count(&o->bill->ledger, PAGER_LEDGER_REACTIVATIONS, reactivated);
	stream_advance(d, f, o, t->direction > 0 ? t->index : a->index, a->count + 1);
	settle_unmap(d, server->stats);
}

/* An address that the daemon does not serve: it was given back while a thread was touching it. */
static void
answer_unknown(struct fault_server *server, const struct fault *f)
{
	size_t page = server->daemon->page_bytes;
	uint64_t address = round_down_u64(f->address, server->daemon->hw_bytes);

	/* Nobody holds it: protection stays what it is, for it may be somebody's page by now. But
	 * memory that its owner has moved here has brought its write-protection markers along,
	 * which stay in the poison's way. */
	uffd_poison(f->task->uffd, address, server->daemon->hw_bytes,
	    load_relaxed(&f->task->has_moved) ? UFFD_MODE_HELD : 0);
	uffd_wake(f->task->uffd, round_down_u64(address, page), page);
}

/* A page without a frame that shall get poison. => false: others are at it and will wake; O held */
static bool
hole_take(struct fault_server *server, struct vm_object *o, uint64_t index)
{
	struct hole *hole = vm_object_hole_at(o, index);

	if (hole)
		hole->wanted = true;
	else
		vm_object_hole_begin(o, &server->hole, index, index + 1);
	return !hole;
}

/* No page could be taken for `use`. */
static enum fault_outcome
answer_not_begun(struct daemon *d, const struct target *t, enum frame_use use, enum run_begun begun,
    enum wait_for *ret_wait)
{
	switch (begun) {
	case RUN_NO_FRAME:
		if (param(d, resident_frames))
			pageq_missed(d, t->object, t->index);
		*ret_wait = use == FRAME_READ    ? WAIT_READ
			    : use == FRAME_WRITE ? WAIT_WRITE
						 : WAIT_FIRST;
		return FAULT_WAITS;
	case RUN_OVER_LIMIT:
		*ret_wait = WAIT_LIMIT;
		return FAULT_WAITS;
	case RUN_NO_TABLE:
		return FAULT_NO_TABLE;
	default:
		CHECK(begun == RUN_BUSY);
		return FAULT_BUSY;
	}
}

/* A page without a frame. => O held, dropped */
static enum fault_outcome
answer_absent(struct fault_server *server, const struct fault *f, struct target *t, uint64_t slot,
    enum wait_for *ret_wait)
{
	struct daemon *d = server->daemon;
	struct fill fill;
	unsigned want = t->want;
	bool stored = slot_kind(slot) == SLOT_STORED;
	/* What is wired gives its copy up as a write does. */
	bool write = t->wired || f->flags & UFFD_FAULT_WRITE;
	enum frame_use use = !stored ? FRAME_FIRST : write ? FRAME_WRITE : FRAME_READ;
	enum fault_outcome outcome;
	enum run_begun begun;

	if (stored)
		pager_prefetch(t->object, slot_cref(slot));
	if (t->direction > 0)
		want = (unsigned)min_u64(want, t->high - t->index);
	else
		want = (unsigned)min_u64(want, t->index - t->low + 1);
	/* Frames that others wait for are not for guesses, nor does an exact recording want any. */
	if (load_relaxed(&d->park.count) > 0 || trace_is_exact(d))
		want = 1;
	begun = fill_begin(d, t->object, t->index, want, t->direction, use, &fill);
	lock_release(&t->object->lock);
	if (begun != RUN_BEGUN)
		return answer_not_begun(d, t, use, begun, ret_wait);
	fill.write = f->flags & UFFD_FAULT_WRITE;
	fill.wired = t->wired;
	fill.sequential = t->want > 1;
	if (fill.count > 1)
		stream_advance(d, f, fill.object, fill.index, fill.count);
	trace_fault(d, t->object, t->index, f, TRACE_MAJOR);
	if (trace_is_exact(d))
		trace_window_push(d, server->stats, t->object, t->index);
	if (stored) {
		outcome = fill_stored(server, f, &fill);
	} else {
		fill_zero(server->stats, &fill);
		outcome = FAULT_ANSWERED;
	}
	if (outcome == FAULT_ANSWERED)
		settle_unmap(d, server->stats);
	return outcome;
}

/* Where memory is squeezed a clean page may become dirty only as a write to a stored one may: clean
 * pages are what reads live on. */
static bool
write_must_wait(
    const struct daemon *d, const struct fault *f, const struct target *t, uint32_t frame)
{
	if (likely(!load_relaxed(&d->pageq.squeezed)))
		return false;
	return (t->wired || f->flags & (UFFD_FAULT_WRITE | UFFD_FAULT_WP)) &&
	       !(load_acquire(&d->frames.pages[frame].word) & (PAGE_DIRTY | PAGE_BUSY)) &&
	       frames_available_for(d, FRAME_WRITE) == 0;
}

enum fault_outcome
fault_handle(struct fault_server *server, const struct fault *f, enum wait_for *ret_wait)
{
	struct daemon *d = server->daemon;
	struct target t;
	enum fault_outcome outcome = FAULT_ANSWERED;
	bool soft = false;
	uint64_t slot, ns;

	if (!find_target(d, f, &t)) {
		answer_unknown(server, f);
		return FAULT_ANSWERED;
	}
	slot = load_relaxed(vm_object_slot(t.object, t.index));
	switch (slot_kind(slot)) {
	case SLOT_RESIDENT: {
		struct around around = { 0, 0 };
		bool ours;

		if (unlikely(write_must_wait(d, f, &t, slot_frame(slot)))) {
			lock_release(&t.object->lock);
			*ret_wait = WAIT_WRITE;
			outcome = FAULT_WAITS;
			break;
		}
		ours = vm_page_busy_try(&d->frames.pages[slot_frame(slot)]);
		if (ours && !(f->flags & UFFD_FAULT_WP))
			around = around_take(d, &t);
		lock_release(&t.object->lock);
		if (ours) {
			trace_fault(d, t.object, t.index, f,
			    f->flags & UFFD_FAULT_WP ? TRACE_WRITE : TRACE_SOFT);
			if (trace_is_exact(d) && !(f->flags & UFFD_FAULT_WP))
				trace_window_push(d, server->stats, t.object, t.index);
			answer_resident(server, f, &t, slot_frame(slot));
			soft = !(f->flags & UFFD_FAULT_WP);
			if (around.count > 0)
				around_answer(server, f, &t, &around);
		} else {
			stat_add(server->stats, STAT_BUSY_WAITS, 1);
		}
		break;
	}
	case SLOT_POISONED: {
		bool ours = hole_take(server, t.object, t.index);

		lock_release(&t.object->lock);
		if (ours)
			poison_hole(t.object, &server->hole);
		else
			outcome = FAULT_BUSY;
		break;
	}
	case SLOT_ABSENT:
	case SLOT_STORED:
		outcome = answer_absent(server, f, &t, slot, ret_wait); /* drops O */
		break;
	}
	if (outcome == FAULT_BUSY)
		stat_add(server->stats, STAT_BUSY_WAITS, 1);
	if (outcome == FAULT_ANSWERED) {
		stat_add(server->stats, STAT_FAULTS, 1);
		ledger_count(&f->task->bill.ledger, PAGER_LEDGER_FAULTS, 1);
		ns = clock_now_ns() - f->start_ns;
		ledger_count(&f->task->bill.ledger, PAGER_LEDGER_STALL_FILL, ns);
		if (soft)
			stat_add(server->stats, STAT_SOFT_FAULT_NS, ns);
		else if (slot_kind(slot) == SLOT_STORED)
			fault_count_refill(server, f, ns);
	}
	vm_object_put(t.object);
	return outcome;
}

bool
fault_refuse(struct fault_server *server, const struct fault *f, enum refusal why)
{
	struct daemon *d = server->daemon;
	bool empty, ours = false;
	struct target t;
	enum slot_kind kind;

	watch_client(task_cookie(f->task));
	if (!find_target(d, f, &t)) {
		answer_unknown(server, f);
		return true;
	}
	kind = slot_kind(load_relaxed(vm_object_slot(t.object, t.index)));
	empty = kind == SLOT_ABSENT || kind == SLOT_STORED;
	/* From here on nobody fills it: lifting protection of a page that is there would lose its
	 * next write. */
	if (empty)
		ours = hole_take(server, t.object, t.index);
	lock_release(&t.object->lock);
	if (ours) {
		bool first = kind == SLOT_ABSENT;

		stat_add(server->stats,
		    why == REFUSED_TABLES ? STAT_REFUSED_TABLES
		    : first               ? STAT_REFUSED_ZERO_FILLS
					  : STAT_REFUSED_REFILLS,
		    1);
		/* Known before the client can touch it again, or free it. */
		frame_wait_refused(d, f, why);
		poison_hole(t.object, &server->hole);
		/* Of table memory the log has been told by who refused it. */
		if (why != REFUSED_TABLES)
			log_error_limited("memory and swap are full: process %d gets SIGBUS for "
					  "its %s %#llx (give pagerd more "
					  "--memory or swap, or the client a limit)",
			    (int)f->task->pid,
			    first ? "first touch of"
				  : "touch of the stored page (which is kept) at",
			    (unsigned long long)f->address);
	} else if (empty) {
		stat_add(server->stats, STAT_BUSY_WAITS, 1);
	}
	vm_object_put(t.object);
	return empty;
}
