/* SPDX-License-Identifier: MIT
 *
 * Reads of pages that are on secondary storage. Only the blocks that hold them are read, through
 * the seat's own channel; the pages stay busy and FILLING while the read is under way, and the
 * server goes on with other faults. Runs on: fault servers.
 */
#include "fault/swapin.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "clock.h"
#include "pagers/pager.h"
#include "transit/put.h"

/* => a free entry, or NULL */
static struct swapin *
swapin_get(struct fault_seat *seat)
{
	for (unsigned i = 0; i < seat->depth; i++)
		if (!seat->swapins[i].used)
			return &seat->swapins[i];
	return NULL;
}

/* Pins the first page and as many of those behind it as lie close by; the rest is put back.
 * => PAGER_OK, or PAGER_AGAIN: the first is not away any more */
static enum pager_result
pin_reads(struct fault_server *server, struct swapin *in)
{
	struct cref copies[FAULT_CLUSTER_MAX];
	enum pager_result result;

	CHECK(in->fill.count > 0 && in->fill.count <= FAULT_CLUSTER_MAX);
	for (unsigned i = 0; i < in->fill.count; i++)
		copies[i].v = fill_page(&in->fill, i)->cref;
	result = pager_read_begin(
	    in->fill.object, copies, in->fill.count, server->seat->channel_buffer_bytes, &in->read);
	if (result == PAGER_OK && in->read.count < in->fill.count)
		fill_abort(server->daemon, &in->fill, in->read.count);
	return result;
}

enum fault_outcome
swapin_start(struct fault_server *server, const struct fault *fault, struct fill *fill)
{
	struct daemon *d = server->daemon;
	struct fault_seat *seat = server->seat;
	/* A direct server has no channel, and a server that has been relieved meanwhile (a
	 * recording takes mappings away) has it no more. */
	struct swapin *in = seat && seat->channel && !watch_is_relieved() ? swapin_get(seat) : NULL;
	void *buffer = in ? swap_channel_buffer_get(seat->channel) : NULL;
	bool is_full = false;
	enum pager_result result;

	locks_assert_none();
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
	result = pin_reads(server, in);
	if (result == PAGER_OK) {
		result = pager_read_submit(in->fill.object, &in->read, seat->channel, buffer,
		    (uint64_t)(in - seat->swapins));
		if (result != PAGER_OK)
			pager_read_end(in->fill.object, &in->read, 0);
		is_full = result == PAGER_AGAIN;
	}
	if (result != PAGER_OK) {
		swap_channel_buffer_put(seat->channel, buffer);
		/* If the page could not be pinned it is in memory again, most likely: the thread
		 * faults once more and finds it. */
		if (is_full)
			fill_defer(d, &in->fill);
		else
			fill_abort(d, &in->fill, 0);
		vm_object_put(in->fill.object);
		return is_full ? FAULT_NO_IO : FAULT_AGAIN;
	}
	in->used = true;
	store_relaxed(&in->finished, false);
	seat->swapins_used++;
	task_get(fault->task);
	/* If the kernel does not take it now, the server's loop submits it. */
	(void)swap_channel_flush(seat->channel);
	return FAULT_PENDING;
}

/* Expands what was read. *ret_bad: whether the page behind the good ones is damaged. => how many
 * pages at the front are good */
static unsigned
decode(struct fault_server *server, struct swapin *in, bool *ret_bad)
{
	unsigned shift = server->daemon->page_shift;

	CHECK(in->read.count > 0 && in->read.count <= in->fill.count);
	*ret_bad = false;
	for (unsigned i = 0; i < in->read.count; i++) {
		void *page = (char *)server->bounce + ((size_t)i << shift);

		if (pager_read_decode(in->fill.object, &in->read, i, in->buffer, page) !=
		    PAGER_OK) {
			*ret_bad = true;
			return i;
		}
	}
	return in->read.count;
}

/* result: 0, or -errno that the read met. */
static void
swapin_finish(struct fault_server *server, struct swapin *in, int result)
{
	struct daemon *d = server->daemon;
	struct fill *fill = &in->fill;
	struct ledger *ledger = &fill->task->bill.ledger;
	bool bad = result != 0, moved, is_lost;
	unsigned good = 0, done = 0;
	uint64_t ns;

	locks_assert_none();
	CHECK(in->used);
	/* They have been busy all the time. */
	for (unsigned i = 0; i < fill->count; i++)
		vm_page_assert(fill->object, fill->index + i);
	if (result == 0) {
		good = decode(server, in, &bad);
		stat_add(server->stats, STAT_SWAPIN_BYTES, in->read.length);
	} else {
		stat_add(server->stats, STAT_SWAP_ERRORS, 1);
	}
	pager_read_end(fill->object, &in->read, result);
	/* Another lane serves the task by now: its threads fault again, there. */
	moved = load_acquire(&in->fault.task->lane) != server->lane;
	if (good > 0 && !moved)
		done = fill_copy(server->stats, fill, server->bounce, good, !fill->wired);
	stat_add(server->stats, STAT_SWAPINS, done);
	ledger_count(ledger, PAGER_LEDGER_SWAPINS, done);
	stat_add(server->stats, STAT_FAULTS, 1);
	ledger_count(ledger, PAGER_LEDGER_FAULTS, 1);
	ns = clock_now_ns() - in->fault.start_ns;
	ledger_count(ledger, PAGER_LEDGER_STALL_SWAP, ns);
	fault_count_refill(server, &in->fault, ns);
	/* The page that faulted is the first. */
	is_lost = bad && good == 0 && !moved;
	if (in->fault.is_refused && done == 0 && !is_lost)
		refused_keep(d, &in->fault, REFUSED_FRAMES);
	if (done > 0) {
		fill_finish(&server->stats, fill, done, PAGE_ACTIVE, true); /* drops the object */
		return;
	}
	if (is_lost) {
		fill_abort(d, fill, 1);
		fill_lost(server->stats, &server->hole, fill, 0);
	} else {
		fill_abort(d, fill, 0);
	}
	vm_object_put(fill->object);
}

static void
give_back(struct fault_seat *seat, struct swapin *in)
{
	CHECK(in->used && seat->swapins_used > 0);
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
		CHECK(fetch_sub_relaxed(&seat->left_behind, 1) > 0);
	}
}

/* Completions are taken one at a time: if this server is relieved, the next one finds the others.
 */
void
swapin_reap(struct fault_server *server)
{
	struct fault_seat *seat = server->seat;
	struct swap_completion completion;

	locks_assert_none();
	CHECK_OBJ(seat, FAULT_SEAT_MAGIC);
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
		/* The seat's server gives the entry back. The count comes first, so that it is
		 * never below the number of such entries. */
		fetch_add_acq_rel(&seat->left_behind, 1);
		store_release(&in->finished, true);
	}
}
