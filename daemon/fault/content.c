/* SPDX-License-Identifier: MIT
 *
 * Faults on pages without a frame. Runs on: fault servers. Never sleeps, allocates nothing.
 */
#include "fault/content.h"

#include <limits.h>

#include "fault/ahead.h"
#include "fault/shown.h"
#include "fault/stream.h"
#include "fault/swapin.h"
#include "fault/zero_ahead.h"
#include "memorystatus/limits.h"
#include "pageq/exact.h"
#include "pagers/pager.h"
#include "pmap/settle.h"
#include "pmap/uffd.h"
#include "record/profiles.h"
#include "record/recorder.h"
#include "record/window.h"
#include "transit/copy_fill.h"
#include "transit/copy_push.h"
#include "transit/put.h"
#include "vm/copy_link.h"
#include "vm/copy_look.h"

/* No page could be made busy for the fault. */
static enum fault_outcome
answer_not_begun(struct daemon *d, const struct target *t, enum frame_use use, enum run_begun begun,
    enum wait_for *ret_wait)
{
	switch (begun) {
	case RUN_NO_FRAME:
		if (param(d, resident_frames))
			exact_missed(d, t->object, t->index);
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

/* Content that the pager keeps. Where the faulting page is away, a read is started. */
static enum fault_outcome
fill_stored(struct fault_server *server, const struct fault *fault, struct fill *fill)
{
	struct daemon *d = server->daemon;
	struct vm_object *o = fill->object;
	unsigned loaded, done;
	bool retain;
	enum pager_result result = PAGER_OK;
	enum fault_outcome outcome;

	locks_assert_none();
	CHECK(fill->first < fill->count && fill->count <= FAULT_CLUSTER_MAX);
	if (fill->first > 0) {
		/* A downward run: the faulting page is the last one, and decides. */
		struct cref cref = { fill_page(fill, fill->first)->cref };

		if (pager_is_away(o, cref))
			return swapin_start(server, fault, fill);
	}
	for (loaded = 0; loaded < fill->count; loaded++) {
		struct cref cref = { fill_page(fill, loaded)->cref };

		result = pager_data_request(
		    o, cref, (char *)server->bounce + ((size_t)loaded << d->page_shift));
		if (result != PAGER_OK && loaded >= fill->first)
			break;
		if (result != PAGER_OK) {
			/* A page below the one that faulted is away or damaged: it waits for a
			 * fault of its own. If all pages were given up, the thread would come back
			 * to the same fill endlessly. */
			fill_drop_front(d, fill, loaded + 1);
			loaded = UINT_MAX; /* the next one is the new front, 0 */
		}
	}
	if (result == PAGER_AWAY && loaded == fill->first)
		return swapin_start(server, fault, fill);
	if (loaded == fill->first) {
		/* The page that is touched is damaged: it is lost. Its neighbours, damaged or not,
		 * wait for faults of their own. */
		fill_abort(d, fill, loaded + 1);
		fill_lost(server->stats, &server->hole, fill, loaded, true);
		fill->count = loaded;
		fill_abort(d, fill, 0);
		vm_object_put(o);
		return FAULT_ANSWERED;
	}
	retain = !fill->wired && fill_retains(d, fill);
	done = fill_copy(server->stats, fill, server->bounce, loaded, retain);
	stat_add(server->stats, STAT_DECOMPRESSIONS, done);
	ledger_count(&fill->task->bill.ledger, PAGER_LEDGER_DECOMPRESSIONS, done);
	if (done == 0) {
		fill_abort(d, fill, 0);
		vm_object_put(o);
		return FAULT_AGAIN;
	}
	outcome = fill->first < done ? FAULT_ANSWERED : FAULT_AGAIN;
	fill_finish(&server->stats, fill, done, PAGE_ACTIVE, retain);
	return outcome;
}

/* What copies (vm/copy_link.h) make of a fault. */
struct copied {
	bool write, wired; /* what is done now; the rest comes as a write fault when the page is
			      there */
	unsigned want;
	bool is_below; /* the content is what is below */
	bool is_above; /* something above may lack the page */
};

static struct copied
copied_look(const struct fault *f, const struct target *t, bool stored)
{
	struct vm_object *o = t->object;
	struct copied c = { .write = f->flags & UFFD_FAULT_WRITE,
		.wired = t->wired,
		.want = t->want,
		.is_above = false };
	unsigned most = t->direction > 0 ? (unsigned)min_u64(t->want, t->high - t->index) : 1;

	if (!stored && vm_object_is_linked(o, COPY_BELOW))
		c.want = copy_alike(o, t->index, most, 1, &c.is_below);
	c.is_above = t->direction > 0 ? vm_object_has_copies(o, t->index, most)
				      : vm_object_has_copies(o, t->low, t->index + 1 - t->low);
	/* There is content that goes up before it changes. The page comes without a change. */
	if (c.is_above && (stored || c.is_below) && (c.write || c.wired) &&
	    copy_is_lacking(o, t->index))
		c.write = c.wired = false;
	/* Pages that are filled with zeroes are mapped writable, and wired ones are. */
	if (c.is_above && (c.wired || (!stored && !c.is_below)))
		c.want = 1;
	return c;
}

/* Whether the page's content has to be read. => O held */
static bool
is_away_locked(const struct vm_object *o, uint64_t index)
{
	enum slot_kind kind = slot_kind(load_relaxed(vm_object_slot(o, index)));

	lock_assert_held(&o->lock);
	if (o->external)
		return kind == SLOT_ABSENT && !o->external->is_gone;
	return kind == SLOT_STORED;
}

/* What comes after a read of pages that the thread's follow: more of the file. */
static void
ahead_below(struct fault_server *server, const struct fault *f, const struct target *t,
    struct vm_object *o, uint64_t from)
{
	struct target below = { .object = o,
		.index = from,
		.low = 0,
		.high = o->page_count,
		.want = t->want,
		.direction = t->direction };

	if (o->external)
		ahead_read(server, f, &below, from);
}

/* Reads a page below in from secondary storage, and of a file those that follow it on the thread's
 * run, into its own object, where the fault finds it when it comes again. Drops the reference. */
static enum fault_outcome
read_below(struct fault_server *server, const struct fault *f, const struct target *t,
    const struct copy_place *at, enum wait_for *ret_wait)
{
	struct vm_object *o = at->object;
	struct daemon *d = o->daemon;
	/* Where the thread would see it: if it is lost, that is where poison goes. */
	struct fill fill = { .task = f->task,
		.base = target_address(t, t->index) - (at->index << d->page_shift),
		.is_read_only = true };
	enum fault_outcome outcome = FAULT_BUSY;
	enum run_begun begun = RUN_BUSY;
	unsigned want = 1;

	if (!server->seat) {
		vm_object_put(o);
		return FAULT_NO_IO;
	}
	if (o->external && t->direction > 0)
		want = (unsigned)min_u64(min_u64(t->want, fault_io_bytes(d) >> d->page_shift),
		    o->page_count - at->index);
	lock_acquire(&o->lock);
	if (is_away_locked(o, at->index))
		begun = fill_begin(d, o, at->index, want, 1, FRAME_READ, &fill);
	else
		outcome = FAULT_AGAIN;
	/* The thread is woken when the page is there. */
	if (begun == RUN_BEGUN)
		vm_page_flags_set(fill_page(&fill, 0), PAGE_WANTED);
	lock_release(&o->lock);
	if (begun == RUN_BEGUN) {
		uint64_t behind = fill.index + fill.count;

		fill.write = fill.wired = false;
		fill.sequential = true;
		fill.seen_by = SEEN_BY_NOBODY;
		outcome = swapin_start_below(server, f, &fill);
		if (outcome == FAULT_PENDING)
			ahead_below(server, f, t, o, behind);
		limits_want_of_owner(o);
	} else if (begun != RUN_BUSY) {
		outcome = answer_not_begun(d, t, FRAME_READ, begun, ret_wait);
	}
	vm_object_put(o);
	if (begun != RUN_BEGUN && outcome == FAULT_AGAIN)
		uffd_wake(f->task->uffd, target_address(t, t->index), d->page_bytes);
	return outcome;
}

/* The pages get what is below them. */
static enum fault_outcome
fill_below(struct fault_server *server, const struct fault *f, const struct target *t,
    struct fill *fill, enum wait_for *ret_wait)
{
	struct vm_object *o = fill->object;
	struct daemon *d = o->daemon;
	enum pager_result result = PAGER_OK;
	struct copy_place away = { NULL, 0 };
	bool any_foreign = false, own, protect;
	unsigned loaded = 0, done;
	enum page_state to;

	locks_assert_none();
	CHECK(fill->first == 0);
	while (loaded < fill->count && result == PAGER_OK) {
		bool foreign;

		result = copy_content(o, fill->index + loaded, &server->hole,
		    (char *)server->bounce + ((size_t)loaded << d->page_shift), &foreign, &away);
		loaded += result == PAGER_OK;
		any_foreign |= foreign;
	}
	if (result == PAGER_AWAY && loaded > 0)
		vm_object_put(away.object);
	if (loaded == 0 && result == PAGER_LOST) {
		fill_abort(d, fill, 1);
		fill_lost(server->stats, &server->hole, fill, 0, true);
		vm_object_put(o);
		return FAULT_ANSWERED;
	}
	if (loaded == 0) {
		fill_defer(d, fill);
		vm_object_put(o);
		return result == PAGER_AWAY ? read_below(server, f, t, &away, ret_wait)
					    : FAULT_BUSY;
	}
	/* Wired pages are written to unseen. What a client of another user has could change behind
	 * the daemon's back: what has been seen of it stays. A run that writes goes on writing. */
	own = fill->wired || any_foreign || (fill->write && t->want > 1);
	protect = !own || (!fill->wired && vm_object_has_copies(o, fill->index, fill->count));
	done = fill_copy(server->stats, fill, server->bounce, loaded, protect);
	if (done == 0) {
		fill_abort(d, fill, 0);
		vm_object_put(o);
		return FAULT_AGAIN;
	}
	stat_add(server->stats, STAT_COPY_FILLS, done);
	/* What is equal to what is below is the first to leave, for nothing. What is equal to a
	 * file is the page that is used: the file's own, which nobody touches, leaves sooner. */
	to = fill->write || own || copies_follow(o, fill->index, fill->index + 1)
		 ? PAGE_ACTIVE
		 : PAGE_SPECULATIVE;
	fill_finish(&server->stats, fill, done, to, !own);
	return FAULT_ANSWERED;
}

/* The page above gets zeroes before a page gets its first content. => false: that cannot be now;
 * all of the fill has been put back */
static bool
zeroes_told(struct fault_server *server, struct fill *fill)
{
	struct vm_object *o = fill->object;
	unsigned i = 0;

	while (i < fill->count &&
	       copy_push(&server->stats, o, fill->index + i, NULL, COPY_ON_WRITE) == COPY_PUSHED)
		i++;
	if (i == fill->count)
		return true;
	fill_defer(o->daemon, fill);
	vm_object_put(o);
	return false;
}

/* Whether the page may be seen at the place of a copy's. If not all of the fill has been put back.
 */
static bool
fill_shows(const struct target *t, struct fill *fill)
{
	struct vm_object *o = fill->object;

	if (shown_begin(t, t->index, fill_page(fill, 0)))
		return true;
	fill_abort(o->daemon, fill, 0);
	vm_object_put(o);
	return false;
}

/* The recorder hears of it. => false: the recording's window holds it up, and all of the fill has
 * been put back */
static bool
trace_told(
    struct fault_server *server, const struct fault *f, const struct target *t, struct fill *fill)
{
	struct daemon *d = server->daemon;

	if (unlikely(f->is_ahead)) {
		stat_add(server->stats, STAT_ZERO_AHEAD, fill->count);
		return true;
	}
	if (!trace_is_exact(d)) {
		trace_fault(d, t->object, t->index, f, TRACE_MAJOR);
		return true;
	}
	if (trace_window_push(d, server->stats, t->object, t->index, f, TRACE_MAJOR))
		return true;
	fill_defer(d, fill);
	vm_object_put(fill->object);
	return false;
}

enum fault_outcome
content_answer(struct fault_server *server, const struct fault *f, const struct target *t,
    uint64_t slot, enum wait_for *ret_wait)
{
	struct daemon *d = server->daemon;
	struct fill fill;
	/* There is content: in the slot's copy, or in the pager's place for the page. */
	bool stored = slot_kind(slot) == SLOT_STORED || pager_absent_copy(t->object).v != 0;
	struct copied copied =
	    unlikely(load_relaxed(&t->object->linked))
		? copied_look(f, t, stored)
		: (struct copied){ f->flags & UFFD_FAULT_WRITE, t->wired, t->want, false, false };
	unsigned want = copied.want;
	/* A wired page gives its copy up, as a written one does. */
	bool write = copied.wired || copied.write;
	enum frame_use use = !stored && !copied.is_below ? FRAME_FIRST
			     : write                     ? FRAME_WRITE
							 : FRAME_READ;
	enum fault_outcome outcome;
	enum run_begun begun;
	uint64_t first;
	unsigned count;

	lock_assert_held(&t->object->lock);
	vm_page_assert(t->object, t->index);
	CHECK(slot_kind(slot) == SLOT_STORED || slot_kind(slot) == SLOT_ABSENT);
	CHECK(t->direction == 1 || t->direction == -1);
	if (slot_kind(slot) == SLOT_STORED)
		pager_prefetch(t->object, slot_cref(slot));
	if (t->direction > 0)
		want = (unsigned)min_u64(want, t->high - t->index);
	else
		want = (unsigned)min_u64(want, t->index - t->low + 1);
	if (unlikely(t->object->external != NULL))
		want = (unsigned)min_u64(want, fault_io_bytes(d) >> d->page_shift);
	/* While faults wait for frames no guess takes one, and an exact recording must see each
	 * touch. */
	if (load_relaxed(&d->park.count) > 0 || trace_is_exact(d) || unlikely(t->copy != NULL))
		want = 1;
	fill.task = f->task;
	fill.base = t->base;
	fill.is_read_only = t->is_read_only;
	fill.door = f->is_ahead ? DOOR_PREFAULT : DOOR_FAULT;
	begun = fill_begin(
	    d, t->object, t->index, want, copied.is_below ? 1 : t->direction, use, &fill);
	lock_release(&t->object->lock);
	if (begun != RUN_BEGUN)
		return answer_not_begun(d, t, use, begun, ret_wait);
	if (unlikely(t->copy != NULL) && !fill_shows(t, &fill))
		return FAULT_AGAIN;
	fill.write = copied.write;
	fill.wired = copied.wired;
	fill.sequential = t->want > 1;
	fill.seen_by = t->seen_by;
	first = fill_address(&fill, 0);
	count = fill.count;
	if (!trace_told(server, f, t, &fill))
		return FAULT_NO_WINDOW;
	/* A link can go meanwhile, but none comes below a page that has no content. */
	INVARIANT(!fill.from_below || copied.is_below);
	if (unlikely(fill.from_below)) {
		outcome = fill_below(server, f, t, &fill, ret_wait);
	} else if (unlikely(copied.is_above) && !stored && !zeroes_told(server, &fill)) {
		outcome = FAULT_BUSY;
	} else if (stored) {
		profile_refilled(f);
		outcome = fill_stored(server, f, &fill);
		if (outcome == FAULT_PENDING)
			ahead_read(server, f, t, ((first - t->base) >> d->page_shift) + count);
	} else {
		outcome = fill_zero(server->stats, &fill) ? FAULT_ANSWERED : FAULT_AGAIN;
	}
	/* A fault that comes again is on the same run then. */
	if (count > 1 && outcome != FAULT_NO_IO)
		stream_advance(d, f, first, count);
	if (count >= AHEAD_LEAST && use == FRAME_FIRST && outcome == FAULT_ANSWERED && !f->is_ahead)
		zero_ahead_ask(server, f);
	if (outcome == FAULT_ANSWERED || outcome == FAULT_AGAIN)
		settle_unmap(d, server->stats);
	return outcome;
}
