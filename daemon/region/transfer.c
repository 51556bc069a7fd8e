/* SPDX-License-Identifier: MIT
 *
 * Ranges and ports. Runs on: jobs.
 */
#include "region/transfer.h"

#include <errno.h>
#include <sys/mman.h>

#include "region/map.h"
#include "region/page_list.h"
#include "vm/vm_map.h"
#include "vm/vm_share.h"

/* Whether nobody else can have seen the object: its pages may be handed on. M held */
static bool
is_movable_locked(const struct range *range, const struct vm_entry *e, struct named_range *ret)
{
	struct vm_object *o = e->mapping->object;
	bool is_alone;

	lock_assert_held(&range->task->map.lock);
	if (!o->is_shareable || o->is_device || o->external || o->submap || e->wired_count > 0 ||
	    e->start != range->address || e->end != range->end || e->offset != 0 ||
	    (range->end - range->address) >> range->task->daemon->page_shift != o->page_count)
		return false;
	lock_acquire(&o->lock);
	is_alone = !o->was_named && o->cover_count == 1;
	lock_release(&o->lock);
	if (!is_alone)
		return false;
	*ret = (struct named_range){
		.object = o, .end = o->page_count, .is_writable = !e->mapping->is_read_only
	};
	return true;
}

static bool
is_pinned_locked(struct vm_map *m, const struct range *range)
{
	lock_assert_held(&m->lock);
	for (uint32_t i = vm_map_index(m, range->address);
	     i < m->count && m->entries[i].start < range->end; i++)
		if (m->entries[i].pin_count > 0)
			return true;
	return false;
}

int
transfer_check(struct range *range, bool is_given, struct named_range *ret)
{
	struct vm_map *m = &range->task->map;
	int error = 0;

	locks_assert_none();
	if (is_given && page_list_around(range))
		return -EBUSY;
	lock_acquire(&m->lock);
	if (!vm_map_is_covered(m, range->address, range->end))
		error = -EINVAL;
	else if (is_given && is_pinned_locked(m, range))
		error = -EBUSY;
	else if (!is_movable_locked(range, vm_map_lookup(m, range->address), ret))
		error = -EOPNOTSUPP;
	if (!error)
		vm_object_get(ret->object);
	lock_release(&m->lock);
	return error;
}

bool
transfer_discard(struct daemon *d, struct port_handle *h, uint64_t *ret_pages)
{
	locks_assert_none();
	*ret_pages = 0;
	if (!h->is_discarding) {
		struct message *m = h->unread;

		if (!m)
			return false;
		h->unread = m->next;
		message_end(d, m, &h->pages);
		h->at = h->pages.first;
		h->is_discarding = true;
		fetch_add_relaxed(&d->ports.discarded, 1);
	}
	h->is_discarding = region_name_gone(&h->pages, &h->at, ret_pages);
	if (!h->is_discarding)
		vm_object_put(h->pages.object);
	return h->is_discarding || h->unread;
}

bool
transfer_close(struct task *task, struct port_handle *h, uint64_t *messages, uint64_t *ret_pages)
{
	bool more;

	*messages += port_handle_end(task->daemon, h);
	more = transfer_discard(task->daemon, h, ret_pages);
	if (!more)
		port_handle_free(task, h);
	return more;
}

bool
transfer_drop(struct task *task)
{
	uint64_t messages = 0, pages;

	CHECK(task_is_dead(task));
	if (task->ports)
		transfer_close(task, task->ports, &messages, &pages);
	return task->ports != NULL;
}
