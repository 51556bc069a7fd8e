/* SPDX-License-Identifier: MIT
 *
 * Faults that wait for a frame, or for their client's own pages to leave, in FIFO order, in a pool
 * made at start. Whoever frees frames rings the bell of a fault server, which answers. There is a
 * list for each use of a frame, since what may run is decided by that, and one for each client at
 * its limit: only heads are looked at, and nobody stands behind one who waits for something else.
 *
 * A fault that finds no place in the pool, or whose client has its share of it, is forgotten; the
 * client stands on `overflowed` until there is room, and all its threads are woken then. Whoever
 * takes entries out looks (overflow_wake).
 *
 * Those that were refused are kept too, in a list of their own: when there is room they are
 * answered after all, which takes the poison away. Runs on: fault servers; park_drop on jobs; the
 * writer looks.
 */
#include "memorystatus/frame_wait.h"

#include <stdlib.h>

#include "clock.h"
#include "fault/fault.h"
#include "pageout/pageout.h"
#include "pmap/wake.h"

/* The pool's first place is not used, so that an empty list is all zeroes. */
#define PARK_NONE 0u

struct parked_fault {
	struct fault fault; /* with a task reference */
	enum fault_outcome why;
	uint64_t ticket; /* order of arrival, over all lists */
	uint32_t next;
};

int
park_create(struct daemon *d)
{
	struct park *k = &d->park;
	uint32_t room = (uint32_t)param(d, parked_faults);

	k->room = room;
	k->pool = calloc(room + 1, sizeof(*k->pool));
	if (!k->pool)
		return -1;
	for (uint32_t i = 1; i <= room; i++)
		k->pool[i].next = i < room ? i + 1 : PARK_NONE;
	k->free_head = 1;
	lock_init(&k->lock, RANK_PARK);
	return 0;
}

void
park_destroy(struct daemon *d)
{
	free(d->park.pool);
	lock_fini(&d->park.lock);
}

/* Faults of one client that may wait: a client can make as many as it likes, and others need places
 * too. */
static uint32_t
task_share(const struct park *k)
{
	return k->room / 4;
}

/* Of those that wait, or of one kind of those that were refused. */
static atomic_uint *
count_of(struct park *k, const struct park_list *l)
{
	return l == &k->refused     ? &k->refused_count
	       : l == &k->tableless ? &k->tableless_count
				    : &k->count;
}

/* Some are for frames, the others for their clients' own pages to leave, or refused. */
static bool
is_for_frames(const struct park *k, const struct park_list *l)
{
	return l >= k->waiting && l < k->waiting + FRAME_USE_COUNT;
}

static void
append_locked(struct park *k, struct park_list *l, uint32_t i)
{
	k->pool[i].next = PARK_NONE;
	if (l->tail == PARK_NONE)
		l->head = i;
	else
		k->pool[l->tail].next = i;
	l->tail = i;
}

/* Takes it out of the list and gives its place back. */
static void
unlink_locked(struct park *k, struct park_list *l, uint32_t i, uint32_t previous)
{
	atomic_uint *count = count_of(k, l);

	if (previous == PARK_NONE)
		l->head = k->pool[i].next;
	else
		k->pool[previous].next = k->pool[i].next;
	if (l->tail == i)
		l->tail = previous;
	if (count == &k->count)
		k->pool[i].fault.task->parked--;
	if (is_for_frames(k, l))
		fetch_sub_relaxed(&k->frame_count, 1);
	store_release(count, load_relaxed(count) - 1);
	k->pool[i].next = k->free_head;
	k->free_head = i;
}

/* => its place, or PARK_NONE: there is no more */
static uint32_t
keep_locked(struct park *k, struct park_list *l, const struct fault *fault, enum fault_outcome why)
{
	atomic_uint *count = count_of(k, l);
	uint32_t i = k->free_head;

	if (i == PARK_NONE)
		return i;
	k->free_head = k->pool[i].next;
	k->pool[i].fault = *fault;
	k->pool[i].why = why;
	k->pool[i].ticket = k->next_ticket++;
	task_get(fault->task);
	if (count == &k->count)
		fault->task->parked++;
	if (is_for_frames(k, l))
		fetch_add_relaxed(&k->frame_count, 1);
	append_locked(k, l, i);
	store_release(count, load_relaxed(count) + 1);
	return i;
}

static void
limited_add_locked(struct park *k, struct task *task)
{
	struct task **at = &k->limited;

	while (*at)
		at = &(*at)->limited_next;
	task->limited_next = NULL;
	*at = task;
}

static void
limited_remove_locked(struct park *k, struct task *task)
{
	struct task **at = &k->limited;

	while (*at && *at != task)
		at = &(*at)->limited_next;
	if (*at)
		*at = task->limited_next;
}

static void
overflow_locked(struct park *k, struct task *task)
{
	if (task->park_overflow)
		return;
	task->park_overflow = true;
	task->overflow_next = k->overflowed;
	k->overflowed = task_get(task);
}

/* A client for whose forgotten faults there is room again, taken out. Not at the first place: a
 * wake-up is for all its threads. */
static struct task *
overflow_next(struct park *k)
{
	struct task **at, *task = NULL;

	lock_acquire(&k->lock);
	if (load_relaxed(&k->count) <= k->room / 4) {
		for (at = &k->overflowed; *at && (*at)->parked > task_share(k) / 2;)
			at = &(*at)->overflow_next;
		task = *at;
		if (task) {
			*at = task->overflow_next;
			task->park_overflow = false;
		}
	}
	lock_release(&k->lock);
	return task;
}

/* Whoever has taken entries out. Any thread, no lock held. */
static void
overflow_wake(struct daemon *d)
{
	struct task *task;

	while ((task = overflow_next(&d->park)) != NULL) {
		if (!task_is_dead(task))
			task_wake_all(task);
		task_put(task);
	}
}

static enum frame_use
use_of(enum fault_outcome why)
{
	return why == FAULT_NO_FRAME_READ    ? FRAME_READ
	       : why == FAULT_NO_FRAME_WRITE ? FRAME_WRITE
					     : FRAME_FIRST;
}

void
park_fault(struct fault_server *server, const struct fault *fault, enum fault_outcome why)
{
	bool limit = why == FAULT_OVER_LIMIT;
	struct task *task = fault->task;
	struct daemon *d = server->daemon;
	struct park *k = &d->park;
	uint32_t i = PARK_NONE;

	stat_add(server->stats, limit ? STAT_LIMIT_PARKS : STAT_PARKS, 1);
	lock_acquire(&k->lock);
	if (task_is_dead(task)) {
		/* park_drop has been here, or waits for the lock and finds nothing: nothing is left
		 * behind it. */
		lock_release(&k->lock);
		return;
	}
	if (limit && task->limited.head == PARK_NONE && task->parked < task_share(k) &&
	    k->free_head != PARK_NONE)
		limited_add_locked(k, task);
	if (task->parked < task_share(k))
		i = keep_locked(k, limit ? &task->limited : &k->waiting[use_of(why)], fault, why);
	if (i == PARK_NONE)
		overflow_locked(k, task);
	if (i != PARK_NONE && limit)
		fetch_add_relaxed(&task->bill.process->limit_parked, 1);
	if (i != PARK_NONE && !limit && !fault->has_waited) {
		k->pool[i].fault.has_waited = true;
		k->pool[i].fault.since = moment_now(d);
	}
	lock_release(&k->lock);
	if (limit)
		pageout_want_task(d, task);
	else
		pageout_want(d);
	/* A frame may have been freed between our look and our place in the queue. */
	if (frames_available_for(d, use_of(why)) > 0)
		bells_ring_one(&d->bells);
}

static struct moment
tried_least(struct moment a, struct moment b)
{
	return (struct moment){ a.rounds < b.rounds ? a.rounds : b.rounds,
		a.passes < b.passes ? a.passes : b.passes };
}

/* What has been tried since it began to wait, since one of its use was served, and since memory was
 * surely not full. */
static struct moment
tried_for(const struct park *k, const struct parked_fault *parked, struct moment now)
{
	return tried_least(
	    moment_tried(k->progress, now), tried_least(moment_tried(parked->fault.since, now),
						moment_tried(k->served[use_of(parked->why)], now)));
}

enum verdict { WAIT, SERVE, REFUSE };

static enum verdict
judge_locked(struct daemon *d, const struct parked_fault *parked, struct moment now)
{
	struct task *task = parked->fault.task;
	struct park *k = &d->park;

	if (task_is_dead(task))
		return SERVE;
	if (parked->why == FAULT_OVER_LIMIT)
		return process_over_limit(task->bill.process, 1) || lane_must_wait(d, task) ? WAIT
											    : SERVE;
	if (frames_available_for(d, use_of(parked->why)) > 0)
		return SERVE;
	if (load_acquire(&d->pageq.squeezed) &&
	    squeeze_refuses(use_of(parked->why),
		tried_least(tried_for(k, parked, now), moment_tried(k->squeezed_since, now)),
		swap_has_room(d)))
		return REFUSE;
	return WAIT;
}

/* Whether the head of a list may run, and came before the best so far. */
static void
look_locked(struct daemon *d, struct park_list *l, struct moment now, struct park_list **best,
    enum verdict *best_verdict)
{
	const struct parked_fault *pool = d->park.pool;
	enum verdict verdict;

	if (l->head == PARK_NONE || (*best && pool[(*best)->head].ticket < pool[l->head].ticket))
		return;
	verdict = judge_locked(d, &pool[l->head], now);
	if (verdict == WAIT)
		return;
	*best = l;
	*best_verdict = verdict;
}

/* The oldest of those that may run now, or shall wait no longer, taken out. => WAIT: none */
static enum verdict
take_next(struct daemon *d, struct fault *ret, enum fault_outcome *ret_why)
{
	struct park *k = &d->park;
	struct moment now = moment_now(d);
	struct park_list *best = NULL;
	enum verdict verdict = WAIT;

	lock_acquire(&k->lock);
	for (unsigned use = 0; use < FRAME_USE_COUNT; use++)
		look_locked(d, &k->waiting[use], now, &best, &verdict);
	for (struct task *task = k->limited; task; task = task->limited_next)
		look_locked(d, &task->limited, now, &best, &verdict);
	if (best) {
		uint32_t i = best->head;

		*ret = k->pool[i].fault;
		*ret_why = k->pool[i].why;
		if (verdict == SERVE && *ret_why != FAULT_OVER_LIMIT)
			k->served[use_of(*ret_why)] = now;
		unlink_locked(k, best, i, PARK_NONE);
		if (*ret_why == FAULT_OVER_LIMIT && best->head == PARK_NONE)
			limited_remove_locked(k, ret->task);
	}
	lock_release(&k->lock);
	return verdict;
}

/* A refused fault, taken out with its reference, is answered after all, as a read. */
static void
answer_refused(struct fault_server *server, struct fault *fault)
{
	fault->has_waited = false;
	fault->flags = 0;
	fault->start_ns = clock_now_ns();
	if (!task_is_dead(fault->task))
		fault_dispatch(server, fault);
	task_put(fault->task);
}

/* The first of the server's lane whose client may have table memory, taken out: the poison is taken
 * away by a call on the client's memory. => false: none */
static bool
tableless_take(struct fault_server *server, struct fault *ret)
{
	struct daemon *d = server->daemon;
	struct park *k = &d->park;
	uint32_t previous = PARK_NONE, i;

	lock_acquire(&k->lock);
	for (i = k->tableless.head; i != PARK_NONE; previous = i, i = k->pool[i].next) {
		const struct task *task = k->pool[i].fault.task;

		if (load_relaxed(&task->lane) == server->lane &&
		    share_room(d, task->bill.account, SHARE_TABLES) >= TABLE_BLOCK_BYTES)
			break;
	}
	if (i != PARK_NONE) {
		*ret = k->pool[i].fault;
		unlink_locked(k, &k->tableless, i, previous);
	}
	lock_release(&k->lock);
	return i != PARK_NONE;
}

/* Table memory has been given back. Who is refused once more is not looked at again in this turn.
 */
static void
serve_tableless(struct fault_server *server)
{
	struct park *k = &server->daemon->park;
	uint32_t most = load_acquire(&k->tableless_count);
	struct fault fault;

	if (load_acquire(&k->tables_freed) == server->tables_seen)
		return;
	server->tables_seen = load_acquire(&k->tables_freed);
	while (most-- > 0 && !watch_is_relieved() && tableless_take(server, &fault))
		answer_refused(server, &fault);
}

void
frame_wait_freed(struct daemon *d)
{
	if (load_acquire(&d->park.count) > 0)
		bells_ring_one(&d->bells);
}

void
park_tables_freed(struct daemon *d)
{
	if (load_acquire(&d->park.tableless_count) == 0)
		return;
	fetch_add_acq_rel(&d->park.tables_freed, 1);
	bells_ring_all(&d->bells);
}

/* There is room again. */
static void
serve_refused(struct fault_server *server)
{
	struct daemon *d = server->daemon;
	struct park *k = &d->park;

	while (load_relaxed(&k->refused_count) > 0 && !watch_is_relieved() &&
	       !load_relaxed(&d->pageq.squeezed) &&
	       load_relaxed(&d->frames.free_count) >= d->frames.free_min) {
		struct fault fault;
		uint32_t previous = PARK_NONE, i;
		bool any;

		lock_acquire(&k->lock);
		/* The poison is taken away by a call on the client's memory: a thread of its lane
		 * makes it. */
		for (i = k->refused.head;
		     i != PARK_NONE &&
		     load_relaxed(&k->pool[i].fault.task->lane) != server->lane;) {
			previous = i;
			i = k->pool[i].next;
		}
		any = i != PARK_NONE;
		if (any) {
			fault = k->pool[i].fault;
			unlink_locked(k, &k->refused, i, previous);
		}
		lock_release(&k->lock);
		if (!any)
			return;
		answer_refused(server, &fault);
	}
}

void
park_serve(struct fault_server *server)
{
	struct daemon *d = server->daemon;
	uint32_t most = load_acquire(&d->park.count);
	enum fault_outcome why = FAULT_ANSWERED;
	enum verdict verdict;
	struct fault fault;

	while (
	    most-- > 0 && !watch_is_relieved() && (verdict = take_next(d, &fault, &why)) != WAIT) {
		struct task *task = fault.task;
		bool limit = why == FAULT_OVER_LIMIT;

		if (limit)
			fetch_sub_relaxed(&task->bill.process->limit_parked, 1);
		if (!task_is_dead(task)) {
			ledger_count(&task->bill.ledger,
			    limit ? PAGER_LEDGER_STALL_LIMIT : PAGER_LEDGER_STALL_FRAME,
			    clock_now_ns() - fault.start_ns);
			fault.start_ns = clock_now_ns();
			/* Of another lane: woken there (fault_dispatch), where it waits anew if it
			 * must. */
			if (verdict == SERVE || load_acquire(&task->lane) != server->lane ||
			    !fault_refuse(server, &fault, FAULT_NO_FRAME))
				fault_dispatch(server, &fault);
		}
		task_put(task);
	}
	overflow_wake(d);
	serve_refused(server);
	serve_tableless(server);
}

bool
park_longest(struct daemon *d, struct moment *ret_tried)
{
	struct park *k = &d->park;
	struct moment now = moment_now(d);
	bool any = false;

	if (load_acquire(&k->count) == 0)
		return false;
	lock_acquire(&k->lock);
	for (unsigned use = 0; use < FRAME_USE_COUNT; use++) {
		struct moment tried;

		if (k->waiting[use].head == PARK_NONE)
			continue;
		tried = tried_for(k, &k->pool[k->waiting[use].head], now);
		if (any && tried.passes <= ret_tried->passes)
			continue;
		*ret_tried = tried;
		any = true;
	}
	lock_release(&k->lock);
	return any;
}

void
park_progress(struct daemon *d)
{
	struct park *k = &d->park;

	if (load_acquire(&k->count) == 0)
		return;
	lock_acquire(&k->lock);
	k->progress = moment_now(d);
	lock_release(&k->lock);
}

void
park_squeeze(struct daemon *d)
{
	lock_acquire(&d->park.lock);
	d->park.squeezed_since = moment_now(d);
	store_release(&d->pageq.squeezed, true);
	lock_release(&d->park.lock);
}

void
park_refused(struct daemon *d, const struct fault *fault, enum fault_outcome why)
{
	struct park *k = &d->park;

	lock_acquire(&k->lock);
	/* Never so many that nobody could wait any more: the rest is SIGBUS until it is given back.
	 */
	if (load_relaxed(&k->refused_count) + load_relaxed(&k->tableless_count) < k->room / 2 &&
	    !task_is_dead(fault->task))
		keep_locked(k, why == FAULT_NO_TABLE ? &k->tableless : &k->refused, fault, why);
	lock_release(&k->lock);
}

/* One of the task's in [start, end), taken out. => false: none */
static bool
take_in_range_locked(struct park *k, struct park_list *l, struct task *task, uint64_t start,
    uint64_t end, uint64_t *ret_address)
{
	for (uint32_t i = l->head, previous = PARK_NONE; i != PARK_NONE;
	     previous = i, i = k->pool[i].next) {
		const struct fault *f = &k->pool[i].fault;

		if (f->task != task || f->address < start || f->address >= end)
			continue;
		*ret_address = f->address;
		unlink_locked(k, l, i, previous);
		return true;
	}
	return false;
}

bool
park_refused_take(
    struct daemon *d, struct task *task, uint64_t start, uint64_t end, uint64_t *ret_address)
{
	struct park *k = &d->park;
	bool found;

	if (load_acquire(&k->refused_count) + load_acquire(&k->tableless_count) == 0)
		return false;
	lock_acquire(&k->lock);
	found = take_in_range_locked(k, &k->refused, task, start, end, ret_address) ||
		take_in_range_locked(k, &k->tableless, task, start, end, ret_address);
	lock_release(&k->lock);
	if (found)
		task_put(task);
	return found;
}

static unsigned
drop_locked(struct park *k, struct park_list *l, struct task *task)
{
	uint32_t previous = PARK_NONE, next;
	unsigned dropped = 0;

	for (uint32_t i = l->head; i != PARK_NONE; i = next) {
		next = k->pool[i].next;
		if (k->pool[i].fault.task == task) {
			unlink_locked(k, l, i, previous);
			dropped++;
		} else {
			previous = i;
		}
	}
	return dropped;
}

/* A dead task is taken off the overflowed. => whether a reference is over */
static bool
overflow_drop_locked(struct park *k, struct task *task)
{
	struct task **at = &k->overflowed;

	if (!task->park_overflow)
		return false;
	while (*at != task)
		at = &(*at)->overflow_next;
	*at = task->overflow_next;
	task->park_overflow = false;
	return true;
}

void
park_drop(struct daemon *d, struct task *task)
{
	struct park *k = &d->park;
	unsigned dropped, limited;

	lock_acquire(&k->lock);
	if (task->limited.head != PARK_NONE)
		limited_remove_locked(k, task);
	limited = drop_locked(k, &task->limited, task);
	fetch_sub_relaxed(&task->bill.process->limit_parked, limited);
	dropped = limited + drop_locked(k, &k->refused, task) +
		  drop_locked(k, &k->tableless, task) + overflow_drop_locked(k, task);
	for (unsigned use = 0; use < FRAME_USE_COUNT; use++)
		dropped += drop_locked(k, &k->waiting[use], task);
	lock_release(&k->lock);
	while (dropped-- > 0)
		task_put(task);
	overflow_wake(d);
	/* Clients of side lanes may have waited for nobody but this one to wait for frames
	 * (lane_must_wait). */
	frame_wait_freed(d);
}
