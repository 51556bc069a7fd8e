/* SPDX-License-Identifier: MIT
 *
 * Requests that change a client's map: ALLOCATE (control loop), DEALLOCATE, WIRE, UNWIRE, BEHAVIOR
 * (jobs). Nothing a client says is trusted: ranges are checked against its own map before anything
 * is touched.
 */
#include <errno.h>
#include <sys/mman.h>

#include "region/piece.h"
#include "fault/fault.h"
#include "pageout/pageout.h"
#include "region/prefetch.h"
#include "vm/vm_map.h"
#include "transit/release.h"
#include "transit/discard.h"
#include "pagers/pager.h"

#define ADDRESS_MAX (1ull << 47)

static int
range_check(struct request *r, uint64_t address, uint64_t size)
{
	uint64_t page = r->daemon->page_bytes;

	if (size == 0 || (address | size) % page || address >= ADDRESS_MAX || size > ADDRESS_MAX ||
	    address + size > ADDRESS_MAX || address == 0)
		return -EINVAL;
	return 0;
}

static bool
object_covers(const struct vm_object *o, uint64_t address, uint64_t pages)
{
	return address >= o->base_address &&
	       address + (pages << o->daemon->page_shift) <= vm_object_address(o, o->page_count);
}

/* An object of this client in which the range lies: the last one made, or that of a neighbour. The
 * range being free, its pages there are nobody's. Without that each allocation into a hole would
 * make an object of 128 MiB. => NULL: none; M held */
static struct vm_object *
object_around(struct vm_map *m, uint64_t address, uint64_t pages)
{
	uint32_t above = vm_map_index(m, address);

	if (m->growing && object_covers(m->growing, address, pages))
		return m->growing;
	if (above > 0 && object_covers(m->entries[above - 1].object, address, pages))
		return m->entries[above - 1].object;
	if (above < m->count && object_covers(m->entries[above].object, address, pages))
		return m->entries[above].object;
	return NULL;
}

/* The object that a new range goes to, with a reference. => M held, may be dropped and retaken */
static int
object_for(struct request *r, uint64_t address, uint64_t pages, struct vm_object **ret)
{
	struct vm_map *m = &r->task->map;
	struct daemon *d = r->daemon;
	uint64_t chunk = max_u64(VM_OBJECT_CHUNK_BYTES >> d->page_shift, SLOTS_PER_RUN);
	struct vm_object *o = object_around(m, address, pages);
	int error;

	if (o) {
		vm_object_get(o);
		*ret = o;
		return 0;
	}
	if (load_relaxed(&r->task->objects) >= param(d, max_client_objects))
		return -EDQUOT;
	/* The lock is dropped: making an object is slow. Only the control loop allocates for this
	 * map. */
	lock_release(&m->lock);
	error = vm_object_create(d, r->task, pages * 2 > chunk ? pages : chunk, address, &o);
	lock_acquire(&m->lock);
	if (error)
		return error;
	if (o->page_count > pages) {
		struct vm_object *old = m->growing;

		vm_object_get(o);
		m->growing = o;
		if (old) {
			lock_release(&m->lock);
			vm_object_put(old);
			lock_acquire(&m->lock);
		}
	}
	*ret = o;
	return 0;
}

static bool
range_is_free(struct vm_map *m, uint64_t address, uint64_t size)
{
	struct vm_entry *e = vm_map_lookup_from(m, address);

	return !e || e->start >= address + size;
}

int
handle_allocate(struct request *r)
{
	const struct pager_req_allocate *in = r->body;
	struct pager_rep_allocate *out = r->reply;
	struct daemon *d = r->daemon;
	struct vm_map *m = &r->task->map;
	uint64_t pages = in->size >> d->page_shift;
	struct vm_object *o = NULL;
	int error = range_check(r, in->address, in->size);

	if (error)
		return error;
	if (in->flags != 0 || in->reserved != 0)
		return -EINVAL;
	lock_acquire(&m->lock);
	if (!range_is_free(m, in->address, in->size))
		error = -EEXIST;
	else if (m->virtual_bytes + in->size > param(d, max_client_virtual_bytes) ||
		 m->count >= param(d, max_client_regions))
		error = -EDQUOT;
	if (!error)
		error = vm_map_reserve(m);
	if (!error)
		error = object_for(r, in->address, pages, &o);
	if (!error) {
		struct vm_entry entry = {
			.start = in->address,
			.end = in->address + in->size,
			.object = o,
			.offset = in->address - o->base_address,
			.protection = PROT_READ | PROT_WRITE,
			.max_protection = PROT_READ | PROT_WRITE,
		};

		out->object_id = o->id;
		out->object_offset = entry.offset;
		r->reply_fd = o->memfd;
		vm_map_insert(m, &entry);
	}
	lock_release(&m->lock);
	return error == -ENOSPC || error == -EDQUOT ? -ENOMEM : error;
}

/* What is done with a page, in slots looked at (piece.h); the last two move what is in it. */
#define COST_WIRE     8u
#define COST_COOL     4u
#define COST_PREFETCH 128u
#define COST_PAGEOUT  2u

static unsigned
cost_of_content(const struct daemon *d, unsigned cost)
{
	return cost * (unsigned)(d->page_bytes / d->hw_bytes);
}

/* Walks the pages of a range that have a slot in use. */
struct walk {
	struct request *r;
	void (*page)(struct walk *w, struct vm_object *o, uint64_t index);
	uint64_t acted;
	bool skips_wired; /* entries that are */
};

/* A piece of it. No lock held. */
static void
walk_piece(struct walk *w, uint64_t address, uint64_t size, unsigned cost)
{
	struct piece p = piece_begin(w->r, address, size, cost);
	struct part part;

	while (piece_next(&p, &part)) {
		struct vm_object *o = part.entry.object;
		bool skip = w->skips_wired && part.entry.wired_count > 0;

		for (uint64_t i = part.first;
		     !skip && (i = vm_object_next_live(o, i, part.last)) < part.last; i++)
			w->page(w, o, i);
		vm_object_put(o);
	}
	piece_end(w->r, address, &p);
}

/* Whether giving the range back leaves more regions than the client may have: what lies within one
 * entry makes two. => M held */
static bool
parts_too_many(struct request *r, uint64_t start, uint64_t end)
{
	struct vm_map *m = &r->task->map;

	return m->count + 1 > param(r->daemon, max_client_regions) &&
	       vm_map_clips(m, start, end) == 2 && vm_map_index(m, start) == vm_map_index(m, end);
}

/* All of the range is the client's, and is parted from what lies around it. => 0, -EINVAL or
 * -ENOMEM */
static int
deallocate_begin(struct request *r, uint64_t start, uint64_t end)
{
	struct vm_map *m = &r->task->map;
	int error = 0;

	lock_acquire(&m->lock);
	if (!vm_map_is_covered(m, start, end))
		error = -EINVAL;
	else if (parts_too_many(r, start, end))
		error = -ENOMEM;
	if (!error)
		error = vm_map_reserve(m);
	if (!error)
		vm_map_clip(m, start, end);
	lock_release(&m->lock);
	return error;
}

/* Takes the first part of what is left out of the map. => false: nothing is left */
static bool
deallocate_take(
    struct request *r, uint64_t start, uint64_t end, unsigned *work, struct vm_entry *ret)
{
	struct vm_map *m = &r->task->map;
	uint32_t i;
	bool found;

	lock_acquire(&m->lock);
	i = vm_map_index(m, start);
	found = i < m->count && m->entries[i].start < end;
	if (found)
		*ret = piece_take(m, i, r->daemon->page_shift, work);
	lock_release(&m->lock);
	return found;
}

int
handle_deallocate(struct request *r)
{
	const struct pager_req_deallocate *in = r->body;
	struct pager_rep_deallocate *out = r->reply;
	struct daemon *d = r->daemon;
	uint64_t end = in->address + in->size, gone = 0;
	int error = range_check(r, in->address, in->size);
	unsigned work = 0;
	struct vm_entry e;

	if (!error && !r->resumed)
		error = deallocate_begin(r, in->address, end);
	if (error)
		return error;
	while (work < PIECE_WORK && (r->again = deallocate_take(r, in->address, end, &work, &e))) {
		gone += vm_object_discard(
		    e.object, e.offset >> d->page_shift, (e.end - e.start) >> d->page_shift);
		vm_object_put(e.object);
	}
	out->pages += gone;
	stat_add(r->stats, STAT_DISCARDS, gone);
	if (!r->again)
		task_wired_settle(r->task);
	return 0;
}

/* A change of the entries of [address, end). */
struct change {
	struct request *r;
	uint64_t address, end;
	int (*check)(struct change *c, const struct vm_entry *e); /* or NULL. => 0 or -errno */
	int (*agree)(struct change *c); /* or NULL: when nothing else can fail. => 0 or -errno */
	void (*apply)(struct change *c, struct vm_entry *e);
	uint32_t behavior;
	uint64_t wired_bytes; /* so many more are promised to be wired */
};

/* Entry by entry. => 0, -EINVAL (not all of it is allocated), -ENOMEM (also: it would part entries,
 * and the client may not have more), or what the check says: nothing has changed then */
static int
entries_change(struct change *c)
{
	struct vm_map *m = &c->r->task->map;
	int error = 0;

	lock_acquire(&m->lock);
	if (!vm_map_is_covered(m, c->address, c->end))
		error = -EINVAL;
	else if (m->count + vm_map_clips(m, c->address, c->end) >
		 max_u64(m->count, param(c->r->daemon, max_client_regions)))
		error = -ENOMEM;
	if (!error)
		error = vm_map_reserve(m);
	for (uint32_t i = vm_map_index(m, c->address);
	     !error && c->check && i < m->count && m->entries[i].start < c->end; i++)
		error = c->check(c, &m->entries[i]);
	if (!error && c->agree)
		error = c->agree(c);
	if (!error) {
		vm_map_clip(m, c->address, c->end);
		for (uint32_t i = vm_map_index(m, c->address);
		     i < m->count && m->entries[i].start < c->end; i++)
			c->apply(c, &m->entries[i]);
		vm_map_simplify(m, c->address, c->end);
	}
	lock_release(&m->lock);
	return error == -ENOSPC || error == -EDQUOT ? -ENOMEM : error;
}

/* A page as a job wants it: waited for until it is not busy, then ours. => NULL: not resident */
static struct vm_page *
page_busy_wait(struct daemon *d, struct vm_object *o, uint64_t index, uint32_t *ret_frame)
{
	struct vm_page *p = NULL;

	lock_acquire(&o->lock);
	for (;;) {
		uint64_t slot = load_relaxed(vm_object_slot(o, index));

		if (slot_kind(slot) != SLOT_RESIDENT)
			break;
		*ret_frame = slot_frame(slot);
		p = &d->frames.pages[*ret_frame];
		if (vm_page_busy_only(p))
			break;
		vm_object_wait_unbusy(o, p);
		p = NULL;
	}
	lock_release(&o->lock);
	return p;
}

static void
wire_page(struct walk *w, struct vm_object *o, uint64_t index)
{
	struct daemon *d = w->r->daemon;
	uint32_t frame;
	struct vm_page *p = page_busy_wait(d, o, index, &frame);
	struct cref given_up;

	if (!p)
		return;
	given_up.v = p->cref;
	p->cref = 0;
	vm_page_flags_set(p, PAGE_DIRTY);
	lock_acquire(&d->pageq.lock);
	pageq_wire_locked(d, o, frame);
	lock_release(&d->pageq.lock);
	if (given_up.v)
		pager_drop(o, given_up);
	vm_object_unbusy(o, index, p);
	w->acted++;
}

static void
unwire_page(struct walk *w, struct vm_object *o, uint64_t index)
{
	struct daemon *d = w->r->daemon;
	uint32_t frame;
	struct vm_page *p = page_busy_wait(d, o, index, &frame);

	if (!p)
		return;
	lock_acquire(&d->pageq.lock);
	pageq_unwire_locked(d, o, frame);
	lock_release(&d->pageq.lock);
	vm_object_unbusy(o, index, p);
}

static void
entry_wire(struct change *c, struct vm_entry *e)
{
	vm_map_wire(&c->r->task->map, e, 1);
}

static void
entry_unwire(struct change *c, struct vm_entry *e)
{
	vm_map_wire(&c->r->task->map, e, -1);
}

static int
entry_is_wired(struct change *c, const struct vm_entry *e)
{
	(void)c;
	return e->wired_count > 0 ? 0 : -EINVAL;
}

/* What is wired already is promised already. */
static int
entry_may_wire(struct change *c, const struct vm_entry *e)
{
	if (e->wired_count == 0)
		c->wired_bytes += min_u64(e->end, c->end) - max_u64(e->start, c->address);
	return e->wired_count < UINT16_MAX ? 0 : -EAGAIN;
}

/* Half of a process's limit at most is wired. */
static int
take_wired(struct change *c)
{
	struct task *task = c->r->task;
	struct process *process = task->bill.process;
	uint64_t limit = load_relaxed(&process->limit_pages) << c->r->daemon->page_shift;
	uint64_t wired = fetch_add_relaxed(&process->wired_bytes, c->wired_bytes) + c->wired_bytes;

	if ((limit && c->wired_bytes && wired > limit / 2) ||
	    share_take(c->r->daemon, task->bill.account, SHARE_WIRED, c->wired_bytes) != 0) {
		fetch_sub_relaxed(&process->wired_bytes, c->wired_bytes);
		return -EAGAIN;
	}
	task->wired_billed += c->wired_bytes;
	return 0;
}

/* The limits are on what may become wired, touched or not: a promise counts from WIRE on, until the
 * pages have gone. */
int
handle_wire(struct request *r)
{
	const struct pager_req_wire *in = r->body;
	struct walk w = { r, wire_page, 0, false };
	struct change c = { .r = r,
		.address = in->address,
		.end = in->address + in->size,
		.check = entry_may_wire,
		.agree = take_wired,
		.apply = entry_wire };
	int error = range_check(r, in->address, in->size);

	if (!error && !r->resumed)
		error = entries_change(&c);
	if (!error)
		walk_piece(&w, in->address, in->size, COST_WIRE);
	return error;
}

int
handle_unwire(struct request *r)
{
	const struct pager_req_unwire *in = r->body;
	struct change c = { .r = r,
		.address = in->address,
		.end = in->address + in->size,
		.check = entry_is_wired,
		.apply = entry_unwire };
	/* Pages of entries that nobody wires any more. */
	struct walk w = { r, unwire_page, 0, .skips_wired = true };
	int error = range_check(r, in->address, in->size);

	if (!error && !r->resumed)
		error = entries_change(&c);
	if (!error)
		walk_piece(&w, in->address, in->size, COST_WIRE);
	if (!error && !r->again)
		task_wired_settle(r->task);
	return error;
}

static void
entry_behave(struct change *c, struct vm_entry *e)
{
	e->behavior = c->behavior;
}

#define COOL_BATCH 64u
struct cool {
	struct walk walk;
	struct pageout_worker worker; /* zap() wants one for its statistics */
	struct victim victims[COOL_BATCH];
	unsigned count;
};

static void
cool_flush(struct cool *c)
{
	zap(&c->worker, c->victims, c->count);
	for (unsigned i = 0; i < c->count; i++)
		vm_object_put(c->victims[i].object);
	c->count = 0;
}

static void
cool_page(struct walk *w, struct vm_object *o, uint64_t index)
{
	struct cool *c = container_of(w, struct cool, walk);
	struct daemon *d = w->r->daemon;
	bool cooled;

	lock_acquire(&d->pageq.lock);
	cooled = pageq_deactivate_page_locked(d, o, index);
	lock_release(&d->pageq.lock);
	if (!cooled)
		return;
	vm_object_get(o);
	c->victims[c->count++] = (struct victim){ vm_object_pol_page(o, index), FRAME_NONE, o };
	w->acted++;
	if (c->count == COOL_BATCH)
		cool_flush(c);
}

static uint64_t
cool_piece(struct request *r, uint64_t address, uint64_t size)
{
	struct cool c = { .walk = { r, cool_page, 0, false } };

	c.worker.daemon = r->daemon;
	c.worker.stats = r->stats;
	walk_piece(&c.walk, address, size, COST_COOL);
	if (c.count > 0)
		cool_flush(&c);
	stat_add(r->stats, STAT_DEACTIVATIONS, c.walk.acted);
	return c.walk.acted;
}

static uint64_t
free_piece(struct request *r, uint64_t address, uint64_t size)
{
	struct piece p = piece_begin(r, address, size, PIECE_DISCARD);
	uint64_t gone = 0;
	struct part part;

	while (piece_next(&p, &part)) {
		gone += vm_object_discard(part.entry.object, part.first, part.last - part.first);
		vm_object_put(part.entry.object);
	}
	piece_end(r, address, &p);
	stat_add(r->stats, STAT_DISCARDS, gone);
	return gone;
}

static uint64_t
evict_piece(struct request *r, uint64_t address, uint64_t size)
{
	struct daemon *d = r->daemon;
	struct piece p = piece_begin(r, address, size, cost_of_content(d, COST_PAGEOUT));
	uint64_t pages = 0;
	struct part part;

	while (piece_next(&p, &part)) {
		pages += evict(
		    part.entry.object, part.first, part.last, (p.end - p.at) >> d->page_shift);
		vm_object_put(part.entry.object);
	}
	piece_end(r, address, &p);
	stat_add(r->stats, STAT_EVICTIONS, pages);
	return pages;
}

static void
prefetch_one(struct walk *w, struct vm_object *o, uint64_t index)
{
	w->acted += prefetch_page(w->r->daemon, o, index);
}

static uint64_t
prefetch_piece(struct request *r, uint64_t address, uint64_t size)
{
	/* Speculative pages, which nothing in a wired range is. */
	struct walk w = { r, prefetch_one, 0, .skips_wired = true };

	walk_piece(&w, address, size, cost_of_content(r->daemon, COST_PREFETCH));
	stat_add(r->stats, STAT_PREFETCHES, w.acted);
	return w.acted;
}

static bool
range_is_covered(struct request *r, uint64_t address, uint64_t size)
{
	bool covered;

	lock_acquire(&r->task->map.lock);
	covered = vm_map_is_covered(&r->task->map, address, address + size);
	lock_release(&r->task->map.lock);
	return covered;
}

int
handle_behavior(struct request *r)
{
	const struct pager_req_behavior *in = r->body;
	struct pager_rep_behavior *out = r->reply;
	int error = range_check(r, in->address, in->size);

	if (error)
		return error;
	if (in->reserved != 0 || in->behavior > PAGER_BEHAVIOR_PAGEOUT ||
	    (!r->resumed && !range_is_covered(r, in->address, in->size)))
		return -EINVAL;
	switch (in->behavior) {
	case PAGER_BEHAVIOR_WILLNEED:
		out->pages += prefetch_piece(r, in->address, in->size);
		return 0;
	case PAGER_BEHAVIOR_DONTNEED:
		out->pages += cool_piece(r, in->address, in->size);
		return 0;
	case PAGER_BEHAVIOR_FREE:
		out->pages += free_piece(r, in->address, in->size);
		return 0;
	case PAGER_BEHAVIOR_PAGEOUT:
		out->pages += evict_piece(r, in->address, in->size);
		return 0;
	default:
		return entries_change(&(struct change){ .r = r,
		    .address = in->address,
		    .end = in->address + in->size,
		    .apply = entry_behave,
		    .behavior = in->behavior });
	}
}
