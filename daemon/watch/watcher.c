/* SPDX-License-Identifier: MIT
 *
 * The watcher (watch/watcher.h). Runs on: its own thread. It takes no lock for longer than a look,
 * and makes no call that a client can hold.
 */
#include "watch/watcher.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "own.h"
#include "threads.h"
#include "watch/lane.h"
#include "vm/task.h"
#include "watch/holder.h"
#include "watch/suspects.h"

/* Looks in a row that found a thread asleep in the same call, until it is held up. */
#define STUCK_TICKS 3u
/* Or this many of the last OFTEN_OF looks that found the client blocking any call. A memfd's lock
 * is held by the client alone, or by a thread of the daemon that runs at that moment; the lock of
 * an address space is held by honest programs, too. */
#define OFTEN_MEMFD 3u
#define OFTEN_LOOKS 6u
#define OFTEN_OF    8u
/* Time in a side lane at first; twice as long each further time. */
#define APART_TICKS (10000u / WATCH_TICK_MS)
#define APART_TIMES 6u
/* A thread that waits for a memfd's lock behind another thread of the daemon does not wait for the
 * client, and on a machine without a free processor that thread may sleep, behind one that has
 * none. So the client is ended early only if a process is seen inside of a call that takes the
 * lock; but it is excused for no longer than this. */
#define EXCUSED_TICKS (5000u / WATCH_TICK_MS)
/* While the daemon stops no client has longer. */
#define HASTY_TICKS (2000u / WATCH_TICK_MS)
/* How often other holders of the lock are searched for, after a client has been ended and calls on
 * its memfd still do not come back. */
#define HOLDER_TICKS (500u / WATCH_TICK_MS)
/* How often a process is searched for that keeps the lock of a client that has not been ended. */
#define SEARCH_TICKS (100u / WATCH_TICK_MS)
/* After this many looks that found no thread inside a call, the watcher looks every IDLE_MS. */
#define IDLE_TICKS   40u
#define IDLE_MS      100u
#define OBSERVED_MAX 64u
static const struct {
	unsigned end_ticks;
	const char *text;
} calls[] = {
#define CALL(NAME, end_ms, text) { (end_ms) / WATCH_TICK_MS, text },
#include "tbl/watch_call.h"
};

/* A client that was found blocking lately, or is in a side lane. */
struct observed {
	struct task *task; /* with a reference */
	uint32_t history;  /* bit i: found blocking i ticks ago */
	uint32_t memfd;    /* bit i: blocking its memfd's lock i ticks ago, while no thread of the
			      daemon had it */
	uint64_t apart_until; /* tick; 0: in the common lane */
};

struct watcher {
	struct daemon *daemon;
	pthread_t thread;
	struct lock lock; /* covers cond and stopping; leaf */
	struct cond cond; /* waited for by the watcher, signalled by watch_stop and watch_hasten */
	bool stopping;
	atomic_bool hasty;
	uint64_t tick; /* (W) */
	unsigned idle;
	unsigned calls_seen; /* sum of the words at the last look */
	int searched_fd;     /* a memfd whose lock's holder was searched for, and when */
	uint64_t searched_tick;
	struct observed observed[OBSERVED_MAX];
	struct suspects suspects;
	struct stat_shard stats;
};

/* --- looking --- */

/* Whether the thread waits for something: its state is the field behind the name, which may hold
 * anything. The file stays open, because clients may have left no descriptor by the time it is
 * needed; a thread that cannot be looked at is not taken for asleep. */
static bool
sleeps(struct watch *w)
{
	char path[64], line[256], *at;
	ssize_t length;

	CHECK(load_acquire(&w->tid) != 0);
	if (w->state_fd <= 0) {
		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)load_relaxed(&w->tid));
		w->state_fd = open(path, O_RDONLY | O_CLOEXEC);
	}
	length = w->state_fd > 0 ? pread(w->state_fd, line, sizeof(line) - 1, 0) : 0;
	if (length <= 0)
		return false;
	line[length] = '\0';
	at = strrchr(line, ')');
	return at && at[1] != '\0' && at[2] != 'R';
}

/* Whether another thread of the daemon runs inside of a call on that client's memfds, or where
 * several see it on that memfd: it may have the lock that the thread waits for. */
static bool
lock_is_ours(struct watcher *r, struct watch *waits)
{
	uint64_t client = load_relaxed(&waits->client);
	int fd = load_relaxed(&waits->fd);

	for (struct watch *w = r->daemon->watches; w; w = w->next)
		if (load_acquire(&w->word) & WATCH_INSIDE &&
		    load_relaxed(&w->call) == WATCH_MEMFD && load_relaxed(&w->client) == client &&
		    (client != 0 || load_relaxed(&w->fd) == fd) && !sleeps(w))
			return true;
	return false;
}

static struct observed *
observe(struct watcher *r, struct task *task)
{
	struct observed *unused = NULL;

	CHECK_OBJ(task, TASK_MAGIC);
	for (unsigned i = 0; i < OBSERVED_MAX; i++) {
		if (r->observed[i].task == task)
			return &r->observed[i];
		if (!r->observed[i].task)
			unused = &r->observed[i];
	}
	if (unused)
		*unused = (struct observed){ .task = task_get(task) };
	return unused;
}

/* The clients of one user wait for one another rather than for others. */
static unsigned
lane_for(uid_t uid)
{
	return 1 + uid % SIDE_LANES;
}

bool
watch_refuses(struct daemon *d, uid_t uid)
{
	CHECK(d->watcher);
	return suspects_refuse(&d->watcher->suspects, uid);
}

unsigned
watch_lane_of(struct daemon *d, uid_t uid)
{
	CHECK(d->watcher);
	return suspects_has(&d->watcher->suspects, uid) ? lane_for(uid) : LANE_COMMON;
}

static void
set_apart(struct watcher *r, struct observed *o)
{
	struct task *task = o->task;
	enum task_state state = load_acquire(&task->state);
	unsigned apart = 0;

	CHECK_OBJ(task, TASK_MAGIC);
	/* Before it is attached nobody polls it, and only its own request waits. */
	if (o->apart_until != 0 || (state != TASK_ATTACHED && state != TASK_DEAD))
		return;
	o->apart_until =
	    r->tick + ((uint64_t)APART_TICKS
			  << (task->times_apart < APART_TIMES ? task->times_apart : APART_TIMES));
	task->times_apart++;
	stat_add(r->stats, STAT_CLIENTS_APART, 1);
	lane_move(r->daemon, task, lane_for(task->uid), r->stats);
	for (unsigned i = 0; i < OBSERVED_MAX; i++)
		apart += r->observed[i].task && r->observed[i].apart_until != 0 &&
			 r->observed[i].task->uid == task->uid;
	if (apart >= SUSPECT_CLIENTS)
		suspects_add(&r->suspects, task->uid);
}

static void
set_suspect_apart(struct watcher *r, struct task *task)
{
	enum task_state state = load_acquire(&task->state);
	struct observed *o = state == TASK_ATTACHED ? observe(r, task) : NULL;

	CHECK_OBJ(task, TASK_MAGIC);
	if (o)
		set_apart(r, o);
	else if (state == TASK_ATTACHING)
		store_release(&task->lane_before, lane_for(task->uid));
}

/* All clients of users that are suspect. */
static void
set_suspects_apart(struct watcher *r)
{
	struct daemon *d = r->daemon;

	CHECK(d->watcher == r);
	for (uint32_t i = 0; suspects_any(&r->suspects) && i < d->tasks.room; i++) {
		struct task *task = task_at(d, i);

		if (!task)
			continue;
		if (suspects_has(&r->suspects, task->uid))
			set_suspect_apart(r, task);
		task_put(task);
	}
}

/* Kills the client; its task ends with its process, or, where the process may not be killed, all
 * the same. */
static void
end_client(struct watcher *r, struct task *task, const struct watch *w)
{
	CHECK_OBJ(task, TASK_MAGIC);
	CHECK(load_relaxed(&w->call) < WATCH_CALL_COUNT);
	if (exchange_acq_rel(&task->end_wanted, true))
		return;
	stat_add(r->stats, STAT_HOLDERS_ENDED, 1);
	suspects_ended(&r->suspects, task->uid);
	log_error_limited("process %d (session %llu) does not let go of %s: it is ended",
	    (int)task->pid, (unsigned long long)task->id, calls[load_relaxed(&w->call)].text);
	if (task->pidfd < 0 || syscall(SYS_pidfd_send_signal, task->pidfd, SIGKILL, NULL, 0u) < 0)
		log_error_limited("process %d cannot be killed (%s): only its session ends",
		    (int)task->pid, task->pidfd < 0 ? "not to be seen from here" : strerror(errno));
	store_release(&r->daemon->tasks_end_wanted, true);
}

/* A process that held the lock of a memfd that several clients see has been killed. */
static void
sharer_ended(void *argument, uid_t uid)
{
	struct watcher *r = argument;

	stat_add(r->stats, STAT_HOLDERS_ENDED, 1);
	suspects_ended(&r->suspects, uid);
}

/* One who was handed a client's memfd; the client itself has been counted. */
static void
other_ended(void *argument, uid_t uid)
{
	(void)argument;
	(void)uid;
}

/* How far the search for holders goes, after that many looks that were one too many. */
static enum holder_search
search_of(unsigned ticks)
{
	return ticks < HOLDER_TICKS       ? HOLDERS_INSIDE
	       : ticks < 2 * HOLDER_TICKS ? HOLDERS_WRITERS
	       : ticks < 8 * HOLDER_TICKS ? HOLDERS_HIDDEN
					  : HOLDERS_GONE;
}

/* Another thread takes over what the stuck one has not begun. */
static void
relieve(struct watcher *r, struct watch *w, bool is_hopeless)
{
	if (!w->relieve || load_relaxed(&w->word) & WATCH_RELIEVED ||
	    (load_relaxed(&w->lane) != LANE_COMMON && !is_hopeless))
		return;
	w->relieve(r->daemon, w);
	if (load_relaxed(&w->word) & WATCH_RELIEVED)
		stat_add(r->stats, STAT_RELIEVED_THREADS, 1);
}

/* The thread waits for the lock of a memfd that several see, and for none of them in particular:
 * who holds it must be found. */
static void
stuck_for_nobody(struct watcher *r, struct watch *w)
{
	unsigned end_ticks = calls[WATCH_MEMFD].end_ticks;
	unsigned waited = w->ticks >= EXCUSED_TICKS ? w->ticks : w->ticks - w->excused;
	int fd = load_relaxed(&w->fd);

	CHECK(w->ticks >= STUCK_TICKS && w->excused <= w->ticks);
	if (w->ticks == STUCK_TICKS) {
		stat_add(r->stats, STAT_HELD_CALLS, 1);
		log_notice_limited("somebody holds the lock of memory that several processes see");
	}
	/* Another thread may wait for the same lock. */
	if (waited >= end_ticks && (waited - end_ticks) % HOLDER_TICKS == 0 &&
	    (r->searched_fd != fd || r->tick >= r->searched_tick + HOLDER_TICKS)) {
		r->searched_fd = fd;
		r->searched_tick = r->tick;
		watch_holders_end(&(struct holders){ .daemon = r->daemon,
		    .memfd = fd,
		    .search = search_of(waited - end_ticks),
		    .ended = sharer_ended,
		    .argument = r });
	}
	relieve(r, w, waited >= end_ticks + HOLDER_TICKS);
}

/* Whether the client has had its time. */
static bool
is_over(struct watcher *r, const struct watch *w, const struct task *task)
{
	bool is_hasty = load_acquire(&r->hasty), is_memfd = load_relaxed(&w->call) == WATCH_MEMFD;
	unsigned end_ticks = calls[load_relaxed(&w->call)].end_ticks,
		 waited = w->ticks - w->excused;

	CHECK(w->excused <= w->ticks);
	if (is_hasty && end_ticks > HASTY_TICKS)
		end_ticks = HASTY_TICKS;
	if (!end_ticks || w->ticks < end_ticks)
		return false;
	if (!is_memfd || w->ticks >= (is_hasty ? HASTY_TICKS : EXCUSED_TICKS) ||
	    load_acquire(&task->end_wanted))
		return true;
	/* A search reads much of /proc. */
	return waited >= end_ticks && (waited - end_ticks) % SEARCH_TICKS == 0 &&
	       watch_holder_seen(r->daemon, load_relaxed(&w->fd));
}

/* The thread has not come back from its call for w->ticks looks. */
static void
stuck(struct watcher *r, struct watch *w, struct task *task, struct observed *o)
{
	unsigned end_ticks = calls[load_relaxed(&w->call)].end_ticks;
	bool ends, is_hopeless;

	CHECK(w->ticks >= STUCK_TICKS);
	if (w->ticks == STUCK_TICKS) {
		stat_add(r->stats, STAT_HELD_CALLS, 1);
		log_notice_limited("process %d (session %llu) holds up %s", (int)task->pid,
		    (unsigned long long)task->id, calls[load_relaxed(&w->call)].text);
	}
	if (o)
		set_apart(r, o);
	if (load_acquire(&task->state) == TASK_ATTACHING &&
	    suspects_hold_up_many(r->daemon, task->uid, STUCK_TICKS))
		suspects_add(&r->suspects, task->uid);
	ends = is_over(r, w, task);
	if (ends)
		end_client(r, task, w);
	if (ends && load_relaxed(&w->call) == WATCH_MEMFD &&
	    (w->ticks - end_ticks) % HOLDER_TICKS == HOLDER_TICKS - 1)
		watch_holders_end(&(struct holders){ .daemon = r->daemon,
		    .memfd = load_relaxed(&w->fd),
		    .search = search_of(w->ticks - end_ticks),
		    .task = task,
		    .ended = other_ended });
	/* In a side lane threads may wait, but not without end. A wait is without end if the
	 * client has been killed and the thread that has its pages does not come back even so. */
	is_hopeless = load_relaxed(&w->call) == WATCH_WAIT
			  ? load_acquire(&task->end_wanted) && w->ticks >= HOLDER_TICKS
			  : ends && w->ticks >= end_ticks + HOLDER_TICKS;
	relieve(r, w, is_hopeless);
}

static void
look_at(struct watcher *r, struct watch *w)
{
	unsigned word = load_acquire(&w->word), call = word & ~WATCH_RELIEVED;
	struct observed *o;
	struct task *task;

	CHECK(w->excused <= w->ticks);
	r->calls_seen += word;
	if (!(word & WATCH_INSIDE) || call != (w->seen & ~WATCH_RELIEVED))
		w->ticks = w->excused = 0;
	w->seen = word;
	if (!(word & WATCH_INSIDE) || !sleeps(w))
		return;
	w->ticks++;
	/* The reference that the thread has for the time of its call keeps the task there. */
	task = task_find_cookie(r->daemon, load_relaxed(&w->client));
	if (!task) {
		if (load_relaxed(&w->client) == 0 && load_relaxed(&w->call) == WATCH_MEMFD &&
		    load_acquire(&w->word) == word) {
			w->excused += lock_is_ours(r, w);
			if (w->ticks >= STUCK_TICKS)
				stuck_for_nobody(r, w);
		}
		return;
	}
	o = NULL;
	if (load_acquire(&w->word) == word) {
		/* A wait is for another thread, which may have a lot to do. It says something
		 * about the client only if that thread is held up. */
		bool is_wait = load_relaxed(&w->call) == WATCH_WAIT;
		bool is_memfd = load_relaxed(&w->call) == WATCH_MEMFD;
		bool is_ours = is_memfd && lock_is_ours(r, w);

		w->excused += is_ours;
		o = is_wait ? NULL : observe(r, task);
		if (o)
			o->history |= 1;
		if (o && is_memfd && !is_ours)
			o->memfd |= 1;
		if (w->ticks >= STUCK_TICKS &&
		    (!is_wait || load_relaxed(&task->lane) != load_relaxed(&w->lane) ||
			load_acquire(&task->end_wanted)))
			stuck(r, w, task, o);
	}
	task_put(task);
}

static unsigned
lately(uint32_t history)
{
	return (unsigned)__builtin_popcount(history & ((1u << OFTEN_OF) - 1));
}

/* What follows for a client from a look at all threads. */
static void
judge(struct watcher *r, struct observed *o)
{
	struct task *task = o->task;

	CHECK_OBJ(task, TASK_MAGIC);
	if (lately(o->history) >= OFTEN_LOOKS || lately(o->memfd) >= OFTEN_MEMFD)
		set_apart(r, o);
	if (o->apart_until != 0 && o->apart_until <= r->tick && o->history == 0 &&
	    !task_is_dead(task)) {
		o->apart_until = 0;
		lane_move(r->daemon, task, LANE_COMMON, r->stats);
	}
	if (o->history == 0 && (o->apart_until == 0 || task_is_dead(task))) {
		o->task = NULL;
		task_put(task);
	}
}

void
watch_look(struct daemon *d)
{
	struct watcher *r = d->watcher;
	unsigned before = r->calls_seen;

	CHECK(r->daemon == d);
	r->tick++;
	suspects_tick(&r->suspects, r->tick);
	r->calls_seen = 0;
	for (unsigned i = 0; i < OBSERVED_MAX; i++) {
		r->observed[i].history <<= 1;
		r->observed[i].memfd <<= 1;
	}
	for (struct watch *w = r->daemon->watches; w; w = w->next)
		look_at(r, w);
	set_suspects_apart(r);
	for (unsigned i = 0; i < OBSERVED_MAX; i++)
		if (r->observed[i].task)
			judge(r, &r->observed[i]);
	r->idle = before == r->calls_seen ? r->idle + 1 : 0;
}

/* A thread that is stuck inside of a call is not idle. */
static bool
is_idle(const struct watcher *r)
{
	if (r->idle < IDLE_TICKS || suspects_any(&r->suspects))
		return false;
	for (const struct watch *w = r->daemon->watches; w; w = w->next)
		if (w->ticks > 0)
			return false;
	for (unsigned i = 0; i < OBSERVED_MAX; i++)
		if (r->observed[i].task)
			return false;
	return true;
}

/* Until the next look; without end where no thread is inside of a call and none enters one. */
static void
wait_locked(struct watcher *r, unsigned number)
{
	struct daemon *d = r->daemon;
	unsigned ms = is_idle(r) ? IDLE_MS : WATCH_TICK_MS;
	uint64_t began_ns = clock_now_ns(), passed;

	lock_assert_held(&r->lock);
	if (ms == IDLE_MS && pulse_may_rest(&d->pulse, number) && !watch_any_inside(d)) {
		stat_resting(&d->stats, 1);
		pulse_rests(&d->pulse);
		cond_wait(&r->cond, &r->lock);
		stat_resting(&d->stats, -1);
		passed = (clock_now_ns() - began_ns) / 1000000u / WATCH_TICK_MS;
		r->tick += passed > 0 ? passed - 1 : 0; /* watch_look adds one */
	} else {
		cond_wait_for(&r->cond, &r->lock, ms * 1000000ull);
		r->tick += ms / WATCH_TICK_MS - 1;
	}
}

static void
wake(void *argument)
{
	struct watcher *r = argument;

	lock_acquire(&r->lock);
	cond_signal(&r->cond);
	lock_release(&r->lock);
}

static void *
watcher_main(void *argument)
{
	struct watcher *r = argument;
	unsigned number;

	own_thread("watch");
	thread_nice_set(-15);
	number = pulse_never(&r->daemon->pulse);
	lock_acquire(&r->lock);
	while (!r->stopping) {
		wait_locked(r, number);
		lock_release(&r->lock);
		number = pulse_now(&r->daemon->pulse);
		watch_look(r->daemon);
		lock_acquire(&r->lock);
	}
	lock_release(&r->lock);
	for (unsigned i = 0; i < OBSERVED_MAX; i++)
		if (r->observed[i].task)
			task_put(r->observed[i].task);
	return NULL;
}

int
watch_create(struct daemon *d)
{
	struct watcher *r = calloc(1, sizeof(*r));

	CHECK(!d->watcher);
	if (!r)
		return -ENOMEM;
	r->daemon = d;
	r->stats = stats_shard(&d->stats, shard_index_extra(d, SHARD_WATCH));
	lock_init(&r->lock, RANK_JOBS);
	suspects_init(&r->suspects);
	cond_init(&r->cond);
	lock_init(&d->duty_lock, RANK_JOBS);
	cond_init(&d->duty_given);
	d->watcher = r;
	pulse_join(&d->pulse, wake, r);
	return 0;
}

int
watch_start(struct daemon *d)
{
	CHECK(d->watcher);
	return pthread_create(&d->watcher->thread, NULL, watcher_main, d->watcher) ? -EAGAIN : 0;
}

void
watch_hasten(struct daemon *d)
{
	CHECK(d->watcher);
	store_release(&d->watcher->hasty, true);
}

void
watch_stop(struct daemon *d)
{
	struct watcher *r = d->watcher;

	CHECK(r && !r->stopping);
	lock_acquire(&r->lock);
	r->stopping = true;
	cond_signal(&r->cond);
	lock_release(&r->lock);
	pthread_join(r->thread, NULL);
	for (struct watch *w = r->daemon->watches; w; w = w->next)
		if (w->state_fd > 0)
			close(w->state_fd);
}

void
watch_destroy(struct daemon *d)
{
	struct watcher *r = d->watcher;

	CHECK(r);
	suspects_fini(&r->suspects);
	lock_fini(&r->lock);
	cond_fini(&r->cond);
	lock_fini(&d->duty_lock);
	cond_fini(&d->duty_given);
	free(r);
	d->watcher = NULL;
}
