/* SPDX-License-Identifier: MIT
 *
 * The cleaner's thread: what is to be written, and when. Runs on: its own thread, which waits in
 * its poll only. Allocates nothing.
 */
#include "pageout/cleaner.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "alloc.h"
#include "clock.h"
#include "memorystatus/refused.h"
#include "pageout/cleaner_priv.h"
#include "pagers/pager.h"
#include "pagers/returns.h"
#include "pagers/vnode_watch.h"
#include "transit/blocks.h"
#include "transit/discard.h"
#include "transit/drop.h"

/* Pages that have been dirty for this long are written. */
#define CLEAN_AFTER_NS 4000000000u
/* All objects are looked at this often. */
#define LOOK_EVERY_NS 500000000u
/* And no sooner than this after the last time, however often somebody rings: it takes each object's
 * lock. */
#define LOOK_LEAST_NS 1000000u
/* A write is tried again after this time, and after twice as long each further time. */
#define RETRY_FIRST_NS 100000000u
#define RETRY_MOST_NS  5000000000u
/* A write that takes longer than this is not counted on. */
#define LATE_NS 5000000000u
/* Milliseconds until the next turn where nobody rings. */
#define AGAIN_MS 2
#define IDLE_MS  250

/* --- requests --- */

static void
request_add(struct cleaner *c, struct clean_request *r)
{
	CHECK(!r->is_under_way);
	r->is_under_way = true;
	r->at = r->low;
	r->last = UINT64_MAX;
	r->next = c->active;
	c->active = r;
}

/* Whether what was dirty when the request came is in its place, or has failed. */
static bool
request_is_over(const struct cleaner *c, const struct clean_request *r)
{
	if (r->at < r->high)
		return r->task && task_is_dead(r->task);
	for (unsigned i = 0; i < RUNS_MAX; i++) {
		const struct clean_run *run = &c->runs[i];

		if (run->stage != RUN_FREE && run->object == r->object && run->number <= r->last &&
		    run->index < r->high && run->index + run->count > r->low)
			return r->task && task_is_dead(r->task);
	}
	return true;
}

/* All pages of an object have been gone through. */
static void
background_end(struct vm_object *o)
{
	struct external *x = o->external;

	CHECK(x->background.object == o);
	x->background.object = NULL;
	if (x->background.error) {
		vm_object_dirtied(o);
		x->retry_after =
		    x->retry_after ? min_u64(2 * x->retry_after, RETRY_MOST_NS) : RETRY_FIRST_NS;
		x->retry_at = clock_now_ns() + x->retry_after;
	} else {
		x->retry_after = x->retry_at = 0;
	}
	vm_object_put(o);
}

/* Begins what can be begun, and ends what is over. */
static void
requests_serve(struct cleaner *c)
{
	struct clean_request **at = &c->active, *r;

	c->must_try_again = false;
	while ((r = *at) != NULL) {
		while (clean_run_begin(c, r))
			continue;
		/* Where the disk is full, one refused write ends the request. */
		if (!r->done && r->error)
			r->at = r->high;
		if (r->at == r->high && r->last == UINT64_MAX)
			r->last = c->number;
		if (!request_is_over(c, r)) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		r->is_under_way = false;
		if (r->done)
			r->done(r);
		else
			background_end(r->object);
	}
	(void)swap_channel_flush(c->channel);
}

/* --- objects --- */

/* The dirty pages of an object that is due are written. */
static void
object_clean(struct cleaner *c, struct vm_object *o, bool is_deserted, uint64_t now)
{
	struct external *x = o->external;
	uint64_t since = load_acquire(&x->dirty_since);
	bool wanted = load_acquire(&x->is_wanted), stopping = load_acquire(&c->stopping);

	if (x->background.is_under_way || (now < x->retry_at && !stopping))
		return;
	if (since == 0 || (!wanted && !is_deserted && !stopping && now - since < CLEAN_AFTER_NS)) {
		store_release(&x->is_wanted, false);
		return;
	}
	store_release(&x->is_wanted, false);
	/* Pages that become dirty from here on may be passed over. */
	store_release(&x->dirty_since, 0);
	vm_object_get(o);
	x->background = (struct clean_request){
		.object = o, .high = o->page_count, .leaves = wanted || is_deserted
	};
	request_add(c, &x->background);
}

/* Pages that the daemon cannot write, and that nobody will ask for, as it ends. */
static void
object_give_up(struct vm_object *o)
{
	uint64_t pages = vm_object_discard(o, 0, o->page_count);

	if (pages > 0)
		log_error_limited("%llu pages of a client's file could not be written and are lost",
		    (unsigned long long)pages);
}

/* Nobody maps the object: when it has no page any more its pager lets go of it. */
static void
object_leave(struct cleaner *c, struct vm_object *o)
{
	struct external *x = o->external;
	bool is_busy;

	if (x->background.is_under_way || x->in_flight > 0)
		return;
	if (load_acquire(&c->stopping) && x->retry_after > 0)
		object_give_up(o);
	(void)vm_object_drop_clean(c->stats, &c->hole, o, 0, o->page_count, &is_busy);
	if (!pager_last_unmap(o))
		return;
	/* The memory of its tables. */
	(void)vm_object_discard(o, 0, o->page_count);
	vm_object_put(o);
}

/* Somebody else has changed the content: clean pages are read again. Dirty ones win. */
static void
object_refresh(struct cleaner *c, struct vm_object *o)
{
	struct external *x = o->external;
	uint64_t gone;

	if (!pager_is_changed(o) && !x->drop_again)
		return;
	/* Those that lie behind a new end are found when they are written. */
	returns_want_soon(o);
	gone = vm_object_drop_clean(c->stats, &c->hole, o, 0, o->page_count, &x->drop_again);
	stat_add(c->stats, STAT_FILE_DROPS, gone);
}

/* Pages of a file leave without being discarded, so blocks of tables stay behind them. When table
 * memory is short for the client that pays, those without pages are given back: a scan of a file
 * must not end because of what it has left behind. */
static void
object_tables_release(struct vm_object *o)
{
	struct daemon *d = o->daemon;
	bool is_short;

	lock_acquire(&o->lock);
	is_short = share_room(d, o->bill->account, SHARE_TABLES) < share_total(d, SHARE_TABLES) / 4;
	lock_release(&o->lock);
	if (is_short)
		blocks_release(o, 0, o->page_count);
}

static void
objects_look(struct cleaner *c)
{
	struct daemon *d = c->daemon;
	uint64_t now = clock_now_ns();
	struct vm_object *o;
	uint32_t cursor = 0;

	locks_assert_none();
	while ((o = vm_object_next(d, &cursor)) != NULL) {
		bool is_deserted = false;

		if (o->external) {
			lock_acquire(&o->lock);
			is_deserted = o->cover_count == 0;
			lock_release(&o->lock);
			object_refresh(c, o);
			object_clean(c, o, is_deserted, now);
			object_tables_release(o);
		}
		if (is_deserted)
			object_leave(c, o);
		vm_object_put(o);
	}
	c->looked_ns = now;
	c->is_due = false;
}

/* --- the thread --- */

static void
reap(struct cleaner *c)
{
	struct swap_completion done[RUNS_MAX];
	unsigned count;

	while ((count = swap_channel_reap(c->channel, done, RUNS_MAX)) > 0)
		for (unsigned i = 0; i < count; i++)
			clean_run_step(c, &c->runs[done[i].cookie], done[i].result, done[i].bytes);
}

static void
tell_under_way(struct cleaner *c)
{
	uint64_t now = clock_now_ns();
	bool any = false;

	for (unsigned i = 0; i < RUNS_MAX; i++)
		any |= c->runs[i].stage != RUN_FREE && now - c->runs[i].start_ns < LATE_NS;
	store_relaxed(&c->daemon->returns.under_way, any);
}

/* As the daemon ends: whether nothing is left. */
static bool
is_finished(struct cleaner *c)
{
	unsigned files, objects;

	vnodes_counts(c->daemon, &files, &objects);
	return load_acquire(&c->stopping) && objects == 0 && !c->active && c->in_flight == 0;
}

/* The bell, and what others have changed. What could not be read may be readable then. */
static void
changes_read(struct cleaner *c)
{
	struct daemon *d = c->daemon;
	uint64_t now = clock_now_ns();
	unsigned changes;

	locks_assert_none();
	returns_answer(d);
	changes = vnode_watch_fd(d) >= 0 ? vnode_watch_read(d) : 0;
	stat_add(c->stats, STAT_FILE_CHANGES, changes);
	if (changes > 0)
		c->asked_ns = now - LOOK_EVERY_NS;
}

static void *
cleaner_main(void *argument)
{
	struct cleaner *c = argument;
	struct daemon *d = c->daemon;
	struct epoll_event events[4];
	struct clean_request *r;
	bool is_watched = vnode_watch_fd(d) >= 0;

	pthread_setname_np(pthread_self(), "cleaner");
	watch_begin(&c->watch);
	watch_on_duty(&c->watch, LANE_COMMON);
	alloc_forbid();
	while (!is_finished(c)) {
		bool soon = c->must_try_again || c->is_due || load_acquire(&c->stopping);
		bool is_rung = false;
		int count;

		locks_assert_none();
		count = epoll_wait(c->epoll, events, ARRAY_LEN(events), soon ? AGAIN_MS : IDLE_MS);
		for (int i = 0; i < count; i++)
			is_rung |= events[i].data.fd == d->returns.bell ||
				   (is_watched && events[i].data.fd == vnode_watch_fd(d));
		if (is_rung)
			changes_read(c);
		reap(c);
		while ((r = returns_take(d)) != NULL)
			request_add(c, r);
		c->is_due |= is_rung || load_acquire(&c->stopping);
		if (clock_now_ns() - c->looked_ns >= (c->is_due ? LOOK_LEAST_NS : LOOK_EVERY_NS))
			objects_look(c);
		if (clock_now_ns() - c->asked_ns >= LOOK_EVERY_NS) {
			refused_places_changed(d);
			c->asked_ns = clock_now_ns();
		}
		requests_serve(c);
		tell_under_way(c);
	}
	return NULL;
}

/* Nobody stands by for the cleaner: while a client delays it pages of files stay dirty, and no
 * other thread waits. The watcher ends such a client. */
static void
relieve(struct daemon *d, struct watch *w)
{
	CHECK(w == &d->cleaner->watch);
}

static int
poll_add(struct cleaner *c, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.fd = fd };

	return epoll_ctl(c->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int
cleaner_start(struct daemon *d)
{
	struct cleaner *c = calloc(1, sizeof(*c));
	int error;

	CHECK(!d->cleaner);
	if (!c)
		return -ENOMEM;
	d->cleaner = c;
	c->daemon = d;
	c->stats = stats_shard(&d->stats, shard_index_extra(d, SHARD_CLEANER));
	watch_add(d, &c->watch, relieve);
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	error = c->epoll < 0 ? -errno : 0;
	if (!error)
		error = swap_channel_create(
		    NULL, RUNS_MAX, max_u64(RUN_BYTES, d->page_bytes), &c->channel);
	if (!error)
		error = poll_add(c, swap_channel_fd(c->channel));
	if (!error)
		error = poll_add(c, d->returns.bell);
	if (!error && vnode_watch_fd(d) >= 0)
		error = poll_add(c, vnode_watch_fd(d));
	if (!error)
		error = -pthread_create(&c->thread, NULL, cleaner_main, c);
	return error;
}

void
cleaner_stop(struct daemon *d)
{
	store_release(&d->cleaner->stopping, true);
	returns_ring(d);
	pthread_join(d->cleaner->thread, NULL);
}

void
cleaner_fini(struct daemon *d)
{
	struct cleaner *c = d->cleaner;

	CHECK(!c || (!c->active && c->in_flight == 0));
	if (!c)
		return;
	if (c->channel)
		swap_channel_destroy(c->channel);
	close(c->epoll);
	free(c);
	d->cleaner = NULL;
}
