/* SPDX-License-Identifier: MIT
 *
 * Copies are filled from below. Runs on: fault servers. Never sleeps, allocates nothing.
 */
#include "transit/copy_fill.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "pagers/pager.h"
#include "transit/release.h"
#include "vm/hole.h"
#include "vm/vm_object.h"

/* The page below that has the content, with a reference. */
static struct copy_place
owner_get(struct vm_object *o, uint64_t index)
{
	struct copy_place owner;
	bool foreign;

	copies_lock(o->daemon);
	/* The link may have gone while the page is being filled: nothing is below it then. */
	owner = copy_link_below_locked(o, index) ? copy_owner_locked(o, index, &foreign)
						 : (struct copy_place){ NULL, 0 };
	if (owner.object)
		vm_object_get(owner.object);
	copies_unlock(o->daemon);
	return owner;
}

/* => the owner's O held */
static bool
is_owner_locked(
    const struct vm_object *o, uint64_t index, const struct copy_place *owner, bool *ret_is_foreign)
{
	struct copy_place now = { NULL, 0 };

	lock_assert_held(&owner->object->lock);
	copies_lock(o->daemon);
	if (copy_link_below_locked(o, index))
		now = copy_owner_locked(o, index, ret_is_foreign);
	copies_unlock(o->daemon);
	return now.object == owner->object && now.index == owner->index;
}

/* The page below is busy by this thread. */
static enum pager_result
read_resident(const struct copy_place *owner, struct vm_page *p, void *page)
{
	const struct vm_object *o = owner->object;
	struct daemon *d = o->daemon;
	enum pager_result result = PAGER_OK;
	size_t have = 0;

	/* A private mapping follows the file: the page is touched, though it is mapped nowhere. */
	if (o->external && load_relaxed(&p->seen_by) == SEEN_AHEAD) {
		store_relaxed(&p->seen_by, SEEN_BY_NOBODY);
		ahead_touched(&o->external->ahead, 1);
	}
	while (have < d->page_bytes && result == PAGER_OK) {
		ssize_t got = pread(owner->object->backing.memfd, (char *)page + have,
		    d->page_bytes - have, (off_t)((owner->index << d->page_shift) + have));

		if (got > 0)
			have += (size_t)got;
		else if (got == 0 || errno != EINTR)
			result = PAGER_LOST;
	}
	vm_object_unbusy(owner->object, owner->index, p);
	return result;
}

/* A hole keeps the copy from being given up meanwhile. => the owner's O held, dropped */
static enum pager_result
read_stored(const struct copy_place *owner, struct cref copy, struct hole *hole, void *page)
{
	struct vm_object *below = owner->object;
	enum pager_result result;

	lock_assert_held(&below->lock);
	vm_object_hole_begin(below, hole, owner->index, owner->index + 1);
	lock_release(&below->lock);
	result = pager_data_request(below, copy, page);
	vm_object_hole_close(below, hole);
	return result;
}

/* => the owner's O held, dropped */
static enum pager_result
owner_read(const struct copy_place *owner, struct hole *hole, void *page)
{
	struct vm_object *below = owner->object;
	struct daemon *d = below->daemon;
	struct hole *others = vm_object_hole_at(below, owner->index);
	uint64_t slot = load_relaxed(vm_object_slot(below, owner->index));
	struct vm_page *p;

	lock_assert_held(&below->lock);
	switch (slot_kind(slot)) {
	case SLOT_RESIDENT:
		p = &d->frames.pages[slot_frame(slot)];
		if (!vm_page_busy_try(p))
			break;
		lock_release(&below->lock);
		return read_resident(owner, p, page);
	case SLOT_STORED:
		if (others) {
			others->wanted = true;
			break;
		}
		return read_stored(owner, slot_cref(slot), hole, page);
	case SLOT_POISONED:
		lock_release(&below->lock);
		return PAGER_LOST;
	default:
		if (others) {
			others->wanted = true;
			break;
		}
		lock_release(&below->lock);
		/* The file has it. */
		if (pager_absent_copy(below).v)
			return PAGER_AWAY;
		memset(page, 0, d->page_bytes);
		return PAGER_OK;
	}
	lock_release(&below->lock);
	return PAGER_AGAIN;
}

enum pager_result
copy_content(struct vm_object *o, uint64_t index, struct hole *hole, void *page,
    bool *ret_is_foreign, struct copy_place *ret_away)
{
	enum pager_result result = PAGER_OK;
	struct copy_place owner;
	bool found = false;

	locks_assert_none();
	*ret_is_foreign = false;
	do {
		owner = owner_get(o, index);
		if (!owner.object) {
			memset(page, 0, o->daemon->page_bytes);
			return PAGER_OK;
		}
		lock_acquire(&owner.object->lock);
		found = is_owner_locked(o, index, &owner, ret_is_foreign);
		if (found) {
			result = owner_read(&owner, hole, page);
		} else {
			lock_release(&owner.object->lock);
		}
		if (found && result == PAGER_AWAY)
			*ret_away = owner;
		else
			vm_object_put(owner.object);
	} while (!found);
	return result;
}
