/* SPDX-License-Identifier: MIT
 *
 * The cleaner's thread: what is to be written, and when. Runs on: its own thread, which waits in
 * its poll only, and makes no call that a client can delay: its hands do. Allocates nothing.
 */
#include "pageout/cleaner.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "alloc.h"
#include "clock.h"
#include "memorystatus/frame_wait.h"
#include "memorystatus/refused.h"
#include "own.h"
#include "pageout/clean_hand.h"
#include "pageout/clean_object.h"
#include "pageout/cleaner_priv.h"
#include "vm/copy_look.h"
#include "pagers/pager.h"
#include "pagers/returns.h"
#include "pagers/vnode_watch.h"

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
/* Milliseconds until the next turn where nobody rings. */
#define AGAIN_MS 2
#define IDLE_MS  250

/* --- requests --- */

static void
request_add(struct cleaner *c, struct clean_request *r)
{
	CHECK(!r->is_under_way);
	r->is_under_way = true;
	r->is_held_up = false;
	r->at = r->low;
	r->last = UINT64_MAX;
	r->next = c->active;
	c->active = r;
}

/* Whether nobody needs it to be carried out. */
static bool
request_is_void(const struct clean_request *r)
{
	return (r->task && task_is_dead(r->task)) ||
	       load_acquire((const atomic_bool *)&r->is_unwanted);
}

/* Whether what was dirty when the request came is in its place, or has failed. */
static bool
request_is_over(const struct cleaner *c, const struct clean_request *r)
{
	if (r->at < r->high || r->is_gathering)
		return request_is_void(r);
	for (unsigned i = 0; i < RUNS_MAX; i++) {
		const struct clean_run *run = &c->runs[i];

		if (!run->is_forgotten && run->number <= r->last &&
		    clean_run_overlaps(run, r->object, r->low, r->high))
			return request_is_void(r);
	}
	return true;
}

/* All pages of an object have been gone through. */
static void
background_end(struct vm_object *o)
{
	struct external *x = o->external;

	CHECK(x->background.object == o && load_relaxed(&x->is_cleaned));
	x->background.object = NULL;
	if (x->background.error) {
		vm_object_dirtied(o);
		x->retry_after =
		    x->retry_after ? min_u64(2 * x->retry_after, RETRY_MOST_NS) : RETRY_FIRST_NS;
		x->retry_at = clock_now_ns() + x->retry_after;
	} else {
		x->retry_after = x->retry_at = 0;
	}
	store_release(&x->is_cleaned, false);
	vm_object_put(o);
}

/* Runs of which pages are to leave. */
static void
runs_leave(struct cleaner *c)
{
	for (unsigned i = 0; i < RUNS_MAX; i++) {
		struct clean_run *run = &c->runs[i];

		if (run->stage == RUN_LEAVES && !run->object->in_hand)
			c->in_hands += clean_work_give(
			    &c->hands, (struct clean_work){
					   .what = WORK_LEAVE, .run = run, .object = run->object });
	}
}

/* The request's next run, unless a hand has the object. */
static void
request_begin(struct cleaner *c, struct clean_request *r)
{
	struct clean_work gather = { .what = WORK_GATHER, .object = r->object };

	if (r->object->in_hand || r->is_held_up)
		return;
	gather.run = clean_run_begin(c, r);
	if (!gather.run)
		return;
	/* Visits leave room for all runs. */
	CHECK(clean_work_give(&c->hands, gather));
	c->in_hands++;
}

/* Nobody waits for the request any more: the run that gathers for it goes on without it. */
static void
request_leave_run(struct cleaner *c, struct clean_request *r)
{
	for (unsigned i = 0; r->is_gathering && i < RUNS_MAX; i++)
		if (c->runs[i].request == r)
			c->runs[i].request = NULL;
	r->is_gathering = false;
}

/* Begins what can be begun, and ends what is over. */
static void
requests_serve(struct cleaner *c)
{
	struct clean_request **at = &c->active, *r;

	runs_leave(c);
	while ((r = *at) != NULL) {
		request_begin(c, r);
		/* Where the disk is full, one refused write ends the request. */
		if (!r->done && r->error)
			r->at = r->high;
		if (r->at == r->high && r->last == UINT64_MAX)
			r->last = c->number;
		if (!request_is_over(c, r) || (!request_is_void(r) && !clean_sync_request(c, r))) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		request_leave_run(c, r);
		clean_sync_leave(c, r);
		r->is_under_way = false;
		if (!r->error)
			store_relaxed(&r->object->external->is_failing, false);
		if (r->done)
			r->done(r);
		else
			background_end(r->object);
		/* What has become dirty meanwhile, and stands in the way of a store. */
		c->is_due |= load_relaxed(&c->daemon->park.storing_count) > 0;
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
	if (since == 0 || (!wanted && !is_deserted && !stopping && now - since < CLEAN_AFTER_NS &&
			      !dirty_object_is_much(o))) {
		store_release(&x->is_wanted, false);
		return;
	}
	store_release(&x->is_wanted, false);
	/* Who sees neither this nor a time has nothing that waits to be written. */
	store_relaxed(&x->is_cleaned, true);
	/* Pages that become dirty from here on may be passed over. */
	store_release(&x->dirty_since, 0);
	vm_object_get(o);
	x->background = (struct clean_request){
		.object = o, .high = o->page_count, .leaves = wanted || is_deserted
	};
	request_add(c, &x->background);
}

/* The object's pages are given up: those who wait for them learn it, and nobody waits any more for
 * writes under way. While there are any, what the file has is not known. */
static void
object_forget(struct cleaner *c, struct vm_object *o)
{
	struct external *x = o->external;

	for (struct clean_request *r = c->active; r; r = r->next)
		if (r->object == o) {
			r->error = -EIO;
			store_release(&r->is_unwanted, true);
		}
	for (unsigned i = 0; i < RUNS_MAX; i++)
		if (c->runs[i].stage != RUN_FREE && c->runs[i].object == o)
			c->runs[i].is_forgotten = true;
	store_relaxed(&x->is_let_go, x->in_flight > 0);
	store_relaxed(&x->is_failing, false);
	x->stuck_ns = 0;
}

/* Fault servers set aside the object's reads under way, whose threads get SIGBUS. */
static void
reads_forget(struct cleaner *c, struct vm_object *o)
{
	struct daemon *d = c->daemon;

	CHECK(o->external);
	fetch_add_acq_rel(&o->external->read_forgets, 1);
	fetch_add_acq_rel(&d->vnodes.read_forgets, 1);
	bells_ring_all(&d->bells);
}

/* Whether the object has been without a mapping, and could not be written, for as long as it may.
 */
static bool
is_stuck_for_long(struct vm_object *o, bool is_deserted, uint64_t now)
{
	struct external *x = o->external;
	uint64_t most = param(o->daemon, file_keep_s) * 1000000000u;
	bool is_stuck = load_relaxed(&x->is_failing) || load_relaxed(&x->late) > 0;

	if (most == 0 || !is_deserted || !is_stuck || load_relaxed(&x->dirty_pages) == 0)
		x->stuck_ns = 0;
	else if (x->stuck_ns == 0)
		x->stuck_ns = now;
	return x->stuck_ns != 0 && now - x->stuck_ns >= most;
}

/* Why a hand should visit the object. */
static unsigned
visit_reasons(struct cleaner *c, struct vm_object *o, bool is_deserted)
{
	struct external *x = o->external;
	unsigned why = 0;

	/* Somebody else has changed the content: clean pages are read again. Dirty ones win; those
	 * that lie behind a new end are found when they are written. */
	if (pager_is_changed(o)) {
		x->drop_again = true;
		returns_want_soon(o);
	}
	if (x->drop_again)
		why |= VISIT_DROP;
	if (clean_object_has_garbage(o))
		why |= VISIT_TABLES;
	if (is_deserted && !x->background.is_under_way && x->in_flight == 0 && x->syncing == 0 &&
	    load_acquire(&x->reads_aside) == 0) {
		why |= VISIT_LEAVE;
		if (load_acquire(&c->stopping) && x->retry_after > 0)
			why |= VISIT_GIVE_UP;
	}
	return why;
}

/* Keeps the reference where a hand gets the object. */
static void
object_look(struct cleaner *c, struct vm_object *o, uint64_t now)
{
	struct clean_work visit = { .what = WORK_VISIT, .object = o };
	bool is_deserted, is_gone, is_told;

	lock_acquire(&o->lock);
	is_deserted = vm_object_is_deserted_locked(o);
	is_gone = o->external->is_gone;
	lock_release(&o->lock);
	if (is_gone)
		return;
	/* One that nobody maps goes, and one whose write has failed is tried again. */
	c->has_timed |= is_deserted || o->external->retry_at != 0 || o->external->drop_again ||
			load_relaxed(&o->external->is_wanted) ||
			load_relaxed(&o->external->forget_wanted);
	/* A hand may be about to take it off its file, or be at something else and leave it there:
	 * it is looked at again. */
	if (is_deserted && o->in_hand)
		return;
	object_clean(c, o, is_deserted, now);
	if (o->in_hand)
		return;
	visit.why = visit_reasons(c, o, is_deserted);
	is_told = exchange_acq_rel(&o->external->forget_wanted, false);
	if (is_told)
		reads_forget(c, o);
	if (is_told || is_stuck_for_long(o, is_deserted, now)) {
		object_forget(c, o);
		visit.why |= VISIT_FORGET;
	}
	if (visit.why == 0)
		return;
	if (!clean_work_give(&c->hands, visit)) {
		c->are_left = true;
		if (visit.why & VISIT_FORGET)
			store_release(&o->external->forget_wanted, true);
		return;
	}
	c->in_hands++;
	o->external->drop_again = false;
	vm_object_get(o);
}

/* Tables are garbage of other objects, too. */
static void
garbage_look(struct cleaner *c, struct vm_object *o)
{
	if (likely(!clean_object_has_garbage(o)) || o->in_hand)
		return;
	if (!clean_work_give(&c->hands,
		(struct clean_work){ .what = WORK_VISIT, .object = o, .why = VISIT_TABLES })) {
		c->are_left = true;
		return;
	}
	c->in_hands++;
	vm_object_get(o);
}

static void
objects_look(struct cleaner *c)
{
	struct daemon *d = c->daemon;
	uint64_t now = clock_now_ns();
	struct vm_object *o;
	uint32_t cursor = 0;

	locks_assert_none();
	c->are_left = c->has_timed = false;
	while ((o = vm_object_next(d, &cursor)) != NULL) {
		if (o->external)
			object_look(c, o, now);
		else
			garbage_look(c, o);
		vm_object_put(o);
	}
	c->looked_ns = now;
	c->is_due = false;
	dirty_release(d);
}

/* What hands have done. */
static void
works_take(struct cleaner *c)
{
	struct clean_work work;

	while (clean_work_take(&c->hands, &work)) {
		CHECK(c->in_hands > 0);
		c->in_hands--;
		switch (work.what) {
		case WORK_GATHER:
			clean_run_gathered(c, work.run);
			break;
		case WORK_LEAVE:
			clean_run_end(c, work.run);
			break;
		case WORK_VISIT:
			if (work.met_busy)
				work.object->external->drop_again = true;
			if (work.met_dirty)
				store_release(&work.object->external->forget_wanted, true);
			if (work.why & VISIT_FORGET)
				frame_wait_stores_changed(c->daemon);
			c->is_due |= c->are_left;
			vm_object_put(work.object);
			break;
		}
	}
}

/* --- the thread --- */

static void
reap(struct cleaner *c)
{
	struct swap_completion done[RUNS_MAX];
	unsigned count;

	while ((count = swap_channel_reap(c->channel, done, RUNS_MAX)) > 0)
		for (unsigned i = 0; i < count; i++)
			(done[i].cookie < SYNC_COOKIES ? clean_run_step : clean_sync_end)(
			    c, &done[i]);
}

static void
tell_under_way(struct cleaner *c)
{
	uint64_t now = clock_now_ns(), late_ns = dirty_patience_ns(c->daemon);
	bool any = false;

	for (unsigned i = 0; i < RUNS_MAX; i++) {
		struct clean_run *run = &c->runs[i];
		bool in_time = now - run->start_ns < late_ns;

		if (run->stage == RUN_FREE)
			continue;
		any |= in_time;
		if (in_time || run->is_late)
			continue;
		run->is_late = true;
		fetch_add_relaxed(&run->object->external->late, 1);
	}
	store_relaxed(&c->daemon->returns.under_way, any);
	clean_syncs_look(c, now);
}

/* As the daemon ends: whether nothing is left. */
static bool
is_finished(struct cleaner *c)
{
	unsigned files, objects;

	vnodes_counts(c->daemon, &files, &objects);
	return load_acquire(&c->stopping) && objects == 0 && !c->active && c->in_flight == 0 &&
	       c->syncing == 0 && c->in_hands == 0;
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

/* Whether an object or a fault is to be looked at again although nobody rings. */
static bool
is_timed(const struct cleaner *c)
{
	const struct daemon *d = c->daemon;

	return c->active || c->in_flight > 0 || c->syncing > 0 || c->in_hands > 0 || c->are_left ||
	       c->has_timed || load_relaxed((atomic_uint *)&d->dirty.pages) > 0 ||
	       load_relaxed((atomic_uint *)&d->park.placeless_count) > 0 ||
	       load_relaxed((atomic_uint *)&d->park.storing_count) > 0;
}

/* Milliseconds until the next turn where nobody rings; -1: it waits for that. The bell keeps what
 * was rung before the poll begins. */
static int
wait_ms(const struct cleaner *c, unsigned number)
{
	if (c->must_try_again || c->is_due || load_acquire((atomic_bool *)&c->stopping))
		return AGAIN_MS;
	return pulse_may_rest(&c->daemon->pulse, number) && !is_timed(c) ? -1 : IDLE_MS;
}

static void
wake(void *argument)
{
	returns_ring(argument);
}

static void *
cleaner_main(void *argument)
{
	struct cleaner *c = argument;
	struct daemon *d = c->daemon;
	struct epoll_event events[5];
	struct clean_request *r;
	bool is_watched = vnode_watch_fd(d) >= 0;
	unsigned number = pulse_never(&d->pulse);

	own_thread("cleaner");
	alloc_forbid();
	while (!is_finished(c)) {
		bool is_rung = false;
		int ms = wait_ms(c, number), count;

		locks_assert_none();
		stat_resting(&d->stats, ms < 0);
		if (ms < 0)
			pulse_rests(&d->pulse);
		count = epoll_wait(c->epoll, events, ARRAY_LEN(events), ms);
		stat_resting(&d->stats, -(ms < 0));
		number = pulse_now(&d->pulse);
		for (int i = 0; i < count; i++)
			is_rung |= events[i].data.fd == d->returns.bell ||
				   (is_watched && events[i].data.fd == vnode_watch_fd(d));
		if (is_rung)
			changes_read(c);
		c->must_try_again = false;
		reap(c);
		works_take(c);
		while ((r = returns_take(d)) != NULL)
			request_add(c, r);
		c->is_due |= is_rung || load_acquire(&c->stopping);
		if (clock_now_ns() - c->looked_ns >= (c->is_due ? LOOK_LEAST_NS : LOOK_EVERY_NS))
			objects_look(c);
		if (clock_now_ns() - c->asked_ns >= LOOK_EVERY_NS) {
			refused_places_changed(d);
			frame_wait_stores_changed(d);
			c->asked_ns = clock_now_ns();
		}
		requests_serve(c);
		tell_under_way(c);
		if (c->active || c->in_flight > 0 || c->in_hands > 0)
			pulse_beat(&d->pulse);
	}
	dirty_release(d);
	return NULL;
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
	pulse_join(&d->pulse, wake, d);
	c->stats = stats_shard(&d->stats, shard_index_extra(d, SHARD_CLEANER));
	c->epoll = epoll_create1(EPOLL_CLOEXEC);
	error = c->epoll < 0 ? -errno : 0;
	if (!error)
		error = clean_channel_create(d, &c->channel);
	if (!error)
		error = poll_add(c, swap_channel_fd(c->channel));
	if (!error)
		error = poll_add(c, d->returns.bell);
	if (!error && vnode_watch_fd(d) >= 0)
		error = poll_add(c, vnode_watch_fd(d));
	if (!error)
		error = clean_hands_start(d, &c->hands);
	if (!error)
		error = poll_add(c, c->hands.bell);
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
	clean_hands_stop(&d->cleaner->hands);
}

void
cleaner_fini(struct daemon *d)
{
	struct cleaner *c = d->cleaner;

	CHECK(!c || (!c->active && c->in_flight == 0));
	if (!c)
		return;
	clean_hands_fini(&c->hands);
	if (c->channel)
		swap_channel_destroy(c->channel);
	close(c->epoll);
	free(c);
	d->cleaner = NULL;
}
