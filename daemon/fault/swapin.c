/* SPDX-License-Identifier: MIT
 *
 * Reads of pages that are on secondary storage: in swap, or in a client's file. Only the blocks
 * that hold them are read, through the seat's own channel; the pages stay busy and FILLING while
 * the read is under way, and the server goes on with other faults. Runs on: fault servers.
 */
#include "fault/swapin.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "clock.h"
#include "fault/refuse.h"
#include "memorystatus/refused.h"
#include "pageq/pageq.h"
#include "pagers/marks.h"
#include "pagers/pager.h"
#include "pagers/store.h"
#include "pmap/backing.h"
#include "transit/put.h"

/* Pages made inactive while PAGEQ is held once. */
#define AHEAD_STEP 8u

/* => a free entry, or NULL */
static struct swapin *
swapin_get(struct fault_seat *seat)
{
	for (unsigned i = 0; i < seat->depth; i++)
		if (!seat->swapins[i].used)
			return &seat->swapins[i];
	return NULL;
}

/* A file system of a client's may never answer: reads of files leave a quarter of the entries to
 * swap, and one user's half of them to other users. */
static bool
file_read_may(const struct fault_seat *seat, const struct task *task)
{
	unsigned files = 0, of_user = 0;

	CHECK_OBJ(task, TASK_MAGIC);
	for (unsigned i = 0; i < seat->depth; i++) {
		const struct swapin *in = &seat->swapins[i];

		if (!in->used || !in->fill.object->external)
			continue;
		files++;
		of_user += in->uid == task->uid;
	}
	return files < seat->depth - seat->depth / 4 && of_user < seat->depth / 2;
}

/* A device or a server of swap may not answer either: its reads have half of the entries. */
static bool
apart_read_may(const struct fault_seat *seat)
{
	unsigned apart = 0;

	for (unsigned i = 0; i < seat->depth; i++)
		apart += seat->swapins[i].used && seat->swapins[i].is_apart;
	return apart < seat->depth / 2;
}

/* => an entry and a buffer for the read of a fill, or NULL: there is no place for it now */
static struct swapin *
read_place(struct fault_server *server, const struct fill *fill, bool is_ahead, void **ret_buffer)
{
	struct fault_seat *seat = server->seat;
	struct swapin *in;

	/* A direct server has no channel, and a server that has been relieved meanwhile (a
	 * recording takes mappings away) has it no more. */
	if (!seat || !seat->channel || watch_is_relieved())
		return NULL;
	if (fill->object->external && !file_read_may(seat, fill->task))
		return NULL;
	if (is_ahead && seat->swapins_used >= seat->depth / 2)
		return NULL;
	in = swapin_get(seat);
	*ret_buffer = in ? swap_channel_buffer_get(seat->channel) : NULL;
	return *ret_buffer ? in : NULL;
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
	result = pager_read_begin(in->fill.object, in->fill.index, copies, in->fill.count,
	    server->seat->channel_buffer_bytes, &in->read);
	if (result == PAGER_OK && in->read.count < in->fill.count)
		fill_abort(server->daemon, &in->fill, in->read.count);
	return result;
}

/* Most pages whose memory is made ready while their read is under way. */
#define PREPARE_PAGES 4u

/* The memory of a page that several may see is made ready while the disk works: what is written to
 * the memfd needs only be copied then. */
static void
place_prepare(struct swapin *in)
{
	const struct vm_object *o = in->fill.object;
	unsigned shift = o->daemon->page_shift;

	locks_assert_none();
	in->is_prepared =
	    o->is_shareable && !in->is_ahead && !in->is_below && in->fill.count <= PREPARE_PAGES;
	if (in->is_prepared)
		(void)backing_allocate(
		    o, in->fill.index << shift, (uint64_t)in->fill.count << shift);
}

/* What was made ready for pages [from, count) and has no content goes. They are busy. */
static void
place_clear(const struct swapin *in, unsigned from)
{
	const struct vm_object *o = in->fill.object;
	unsigned shift = o->daemon->page_shift;

	if (in->is_prepared && from < in->fill.count)
		backing_punch(o, (in->fill.index + from) << shift,
		    (uint64_t)(in->fill.count - from) << shift);
}

enum purpose { FOR_TOUCH, FOR_COPY, AHEAD };

/* No page is in place. bad: what is wrong with the first one, which is the one that faulted. Drops
 * the object. */
static void
read_failed(struct fault_server *server, const struct fault *fault, struct fill *fill,
    enum purpose purpose, enum pager_result bad)
{
	struct daemon *d = server->daemon;

	locks_assert_none();
	if (bad == PAGER_LOST) {
		fill_abort(d, fill, 1);
		fill_lost(server->stats, &server->hole, fill, 0, purpose != FOR_COPY);
		/* The copy's page is lost when the refused fault is looked at again. */
		if (purpose == FOR_COPY && fault->is_refused)
			refused_keep(d, fault, REFUSED_FRAMES);
	} else if (bad == PAGER_FAILED && purpose != AHEAD) {
		/* The next touch asks again, and others that met the page do now. */
		fill_abort(d, fill, 1);
		fill_defer(d, fill);
		if (!fault_refuse(server, fault, REFUSED_PLACE)) {
			/* Another server has brought it in. A thread finds it; poison does not go
			 * by itself. */
			if (fault->is_refused)
				refused_keep(d, fault, REFUSED_FRAMES);
			else
				uffd_wake(fill->task->uffd, fill_address(fill, 0), d->page_bytes);
		}
	} else {
		if (fault->is_refused && purpose != AHEAD)
			refused_keep(d, fault, REFUSED_FRAMES);
		fill_abort(d, fill, 0);
	}
	vm_object_put(fill->object);
}

/* What the file has is not known now: the touch is refused. => whether that is so */
static bool
is_let_go(struct fault_server *server, const struct fault *fault, const struct fill *fill,
    enum purpose purpose)
{
	struct external *x = fill->object->external;
	struct fill own = *fill;

	if (likely(!x) || (!load_relaxed(&x->is_let_go) && load_acquire(&x->reads_aside) == 0))
		return false;
	fill_drop_front(server->daemon, &own, own.first);
	read_failed(server, fault, &own, purpose, PAGER_FAILED);
	return true;
}

static enum fault_outcome
start(
    struct fault_server *server, const struct fault *fault, struct fill *fill, enum purpose purpose)
{
	struct daemon *d = server->daemon;
	struct fault_seat *seat = server->seat;
	void *buffer = NULL;
	struct swapin *in;
	bool is_full = false;
	enum pager_result result;

	locks_assert_none();
	if (seat && seat->channel && unlikely(is_let_go(server, fault, fill, purpose)))
		return purpose == AHEAD ? FAULT_NO_IO : FAULT_ANSWERED;
	in = read_place(server, fill, purpose == AHEAD, &buffer);
	/* A downward run is read a page at a time. */
	fill_drop_front(d, fill, fill->first);
	if (!in) {
		fill_defer(d, fill);
		vm_object_put(fill->object);
		return FAULT_NO_IO;
	}
	in->fill = *fill;
	in->fault = *fault;
	in->forgets =
	    fill->object->external ? load_acquire(&fill->object->external->read_forgets) : 0;
	in->buffer = buffer;
	result = pin_reads(server, in);
	in->is_apart =
	    result == PAGER_OK && !fill->object->external && store_read_is_apart(d, &in->read);
	if (result == PAGER_OK) {
		result = in->is_apart && !apart_read_may(seat)
			     ? PAGER_AGAIN
			     : pager_read_submit(in->fill.object, &in->read, seat->channel, buffer,
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
	in->is_ahead = purpose == AHEAD;
	in->is_below = purpose == FOR_COPY;
	in->is_aside = false;
	in->uid = fault->task->uid;
	in->used = true;
	store_relaxed(&in->finished, false);
	seat->swapins_used++;
	seat->swapins_ahead += in->is_ahead;
	task_get(fault->task);
	/* If the kernel does not take it now, the server's loop submits it. */
	(void)swap_channel_flush(seat->channel);
	place_prepare(in);
	return FAULT_PENDING;
}

enum fault_outcome
swapin_start(struct fault_server *server, const struct fault *fault, struct fill *fill)
{
	locks_assert_none();
	return start(server, fault, fill, FOR_TOUCH);
}

enum fault_outcome
swapin_start_below(struct fault_server *server, const struct fault *fault, struct fill *fill)
{
	locks_assert_none();
	CHECK(fill->first == 0 && !fill->wired && !fill->write);
	return start(server, fault, fill, FOR_COPY);
}

bool
swapin_start_ahead(struct fault_server *server, const struct fault *fault, struct fill *fill)
{
	locks_assert_none();
	CHECK(fill->first == 0 && !fill->wired && !fill->write);
	return start(server, fault, fill, AHEAD) == FAULT_PENDING;
}

/* Expands what was read. *ret_bad: what is wrong with the page behind the good ones, or OK. => how
 * many pages at the front are good */
static unsigned
decode(struct fault_server *server, struct swapin *in, enum pager_result *ret_bad)
{
	unsigned shift = server->daemon->page_shift;

	CHECK(in->read.count > 0 && in->read.count <= in->fill.count);
	*ret_bad = PAGER_OK;
	for (unsigned i = 0; i < in->read.count; i++) {
		void *page = (char *)server->bounce + ((size_t)i << shift);

		*ret_bad = pager_read_decode(in->fill.object, &in->read, i, in->buffer, page);
		if (*ret_bad != PAGER_OK)
			return i;
	}
	return in->read.count;
}

/* Of pages that nobody has wanted yet it is not known whether they are in use. */
static void
refaults_count(struct fault_server *server, const struct swapin *in, unsigned done)
{
	struct daemon *d = server->daemon;
	uint64_t frames = frames_movable(d);
	unsigned count = 0;

	for (unsigned i = 0; !in->is_ahead && i < done; i++)
		count += refault_came(&d->refaults, in->fill.object, in->fill.index + i, frames);
	if (count > 0)
		stat_add(server->stats, STAT_REFAULTS, count);
}

/* What is counted of a read. done: pages in place. */
static void
read_count(
    struct fault_server *server, const struct swapin *in, unsigned done, int error, uint64_t ns)
{
	struct ledger *ledger = &in->fill.task->bill.ledger;
	bool is_file = in->fill.object->external != NULL;

	CHECK(error <= 0);
	if (error)
		stat_add(server->stats, is_file ? STAT_FILE_ERRORS : STAT_SWAP_ERRORS, 1);
	else if (is_file)
		stat_add(server->stats, STAT_FILE_READ_BYTES, in->read.transferred);
	else
		stat_add(server->stats, STAT_SWAPIN_BYTES, in->read.length);
	stat_add(server->stats, is_file ? STAT_FILE_READS : STAT_SWAPINS, done);
	ledger_count(ledger, is_file ? PAGER_LEDGER_FILE_READS : PAGER_LEDGER_SWAPINS, done);
	refaults_count(server, in, done);
	if (in->is_ahead) {
		stat_add(server->stats, STAT_FILE_AHEAD, is_file ? done : 0);
		return;
	}
	/* The fault is answered, and counted, when it has come again. */
	if (in->is_below)
		return;
	stat_add(server->stats, STAT_FAULTS, 1);
	ledger_count(ledger, PAGER_LEDGER_FAULTS, 1);
	ledger_count(ledger, PAGER_LEDGER_STALL_SWAP, ns);
	fault_count_refill(server, &in->fault, ns);
}

/* Pages that were read ahead are INACTIVE, mapped nowhere: their touch is a soft fault, which maps
 * many. Speculative ones would be the first to leave, while the client comes to them. Drops the
 * object. */
static void
ahead_finish(struct fill *fill, unsigned done)
{
	struct vm_object *o = fill->object;
	struct daemon *d = o->daemon;
	uint64_t index = fill->index;

	locks_assert_none();
	vm_object_get(o);
	fill_finish(NULL, fill, done, PAGE_ACTIVE, true);
	for (unsigned i = 0; i < done; i += AHEAD_STEP) {
		pageq_lock(d);
		for (unsigned at = i; at < done && at < i + AHEAD_STEP; at++)
			(void)pageq_deactivate_page_locked(d, o, index + at);
		pageq_unlock(d);
	}
	vm_object_put(o);
}

/* result: 0, or -errno that the read met. */
static void
swapin_finish(struct fault_server *server, struct swapin *in, int result)
{
	struct fill *fill = &in->fill;
	enum pager_result bad = PAGER_OK;
	unsigned good = 0, done = 0;
	bool moved;

	locks_assert_none();
	CHECK(in->used);
	/* They have been busy all the time. */
	for (unsigned i = 0; i < fill->count; i++)
		vm_page_assert(fill->object, fill->index + i);
	if (result == 0)
		good = decode(server, in, &bad);
	else
		bad = fill->object->external ? PAGER_FAILED : PAGER_LOST;
	pager_read_end(fill->object, &in->read, result);
	/* Another lane serves the task by now: its threads fault again, there. */
	moved = load_acquire(&in->fault.task->lane) != server->lane;
	if (good > 0 && !moved)
		done = in->is_ahead || in->is_below
			   ? fill_put(fill, server->bounce, good)
			   : fill_copy(server->stats, fill, server->bounce, good, !fill->wired);
	/* What is wired is dirty from now on, whether anybody stores or not. */
	for (unsigned i = 0; unlikely(fill->wired && fill->object->external != NULL) && i < done;
	     i++)
		marks_set(fill->object, fill->index + i,
		    (char *)server->bounce + ((size_t)i << server->daemon->page_shift));
	place_clear(in, done);
	read_count(server, in, done, result, clock_now_ns() - in->fault.start_ns);
	/* The copy's thread finds it, when it has been woken. */
	if (done > 0 && in->is_below && in->fault.is_refused)
		refused_keep(server->daemon, &in->fault, REFUSED_FRAMES);
	if (done > 0 && (in->is_ahead || in->is_below))
		ahead_finish(fill, done);
	else if (done > 0)
		fill_finish(&server->stats, fill, done, PAGE_ACTIVE, true); /* drops the object */
	else
		read_failed(server, &in->fault, fill,
		    in->is_ahead   ? AHEAD
		    : in->is_below ? FOR_COPY
				   : FOR_TOUCH,
		    good == 0 && !moved ? bad : PAGER_OK);
}

static void
give_back(struct fault_seat *seat, struct swapin *in)
{
	CHECK(in->used && seat->swapins_used > 0);
	swap_channel_buffer_put(seat->channel, in->buffer);
	in->used = false;
	seat->swapins_used--;
	seat->swapins_ahead -= in->is_ahead;
}

/* Its pages fail as if the file had said so. The entry and its buffer stay the channel's. */
static void
set_aside(struct fault_server *server, struct swapin *in)
{
	struct swapin own = *in;

	CHECK(in->used && !in->is_aside);
	vm_object_get(in->fill.object);
	fetch_add_acq_rel(&in->fill.object->external->reads_aside, 1);
	in->fault.task = NULL;
	/* If this server is relieved meanwhile, the next one may see the read come back. */
	in->is_aside = true;
	/* No thread waits for it. */
	server->seat->swapins_ahead += !in->is_ahead;
	in->is_ahead = true;
	watch_client(in->fill.object->is_shareable ? task_cookie(own.fault.task)
						   : vm_object_cookie(in->fill.object));
	swapin_finish(server, &own, -EIO);
	task_put(own.fault.task);
}

void
swapin_forget(struct fault_server *server)
{
	struct fault_seat *seat = server->seat;
	unsigned forgets;

	locks_assert_none();
	CHECK_OBJ(seat, FAULT_SEAT_MAGIC);
	forgets = load_acquire(&server->daemon->vnodes.read_forgets);
	if (likely(forgets == seat->forgets_seen))
		return;
	for (unsigned i = 0; i < seat->depth && !watch_is_relieved(); i++) {
		struct swapin *in = &seat->swapins[i];
		struct external *x = in->used && !load_acquire(&in->finished) && !in->is_aside
					 ? in->fill.object->external
					 : NULL;

		if (x && load_acquire(&x->read_forgets) != in->forgets)
			set_aside(server, in);
	}
	/* Otherwise the next server looks. */
	if (!watch_is_relieved())
		seat->forgets_seen = forgets;
}

/* It has come back, and the file answers again. */
static void
aside_end(struct fault_seat *seat, struct swapin *in)
{
	struct vm_object *o = in->fill.object;

	give_back(seat, in);
	if (fetch_sub_relaxed(&o->external->reads_aside, 1) == 1)
		refused_places_changed(o->daemon);
	vm_object_put(o);
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

		if (unlikely(in->is_aside)) {
			aside_end(seat, in);
			continue;
		}
		/* What is put in place for another client's copy goes into the object below. */
		watch_client(in->fill.object->is_shareable ? task_cookie(task)
							   : vm_object_cookie(in->fill.object));
		in->read.transferred = completion.bytes;
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
