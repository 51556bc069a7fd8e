/* SPDX-License-Identifier: MIT
 *
 * Laundering: victims leave memory, one object after the other. Runs on: pageout workers. Allocates
 * nothing. No lock is held across a userfaultfd call, a read or a punch; the victims are busy.
 *
 * The order, for victims that are close together: write-protect them (taking mappings away is best
 * effort, this is not), look for pins (pmap/pins.h: a page into which a device writes stays), read,
 * store the copy in frame.cref, look for WANTED (a fault that came meanwhile wins), and let them
 * leave (transit/leave.c). A clean page only leaves.
 */
#include "pageout/launder.h"

#include <errno.h>
#include <unistd.h>

#include "failpt.h"
#include "clock.h"
#include "pageout/writeback.h"
#include "pageq/side.h"
#include "pmap/pins.h"
#include "vm/task.h"
#include "transit/leave.h"
#include "pagers/pager.h"

static bool
is_dirty(struct pageout_worker *w, const struct victim *v)
{
	INVARIANT(v->frame < w->daemon->frames.count);
	return load_acquire(&victim_page(w->daemon, v)->word) & PAGE_DIRTY;
}

/* What is known of the victims of one object while they are laundered. */
struct laundering {
	/* Of each victim. */
	bool stored[PAGEOUT_BATCH_MAX]; /* it has a copy */
	bool pinned[PAGEOUT_BATCH_MAX]; /* it is to stay for a pin */
	/* Of each group of victims that are close together. */
	struct still_range still[PAGEOUT_BATCH_MAX]; /* from its first to its last dirty one; no
							object: there is none, or it cannot be
							protected */
	unsigned length[PAGEOUT_BATCH_MAX];
	unsigned groups;
};

/* How many of `count` victims from number i on are adjacent and to be stored, as the first one is.
 */
static unsigned
run_length(struct pageout_worker *w, const struct laundering *l, const struct victim *v, unsigned i,
    unsigned count)
{
	unsigned n = 1;

	CHECK(count > 0);
	while (n < count && v[i + n].object == v[i].object && v[i + n].page == v[i].page + n &&
	       is_dirty(w, &v[i + n]) && !l->pinned[i + n])
		n++;
	return n;
}

/* Victims begun under one PAGEQ, for which faults wait meanwhile. */
#define BEGIN_STEP 8u

/* Makes the next victim CLEANING and puts it into the group, whose victims are of one object. A
 * victim that was rescued is passed over, and so is one that is volatile; one whose client is in
 * another lane is given to that lane.
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
	/* Nothing is stored of it: an object goes as a whole, in the order that there is for that.
	 */
	if (vm_object_is_volatile(o)) {
		pageq_victim_stays_locked(d, next);
		w->met_volatile = true;
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
		failpt_die(FAIL_DIE_STORED);
		p->cref = cref.v;
		vm_page_flags_clear(p, PAGE_DIRTY);
		failpt_die(FAIL_DIE_COPY_NAMED);
		stored[i] = true;
		stat_add(w->stats, STAT_COMPRESSIONS, 1);
		if (press == COMPRESS_DENSE)
			stat_add(w->stats, STAT_DENSE_COMPRESSIONS, 1);
		else if (press > (int)param(d, compress_acceleration))
			stat_add(w->stats, STAT_LIGHT_COMPRESSIONS, 1);
	}
}

/* Write-protects a group of victims, from the first to the last dirty one. The pages in between are
 * stored, or just being filled: these cost their client one more fault at worst. => no lock held */
static void
protect_group(
    struct pageout_worker *w, const struct victim *v, unsigned count, struct still_range *ret)
{
	const struct daemon *d = w->daemon;
	unsigned first = count, last = 0;

	locks_assert_none();
	*ret = (struct still_range){ 0 };
	for (unsigned i = 0; i < count; i++) {
		if (is_dirty(w, &v[i])) {
			first = first < i ? first : i;
			last = i;
		}
	}
	if (first < count)
		(void)still_range_make(v[0].object, victim_page(d, &v[first])->index,
		    victim_page(d, &v[last])->index + 1, ret);
}

/* What becomes of victims of which it is known whether they are pinned. => no lock held */
static void
mark_pins(struct pageout_worker *w, struct laundering *l, const struct victim *v,
    const unsigned *which, const bool *pinned, unsigned count)
{
	struct daemon *d = w->daemon;
	uint64_t now = clock_now_ns(), most_held = frames_wire_most(d) / 2;

	locks_assert_none();
	for (unsigned i = 0; i < count; i++) {
		enum pin_stay stay;

		if (i % BEGIN_STEP == 0)
			pageq_lock(d);
		stay = pin_mark_locked(d, v[which[i]].frame, pinned[i], now, most_held);
		if ((i + 1) % BEGIN_STEP == 0 || i + 1 == count)
			pageq_unlock(d);
		l->pinned[which[i]] = stay != PIN_LEAVES;
		w->pins_pass += stay == PIN_PASSES;
		if (stay == PIN_LEAVES && pinned[i])
			stat_add(w->stats, STAT_PINS_BROKEN, 1);
	}
}

/* Looks for pins of the dirty victims that are write-protected. => no lock held */
static void
find_pins(struct pageout_worker *w, struct laundering *l, const struct victim *v)
{
	struct daemon *d = w->daemon;
	uint64_t indexes[PAGEOUT_BATCH_MAX];
	unsigned which[PAGEOUT_BATCH_MAX], count = 0, start = 0, found;
	bool pinned[PAGEOUT_BATCH_MAX];

	locks_assert_none();
	if (!pins_are_known(&d->pins))
		return;
	for (unsigned g = 0; g < l->groups; start += l->length[g++]) {
		for (unsigned i = start; l->still[g].object && i < start + l->length[g]; i++) {
			if (!is_dirty(w, &v[i]))
				continue;
			which[count] = i;
			indexes[count++] = victim_page(d, &v[i])->index;
		}
	}
	if (count == 0)
		return;
	found = pins_find(d, v[0].object, indexes, count, pinned);
	if (unlikely(found > 0 || pin_marks_any(&d->pin_marks)))
		mark_pins(w, l, v, which, pinned, count);
}

/* Stores what is dirty, and not pinned, among the victims of one group. => no lock held */
static void
clean_group(struct pageout_worker *w, struct laundering *l, struct victim *v, unsigned start,
    unsigned group)
{
	unsigned end = start + l->length[group], n;

	locks_assert_none();
	if (!l->still[group].object)
		return;
	for (unsigned i = start; i < end && !w->refused; i += n) {
		n = 1;
		if (is_dirty(w, &v[i]) && !l->pinned[i]) {
			n = run_length(w, l, v, i, end - i);
			clean_run(w, &l->still[group], &v[i], n, &l->stored[i]);
		}
	}
}

/* Stores the dirty ones among victims of one object, for which there is room. => no lock held */
static void
clean_object(struct pageout_worker *w, struct laundering *l, struct victim *v, unsigned count)
{
	unsigned start = 0;

	locks_assert_none();
	while (start < count) {
		unsigned n = victims_group_length(w->daemon, &v[start], count - start);

		protect_group(w, &v[start], n, &l->still[l->groups]);
		l->length[l->groups++] = n;
		start += n;
	}
	find_pins(w, l, v);
	start = 0;
	for (unsigned g = 0; g < l->groups && !w->refused; start += l->length[g++])
		clean_group(w, l, v, start, g);
}

/* Launders victims of one object, CLEANING by this worker. Once the store has had no room for one
 * (w->refused), or where the cleaner is to take them, dirty ones stay. Others stay because they are
 * wanted or pinned, or could not be write-protected: w->stayed. => how many have left; no lock
 * held */
static unsigned
launder_object(struct pageout_worker *w, struct victim *v, unsigned count)
{
	struct daemon *d = w->daemon;
	struct laundering l;
	unsigned leaving = 0, clean = 0;
	enum pager_room room = PAGER_ROOM_ALL;

	locks_assert_none();
	CHECK(count <= PAGEOUT_BATCH_MAX);
	if (count == 0)
		return 0;
	l.groups = 0;
	watch_client(vm_object_cookie(v[0].object));
	for (unsigned i = 0; i < count; i++) {
		INVARIANT(v[i].object == v[0].object);
		vm_page_assert(v[i].object, victim_page(d, &v[i])->index);
		clean += l.stored[i] = !is_dirty(w, &v[i]);
		l.pinned[i] = false;
	}
	/* Clean pages need no room. */
	if (clean < count)
		room = credit(v[0].object, count - clean);
	w->refused |= room == PAGER_ROOM_NONE;
	if (clean < count && !w->refused && room != PAGER_ROOM_LATER)
		clean_object(w, &l, v, count);
	for (unsigned i = 0; i < count; i++) {
		bool wanted = load_acquire(&victim_page(d, &v[i])->word) & PAGE_WANTED;

		if (l.stored[i] && !wanted) {
			v[leaving++] = v[i];
			continue;
		}
		w->stayed |= wanted || l.pinned[i] || (!w->refused && room != PAGER_ROOM_LATER);
		victim_stay(w->stats, &v[i],
		    wanted        ? STAYS_WANTED
		    : l.pinned[i] ? STAYS_PINNED
				  : STAYS_NO_ROOM);
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
	w->stayed = false;
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
	w->stayed = false;
	freed = launder_object(w, v, count);
	if (count > 0)
		settle_accounts(w);
	return freed;
}
