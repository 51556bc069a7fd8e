/* SPDX-License-Identifier: MIT
 *
 * Submaps' regions. Runs on: fault servers (lookup), jobs and the control loop (changes). S held
 * for moments only; never blocks but for memory of the list.
 */
#include "vm/submap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "daemon.h"
#include "own.h"

#define ROOM_FIRST 16u

int
submap_create(struct vm_object *o)
{
	struct submap *s = own_alloc(OWN_SUBMAP, sizeof(*s));

	locks_assert_none();
	CHECK(o->is_shareable && !o->submap);
	if (!s)
		return -ENOMEM;
	lock_init(&s->lock, RANK_SUBMAP);
	lock_acquire(&o->lock);
	o->submap = s;
	lock_release(&o->lock);
	return 0;
}

void
submap_destroy(struct vm_object *o)
{
	struct submap *s = o->submap;

	locks_assert_none();
	CHECK(load_relaxed(&o->references) == 0 && s->changes == 0);
	if (o->submap_bytes > 0)
		bill_tables_give(o->daemon, o->bill, o->submap_bytes);
	own_free(OWN_SUBMAP, s->regions);
	lock_fini(&s->lock);
	own_free(OWN_SUBMAP, s);
	o->submap = NULL;
}

/* Bills the list's memory to whoever pays for the object. => 0, or what share_take says; S held */
static int
bytes_take_locked(struct vm_object *o, uint64_t bytes)
{
	int error;

	lock_assert_held(&o->submap->lock);
	lock_acquire(&o->lock);
	error = bill_tables_take(o->daemon, o->bill, bytes);
	if (!error)
		o->submap_bytes += bytes;
	lock_release(&o->lock);
	return error;
}

static void
bytes_give_locked(struct vm_object *o, uint64_t bytes)
{
	lock_assert_held(&o->submap->lock);
	lock_acquire(&o->lock);
	CHECK(o->submap_bytes >= bytes);
	o->submap_bytes -= bytes;
	bill_tables_give(o->daemon, o->bill, bytes);
	lock_release(&o->lock);
}

/* Room for two more regions, which any change needs at most. => 0 or -ENOMEM; S held */
static int
reserve_locked(struct vm_object *o)
{
	struct submap *s = o->submap;
	struct submap_region *regions;
	uint32_t room;
	uint64_t bytes;

	lock_assert_held(&s->lock);
	if (s->count + 2 <= s->room)
		return 0;
	room = s->room ? s->room * 2 : ROOM_FIRST;
	bytes = (room - s->room) * sizeof(*regions);
	if (bytes_take_locked(o, bytes) != 0)
		return -ENOMEM;
	regions = own_realloc(OWN_SUBMAP, s->regions, room * sizeof(*regions));
	if (!regions) {
		bytes_give_locked(o, bytes);
		return -ENOMEM;
	}
	s->regions = regions;
	s->room = room;
	return 0;
}

/* Index of the first region that ends above the page. */
static uint32_t
index_locked(const struct submap *s, uint64_t page)
{
	uint32_t low = 0, high = s->count;

	lock_assert_held(&s->lock);
	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (s->regions[middle].end <= page)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
insert_locked(struct submap *s, uint32_t i, const struct submap_region *region)
{
	lock_assert_held(&s->lock);
	CHECK(i <= s->count && s->count < s->room);
	CHECK(i == 0 || s->regions[i - 1].end <= region->start);
	CHECK(i == s->count || region->end <= s->regions[i].start);
	memmove(&s->regions[i + 1], &s->regions[i], (s->count - i) * sizeof(*region));
	s->regions[i] = *region;
	s->count++;
}

static void
drop_locked(struct submap *s, uint32_t i, uint32_t count)
{
	lock_assert_held(&s->lock);
	CHECK(i + count <= s->count);
	memmove(
	    &s->regions[i], &s->regions[i + count], (s->count - i - count) * sizeof(s->regions[0]));
	s->count -= count;
}

/* A region that holds the page in its midst becomes two. => there is room; S held */
static void
clip_locked(struct submap *s, uint64_t page)
{
	uint32_t i = index_locked(s, page);
	struct submap_region upper;

	lock_assert_held(&s->lock);
	if (i >= s->count || s->regions[i].start >= page)
		return;
	upper = s->regions[i];
	upper.start = page;
	s->regions[i].end = page;
	insert_locked(s, i + 1, &upper);
}

/* Leaving regions are each the work of one request, which takes it away from the front. */
static bool
are_alike(const struct submap_region *a, const struct submap_region *b)
{
	return a->end == b->start && a->protection == b->protection &&
	       a->max_protection == b->max_protection && a->tag == b->tag && !a->is_leaving &&
	       !b->is_leaving;
}

/* Joins equal neighbours around [first, end). */
static void
simplify_locked(struct submap *s, uint64_t first, uint64_t end)
{
	uint32_t i = index_locked(s, first);

	lock_assert_held(&s->lock);
	i -= i > 0;
	while (i + 1 < s->count && s->regions[i].start <= end) {
		if (!are_alike(&s->regions[i], &s->regions[i + 1])) {
			i++;
			continue;
		}
		s->regions[i].end = s->regions[i + 1].end;
		drop_locked(s, i + 1, 1);
	}
}

/* Whether regions that are not leaving cover all of [first, end). */
static bool
covers_locked(const struct submap *s, uint64_t first, uint64_t end)
{
	lock_assert_held(&s->lock);
	for (uint32_t i = index_locked(s, first); first < end; i++) {
		if (i >= s->count || s->regions[i].start > first || s->regions[i].is_leaving)
			return false;
		first = s->regions[i].end;
	}
	return true;
}

/* How many regions parting [first, end) from what lies around it adds. */
static uint32_t
clips_locked(const struct submap *s, uint64_t first, uint64_t end)
{
	uint32_t a = index_locked(s, first), b = index_locked(s, end);

	lock_assert_held(&s->lock);
	return (a < s->count && s->regions[a].start < first) +
	       (b < s->count && s->regions[b].start < end);
}

/* The change makes that many regions more, at most. => 0 or -ENOMEM; S held */
static int
may_grow_locked(struct vm_object *o, uint32_t by)
{
	struct submap *s = o->submap;

	lock_assert_held(&s->lock);
	if (by > 0 && s->count + by > param(o->daemon, max_client_regions))
		return -ENOMEM;
	return reserve_locked(o);
}

/* The lowest hole in which there is room. => false: there is none */
static bool
hole_find_locked(const struct vm_object *o, const struct submap_place *place, uint64_t *ret_first)
{
	const struct submap *s = o->submap;
	uint64_t low = 0;

	lock_assert_held(&s->lock);
	CHECK(place->align > 0 && (place->align & (place->align - 1)) == 0);
	for (uint32_t i = 0; i <= s->count; i++) {
		uint64_t high = i < s->count ? s->regions[i].start : o->page_count;
		uint64_t at = round_up_u64(low, place->align);

		if (at >= low && at <= high && place->count <= high - at) {
			*ret_first = at;
			return true;
		}
		if (i < s->count)
			low = s->regions[i].end;
	}
	return false;
}

/* => as submap_add; S held */
static int
place_locked(const struct vm_object *o, const struct submap_place *place, uint64_t *ret_first)
{
	const struct submap *s = o->submap;
	uint32_t i;

	lock_assert_held(&s->lock);
	if (!place->is_fixed)
		return hole_find_locked(o, place, ret_first) ? 0 : -ENOMEM;
	if (place->first >= o->page_count || place->count > o->page_count - place->first)
		return -EINVAL;
	i = index_locked(s, place->first);
	if (i < s->count && s->regions[i].start < place->first + place->count)
		return -EEXIST;
	*ret_first = place->first;
	return 0;
}

int
submap_add(struct vm_object *o, const struct submap_place *place, uint32_t protection, uint32_t tag,
    uint64_t *ret_first)
{
	struct submap *s = o->submap;
	struct submap_region region = {
		.protection = protection, .max_protection = PROT_READ | PROT_WRITE, .tag = tag
	};
	int error;

	locks_assert_none();
	CHECK(s && place->count > 0);
	lock_acquire(&s->lock);
	error = place_locked(o, place, &region.start);
	if (!error)
		error = may_grow_locked(o, 1);
	if (!error) {
		region.end = region.start + place->count;
		insert_locked(s, index_locked(s, region.start), &region);
		simplify_locked(s, region.start, region.end);
		*ret_first = region.start;
	}
	lock_release(&s->lock);
	return error;
}

int
submap_remove(struct vm_object *o, uint64_t first, uint64_t end)
{
	struct submap *s = o->submap;
	int error;

	locks_assert_none();
	CHECK(s && first < end && end <= o->page_count);
	lock_acquire(&s->lock);
	error = covers_locked(s, first, end) ? 0 : -EINVAL;
	/* A part in the midst of a region makes three of it for a while. */
	if (!error)
		error = may_grow_locked(o, clips_locked(s, first, end));
	if (!error) {
		uint32_t i, last;

		clip_locked(s, first);
		clip_locked(s, end);
		i = index_locked(s, first);
		last = index_locked(s, end - 1);
		s->regions[i] =
		    (struct submap_region){ .start = first, .end = end, .is_leaving = true };
		drop_locked(s, i + 1, last - i);
	}
	lock_release(&s->lock);
	return error;
}

void
submap_left(struct vm_object *o, uint64_t first, uint64_t to)
{
	struct submap *s = o->submap;
	struct submap_region *region;
	uint32_t i;

	locks_assert_none();
	lock_acquire(&s->lock);
	i = index_locked(s, first);
	CHECK(i < s->count && first < to);
	region = &s->regions[i];
	CHECK(region->is_leaving && region->start == first && to <= region->end);
	if (to < region->end)
		region->start = to;
	else
		drop_locked(s, i, 1);
	lock_release(&s->lock);
}

/* => 0 or -EACCES: a maximum lacks a right; S held */
static int
may_have_locked(const struct submap *s, uint64_t first, uint64_t end, uint32_t protection)
{
	lock_assert_held(&s->lock);
	for (uint32_t i = index_locked(s, first); i < s->count && s->regions[i].start < end; i++)
		if (protection & ~s->regions[i].max_protection)
			return -EACCES;
	return 0;
}

int
submap_protect(
    struct vm_object *o, uint64_t first, uint64_t end, uint32_t protection, bool is_maximum)
{
	struct submap *s = o->submap;
	int error;

	locks_assert_none();
	CHECK(s && first < end && end <= o->page_count);
	lock_acquire(&s->lock);
	error = covers_locked(s, first, end) ? may_have_locked(s, first, end, protection) : -EINVAL;
	if (!error)
		error = may_grow_locked(o, clips_locked(s, first, end));
	if (!error) {
		clip_locked(s, first);
		clip_locked(s, end);
		for (uint32_t i = index_locked(s, first); i < s->count && s->regions[i].start < end;
		     i++) {
			struct submap_region *region = &s->regions[i];

			if (is_maximum)
				region->max_protection = protection;
			region->protection =
			    is_maximum ? region->protection & protection : protection;
		}
		simplify_locked(s, first, end);
		s->changes++;
	}
	lock_release(&s->lock);
	return error;
}

void
submap_protected(struct vm_object *o)
{
	struct submap *s = o->submap;

	locks_assert_none();
	lock_acquire(&s->lock);
	CHECK(s->changes > 0);
	s->changes--;
	lock_release(&s->lock);
}

uint32_t
submap_rights(struct vm_object *o, uint64_t page)
{
	struct submap *s = o->submap;
	uint32_t rights = PROT_NONE, i;

	locks_assert_none();
	CHECK(s && page < o->page_count);
	lock_acquire(&s->lock);
	i = index_locked(s, page);
	if (i < s->count && s->regions[i].start <= page)
		rights =
		    s->regions[i].is_leaving ? PROT_READ | PROT_WRITE : s->regions[i].protection;
	if (s->changes > 0)
		rights = PROT_READ | PROT_WRITE;
	lock_release(&s->lock);
	return rights;
}

bool
submap_find_locked(struct submap *s, uint64_t page, struct submap_region *ret)
{
	const struct submap_region *region = NULL;
	uint32_t i = s->hint;

	lock_assert_held(&s->lock);
	if (i >= s->count || page < s->regions[i].start || page >= s->regions[i].end)
		i = index_locked(s, page);
	if (i < s->count && s->regions[i].start <= page) {
		s->hint = i;
		region = &s->regions[i];
	}
	if (!region || region->is_leaving)
		return false;
	*ret = *region;
	return true;
}

bool
submap_region_at(struct vm_object *o, uint64_t page, struct submap_region *ret)
{
	struct submap *s = o->submap;
	uint32_t i;
	bool found;

	CHECK(s);
	lock_acquire(&s->lock);
	i = index_locked(s, page);
	while (i < s->count && s->regions[i].is_leaving)
		i++;
	found = i < s->count;
	if (found)
		*ret = s->regions[i];
	lock_release(&s->lock);
	return found;
}

int
submap_allows(struct vm_object *o, uint64_t first, uint64_t end, uint32_t protection)
{
	struct submap *s = o->submap;
	int error;

	CHECK(s && first < end);
	lock_acquire(&s->lock);
	error = covers_locked(s, first, end) ? 0 : -EFAULT;
	for (uint32_t i = index_locked(s, first);
	     !error && i < s->count && s->regions[i].start < end; i++)
		if (protection & ~s->regions[i].protection)
			error = -EACCES;
	lock_release(&s->lock);
	return error;
}
