/* SPDX-License-Identifier: MIT
 *
 * Pages whose segment is on disk: only the blocks that hold them are read, by the server's own
 * channel. Runs on: fault servers. The pages stay busy and FILLING while the read is under way; the
 * server goes on with other faults.
 */
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "fault/fault.h"
#include "record/recorder.h"

#define DISK_BLOCK 512u

static struct vm_page *
fill_page(const struct fill *fill, unsigned i)
{
	return &fill->object->daemon->frames.pages[fill->frames[i]];
}

static struct swapin *
swapin_get(struct fault_seat *seat)
{
	for (unsigned i = 0; i < seat->depth; i++)
		if (!seat->swapins[i].used)
			return &seat->swapins[i];
	return NULL;
}

static void
reads_end(struct daemon *d, struct fill *fill, unsigned from, unsigned count)
{
	for (unsigned i = from; i < count; i++)
		compressor_read_end(d->compressor, (struct cref){ fill_page(fill, i)->cref });
}

/* Pins the first page and as many followers as lie close by in the same segment; the rest is
 * aborted.
 * => 0, or -errno of the first */
static int
pin_reads(struct fault_server *server, struct swapin *in)
{
	struct daemon *d = server->daemon;
	uint32_t low = 0, high = 0;
	unsigned count = 0;

	for (; count < in->fill.count; count++) {
		struct cref cref = { fill_page(&in->fill, count)->cref };
		struct cread read;
		int error = compressor_read_begin(d->compressor, cref, &read);
		uint32_t from, to;

		if (error) {
			if (count == 0)
				return error;
			break;
		}
		from = (uint32_t)round_down_u64(read.offset, DISK_BLOCK);
		to = (uint32_t)round_up_u64(read.offset + read.length, DISK_BLOCK);
		if (count == 0) {
			low = from;
			high = to;
			in->place = read.place.v;
		} else if (read.place.v != in->place ||
			   (to > high ? to : high) - (from < low ? from : low) >
			       server->seat->channel_buffer_bytes) {
			compressor_read_end(d->compressor, cref);
			break;
		}
		low = from < low ? from : low;
		high = to > high ? to : high;
		in->page_offset[count] = read.offset;
		in->page_length[count] = read.length;
	}
	in->offset = low;
	in->length = high - low;
	if (count < in->fill.count)
		fill_abort(d, &in->fill, count);
	return 0;
}

enum fault_outcome
swapin_start(struct fault_server *server, const struct fault *fault, struct fill *fill)
{
	struct daemon *d = server->daemon;
	struct fault_seat *seat = server->seat;
	/* A direct server has no channel, and one that has been relieved meanwhile (a recording
	 * takes mappings away) has it no more. */
	struct swapin *in = seat && seat->channel && !watch_is_relieved() ? swapin_get(seat) : NULL;
	void *buffer = in ? swap_channel_buffer_get(seat->channel) : NULL;
	bool is_full = false;
	int error;

	/* A downward run is read a page at a time. */
	fill_drop_front(d, fill, fill->first);
	if (!buffer) {
		fill_defer(d, fill);
		vm_object_put(fill->object);
		return FAULT_NO_IO;
	}
	in->fill = *fill;
	in->fault = *fault;
	in->buffer = buffer;
	error = pin_reads(server, in);
	if (error == 0) {
		error =
		    swap_channel_submit(seat->channel, SWAP_READ, (struct swap_slot){ in->place },
			in->offset, in->length, buffer, (uint64_t)(in - seat->swapins));
		if (error)
			reads_end(d, &in->fill, 0, in->fill.count);
		is_full = error == -EAGAIN;
	}
	if (error) {
		swap_channel_buffer_put(seat->channel, buffer);
		/* Not to be pinned (it is in memory again, most likely): the thread faults once
		 * more and finds it. */
		if (is_full)
			fill_defer(d, &in->fill);
		else
			fill_abort(d, &in->fill, 0);
		vm_object_put(in->fill.object);
		return is_full ? FAULT_NO_IO : FAULT_ANSWERED;
	}
	in->used = true;
	store_relaxed(&in->finished, false);
	seat->swapins_used++;
	task_get(fault->task);
	/* What the kernel does not take now, the server's loop hands over. */
	(void)swap_channel_flush(seat->channel);
	return FAULT_PENDING;
}

/* Expands what was read. => pages at the front that are good; *ret_bad: the one behind them is
 * damaged. */
static unsigned
decode(struct fault_server *server, struct swapin *in, bool *ret_bad)
{
	struct daemon *d = server->daemon;

	*ret_bad = false;
	for (unsigned i = 0; i < in->fill.count; i++) {
		struct cref cref = { fill_page(&in->fill, i)->cref };
		int error = compressor_read_decode(d->compressor, cref,
		    (const char *)in->buffer + (in->page_offset[i] - in->offset),
		    (char *)server->bounce + ((size_t)i << d->page_shift));

		if (error) {
			*ret_bad = true;
			return i;
		}
	}
	return in->fill.count;
}

static void
swapin_finish(struct fault_server *server, struct swapin *in, int result)
{
	struct daemon *d = server->daemon;
	struct fill *fill = &in->fill;
	struct ledger *ledger = &fill->object->bill->ledger;
	bool bad = result != 0, moved;
	unsigned good = 0, done = 0;
	uint64_t ns;

	if (result == 0) {
		good = decode(server, in, &bad);
		stat_add(server->stats, STAT_SWAPIN_BYTES, in->length);
	} else {
		stat_add(server->stats, STAT_SWAP_ERRORS, 1);
		swap_mark_error(d->swap, (struct swap_slot){ in->place }, result);
	}
	reads_end(d, fill, 0, fill->count);
	/* Another lane's by now: its threads fault again, there. */
	moved = load_acquire(&in->fault.task->lane) != server->lane;
	if (good > 0 && !moved)
		done = fill_copy(server, fill, server->bounce, good, !fill->wired);
	stat_add(server->stats, STAT_SWAPINS, done);
	ledger_count(ledger, PAGER_LEDGER_SWAPINS, done);
	stat_add(server->stats, STAT_FAULTS, 1);
	ledger_count(ledger, PAGER_LEDGER_FAULTS, 1);
	ns = clock_now_ns() - in->fault.start_ns;
	ledger_count(ledger, PAGER_LEDGER_STALL_SWAP, ns);
	fault_count_refill(server, &in->fault, ns);
	if (done > 0) {
		fill_finish(server, fill, done, PAGE_ACTIVE, true); /* drops the object */
		return;
	}
	if (bad && good == 0 && !moved) {
		fill_abort(d, fill, 1);
		fill_lost(server, fill, 0);
	} else {
		fill_abort(d, fill, 0);
	}
	vm_object_put(fill->object);
}

static void
give_back(struct fault_seat *seat, struct swapin *in)
{
	swap_channel_buffer_put(seat->channel, in->buffer);
	in->used = false;
	seat->swapins_used--;
}

void
swapin_collect(struct fault_seat *seat)
{
	if (likely(load_acquire(&seat->left_behind) == 0))
		return;
	for (unsigned i = 0; i < seat->depth; i++) {
		struct swapin *in = &seat->swapins[i];

		if (!in->used || !load_acquire(&in->finished))
			continue;
		give_back(seat, in);
		fetch_sub_relaxed(&seat->left_behind, 1);
	}
}

/* One at a time: what has not been reaped is there for the next server, should this one be
 * relieved. */
void
swapin_reap(struct fault_server *server)
{
	struct fault_seat *seat = server->seat;
	struct swap_completion completion;

	if (!seat->channel)
		return;
	while (!watch_is_relieved() && swap_channel_reap(seat->channel, &completion, 1) > 0) {
		struct swapin *in = &seat->swapins[completion.cookie];
		struct task *task = in->fault.task;

		watch_client(task_cookie(task));
		swapin_finish(server, in, completion.result);
		task_put(task);
		if (likely(!watch_is_relieved())) {
			give_back(seat, in);
			continue;
		}
		/* The entry is the next server's to give back. */
		store_release(&in->finished, true);
		fetch_add_acq_rel(&seat->left_behind, 1);
	}
}
