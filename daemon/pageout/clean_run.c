/* SPDX-License-Identifier: MIT
 *
 * Runs of dirty pages go to their places. Runs on: the cleaner; gather and leave, which make calls
 * on clients' memory, on its hands. Allocates nothing.
 *
 * A run is a page list of the cleaning form (upl/upl.h): its pages are gathered, copied and let go.
 * Then the size of the content is asked for, once for all of them, so that no write makes a file
 * longer, and what lies within is written, neighbours together, all at the same time. Each piece is
 * committed when its write has ended, or aborted. Whatever fails, a page stays dirty until its
 * content is in its place.
 */
#include "pageout/cleaner_priv.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "memorystatus/frame_wait.h"
#include "pagers/marks.h"
#include "pagers/pager.h"
#include "transit/drop.h"

int
clean_channel_create(const struct daemon *d, struct swap_channel **ret)
{
	return swap_channel_create_for(NULL, SYNC_COOKIES + SYNCS_MAX, SYNCS_MAX, RUNS_MAX,
	    max_u64(RUN_BYTES, d->page_bytes), ret);
}

/* The first dirty page of [from, end) that no run under way has; what others write is skipped, and
 * is waited for by number. => end if there is none; a hint */
static uint64_t
next_dirty(const struct vm_object *o, uint64_t from, uint64_t end)
{
	struct daemon *d = o->daemon;

	for (uint64_t i = from; (i = vm_object_next_live(o, i, end)) < end; i++) {
		uint64_t slot = load_acquire((_Atomic uint64_t *)(uintptr_t)vm_object_slot(o, i));
		uint32_t word;

		if (slot_kind(slot) != SLOT_RESIDENT)
			continue;
		word = load_acquire(&d->frames.pages[slot_frame(slot)].word);
		if (word & PAGE_DIRTY && !(word & PAGE_WRITING))
			return i;
	}
	return end;
}

/* => a free entry, or NULL: those that the object or the user may have are in use. A user may have
 * fewer than are left, so several whose files do not answer leave some to others. */
static struct clean_run *
run_get(struct cleaner *c, const struct vm_object *o, uid_t uid)
{
	struct clean_run *free_run = NULL;
	unsigned of_user = 0, left = 0;

	for (unsigned i = 0; i < RUNS_MAX; i++) {
		if (c->runs[i].stage == RUN_FREE) {
			free_run = &c->runs[i];
			left++;
		} else {
			of_user += c->runs[i].uid == uid;
		}
	}
	if (o->external->in_flight >= RUNS_OBJECT_MAX || of_user >= RUNS_USER_MAX ||
	    of_user >= left)
		return NULL;
	return free_run;
}

/* The list's pages as pieces. => how many pages */
static unsigned
pieces_make(struct clean_run *run)
{
	const struct upl *u = run->list;
	unsigned at = 0;

	run->piece_count = 0;
	for (unsigned i = upl_next_held(u, 0); i < u->count; i = upl_next_held(u, i)) {
		struct clean_piece *piece = &run->pieces[run->piece_count++];

		*piece = (struct clean_piece){ .from = i, .at = at };
		for (; i < u->count && upl_holds(u, i); i++)
			piece->count++;
		at += piece->count;
	}
	CHECK(at <= RUN_PAGES_MAX);
	return at;
}

/* Where the run's page lies that is number `at` of those in the buffer. */
static char *
page_in_buffer(const struct clean_run *run, unsigned at)
{
	return (char *)run->buffer + ((size_t)at << run->object->daemon->page_shift);
}

/* => whether the piece's content is in the buffer */
static bool
piece_copy(struct clean_run *run, const struct clean_piece *piece)
{
	const struct vm_object *o = run->object;
	unsigned shift = o->daemon->page_shift;
	char *to = page_in_buffer(run, piece->at);
	uint64_t start = (run->list->first + piece->from) << shift;
	size_t bytes = (size_t)piece->count << shift, have = 0;

	while (have < bytes) {
		ssize_t got =
		    pread(o->backing.memfd, to + have, bytes - have, (off_t)(start + have));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		have += (size_t)got;
	}
	return true;
}

/* Wired pages to which nobody has stored are not written, and stay as dirty as all that are wired.
 * => whether there were any; then the pieces are those that are left */
static bool
run_drop_marked(struct clean_run *run)
{
	struct vm_object *o = run->object;
	struct upl *u = run->list;
	struct clean_piece left[RUN_PAGES_MAX];
	unsigned count = 0;
	bool any = false;

	if (likely(!load_relaxed(&o->external->marks)))
		return false;
	for (unsigned i = 0; i < run->piece_count; i++) {
		const struct clean_piece *piece = &run->pieces[i];
		bool goes_on = false;

		for (unsigned k = 0; k < piece->count; k++) {
			unsigned page = piece->from + k, at = piece->at + k;

			if (u->pages[page] == UPL_PAGE_WIRED &&
			    marks_match(o, u->first + page, page_in_buffer(run, at))) {
				CHECK(upl_abort(u, page, 1, 0) == 0);
				any = true;
				goes_on = false;
				continue;
			}
			if (!goes_on)
				left[count++] = (struct clean_piece){ .from = page, .at = at };
			left[count - 1].count++;
			goes_on = true;
		}
	}
	memcpy(run->pieces, left, count * sizeof(left[0]));
	run->piece_count = count;
	return any;
}

void
clean_run_gather(struct clean_run *run)
{
	struct vm_object *o = run->object;
	unsigned most = (unsigned)max_u64(RUN_BYTES >> o->daemon->page_shift, 1);
	bool copied = true;

	locks_assert_none();
	CHECK(run->stage == RUN_GATHERS && most <= RUN_PAGES_MAX);
	watch_client(vm_object_cookie(o));
	run->list = upl_begin(
	    run->memory, o, NULL, 0, run->low, (unsigned)(run->high - run->low), UPL_CLEANING_ALL);
	run->stop = upl_gather_dirty(run->list, most);
	run->has_content = run->list->held > 0;
	if (!run->has_content)
		return;
	upl_clip(run->list);
	(void)pieces_make(run);
	for (unsigned i = 0; copied && i < run->piece_count; i++)
		copied = piece_copy(run, &run->pieces[i]);
	upl_go_on(run->list);
	if (copied && run_drop_marked(run) && run->list->held == 0)
		run->stop = UPL_STOP_END;
	run->has_content = copied && run->list->held > 0;
	if (!copied)
		run->stop = UPL_STOP_BUSY;
}

struct clean_run *
clean_run_begin(struct cleaner *c, struct clean_request *r)
{
	struct vm_object *o = r->object;
	struct clean_run *run;
	uid_t uid;

	locks_assert_none();
	CHECK(r->at <= r->high && !r->is_gathering);
	r->at = next_dirty(o, r->at, r->high);
	if (r->at == r->high)
		return NULL;
	lock_acquire(&o->lock);
	uid = o->owner->uid;
	lock_release(&o->lock);
	run = run_get(c, o, uid);
	if (!run)
		return NULL;
	run->buffer = swap_channel_buffer_get(c->channel);
	CHECK(run->buffer != NULL);
	run->stage = RUN_GATHERS;
	run->request = r;
	run->object = o;
	run->low = r->at;
	run->high = min_u64(r->high, r->at + RUN_SPAN);
	run->leaves = r->leaves;
	run->is_late = run->is_forgotten = false;
	run->ends_seen = o->external->run_ends;
	run->uid = uid;
	run->error = 0;
	run->number = ++c->number;
	run->start_ns = clock_now_ns();
	r->is_gathering = true;
	vm_object_get(o);
	c->in_flight++;
	o->external->in_flight++;
	return run;
}

/* The run has no more to do. */
static void
run_free(struct cleaner *c, struct clean_run *run)
{
	struct external *x = run->object->external;

	CHECK(c->in_flight > 0 && x->in_flight > 0);
	if (run->is_late)
		fetch_sub_relaxed(&x->late, 1);
	if (run->stage != RUN_GATHERS) {
		x->run_ends++;
		for (struct clean_request *r = c->active; r; r = r->next)
			if (r->object == run->object)
				r->is_held_up = false;
	}
	swap_channel_buffer_put(c->channel, run->buffer);
	run->stage = RUN_FREE;
	c->in_flight--;
	x->in_flight--;
	if (x->in_flight == 0)
		store_relaxed(&x->is_let_go, false);
	upl_end(run->list);
	vm_object_put(run->object);
}

void
clean_run_gathered(struct cleaner *c, struct clean_run *run)
{
	struct clean_request *r = run->request;
	uint64_t passed = run->list->count;

	locks_assert_none();
	CHECK(run->stage == RUN_GATHERS);
	if (!run->has_content)
		passed = run->list->held == 0 ? run->list->gathered : 0;
	if (r) {
		CHECK(r->is_gathering);
		r->is_gathering = false;
		r->at = min_u64(max_u64(r->at, run->low + passed), r->high);
		/* The other run may have ended meanwhile. */
		r->is_held_up = !run->has_content && run->stop == UPL_STOP_LISTED &&
				run->ends_seen == run->object->external->run_ends;
	}
	run->request = NULL;
	if (!run->has_content) {
		/* Others have cleaned them, or one of them is in transit, or its client's address
		 * space is changing. */
		c->must_try_again |= run->stop == UPL_STOP_BUSY;
		run_free(c, run);
		return;
	}
	run->high = run->low + run->list->count;
	run->stage = RUN_SIZE;
	/* The channel has an entry for each piece of each run. */
	CHECK(
	    pager_size_submit(run->object, c->channel, (uint64_t)(run - c->runs) * RUN_PAGES_MAX));
}

void
clean_run_end(struct cleaner *c, struct clean_run *run)
{
	struct vm_object *o = run->object;
	struct daemon *d = c->daemon;

	locks_assert_none();
	if (run->error)
		stat_add(c->stats, STAT_FILE_ERRORS, 1);
	if (run->error && !run->is_forgotten) {
		store_relaxed(&o->external->is_failing, true);
		for (struct clean_request *r = c->active; r; r = r->next)
			if (r->object == o)
				r->error = run->error;
	} else if (!run->error) {
		frame_wait_progress(d);
		frame_wait_stores_changed(d);
		pageq_lock(d);
		cond_broadcast(&d->pageq.calls.room_wanted);
		pageq_unlock(d);
	}
	run_free(c, run);
}

/* Whether the piece, which is in its place or behind the end of the content, is to leave: it was
 * asked for, or frames are short. What lies behind the end of a file is to be asked for anew. */
static bool
piece_is_to_leave(const struct clean_run *run, const struct clean_piece *piece)
{
	const struct daemon *d = run->object->daemon;

	return run->leaves || piece->bytes < (uint64_t)piece->count << d->page_shift ||
	       load_relaxed(&d->frames.free_count) < d->frames.free_target;
}

void
clean_run_leave(struct clean_run *run, struct stat_shard stats, struct hole *hole)
{
	struct vm_object *o = run->object;
	bool is_busy;

	locks_assert_none();
	CHECK(run->stage == RUN_LEAVES);
	watch_client(vm_object_cookie(o));
	for (unsigned i = 0; i < run->piece_count; i++) {
		const struct clean_piece *piece = &run->pieces[i];
		uint64_t low = run->low + piece->from;

		if (piece->leaves)
			(void)vm_object_drop_clean(
			    stats, hole, o, low, low + piece->count, &is_busy);
	}
}

/* All writes have ended. */
static void
writes_end(struct cleaner *c, struct clean_run *run)
{
	for (unsigned i = 0; i < run->piece_count; i++)
		if (run->pieces[i].leaves)
			run->stage = RUN_LEAVES;
	if (run->stage != RUN_LEAVES)
		clean_run_end(c, run);
}

/* What of a piece is wired has been written as the buffer has it. */
static void
piece_mark(struct clean_run *run, const struct clean_piece *piece)
{
	struct vm_object *o = run->object;

	if (likely(!load_relaxed(&o->external->marks)) ||
	    piece->bytes < (uint64_t)piece->count << o->daemon->page_shift)
		return;
	for (unsigned k = 0; k < piece->count; k++)
		if (run->list->pages[piece->from + k] == UPL_PAGE_WIRED)
			marks_set(o, run->list->first + piece->from + k,
			    page_in_buffer(run, piece->at + k));
}

/* Pages that were written and stay dirty, because a device may write into them. */
static unsigned
piece_pinned(const struct clean_run *run, const struct clean_piece *piece)
{
	unsigned count = 0;

	for (unsigned k = 0; k < piece->count; k++)
		count += run->list->pages[piece->from + k] == UPL_PAGE_PINNED;
	return count;
}

/* A piece has been written, or cannot be. The last one ends the run. */
static void
piece_end(struct cleaner *c, struct clean_run *run, struct clean_piece *piece, int error)
{
	CHECK(run->pieces_left > 0);
	if (!run->is_forgotten)
		pager_write_end(run->object, error);
	if (error) {
		run->error = error;
		CHECK(upl_abort(run->list, piece->from, piece->count, 0) == 0);
	} else {
		piece_mark(run, piece);
		stat_add(c->stats, STAT_PINNED, piece_pinned(run, piece));
		CHECK(
		    upl_commit(run->list, piece->from, piece->count, UPL_COMMIT_CLEAR_DIRTY) == 0);
		stat_add(c->stats, STAT_FILE_WRITES, piece->count);
		stat_add(c->stats, STAT_FILE_WRITE_BYTES, piece->written);
		piece->leaves = piece_is_to_leave(run, piece);
	}
	if (--run->pieces_left == 0)
		writes_end(c, run);
}

/* Begins the next write of the piece, or ends it. What fills whole blocks goes first, so that it
 * can go past the page cache. */
static void
piece_write(struct cleaner *c, struct clean_run *run, struct clean_piece *piece)
{
	unsigned shift = c->daemon->page_shift;
	uint64_t whole = round_down_u64(piece->bytes, 4096),
		 to = piece->written < whole ? whole : piece->bytes;
	uint64_t start = (run->list->first + piece->from) << shift;
	uint64_t cookie =
	    (uint64_t)(run - c->runs) * RUN_PAGES_MAX + (uint64_t)(piece - run->pieces);
	enum pager_result result;

	if (piece->written == piece->bytes) {
		piece_end(c, run, piece, 0);
		return;
	}
	result =
	    pager_write_submit(run->object, start + piece->written, to - piece->written, c->channel,
		(char *)run->buffer + ((size_t)piece->at << shift) + piece->written, cookie);
	/* The channel has an entry for each piece. */
	CHECK(result != PAGER_AGAIN);
	if (result != PAGER_OK)
		piece_end(c, run, piece, -EIO);
}

/* The size of the content is known, or an error: what lies within is written. */
static void
run_write(struct cleaner *c, struct clean_run *run, int error, uint64_t size)
{
	unsigned shift = c->daemon->page_shift, count = run->piece_count;
	uint64_t within = error ? 0 : pager_bytes_within(run->object, size);

	run->stage = RUN_WRITES;
	run->pieces_left = count;
	/* The last piece to end ends the run. */
	for (unsigned i = 0; i < count; i++) {
		struct clean_piece *piece = &run->pieces[i];
		uint64_t start = (run->list->first + piece->from) << shift;

		if (error) {
			piece_end(c, run, piece, error);
			continue;
		}
		if (within > start)
			piece->bytes = min_u64(within - start, (uint64_t)piece->count << shift);
		piece_write(c, run, piece);
	}
}

void
clean_run_step(struct cleaner *c, const struct swap_completion *done)
{
	struct clean_run *run = &c->runs[done->cookie / RUN_PAGES_MAX];
	struct clean_piece *piece = &run->pieces[done->cookie % RUN_PAGES_MAX];

	CHECK(run->stage != RUN_FREE);
	if (run->stage == RUN_SIZE) {
		run_write(c, run, done->result, done->bytes);
	} else if (done->result) {
		piece_end(c, run, piece, done->result);
	} else {
		piece->written += done->bytes;
		piece_write(c, run, piece);
	}
}
