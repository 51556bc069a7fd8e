/* SPDX-License-Identifier: MIT
 *
 * The window of mapped pages. Runs on: fault servers; jobs begin and end it.
 */
#include "record/window.h"

#include <errno.h>
#include <sys/mman.h>

#include "clock.h"
#include "pageq/pageq.h"
#include "pmap/zap.h"
#include "record/recorder.h"
#include "record/recorder_priv.h"
#include "vm/vm_page.h"

#define WINDOW_MIN 4u /* pages */
#define WINDOW_MAX 65536u

bool
window_fits(uint32_t pages)
{
	return pages >= WINDOW_MIN && pages <= WINDOW_MAX;
}

int
window_create(struct daemon *d, uint32_t pages)
{
	struct recorder *r = d->recorder;
	size_t bytes = pol_window_footprint(d->slots.count);
	void *memory;

	CHECK(window_fits(pages));
	/* Sparse: it has memory where pages of the recorded clients are. */
	memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	pol_window_init(memory, pages);
	lock_acquire(&r->lock);
	CHECK(r->is_changing && !r->window);
	r->window = memory;
	r->window_bytes = bytes;
	lock_release(&r->lock);
	return 0;
}

void
window_destroy(struct recorder *r)
{
	lock_acquire(&r->lock);
	CHECK(r->is_changing);
	if (r->window)
		munmap(r->window, r->window_bytes);
	r->window = NULL;
	lock_release(&r->lock);
}

#define UNMAP_BATCH 64u

void
window_begin(struct daemon *d, struct stat_shard stats, struct task_name name)
{
	struct victim victims[UNMAP_BATCH];
	uint32_t frame = 0;

	locks_assert_none();
	while (frame < d->frames.count) {
		unsigned count = 0;

		pageq_lock(d);
		for (; frame < d->frames.count && count < UNMAP_BATCH; frame++)
			count += pageq_deactivate_frame_locked(d, frame, name, &victims[count]);
		pageq_unlock(d);
		zap_now(d, stats, victims, count);
	}
}

/* How long a fault waits for the page that is to leave: longer than a read from disk takes, and
 * less than the 200 ms for which a client may hold up the thread that has the page
 * (tbl/watch_call.h). */
#define PATIENCE_NS 100000000u

static bool
is_patient(const struct fault *f)
{
	uint64_t now = clock_now_ns();

	CHECK(f->window_since_ns <= now);
	return f->window_since_ns == 0 || now - f->window_since_ns < PATIENCE_NS;
}

/* The page that is to leave when this one is mapped, or POL_NONE. */
static pol_page
leaving_locked(const struct recorder *r, const struct task *task, pol_page page)
{
	lock_assert_held(&r->lock);
	return r->window && recorder_names_locked(r, task)
		   ? pol_window_leaving(r->window, r->window->width, page)
		   : POL_NONE;
}

/* The window moves on: this page enters, and the other leaves. leaving: as leaving_locked says. */
static void
turn_locked(struct recorder *r, const struct task *task, pol_page page, pol_page leaving)
{
	pol_page oldest = POL_NONE;

	lock_assert_held(&r->lock);
	if (!r->window || !recorder_names_locked(r, task))
		return;
	pol_window_map(r->window, page);
	pol_window_deactivate(r->window, r->window->width, 1, &oldest);
	CHECK(oldest == leaving && r->window->lists[1].count <= r->window->width);
}

bool
trace_window_push(struct daemon *d, struct stat_shard stats, struct vm_object *o, uint64_t index,
    const struct fault *f, enum trace_kind kind)
{
	struct recorder *r = d->recorder;
	pol_page page = vm_object_pol_page(o, index), leaving;
	enum pageq_deactivation left = DEACTIVATION_NONE;
	struct victim victim;
	bool moves;

	locks_assert_none();
	vm_page_assert(o, index);
	pageq_lock(d);
	lock_acquire(&r->lock);
	leaving = leaving_locked(r, vm_object_private_task(o), page);
	if (leaving != POL_NONE)
		left = pageq_deactivate_slot_locked(d, leaving, &victim);
	moves = left != DEACTIVATION_HELD || !is_patient(f);
	if (moves) {
		if (unlikely(left == DEACTIVATION_HELD))
			stat_add(stats, STAT_TRACE_INEXACT, 1);
		turn_locked(r, vm_object_private_task(o), page, leaving);
		trace_record_locked(d, o, index, f->thread, trace_fault_writes(f), kind);
	}
	lock_release(&r->lock);
	pageq_unlock(d);
	if (left == DEACTIVATION_DONE)
		zap_now(d, stats, &victim, 1);
	return moves;
}

void
trace_forgotten(struct daemon *d, const struct vm_object *o, uint64_t index)
{
	struct recorder *r = d->recorder;

	CHECK(index < o->page_count);
	trace_record(d, o, index, 0, false, TRACE_FORGET);
	lock_acquire(&r->lock);
	if (r->window)
		pol_window_forget(r->window, vm_object_pol_page(o, index));
	lock_release(&r->lock);
}
