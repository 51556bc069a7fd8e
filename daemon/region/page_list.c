/* SPDX-License-Identifier: MIT
 *
 * Page lists of clients. Runs on: jobs.
 */
#include "region/page_list.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "own.h"
#include "pmap/pins.h"
#include "region/unlink.h"
#include "region/prefetch.h"
#include "transit/purge.h"
#include "transit/reuse.h"
#include "upl/upl.h"
#include "vm/copy_look.h"
#include "vm/vm_map.h"
#include "vm/vm_mapping.h"

/* Pages that are gathered, and lists that are dropped, before others' jobs pass. */
#define GATHER_PAGES 256u
#define DROP_LISTS   16u
/* Pages in which pins are looked for together. */
#define PINS_PAGES 64u

/* The entry that has the range's first address, with a reference on its mapping. */
static int
entry_at(struct range *range, struct vm_entry *ret)
{
	if (!task_entry_get(range->task, range->address, ret))
		return -EINVAL;
	if (ret->start <= range->address)
		return 0;
	vm_mapping_put(ret->mapping);
	return -EINVAL;
}

int
page_list_query(struct range *range, struct page_list_kind *ret)
{
	struct vm_entry e;
	int error = entry_at(range, &e);

	locks_assert_none();
	if (error)
		return error;
	*ret = (struct page_list_kind){ .size = min_u64(e.end, range->end) - range->address,
		.is_private = !e.mapping->object->is_shareable,
		.is_device = e.mapping->object->is_device,
		.is_contiguous = e.mapping->object->alone };
	vm_mapping_put(e.mapping);
	return 0;
}

bool
page_list_around(const struct range *range)
{
	const struct page_list *l = range->task->lists;

	while (l && (l->end <= range->address || l->address >= range->end))
		l = l->next;
	return l != NULL;
}

static void
wired_note(struct page_list *l, uint64_t bytes)
{
	fetch_add_relaxed(&l->task->list_bytes, bytes - l->wired_bytes);
	l->wired_bytes = bytes;
}

/* The parts of a client's share that a list of that many pages takes. */
static int
shares_take(struct page_list *l, unsigned count)
{
	struct task *task = l->task;
	int error;

	l->table_bytes = sizeof(*l) + UPL_BYTES(count);
	if (bill_tables_take(task->daemon, &task->bill, l->table_bytes))
		return -ENOMEM;
	error = task_wired_take(task, (uint64_t)count << task->daemon->page_shift);
	if (error)
		bill_tables_give(task->daemon, &task->bill, l->table_bytes);
	else
		wired_note(l, (uint64_t)count << task->daemon->page_shift);
	return error;
}

/* Pages that the list has not, or has no more, are not wired by it. */
static void
shares_settle(struct page_list *l)
{
	uint64_t bytes = (uint64_t)l->upl->busy << l->task->daemon->page_shift;

	CHECK(bytes <= l->wired_bytes);
	if (bytes < l->wired_bytes)
		task_wired_give(l->task, l->wired_bytes - bytes);
	wired_note(l, bytes);
}

static int
entry_allows(const struct vm_entry *e, const struct range *range, unsigned flags)
{
	int needs = flags & UPL_COPYOUT_FROM ? PROT_READ : PROT_WRITE;

	if (e->mapping->object->is_shareable || range_has_windows(range))
		return -ENOTSUP;
	/* A client that is let go of takes its content whatever its own threads may do. */
	if (!(e->protection & (uint32_t)needs) && !load_acquire(&range->task->release.is_begun))
		return -EACCES;
	(void)vm_object_reuse(e->mapping->object,
	    (e->offset + (range->address - e->start)) >> range->task->daemon->page_shift,
	    (e->offset + (range->end - e->start)) >> range->task->daemon->page_shift);
	/* It could be thrown away under the list. Its state is its client's own to change, who
	 * waits for this request. */
	if (e->mapping->object->is_purgeable &&
	    vm_object_purgeable_get(e->mapping->object) != PURGEABLE_NONVOLATILE)
		return -EBUSY;
	return !(flags & UPL_NOBLOCK) && page_list_around(range) ? -EBUSY : 0;
}

static int
list_make(struct range *range, const struct vm_entry *e, unsigned flags, struct page_list *l)
{
	struct daemon *d = range->task->daemon;
	uint64_t first = (e->offset + (range->address - e->start)) >> d->page_shift;
	uint64_t most = UPL_BYTES_MAX >> d->page_shift;
	unsigned count =
	    (unsigned)min_u64((range->end - range->address) >> d->page_shift, max_u64(most, 1));
	int error;

	*l = (struct page_list){ .task = range->task,
		.address = range->address,
		.end = range->address + ((uint64_t)count << d->page_shift) };
	error = shares_take(l, count);
	if (error)
		return error;
	error = upl_create(
	    e->mapping->object, range->task, e->mapping->base, first, count, flags, &l->upl);
	if (error) {
		task_wired_give(l->task, l->wired_bytes);
		wired_note(l, 0);
		bill_tables_give(d, &l->task->bill, l->table_bytes);
		return error;
	}
	l->upl->is_wired = e->wired_count > 0;
	return 0;
}

int
page_list_begin(struct range *range, unsigned flags, struct page_list **ret)
{
	struct task *task = range->task;
	struct page_list *l = NULL;
	struct vm_entry e;
	int error = entry_at(range, &e);

	locks_assert_none();
	if (error)
		return error;
	range->end = min_u64(range->end, e.end);
	error = load_relaxed(&task->list_count) < PAGE_LISTS_MAX ? entry_allows(&e, range, flags)
								 : -EAGAIN;
	if (!error) {
		l = own_alloc(OWN_PAGE_LIST, sizeof(*l));
		error = l ? list_make(range, &e, flags, l) : -ENOMEM;
	}
	vm_mapping_put(e.mapping);
	if (error) {
		own_free(OWN_PAGE_LIST, l);
		return error;
	}
	l->id = ++task->last_list;
	l->next = task->lists;
	task->lists = l;
	fetch_add_relaxed(&task->list_count, 1);
	*ret = l;
	return 0;
}

/* A stored page whose content cannot be had now is no page of the list. */
static void
stored_load(struct page_list *l, unsigned place, unsigned from)
{
	struct upl *u = l->upl;
	struct vm_object *o = u->object;

	for (unsigned i = from; i < u->gathered; i++) {
		if (u->pages[i] != UPL_PAGE_STORED || !upl_holds(u, i) ||
		    prefetch_content(o->daemon, place, o, u->first + i))
			continue;
		CHECK(upl_abort(u, i, 1, 0) == 0);
		lock_acquire(&o->lock);
		u->pages[i] = UPL_PAGE_LOST;
		lock_release(&o->lock);
	}
}

int
page_list_gather(struct page_list *l, unsigned place, bool *ret_more)
{
	struct upl *u = l->upl;
	unsigned from = u->gathered;
	uint64_t first = u->first + from;
	/* Copies must not need pages that are held for as long as the client likes. */
	int error = pages_unlink(
	    l->task, place, u->object, first, min_u64(first + GATHER_PAGES, u->first + u->count));
	enum upl_gathered got;

	locks_assert_none();
	if (error && error != -ENOBUFS) {
		page_list_destroy(l);
		return error;
	}
	got = error ? UPL_NO_ROOM : upl_gather(u, GATHER_PAGES);
	stored_load(l, place, from);
	if (got == UPL_NO_ROOM && u->gathered == 0) {
		page_list_destroy(l);
		return -ENOBUFS;
	}
	if (got == UPL_NO_ROOM) {
		upl_clip(u);
		l->end = l->address + ((uint64_t)u->count << l->task->daemon->page_shift);
	}
	*ret_more = got == UPL_MORE;
	if (!*ret_more)
		shares_settle(l);
	return 0;
}

uint64_t
page_list_pins(const struct page_list *l)
{
	const struct upl *u = l->upl;
	uint64_t indexes[PINS_PAGES], found = 0;
	bool pinned[PINS_PAGES];
	unsigned n = 0;

	locks_assert_none();
	for (unsigned i = upl_next_held(u, 0); i < u->count; i = upl_next_held(u, i + 1)) {
		indexes[n++] = u->first + i;
		if (n < PINS_PAGES)
			continue;
		found += pins_find(u->object->daemon, u->object, indexes, n, pinned);
		n = 0;
	}
	return found + (n > 0 ? pins_find(u->object->daemon, u->object, indexes, n, pinned) : 0);
}

struct page_list *
page_list_find(struct task *task, uint64_t id)
{
	struct page_list *l = task->lists;

	while (l && l->id != id)
		l = l->next;
	return l;
}

int
page_list_commit(struct page_list *l, unsigned from, unsigned count, unsigned flags)
{
	int error = upl_commit(l->upl, from, count, flags);

	locks_assert_none();
	shares_settle(l);
	return error;
}

int
page_list_abort(struct page_list *l, unsigned from, unsigned count, unsigned flags)
{
	int error = upl_abort(l->upl, from, count, flags);

	locks_assert_none();
	shares_settle(l);
	return error;
}

void
page_list_destroy(struct page_list *l)
{
	struct task *task = l->task;
	struct page_list **at = &task->lists;

	locks_assert_none();
	while (*at != l) {
		CHECK(*at);
		at = &(*at)->next;
	}
	*at = l->next;
	fetch_sub_relaxed(&task->list_count, 1);
	upl_destroy(l->upl);
	if (l->wired_bytes > 0)
		task_wired_give(task, l->wired_bytes);
	wired_note(l, 0);
	bill_tables_give(task->daemon, &task->bill, l->table_bytes);
	own_free(OWN_PAGE_LIST, l);
}

bool
page_lists_drop(struct task *task)
{
	locks_assert_none();
	CHECK(task_is_dead(task));
	for (unsigned i = 0; i < DROP_LISTS && task->lists; i++)
		page_list_destroy(task->lists);
	return task->lists != NULL;
}
