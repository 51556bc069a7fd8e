/* SPDX-License-Identifier: MIT
 *
 * Draining: segments move from a swap file that is being emptied to another one of the same
 * directory, one at a time, through a buffer. Runs on: the writer's thread, which may wait for I/O.
 */
#include "pageout/drain.h"

#include <errno.h>

#include "daemon.h"
#include "failpt.h"
#include "pageout/writer.h"
#include "pagers/swapspace.h"

/* Reads or writes a whole segment, and waits for the end. => 0 or -errno */
static int
transfer_wait(struct writer *w, int direction, struct swap_slot slot, size_t length, void *buffer)
{
	struct swap_channel *channel = w->mover;
	struct swap_completion completion;
	int error;

	locks_assert_none();
	CHECK(length > 0 && length <= compressor_segment_bytes(w->daemon->compressor));
	error =
	    swap_channel_submit(channel, direction, slot, 0, round_up_u64(length, 4096), buffer, 0);
	if (error)
		return error;
	swap_channel_flush(channel);
	do
		swap_channel_wait(channel);
	while (swap_channel_reap(channel, &completion, 1) == 0);
	return completion.result;
}

/* The segment stays in its place. */
static void
move_failed(struct writer *w, enum swap_failure kind, struct swap_slot slot, int error)
{
	struct swap_fault fault = swap_fault_of(w->daemon->swap, slot, error);

	stat_add(w->stats, STAT_SWAP_ERRORS, 1);
	swap_mark_error(w->daemon->swap, slot, error);
	swapspace_failed(w->daemon, kind, &fault);
}

/* Moves one segment to another place. A segment that goes away meanwhile, or is being read, is no
 * failure. => false: it could not be read or written, or (*ret_full) nothing can be written to
 * another place now */
static bool
move_segment(struct writer *w, const struct caway *away, bool *ret_full)
{
	struct daemon *d = w->daemon;
	struct swap_slot from = { away->place.v }, to;
	void *buffer = swap_channel_buffer_get(w->mover);
	int read_error, write_error = 0, error;

	/* There is one buffer, since one segment is moved at a time. */
	CHECK(buffer != NULL);
	*ret_full = swap_reserve_beside(d->swap, from, &to) != 0;
	if (*ret_full) {
		swap_channel_buffer_put(w->mover, buffer);
		return false;
	}
	CHECK(to.v != from.v);
	read_error = transfer_wait(w, SWAP_READ, from, away->length, buffer);
	if (!read_error)
		write_error = transfer_wait(w, SWAP_WRITE, to, away->length, buffer);
	error = read_error ? read_error : write_error;
	/* -ESTALE: the segment has gone away, and its place was released. */
	if (read_error && read_error != -ESTALE)
		move_failed(w, SWAP_FAILED_READ, from, read_error);
	if (write_error)
		move_failed(w, SWAP_FAILED_WRITE, to, write_error);
	if (!error) {
		swap_commit(d->swap, to);
		failpt_die(FAIL_DIE_SWAP_MOVED);
		error = compressor_place_moved(
		    d->compressor, away->segment, away->place, (struct cplace){ to.v });
	}
	swap_release(d->swap, error ? to : from);
	swap_channel_buffer_put(w->mover, buffer);
	*ret_full = write_error != 0;
	return (read_error == 0 || read_error == -ESTALE) && write_error == 0;
}

void
drain(struct writer *w)
{
	struct daemon *d = w->daemon;
	bool failed = false, full = false;
	uint32_t cursor = 0;
	struct caway away;

	CHECK(d->swap != NULL);
	while (!full && compressor_away_next(d->compressor, &cursor, &away))
		if (swap_slot_is_draining(d->swap, (struct swap_slot){ away.place.v }))
			failed |= !move_segment(w, &away, &full);
	if (failed)
		swap_drain_defer(d->swap);
	writer_release_places(d);
}
