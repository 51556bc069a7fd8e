/* SPDX-License-Identifier: MIT
 *
 * The swap writer: whole cold segments to swap, compaction, places given back, swap files made,
 * emptied and deleted. The only file that knows that a segment's place is a swap slot. Runs on: its
 * own thread, which may wait for I/O. It allocates nothing but the tables of a new swap file.
 */
#include "pageout/writeback.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "alloc.h"
#include "daemon.h"
#include "pagers/store.h"
#include "pagers/swapspace.h"
#include "memorystatus/frame_wait.h"

#define WRITES_MAX 64u

/* One segment under way to disk, or being moved between files. */
struct write {
	uint32_t segment;
	struct swap_slot slot;
	size_t length;
	bool used;
};

struct writer {
	struct daemon *daemon;
	struct stat_shard stats;
	struct write writes[WRITES_MAX];
	unsigned in_flight, depth;
	unsigned written; /* segments that went to swap in this pass */
	bool failed;      /* a write failed in this pass: it begins no more */
};

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

/* Memory may have come back: it becomes free frames, and whoever waits goes on. `made`: by us, it
 * is known. */
static void
room_made(struct daemon *d, bool made)
{
	uint32_t freed;

	pageq_lock(d);
	freed = frames_reclaim_credit_locked(d, 64u << 10);
	if (made || freed)
		cond_broadcast(&d->pageq.room_wanted);
	pageq_unlock(d);
	if (freed)
		frame_wait_freed(d);
}

static void
release_places(struct daemon *d)
{
	struct cplace place;

	while (compressor_place_released(d->compressor, &place))
		if (d->swap)
			swap_release(d->swap, (struct swap_slot){ place.v });
}

static void
write_finish(struct writer *w, struct write *write, int error)
{
	struct daemon *d = w->daemon;
	struct cplace place = { write->slot.v };

	if (error) {
		stat_add(w->stats, STAT_SWAP_ERRORS, 1);
		swap_mark_error(d->swap, write->slot, error);
		swapspace_failed(d, SWAP_FAILED_WRITE, error);
		w->failed = true;
	} else {
		swap_commit(d->swap, write->slot);
		stat_add(w->stats, STAT_SWAPOUTS, 1);
		stat_add(w->stats, STAT_SWAPOUT_BYTES, write->length);
		w->written++;
	}
	if (compressor_swapout_end(d->compressor, write->segment, error, place) || error)
		swap_release(d->swap, write->slot);
	write->used = false;
	w->in_flight--;
	room_made(d, error == 0);
}

static void
reap(struct writer *w)
{
	struct swap_completion completions[WRITES_MAX];
	unsigned count = swap_channel_reap(w->daemon->writeback.channel, completions, WRITES_MAX);

	for (unsigned i = 0; i < count; i++)
		write_finish(w, &w->writes[completions[i].cookie], completions[i].result);
}

static struct write *
write_get(struct writer *w)
{
	for (unsigned i = 0; i < w->depth; i++)
		if (!w->writes[i].used)
			return &w->writes[i];
	return NULL;
}

/* A new file's tables are allocated. Where there is no memory for them no file is made, and what is
 * stored stays in the compressor. */
static enum swap_balance
balance_step(struct daemon *d, unsigned *ret_draining, int *ret_error)
{
	enum swap_balance outcome;

	alloc_allow();
	outcome = swap_balance(d->swap, ret_draining, ret_error);
	alloc_forbid();
	return outcome;
}

/* Makes and deletes swap files; moving what lives in a file being emptied is the caller's.
 * => the file to drain, or -1 */
static int
balance(struct writer *w)
{
	struct daemon *d = w->daemon;
	unsigned draining = 0;
	int error = 0;

	for (;;) {
		switch (balance_step(d, &draining, &error)) {
		case SWAP_BALANCE_CREATED:
		case SWAP_BALANCE_DELETED:
			continue;
		case SWAP_BALANCE_DRAIN:
			return (int)draining;
		case SWAP_BALANCE_FAILED:
			/* Not before it is missed. */
			if (!swap_has_free(d->swap))
				swapspace_failed(d, SWAP_FAILED_CREATE, error);
			return -1;
		case SWAP_BALANCE_IDLE:
			return -1;
		}
	}
}

static bool
reserve(struct writer *w, struct swap_slot *ret)
{
	struct daemon *d = w->daemon;

	if (swap_reserve(d->swap, ret) == 0)
		return true;
	balance(w);
	return swap_reserve(d->swap, ret) == 0;
}

/* => whether a write was started */
static bool
write_start(struct writer *w)
{
	struct daemon *d = w->daemon;
	struct write *write = write_get(w);
	const void *bytes;
	int error;

	if (!write || !reserve(w, &write->slot))
		return false;
	if (!compressor_swapout_begin(d->compressor, &write->segment, &bytes, &write->length)) {
		swap_release(d->swap, write->slot);
		return false;
	}
	write->used = true;
	w->in_flight++;
	/* As it lies: nothing of it changes until the end. */
	error = swap_channel_submit_from(
	    d->writeback.channel, write->slot, write->length, bytes, (uint64_t)(write - w->writes));
	if (error) {
		write_finish(w, write, error);
		return false;
	}
	return true;
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
		room_made(d, true);
	return any;
}

static void
wait_one(struct writer *w)
{
	swap_channel_flush(w->daemon->writeback.channel);
	if (w->in_flight > 0)
		swap_channel_wait(w->daemon->writeback.channel);
	reap(w);
}

/* Faults have waited through rounds that freed nothing for them, while there is a place in swap:
 * whatever keeps the compressor below its share (frames that cannot be had because they are wired,
 * or are too few), its segments make room. */
static bool
is_starved(struct daemon *d)
{
	struct moment tried;

	return swap_has_room(d) &&
	       load_relaxed(&d->frames.free_count) < load_relaxed(&d->frames.free_min) &&
	       frame_wait_longest(d, &tried) && squeeze_starves(tried);
}

static void
swap_out(struct writer *w)
{
	struct daemon *d = w->daemon;
	bool starved = is_starved(d);

	if (store_frames_to_swap(d, false, starved) == 0)
		return;
	for (;;) {
		/* What is in flight will leave. */
		uint64_t leaving =
		    (uint64_t)w->in_flight * compressor_segment_bytes(d->compressor) >>
		    d->page_shift;
		bool more = !w->failed && store_frames_to_swap(d, true, starved) > leaving;

		if (more && w->in_flight < w->depth && write_start(w))
			continue;
		if (w->in_flight == 0)
			return;
		wait_one(w);
	}
}

static int
transfer_wait(struct writer *w, int direction, struct swap_slot slot, size_t length, void *buffer)
{
	struct swap_channel *channel = w->daemon->writeback.mover;
	struct swap_completion completion;
	int error =
	    swap_channel_submit(channel, direction, slot, 0, round_up_u64(length, 4096), buffer, 0);

	if (error)
		return error;
	swap_channel_flush(channel);
	do
		swap_channel_wait(channel);
	while (swap_channel_reap(channel, &completion, 1) == 0);
	return completion.result;
}

/* Its segment stays where it was. */
static void
move_failed(struct writer *w, enum swap_failure kind, struct swap_slot slot, int error)
{
	stat_add(w->stats, STAT_SWAP_ERRORS, 1);
	swap_mark_error(w->daemon->swap, slot, error);
	swapspace_failed(w->daemon, kind, error);
}

/* Moves one segment out of a file that is being emptied. => false: it could not be read, or not be
 * written (*ret_full: or found no place). One that went away meanwhile, or is being read, is no
 * failure. */
static bool
move_segment(struct writer *w, const struct caway *away, bool *ret_full)
{
	struct daemon *d = w->daemon;
	struct swap_slot from = { away->place.v }, to;
	void *buffer = swap_channel_buffer_get(d->writeback.mover);
	int read_error, write_error = 0, error;

	/* One is moved at a time. */
	CHECK(buffer != NULL);
	*ret_full = !reserve(w, &to);
	if (*ret_full) {
		swap_channel_buffer_put(d->writeback.mover, buffer);
		return false;
	}
	read_error = transfer_wait(w, SWAP_READ, from, away->length, buffer);
	if (!read_error)
		write_error = transfer_wait(w, SWAP_WRITE, to, away->length, buffer);
	error = read_error ? read_error : write_error;
	/* Released meanwhile: there is nothing to be moved. */
	if (read_error && read_error != -ESTALE)
		move_failed(w, SWAP_FAILED_READ, from, read_error);
	if (write_error)
		move_failed(w, SWAP_FAILED_WRITE, to, write_error);
	if (!error) {
		swap_commit(d->swap, to);
		error = compressor_place_moved(
		    d->compressor, away->segment, away->place, (struct cplace){ to.v });
	}
	swap_release(d->swap, error ? to : from);
	swap_channel_buffer_put(d->writeback.mover, buffer);
	*ret_full = write_error != 0;
	return (read_error == 0 || read_error == -ESTALE) && write_error == 0;
}

/* What cannot be read stays, and the rest is moved all the same; where nothing can be written
 * nothing more is tried. Either way the file cannot be emptied for now. */
static void
drain(struct writer *w)
{
	struct daemon *d = w->daemon;
	bool failed = false, full = false;
	uint32_t cursor = 0;
	struct caway away;

	while (!full && compressor_away_next(d->compressor, &cursor, &away))
		if (swap_slot_is_draining(d->swap, (struct swap_slot){ away.place.v }))
			failed |= !move_segment(w, &away, &full);
	if (failed)
		swap_drain_defer(d->swap);
	release_places(d);
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
		release_places(d);
		compact(w);
		if (d->swap) {
			swap_out(w);
			if (balance(w) >= 0)
				drain(w);
			store_release(&d->writeback.swap_full, !swap_has_free(d->swap));
			swapspace_passed(d, w->written > 0);
		}
		store_relaxed(&d->frames.compressor_share, (uint32_t)store_share(d));
		if (evicting)
			spares_end(w);
		room_made(d, false);
		fetch_add_acq_rel(&wb->passes, 1);
		if (w->written > 0)
			frame_wait_progress(d);
		frame_wait_judge(d);
		lock_acquire(&wb->lock);
	}
	lock_release(&wb->lock);
	while (w->in_flight > 0)
		wait_one(w);
	release_places(d);
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
