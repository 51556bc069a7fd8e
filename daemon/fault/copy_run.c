/* SPDX-License-Identifier: MIT
 *
 * Writes to pages that have been copied, or are copies. Runs on: fault servers. Never sleeps,
 * allocates nothing.
 */
#include "fault/copy_run.h"

#include "fault/made_dirty.h"
#include "fault/stream.h"
#include "pageq/pageq.h"
#include "pagers/pager.h"
#include "pmap/pmap.h"
#include "pmap/uffd.h"
#include "transit/copy_push.h"
#include "transit/release.h"
#include "vm/copy_look.h"

bool
copies_told(struct fault_server *server, const struct fault *f, const struct target *t,
    struct vm_page *p, enum fault_outcome *ret, enum wait_for *ret_wait)
{
	enum copy_pushed pushed;

	locks_assert_none();
	if (!t->wired && !(f->flags & (UFFD_FAULT_WRITE | UFFD_FAULT_WP)))
		return true;
	pushed = copy_push(&server->stats, t->object, t->index, server->bounce, COPY_ON_WRITE);
	if (pushed == COPY_PUSHED)
		return true;
	*ret_wait = pushed == COPY_OVER_LIMIT ? WAIT_LIMIT : WAIT_WRITE;
	*ret = pushed == COPY_BUSY ? FAULT_BUSY : pushed == COPY_FAILED ? FAULT_AGAIN : FAULT_WAITS;
	vm_object_unbusy(t->object, t->index, p);
	if (pushed == COPY_FAILED)
		uffd_wake(f->task->uffd, target_address(t, t->index), server->daemon->page_bytes);
	return false;
}

static uint64_t
run_index(const struct target *t, unsigned i)
{
	return t->direction > 0 ? t->index + 1 + i : t->index - 1 - i;
}

struct copy_run
copy_run_take_locked(struct daemon *d, const struct target *t)
{
	struct copy_run run = { .count = 0 };
	unsigned most = t->want < 2 ? 0 : COPY_RUN_MAX;

	lock_assert_held(&t->object->lock);
	if (t->wired || t->is_read_only || load_relaxed(&d->park.count) > 0)
		return run;
	while (run.count < most && (t->direction > 0 ? t->index + 1 + run.count < t->high
						     : t->index - t->low > run.count)) {
		uint64_t i = run_index(t, run.count);
		uint64_t slot = load_relaxed(vm_object_slot(t->object, i));
		struct vm_page *p;
		uint32_t word;

		if (slot_kind(slot) != SLOT_RESIDENT)
			break;
		p = &d->frames.pages[slot_frame(slot)];
		if (!vm_page_busy_only(p))
			break;
		word = load_acquire(&p->word);
		/* A duplicate that is mapped is SPECULATIVE. */
		if ((page_word_state(word) != PAGE_ACTIVE && !(word & PAGE_DUP)) ||
		    word & PAGE_WRITING || !(word & PAGE_DUP || copy_is_lacking(t->object, i))) {
			/* O has been held since before it was busy, so no thread wants it. */
			(void)vm_page_unbusy(p);
			break;
		}
		run.frames[run.count++] = slot_frame(slot);
	}
	return run;
}

/* The page can be written to from now on. */
static void
page_answer(
    struct fault_server *server, const struct fault *f, const struct target *t, uint32_t frame)
{
	struct vm_object *o = t->object;
	struct daemon *d = server->daemon;
	struct vm_page *p = &d->frames.pages[frame];
	struct cref given_up;

	given_up = page_made_dirty(o, p, f->task);
	(void)vm_page_seen(p, t->seen_by);
	pageq_lock(d);
	pageq_reactivate_locked(d, o, frame, PF_WRITE);
	pageq_written_locked(d, o, frame);
	pageq_unlock(d);
	if (given_up.v)
		pager_drop(o, given_up);
}

void
copy_run_answer(struct fault_server *server, const struct fault *f, const struct target *t,
    const struct copy_run *run)
{
	struct daemon *d = server->daemon;
	unsigned done = run->count;
	uint64_t low;

	locks_assert_none();
	CHECK(run->count > 0);
	if (vm_object_is_linked(t->object, COPY_ABOVE))
		done = copy_push_run(&server->stats, t->object,
		    t->direction > 0 ? t->index + 1 : t->index - run->count, run->count,
		    t->direction, server->bounce);
	for (unsigned i = 0; i < done; i++) {
		struct vm_page *p = &d->frames.pages[run->frames[i]];

		if (pmap_hide(t->object, run_index(t, i), p, server->bounce) != 0)
			done = i;
		else
			page_answer(server, f, t, run->frames[i]);
	}
	low = done == 0 ? t->index : t->direction > 0 ? t->index + 1 : t->index - done;
	if (done > 0)
		(void)uffd_unprotect(
		    f->task->uffd, target_address(t, low), (uint64_t)done << d->page_shift);
	for (unsigned i = 0; i < run->count; i++)
		vm_object_unbusy(t->object, run_index(t, i), &d->frames.pages[run->frames[i]]);
	if (done > 0)
		stream_advance(
		    d, f, target_address(t, t->direction > 0 ? t->index : low), done + 1);
}

void
copy_run_drop(const struct target *t, const struct copy_run *run)
{
	locks_assert_none();
	for (unsigned i = 0; i < run->count; i++)
		vm_object_unbusy(
		    t->object, run_index(t, i), &t->object->daemon->frames.pages[run->frames[i]]);
}
