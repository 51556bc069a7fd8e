/* SPDX-License-Identifier: MIT
 *
 * Looks along lines of copies, and at what follows files. Runs on: any thread.
 */
#include "vm/copy_look.h"

#include "vm/vm_object.h"

static bool
is_linked_locked(const struct vm_object *o, bool above, uint64_t first, uint64_t end)
{
	const struct copy_link *l = copy_link_from_locked(o, above, first);

	lock_assert_held(&o->daemon->copies.lock);
	return l && (above ? l->lower_first : l->upper_first) < end;
}

bool
copy_is_lacking(const struct vm_object *o, uint64_t index)
{
	struct copy_place target;
	bool is_lacking;

	if (!vm_object_is_linked(o, COPY_ABOVE))
		return false;
	copies_lock(o->daemon);
	is_lacking = copy_target_locked(o, index, &target) &&
		     !copy_page_is_own_locked(target.object, target.index);
	copies_unlock(o->daemon);
	return is_lacking;
}

bool
copies_are_above(const struct vm_object *o, uint64_t index, uint64_t count)
{
	bool any;

	copies_lock(o->daemon);
	any = is_linked_locked(o, true, index, index + count);
	copies_unlock(o->daemon);
	return any;
}

bool
vm_object_has_links(const struct vm_object *o, uint64_t index, uint64_t count)
{
	bool any;

	copies_lock(o->daemon);
	any = is_linked_locked(o, true, index, index + count) ||
	      is_linked_locked(o, false, index, index + count);
	copies_unlock(o->daemon);
	return any;
}

unsigned
copy_alike(
    const struct vm_object *o, uint64_t index, unsigned most, int direction, bool *ret_is_copied)
{
	unsigned n = 1;

	copies_lock(o->daemon);
	*ret_is_copied = copy_link_below_locked(o, index) != NULL;
	for (; n < most; n++) {
		uint64_t at = direction > 0 ? index + n : index - n;

		if ((copy_link_below_locked(o, at) != NULL) != *ret_is_copied)
			break;
	}
	copies_unlock(o->daemon);
	return n;
}

unsigned
copy_depth(const struct vm_object *o, uint64_t index)
{
	struct daemon *d = o->daemon;
	const struct copy_link *l;
	unsigned depth = 0;

	copies_lock(d);
	for (; (l = copy_link_below_locked(o, index)) != NULL; depth++) {
		index = l->lower_first + (index - l->upper_first);
		o = l->lower;
	}
	copies_unlock(d);
	return depth;
}

/* --- files --- */

static bool
follow_locked(const struct vm_object *o, uint64_t first, uint64_t end)
{
	const struct copy_link *l;

	lock_assert_held(&o->daemon->copies.lock);
	for (; (l = copy_link_from_locked(o, false, first)) != NULL && l->upper_first < end;
	     first = l->upper_first + l->count) {
		uint64_t low = max_u64(l->upper_first, first),
			 high = min_u64(l->upper_first + l->count, end),
			 below = l->lower_first + (low - l->upper_first);

		if (l->lower->external || follow_locked(l->lower, below, below + (high - low)))
			return true;
	}
	return false;
}

bool
copies_follow(const struct vm_object *o, uint64_t first, uint64_t end)
{
	bool follow;

	if (!vm_object_is_linked(o, COPY_BELOW))
		return false;
	copies_lock(o->daemon);
	follow = follow_locked(o, first, end);
	copies_unlock(o->daemon);
	return follow;
}

struct copy_place
copy_follower_next(
    const struct vm_object *file, uint64_t low, uint64_t high, uint64_t *number, uint64_t *end)
{
	struct copy_place ret = { NULL, 0 };
	struct tree_node *n;

	locks_assert_none();
	if (likely(load_acquire(&file->external->follower_count) == 0))
		return ret;
	copies_lock(file->daemon);
	while (!ret.object && (n = tree_at_least(&file->external->followers, *number)) != NULL) {
		const struct copy_link *l = container_of(n, struct copy_link, by_lower);
		uint64_t from = max_u64(l->lower_first, low),
			 to = min_u64(l->lower_first + l->count, high);

		*number = n->key + 1;
		if (from >= to)
			continue;
		ret = (struct copy_place){ l->upper, l->upper_first + (from - l->lower_first) };
		*end = ret.index + (to - from);
		vm_object_get(ret.object);
	}
	copies_unlock(file->daemon);
	return ret;
}

bool
vm_object_is_deserted_locked(const struct vm_object *o)
{
	bool is_deserted;

	lock_assert_held(&o->lock);
	if (o->cover_count > 0)
		return false;
	/* A follower that finds another place in its line is there all the time. */
	copies_lock(o->daemon);
	is_deserted = load_relaxed(&o->external->follower_count) == 0;
	copies_unlock(o->daemon);
	return is_deserted;
}
