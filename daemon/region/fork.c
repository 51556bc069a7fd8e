/* SPDX-License-Identifier: MIT
 *
 * A child's map. Runs on: jobs of the parent, so the parent's map stays as it is.
 */
#include "region/fork.h"

#include <errno.h>
#include <stdlib.h>

#include "pmap/pmap.h"
#include "region/range.h"
#include "transit/copy_make.h"
#include "transit/purge.h"
#include "transit/release.h"
#include "vm/vm_map.h"
#include "vm/vm_object.h"
#include "vm/vm_share.h"

/* Pages that are busy at a time while they are write-protected. */
#define PROTECT_PAGES 64u

/* A mapping of the parent's, and that of the child which takes its place. */
struct pair {
	const struct vm_mapping *parents;
	struct vm_mapping *childs; /* with a reference */
};

struct inheriting {
	struct task *parent, *child;
	struct fork_physical *physical;
	struct pair *pairs;
	unsigned count, room;
};

/* --- what the copy machinery does not take --- */

static void
pages_let_go(struct vm_object *o, uint64_t first, unsigned count)
{
	locks_assert_none();
	for (unsigned i = 0; i < count; i++) {
		uint64_t slot = load_relaxed(vm_object_slot(o, first + i));

		vm_object_unbusy(o, first + i, &o->daemon->frames.pages[slot_frame(slot)]);
	}
}

/* Makes resident pages that follow one another busy, from the first one on that there is. => how
 * many; 0: there is none below end */
static unsigned
pages_take(struct vm_object *o, uint64_t *first, uint64_t end)
{
	unsigned count = 0;

	lock_acquire(&o->lock);
	while (*first + count < end && count < PROTECT_PAGES) {
		uint64_t at = *first + count, live = vm_object_next_live(o, at, end), slot = 0;
		struct vm_page *p;

		if (live == at)
			slot = load_relaxed(vm_object_slot(o, at));
		if (live > at || slot_kind(slot) != SLOT_RESIDENT) {
			if (count > 0)
				break;
			*first = max_u64(live, at + 1);
			continue;
		}
		p = &o->daemon->frames.pages[slot_frame(slot)];
		if (vm_page_busy_only(p)) {
			count++;
			continue;
		}
		if (count > 0)
			break;
		/* O is let go meanwhile, and the page may be another one. */
		vm_object_wait_unbusy(o, p);
	}
	lock_release(&o->lock);
	return count;
}

/* From now on a write to resident pages is a fault. => 0 or -errno */
static int
pages_protect(struct vm_object *o, uint64_t first, uint64_t end)
{
	unsigned count;
	int error = 0;

	while (!error && first < end && (count = pages_take(o, &first, end)) > 0) {
		error = pmap_protect(o, first, first + count);
		pages_let_go(o, first, count);
		first += count;
	}
	return error;
}

/* address: with PAGER_FORK_ZEROES where that is so. => 0 or -E2BIG */
static int
physical_add(struct fork_physical *physical, uint64_t address, uint64_t size)
{
	struct pager_wire_range *last = physical->ranges + physical->count;

	if (physical->count > 0 && last[-1].address + last[-1].size == address) {
		last[-1].size += size;
		return 0;
	}
	if (physical->count == PAGER_FORK_PHYSICAL_MAX)
		return -E2BIG;
	*last = (struct pager_wire_range){ address, size };
	physical->count++;
	return 0;
}

/* --- entries --- */

static uint64_t
page_of(const struct vm_entry *e, uint64_t address)
{
	INVARIANT(e->start <= address && address < e->end);
	return (e->offset + (address - e->start)) >> e->mapping->object->daemon->page_shift;
}

/* Ranges that are left for what has content, where what has none is told apart. */
#define PHYSICAL_LEFT 64u

/* All of it is the client's to copy, but pages that have no content are known to be zeroes. */
static int
physical_add_all(struct inheriting *in, const struct vm_entry *e, uint64_t start, uint64_t end)
{
	struct vm_object *o = e->mapping->object;
	unsigned shift = o->daemon->page_shift;
	uint64_t first = page_of(e, start), last = first + ((end - start) >> shift), until;
	int error = 0;

	for (uint64_t i = first; !error && i < last; i = until) {
		uint64_t live = vm_object_next_live(o, i, last), address;
		bool is_zero =
		    live > i && in->physical->count + PHYSICAL_LEFT < PAGER_FORK_PHYSICAL_MAX;

		until = is_zero ? live : i + 1;
		while (!is_zero && until < last && vm_object_next_live(o, until, last) == until)
			until++;
		address = start + ((i - first) << shift);
		error = physical_add(in->physical, address | (is_zero ? PAGER_FORK_ZEROES : 0),
		    (until - i) << shift);
	}
	return error;
}

/* The child gets what the parent has in [start, end), there, in that mapping. A wire is of the
 * process that has made it. => 0 or as range_room_locked */
static int
entry_insert(struct inheriting *in, const struct vm_entry *e, uint64_t start, uint64_t end,
    struct vm_mapping *mapping)
{
	struct range range = { .task = in->child, .address = start, .end = end, .at = start };
	struct vm_entry entry = *e;
	int error;

	entry.start = start;
	entry.end = end;
	entry.mapping = mapping;
	entry.offset = start - mapping->base;
	entry.user_wired_count = entry.wired_count = entry.pin_count = 0;
	lock_acquire(&in->child->map.lock);
	error = range_room_locked(&range);
	if (!error) {
		vm_mapping_get(mapping);
		vm_map_insert(&in->child->map, &entry);
	}
	lock_release(&in->child->map.lock);
	return error;
}

/* The child sees the same pages. */
static int
entry_share(struct inheriting *in, const struct vm_entry *e, uint64_t start, uint64_t end)
{
	struct vm_object *o = e->mapping->object;
	unsigned page_shift = o->daemon->page_shift;
	uint64_t first = page_of(e, start), pages = (end - start) >> page_shift;
	struct vm_mapping *mapping = vm_mapping_blank();
	int error;

	CHECK(o->is_shareable);
	if (!mapping)
		return -ENOMEM;
	mapping->is_read_only = e->mapping->is_read_only;
	lock_acquire(&in->child->map.lock);
	error = vm_mapping_join_locked(
	    mapping, o, in->child, start - (first << page_shift), first, first + pages);
	lock_release(&in->child->map.lock);
	if (error) {
		vm_mapping_blank_free(mapping);
		return error;
	}
	error = entry_insert(in, e, start, end, mapping);
	vm_mapping_put(mapping);
	vm_object_lane_settle(o);
	return error;
}

/* => an object of the child's, and its mapping, with a reference */
static int
object_make(struct inheriting *in, uint64_t pages, enum object_use use, uint64_t base,
    struct vm_mapping **ret)
{
	struct daemon *d = in->child->daemon;
	struct vm_object *o;
	int error;

	if (load_relaxed(&in->child->objects) >= param(d, max_client_objects))
		return -EDQUOT;
	error = vm_object_create(d, in->child, pages, use, &o);
	if (error)
		return error;
	error = vm_mapping_create(o, in->child, base, 0, pages, ret);
	vm_object_put(o);
	return error;
}

/* The child's mapping in place of one of an object that only the parent sees: of an object of the
 * same size, in which what is allocated later finds the same room. => 0; the table keeps the
 * reference */
static int
pair_get(struct inheriting *in, const struct vm_mapping *m, struct vm_mapping **ret)
{
	struct pair *pairs = in->pairs;
	int error;

	for (unsigned i = in->count; i > 0; i--)
		if (pairs[i - 1].parents == m) {
			*ret = pairs[i - 1].childs;
			return 0;
		}
	if (in->count == in->room) {
		unsigned room = in->room ? in->room * 2 : 16;

		pairs = realloc(in->pairs, room * sizeof(*pairs));
		if (!pairs)
			return -ENOMEM;
		in->pairs = pairs;
		in->room = room;
	}
	error = object_make(in, m->object->page_count,
	    m->object->alone ? OBJECT_ALONE : OBJECT_CHUNK, m->base, ret);
	if (!error)
		pairs[in->count++] = (struct pair){ m, *ret };
	return error;
}

/* The child's pages in [start, end) become copies of the parent's. */
static int
content_copy(struct inheriting *in, const struct vm_entry *e, uint64_t start, uint64_t end,
    const struct vm_mapping *mapping)
{
	struct vm_object *o = e->mapping->object;
	unsigned page_shift = o->daemon->page_shift;
	uint64_t first = page_of(e, start), pages = (end - start) >> page_shift;
	int error = 0;

	/* Content that may be thrown away at any moment is not copied. */
	if (o->is_purgeable && vm_object_purgeable_get(o) != PURGEABLE_NONVOLATILE)
		return o->daemon->keeper
			   ? physical_add(in->physical, start | PAGER_FORK_ZEROES, end - start)
			   : 0;
	/* Faults that were found before the barrier have their pages busy then. */
	vm_object_settle(o);
	/* What is wired is copied at once and may be written to on, and not before this is over. */
	if (e->wired_count > 0)
		error = pages_protect(o, first, first + pages);
	if (error)
		return error;
	/* Links of copies do not outlive a worker. */
	if (o->daemon->keeper) {
		error = pages_protect(o, first, first + pages);
		return error ? error : physical_add_all(in, e, start, end);
	}
	error = vm_object_copy_range(
	    o, first, mapping->object, (start - mapping->base) >> page_shift, pages);
	if (error != -EOPNOTSUPP && error != -ENOBUFS)
		return error;
	/* The thread that forks could not read what its agent must map first. */
	if (vm_mapping_has_windows(e->mapping))
		return -ENOMEM;
	error = pages_protect(o, first, first + pages);
	return error ? error : physical_add(in->physical, start, end - start);
}

/* The child gets pages of its own with the content of the parent's. */
static int
entry_copy(struct inheriting *in, const struct vm_entry *e, uint64_t start, uint64_t end)
{
	struct vm_object *o = e->mapping->object;
	uint64_t pages = (end - start) >> o->daemon->page_shift;
	struct vm_mapping *mapping;
	int error;

	/* A mapping of a shareable object says exactly what is seen, so each part has its own. */
	if (o->is_shareable) {
		error = object_make(
		    in, pages, o->external ? OBJECT_ALONE : OBJECT_SHAREABLE, start, &mapping);
	} else {
		error = pair_get(in, e->mapping, &mapping);
		if (!error)
			vm_mapping_get(mapping);
	}
	if (error)
		return error;
	error = entry_insert(in, e, start, end, mapping);
	if (!error)
		error = content_copy(in, e, start, end, mapping);
	vm_mapping_put(mapping);
	return error;
}

/* The first part of [start, end) that no page list of the parent's covers. => false: there is none
 */
static bool
part_without_lists(const struct task *task, uint64_t *start, uint64_t *end)
{
	const struct page_list *l = task->lists;

	while (l && *start < *end) {
		if (l->end <= *start || l->address >= *end) {
			l = l->next;
		} else if (l->address <= *start) {
			*start = l->end;
			l = task->lists;
		} else {
			*end = l->address;
			l = l->next;
		}
	}
	return *start < *end;
}

static int
entry_inherit(struct inheriting *in, const struct vm_entry *e)
{
	const struct vm_object *o = e->mapping->object;
	/* A submap's regions are everybody's. */
	bool shares = e->inheritance == PAGER_INHERIT_SHARE || o->submap;
	uint64_t start, end;
	int error = 0;

	if (e->inheritance == PAGER_INHERIT_NONE || o->is_device)
		return 0;
	for (uint64_t at = e->start; !error && at < e->end; at = end) {
		start = at;
		end = e->end;
		if (!part_without_lists(in->parent, &start, &end))
			break;
		error = shares && o->is_shareable ? entry_share(in, e, start, end)
						  : entry_copy(in, e, start, end);
	}
	return error;
}

int
region_fork(struct task *parent, struct task *child, struct fork_physical *ret)
{
	struct inheriting in = { .parent = parent, .child = child, .physical = ret };
	struct vm_entry e;
	int error = 0;

	locks_assert_none();
	CHECK_OBJ(parent, TASK_MAGIC);
	CHECK(child->map.count == 0);
	ret->count = 0;
	for (uint64_t at = 0; !error && task_entry_get(parent, at, &e); at = e.end) {
		error = entry_inherit(&in, &e);
		vm_mapping_put(e.mapping);
	}
	for (unsigned i = 0; i < in.count; i++)
		vm_mapping_put(in.pairs[i].childs);
	free(in.pairs);
	return error;
}
