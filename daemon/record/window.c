/* SPDX-License-Identifier: MIT
 *
 * The window of mapped pages. Runs on: fault servers; jobs begin and end it.
 */
#include "record/window.h"

#include <errno.h>
#include <sys/mman.h>
#include <time.h>

#include "pageq/pageq.h"
#include "pmap/zap.h"
#include "record/recorder.h"
#include "record/recorder_priv.h"

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

/* Times 20 microseconds and more: a server that has to wait for its processor is waited for. This
 * is the only place where a fault server sleeps outside of its poll, and only while a recording has
 * a window. */
#define COMING_TRIES    2000u
#define COMING_PAUSE_NS 20000

/* => the page that leaves the window, or POL_NONE */
static pol_page
window_turn(struct recorder *r, const struct task *task, pol_page page)
{
	pol_page oldest = POL_NONE;

	lock_acquire(&r->lock);
	if (r->window && recorder_names_locked(r, task)) {
		pol_window_map(r->window, page);
		pol_window_deactivate(r->window, r->window->width, 1, &oldest);
		CHECK(oldest != page && r->window->lists[1].count <= r->window->width);
	}
	lock_release(&r->lock);
	return oldest;
}

void
trace_window_push(struct daemon *d, struct stat_shard stats, struct vm_object *o, uint64_t index)
{
	pol_page oldest = window_turn(d->recorder, o->owner, vm_object_pol_page(o, index));
	struct victim victim;
	bool found = false, coming = oldest != POL_NONE;

	locks_assert_none();

	/* Another server may have woken its thread and not let go of the page yet. The wait is
	 * bounded: the thread that holds it may be waiting for the page that we hold. */
	for (unsigned tries = 0; coming && !found && tries < COMING_TRIES; tries++) {
		const struct timespec pause = { .tv_nsec = COMING_PAUSE_NS };

		if (tries > 0)
			nanosleep(&pause, NULL);
		pageq_lock(d);
		found = pageq_deactivate_slot_locked(d, oldest, &victim);
		coming = !found && pageq_slot_is_coming_locked(d, oldest);
		pageq_unlock(d);
	}
	if (found)
		zap_now(d, stats, &victim, 1);
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
