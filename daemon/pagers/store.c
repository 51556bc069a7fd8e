/* SPDX-License-Identifier: MIT
 *
 * The store of anonymous pages: the compressor and swap as a pager, and their numbers. Runs on: any
 * thread; never blocks.
 */
#include "pagers/store.h"

#include <errno.h>

#include "daemon.h"
#include "vm/hole.h"
#include "vm/vm_object.h"

/* Waste that is worth a compaction where the compressor is near its share or nothing is free, as a
 * part of its memory; elsewhere the parameter compact_waste_permille says it. */
#define TIGHT_WASTE_PERMILLE 30u

/* Major compaction copied a stored page: the handle is swapped, unless the page is in transit. Runs
 * on: writeback. */
static bool
relocate(void *ctx, struct cowner owner, struct cref from, struct cref to)
{
	struct daemon *d = ctx;
	uint64_t page, slot;
	struct vm_object *o = vm_object_of_owner(d, owner, &page);
	bool moved = false;

	locks_assert_none();
	if (!o)
		return false;
	lock_acquire(&o->lock);
	slot = load_relaxed(vm_object_slot(o, page));
	if (slot_kind(slot) == SLOT_STORED && slot_cref(slot).v == from.v &&
	    !vm_object_hole_at(o, page)) {
		vm_object_slot_set(o, page, slot_with_door(slot_stored(to), slot_door(slot)));
		moved = true;
	} else if (slot_kind(slot) == SLOT_RESIDENT) {
		struct vm_page *p = &d->frames.pages[slot_frame(slot)];

		if (vm_page_busy_only(p)) {
			if (p->cref == from.v) {
				p->cref = to.v;
				moved = true;
			}
			/* WANTED is only set with O held: nobody can have met it busy. */
			vm_page_unbusy(p);
		}
	}
	lock_release(&o->lock);
	vm_object_put(o);
	return moved;
}

bool
store_is_away(struct daemon *d, struct cref copy)
{
	INVARIANT(copy.v != 0);
	return compressor_is_away(d->compressor, copy);
}

void
store_prefetch(struct daemon *d, struct cref copy)
{
	INVARIANT(copy.v != 0);
	compressor_prefetch(d->compressor, copy);
}

enum pager_result
store_data_request(struct daemon *d, struct cref copy, void *page)
{
	int error = compressor_load(d->compressor, copy, page);

	return error == 0 ? PAGER_OK : error == -EAGAIN ? PAGER_AWAY : PAGER_LOST;
}

enum pager_result
store_data_return(struct vm_object *o, uint64_t index, unsigned worker, const void *page, int press,
    struct cref *ret_copy)
{
	uint32_t bytes;
	int error = compressor_store(o->daemon->compressor, worker, page, vm_object_owner(o, index),
	    press, ret_copy, &bytes);

	CHECK(worker < worker_thread_count(o->daemon));
	return error == 0 ? PAGER_OK : PAGER_AGAIN;
}

/* Takes memory for a page to the compressor. It counts as a frame would that the page took: so it
 * may be more than the compressor's share, which is about pages that leave. */
static void
keep_room_take(struct daemon *d, bool is_any)
{
	/* What workers have credited for their batches stays theirs. */
	long long least = (64 << 10) + 2 * (long long)d->page_bytes;
	uint32_t step = (uint32_t)(least >> d->page_shift) + 1;
	bool is_short;

	if (likely(load_relaxed(&d->frames.compressor_credit) >= least))
		return;
	pageq_lock(d);
	if (is_any || frames_available_for(d, FRAME_WRITE) > step)
		(void)frames_credit_compressor_locked(d, (size_t)least + (64u << 10));
	is_short = load_relaxed(&d->frames.free_count) < load_relaxed(&d->frames.free_min);
	if (is_short && d->pageq.calls.first_asleep)
		cond_signal(&d->pageq.calls.pageout_wanted);
	pageq_unlock(d);
}

enum pager_result
store_keep(
    const struct vm_object *o, uint64_t index, const void *page, bool is_any, struct cref *ret_copy)
{
	struct daemon *d = o->daemon;
	uint32_t bytes;

	locks_assert_none();
	keep_room_take(d, is_any);
	return compressor_keep(d->compressor, page, vm_object_owner(o, index),
		   (int)param(d, compress_acceleration), ret_copy, &bytes) == 0
		   ? PAGER_OK
		   : PAGER_AGAIN;
}

void
store_keep_undo(struct daemon *d, struct cref copy)
{
	store_drop(d, copy);
}

void
store_drop(struct daemon *d, struct cref copy)
{
	INVARIANT(copy.v != 0);
	compressor_free(d->compressor, copy);
}

/* Widens [*low, *high) by the blocks of a page. => false: more than most_bytes; nothing has changed
 */
static bool
range_widen(const struct cread *page, size_t most_bytes, uint32_t *low, uint32_t *high)
{
	uint32_t from = (uint32_t)round_down_u64(page->offset, STORE_DISK_BLOCK);
	uint32_t to = (uint32_t)round_up_u64(page->offset + page->length, STORE_DISK_BLOCK);

	CHECK(page->length > 0 && *low <= *high);
	from = *low < *high && *low < from ? *low : from;
	to = *high > to ? *high : to;
	if (to - from > most_bytes)
		return false;
	*low = from;
	*high = to;
	return true;
}

enum pager_result
store_read_begin(const struct vm_object *o, uint64_t index, const struct cref *copies,
    unsigned count, size_t most_bytes, struct pager_read *ret)
{
	struct daemon *d = o->daemon;
	uint32_t low = 0, high = 0;

	CHECK(count <= PAGER_READ_MAX && index < o->page_count);
	for (ret->count = 0; ret->count < count; ret->count++) {
		struct cref copy = copies[ret->count];
		struct cread page;

		if (compressor_read_begin(d->compressor, copy, &page) != 0)
			break;
		if (ret->count == 0)
			ret->place = page.place.v;
		if (page.place.v != ret->place || !range_widen(&page, most_bytes, &low, &high)) {
			compressor_read_end(d->compressor, copy);
			break;
		}
		ret->page_offset[ret->count] = page.offset;
		ret->copies[ret->count] = copy.v;
	}
	ret->offset = low;
	ret->length = high - low;
	return ret->count > 0 ? PAGER_OK : PAGER_AGAIN;
}

enum pager_result
store_read_submit(const struct vm_object *o, const struct pager_read *read,
    struct swap_channel *channel, void *buffer, uint64_t cookie)
{
	int error = swap_channel_submit(channel, SWAP_READ, (struct swap_slot){ read->place },
	    read->offset, read->length, buffer, cookie);

	CHECK(o->daemon->swap && read->offset % STORE_DISK_BLOCK == 0 &&
	      read->length % STORE_DISK_BLOCK == 0);
	return error == 0 ? PAGER_OK : error == -EAGAIN ? PAGER_AGAIN : PAGER_FAILED;
}

bool
store_read_is_apart(const struct daemon *d, const struct pager_read *read)
{
	enum swap_kind kind;

	(void)swap_slot_backend(d->swap, (struct swap_slot){ read->place }, &kind);
	return kind != SWAP_DIRECTORY;
}

enum pager_result
store_read_decode(const struct vm_object *o, const struct pager_read *read, unsigned i,
    const void *buffer, void *page)
{
	struct daemon *d = o->daemon;
	struct cref copy = { read->copies[i] };
	const char *bytes = (const char *)buffer + (read->page_offset[i] - read->offset);

	CHECK(read->page_offset[i] >= read->offset);
	return compressor_read_decode(d->compressor, copy, bytes, page) == 0 ? PAGER_OK
									     : PAGER_LOST;
}

void
store_read_end(const struct vm_object *o, const struct pager_read *read, int error)
{
	struct daemon *d = o->daemon;

	CHECK(!error || d->swap);
	if (error)
		swap_mark_error(d->swap, (struct swap_slot){ read->place }, error);
	for (unsigned i = 0; i < read->count; i++)
		compressor_read_end(d->compressor, (struct cref){ read->copies[i] });
}

const struct compressor_ops store_compressor_ops = {
	.memory_take = frames_memory_take,
	.memory_give = frames_memory_give,
	.relocate = relocate,
};

size_t
store_segment_bytes(const struct daemon *d)
{
	size_t bytes = max_u64(256u << 10, 16 * d->page_bytes);

	CHECK(d->page_bytes > 0 && d->options.memory_bytes > 0);
	while (
	    bytes > max_u64(64u << 10, 16 * d->page_bytes) && d->options.memory_bytes / bytes < 256)
		bytes /= 2;
	return bytes;
}

uint64_t
store_share_least(const struct daemon *d)
{
	/* Segments being filled (one a worker, one by compaction) cannot leave: below this nothing
	 * could be stored, and nothing could be written out to make room. */
	return (d->worker_count + 3) * (uint64_t)store_segment_bytes(d) >> d->page_shift;
}

uint64_t
store_share_of(
    uint64_t movable, uint64_t percent, uint64_t least, uint64_t beside, bool swap_has_room)
{
	uint64_t share;

	CHECK(percent <= 100);
	/* Otherwise there is nowhere else to go. */
	if (!swap_has_room)
		percent = max_u64(percent, 90);
	share = movable * percent / 100;
	/* If there are so few frames that free ones and a few pages are most of the rest, the share
	 * would never be reached, and nothing would go to swap. */
	beside += movable / 32;
	if (swap_has_room)
		share = min_u64(share, movable > beside ? movable - beside : 0);
	return max_u64(share, min_u64(least, movable * 90 / 100));
}

uint64_t
store_share(const struct daemon *d)
{
	return store_share_of(frames_movable(d), param(d, compressor_percent), store_share_least(d),
	    load_relaxed(&d->frames.free_target), swap_has_room(d));
}

bool
swap_has_room(const struct daemon *d)
{
	return d->swap && !load_relaxed(&d->swapspace.full);
}

uint64_t
store_squeezed_limit(uint64_t share, uint32_t movable, uint32_t last)
{
	uint64_t kept = max_u64(2 * (uint64_t)last, movable / 64);

	return max_u64(share, movable > kept ? movable - kept : 0);
}

uint64_t
store_frames_limit(const struct daemon *d)
{
	uint64_t share = store_share(d);

	if (likely(!load_relaxed(&d->park.squeezed)))
		return share;
	return store_squeezed_limit(share, frames_movable(d), d->frames.last);
}

static uint64_t
compressor_frames(const struct daemon *d)
{
	CHECK(load_relaxed(&d->stats.levels[STAT_FRAMES_COMPRESSOR]) >= 0);
	return (uint64_t)load_relaxed(&d->stats.levels[STAT_FRAMES_COMPRESSOR]);
}

/* Bytes that the compressor has kept for the next pages. They matter while a range is evicted: they
 * count as the compressor's, and often there is no other room then. */
static size_t
kept_bytes(struct daemon *d)
{
	return load_relaxed(&d->writeback.evicting) ? compressor_spare_bytes(d->compressor) : 0;
}

bool
store_copies_fit(const struct daemon *d)
{
	return compressor_frames(d) <= store_frames_limit(d) * 4 / 5;
}

enum pager_room
store_room_take(struct daemon *d, size_t pages)
{
	/* A raw page has a header, and a segment grows in steps where there is memory for it. */
	size_t step = load_relaxed(&d->park.squeezed) ? 0 : 64u << 10;
	size_t want = pages * (d->page_bytes + 64) + step;
	/* Other workers count the same. */
	bool kept = kept_bytes(d) >= want * d->worker_count, enough;

	locks_assert_none();
	CHECK(pages > 0);
	/* A segment that left was not quite full: its end is populated again. */
	if (kept)
		want = step;
	pageq_lock(d);
	if (kept || compressor_frames(d) < store_frames_limit(d))
		enough = frames_credit_compressor_locked(d, want);
	else
		enough = load_relaxed(&d->frames.compressor_credit) >= (long long)want;
	pageq_unlock(d);
	if (enough)
		return PAGER_ROOM_ALL;
	return load_relaxed(&d->frames.compressor_credit) > (long long)(2 * d->page_bytes)
		   ? PAGER_ROOM_SOME
		   : PAGER_ROOM_NONE;
}

bool
store_has_room(struct daemon *d, unsigned worker, unsigned pages)
{
	/* Free frames count as well: below its limit the compressor may have them. */
	uint64_t have =
	    ((uint64_t)load_relaxed(&d->frames.compressor_credit) + kept_bytes(d)) >> d->page_shift;

	CHECK(worker < worker_thread_count(d));
	if (compressor_frames(d) < store_frames_limit(d))
		have += frames_available_for(d, FRAME_STORE);
	return have > pages / 4 + 2 && compressor_has_segment(d->compressor, worker);
}

bool
store_compaction_worth(struct daemon *d, bool started)
{
	uint64_t permille = param(d, compact_waste_permille);
	struct compressor_stats stats;
	uint64_t filled;

	CHECK(d->compressor != NULL);
	compressor_stats(d->compressor, &stats);
	filled =
	    stats.bytes_populated > stats.bytes_kept ? stats.bytes_populated - stats.bytes_kept : 0;
	if (filled < (uint64_t)frames_movable(d) * d->page_bytes / 32)
		return false;
	/* Sparse segments hold address space that new ones will want: more than half of it is too
	 * much. */
	if (2 * stats.segments_core * compressor_segment_bytes(d->compressor) >
	    param(d, arena_factor) * d->options.memory_bytes)
		return true;
	if (load_relaxed(&d->park.squeezed))
		return true;
	/* Near its share, or with nothing free, the compressor is squeezed as far as it goes. */
	if (compressor_frames(d) + d->frames.reserved / 2 >= store_frames_limit(d) ||
	    frames_available(d) == 0)
		permille = min_u64(permille, TIGHT_WASTE_PERMILLE);
	/* Some steps at a time: the workers need ends to fill before it is woken again. */
	if (started)
		permille -= permille / 12;
	return filled > stats.bytes_live + filled * permille / 1000;
}

uint64_t
store_group_frames(const struct daemon *d)
{
	uint64_t segments = param(d, swap_depth) + d->worker_count;

	CHECK(d->worker_count > 0);
	return min_u64(segments * compressor_segment_bytes(d->compressor) >> d->page_shift,
	    store_share(d) / 2);
}

uint64_t
store_frames_to_swap(struct daemon *d, bool started, bool starved)
{
	uint64_t limit = store_share(d), held = compressor_frames(d);
	/* Start a little before pageout is refused, stop a little lower: segments leave in small
	 * groups. */
	uint64_t mark = started ? limit - limit / 10 : limit - limit / 16;
	/* Credit that workers have taken and not used yet is as good as free. */
	uint64_t free_count =
	    load_relaxed(&d->frames.free_count) +
	    ((uint64_t)load_relaxed(&d->frames.compressor_credit) >> d->page_shift);
	uint64_t reserve = starved   ? load_relaxed(&d->frames.free_min)
			   : started ? d->frames.reserved
				     : d->frames.reserved / 2;
	uint64_t excess, lack = free_count < reserve ? reserve - free_count : 0;

	/* While a range leaves, all workers fill segments as fast as they can: start early enough
	 * that they need not wait, and leave room for the memory that is kept for them. */
	if (load_relaxed(&d->writeback.evicting)) {
		held -= min_u64(held, compressor_spare_bytes(d->compressor) >> d->page_shift);
		mark = min_u64(mark, limit - store_group_frames(d));
	}
	excess = held > mark ? held - mark : 0;
	return min_u64(max_u64(excess, lack), held);
}

bool
store_swap_worth(struct daemon *d)
{
	return d->swap && store_frames_to_swap(d, false, false) > 0;
}
