/* SPDX-License-Identifier: MIT
 *
 * The swap writer: whole cold segments to swap, compaction, places given back, swap files made,
 * emptied and deleted. The only file that knows that a segment's place is a swap slot. Runs on: its
 * own thread, which may wait for I/O. It allocates nothing but the tables of a new swap file.
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

/* => whether memory came back */
static bool
compact(struct writer *w)
{
	struct daemon *d = w->daemon;
	bool any = false;

	for (unsigned steps = 0; steps < 64 && store_compaction_worth(d, true); steps++) {
		if (compressor_compact(d->compressor, load_relaxed(&d->pageq.squeezed)) == 0)
			break;
		stat_add(w->stats, STAT_COMPACTIONS, 1);
		any = true;
	}
	if (any)
		writer_made_room(d, true);
	return any;
}

/* While a range is evicted as much memory is emptied by the writer as is filled by the workers.
 * Then what it empties in one go is kept for them: giving it back and taking it anew costs a
 * quarter of a compression. This ends it, after a pass, when nothing is evicted any more. */
static void
spares_end(struct writer *w)
{
	struct daemon *d = w->daemon;
	bool over;

	pageq_lock(d);
	over = !d->pageq.evictions;
	if (over)
		store_relaxed(&d->writeback.evicting, false);
	pageq_unlock(d);
	if (over)
		compressor_spare_set(d->compressor, 0);
}

/* A client that has just been served should not wait for a compaction to end: behind clients and
 * fault servers, but not so far that others on the machine could starve it. */
#define WRITER_NICE 5

static void *
writer_main(void *argument)
{
	struct daemon *d = argument;
	struct writeback *wb = &d->writeback;
	struct writer *w = wb->writer;
	bool evicting;

	pthread_setname_np(pthread_self(), "writeback");
	setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), WRITER_NICE);
	alloc_forbid();
	lock_acquire(&wb->lock);
	while (!load_acquire(&wb->stopping)) {
		if (!load_acquire(&wb->wanted)) {
			/* Also now and then by itself: places and files are tidied. */
			cond_wait_for(&wb->cond, &wb->lock, 100000000);
		}
		store_release(&wb->wanted, false);
		lock_release(&wb->lock);
		evicting = load_relaxed(&wb->evicting);
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
			store_release(&d->writeback.swap_full, !swap_has_free(d->swap));
			swapspace_passed(d, w->written > 0);
		}
		store_relaxed(&d->frames.compressor_share, (uint32_t)store_share(d));
		if (evicting)
			spares_end(w);
		writer_made_room(d, false);
		fetch_add_acq_rel(&wb->passes, 1);
		if (w->written > 0)
			frame_wait_progress(d);
		frame_wait_judge(d);
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
	int error;

	wb->writer = calloc(1, sizeof(*wb->writer));
	if (!wb->writer)
		return -ENOMEM;
	wb->writer->daemon = d;
	wb->writer->stats = stats_shard(&d->stats, shard_index_extra(d, SHARD_WRITEBACK));
	wb->writer->depth = (unsigned)min_u64(param(d, swap_depth), WRITES_MAX);
	lock_init(&wb->lock, RANK_JOBS);
	cond_init(&wb->cond);
	if (d->swap) {
		error = swap_channel_create(d->swap, wb->writer->depth, 4096, &wb->channel);
		if (!error)
			error = swap_channel_create(d->swap, 1,
			    round_up_u64(compressor_segment_bytes(d->compressor), 4096),
			    &wb->mover);
		if (error)
			return error;
	}
	return pthread_create(&wb->thread, NULL, writer_main, d) ? -EAGAIN : 0;
}

void
writeback_stop(struct daemon *d)
{
	lock_acquire(&d->writeback.lock);
	store_release(&d->writeback.stopping, true);
	cond_signal(&d->writeback.cond);
	lock_release(&d->writeback.lock);
	pthread_join(d->writeback.thread, NULL);
}

void
writeback_fini(struct daemon *d)
{
	if (d->writeback.channel)
		swap_channel_destroy(d->writeback.channel);
	if (d->writeback.mover)
		swap_channel_destroy(d->writeback.mover);
	free(d->writeback.writer);
	lock_fini(&d->writeback.lock);
	cond_fini(&d->writeback.cond);
}
