/* SPDX-License-Identifier: MIT
 *
 * Runs on: a thread of its own, which waits in its poll only; willneed_ask on jobs. Allocates
 * nothing once it runs.
 */
#include "region/willneed.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "alloc.h"
#include "daemon.h"
#include "memorystatus/limits.h"
#include "own.h"
#include "pagers/pager.h"
#include "transit/put.h"
#include "vm/copy_link.h"
#include "vm/copy_look.h"
#include "vm/vm_mapping.h"

/* Requests that are kept, and those of one user's. */
#define WISHES_MAX      64u
#define WISHES_USER_MAX 32u
/* Reads under way: of all, of one user's requests and of one request. A file system that does not
 * answer keeps its own. */
#define READS_MAX      8u
#define READS_USER_MAX 4u
#define READS_WISH_MAX 4u
#define READ_BYTES     (128u << 10)

/* Pages [at, end) of an object are wished for. */
struct wish {
	struct vm_object *object; /* with a reference; NULL: the entry is free */
	struct task *task;        /* with a reference */
	uint64_t at, end;
	unsigned reads; /* under way */
};

struct wish_read {
	bool used;
	struct wish *wish;
	struct fill fill;
	struct pager_read read;
	void *buffer;
};

struct willneed {
	struct daemon *daemon;
	pthread_t thread;
	bool is_running;
	struct stat_shard stats;
	struct watch watch;
	atomic_bool stopping;
	int bell; /* (C) eventfd */
	struct swap_channel *channel;
	size_t read_bytes; /* (C) of one read */
	void *pages;       /* (C) of one read */
	struct wish_read reads[READS_MAX];
	struct lock lock;               /* covers `object` of wishes as they come and go; leaf */
	struct wish wishes[WISHES_MAX]; /* what is not free is the thread's */
};

/* --- requests --- */

static void
ring(struct willneed *w)
{
	uint64_t one = 1;

	CHECK(write(w->bell, &one, sizeof(one)) == sizeof(one));
}

/* => whether it is kept */
static bool
wish_add(struct willneed *w, struct task *task, struct vm_object *o, uint64_t first, uint64_t last)
{
	struct wish *free_wish = NULL;
	unsigned of_user = 0;

	lock_acquire(&w->lock);
	for (unsigned i = 0; i < WISHES_MAX; i++) {
		if (!w->wishes[i].object)
			free_wish = &w->wishes[i];
		else
			of_user += w->wishes[i].task->uid == task->uid;
	}
	if (of_user >= WISHES_USER_MAX)
		free_wish = NULL;
	if (free_wish) {
		vm_object_get(o);
		task_get(task);
		*free_wish = (struct wish){ .object = o, .task = task, .at = first, .end = last };
	}
	lock_release(&w->lock);
	return free_wish != NULL;
}

/* What pages of a private mapping follow (vm/copy_link.h) is read; they are filled from there when
 * they are touched. *any: whether a request is kept. => whether each is */
static bool
followed_add(struct willneed *w, struct task *task, struct vm_object *o, uint64_t first,
    uint64_t last, bool *any)
{
	struct copy_place at;
	bool is_kept = true;
	uint64_t count;

	while (is_kept && first < last && vm_object_is_linked(o, COPY_BELOW)) {
		copies_lock(o->daemon);
		count = copy_link_next_locked(o, false, &first, last, &at);
		copies_unlock(o->daemon);
		if (count == 0)
			break;
		if (at.object->external) {
			is_kept = wish_add(w, task, at.object, at.index, at.index + count);
			*any |= is_kept;
		}
		vm_object_put(at.object);
		first += count;
	}
	return is_kept;
}

void
willneed_ask(const struct range *range)
{
	struct willneed *w = range->task->daemon->willneed;
	unsigned page_shift = range->task->daemon->page_shift;
	uint64_t at = range->address, from, to, first, last;
	bool any = false, is_kept = true;
	struct vm_entry e;

	locks_assert_none();
	while (is_kept && at < range->end && task_entry_get(range->task, at, &e)) {
		from = max_u64(at, e.start);
		to = min_u64(range->end, e.end);
		first = (e.offset + (from - e.start)) >> page_shift;
		last = from < to ? first + ((to - from) >> page_shift) : first;
		if (first < last && e.mapping->object->external && e.wired_count == 0) {
			is_kept = wish_add(w, range->task, e.mapping->object, first, last);
			any |= is_kept;
		} else if (first < last && e.wired_count == 0) {
			is_kept =
			    followed_add(w, range->task, e.mapping->object, first, last, &any);
		}
		at = e.end;
		vm_mapping_put(e.mapping);
	}
	if (any)
		ring(w);
}

/* --- reads --- */

/* A free entry for a read of that wish, or NULL: it has as many as it may. */
static struct wish_read *
read_get(struct willneed *w, const struct wish *wish)
{
	struct wish_read *free_read = NULL;
	unsigned of_user = 0;

	for (unsigned i = 0; i < READS_MAX; i++) {
		if (!w->reads[i].used)
			free_read = &w->reads[i];
		else
			of_user += w->reads[i].wish->task->uid == wish->task->uid;
	}
	return wish->reads < READS_WISH_MAX && of_user < READS_USER_MAX ? free_read : NULL;
}

/* Whether memory is left for what nobody has touched. */
static bool
memory_is_free(const struct daemon *d, unsigned pages)
{
	return load_relaxed(&d->park.count) == 0 &&
	       load_relaxed(&d->frames.free_count) > d->frames.free_target + 2 * pages;
}

/* Makes the next pages that are not there FILLING, and moves wish->at behind them. => false: there
 * are none, or the wish has to end; then wish->at is wish->end */
static bool
pages_begin(struct wish *wish, unsigned most, struct fill *fill)
{
	struct vm_object *o = wish->object;
	enum run_begun begun = RUN_BUSY;

	*fill = (struct fill){ .task = wish->task, .door = DOOR_PREFAULT };
	lock_acquire(&o->lock);
	/* Without a mapping no page comes: the object may have left its file. */
	if (vm_object_is_deserted_locked(o))
		wish->at = wish->end;
	while (begun == RUN_BUSY && wish->at < wish->end) {
		if (slot_kind(load_relaxed(vm_object_slot(o, wish->at))) == SLOT_ABSENT)
			begun = fill_begin(o->daemon, o, wish->at,
			    (unsigned)min_u64(wish->end - wish->at, most), 1, FRAME_READ, fill);
		/* What is there, or stands in a hole, is passed over. */
		wish->at += begun == RUN_BEGUN ? fill->count : 1;
	}
	lock_release(&o->lock);
	if (begun != RUN_BEGUN)
		wish->at = wish->end;
	/* Left as they are by fill_begin. */
	fill->write = fill->wired = false;
	fill->sequential = true;
	fill->seen_by = SEEN_BY_NOBODY;
	return begun == RUN_BEGUN;
}

/* => whether a read has begun */
static bool
read_begin(struct willneed *w, struct wish *wish)
{
	struct cref copies[FAULT_CLUSTER_MAX];
	struct daemon *d = w->daemon;
	struct wish_read *r = read_get(w, wish);
	unsigned most = (unsigned)(w->read_bytes >> d->page_shift);
	enum pager_result result;

	locks_assert_none();
	if (!r)
		return false;
	if (task_is_dead(wish->task) || load_acquire(&w->stopping) || !memory_is_free(d, most))
		wish->at = wish->end;
	if (wish->at == wish->end || !pages_begin(wish, most, &r->fill))
		return false;
	for (unsigned i = 0; i < r->fill.count; i++)
		copies[i] = CREF_PLACE;
	r->buffer = swap_channel_buffer_get(w->channel);
	CHECK(r->buffer != NULL);
	result = pager_read_begin(
	    r->fill.object, r->fill.index, copies, r->fill.count, w->read_bytes, &r->read);
	CHECK(result == PAGER_OK && r->read.count == r->fill.count);
	result = pager_read_submit(
	    r->fill.object, &r->read, w->channel, r->buffer, (uint64_t)(r - w->reads));
	if (result != PAGER_OK) {
		pager_read_end(r->fill.object, &r->read, 0);
		fill_abort(d, &r->fill, 0);
		vm_object_put(r->fill.object);
		swap_channel_buffer_put(w->channel, r->buffer);
		wish->at = wish->end;
		return false;
	}
	r->used = true;
	r->wish = wish;
	wish->reads++;
	return true;
}

/* The pages that were read are in memory, mapped nowhere: their first touch is a soft fault. What
 * lies behind the end of the file, or cannot be read, is left for its first touch. */
static void
read_finish(struct willneed *w, struct wish_read *r, int error, uint64_t bytes)
{
	struct vm_object *o = r->fill.object;
	struct daemon *d = w->daemon;
	unsigned good = 0, done = 0;

	locks_assert_none();
	CHECK(r->used && r->wish->reads > 0);
	r->read.transferred = bytes;
	while (!error && good < r->read.count &&
	       pager_read_decode(o, &r->read, good, r->buffer,
		   (char *)w->pages + ((size_t)good << d->page_shift)) == PAGER_OK)
		good++;
	pager_read_end(o, &r->read, error);
	watch_client(task_cookie(r->wish->task));
	if (good > 0)
		done = fill_put(&r->fill, w->pages, good);
	stat_add(w->stats, STAT_FILE_ERRORS, error != 0);
	stat_add(w->stats, STAT_FILE_READS, done);
	stat_add(w->stats, STAT_FILE_READ_BYTES, bytes);
	stat_add(w->stats, STAT_PREFETCHES, done);
	ledger_count(&r->wish->task->bill.ledger, PAGER_LEDGER_FILE_READS, done);
	if (good < r->read.count)
		r->wish->at = r->wish->end;
	if (done > 0) {
		fill_finish(NULL, &r->fill, done, PAGE_SPECULATIVE, true);
		/* No fault comes that would ask for the owner's pages. */
		limits_want_of_owner(r->wish->object);
	} else {
		fill_abort(d, &r->fill, 0);
		vm_object_put(o);
	}
	watch_client(0);
	swap_channel_buffer_put(w->channel, r->buffer);
	r->used = false;
	r->wish->reads--;
}

/* Begins what can be begun, and forgets what is over. */
static void
wishes_serve(struct willneed *w)
{
	for (unsigned i = 0; i < WISHES_MAX; i++) {
		struct wish *wish = &w->wishes[i];
		struct vm_object *o;
		struct task *task;

		lock_acquire(&w->lock);
		o = wish->object;
		lock_release(&w->lock);
		if (!o)
			continue;
		task = wish->task;
		while (read_begin(w, wish))
			continue;
		if (wish->at < wish->end || wish->reads > 0)
			continue;
		lock_acquire(&w->lock);
		wish->object = NULL;
		lock_release(&w->lock);
		vm_object_put(o);
		task_put(task);
	}
	(void)swap_channel_flush(w->channel);
}

static bool
is_idle(const struct willneed *w)
{
	for (unsigned i = 0; i < READS_MAX; i++)
		if (w->reads[i].used)
			return false;
	return true;
}

static void *
willneed_main(void *argument)
{
	struct willneed *w = argument;
	struct pollfd polled[2] = { { .fd = w->bell, .events = POLLIN },
		{ .fd = swap_channel_fd(w->channel), .events = POLLIN } };
	struct swap_completion done;
	uint64_t rings;

	own_thread("willneed");
	watch_begin(&w->watch);
	watch_on_duty(&w->watch, LANE_COMMON);
	alloc_forbid();
	while (!load_acquire(&w->stopping) || !is_idle(w)) {
		(void)poll(polled, 2, -1);
		(void)!read(w->bell, &rings, sizeof(rings));
		while (swap_channel_reap(w->channel, &done, 1) > 0)
			read_finish(w, &w->reads[done.cookie], done.result, done.bytes);
		wishes_serve(w);
		pulse_beat(&w->daemon->pulse);
	}
	wishes_serve(w);
	return NULL;
}

/* Nobody stands by: while a client delays it no other thread waits. The watcher ends such a
 * client. */
static void
relieve(struct daemon *d, struct watch *watch)
{
	CHECK(watch == &d->willneed->watch);
}

int
willneed_start(struct daemon *d)
{
	struct willneed *w = calloc(1, sizeof(*w));
	int error;

	CHECK(!d->willneed);
	if (!w)
		return -ENOMEM;
	d->willneed = w;
	w->daemon = d;
	w->stats = stats_shard(&d->stats, shard_index_extra(d, SHARD_WILLNEED));
	w->read_bytes = max_u64(READ_BYTES, d->page_bytes);
	lock_init(&w->lock, RANK_JOBS);
	watch_add(d, &w->watch, relieve);
	w->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->bell < 0)
		return -errno;
	w->pages = aligned_alloc(4096, w->read_bytes);
	if (!w->pages)
		return -ENOMEM;
	error = swap_channel_create(NULL, READS_MAX, w->read_bytes, &w->channel);
	if (!error)
		error = -pthread_create(&w->thread, NULL, willneed_main, w);
	w->is_running = error == 0;
	return error;
}

void
willneed_stop(struct daemon *d)
{
	struct willneed *w = d->willneed;

	store_release(&w->stopping, true);
	ring(w);
	pthread_join(w->thread, NULL);
	w->is_running = false;
}

void
willneed_fini(struct daemon *d)
{
	struct willneed *w = d->willneed;

	if (!w)
		return;
	CHECK(!w->is_running && is_idle(w));
	if (w->channel)
		swap_channel_destroy(w->channel);
	if (w->bell >= 0)
		close(w->bell);
	free(w->pages);
	lock_fini(&w->lock);
	free(w);
	d->willneed = NULL;
}
