/* SPDX-License-Identifier: MIT
 *
 * The memorystatus thread. Runs on: its own thread; requests on the control loop. The thread
 * allocates nothing and waits for no client.
 */
#include "memorystatus/memorystatus.h"

#include <errno.h>
#include <stdlib.h>

#include "alloc.h"
#include "clock.h"
#include "daemon.h"
#include "memorystatus/creation.h"
#include "memorystatus/reap.h"
#include "memorystatus/tell.h"
#include "own.h"
#include "pagers/store.h"
#include "vm/task.h"

#define MEMORYSTATUS_TICK_NS 100000000u
/* A level that lasts is told again after this time. */
#define REPEAT_NS (30u * 60u * 1000000000ull)

/* --- what is available --- */

static uint64_t
level_of(const struct daemon *d, enum stat_index gauge)
{
	long long level = load_relaxed(&((struct daemon *)(uintptr_t)d)->stats.levels[gauge]);

	return level > 0 ? (uint64_t)level : 0;
}

static uint64_t
minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

/* Frames' worth of segments for which swap has a place, or can make one. Those being written still
 * count as memory. */
static uint64_t
swap_room(struct daemon *d, const struct compressor_stats *c, uint64_t most)
{
	struct swap_stats s;
	uint64_t slot, used;

	if (!d->swap)
		return 0;
	slot = compressor_segment_bytes(d->compressor);
	/* What is left in segments that have lost most of their pages comes back (drain,
	 * compaction); an eighth of each never does. */
	used = min_u64(c->segments_away * slot, c->bytes_away * 8 / 7);
	if (!swap_has_room(d)) {
		swap_stats(d->swap, &s);
		return (s.slots_free * slot + c->segments_away * slot - used) >> d->page_shift;
	}
	if (d->options.swap_max_bytes == 0)
		return most;
	return minus(d->options.swap_max_bytes, used) >> d->page_shift;
}

/* Of a page that nobody has compressed yet it is assumed that it takes half. */
#define RATIO_ASSUMED 500u
#define RATIO_PAGES   256u

static unsigned
ratio_of(const struct daemon *d, const struct compressor_stats *c)
{
	uint64_t pages = minus(c->pages, c->pages_away);

	if (pages < RATIO_PAGES)
		return RATIO_ASSUMED;
	return (unsigned)min_u64(1000, c->bytes_live * 1000 / (pages * d->page_bytes));
}

static unsigned
limit_of(unsigned param, unsigned xnu)
{
	return param ? param : xnu;
}

void
memorystatus_measure(struct daemon *d, struct space *ret, struct pressure_limits *ret_limits)
{
	uint64_t wired = minus(level_of(d, STAT_FRAMES_WIRED), level_of(d, STAT_PAGES_DEVICE));
	uint64_t files = level_of(d, STAT_PAGES_EXTERNAL);
	uint64_t purgeable = level_of(d, STAT_PAGES_VOLATILE);
	struct compressor_stats c = { 0 };

	if (d->compressor)
		compressor_stats(d->compressor, &c);
	*ret = (struct space){
		.movable = frames_movable(d),
		.free_above = minus(load_relaxed(&d->frames.free_count), d->frames.reserved),
		/* It is not counted which pages of files are wired: most wired ones are not. */
		.files = minus(files, min_u64(files, wired)),
		.purgeable = purgeable + level_of(d, STAT_PAGES_REUSABLE),
		.pages = minus(level_of(d, STAT_PAGES_INTERNAL), wired + purgeable),
		.ratio = ratio_of(d, &c),
		.compressor_room = minus(store_share(d), level_of(d, STAT_FRAMES_COMPRESSOR)),
	};
	ret->swap_room = swap_room(d, &c, ret->movable);
	*ret_limits = pressure_limits_of((uint64_t)load_relaxed(&d->frames.size) << d->page_shift);
	ret_limits->below[PRESSURE_WARNING] = limit_of(
	    (unsigned)param(d, pressure_warning_permille), ret_limits->below[PRESSURE_WARNING]);
	ret_limits->below[PRESSURE_URGENT] = limit_of(
	    (unsigned)param(d, pressure_urgent_permille), ret_limits->below[PRESSURE_URGENT]);
	ret_limits->below[PRESSURE_CRITICAL] = limit_of(
	    (unsigned)param(d, pressure_critical_permille), ret_limits->below[PRESSURE_CRITICAL]);
}

/* --- notices --- */

static uint64_t
footprint_of(const struct task *task)
{
	return ledger_pages(&task->bill.ledger, PAGER_LEDGER_PHYS_FOOTPRINT);
}

/* All clients, with references, as they are now. Runs on: the thread */
static void
clients_take(struct memorystatus *s, struct daemon *d)
{
	enum pressure level = notice_level(s->hold.announced);
	uint32_t cursor = 0;
	struct task *task;

	CHECK(s->count == 0);
	while (s->count < d->tasks.room && (task = task_next(d, &cursor)) != NULL) {
		struct task_notices *n = &task->notices;
		uint64_t footprint = footprint_of(task);

		if (load_acquire(&n->sent) != 0 && footprint < load_relaxed(&n->least))
			store_relaxed(&n->least, footprint);
		/* One that is not to be told of the fall has to be told of the next rise. */
		if (load_relaxed(&n->told) > level && !(load_relaxed(&n->levels) & 1u << level))
			store_relaxed(&n->told, level);
		s->tasks[s->count] = task;
		s->clients[s->count++] = (struct notice_client){
			.levels = load_relaxed(&n->levels),
			.told = (enum pressure)load_relaxed(&n->told),
			.band = reap_band(d, task->bill.process, clock_now_ns()),
			.footprint = footprint,
		};
	}
}

static void
clients_put(struct memorystatus *s)
{
	while (s->count > 0)
		task_put(s->tasks[--s->count]);
}

/* => whether the agent has taken it. */
static bool
notice_send(struct memorystatus *s, struct task *task, enum pressure level, uint64_t now_ns)
{
	struct task_notices *n = &task->notices;
	uint64_t footprint = footprint_of(task);

	if (!agent_tell(
		task, PAGER_AGENT_PRESSURE, PAGER_AGENT_PRESSURE_VALUE(s->last_sent + 1, level)))
		return false;
	store_relaxed(&n->told, level);
	store_relaxed(&n->before, footprint);
	store_relaxed(&n->least, footprint);
	store_relaxed(&n->sent_ns, now_ns);
	store_release(&n->sent, ++s->last_sent);
	return true;
}

/* => whether nobody had to be told, or has to be told now; one whose agent does not listen does not
 * count. Tells the clients that are due, one at a time with pauses, or all at once where memory is
 * about to run out or a level is simulated. */
static bool
notices_send(struct daemon *d, uint64_t now_ns)
{
	struct memorystatus *s = &d->memorystatus;
	struct stat_shard stats = stats_shard(&d->stats, shard_index_extra(d, SHARD_MEMORYSTATUS));
	uint64_t pause_ns = param(d, notice_pause_ms) * 1000000u;
	uint64_t least = param(d, notice_least_bytes) >> d->page_shift;
	bool hurry = s->hold.announced == PRESSURE_CRITICAL ||
		     load_relaxed(&s->simulated) != PRESSURE_MEASURED;
	bool sent = false;
	size_t i;

	while ((hurry || now_ns - s->told_ns >= pause_ns) &&
	       notice_choose(s->clients, s->count, s->hold.announced, least, &i)) {
		enum pressure level = notice_level(s->hold.announced);

		/* An agent that does not listen is passed over in this look. */
		if (!notice_send(s, s->tasks[i], level, now_ns)) {
			s->clients[i].levels = 0;
			continue;
		}
		s->clients[i].told = level;
		s->told_ns = now_ns;
		sent = true;
		stat_add(stats, STAT_NOTICES, 1);
	}
	return !sent && !notice_choose(s->clients, s->count, s->hold.announced, least, &i);
}

/* --- what is known of each client --- */

/* Tells the client of its limits on entries of its ledger. */
static void
ledger_limits_look(struct daemon *d, struct task *task, uint64_t now_ns)
{
	struct stat_shard stats = stats_shard(&d->stats, shard_index_extra(d, SHARD_MEMORYSTATUS));

	for (unsigned i = 0; i < PAGER_LEDGER_COUNT; i++) {
		uint64_t has = ledger_pages(&task->bill.ledger, (enum pager_ledger_entry)i);
		unsigned percent = ledger_limit_look(&task->bill.limits[i], has, now_ns);

		if (percent == 0)
			continue;
		agent_tell(task, PAGER_AGENT_LIMIT, PAGER_AGENT_LIMIT_VALUE(i + 1, percent));
		stat_add(stats, STAT_LIMIT_NOTICES, 1);
	}
}

/* => whether something will follow although no thread does anything */
static bool
clients_look(struct daemon *d, uint64_t now_ns)
{
	struct memorystatus *s = &d->memorystatus;
	uint64_t create_pages = param(d, create_pages);
	uint64_t stored = level_of(d, STAT_PAGES_COMPRESSED);
	bool is_short = load_relaxed(&s->level) >= PRESSURE_URGENT;
	unsigned creators = 0;
	bool is_timed = false;

	for (size_t i = 0; i < s->count; i++) {
		struct task *task = s->tasks[i];
		uint64_t made = ledger_pages(&task->bill.ledger, PAGER_LEDGER_ZERO_FILLS);
		uint64_t own = ledger_pages(&task->bill.ledger, PAGER_LEDGER_INTERNAL_COMPRESSED);

		creators += creation_look(&task->creation, made, create_pages,
		    is_short && own > stored / CREATION_HOARD_PART, now_ns);
		if (unlikely(load_acquire(&task->bill.has_limits))) {
			ledger_limits_look(d, task, now_ns);
			is_timed = true;
		}
	}
	store_relaxed(&s->creators, creators);
	return is_timed || creators > 0;
}

static void
announce(struct daemon *d, enum pressure level, uint64_t now_ns)
{
	struct memorystatus *s = &d->memorystatus;
	int simulated = load_acquire(&s->simulated);

	if (simulated != PRESSURE_MEASURED) {
		if (s->hold.announced != (enum pressure)simulated)
			s->began_ns = now_ns;
		s->hold = (struct pressure_hold){ .announced = (enum pressure)simulated };
	} else if (pressure_announce(&s->hold, level, now_ns)) {
		s->began_ns = now_ns;
		log_info_limited("memory pressure is %s: %u permille are available",
		    pressure_name(s->hold.announced), load_relaxed(&s->available));
	}
	if (s->hold.announced != PRESSURE_NORMAL && now_ns - s->began_ns >= REPEAT_NS) {
		s->began_ns = now_ns;
		for (size_t i = 0; i < s->count; i++) {
			store_relaxed(&s->tasks[i]->notices.told, PRESSURE_NORMAL);
			s->clients[i].told = PRESSURE_NORMAL;
		}
	}
	store_release(&s->announced, s->hold.announced);
}

/* Looks in a row in which no volatile object could be purged, after which nobody waits for that:
 * its pages are in transit, or its client holds it. */
#define PURGE_VAIN_LOOKS 3u

/* Under pressure the groups that the level names are to go, also where frames are free. => pages
 * for which nobody is to be ended yet */
static uint64_t
volatile_want(struct daemon *d, enum pressure level, bool is_squeezed)
{
	struct memorystatus *s = &d->memorystatus;
	struct purge_queue *q = &d->pageq.purge;
	uint64_t pages = load_relaxed(&q->pages);
	unsigned groups = pressure_purges(level, is_squeezed);

	if (pages == 0 || groups == 0) {
		s->purge_asked = false;
		s->purge_vain = 0;
		return pages;
	}
	/* A worker that has found one to purge leaves the wish as it is. */
	s->purge_vain = s->purge_asked && load_acquire(&q->wanted) == 0 ? s->purge_vain + 1 : 0;
	s->purge_asked = true;
	store_release(&q->wanted, groups);
	frames_want(d);
	return groups == PURGEABLE_GROUPS && s->purge_vain >= PURGE_VAIN_LOOKS ? 0 : pages;
}

void
memorystatus_look(struct daemon *d, uint64_t now_ns)
{
	struct memorystatus *s = &d->memorystatus;
	struct jetsam_input jetsam = { .now_ns = now_ns,
		.pass = load_acquire(&d->writeback.passes) };
	struct pressure_input in = {
		.is_squeezed = load_relaxed(&d->park.squeezed),
		.host = (enum pressure)load_relaxed(&s->host),
	};
	struct space space;
	enum pressure level;
	bool has_timed;

	locks_assert_none();
	frames_retire(d);
	ledger_walk_step(d, &s->walk);
	memorystatus_measure(d, &space, &in.limits);
	refaults_size(&d->refaults, load_relaxed(&d->frames.size));
	in.is_thrashing = thrash_look(&s->thrash, &(struct thrash_input){ .now_ns = now_ns,
						      .read = load_relaxed(&d->refaults.read),
						      .came = load_relaxed(&d->refaults.came),
						      .most = param(d, thrash_pages) });
	store_relaxed(&s->is_thrashing, in.is_thrashing);
	in.available = pressure_available(&space);
	if (in.available >= in.limits.below[PRESSURE_WARNING])
		s->short_ns = 0;
	else if (s->short_ns == 0)
		s->short_ns = now_ns;
	level = pressure_next((enum pressure)load_relaxed(&s->level), &in);
	store_relaxed(&s->available, in.available);
	store_relaxed(&s->level, level);
	clients_take(s, d);
	has_timed = clients_look(d, now_ns);
	announce(d, level, now_ns);
	jetsam.available = in.available;
	jetsam.is_squeezed = in.is_squeezed;
	jetsam.short_ns = s->short_ns;
	jetsam.limits = in.limits;
	jetsam.notices_are_out = notices_send(d, now_ns);
	jetsam.volatile_pages = volatile_want(d, level, in.is_squeezed);
	reap(d, &jetsam, &space);
	s->is_timed |= has_timed || in.is_thrashing;
	clients_put(s);
}

/* --- the thread --- */

/* Whether the next look may find something although no thread has done anything. */
static bool
is_timed(struct daemon *d)
{
	struct memorystatus *s = &d->memorystatus;

	return s->is_timed || s->hold.announced != PRESSURE_NORMAL ||
	       load_relaxed(&s->level) != PRESSURE_NORMAL ||
	       load_relaxed(&s->host) != PRESSURE_NORMAL ||
	       load_relaxed(&s->simulated) != PRESSURE_MEASURED ||
	       load_relaxed(&d->park.squeezed) || load_relaxed(&d->park.count) > 0 ||
	       load_relaxed(&d->frames.size) !=
		   (uint64_t)load_relaxed(&d->stats.levels[STAT_FRAMES_TOTAL]);
}

static void
wait_locked(struct daemon *d, unsigned number)
{
	struct memorystatus *s = &d->memorystatus;

	lock_assert_held(&s->lock);
	if (pulse_may_rest(&d->pulse, number) && !is_timed(d)) {
		stat_resting(&d->stats, 1);
		pulse_rests(&d->pulse);
		cond_wait(&s->wanted, &s->lock);
		stat_resting(&d->stats, -1);
	} else {
		cond_wait_for(&s->wanted, &s->lock, MEMORYSTATUS_TICK_NS);
	}
}

static void
wake(void *argument)
{
	struct memorystatus *s = argument;

	lock_acquire(&s->lock);
	cond_signal(&s->wanted);
	lock_release(&s->lock);
}

static void *
memorystatus_main(void *argument)
{
	struct daemon *d = argument;
	struct memorystatus *s = &d->memorystatus;
	unsigned number = pulse_never(&d->pulse);

	own_thread("memorystatus");
	alloc_forbid();
	lock_acquire(&s->lock);
	while (!s->stopping) {
		if (!s->asked)
			wait_locked(d, number);
		s->asked = false;
		lock_release(&s->lock);
		number = pulse_now(&d->pulse);
		memorystatus_look(d, clock_now_ns());
		lock_acquire(&s->lock);
	}
	lock_release(&s->lock);
	return NULL;
}

int
memorystatus_create(struct daemon *d)
{
	struct memorystatus *s = &d->memorystatus;

	CHECK(!s->clients && d->tasks.room > 0);
	lock_init(&s->lock, RANK_JOBS);
	cond_init(&s->wanted);
	store_relaxed(&s->simulated, PRESSURE_MEASURED);
	store_relaxed(&s->most_bytes, d->options.memory_bytes);
	s->clients = calloc(d->tasks.room, sizeof(*s->clients));
	s->tasks = calloc(d->tasks.room, sizeof(*s->tasks));
	s->processes = calloc(d->tasks.room, sizeof(*s->processes));
	s->choices = calloc(d->tasks.room, sizeof(*s->choices));
	s->candidates = calloc(d->tasks.room, sizeof(*s->candidates));
	if (!s->clients || !s->tasks || !s->processes || !s->choices || !s->candidates)
		return -ENOMEM;
	freezes_create(d);
	pulse_join(&d->pulse, wake, s);
	return events_create(&s->events);
}

int
memorystatus_start(struct daemon *d)
{
	CHECK(d->memorystatus.clients);
	return pthread_create(&d->memorystatus.thread, NULL, memorystatus_main, d) ? -EAGAIN : 0;
}

void
memorystatus_stop(struct daemon *d)
{
	struct memorystatus *s = &d->memorystatus;

	CHECK(!s->stopping);
	lock_acquire(&s->lock);
	s->stopping = true;
	cond_signal(&s->wanted);
	lock_release(&s->lock);
	pthread_join(s->thread, NULL);
}

void
memorystatus_fini(struct daemon *d)
{
	struct memorystatus *s = &d->memorystatus;

	CHECK(s->count == 0);
	free(s->clients);
	free(s->tasks);
	free(s->processes);
	free(s->choices);
	free(s->candidates);
	events_destroy(&s->events);
	freezes_destroy(d);
	lock_fini(&s->lock);
	cond_fini(&s->wanted);
}

void
memorystatus_want(struct daemon *d)
{
	struct memorystatus *s = &d->memorystatus;

	lock_acquire(&s->lock);
	s->asked = true;
	cond_signal(&s->wanted);
	lock_release(&s->lock);
}

/* --- requests --- */

void
memorystatus_listen(struct task *task, unsigned levels)
{
	CHECK_OBJ(task, TASK_MAGIC);
	store_release(&task->notices.levels, levels);
	memorystatus_want(task->daemon);
}

void
memorystatus_done(struct task *task)
{
	struct task_notices *n = &task->notices;

	CHECK_OBJ(task, TASK_MAGIC);
	store_relaxed(&n->after, footprint_of(task));
	store_release(&n->done, load_acquire(&n->sent));
}

void
memorystatus_simulate(struct daemon *d, int level)
{
	CHECK(level == PRESSURE_MEASURED || (level >= 0 && level < (int)PRESSURE_COUNT));
	store_release(&d->memorystatus.simulated, level);
	memorystatus_want(d);
}
