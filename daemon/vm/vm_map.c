/* SPDX-License-Identifier: MIT
 *
 * Client maps. Runs on: fault servers (lookup), control loop and jobs (changes). M held; never
 * blocks.
 */
#include "vm/vm_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "own.h"
#include "vm/kept_task.h"
#include "vm/window.h"

void
vm_map_init(struct vm_map *m)
{
	memset(m, 0, sizeof(*m));
	lock_init(&m->lock, RANK_MAP);
}

/* => 0, or what share_take says */
static int
map_bill(struct vm_map *m, uint32_t entries)
{
	return m->bill ? bill_tables_take(m->daemon, m->bill, entries * sizeof(*m->entries)) : 0;
}

static void
map_unbill(struct vm_map *m, uint32_t entries)
{
	if (m->bill)
		bill_tables_give(m->daemon, m->bill, entries * sizeof(*m->entries));
}

void
vm_map_fini(struct vm_map *m)
{
	CHECK(m->count == 0);
	map_unbill(m, m->room);
	own_free(OWN_MAP, m->entries);
	lock_fini(&m->lock);
}

/* The map is whole again after a change. => M held */
static void
map_changed(struct vm_map *m)
{
	lock_assert_held(&m->lock);
	if (unlikely(m->record != NULL))
		task_record_map_locked(m);
}

/* Index of the first entry that ends above the address. */
uint32_t
vm_map_index(struct vm_map *m, uint64_t address)
{
	uint32_t low = 0, high = m->count;

	lock_assert_held(&m->lock);
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (m->entries[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct vm_entry *
vm_map_lookup_from(struct vm_map *m, uint64_t address)
{
	uint32_t i = vm_map_index(m, address);

	lock_assert_held(&m->lock);
	return i < m->count ? &m->entries[i] : NULL;
}

struct vm_entry *
vm_map_lookup(struct vm_map *m, uint64_t address)
{
	struct vm_entry *e;

	lock_assert_held(&m->lock);
	if (m->hint < m->count) {
		e = &m->entries[m->hint];
		if (address >= e->start && address < e->end)
			return e;
	}
	e = vm_map_lookup_from(m, address);
	if (!e || address < e->start)
		return NULL;
	m->hint = (uint32_t)(e - m->entries);
	return e;
}

int
vm_map_reserve(struct vm_map *m)
{
	uint32_t room;
	struct vm_entry *entries;
	int error;

	lock_assert_held(&m->lock);
	if (m->count + 4 <= m->room)
		return 0;
	room = m->room ? m->room * 2 : 16;
	error = map_bill(m, room - m->room);
	if (error)
		return error;
	entries = own_realloc(OWN_MAP, m->entries, room * sizeof(*entries));
	if (!entries) {
		map_unbill(m, room - m->room);
		return -ENOMEM;
	}
	m->entries = entries;
	m->room = room;
	return 0;
}

static void
insert_at(struct vm_map *m, uint32_t i, const struct vm_entry *entry)
{
	CHECK(i <= m->count && (i == 0 || m->entries[i - 1].end <= entry->start));
	CHECK(m->count < m->room);
	memmove(&m->entries[i + 1], &m->entries[i], (m->count - i) * sizeof(*entry));
	m->entries[i] = *entry;
	m->count++;
}

/* More or fewer bytes of the entry are wired. */
static void
wired_change_locked(struct vm_map *m, const struct vm_entry *e, int by, uint64_t bytes)
{
	uint64_t wired = load_relaxed(&e->mapping->wired_bytes);

	lock_assert_held(&m->lock);
	/* A device's memory is wired for good: no more is promised. */
	if (e->mapping->object->is_device)
		return;
	CHECK(by > 0 || (m->wired_bytes >= bytes && wired >= bytes));
	m->wired_bytes += by > 0 ? bytes : -bytes;
	store_release(&e->mapping->wired_bytes, by > 0 ? wired + bytes : wired - bytes);
}

/* What has been taken out of the map is seen through no window. => M held */
static void
windows_cut(const struct vm_map *m, const struct vm_entry *e)
{
	unsigned page_shift;

	lock_assert_held(&m->lock);
	if (likely(!vm_mapping_has_windows(e->mapping)))
		return;
	page_shift = e->mapping->object->daemon->page_shift;
	window_cut_locked(
	    e->mapping, e->offset >> page_shift, (e->offset + (e->end - e->start)) >> page_shift);
}

struct vm_entry
vm_map_remove_at(struct vm_map *m, uint32_t i)
{
	struct vm_entry entry;

	CHECK(i < m->count);
	lock_assert_held(&m->lock);
	entry = m->entries[i];
	memmove(&m->entries[i], &m->entries[i + 1], (m->count - i - 1) * sizeof(entry));
	m->count--;
	m->version++;
	CHECK(m->virtual_bytes >= entry.end - entry.start);
	m->virtual_bytes -= entry.end - entry.start;
	if (entry.wired_count > 0)
		wired_change_locked(m, &entry, -1, entry.end - entry.start);
	windows_cut(m, &entry);
	map_changed(m);
	return entry;
}

struct vm_entry
vm_map_remove_front(struct vm_map *m, uint32_t i, uint64_t until)
{
	struct vm_entry *e = &m->entries[i], front = *e;
	uint64_t bytes = until - e->start;

	CHECK(i < m->count && until > e->start);
	if (until >= e->end)
		return vm_map_remove_at(m, i);
	front.end = until;
	vm_mapping_get(front.mapping);
	e->start = until;
	e->offset += bytes;
	m->version++;
	m->virtual_bytes -= bytes;
	if (e->wired_count > 0)
		wired_change_locked(m, e, -1, bytes);
	windows_cut(m, &front);
	map_changed(m);
	return front;
}

struct vm_entry
vm_map_remove_back(struct vm_map *m, uint32_t i, uint64_t from)
{
	struct vm_entry *e = &m->entries[i], back = *e;
	uint64_t bytes = e->end - from;

	lock_assert_held(&m->lock);
	CHECK(i < m->count && from < e->end);
	if (from <= e->start)
		return vm_map_remove_at(m, i);
	back.start = from;
	back.offset += from - e->start;
	vm_mapping_get(back.mapping);
	e->end = from;
	m->virtual_bytes -= bytes;
	if (e->wired_count > 0)
		wired_change_locked(m, e, -1, bytes);
	windows_cut(m, &back);
	map_changed(m);
	return back;
}

/* Entries of the range are of the other mapping from now on. */
void
vm_map_remap(
    struct vm_map *m, uint64_t start, uint64_t end, struct vm_mapping *from, struct vm_mapping *to)
{
	lock_assert_held(&m->lock);
	CHECK(from != to && from->base == to->base);
	for (uint32_t i = vm_map_index(m, start); i < m->count && m->entries[i].start < end; i++) {
		struct vm_entry *e = &m->entries[i];

		if (e->mapping != from)
			continue;
		CHECK(e->start >= start && e->end <= end);
		e->mapping = vm_mapping_get(to);
		vm_mapping_put_not_last(from);
	}
}

uint64_t
vm_map_wired_above(struct vm_map *m, uint64_t start, const struct vm_mapping *mapping)
{
	uint64_t bytes = 0;

	lock_assert_held(&m->lock);
	for (uint32_t i = vm_map_index(m, start); i < m->count; i++) {
		const struct vm_entry *e = &m->entries[i];

		if (e->mapping == mapping && e->wired_count > 0)
			bytes += e->end - max_u64(e->start, start);
	}
	return bytes;
}

void
vm_map_wire_user(struct vm_map *m, struct vm_entry *e, int by)
{
	CHECK(by == 1 || (by == -1 && e->user_wired_count > 0));
	CHECK(e->user_wired_count == 0 || e->wired_count > 0);
	lock_assert_held(&m->lock);
	if (by > 0 && e->user_wired_count++ == 0 && e->wired_count++ == 0)
		wired_change_locked(m, e, 1, e->end - e->start);
	if (by < 0 && --e->user_wired_count == 0 && --e->wired_count == 0)
		wired_change_locked(m, e, -1, e->end - e->start);
	CHECK(m->wired_bytes <= m->virtual_bytes);
}

void
vm_map_pin(struct vm_map *m, struct vm_entry *e, int by)
{
	CHECK(by == 1 || (by == -1 && e->pin_count > 0 && e->wired_count > 0));
	lock_assert_held(&m->lock);
	e->pin_count += (uint32_t)by;
	if (by > 0 && e->wired_count++ == 0)
		wired_change_locked(m, e, 1, e->end - e->start);
	if (by < 0 && --e->wired_count == 0)
		wired_change_locked(m, e, -1, e->end - e->start);
	CHECK(m->wired_bytes <= m->virtual_bytes);
}

static bool
can_merge(const struct vm_entry *a, const struct vm_entry *b)
{
	return a->end == b->start && a->mapping == b->mapping &&
	       a->offset + (a->end - a->start) == b->offset && a->behavior == b->behavior &&
	       a->inheritance == b->inheritance && a->protection == b->protection &&
	       a->max_protection == b->max_protection && a->tag == b->tag &&
	       a->user_wired_count == b->user_wired_count && a->pin_count == b->pin_count &&
	       a->wired_count == b->wired_count;
}

static void
merge_at(struct vm_map *m, uint32_t i)
{
	struct vm_entry *a;

	lock_assert_held(&m->lock);
	if (i + 1 >= m->count)
		return;
	a = &m->entries[i];
	if (!can_merge(a, a + 1))
		return;
	a->end = a[1].end;
	vm_mapping_put_not_last(a[1].mapping);
	memmove(a + 1, a + 2, (m->count - i - 2) * sizeof(*a));
	m->count--;
}

void
vm_map_insert(struct vm_map *m, const struct vm_entry *entry)
{
	uint32_t i = vm_map_index(m, entry->start);

	lock_assert_held(&m->lock);
	CHECK(entry->start < entry->end && entry->mapping);
	CHECK(i == m->count || m->entries[i].start >= entry->end);
	insert_at(m, i, entry);
	m->version++;
	m->virtual_bytes += entry->end - entry->start;
	merge_at(m, i);
	if (i > 0)
		merge_at(m, i - 1);
	map_changed(m);
}

void
vm_map_restore(struct vm_map *m, const struct vm_entry *entry)
{
	lock_assert_held(&m->lock);
	CHECK(!m->record && entry->pin_count == 0);
	if (entry->wired_count > 0)
		wired_change_locked(m, entry, 1, entry->end - entry->start);
	vm_map_insert(m, entry);
}

bool
vm_map_is_covered(struct vm_map *m, uint64_t start, uint64_t end)
{
	lock_assert_held(&m->lock);
	for (uint32_t i = vm_map_index(m, start); start < end; i++) {
		if (i >= m->count || m->entries[i].start > start)
			return false;
		start = m->entries[i].end;
	}
	return true;
}

static bool
is_inside(struct vm_map *m, uint64_t address)
{
	uint32_t i = vm_map_index(m, address);

	return i < m->count && m->entries[i].start < address;
}

unsigned
vm_map_clips(struct vm_map *m, uint64_t start, uint64_t end)
{
	lock_assert_held(&m->lock);
	CHECK(start < end);
	return (unsigned)is_inside(m, start) + is_inside(m, end);
}

static void
clip_at(struct vm_map *m, uint64_t address)
{
	uint32_t i = vm_map_index(m, address);
	struct vm_entry tail;

	lock_assert_held(&m->lock);
	if (i >= m->count || m->entries[i].start >= address)
		return;
	tail = m->entries[i];
	tail.offset += address - tail.start;
	tail.start = address;
	vm_mapping_get(tail.mapping);
	m->entries[i].end = address;
	insert_at(m, i + 1, &tail);
}

void
vm_map_clip(struct vm_map *m, uint64_t start, uint64_t end)
{
	lock_assert_held(&m->lock);
	CHECK(start < end);
	clip_at(m, start);
	clip_at(m, end);
}

void
vm_map_simplify(struct vm_map *m, uint64_t start, uint64_t end)
{
	uint32_t i = vm_map_index(m, start);

	lock_assert_held(&m->lock);
	if (i > 0)
		i--;
	while (i + 1 < m->count && m->entries[i].start <= end) {
		uint32_t count = m->count;

		merge_at(m, i);
		if (m->count == count)
			i++;
	}
	map_changed(m);
}
