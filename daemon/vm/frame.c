/* SPDX-License-Identifier: MIT
 *
 * The table of frames: the memory that the daemon may hold, a row for each unit of it. A frame is
 * memory of some object's memfd, or memory of the compressor's arena, or free; it has no address of
 * its own. Runs on: any thread, PAGEQ held; the compressor's credit is lock-free.
 */
#include "vm/frame.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arena.h"
#include "failpt.h"
#include "daemon.h"
#include "own.h"

/* Of the reserve, what even the compressor leaves until memory is squeezed: it then serves stored
 * pages. */
#define FRAMES_LAST 32u
/* Least distance of the targets from each other and from the reserve. */
#define TARGET_STEP 32u

#define FRAME_STATES (FRAME_STATE_END - FRAME_PAGE)
static const char *const names[FRAME_STATES] = {
	"PAGE",
#define FRAME_STATE(NAME, text) [FRAME_##NAME - FRAME_PAGE] = #NAME,
#include "tbl/frame_state.h"
};
static const bool arrows[FRAME_STATES][FRAME_STATES] = {
#define FRAME_ARROW(FROM, TO, function) [FRAME_##FROM - FRAME_PAGE][FRAME_##TO - FRAME_PAGE] = true,
#include "tbl/frame_state.h"
};

const char *
frame_state_name(enum frame_state state)
{
	return state >= FRAME_PAGE && state < FRAME_STATE_END ? names[state - FRAME_PAGE] : "?";
}

/* The memfd of the table, which a worker before this one may have left: then `named` is there until
 * kept_frames_end_locked. => 0, -EPROTO: it is of another build, or -errno */
static int
memory_open(struct daemon *d, uint64_t rows)
{
	const struct arena_shape shape = { "frames", 1, sizeof(struct vm_page),
		rows * sizeof(struct vm_page) };
	struct frame_table *t = &d->frames;

	CHECK(rows > 0 && rows < UINT32_MAX);
	t->fd = keeper_take(d->keeper, KEPT_FRAMES, 0);
	if (t->fd >= 0) {
		t->named = calloc(1, rows / 8 + 1);
		return t->named ? arena_check(t->fd, &shape) : -ENOMEM;
	}
	t->fd = d->keeper ? arena_make(&shape) : memfd_create("pagerd-frames", MFD_CLOEXEC);
	if (t->fd < 0)
		return d->keeper ? t->fd : -errno;
	if (d->keeper)
		keeper_keep(d->keeper, KEPT_FRAMES, 0, t->fd);
	else if (ftruncate(t->fd, (off_t)shape.bytes) < 0)
		return -errno;
	return 0;
}

int
frames_create(struct daemon *d, uint32_t compressor_least)
{
	struct frame_table *t = &d->frames;
	uint64_t count = d->options.memory_bytes >> d->page_shift, rows;
	uint32_t workers = d->worker_count;
	uint64_t reserved;
	void *memory;
	int error;

	CHECK(d->worker_count > 0 && d->page_bytes >> d->page_shift == 1);
	if (count < 512 || count > UINT32_MAX / 2)
		return -ERANGE;
	rows = min_u64(count * param(d, memory_growth), UINT32_MAX / 2);
	t->rows = (uint32_t)rows;
	store_relaxed(&t->count, (uint32_t)count);
	store_relaxed(&t->size, (uint32_t)count);
	error = memory_open(d, rows);
	if (error)
		return error;
	memory =
	    mmap(NULL, rows * sizeof(struct vm_page), PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	own_area_shared(OWN_FRAMES, memory, rows * sizeof(struct vm_page));
	t->pages = memory;
	/* A worker needs room for one batch of raw pages, and a segment's growth, before it can
	 * free their frames. */
	reserved = max_u64(param(d, reserved_frames),
	    FRAMES_LAST +
		workers * (param(d, pageout_batch) * 3 / 2 + (64u << 10) / d->page_bytes + 8));
	t->reserved = (uint32_t)min_u64(reserved, count / 8);
	t->last = (uint32_t)min_u64(FRAMES_LAST, t->reserved / 4);
	CHECK(t->reserved > 0 && t->last < t->reserved);
	cond_init(&t->freed);
	t->free_head = FRAME_NONE;
	t->compressor_head = FRAME_NONE;
	t->retired_head = FRAME_NONE;
	/* Rows that were left name pages: kept_frames_end_locked makes the list. */
	for (uint32_t i = t->named ? 0 : (uint32_t)count; i-- > 0;) {
		t->pages[i].word = FRAME_FREE;
		t->pages[i].next = t->free_head;
		t->free_head = i;
	}
	store_relaxed(&t->free_count, (uint32_t)count);
	store_relaxed(&d->stats.levels[STAT_FRAMES_TOTAL], (long long)count);
	store_relaxed(&d->stats.levels[STAT_FRAMES_FREE], (long long)count);
	t->compressor_least = compressor_least;
	store_relaxed(&t->compressor_share, (uint32_t)count);
	frames_params_refresh(d);
	return 0;
}

void
frames_destroy(struct daemon *d)
{
	CHECK(d->frames.pages != NULL);
	own_area_forget(d->frames.pages);
	munmap(d->frames.pages, d->frames.rows * sizeof(struct vm_page));
	close(d->frames.fd);
	free(d->frames.named);
	cond_fini(&d->frames.freed);
}

/* Frames for pages that are brought in ahead of use. */
#define FORESEEN_FRAMES 96u
/* Of these, the pages that stay: more than are foreseen at a time. */
#define FORESEEN_KEPT 128u

void
frames_targets_refresh(struct daemon *d)
{
	struct frame_table *t = &d->frames;
	uint64_t movable = frames_movable(d),
		 room = movable > t->reserved ? movable - t->reserved : 0;
	uint64_t low = movable * param(d, free_min_permille) / 1000;
	uint64_t high = movable * param(d, free_target_permille) / 1000, ahead;

	low = max_u64(low, TARGET_STEP);
	if (high < low + TARGET_STEP)
		high = low + TARGET_STEP;
	CHECK(t->reserved < load_relaxed(&t->size) && low < high);
	low = min_u64(low, room / 4);
	high = min_u64(high, room / 2);
	/* Between what pageout keeps free and the target of old. */
	ahead = t->is_foreseen ? high - low + min_u64(FORESEEN_FRAMES, room / 32) : 0;
	t->foreseen_kept = t->is_foreseen ? (uint32_t)min_u64(FORESEEN_KEPT, room / 16) : 0;
	store_relaxed(&t->free_guesses, t->reserved + (uint32_t)high);
	store_relaxed(&t->free_min, t->reserved + (uint32_t)(low + ahead));
	store_relaxed(&t->free_target, t->reserved + (uint32_t)(high + ahead));
}

void
frames_foresee(struct daemon *d, bool is_foreseen)
{
	pageq_lock(d);
	d->frames.is_foreseen = is_foreseen;
	frames_targets_refresh(d);
	pageq_unlock(d);
}

uint32_t
frames_movable(const struct daemon *d)
{
	uint32_t fixed = (uint32_t)load_relaxed(&d->stats.levels[STAT_FRAMES_WIRED]) +
			 load_relaxed(&d->frames.listed);

	uint32_t size = load_relaxed(&d->frames.size);

	/* They may be of different moments. */
	return size > fixed ? size - fixed : 0;
}

void
frames_listed_add_locked(struct daemon *d, int frames)
{
	uint32_t listed = load_relaxed(&d->frames.listed) + (uint32_t)frames;

	pageq_assert_held(d);
	CHECK(listed <= load_relaxed(&d->frames.count));
	store_relaxed(&d->frames.listed, listed);
	frames_targets_refresh(d);
}

uint64_t
frames_resident_movable(const struct daemon *d)
{
	long long resident = load_relaxed(&d->stats.levels[STAT_PAGES_INTERNAL]) +
			     load_relaxed(&d->stats.levels[STAT_PAGES_REUSABLE]) +
			     load_relaxed(&d->stats.levels[STAT_PAGES_EXTERNAL]);
	long long fixed = load_relaxed(&d->stats.levels[STAT_FRAMES_WIRED]) -
			  load_relaxed(&d->stats.levels[STAT_PAGES_DEVICE]) +
			  load_relaxed(&d->frames.listed);

	/* They may be of different moments. */
	return resident > fixed ? (uint64_t)(resident - fixed) : 0;
}

/* Of `count` frames those that must not be wired: the reserve, targets that differ, segments that
 * are being filled, and as much again for pages. */
static uint64_t
unwired_least(const struct frame_table *t, uint64_t count)
{
	return t->reserved + 4 * TARGET_STEP + min_u64(t->compressor_least, count / 4);
}

uint64_t
frames_wire_most(const struct daemon *d)
{
	uint64_t count = load_relaxed(&d->frames.size);
	uint64_t kept = unwired_least(&d->frames, count);

	return min_u64(count * param(d, wire_percent) / 100, count > kept ? count - kept : 0);
}

void
frames_params_refresh(struct daemon *d)
{
	uint64_t most, devices;

	CHECK(load_relaxed(&d->frames.size) > 0);
	frames_targets_refresh(d);
	most = frames_wire_most(d);
	devices = (uint64_t)load_relaxed(&d->stats.levels[STAT_PAGES_DEVICE]);
	share_tell(d, SHARE_WIRED, (most > devices ? most - devices : 0) << d->page_shift);
}

bool
frames_are_crammed(const struct daemon *d)
{
	return load_relaxed(&d->park.squeezed) &&
	       load_relaxed(&d->stats.levels[STAT_FRAMES_COMPRESSOR]) >=
		   (long long)load_relaxed(&d->frames.compressor_share);
}

uint32_t
frames_floor(const struct frame_table *t, enum frame_use use, bool squeezed)
{
	CHECK(use < FRAME_USE_COUNT);
	switch (use) {
	case FRAME_WRITE:
		return squeezed ? t->last / 2 : t->reserved / 2;
	case FRAME_READ:
		return squeezed ? 0 : t->reserved / 2;
	case FRAME_STORE:
		return squeezed ? t->last / 4 : t->last;
	default:
		return t->reserved;
	}
}

uint32_t
frames_available_for(const struct daemon *d, enum frame_use use)
{
	bool squeezed = load_relaxed(&d->park.squeezed);
	uint32_t free_count = load_relaxed(&d->frames.free_count),
		 floor = frames_floor(&d->frames, use, squeezed);
	uint32_t available = free_count > floor ? free_count - floor : 0;
	uint64_t limit = param(d, resident_frames), resident;

	INVARIANT(use < FRAME_USE_COUNT);
	/* Memory that the compressor takes beyond its share is for pages that exist. */
	if (unlikely(squeezed) && available > 0 && use == FRAME_FIRST && frames_are_crammed(d))
		return 0;
	if (likely(limit == 0) || use == FRAME_STORE)
		return available;
	if (use != FRAME_FIRST)
		return frames_available_for(d, FRAME_FIRST);
	resident = frames_resident_movable(d);
	return resident < limit ? (uint32_t)min_u64(available, limit - resident) : 0;
}

/* The only writer of a frame's state while it holds no page; its flags are gone. */
static void
frame_switch(struct frame_table *t, uint32_t frame, enum frame_state from, enum frame_state to)
{
	uint32_t word = load_acquire(&t->pages[frame].word);

	CHECK(from < FRAME_STATE_END && to < FRAME_STATE_END && frame < t->rows);
	CHECKF(arrows[from - FRAME_PAGE][to - FRAME_PAGE] && frame_word_state(word) == from,
	    "frame %u: %s (word %x), %s -> %s", frame, frame_state_name(frame_word_state(word)),
	    word, frame_state_name(from), frame_state_name(to));
	store_release(&t->pages[frame].word, to);
}

/* Takes a frame off the free list. */
static uint32_t
free_pop(struct frame_table *t, enum frame_state to)
{
	uint32_t frame = t->free_head;

	CHECK(load_relaxed(&t->free_count) > 0);
	CHECK(frame < load_relaxed(&t->count));
	frame_switch(t, frame, FRAME_FREE, to);
	t->free_head = t->pages[frame].next;
	store_relaxed(&t->free_count, load_relaxed(&t->free_count) - 1);
	return frame;
}

uint32_t
frame_take_locked(struct daemon *d, enum frame_use use)
{
	struct frame_table *t = &d->frames;
	uint32_t frame;

	pageq_assert_held(d);
	if (frames_available_for(d, use) == 0 || failpt_hit(FAIL_FRAME_TAKE))
		return FRAME_NONE;
	frame = free_pop(t, FRAME_TAKEN);
	if (load_relaxed(&t->free_count) < t->free_min && d->pageq.calls.first_asleep)
		cond_signal(&d->pageq.calls.pageout_wanted);
	return frame;
}

void
frames_want(struct daemon *d)
{
	pageq_lock(d);
	if (d->pageq.calls.first_asleep)
		cond_signal(&d->pageq.calls.pageout_wanted);
	pageq_unlock(d);
}

/* Not all that makes room frees a frame: compaction does not. */
#define FREED_WAIT_NS 10000000u
void
frames_wait(struct daemon *d)
{
	struct frame_table *t = &d->frames;

	locks_assert_none();
	pageq_lock(d);
	if (d->pageq.calls.first_asleep)
		cond_signal(&d->pageq.calls.pageout_wanted);
	t->waiting++;
	(void)cond_wait_for(&t->freed, &d->pageq.lock, FREED_WAIT_NS);
	t->waiting--;
	pageq_unlock(d);
}

void
frame_put_locked(struct daemon *d, uint32_t frame)
{
	struct frame_table *t = &d->frames;

	CHECK(frame < load_relaxed(&t->count));
	pageq_assert_held(d);
	frame_switch(t, frame, frame_word_state(load_acquire(&t->pages[frame].word)), FRAME_FREE);
	if (unlikely(pin_marks_any(&d->pin_marks)))
		pin_mark_forget_locked(d, frame);
	t->pages[frame].cref = 0;
	t->pages[frame].next = t->free_head;
	t->free_head = frame;
	store_relaxed(&t->free_count, load_relaxed(&t->free_count) + 1);
	if (unlikely(t->waiting > 0))
		cond_broadcast(&t->freed);
}

static void
gauge_move(struct daemon *d, enum stat_index from, enum stat_index to, int64_t frames)
{
	pageq_assert_held(d);
	CHECK(frames > 0 && load_relaxed(&d->stats.levels[from]) >= frames);
	stats_queues_begin(&d->stats);
	fetch_sub_relaxed(&d->stats.levels[from], frames);
	fetch_add_relaxed(&d->stats.levels[to], frames);
	stats_queues_end(&d->stats);
}

bool
frames_credit_compressor_locked(struct daemon *d, size_t bytes)
{
	struct frame_table *t = &d->frames;
	uint32_t taken = 0, floor = frames_floor(t, FRAME_STORE, load_relaxed(&d->park.squeezed));

	pageq_assert_held(d);
	while (load_relaxed(&t->compressor_credit) < (long long)bytes &&
	       load_relaxed(&t->free_count) > floor) {
		uint32_t frame = free_pop(t, FRAME_COMPRESSOR);

		t->pages[frame].next = t->compressor_head;
		t->compressor_head = frame;
		fetch_add_relaxed(&t->compressor_credit, (long long)d->page_bytes);
		taken++;
	}
	if (taken)
		gauge_move(d, STAT_FRAMES_FREE, STAT_FRAMES_COMPRESSOR, taken);
	return load_relaxed(&t->compressor_credit) >= (long long)bytes;
}

uint32_t
frames_reclaim_credit_locked(struct daemon *d, size_t keep_bytes)
{
	struct frame_table *t = &d->frames;
	long long page = (long long)d->page_bytes;
	uint32_t given = 0;

	pageq_assert_held(d);
	for (;;) {
		long long credit = load_relaxed(&t->compressor_credit);
		uint32_t frame = t->compressor_head;

		if (credit < (long long)keep_bytes + page || frame == FRAME_NONE)
			break;
		if (!cas_acq_rel(&t->compressor_credit, &credit, credit - page))
			continue;
		t->compressor_head = t->pages[frame].next;
		frame_put_locked(d, frame);
		given++;
	}
	if (given)
		gauge_move(d, STAT_FRAMES_COMPRESSOR, STAT_FRAMES_FREE, given);
	return given;
}

/* --- how many there are --- */

/* Frames that change hands while PAGEQ is held once. */
#define RESIZE_STEP 4096u
/* Least frames with which the daemon works at all. */
#define FRAMES_LEAST 512u

static uint64_t
frames_total(const struct daemon *d)
{
	return (uint64_t)load_relaxed(&d->stats.levels[STAT_FRAMES_TOTAL]);
}

uint64_t
frames_to_retire(const struct daemon *d)
{
	uint64_t total = frames_total(d), size = load_relaxed(&d->frames.size);

	return total > size ? total - size : 0;
}

struct frame_sizes
frames_sizes(const struct daemon *d)
{
	const struct frame_table *t = &d->frames;
	uint64_t fixed = (share_used(&d->shares, SHARE_WIRED) >> d->page_shift) +
			 (uint64_t)load_relaxed(&d->stats.levels[STAT_PAGES_DEVICE]) +
			 load_relaxed(&t->listed);
	uint64_t kept = unwired_least(t, UINT32_MAX);

	return (struct frame_sizes){
		.least = max_u64(max_u64(FRAMES_LEAST, 4 * (uint64_t)t->reserved), fixed + kept),
		.most = t->rows,
	};
}

/* Free frames come or go. */
static void
total_add(struct daemon *d, int64_t frames)
{
	stats_queues_begin(&d->stats);
	fetch_add_relaxed(&d->stats.levels[STAT_FRAMES_FREE], frames);
	fetch_add_relaxed(&d->stats.levels[STAT_FRAMES_TOTAL], frames);
	stats_queues_end(&d->stats);
}

static unsigned
grow_locked(struct daemon *d)
{
	struct frame_table *t = &d->frames;
	uint64_t total = frames_total(d), size = load_relaxed(&t->size);
	unsigned most = (unsigned)min_u64(size > total ? size - total : 0, RESIZE_STEP), n;

	pageq_assert_held(d);
	for (n = 0; n < most; n++) {
		uint32_t frame = t->retired_head;

		if (frame != FRAME_NONE) {
			t->retired_head = t->pages[frame].next;
			t->retired--;
			frame_switch(t, frame, FRAME_RETIRED, FRAME_FREE);
		} else {
			frame = load_relaxed(&t->count);
			CHECK(frame < t->rows);
			store_release(&t->pages[frame].word, FRAME_FREE);
			store_release(&t->count, frame + 1);
		}
		t->pages[frame].next = t->free_head;
		t->free_head = frame;
	}
	if (n == 0)
		return 0;
	store_relaxed(&t->free_count, load_relaxed(&t->free_count) + n);
	total_add(d, n);
	return n;
}

/* As many as leave pageout something to do. */
static unsigned
retire_locked(struct daemon *d)
{
	struct frame_table *t = &d->frames;
	uint32_t free_count = load_relaxed(&t->free_count), free_min = load_relaxed(&t->free_min);
	uint32_t floor = free_min > t->reserved ? free_min - 1 : t->reserved;
	unsigned most = (unsigned)min_u64(
		     min_u64(frames_to_retire(d), free_count > floor ? free_count - floor : 0),
		     RESIZE_STEP),
		 n;

	pageq_assert_held(d);
	for (n = 0; n < most; n++) {
		uint32_t frame = free_pop(t, FRAME_RETIRED);

		t->pages[frame].next = t->retired_head;
		t->retired_head = frame;
		t->retired++;
	}
	if (n > 0)
		total_add(d, -(int64_t)n);
	if (frames_to_retire(d) > 0 && d->pageq.calls.first_asleep)
		cond_signal(&d->pageq.calls.pageout_wanted);
	return n;
}

int
frames_resize(struct daemon *d, uint64_t size)
{
	struct frame_sizes sizes = frames_sizes(d);
	unsigned moved;

	locks_assert_none();
	if (size < sizes.least || size > sizes.most)
		return -ERANGE;
	pageq_lock(d);
	store_relaxed(&d->frames.size, (uint32_t)size);
	frames_params_refresh(d);
	pageq_unlock(d);
	do {
		pageq_lock(d);
		moved = grow_locked(d);
		pageq_unlock(d);
	} while (moved > 0);
	frames_retire(d);
	return 0;
}

void
frames_retire(struct daemon *d)
{
	unsigned moved = 1;

	locks_assert_none();
	while (unlikely(frames_to_retire(d) > 0) && moved > 0) {
		pageq_lock(d);
		moved = retire_locked(d);
		pageq_unlock(d);
	}
}

uint64_t
frames_retire_end(struct daemon *d)
{
	uint64_t fewer;

	locks_assert_none();
	if (likely(frames_to_retire(d) == 0))
		return 0;
	pageq_lock(d);
	fewer = frames_to_retire(d);
	store_relaxed(&d->frames.size, (uint32_t)frames_total(d));
	frames_params_refresh(d);
	pageq_unlock(d);
	return fewer;
}

/* --- the compressor's credit --- */

int
frames_memory_take(void *ctx, size_t bytes)
{
	struct daemon *d = ctx;
	long long credit = load_relaxed(&d->frames.compressor_credit);

	CHECK(bytes > 0);
	do {
		if (credit < (long long)bytes)
			return -ENOMEM;
	} while (!cas_acq_rel(&d->frames.compressor_credit, &credit, credit - (long long)bytes));
	return 0;
}

void
frames_memory_give(void *ctx, size_t bytes)
{
	struct daemon *d = ctx;

	CHECK(load_relaxed(&d->frames.compressor_credit) >= 0);
	fetch_add_acq_rel(&d->frames.compressor_credit, (long long)bytes);
}
