/* SPDX-License-Identifier: MIT
 *
 * The swap writer's thread and its passes: places are given back, memory is compacted, segments go
 * to swap (swap_out.c), and swap files are made, emptied (drain.c) and deleted. Runs on: its own
 * thread, which may wait for I/O. It allocates only where writer_reserve does.
 */
#include "pageout/writeback.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "alloc.h"
#include "daemon.h"
#include "memorystatus/frame_wait.h"
#include "pageout/drain.h"
#include "pageout/swap_out.h"
#include "pageout/writer.h"
#include "pagers/store.h"
#include "pagers/swapspace.h"

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

static void
pass(struct writer *w)
{
	struct daemon *d = w->daemon;
	bool evicting = load_relaxed(&d->writeback.evicting);

	locks_assert_none();
	if (evicting)
		compressor_spare_set(d->compressor, store_group_frames(d) << d->page_shift);
	w->written = 0;
	w->failed = false;
	writer_release_places(d);
	compact(w);
	if (d->swap) {
		swap_out(w);
		if (writer_balance(w) >= 0)
			drain(w);
		store_release(&d->swapspace.full, !swap_has_free(d->swap));
		swapspace_passed(d, w->written > 0);
	}
	store_relaxed(&d->frames.compressor_share, (uint32_t)store_share(d));
	if (evicting)
		spares_end(d);
	writer_made_room(d, false);
	fetch_add_acq_rel(&d->writeback.passes, 1);
	if (w->written > 0)
		frame_wait_progress(d);
	frame_wait_judge(d);
}

/* Behind clients and fault servers, so that a client that has just been served does not wait for a
 * compaction to end; but not so far behind that other programs could starve it. */
#define WRITER_NICE 5

/* A pass is made at least this often (nanoseconds): it tidies places and files. */
#define PASS_EVERY_NS 100000000u

static void *
writer_main(void *argument)
{
	struct daemon *d = argument;
	struct writeback *wb = &d->writeback;

	CHECK(wb->writer != NULL && wb->writer->daemon == d);
	pthread_setname_np(pthread_self(), "writeback");
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), WRITER_NICE);
	alloc_forbid();
	lock_acquire(&wb->lock);
	while (!load_acquire(&wb->stopping)) {
		if (!load_acquire(&wb->wanted))
			cond_wait_for(&wb->cond, &wb->lock, PASS_EVERY_NS);
		store_release(&wb->wanted, false);
		lock_release(&wb->lock);
		pass(wb->writer);
		lock_acquire(&wb->lock);
	}
	lock_release(&wb->lock);
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
	w->stats = stats_shard(&d->stats, shard_index_extra(d, SHARD_WRITEBACK));
	w->depth = (unsigned)min_u64(param(d, swap_depth), WRITES_MAX);
	CHECK(w->depth > 0);
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
		CHECK(w->in_flight == 0);
		if (w->channel)
			swap_channel_destroy(w->channel);
		if (w->mover)
			swap_channel_destroy(w->mover);
		free(w);
	}
	lock_fini(&wb->lock);
	cond_fini(&wb->cond);
}
