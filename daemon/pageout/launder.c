/* SPDX-License-Identifier: MIT
 *
 * Laundering: victims leave memory, one object after the other. Runs on: pageout workers. Allocates
 * nothing. No lock is held across a userfaultfd call, a read or a punch; the victims are busy.
 *
 * The order, for victims that are close together: write-protect them (taking mappings away is best
 * effort, this is not), read, store the copy in frame.cref, look for WANTED (a fault that came
 * meanwhile wins), and let them leave (transit/leave.c). A clean page only leaves.
 */
#include "pageout/launder.h"

#include <errno.h>
#include <unistd.h>

#include "pageout/writeback.h"
#include "pageq/side.h"
#include "vm/task.h"
#include "transit/leave.h"
#include "pagers/pager.h"

static bool
is_dirty(struct pageout_worker *w, const struct victim *v)
{
	INVARIANT(v->frame < w->daemon->frames.count);
	return load_acquire(&victim_page(w->daemon, v)->word) & PAGE_DIRTY;
}

/* How many victims from v[0] on are adjacent, and either all dirty or all clean. */
static unsigned
run_length(struct pageout_worker *w, const struct victim *v, unsigned count)
{
	unsigned n = 1;

	CHECK(count > 0);
	while (n < count && v[n].object == v[0].object && v[n].page == v[0].page + n &&
	       is_dirty(w, &v[n]) == is_dirty(w, &v[0]))
		n++;
	return n;
}

/* Victims begun under one PAGEQ, for which faults wait meanwhile. */
#define BEGIN_STEP 8u

/* Makes the next victim CLEANING and puts it into the group, whose victims are of one object. A
 * victim that was rescued is passed over; one whose client is in another lane is given to that
 * lane.
 * => false: it is of another object than the group, and nothing has changed; PAGEQ held */
static bool
join_locked(struct pageout_worker *w, struct victim *next, struct victim *group, unsigned *count)
{
	struct daemon *d = w->daemon;
	struct vm_object *o = pageq_victim_object_locked(d, next);
	unsigned lane;

	pageq_assert_held(d);
	if (!o)
		return true;
	lane = vm_object_lane(o);
	if (unlikely(lane != w->lane && lane != LANE_COMMON)) {
		side_give_locked(d, lane, next);
		w->passed_over++;
		return true;
	}
	if (*count > 0 && o != group[0].object)
		return false;
	if (pageq_launder_begin_locked(d, next))
		group[(*count)++] = *next;
	return true;
}

/* LAUNDRY -> CLEANING for the next victims of the batch that are of one object; packs them to
 * `group`. The object that was noted when a victim was chosen is not looked at: it may have ended,
 * and another one have its slots. => how many; no lock held */
static unsigned
begin(struct pageout_worker *w, struct victim *group)
{
	struct daemon *d = w->daemon;
	unsigned count = 0;
	bool joined = true;

	locks_assert_none();
	CHECK(w->begun < w->chosen);
	while (joined && w->begun < w->chosen) {
		unsigned end =
		    w->chosen - w->begun > BEGIN_STEP ? w->begun + BEGIN_STEP : w->chosen;

		pageq_lock(d);
		while (w->begun < end &&
		       (joined = join_locked(w, &w->victims[w->begun], group, &count)))
			w->begun++;
		pageq_unlock(d);
	}
	return count;
}

/* Batches between two looks at where pages come from. */
#define GROWTH_BATCHES 16u

/* Whether more pages came by first touches than back from the store, since the last look. */
static void
look_for_growth(struct pageout_worker *w)
{
	struct stats *stats = &w->daemon->stats;
	uint64_t zero_fills = stats_counter(stats, STAT_ZERO_FILLS);
	uint64_t refills =
	    stats_counter(stats, STAT_DECOMPRESSIONS) + stats_counter(stats, STAT_SWAPINS);

	w->growing = zero_fills - w->zero_fills > refills - w->refills;
	w->zero_fills = zero_fills;
	w->refills = refills;
}

/* How hard to compress. A worker that lags behind compresses faster and less well, but only while
 * memory grows: pages that come back are compressed again, so a worse ratio would mean more work,
 * and the lag would feed itself. */
static int
acceleration(const struct pageout_worker *w)
{
	struct daemon *d = w->daemon;
	uint32_t free_count = load_relaxed(&d->frames.free_count);
	uint32_t quarter = (d->frames.free_min - d->frames.reserved) / 4;
	uint64_t dense = param(d, compress_dense);

	INVARIANT(d->frames.free_min >= d->frames.reserved);
	if (dense == 2)
		return COMPRESS_DENSE;
	if (w->acceleration > 0)
		return (int)w->acceleration;
	if (dense == 1 && free_count >= d->frames.reserved + 3 * quarter)
		return COMPRESS_DENSE;
	if (w->growing && free_count < d->frames.reserved + quarter)
		return (int)param(d, compress_acceleration_max);
	return (int)param(d, compress_acceleration);
}

/* Takes room for that many pages, before they are stored; asks the writer for more if that is not
 * to be had, or the cleaner to take the pages. A worker must not wait for a client's file. => no
 * lock held */
static enum pager_room
credit(struct vm_object *o, size_t pages)
{
	enum pager_room got;

	locks_assert_none();
	CHECK(pages > 0 && pages <= PAGEOUT_BATCH_MAX);
	got = pager_room_take(o, pages);
	if (got == PAGER_ROOM_LATER)
		returns_want(o);
	else if (got != PAGER_ROOM_ALL)
		writeback_want(o->daemon);
	return got;
}

/* Reads and stores adjacent dirty victims of a still range. => stored[i] is true for those that
 * have a copy now, which are the first ones; no lock held */
static void
clean_run(struct pageout_worker *w, const struct still_range *still, struct victim *v,
    unsigned count, bool *stored)
{
	struct daemon *d = w->daemon;
	struct vm_object *o = v[0].object;
	uint64_t index = victim_page(d, &v[0])->index;
	size_t bytes = (size_t)count << d->page_shift, have = 0;

	locks_assert_none();
	CHECK(still->object == o && still->low <= index && index + count <= still->high);
	CHECK(count <= PAGEOUT_BATCH_MAX);
	while (have < bytes) {
		ssize_t got = pread(o->backing.memfd, (char *)w->bounce + have, bytes - have,
		    (off_t)((index << d->page_shift) + have));

		if (got <= 0) {
			if (got < 0 && errno == EINTR)
				continue;
			return;
		}
		have += (size_t)got;
	}
	for (unsigned i = 0; i < count; i++) {
		struct vm_page *p = victim_page(d, &v[i]);
		int press = acceleration(w);
		struct cref cref;

		if (pager_data_return(o, index + i, w->index,
			(char *)w->bounce + ((size_t)i << d->page_shift), press,
			&cref) != PAGER_OK) {
			w->refused = true;
			break;
		}
		p->cref = cref.v;
		vm_page_flags_clear(p, PAGE_DIRTY);
		stored[i] = true;
		stat_add(w->stats, STAT_COMPRESSIONS, 1);
		if (press == COMPRESS_DENSE)
			stat_add(w->stats, STAT_DENSE_COMPRESSIONS, 1);
		else if (press > (int)param(d, compress_acceleration))
			stat_add(w->stats, STAT_LIGHT_COMPRESSIONS, 1);
	}
}

/* Stores the dirty ones among victims of one range, which is write-protected from the first to the
 * last of them. The pages in between are stored, or just being filled: these cost their client one
 * more fault at worst. => stored[i] is true for those that can leave; no lock held */
static void
clean_group(struct pageout_worker *w, struct victim *v, unsigned count, bool *stored)
{
	const struct daemon *d = w->daemon;
	struct still_range still = { 0 };
	unsigned first = count, last = 0, n;

	locks_assert_none();
	for (unsigned i = 0; i < count; i++) {
		stored[i] = !is_dirty(w, &v[i]);
		if (!stored[i]) {
			first = first < i ? first : i;
			last = i;
		}
	}
	if (first == count)
		return;
	if (still_range_make(v[0].object, victim_page(d, &v[first])->index,
		victim_page(d, &v[last])->index + 1, &still) != 0)
		return;
	for (unsigned i = first; i <= last && !w->refused; i += n) {
		n = run_length(w, &v[i], last + 1 - i);
		if (is_dirty(w, &v[i]))
			clean_run(w, &still, &v[i], n, &stored[i]);
	}
}

/* Launders victims of one object, CLEANING by this worker. Once the store has had no room for one
 * (w->refused), or where the cleaner is to take them, dirty ones stay. => how many have left; no
 * lock held */
static unsigned
launder_object(struct pageout_worker *w, struct victim *v, unsigned count)
{
	struct daemon *d = w->daemon;
	bool stored[PAGEOUT_BATCH_MAX] = { false };
	unsigned leaving = 0, n, clean = 0;
	enum pager_room room = PAGER_ROOM_ALL;

	locks_assert_none();
	CHECK(count <= PAGEOUT_BATCH_MAX);
	if (count == 0)
		return 0;
	watch_client(vm_object_cookie(v[0].object));
	for (unsigned i = 0; i < count; i++) {
		INVARIANT(v[i].object == v[0].object);
		vm_page_assert(v[i].object, victim_page(d, &v[i])->index);
		clean += stored[i] = !is_dirty(w, &v[i]);
	}
	/* Clean pages need no room. */
	if (clean < count)
		room = credit(v[0].object, count - clean);
	w->refused |= room == PAGER_ROOM_NONE;
	for (unsigned start = 0; start < count && !w->refused && room != PAGER_ROOM_LATER;
	     start += n) {
		n = victims_group_length(d, &v[start], count - start);
		clean_group(w, &v[start], n, &stored[start]);
	}
	for (unsigned i = 0; i < count; i++) {
		bool wanted = load_acquire(&victim_page(d, &v[i])->word) & PAGE_WANTED;

		if (stored[i] && !wanted)
			v[leaving++] = v[i];
		else
			victim_stay(w->stats, &v[i], wanted);
	}
	victims_leave(w->stats, &w->hole, v, leaving);
	stat_add(w->stats, STAT_PAGEOUTS, leaving);
	stat_add(w->stats, STAT_CLEAN_PAGEOUTS, min_u64(clean, leaving));
	return leaving;
}

/* After a batch: gives credit that was not used back, and wakes the writer if it has something to
 * do. => no lock held */
static void
settle_accounts(struct pageout_worker *w)
{
	struct daemon *d = w->daemon;

	locks_assert_none();
	pageq_lock(d);
	frames_reclaim_credit_locked(d, 64u << 10);
	pageq_unlock(d);
	if (w->batches % GROWTH_BATCHES == 0)
		look_for_growth(w);
	if (w->refused || (++w->batches % 2 == 0 && store_compaction_worth(d, false)))
		writeback_want(d);
}

unsigned
launder(struct pageout_worker *w)
{
	unsigned freed = 0;

	locks_assert_none();
	CHECK(w->begun <= w->chosen && w->chosen <= PAGEOUT_BATCH_MAX);
	w->refused = false;
	/* What a relieved worker has not begun is another's. */
	while (w->begun < w->chosen && !watch_is_relieved()) {
		struct victim *group = &w->victims[w->begun];

		freed += launder_object(w, group, begin(w, group));
	}
	settle_accounts(w);
	return freed;
}

unsigned
launder_begun(struct pageout_worker *w, struct victim *v, unsigned count)
{
	unsigned freed;

	locks_assert_none();
	w->refused = false;
	freed = launder_object(w, v, count);
	if (count > 0)
		settle_accounts(w);
	return freed;
}
