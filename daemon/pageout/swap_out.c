/* SPDX-License-Identifier: MIT
 *
 * Swap-out: cold segments are written from where they lie, several at a time. Runs on: the writer's
 * thread, which may wait for I/O. Allocates only where writer_reserve does.
 */
#include "pageout/swap_out.h"

#include <errno.h>

#include "daemon.h"
#include "failpt.h"
#include "memorystatus/frame_wait.h"
#include "pageout/writer.h"
#include "pagers/store.h"
#include "pagers/swapspace.h"

/* error: 0 or -errno of the write. */
static void
write_finish(struct writer *w, struct write *write, int error)
{
	struct daemon *d = w->daemon;
	struct cplace place = { write->slot.v };

	CHECK(write->used && w->in_flight > 0 && error <= 0);
	if (error) {
		struct swap_fault fault = swap_fault_of(d->swap, write->slot, error);

		stat_add(w->stats, STAT_SWAP_ERRORS, 1);
		swap_mark_error(d->swap, write->slot, error);
		swapspace_failed(d, SWAP_FAILED_WRITE, &fault);
		w->failed = true;
	} else {
		failpt_die(FAIL_DIE_SWAP_WRITTEN);
		swap_commit(d->swap, write->slot);
		failpt_die(FAIL_DIE_SWAP_COMMITTED);
		stat_add(w->stats, STAT_SWAPOUTS, 1);
		stat_add(w->stats, STAT_SWAPOUT_BYTES, write->length);
		w->written++;
	}
	if (compressor_swapout_end(d->compressor, write->segment, error, place) || error)
		swap_release(d->swap, write->slot);
	write->used = false;
	w->in_flight--;
	writer_made_room(d, error == 0);
}

static void
reap(struct writer *w)
{
	struct swap_completion completions[WRITES_MAX];
	unsigned count = swap_channel_reap(w->channel, completions, WRITES_MAX);

	CHECK(count <= w->in_flight);
	for (unsigned i = 0; i < count; i++) {
		CHECK(completions[i].cookie < w->depth);
		write_finish(w, &w->writes[completions[i].cookie], completions[i].result);
	}
}

static struct write *
write_get(struct writer *w)
{
	CHECK(w->in_flight <= w->depth && w->depth <= WRITES_MAX);
	for (unsigned i = 0; i < w->depth; i++)
		if (!w->writes[i].used)
			return &w->writes[i];
	return NULL;
}

/* Writes under way on a backend. */
static unsigned
writes_on(const struct writer *w, unsigned backend)
{
	unsigned count = 0;

	for (unsigned i = 0; i < w->depth; i++)
		count += w->writes[i].used && w->writes[i].backend == backend;
	return count;
}

/* Writes under way on backends that answer. */
static unsigned
writes_moving(const struct writer *w)
{
	unsigned count = 0;

	for (unsigned i = 0; w->in_flight > 0 && i < w->depth; i++)
		count +=
		    w->writes[i].used && !swap_slot_is_stalled(w->daemon->swap, w->writes[i].slot);
	return count;
}

/* => whether a write was started */
static bool
write_start(struct writer *w, bool only_apart)
{
	struct daemon *d = w->daemon;
	struct write *write = write_get(w);
	enum swap_kind kind;
	const void *bytes;
	int error;

	if (!write || !writer_reserve(w, &write->slot))
		return false;
	write->backend = swap_slot_backend(d->swap, write->slot, &kind);
	if (writes_on(w, write->backend) >= w->depth_each) {
		swap_release(d->swap, write->slot);
		return false;
	}
	if (!compressor_swapout_begin(
		d->compressor, only_apart, &write->segment, &bytes, &write->length)) {
		swap_release(d->swap, write->slot);
		return false;
	}
	CHECK(write->length > 0 && write->length <= compressor_segment_bytes(d->compressor));
	write->used = true;
	w->in_flight++;
	failpt_die(FAIL_DIE_SWAP_RESERVED);
	/* From where the segment lies: nothing in it changes until the write has ended. */
	error = swap_channel_submit_from(
	    w->channel, write->slot, write->length, bytes, (uint64_t)(write - w->writes));
	if (error) {
		write_finish(w, write, error);
		return false;
	}
	if (unlikely(failpt_hit(FAIL_DIE_SWAP_BEGUN))) {
		swap_channel_flush(w->channel);
		failpt_kill();
	}
	return true;
}

/* Between two looks at whether a backend still answers, in nanoseconds. */
#define LOOK_EVERY_NS 100000000u

/* Waits until at least one of the writes in flight has ended. => false: what is in flight is on
 * backends that do not answer. A later pass finds it. */
static bool
wait_one(struct writer *w)
{
	locks_assert_none();
	CHECK(w->in_flight > 0);
	swap_channel_flush(w->channel);
	while (writes_moving(w) > 0) {
		if (swap_channel_wait_for(w->channel, LOOK_EVERY_NS) == -ETIME)
			continue;
		reap(w);
		return true;
	}
	return false;
}

/* Whether faults have waited through rounds that freed nothing for them, while there is a place in
 * swap. Then segments make room, whatever keeps the compressor below its share (frames that it
 * cannot have because they are wired, or too few frames). */
static bool
is_starved(struct daemon *d)
{
	struct moment tried;

	locks_assert_none();
	return swap_has_room(d) &&
	       load_relaxed(&d->frames.free_count) < load_relaxed(&d->frames.free_min) &&
	       frame_wait_longest(d, &tried) && squeeze_starves(tried);
}

void
swap_out_apart(struct writer *w)
{
	locks_assert_none();
	CHECK(w->daemon->swap != NULL);
	reap(w);
	for (;;) {
		if (!w->failed && w->in_flight < w->depth && write_start(w, true))
			continue;
		if (w->in_flight == 0 || !wait_one(w))
			return;
	}
}

void
swap_out(struct writer *w)
{
	struct daemon *d = w->daemon;
	bool starved = is_starved(d);

	CHECK(d->swap != NULL);
	reap(w);
	if (store_frames_to_swap(d, false, starved) == 0)
		return;
	for (;;) {
		/* Frames of the segments in flight, which will leave. */
		uint64_t leaving =
		    (uint64_t)writes_moving(w) * compressor_segment_bytes(d->compressor) >>
		    d->page_shift;
		bool more = !w->failed && store_frames_to_swap(d, true, starved) > leaving;

		if (more && w->in_flight < w->depth && write_start(w, false))
			continue;
		if (w->in_flight == 0 || !wait_one(w))
			return;
	}
}

void
swap_out_end(struct writer *w)
{
	locks_assert_none();
	while (w->in_flight > 0) {
		swap_channel_flush(w->channel);
		swap_channel_wait(w->channel);
		reap(w);
	}
}
