/* SPDX-License-Identifier: MIT
 *
 * Links of copies: each is in the trees of both its objects, in order, and no line of
 * them is a circle. Runs on: jobs.
 */
#include "audit/audit_priv.h"

#include "vm/copy_link.h"
#include "vm/vm_object.h"

/* Links of private mappings of a file. => how many; COPIES held */
static uint32_t
check_followers_locked(struct report *r, const struct vm_object *o)
{
	struct tree_node *n;
	uint32_t count = 0;

	lock_assert_held(&o->daemon->copies.lock);
	if (!o->external)
		return 0;
	for (uint64_t at = 0; (n = tree_at_least(&o->external->followers, at)) != NULL;
	     at = n->key + 1, count++) {
		const struct copy_link *l = container_of(n, struct copy_link, by_lower);

		verify(r,
		    l->lower == o && l->count > 0 && l->lower_first + l->count <= o->page_count &&
			copy_link_below_locked(l->upper, l->upper_first) == l,
		    "object %llu: a follower is not one of the links below object %llu",
		    (unsigned long long)o->id, (unsigned long long)l->upper->id);
	}
	verify(r, count == load_relaxed(&o->external->follower_count),
	    "object %llu has %u followers, and says %u", (unsigned long long)o->id, count,
	    load_relaxed(&o->external->follower_count));
	return count;
}

/* => links above the object, and those that follow it; COPIES held */
static uint32_t
check_object_locked(struct report *r, const struct vm_object *o)
{
	unsigned long long id = o->id;
	uint64_t end = 0;
	uint32_t above = 0, below = 0, followers;
	const struct copy_link *l;

	lock_assert_held(&o->daemon->copies.lock);
	for (; (l = copy_link_from_locked(o, true, end)) != NULL; above++) {
		verify(r, l->lower == o && l->count > 0 && l->lower_first >= end,
		    "object %llu: its links above are not in order", id);
		end = l->lower_first + l->count;
		verify(r, end <= o->page_count && l->upper_first + l->count <= l->upper->page_count,
		    "object %llu: a link above reaches beyond an object", id);
		verify(r, copy_link_below_locked(l->upper, l->upper_first) == l,
		    "object %llu: a link above is not one of those below object %llu", id,
		    (unsigned long long)l->upper->id);
	}
	followers = check_followers_locked(r, o);
	end = 0;
	for (; (l = copy_link_from_locked(o, false, end)) != NULL; below++) {
		verify(r, l->upper == o && l->upper_first >= end,
		    "object %llu: its links below are not in order", id);
		end = l->upper_first + l->count;
	}
	verify(r,
	    above + below == o->link_count &&
		load_relaxed(&((struct vm_object *)(uintptr_t)o)->linked) ==
		    ((above > 0 ? COPY_ABOVE : 0) | (below > 0 ? COPY_BELOW : 0)),
	    "object %llu: has %u links above and %u below, and says %u", id, above, below,
	    o->link_count);
	for (end = 0; (l = copy_link_from_locked(o, false, end)) != NULL;
	     end = l->upper_first + l->count) {
		const struct copy_link *at = l;
		uint64_t index = l->upper_first;
		unsigned steps = 0;

		for (; at && steps <= COPY_DEPTH_MAX; steps++) {
			const struct vm_object *lower = at->lower;

			index = at->lower_first + (index - at->upper_first);
			at = copy_link_below_locked(lower, index);
		}
		verify(r, steps <= COPY_DEPTH_MAX, "object %llu: a line below it has no end", id);
	}
	return above + followers;
}

void
check_copies(struct daemon *d, struct report *r)
{
	uint32_t cursor = 0, links = 0, before, count;
	struct vm_object *o;

	locks_assert_none();
	copies_lock(d);
	before = d->copies.changes;
	copies_unlock(d);
	while ((o = vm_object_next(d, &cursor)) != NULL) {
		copies_lock(d);
		links += check_object_locked(r, o);
		copies_unlock(d);
		vm_object_put(o);
	}
	copies_lock(d);
	count = d->copies.count;
	/* Between two objects links come and go. */
	if (d->copies.changes == before)
		verify(r, links == count, "objects have %u links, and there are %u", links, count);
	copies_unlock(d);
}
