/* SPDX-License-Identifier: MIT
 *
 * Objects that several may see. Runs on: control loop, jobs, the watcher.
 */
#include "vm/vm_share.h"

#include <errno.h>

#include "vm/task.h"

/* The first page >= index that nothing covers. */
static uint64_t
skip_covered(const struct vm_object *o, const struct vm_mapping *except, uint64_t index)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (const struct vm_mapping *m = o->mappings; m; m = m->next)
			if (m != except && m->first <= index && index < m->end) {
				index = m->end;
				moved = true;
			}
		for (const struct named_entry *n = o->named; n; n = n->next_of_object)
			if (n->first <= index && index < n->end) {
				index = n->end;
				moved = true;
			}
	}
	return index;
}

bool
vm_object_uncovered_locked(const struct vm_object *o, const struct vm_mapping *except,
    uint64_t from, uint64_t end, uint64_t *ret_low, uint64_t *ret_high)
{
	uint64_t low, high = end;

	lock_assert_held(&o->lock);
	CHECK(from <= end && end <= o->page_count);
	/* A device's memory is there as long as the device. */
	if (o->is_device)
		return false;
	low = skip_covered(o, except, from);
	if (low >= end)
		return false;
	for (const struct vm_mapping *m = o->mappings; m; m = m->next)
		if (m != except && m->first < m->end && m->first > low && m->first < high)
			high = m->first;
	for (const struct named_entry *n = o->named; n; n = n->next_of_object)
		if (n->first > low && n->first < high)
			high = n->first;
	*ret_low = low;
	*ret_high = high;
	return true;
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
	uint64_t low, high;
	int error = 0;

	lock_assert_held(&task->map.lock);
	CHECK(o->is_shareable && first < end && end <= o->page_count);
	CHECK((base & (o->daemon->page_bytes - 1)) == 0 && !m->object);
	lock_acquire(&o->lock);
	/* Pages of a file may come and go: what nothing covers is in the file, or on its way. */
	if (!o->external && vm_object_uncovered_locked(o, NULL, first, end, &low, &high)) {
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

	CHECK(o->is_shareable);
	locks_assert_none();
	/* The daemon's own: that never changes. */
	if (o->is_device && !o->backing.is_foreign)
		return;
	lock_acquire(&o->lock);
	for (struct vm_mapping *m = o->mappings; m && heir != o->owner; m = m->next)
		if (m->first < m->end && (!heir || m->task == o->owner))
			heir = m->task;
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
