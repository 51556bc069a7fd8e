/* SPDX-License-Identifier: MIT
 *
 * Objects that several may see. Runs on: control loop, jobs, the watcher.
 */
#include "vm/vm_share.h"

#include <errno.h>

#include "vm/kept_object.h"
#include "vm/task.h"

/* Moves the index over pages that are covered, as far as one look at each cover leads. => whether
 * it has moved; O held */
static bool
skip_covered_locked(const struct vm_object *o, const struct vm_mapping *except, uint64_t *index)
{
	uint64_t before = *index;

	lock_assert_held(&o->lock);
	for (const struct vm_mapping *m = o->mappings; m; m = m->next)
		if (m != except && m->first <= *index && *index < m->end)
			*index = m->end;
	for (const struct named_entry *n = o->named; n; n = n->next_of_object)
		if (n->first <= *index && *index < n->end)
			*index = n->end;
	return *index > before;
}

/* The first page of (index, end) that is covered; end if there is none. O held */
static uint64_t
next_covered_locked(
    const struct vm_object *o, const struct vm_mapping *except, uint64_t index, uint64_t end)
{
	lock_assert_held(&o->lock);
	for (const struct vm_mapping *m = o->mappings; m; m = m->next)
		if (m != except && m->first < m->end && m->first > index && m->first < end)
			end = m->first;
	for (const struct named_entry *n = o->named; n; n = n->next_of_object)
		if (n->first > index && n->first < end)
			end = n->first;
	return end;
}

bool
vm_object_uncovered(struct vm_object *o, const struct vm_mapping *except, uint64_t from,
    uint64_t end, uint64_t *ret_low, uint64_t *ret_high)
{
	uint64_t low = from, high = end;
	bool moved;

	locks_assert_none();
	CHECK(from <= end && end <= o->page_count);
	/* A device's memory is there as long as the device. */
	if (o->is_device)
		return false;
	/* Covers that lie side by side in the wrong order take a look at all of them each, and
	 * faults on the object wait for O. What is passed over here and uncovered meanwhile is for
	 * the thread that uncovers it. */
	do {
		lock_acquire(&o->lock);
		moved = skip_covered_locked(o, except, &low);
		if (!moved && low < end)
			high = next_covered_locked(o, except, low, end);
		lock_release(&o->lock);
	} while (moved && low < end);
	if (low >= end)
		return false;
	*ret_low = low;
	*ret_high = high;
	return true;
}

/* Whether one cover has all of the pages. */
static bool
is_covered_locked(const struct vm_object *o, uint64_t first, uint64_t end)
{
	lock_assert_held(&o->lock);
	if (o->is_device)
		return true;
	for (const struct vm_mapping *m = o->mappings; m; m = m->next)
		if (m->first <= first && end <= m->end)
			return true;
	for (const struct named_entry *n = o->named; n; n = n->next_of_object)
		if (n->first <= first && end <= n->end)
			return true;
	return false;
}

struct vm_references
vm_object_references_locked(
    const struct vm_object *o, const struct task *task, uint64_t first, uint64_t end)
{
	struct vm_references r = { 0, 0 };

	lock_assert_held(&o->lock);
	CHECK(first < end && end <= o->page_count);
	for (const struct vm_mapping *m = o->mappings; m; m = m->next) {
		if (max_u64(m->first, first) >= min_u64(m->end, end))
			continue;
		r.all++;
		r.own += m->task == task;
	}
	for (const struct named_entry *n = o->named; n; n = n->next_of_object)
		r.all += n->first < end && first < n->end;
	return r;
}

unsigned
vm_object_mappings_at_locked(const struct vm_object *o, uint64_t index, uint64_t *end)
{
	unsigned count = 0;

	lock_assert_held(&o->lock);
	CHECK(index < *end && *end <= o->page_count);
	for (const struct vm_mapping *m = o->mappings; m; m = m->next) {
		if (m->first >= m->end || m->end <= index)
			continue;
		if (m->first > index) {
			*end = min_u64(*end, m->first);
		} else {
			*end = min_u64(*end, m->end);
			count++;
		}
	}
	return count;
}

bool
vm_object_wired_elsewhere_locked(
    const struct vm_object *o, const struct vm_mapping *m, uint64_t index)
{
	lock_assert_held(&o->lock);
	for (struct vm_mapping *other = o->mappings; other; other = other->next)
		if (other != m && other->first <= index && index < other->end &&
		    load_relaxed(&other->wired_bytes) > 0)
			return true;
	return false;
}

/* A mapping of a device is billed to its task at its whole size from the moment at which it is
 * made, whatever is done with it; a device that is mapped twice is billed twice. => O held */
static void
mapping_bill_locked(struct vm_mapping *m, uint64_t pages, bool comes)
{
	struct vm_object *o = m->object;
	struct daemon *d = o->daemon;
	enum ledger_class billed = LEDGER_CLASS_IOKIT_MAPPED, none = LEDGER_CLASS_NONE;

	lock_assert_held(&o->lock);
	if (likely(!o->is_device))
		return;
	CHECK(comes || o->mapped_pages >= pages);
	o->mapped_pages += comes ? pages : -pages;
	pageq_lock(d);
	bill_post(&m->task->bill, comes ? none : billed, comes ? billed : none, pages);
	stats_queues_begin(&d->stats);
	fetch_add_relaxed(&d->stats.levels[STAT_PAGES_IOKIT_MAPPED],
	    comes ? (long long)pages : -(long long)pages);
	stats_queues_end(&d->stats);
	pageq_unlock(d);
}

void
vm_mapping_withdraw_locked(struct vm_mapping *m, uint64_t low, uint64_t high)
{
	struct vm_object *o = m->object;

	lock_assert_held(&m->task->map.lock);
	CHECK(o->is_shareable && low < high);
	CHECK(low >= m->first && high <= m->end && (low == m->first || high == m->end));
	lock_acquire(&o->lock);
	if (low == m->first)
		m->first = high;
	else
		m->end = low;
	mapping_bill_locked(m, high - low, false);
	lock_release(&o->lock);
}

bool
vm_mapping_split_locked(
    struct vm_mapping *m, uint64_t at, uint64_t wired_above, struct vm_mapping *upper)
{
	uint64_t wired = load_relaxed(&m->wired_bytes);
	struct vm_object *o = m->object;
	bool may;

	lock_assert_held(&m->task->map.lock);
	CHECK(o->is_shareable && m->first < at && at < m->end && wired_above <= wired);
	lock_acquire(&o->lock);
	upper->number = m->number;
	may = vm_mapping_place_locked(upper, o, m->task, m->base, at, m->end);
	if (may) {
		upper->is_read_only = m->is_read_only;
		store_release(&upper->wired_bytes, wired_above);
		m->end = at;
		store_release(&m->wired_bytes, wired - wired_above);
	}
	lock_release(&o->lock);
	return may;
}

int
vm_mapping_join_locked(struct vm_mapping *m, struct vm_object *o, struct task *task, uint64_t base,
    uint64_t first, uint64_t end)
{
	int error = 0;

	lock_assert_held(&task->map.lock);
	CHECK(o->is_shareable && first < end && end <= o->page_count);
	CHECK((base & (o->daemon->page_bytes - 1)) == 0 && !m->object);
	lock_acquire(&o->lock);
	/* Pages of a file may come and go: what nothing covers is in the file, or on its way. */
	if (o->external ? o->external->is_gone : !is_covered_locked(o, first, end)) {
		error = -EBADF;
	} else if (!vm_mapping_place_locked(m, o, task, base, first, end)) {
		error = -EMFILE;
	} else {
		vm_mapping_get(m);
		mapping_bill_locked(m, end - first, true);
	}
	lock_release(&o->lock);
	return error;
}

/* => the owner before, whose reference is the caller's */
static struct task *
owner_change_locked(struct vm_object *o, struct task *task)
{
	struct daemon *d = o->daemon;
	struct task *before = o->owner;

	lock_assert_held(&o->lock);
	CHECK(o->is_shareable && before != task);
	pageq_lock(d);
	for (unsigned c = LEDGER_CLASS_NONE + 1; c < LEDGER_CLASS_COUNT; c++) {
		if (o->class_pages[c] == 0)
			continue;
		bill_post(
		    &before->bill, (enum ledger_class)c, LEDGER_CLASS_NONE, o->class_pages[c]);
		bill_post(&task->bill, LEDGER_CLASS_NONE, (enum ledger_class)c, o->class_pages[c]);
	}
	o->owner = task_get(task);
	o->bill = &task->bill;
	pageq_unlock(d);
	kept_object_owner_locked(o);
	bill_tables_move(
	    &before->bill, &task->bill, o->populated * TABLE_BLOCK_BYTES + o->submap_bytes);
	vm_object_shares_move(o, before->bill.account, task->bill.account);
	fetch_sub_relaxed(&before->objects, 1);
	fetch_add_relaxed(&task->objects, 1);
	return before;
}

void
vm_object_owner_settle(struct vm_object *o)
{
	struct task *before = NULL, *heir = NULL;
	uint64_t most = 0;

	CHECK(o->is_shareable);
	locks_assert_none();
	/* The daemon's own: that never changes. */
	if (o->is_device && !o->backing.is_foreign)
		return;
	lock_acquire(&o->lock);
	for (struct vm_mapping *m = o->mappings; m && heir != o->owner; m = m->next) {
		uint64_t pages = m->end - m->first;

		if (m->first >= m->end || (m->task != o->owner && pages <= most))
			continue;
		heir = m->task;
		most = pages;
	}
	if (heir && heir != o->owner)
		before = owner_change_locked(o, heir);
	lock_release(&o->lock);
	if (before)
		task_put(before);
}

void
vm_object_lane_settle(struct vm_object *o)
{
	unsigned lane = LANE_COMMON;

	CHECK(o->is_shareable);
	locks_assert_none();
	lock_acquire(&o->lock);
	for (struct vm_mapping *m = o->mappings; m; m = m->next) {
		unsigned of_task = load_acquire(&m->task->lane);

		if (m->first < m->end && of_task > lane)
			lane = of_task;
	}
	store_release(&o->lane, lane);
	lock_release(&o->lock);
}
