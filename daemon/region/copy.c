/* SPDX-License-Identifier: MIT
 *
 * Copies of ranges. Runs on: jobs.
 */
#include "region/copy.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "own.h"
#include "region/page_list.h"
#include "region/piece.h"
#include "transit/copy_make.h"
#include "transit/discard.h"
#include "vm/copy_link.h"
#include "vm/copy_look.h"
#include "vm/submap.h"
#include "vm/vm_map.h"
#include "vm/vm_mapping.h"

/* Cost of a page that is copied (piece.h): it is protected. */
#define COST_COPY 4u

struct copy_held {
	struct copy_held *next;   /* of the task's */
	uint64_t id;              /* never used again by the task */
	struct vm_object *object; /* with a reference */
	uint64_t at; /* page: those below have come, or, as it is put or discarded, gone */
};

static int
entry_check(const struct vm_entry *e, const struct range *range, uint32_t right)
{
	const struct vm_object *o = e->mapping->object;
	unsigned shift = o->daemon->page_shift;
	uint64_t start = max_u64(e->start, range->address), end = min_u64(e->end, range->end);

	if (!(e->protection & right) || (right == PROT_WRITE && e->mapping->is_read_only))
		return -EACCES;
	if (o->external || o->is_device || o->is_purgeable || e->wired_count > 0)
		return -EOPNOTSUPP;
	/* A copy is what it was; a file that this follows may change. */
	if (right == PROT_READ && copies_follow(o, (e->offset + (start - e->start)) >> shift,
				      (e->offset + (end - e->start)) >> shift))
		return -EOPNOTSUPP;
	if (o->submap)
		return submap_allows((struct vm_object *)(uintptr_t)o,
		    (e->offset + (start - e->start)) >> shift,
		    (e->offset + (end - e->start)) >> shift, right);
	return 0;
}

static int
range_check(struct range *range, uint32_t right)
{
	struct vm_map *m = &range->task->map;
	int error = 0, by_content = 0;

	if (page_list_around(range))
		return -EBUSY;
	lock_acquire(&m->lock);
	if (!vm_map_is_covered(m, range->address, range->end))
		error = -EINVAL;
	for (uint32_t i = vm_map_index(m, range->address);
	     !error && i < m->count && m->entries[i].start < range->end; i++) {
		error = entry_check(&m->entries[i], range, right);
		/* What is not allowed is said first. */
		if (error == -EOPNOTSUPP) {
			by_content = error;
			error = 0;
		}
	}
	lock_release(&m->lock);
	return error ? error : by_content;
}

int
region_copy_check_destination(struct range *destination)
{
	locks_assert_none();
	return range_check(destination, PROT_WRITE);
}

int
region_copy_check(struct range *source, struct range *destination)
{
	int error = range_check(source, PROT_READ), other;

	locks_assert_none();
	if (!destination || (error && error != -EOPNOTSUPP))
		return error;
	CHECK(destination->end - destination->address == source->end - source->address);
	other = region_copy_check_destination(destination);
	if (other)
		return other;
	if (source->task == destination->task && source->address < destination->end &&
	    destination->address < source->end)
		return -EOPNOTSUPP;
	return error;
}

/* Pages at the beginning of what is left of a range, in one object. */
struct stretch {
	struct vm_mapping *mapping; /* with a reference */
	uint64_t first, count;      /* pages */
};

/* => false: nothing is allocated there any more */
static bool
stretch_get(const struct range *range, struct stretch *ret)
{
	unsigned shift = range->task->daemon->page_shift;
	struct vm_entry e;

	if (!task_entry_get(range->task, range->at, &e))
		return false;
	if (e.start > range->at) {
		vm_mapping_put(e.mapping);
		return false;
	}
	ret->mapping = e.mapping;
	ret->first = (e.offset + (range->at - e.start)) >> shift;
	ret->count = (min_u64(e.end, range->end) - range->at) >> shift;
	return true;
}

/* Two ranges of one object that lie on each other are none for vm_object_copy_range. */
static bool
overlap(const struct vm_object *a, uint64_t a_first, const struct vm_object *b, uint64_t b_first,
    uint64_t count)
{
	return a == b && a_first < b_first + count && b_first < a_first + count;
}

/* => how many pages of the stretch a piece may copy */
static uint64_t
piece_pages(const struct stretch *s, uint64_t most, unsigned *work)
{
	return piece_reach(s->mapping->object, s->first, s->first + min_u64(s->count, most),
		   COST_COPY, work) -
	       s->first;
}

int
region_copy(struct range *source, struct range *destination)
{
	unsigned shift = source->task->daemon->page_shift, work = 0;
	int error = 0;

	locks_assert_none();
	while (!error && !range_is_done(source) && work < PIECE_WORK) {
		struct stretch from, to;
		uint64_t count;

		if (!stretch_get(source, &from))
			return -EINVAL;
		if (!stretch_get(destination, &to)) {
			vm_mapping_put(from.mapping);
			return -EINVAL;
		}
		vm_object_settle(from.mapping->object);
		count = piece_pages(&from, to.count, &work);
		work += PIECE_ENTRY;
		error =
		    overlap(from.mapping->object, from.first, to.mapping->object, to.first, count)
			? -EOPNOTSUPP
			: vm_object_copy_range(from.mapping->object, from.first, to.mapping->object,
			      to.first, count);
		vm_mapping_put(from.mapping);
		vm_mapping_put(to.mapping);
		if (error)
			break;
		stat_add(source->stats, STAT_COPIES, count);
		source->at += count << shift;
		destination->at += count << shift;
	}
	return error;
}

/* --- copies that are held --- */

int
copy_held_create(struct task *task, uint64_t bytes, struct copy_held **ret)
{
	struct daemon *d = task->daemon;
	struct copy_held *c;
	int error;

	CHECK(bytes > 0 && bytes % d->page_bytes == 0);
	if (task->copy_count >= COPIES_HELD_MAX)
		return -EAGAIN;
	c = own_alloc(OWN_COPY_HELD, sizeof(*c));
	if (!c)
		return -ENOMEM;
	error = vm_object_create(d, task, bytes >> d->page_shift, OBJECT_ALONE, &c->object);
	if (error) {
		own_free(OWN_COPY_HELD, c);
		return error;
	}
	c->id = ++task->last_copy;
	c->next = task->copies;
	task->copies = c;
	task->copy_count++;
	*ret = c;
	return 0;
}

struct copy_held *
copy_held_find(struct task *task, uint64_t id)
{
	struct copy_held *c = task->copies;

	while (c && c->id != id)
		c = c->next;
	return c;
}

uint64_t
copy_held_id(const struct copy_held *c)
{
	return c->id;
}

uint64_t
copy_held_size(const struct copy_held *c)
{
	return (c->object->page_count - c->at) << c->object->daemon->page_shift;
}

int
copy_held_fill(struct copy_held *c, struct range *source)
{
	struct daemon *d = source->task->daemon;
	unsigned work = 0;
	int error = 0;

	locks_assert_none();
	while (!error && !range_is_done(source) && work < PIECE_WORK) {
		struct stretch from;
		uint64_t count;

		if (!stretch_get(source, &from))
			return -EINVAL;
		vm_object_settle(from.mapping->object);
		count = piece_pages(&from, c->object->page_count - c->at, &work);
		work += PIECE_ENTRY;
		error =
		    vm_object_copy_range(from.mapping->object, from.first, c->object, c->at, count);
		vm_mapping_put(from.mapping);
		if (error)
			break;
		stat_add(source->stats, STAT_COPIES, count);
		c->at += count;
		source->at += count << d->page_shift;
	}
	/* From now on it counts what goes. */
	if (!error && range_is_done(source))
		c->at = 0;
	return error;
}

int
copy_held_put(struct copy_held *c, struct range *destination)
{
	struct daemon *d = destination->task->daemon;
	unsigned work = 0;
	int error = 0;

	locks_assert_none();
	while (!error && !range_is_done(destination) && work < PIECE_WORK) {
		struct stretch to;
		uint64_t count;

		if (!stretch_get(destination, &to))
			return -EINVAL;
		count =
		    piece_reach(c->object, c->at, c->at + to.count, PIECE_DISCARD, &work) - c->at;
		work += PIECE_ENTRY;
		error = vm_object_copy_range(c->object, c->at, to.mapping->object, to.first, count);
		vm_mapping_put(to.mapping);
		if (error)
			break;
		/* What it has of its own moves, and the destination is a copy of the source now. */
		vm_object_discard(c->object, c->at, count);
		c->at += count;
		destination->at += count << d->page_shift;
	}
	return error;
}

static void
held_end(struct task *task, struct copy_held *c)
{
	struct copy_held **at = &task->copies;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	task->copy_count--;
	vm_object_put(c->object);
	own_free(OWN_COPY_HELD, c);
}

bool
copy_held_discard(struct task *task, struct copy_held *c)
{
	struct vm_object *o = c->object;
	unsigned work = 0;
	uint64_t to = piece_reach(o, c->at, o->page_count, PIECE_DISCARD, &work);

	locks_assert_none();
	if (to > c->at)
		vm_object_discard(o, c->at, to - c->at);
	c->at = to;
	if (to < o->page_count)
		return true;
	/* One that was still being filled has pages below. */
	if (vm_object_next_live(o, 0, to) < to || vm_object_is_linked(o, ~0u)) {
		c->at = 0;
		return true;
	}
	held_end(task, c);
	return false;
}

bool
copies_held_drop(struct task *task)
{
	if (!task->copies)
		return false;
	(void)copy_held_discard(task, task->copies);
	return task->copies != NULL;
}
