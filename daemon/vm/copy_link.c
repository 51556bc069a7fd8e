/* SPDX-License-Identifier: MIT
 *
 * Links between ranges that were copied. Runs on: any thread (looks), jobs (changes).
 */
#include "vm/copy_link.h"

#include <errno.h>

#include "vm/copy_reserve.h"
#include "vm/vm_object.h"

static struct copy_link *
link_of(struct tree_node *n, bool above)
{
	return !n      ? NULL
	       : above ? container_of(n, struct copy_link, by_lower)
		       : container_of(n, struct copy_link, by_upper);
}

/* Its first page at the end that is named by `above`: of those above an object, the lower end. */
static uint64_t
link_first(const struct copy_link *l, bool above)
{
	return above ? l->lower_first : l->upper_first;
}

static struct copy_link *
link_at_locked(const struct vm_object *o, bool above, uint64_t index)
{
	struct copy_link *l = link_of(tree_at_most(above ? &o->above : &o->below, index), above);

	lock_assert_held(&o->daemon->copies.lock);
	return l && index < link_first(l, above) + l->count ? l : NULL;
}

struct copy_link *
copy_link_above_locked(const struct vm_object *o, uint64_t index)
{
	lock_assert_held(&o->daemon->copies.lock);
	return link_at_locked(o, true, index);
}

struct copy_link *
copy_link_below_locked(const struct vm_object *o, uint64_t index)
{
	lock_assert_held(&o->daemon->copies.lock);
	return link_at_locked(o, false, index);
}

struct copy_link *
copy_link_from_locked(const struct vm_object *o, bool above, uint64_t index)
{
	struct copy_link *l = link_at_locked(o, above, index);

	lock_assert_held(&o->daemon->copies.lock);
	return l ? l : link_of(tree_at_least(above ? &o->above : &o->below, index), above);
}

/* The first that has pages of [first, end). */
static struct copy_link *
link_within_locked(const struct vm_object *o, bool above, uint64_t first, uint64_t end)
{
	struct copy_link *l = copy_link_from_locked(o, above, first);

	lock_assert_held(&o->daemon->copies.lock);
	return l && link_first(l, above) < end ? l : NULL;
}

static struct copy_place
place_above(const struct copy_link *l, uint64_t index)
{
	return (struct copy_place){ l->upper, l->upper_first + (index - l->lower_first) };
}

static struct copy_place
place_below(const struct copy_link *l, uint64_t index)
{
	return (struct copy_place){ l->lower, l->lower_first + (index - l->upper_first) };
}

uint64_t
copy_link_next_locked(
    const struct vm_object *o, bool above, uint64_t *first, uint64_t end, struct copy_place *ret)
{
	const struct copy_link *l = link_within_locked(o, above, *first, end);

	lock_assert_held(&o->daemon->copies.lock);
	if (!l || *first >= end)
		return 0;
	*first = max_u64(link_first(l, above), *first);
	*ret = above ? place_above(l, *first) : place_below(l, *first);
	vm_object_get(ret->object);
	return min_u64(link_first(l, above) + l->count, end) - *first;
}

bool
copy_page_is_own_locked(const struct vm_object *o, uint64_t index)
{
	struct daemon *d = o->daemon;
	bool is_own = true;
	uint64_t slot;

	lock_assert_held(&d->copies.lock);
	/* A frame that the slot names is the page's as long as PAGEQ is held. */
	pageq_lock(d);
	slot = load_acquire((_Atomic uint64_t *)(uintptr_t)vm_object_slot(o, index));
	if (slot_kind(slot) == SLOT_ABSENT)
		is_own = false;
	else if (slot_kind(slot) == SLOT_RESIDENT)
		is_own = !(load_acquire(&d->frames.pages[slot_frame(slot)].word) & PAGE_DUP);
	pageq_unlock(d);
	return is_own;
}

bool
copy_target_locked(const struct vm_object *o, uint64_t index, struct copy_place *ret)
{
	const struct copy_link *l;

	lock_assert_held(&o->daemon->copies.lock);
	while ((l = copy_link_above_locked(o, index)) != NULL) {
		*ret = place_above(l, index);
		if (!l->is_leaving)
			return true;
		/* What it has is on its way up. */
		if (copy_page_is_own_locked(ret->object, ret->index))
			return false;
		o = ret->object;
		index = ret->index;
	}
	return false;
}

/* The user who pays for the object. => false: nobody does */
static bool
user_of(const struct vm_object *o, uid_t *ret)
{
	const struct bill *bill;

	/* Where several see it another one may come to pay, and the one before may end. */
	if (o->is_shareable)
		pageq_lock(o->daemon);
	bill = o->bill;
	if (bill)
		*ret = bill->account->uid;
	if (o->is_shareable)
		pageq_unlock(o->daemon);
	return bill != NULL;
}

/* Whether what `below` has can be changed, behind the daemon's back, by others than those who could
 * change what `o` has: several see it, or it is another user's. => the lock of copies held */
static bool
copy_is_foreign(const struct vm_object *o, const struct vm_object *below)
{
	uid_t user = 0, user_below = 0;

	return below->is_shareable || !user_of(o, &user) || !user_of(below, &user_below) ||
	       user != user_below;
}

struct copy_place
copy_owner_locked(const struct vm_object *o, uint64_t index, bool *ret_is_foreign)
{
	const struct copy_link *l = copy_link_below_locked(o, index);
	struct copy_place at;

	lock_assert_held(&o->daemon->copies.lock);
	CHECK(l);
	*ret_is_foreign = false;
	do {
		at = place_below(l, index);
		index = at.index;
		/* What follows a file has what the file has, whoever changes it. */
		*ret_is_foreign |= !at.object->external && copy_is_foreign(o, at.object);
	} while (!copy_page_is_own_locked(at.object, index) &&
		 (l = copy_link_below_locked(at.object, index)) != NULL);
	return at;
}

/* --- changes --- */

/* Threads look at this without the lock (vm_object_is_linked), and one that sees too little neither
 * pushes what something above lacks nor fills from below. So it never says less than the trees on
 * both sides of a change: a link that only gets another end is taken out and put back without
 * this. */
static void
linked_settle(struct vm_object *o)
{
	store_release(&o->linked, (tree_is_empty(&o->above) ? 0 : COPY_ABOVE) |
				      (tree_is_empty(&o->below) ? 0 : COPY_BELOW));
}

static void
lower_end_add_locked(struct daemon *d, struct copy_link *l)
{
	struct external *x = l->lower->external;

	lock_assert_held(&d->copies.lock);
	if (x) {
		tree_put(&x->followers, &l->by_lower, ++d->copies.followers);
		fetch_add_relaxed(&x->follower_count, 1);
		return;
	}
	CHECK(!link_within_locked(l->lower, true, l->lower_first, l->lower_first + l->count));
	tree_put(&l->lower->above, &l->by_lower, l->lower_first);
	l->lower->link_count++;
}

static void
lower_end_take_locked(struct daemon *d, struct copy_link *l)
{
	struct external *x = l->lower->external;

	lock_assert_held(&d->copies.lock);
	if (x) {
		tree_take(&x->followers, &l->by_lower);
		CHECK(fetch_sub_acq_rel(&x->follower_count, 1) > 0);
		return;
	}
	CHECK(l->lower->link_count > 0);
	tree_take(&l->lower->above, &l->by_lower);
	l->lower->link_count--;
}

static void
link_add_locked(struct daemon *d, struct copy_link *l)
{
	lock_assert_held(&d->copies.lock);
	CHECK(l->count > 0 && l->lower_first + l->count <= l->lower->page_count &&
	      l->upper_first + l->count <= l->upper->page_count);
	CHECK(!link_within_locked(l->upper, false, l->upper_first, l->upper_first + l->count));
	lower_end_add_locked(d, l);
	tree_put(&l->upper->below, &l->by_upper, l->upper_first);
	l->upper->link_count++;
	d->copies.count++;
	d->copies.changes++;
	linked_settle(l->lower);
	linked_settle(l->upper);
}

/* For a link that is added again, or whose pages another link has: what its objects say stays. */
static void
link_take_locked(struct daemon *d, struct copy_link *l)
{
	lock_assert_held(&d->copies.lock);
	CHECK(l->upper->link_count > 0 && d->copies.count > 0);
	lower_end_take_locked(d, l);
	tree_take(&l->upper->below, &l->by_upper);
	l->upper->link_count--;
	d->copies.count--;
	d->copies.changes++;
}

/* For one that is no more. */
static void
link_drop_locked(struct daemon *d, struct copy_link *l)
{
	lock_assert_held(&d->copies.lock);
	link_take_locked(d, l);
	linked_settle(l->lower);
	linked_settle(l->upper);
}

/* The link's pages from `at` on become a link of their own. */
static void
link_split_locked(struct daemon *d, struct copy_link *l, uint64_t at)
{
	struct copy_link *upper = copy_reserve_take_locked(d);

	lock_assert_held(&d->copies.lock);
	CHECK(at > 0 && at < l->count);
	*upper = (struct copy_link){ .upper = l->upper,
		.lower = l->lower,
		.upper_first = l->upper_first + at,
		.lower_first = l->lower_first + at,
		.count = l->count - at,
		.is_leaving = l->is_leaving };
	l->count = at;
	link_add_locked(d, upper);
}

/* Links that reach over an end of [first, end), above or below, are split there: COPY_SPLITS at
 * most. */
static void
ends_split_locked(struct vm_object *o, uint64_t first, uint64_t end)
{
	uint64_t ends[2] = { first, end };
	struct daemon *d = o->daemon;

	lock_assert_held(&d->copies.lock);
	for (unsigned i = 0; i < 2; i++) {
		struct copy_link *l;

		if (ends[i] >= o->page_count)
			continue;
		l = copy_link_above_locked(o, ends[i]);
		if (l && l->lower_first < ends[i])
			link_split_locked(d, l, ends[i] - l->lower_first);
		l = copy_link_below_locked(o, ends[i]);
		if (l && l->upper_first < ends[i])
			link_split_locked(d, l, ends[i] - l->upper_first);
	}
}

/* Joins a link with the one that ends where it begins, on both sides. */
static void
link_join_locked(struct daemon *d, struct copy_link *l)
{
	struct copy_link *before;

	lock_assert_held(&d->copies.lock);
	if (l->lower_first == 0 || l->upper_first == 0)
		return;
	before = copy_link_below_locked(l->upper, l->upper_first - 1);
	if (!before || before->lower != l->lower || before->is_leaving != l->is_leaving ||
	    before->lower_first + before->count != l->lower_first)
		return;
	link_take_locked(d, l);
	before->count += l->count;
	copy_reserve_put_locked(d, l);
}

/* Links of the longest line above (below: likewise) pages [first, end). It is no longer than
 * COPY_DEPTH_MAX, since no copy is made where it would be. */
static unsigned
length_locked(const struct vm_object *o, bool above, uint64_t first, uint64_t end)
{
	const struct copy_link *l;
	unsigned longest = 0;

	lock_assert_held(&o->daemon->copies.lock);
	while ((l = link_within_locked(o, above, first, end)) != NULL) {
		uint64_t low = max_u64(link_first(l, above), first),
			 high = min_u64(link_first(l, above) + l->count, end);
		struct copy_place next = above ? place_above(l, low) : place_below(l, low);
		unsigned length =
		    1 + length_locked(next.object, above, next.index, next.index + (high - low));

		longest = length > longest ? length : longest;
		first = high;
		if (first == end)
			break;
	}
	return longest;
}

/* Whether a copy of [first, end) may be made. */
static bool
may_insert_locked(
    const struct vm_object *o, uint64_t first, uint64_t end, const struct vm_object *upper)
{
	const struct copy_link *l;

	lock_assert_held(&o->daemon->copies.lock);
	if (copy_is_foreign(o, upper) && link_within_locked(o, true, first, end))
		return false;
	if (o->link_count + 3 > COPY_LINKS_MAX)
		return false;
	/* What leaves is on its way; its place is not known yet. */
	for (uint64_t at = first; (l = link_within_locked(o, false, at, end)) != NULL;
	     at = l->upper_first + l->count)
		if (l->is_leaving)
			return false;
	return length_locked(o, true, first, end) + length_locked(o, false, first, end) <
	       COPY_DEPTH_MAX;
}

int
copy_link_insert(struct vm_object *lower, uint64_t lower_first, struct vm_object *upper,
    uint64_t upper_first, uint64_t count)
{
	struct daemon *d = lower->daemon;
	uint64_t end = lower_first + count, at = lower_first;
	struct copy_link *l, *above;
	bool may, has_room;

	locks_assert_none();
	CHECK(count > 0 && end <= lower->page_count && upper_first + count <= upper->page_count);
	if (!copy_reserve_settle(d))
		return -ENOMEM;
	copies_lock(d);
	has_room = load_relaxed(&d->copies.reserve_count) > COPY_SPLITS;
	may = has_room && may_insert_locked(lower, lower_first, end, upper) &&
	      upper->link_count + 3 <= COPY_LINKS_MAX;
	if (may) {
		ends_split_locked(lower, lower_first, end);
		/* What was copied before is a copy of the copy now. */
		while (at < end) {
			struct copy_place old;

			above = link_within_locked(lower, true, at, end);
			if (!above)
				break;
			at = above->lower_first + above->count;
			old = place_above(above, above->lower_first);
			link_take_locked(d, above);
			above->lower = upper;
			above->lower_first = upper_first + (above->lower_first - lower_first);
			CHECK(old.object == above->upper);
			link_add_locked(d, above);
		}
		l = copy_reserve_take_locked(d);
		*l = (struct copy_link){ .upper = upper,
			.lower = lower,
			.upper_first = upper_first,
			.lower_first = lower_first,
			.count = count };
		link_add_locked(d, l);
		link_join_locked(d, l);
	}
	copies_unlock(d);
	(void)copy_reserve_settle(d);
	return may ? 0 : has_room ? -EOPNOTSUPP : -ENOMEM;
}

void
copy_links_leave_begin(struct vm_object *o, uint64_t first, uint64_t end)
{
	struct daemon *d = o->daemon;
	struct copy_link *l;

	locks_assert_none();
	(void)copy_reserve_settle(d);
	copies_lock(d);
	copy_reserve_await_locked(d);
	ends_split_locked(o, first, end);
	for (uint64_t at = first; (l = link_within_locked(o, false, at, end)) != NULL;
	     at = l->upper_first + l->count)
		l->is_leaving = true;
	copies_unlock(d);
	(void)copy_reserve_settle(d);
}

/* Of a link that is in no tree: its first pages are not its own any more. */
static void
link_advance(struct copy_link *l, uint64_t count)
{
	CHECK(count < l->count);
	l->upper_first += count;
	l->lower_first += count;
	l->count -= count;
}

/* The link's first pages are in no link any more. */
static void
link_shorten_locked(struct daemon *d, struct copy_link *l, uint64_t count)
{
	lock_assert_held(&d->copies.lock);
	CHECK(count <= l->count);
	if (count == l->count) {
		link_drop_locked(d, l);
		copy_reserve_put_locked(d, l);
		return;
	}
	link_take_locked(d, l);
	link_advance(l, count);
	link_add_locked(d, l);
}

/* The first pages of two links that meet become one link, past the object between them, which needs
 * no memory: where one of the two is longer it loses them, and the other is the new one. */
static void
bridge_locked(struct daemon *d, struct copy_link *above, struct copy_link *below, uint64_t count)
{
	struct vm_object *between = below->upper;
	struct copy_link *whole = above->count == count ? above : below,
			 *other = whole == above ? below : above;
	struct copy_link bridge = { .upper = above->upper,
		.upper_first = above->upper_first,
		.lower = below->lower,
		.lower_first = below->lower_first,
		.count = count,
		.is_leaving = above->is_leaving };

	lock_assert_held(&d->copies.lock);
	CHECK(below->is_leaving && whole->count == count && above->lower == between &&
	      above->lower_first == below->upper_first);
	link_take_locked(d, whole);
	link_take_locked(d, other);
	*whole = bridge;
	link_add_locked(d, whole);
	if (other->count > count) {
		link_advance(other, count);
		link_add_locked(d, other);
	} else {
		copy_reserve_put_locked(d, other);
	}
	linked_settle(between);
	link_join_locked(d, whole);
}

static void
beside_add(struct copy_besides *b, struct copy_place at, uint64_t count)
{
	CHECK(b->count < ARRAY_LEN(b->ranges));
	vm_object_get(at.object);
	b->ranges[b->count++] = (struct copy_beside){ .at = at, .count = count };
}

/* The first pages of [first, end) that have links, up to where one of these ends. */
static void
leave_locked(struct vm_object *o, uint64_t first, uint64_t end, struct copy_besides *ret)
{
	struct copy_link *above = link_within_locked(o, true, first, end),
			 *below = link_within_locked(o, false, first, end);
	uint64_t up = above ? above->lower_first : end, down = below ? below->upper_first : end,
		 at = min_u64(up, down), to = end;

	lock_assert_held(&o->daemon->copies.lock);
	if (above)
		to = min_u64(to, up > at ? up : up + above->count);
	if (below)
		to = min_u64(to, down > at ? down : down + below->count);
	if (above && up == at)
		beside_add(ret, place_above(above, at), to - at);
	if (below && down == at)
		beside_add(ret, place_below(below, at), to - at);
	if (ret->count == ARRAY_LEN(ret->ranges))
		bridge_locked(o->daemon, above, below, to - at);
	else if (ret->count > 0)
		link_shorten_locked(o->daemon, up == at ? above : below, to - at);
}

bool
copy_links_leave(struct vm_object *o, uint64_t first, uint64_t end, struct copy_besides *ret)
{
	struct daemon *d = o->daemon;

	locks_assert_none();
	ret->count = 0;
	(void)copy_reserve_settle(d);
	copies_lock(d);
	copy_reserve_await_locked(d);
	/* Copies may have been made meanwhile. */
	ends_split_locked(o, first, end);
	leave_locked(o, first, end, ret);
	copies_unlock(d);
	(void)copy_reserve_settle(d);
	return ret->count > 0;
}

/* --- files --- */

int
copy_link_follow(struct vm_object *file, uint64_t first, struct vm_object *upper,
    uint64_t upper_first, uint64_t count)
{
	struct daemon *d = file->daemon;
	struct copy_link *l;
	bool may;

	locks_assert_none();
	if (!copy_reserve_settle(d))
		return -ENOMEM;
	CHECK(file->external && !upper->external && !upper->is_device);
	CHECK(count > 0 && first + count <= file->page_count &&
	      upper_first + count <= upper->page_count);
	copies_lock(d);
	may = load_relaxed(&file->external->follower_count) < FOLLOWERS_MAX &&
	      upper->link_count + 3 <= COPY_LINKS_MAX &&
	      load_relaxed(&d->copies.reserve_count) > COPY_SPLITS;
	if (may) {
		l = copy_reserve_take_locked(d);
		*l = (struct copy_link){ .upper = upper,
			.lower = file,
			.upper_first = upper_first,
			.lower_first = first,
			.count = count };
		link_add_locked(d, l);
		link_join_locked(d, l);
	}
	copies_unlock(d);
	(void)copy_reserve_settle(d);
	return may ? 0 : -ENOMEM;
}
