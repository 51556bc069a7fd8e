/* SPDX-License-Identifier: MIT
 *
 * Copies are made. Runs on: jobs.
 */
#include "transit/copy_make.h"

#include <errno.h>

#include "pmap/pmap.h"
#include "transit/copy_leave.h"
#include "transit/copy_push.h"
#include "transit/discard.h"
#include "transit/empty.h"
#include "transit/release.h"
#include "transit/reuse.h"
#include "vm/copy_link.h"
#include "vm/copy_reserve.h"
#include "vm/hole.h"

/* Pages that are busy at a time. */
#define PROTECT_RUN 256u
/* The largest page. */
#define PAGE_MOST 65536u

/* Whether a page list has pages of [first, end). */
static bool
has_lists(struct vm_object *o, uint64_t first, uint64_t end)
{
	const struct upl *u;

	lock_acquire(&o->lock);
	for (u = o->upls; u; u = u->next)
		if (u->first < end && first < u->first + u->count)
			break;
	lock_release(&o->lock);
	return u != NULL;
}

/* Wired pages stay as they are in page tables, since a device may write to them unseen: they are
 * copied at once. The pages are busy. => 0 or -ENOBUFS */
static int
wired_push(struct vm_object *o, uint64_t first, const uint32_t *frames, unsigned count)
{
	struct daemon *d = o->daemon;
	char page[PAGE_MOST];

	CHECK(d->page_bytes <= sizeof(page) && count <= PROTECT_RUN);
	for (unsigned i = 0; i < count; i++) {
		const struct vm_page *p = &d->frames.pages[frames[i]];

		CHECK(p->index >= first);
		if (page_word_state(load_acquire(&((struct vm_page *)(uintptr_t)p)->word)) ==
			PAGE_WIRED &&
		    copy_push(NULL, o, p->index, page, COPY_BY_JOB) != COPY_PUSHED)
			return -ENOBUFS;
	}
	return 0;
}

/* Busy pages, in runs of neighbours. => 0 or -errno */
static int
run_protect(struct vm_object *o, const uint32_t *frames, unsigned count)
{
	const struct vm_page *pages = o->daemon->frames.pages;
	int error = 0;
	unsigned n;

	for (unsigned i = 0; i < count && !error; i += n) {
		uint64_t from = pages[frames[i]].index;

		for (n = 1; i + n < count && pages[frames[i + n]].index == from + n;)
			n++;
		error = pmap_protect(o, from, from + n);
	}
	return error;
}

/* Write-protects all resident pages of [first, end). A page that is in transit is waited for, so
 * that what its thread does, knowing nothing of the copy, is part of it. */
static int
range_protect(struct vm_object *o, uint64_t first, uint64_t end)
{
	uint32_t frames[PROTECT_RUN];
	int error = 0;

	vm_object_settle(o);
	for (uint64_t i = first; !error && (i = vm_object_next_live(o, i, end)) < end;) {
		uint64_t last = min_u64(round_down_u64(i, PROTECT_RUN) + PROTECT_RUN, end);
		unsigned count;

		lock_acquire(&o->lock);
		count = vm_object_busy_resident(o, i, last, frames);
		lock_release(&o->lock);
		error = run_protect(o, frames, count);
		if (!error)
			error = wired_push(o, i, frames, count);
		for (unsigned n = 0; n < count; n++) {
			struct vm_page *p = &o->daemon->frames.pages[frames[n]];

			vm_object_unbusy(o, p->index, p);
		}
		i = last;
	}
	return error;
}

/* The upper pages have no content and no links, and nobody fills one until the hole is closed. =>
 * in *hole, which is begun */
static void
range_clear(struct vm_object *upper, uint64_t first, uint64_t end, struct hole *hole)
{
	if (vm_object_is_linked(upper, COPY_ABOVE | COPY_BELOW))
		vm_object_copies_leave(upper, first, end);
	vm_object_unrefuse(upper, first, end);
	lock_acquire(&upper->lock);
	vm_object_wait_holes(upper, first, end);
	vm_object_hole_begin(upper, hole, first, end);
	lock_release(&upper->lock);
	vm_object_empty_in_hole(upper, first, end);
}

int
vm_object_follow_range(struct vm_object *file, uint64_t first, struct vm_object *upper,
    uint64_t upper_first, uint64_t count)
{
	struct hole hole;
	int error;

	locks_assert_none();
	CHECK_OBJ(file, VM_OBJECT_MAGIC);
	CHECK_OBJ(upper, VM_OBJECT_MAGIC);
	if (upper->external || upper->is_device ||
	    has_lists(upper, upper_first, upper_first + count))
		return -EOPNOTSUPP;
	/* Before the upper range loses what it has. */
	if (!copy_reserve_settle(upper->daemon))
		return -ENOMEM;
	range_clear(upper, upper_first, upper_first + count, &hole);
	error = copy_link_follow(file, first, upper, upper_first, count);
	vm_object_hole_close(upper, &hole);
	return error;
}

int
vm_object_copy_range(struct vm_object *lower, uint64_t lower_first, struct vm_object *upper,
    uint64_t upper_first, uint64_t count)
{
	uint64_t lower_end = lower_first + count, upper_end = upper_first + count;
	struct hole hole;
	bool is_linked;
	int error;

	locks_assert_none();
	CHECK_OBJ(lower, VM_OBJECT_MAGIC);
	CHECK_OBJ(upper, VM_OBJECT_MAGIC);
	CHECK(count > 0 && lower_end <= lower->page_count && upper_end <= upper->page_count);
	CHECK(lower != upper || lower_end <= upper_first || upper_end <= lower_first);
	/* What may be thrown away has no copies: XNU's purgeable objects are copied by content,
	 * too.
	 */
	if (lower->external || lower->is_device || upper->external || upper->is_device ||
	    lower->is_purgeable || upper->is_purgeable ||
	    has_lists(lower, lower_first, lower_end) || has_lists(upper, upper_first, upper_end))
		return -EOPNOTSUPP;
	if (!copy_reserve_settle(upper->daemon))
		return -ENOMEM;
	/* What could go by itself would go from the copy, too. */
	(void)vm_object_reuse(lower, lower_first, lower_end);
	/* From when it has none of what was there until it is a copy, nobody fills a page of it. */
	range_clear(upper, upper_first, upper_end, &hole);
	fetch_add_acq_rel(&lower->daemon->copies.making, 1);
	error = copy_link_insert(lower, lower_first, upper, upper_first, count);
	vm_object_hole_close(upper, &hole);
	is_linked = error == 0;
	if (is_linked)
		error = range_protect(lower, lower_first, lower_end);
	fetch_sub_acq_rel(&lower->daemon->copies.making, 1);
	if (is_linked && error) {
		vm_object_copies_leave(upper, upper_first, upper_end);
		vm_object_empty(upper, upper_first, upper_end);
	}
	return error;
}
