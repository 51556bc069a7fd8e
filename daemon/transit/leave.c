/* SPDX-License-Identifier: MIT
 *
 * Victims leave memory, or stay. Runs on: pageout workers. Allocates nothing. No lock is held
 * across a punch or a userfaultfd call: meanwhile the victims are busy, and the stored pages
 * between them lie in a hole.
 *
 * The order is: punch, publish the slot, free the frame, wake. The copy is in frame.cref by then
 * (pageout/launder.c), so slot, frame and segment tell one story at every instant.
 */
#include "transit/leave.h"

#include "failpt.h"
#include "pagers/pager.h"
#include "pageq/pageq.h"
#include "pmap/pmap.h"
#include "pmap/backing.h"
#include "transit/release.h"

/* The most pages that one hole spans. A fault on any of them waits until all have been punched. */
#define HOLE_MAX 64u

int
still_range_make(struct vm_object *o, uint64_t low, uint64_t high, struct still_range *ret)
{
	int error;

	locks_assert_none();
	CHECK(low < high && high <= o->page_count);
	error = pmap_protect_try(o, low, high);
	if (error)
		return error;
	*ret = (struct still_range){ o, low, high };
	return 0;
}

unsigned
victims_group_length(const struct daemon *d, const struct victim *v, unsigned count)
{
	uint64_t first = victim_page(d, &v[0])->index, last = first;
	unsigned n = 1;

	CHECK(count > 0);
	for (; n < count && v[n].object == v[0].object; n++) {
		uint64_t index = victim_page(d, &v[n])->index;

		INVARIANT(index > last);
		if (index - last > VM_GAP_MAX + 1 || index - first >= HOLE_MAX ||
		    !vm_object_all_away(v[0].object, last + 1, index))
			break;
		last = index;
	}
	return n;
}

/* The range of the first victims becomes a hole. => how many victims are in it; no lock held */
static unsigned
hole_begin(const struct daemon *d, struct hole *hole, const struct victim *v, unsigned count)
{
	struct vm_object *o = v[0].object;
	unsigned n;

	locks_assert_none();
	CHECK_OBJ(o, VM_OBJECT_MAGIC);
	lock_acquire(&o->lock);
	n = victims_group_length(d, v, count);
	vm_object_hole_begin(
	    o, hole, victim_page(d, &v[0])->index, victim_page(d, &v[n - 1])->index + 1);
	lock_release(&o->lock);
	return n;
}

void
victims_leave(struct stat_shard stats, struct hole *hole, const struct victim *v, unsigned count)
{
	unsigned start, n;

	locks_assert_none();
	for (start = 0; start < count; start += n) {
		struct vm_object *o = v[start].object;
		struct daemon *d = o->daemon;
		uint64_t low, high, time;
		bool wanted = false;
		unsigned wasted = 0;

		n = hole_begin(d, hole, &v[start], count - start);
		low = hole->low;
		high = hole->high;
		time = refaults_leave(&d->refaults, n);
		backing_punch(o, low << d->page_shift, (high - low) << d->page_shift);
		failpt_die(FAIL_DIE_PUNCHED);
		lock_acquire(&o->lock);
		pageq_lock(d);
		for (unsigned i = start; i < start + n; i++) {
			struct vm_page *p = victim_page(d, &v[i]);
			struct cref cref = { p->cref };

			vm_page_assert(o, p->index);
			CHECK(cref.v != 0);
			refault_mark(&d->refaults, o, p->index, time);
			wanted |= (load_acquire(&p->word) & PAGE_WANTED) != 0;
			wasted += o->external && load_relaxed(&p->seen_by) == SEEN_AHEAD;
			vm_object_slot_set(o, p->index,
			    slot_with_door(
				pager_slot(o, cref), page_word_door(load_relaxed(&p->word))));
			failpt_die(FAIL_DIE_PUBLISHED);
			pageq_launder_finish_locked(d, &v[i]);
		}
		pageq_unlock(d);
		/* Jobs that wait for one of the pages go on. */
		wanted |= vm_object_hole_end(o, hole);
		ledger_count(&o->bill->ledger, PAGER_LEDGER_PAGEOUTS, n);
		lock_release(&o->lock);
		if (wanted)
			pmap_wake(o, low, high);
		stat_add(stats, STAT_HOLES, 1);
		if (wasted > 0) {
			ahead_wasted(&o->external->ahead, wasted);
			stat_add(stats, STAT_FILE_AHEAD_WASTED, wasted);
		}
		for (unsigned i = 0; i < n; i++)
			vm_object_put(o);
	}
}

void
victim_stay(struct stat_shard stats, const struct victim *v, enum victim_stays why)
{
	static const enum stat_index counters[] = {
		[STAYS_WANTED] = STAT_RESCUES,
		[STAYS_NO_ROOM] = STAT_PAGEOUT_FAILURES,
		[STAYS_PINNED] = STAT_PINNED,
	};
	struct daemon *d = v->object->daemon;
	struct vm_page *p = victim_page(d, v);
	uint64_t index = p->index;

	locks_assert_none();
	vm_page_assert(v->object, index);
	pageq_lock(d);
	pageq_launder_abort_locked(d, v, why == STAYS_WANTED);
	pageq_unlock(d);
	stat_add(stats, counters[why], 1);
	vm_object_unbusy(v->object, index, p);
	vm_object_put(v->object);
}
