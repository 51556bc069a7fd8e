/* SPDX-License-Identifier: MIT
 *
 * The swap writer's thread and its passes: places are given back, memory is compacted, segments go
 * to swap (swap_out.c), and swap files are made, emptied (drain.c) and deleted. Runs on: its own
 * thread, which may wait for I/O. It allocates only where writer_reserve does.
 */
#include "pageout/writeback.h"

#include <errno.h>
#include <stdlib.h>

#include "alloc.h"
#include "daemon.h"
#include "memorystatus/frame_wait.h"
#include "own.h"
#include "pageout/drain.h"
#include "pageout/swap_out.h"
#include "pageout/writer.h"
#include "pagers/store.h"
#include "pagers/swapspace.h"
#include "threads.h"

/* A pass is made at least this often (nanoseconds), while anything moves: it tidies places and
 * files. */
#define PASS_EVERY_NS 100000000u
/* Steps of compaction in a pass. */
#define COMPACTIONS_MAX 64u

void
writeback_want(struct daemon *d)
{
	struct writeback *wb = &d->writeback;

	if (exchange_acq_rel(&wb->wanted, true))
		return;
	lock_acquire(&wb->lock);
	cond_signal(&wb->cond);
	lock_release(&wb->lock);
}

/* As much as is worth it, in a bounded number of steps. */
static void
compact(struct writer *w)
{
	struct daemon *d = w->daemon;
	bool any = false;

	locks_assert_none();
	for (unsigned steps = 0; steps < COMPACTIONS_MAX && store_compaction_worth(d, true);
	     steps++) {
		if (compressor_compact(d->compressor, load_relaxed(&d->park.squeezed)) == 0)
			break;
		stat_add(w->stats, STAT_COMPACTIONS, 1);
		any = true;
	}
	w->is_busy |= any;
	if (any)
		writer_made_room(d, true);
}

/* While a range is evicted the writer empties as much memory as the workers fill. What it empties
 * in a pass is then kept for them: giving it back and taking it anew would cost a quarter of a
 * compression. Once nothing is evicted any more, this ends it. */
static void
spares_end(struct daemon *d)
{
	bool over;

	pageq_lock(d);
	over = !d->pageq.evictions.first;
	if (over)
		store_relaxed(&d->writeback.evicting, false);
	pageq_unlock(d);
	if (over)
		compressor_spare_set(d->compressor, 0);
}

/* Whether the next pass may find something to do although no thread has done anything. */
static bool
is_timed(struct daemon *d)
{
	const struct park *k = &d->park;

	if (d->writeback.writer->in_flight > 0 || load_relaxed(&d->writeback.evicting) ||
	    load_relaxed(&k->squeezed) || load_relaxed(&k->count) > 0 ||
	    load_relaxed(&k->storing_count) > 0 || load_relaxed(&k->refused_count) > 0 ||
	    load_relaxed(&k->tableless_count) > 0 || load_relaxed(&d->swapspace.full))
		return true;
	for (unsigned i = 0; i < SWAP_FAILURE_COUNT; i++)
		if (d->swapspace.trouble[i].error)
			return true;
	return false;
}

static void
wait_locked(struct daemon *d, unsigned number)
{
	struct writeback *wb = &d->writeback;

	lock_assert_held(&wb->lock);
	if (pulse_may_rest(&d->pulse, number) && !wb->writer->is_busy && !is_timed(d)) {
		stat_resting(&d->stats, 1);
		pulse_rests(&d->pulse);
		cond_wait(&wb->cond, &wb->lock);
		stat_resting(&d->stats, -1);
	} else {
		cond_wait_for(&wb->cond, &wb->lock, PASS_EVERY_NS);
	}
}

static void
wake(void *argument)
{
	struct writeback *wb = argument;

	lock_acquire(&wb->lock);
	cond_signal(&wb->cond);
	lock_release(&wb->lock);
}

static void
pass(struct writer *w)
{
	struct daemon *d = w->daemon;
	bool evicting = load_relaxed(&d->writeback.evicting);

	locks_assert_none();
	if (evicting)
		compressor_spare_set(d->compressor, store_group_frames(d) << d->page_shift);
	w->written = 0;
	w->failed = w->is_busy = false;
	writer_release_places(d);
	/* Before compaction can merge what is left in them with others. */
	if (d->swap)
		swap_out_apart(w);
	compact(w);
	if (d->swap) {
		swap_out(w);
		if (writer_balance(w) >= 0) {
			w->is_busy = true;
			drain(w);
		}
		store_release(&d->swapspace.full, !swap_has_free(d->swap));
		swapspace_passed(d, w->written > 0);
	}
	store_relaxed(&d->frames.compressor_share, (uint32_t)store_share(d));
	if (evicting)
		spares_end(d);
	/* Of those that this pass has emptied: the writer may rest after it. */
	writer_release_places(d);
	writer_made_room(d, false);
	fetch_add_acq_rel(&d->writeback.passes, 1);
	if (w->written > 0)
		frame_wait_progress(d);
	frame_wait_judge(d);
	w->is_busy |= w->written > 0 || w->failed;
	if (w->is_busy)
		pulse_beat(&d->pulse);
}

/* Behind clients and fault servers, so that a client that has just been served does not wait for a
 * compaction to end; but not so far behind that other programs could starve it. Added to the
 * daemon's own nice value. */
#define WRITER_NICE 5

static void *
writer_main(void *argument)
{
	struct daemon *d = argument;
	struct writeback *wb = &d->writeback;
	unsigned number = pulse_never(&d->pulse);

	CHECK(wb->writer != NULL && wb->writer->daemon == d);
	own_thread("writeback");
	thread_nice_set(WRITER_NICE);
	alloc_forbid();
	lock_acquire(&wb->lock);
	while (!load_acquire(&wb->stopping)) {
		if (!load_acquire(&wb->wanted))
			wait_locked(d, number);
		store_release(&wb->wanted, false);
		lock_release(&wb->lock);
		number = pulse_now(&d->pulse);
		pass(wb->writer);
		lock_acquire(&wb->lock);
	}
	lock_release(&wb->lock);
	if (d->swap)
		swap_out_end(wb->writer);
	writer_release_places(d);
	return NULL;
}

int
writeback_start(struct daemon *d)
{
	struct writeback *wb = &d->writeback;
	struct writer *w = calloc(1, sizeof(*w));
	int error;

	CHECK(wb->writer == NULL);
	lock_init(&wb->lock, RANK_JOBS);
	cond_init(&wb->cond);
	if (!w)
		return -ENOMEM;
	wb->writer = w;
	w->daemon = d;
	pulse_join(&d->pulse, wake, wb);
	w->stats = stats_shard(&d->stats, shard_index_extra(d, SHARD_WRITEBACK));
	w->depth_each = (unsigned)min_u64(
	    param(d, swap_depth), WRITES_MAX / max_u64(1, d->options.swap_backend_count));
	w->depth = w->depth_each * (unsigned)max_u64(1, d->options.swap_backend_count);
	CHECK(w->depth > 0 && w->depth <= WRITES_MAX);
	if (d->swap) {
		error = swap_channel_create(d->swap, w->depth, 4096, &w->channel);
		if (!error)
			error = swap_channel_create(d->swap, 1,
			    round_up_u64(compressor_segment_bytes(d->compressor), 4096), &w->mover);
		if (error)
			return error;
	}
	return pthread_create(&wb->thread, NULL, writer_main, d) ? -EAGAIN : 0;
}

void
writeback_stop(struct daemon *d)
{
	struct writeback *wb = &d->writeback;

	CHECK(wb->writer != NULL);
	lock_acquire(&wb->lock);
	store_release(&wb->stopping, true);
	cond_signal(&wb->cond);
	lock_release(&wb->lock);
	pthread_join(wb->thread, NULL);
}

void
writeback_fini(struct daemon *d)
{
	struct writeback *wb = &d->writeback;
	struct writer *w = wb->writer;

	if (w) {
		if (w->channel)
			swap_channel_destroy(w->channel);
		if (w->mover)
			swap_channel_destroy(w->mover);
		free(w);
	}
	lock_fini(&wb->lock);
	cond_fini(&wb->cond);
}
