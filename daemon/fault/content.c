/* SPDX-License-Identifier: MIT
 *
 * Faults on pages without a frame. Runs on: fault servers. Never sleeps, allocates nothing.
 */
#include "fault/content.h"

#include <limits.h>

#include "fault/ahead.h"
#include "fault/stream.h"
#include "fault/swapin.h"
#include "pageq/exact.h"
#include "pagers/pager.h"
#include "pmap/settle.h"
#include "record/recorder.h"
#include "record/window.h"
#include "transit/put.h"

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
		fill_lost(server->stats, &server->hole, fill, loaded);
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

enum fault_outcome
content_answer(struct fault_server *server, const struct fault *f, const struct target *t,
    uint64_t slot, enum wait_for *ret_wait)
{
	struct daemon *d = server->daemon;
	struct fill fill;
	unsigned want = t->want;
	/* There is content: in the slot's copy, or in the pager's place for the page. */
	bool stored = slot_kind(slot) == SLOT_STORED || pager_absent_copy(t->object).v != 0;
	/* A wired page gives its copy up, as a written one does. */
	bool write = t->wired || f->flags & UFFD_FAULT_WRITE;
	enum frame_use use = !stored ? FRAME_FIRST : write ? FRAME_WRITE : FRAME_READ;
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
	if (load_relaxed(&d->park.count) > 0 || trace_is_exact(d))
		want = 1;
	fill.task = f->task;
	fill.base = t->base;
	fill.is_read_only = t->is_read_only;
	begun = fill_begin(d, t->object, t->index, want, t->direction, use, &fill);
	lock_release(&t->object->lock);
	if (begun != RUN_BEGUN)
		return answer_not_begun(d, t, use, begun, ret_wait);
	fill.write = f->flags & UFFD_FAULT_WRITE;
	fill.wired = t->wired;
	fill.sequential = t->want > 1;
	fill.seen_by = t->seen_by;
	first = fill_address(&fill, 0);
	count = fill.count;
	if (!trace_is_exact(d)) {
		trace_fault(d, t->object, t->index, f, TRACE_MAJOR);
	} else if (!trace_window_push(d, server->stats, t->object, t->index, f, TRACE_MAJOR)) {
		fill_defer(d, &fill);
		vm_object_put(fill.object);
		return FAULT_NO_WINDOW;
	}
	if (stored) {
		outcome = fill_stored(server, f, &fill);
		if (outcome == FAULT_PENDING)
			ahead_read(server, f, t, ((first - t->base) >> d->page_shift) + count);
	} else {
		outcome = fill_zero(server->stats, &fill) ? FAULT_ANSWERED : FAULT_AGAIN;
	}
	/* A fault that comes again is on the same run then. */
	if (count > 1 && outcome != FAULT_NO_IO)
		stream_advance(d, f, first, count);
	if (outcome == FAULT_ANSWERED || outcome == FAULT_AGAIN)
		settle_unmap(d, server->stats);
	return outcome;
}
