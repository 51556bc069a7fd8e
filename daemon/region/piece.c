/* SPDX-License-Identifier: MIT
 *
 * Ranges in pieces. Runs on: jobs.
 */
#include "region/piece.h"
#include "vm/vm_map.h"

struct piece
piece_begin(struct request *r, uint64_t address, uint64_t size, unsigned cost)
{
	return (struct piece){
		.map = &r->task->map,
		.page_shift = r->daemon->page_shift,
		.at = address + r->progress,
		.end = address + size,
		.cost = cost,
	};
}

void
piece_end(struct request *r, uint64_t address, const struct piece *p)
{
	r->progress = p->at - address;
	r->again = p->at < p->end;
}

uint64_t
piece_reach(const struct vm_object *o, uint64_t first, uint64_t last, unsigned cost, unsigned *work)
{
	while (first < last && *work < PIECE_WORK) {
		uint64_t to =
		    min_u64(round_down_u64(first, SLOTS_PER_BLOCK) + SLOTS_PER_BLOCK, last);

		if (vm_object_next_live(o, first, to) == to) {
			*work += PIECE_EMPTY;
		} else {
			to = min_u64(to, first + (PIECE_WORK - *work) / cost + 1);
			*work += (unsigned)(to - first) * cost;
		}
		first = to;
	}
	return first;
}

struct vm_entry
piece_take(struct vm_map *m, uint32_t i, unsigned page_shift, unsigned *work)
{
	const struct vm_entry *e = &m->entries[i];
	uint64_t first = e->offset >> page_shift,
		 last = first + ((e->end - e->start) >> page_shift);
	uint64_t reach = piece_reach(e->object, first, last, PIECE_DISCARD, work);

	*work += PIECE_ENTRY;
	return vm_map_remove_front(m, i, e->start + ((reach - first) << page_shift));
}

bool
piece_next(struct piece *p, struct part *ret)
{
	struct vm_entry *e;
	uint64_t from, to;

	if (p->at >= p->end || p->work + PIECE_ENTRY >= PIECE_WORK)
		return false;
	lock_acquire(&p->map->lock);
	e = vm_map_lookup_from(p->map, p->at);
	if (e && e->start < p->end) {
		ret->entry = *e;
		vm_object_get(e->object);
	} else {
		p->at = p->end;
	}
	lock_release(&p->map->lock);
	if (p->at == p->end)
		return false;
	/* What has been there when the map became what it is has been counted by now. */
	vm_object_settle(ret->entry.object);
	from = max_u64(p->at, ret->entry.start);
	to = min_u64(p->end, ret->entry.end);
	p->work += PIECE_ENTRY;
	ret->first = (ret->entry.offset + (from - ret->entry.start)) >> p->page_shift;
	ret->last = piece_reach(ret->entry.object, ret->first,
	    ret->first + ((to - from) >> p->page_shift), p->cost, &p->work);
	p->at = from + ((ret->last - ret->first) << p->page_shift);
	return true;
}
