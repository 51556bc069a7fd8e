/* SPDX-License-Identifier: MIT
 *
 * Runs on: a thread of its own, which may allocate: no page waits for it.
 */
#include "region/foreseen.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "own.h"
#include "pager/proto.h"
#include "record/profiles.h"
#include "region/prefetch.h"
#include "vm/vm_mapping.h"

#define NOTES_AT_ONCE 64u

struct foreseen {
	struct daemon *daemon;
	pthread_t thread;
	bool is_running;
	struct stat_shard stats;
	struct watch watch;
	unsigned users; /* runs whose profile is used */
};

/* --- names --- */

/* Places that were made since: which region of the last run has the same name. */
static void
places_look(struct profile_run *run, unsigned shift)
{
	uint32_t count = load_acquire(&run->place_count);

	for (; run->places_seen < count; run->places_seen++) {
		struct profile_place *place = &run->places[run->places_seen];
		uint32_t old = profile_name_get(&run->olds, &place->name);

		profile_span_add(
		    &run->spans, &(struct profile_span){ .start = place->start,
				     .end = place->start + (place->name.pages << shift),
				     .process = place->name.process,
				     .place = run->places_seen });
		if (old == 0)
			continue;
		place->old = old - 1;
		run->now[old - 1] = run->places_seen;
	}
}

/* The page of the run that lies at the process's address, by its place. What was allocated last
 * there counts. => false: it has no name */
static bool
page_find(const struct profile_run *run, const struct task *task, uint64_t address,
    struct profile_page *ret)
{
	const struct profile_span *span =
	    profile_span_find(&run->spans, task->profile.process, address);

	if (!span)
		return false;
	*ret = (struct profile_page){ span->place,
		(uint32_t)((address - run->places[span->place].start) >>
			   task->daemon->page_shift) };
	return true;
}

/* --- what was brought in --- */

static void
mark_clear(struct profile_run *run, uint32_t mark)
{
	fetch_and_acq_rel(&run->marks[mark / 64], ~(1ull << mark % 64));
}

/* Pageout keeps room for what is brought in, while there is a run that has a profile. */
static void
users_change(struct foreseen *s, int by)
{
	bool was = s->users > 0;

	s->users = (unsigned)((int)s->users + by);
	if (was != (s->users > 0))
		frames_foresee(s->daemon, s->users > 0);
}

static void
outcome(struct foreseen *s, struct profile_run *run, bool was_hit)
{
	fetch_add_relaxed(
	    was_hit ? &run->counted[PROFILED_HITS] : &run->counted[PROFILED_WASTED], 1);
	stat_add(s->stats, was_hit ? STAT_FORESEEN_HITS : STAT_FORESEEN_WASTED, 1);
	if (!foresight_outcome(&run->judge, was_hit))
		return;
	store_relaxed(&run->state, PAGER_PROFILE_ENDED);
	store_relaxed(&run->is_followed, false);
	users_change(s, -1);
	stat_add(s->stats, STAT_PROFILES_ENDED, 1);
}

/* Makes room for one more: the oldest has not been touched in time. */
static void
outstanding_add(
    struct foreseen *s, struct profile_run *run, struct profile_page page, uint32_t mark)
{
	uint32_t oldest;

	if (brought_add(&run->ahead, page, mark, &oldest)) {
		mark_clear(run, oldest);
		outcome(s, run, false);
	}
	fetch_or_acq_rel(&run->marks[mark / 64], 1ull << mark % 64);
}

/* => whether the page was one of them; it is no more */
static bool
outstanding_take(struct profile_run *run, struct profile_page page)
{
	uint32_t mark;

	if (!brought_take(&run->ahead, page, &mark))
		return false;
	mark_clear(run, mark);
	return true;
}

/* The run has ended: what was not touched was not wanted. */
static void
outstanding_end(struct foreseen *s, struct profile_run *run)
{
	uint32_t mark;

	while (brought_oldest(&run->ahead, &mark))
		outcome(s, run, false);
}

/* --- foresight --- */

/* => false: nothing more can be brought in now */
static bool
bring(struct foreseen *s, struct profile_run *run, struct task *task, struct profile_page old)
{
	struct daemon *d = s->daemon;
	uint32_t at = run->now[old.region];
	struct profile_page page = { at, old.offset };
	struct prefetch_target target;
	enum prefetched got;

	/* The last run may have come back to it more than once in a short time. */
	if (at == PROFILE_NONE || brought_has(&run->ahead, page) ||
	    !prefetch_target_find(
		task, run->places[at].start + ((uint64_t)old.offset << d->page_shift), &target))
		return true;
	/* Before it is there: its touch is noted only with its mark. */
	outstanding_add(s, run, page, profile_mark(target.mapping->object, target.index));
	watch_client(task_cookie(task));
	got = prefetch_foreseen(&target, PREFETCH_OF_PROFILES);
	watch_client(0);
	prefetch_target_put(&target);
	if (got == PREFETCH_DONE) {
		fetch_add_relaxed(&run->counted[PROFILED_BROUGHT], 1);
		stat_add(s->stats, STAT_FORESEEN, 1);
	} else {
		(void)outstanding_take(run, page);
	}
	return got != PREFETCH_NO_ROOM;
}

/* The process has come back to the page: where is it now in the last run, and what came next? */
static void
follow(struct foreseen *s, struct profile_run *run, struct task *task, struct profile_page page)
{
	uint32_t old = run->places[page.region].old, process = task->profile.process;
	struct profile_way *way;
	struct profile_page next;
	bool may;

	if (run->foresight.count == 0 || run->judge.has_ended || process >= PROFILE_WAYS)
		return;
	way = &run->ways[process];
	if (!way->has_begun)
		foresight_begin(&run->foresight, process, &way->cursor);
	way->has_begun = true;
	may = foresight_may(&run->judge);
	if (old == PROFILE_NONE || !foresight_touch(&run->foresight, &way->cursor,
				       (struct profile_page){ old, page.offset }))
		return;
	while (may && run->judge.pause == 0 && !run->judge.has_ended &&
	       prefetch_may(s->daemon, task) &&
	       foresight_next(&run->foresight, &way->cursor, &next) && bring(s, run, task, next))
		continue;
}

/* --- what is gathered --- */

static void
gather(struct profile_run *run, struct profile_page page)
{
	uint32_t room = run->page_room ? 2 * run->page_room : 1024;
	struct profile_page *more;

	if (run->old.rests > 0 || run->page_count == PROFILE_PAGES_MAX)
		return;
	/* A fault may be answered at its second attempt. */
	if (run->page_count > 0 &&
	    memcmp(&run->pages[run->page_count - 1], &page, sizeof(page)) == 0)
		return;
	if (run->page_count == run->page_room) {
		more = own_realloc(OWN_PROFILE, run->pages, room * sizeof(page));
		if (!more)
			return;
		run->pages = more;
		run->page_room = room;
	}
	run->pages[run->page_count++] = page;
	store_relaxed(&run->counted[PROFILED_GATHERED], run->page_count);
}

static void
note_take(struct foreseen *s, const struct profile_note *noted)
{
	struct profile_run *run = load_acquire(&noted->task->profile.run);
	struct profile_page page;
	bool was_foreseen;

	CHECK(run != NULL);
	if (!run->is_loaded)
		return;
	places_look(run, s->daemon->page_shift);
	if (!page_find(run, noted->task, noted->address, &page))
		return;
	was_foreseen = outstanding_take(run, page);
	if (noted->kind == PROFILE_REFILL)
		fetch_add_relaxed(&run->counted[PROFILED_REFILLS], 1);
	/* It has left again before its touch. */
	if (was_foreseen)
		outcome(s, run, noted->kind == PROFILE_HIT);
	/* Another page has the same mark. */
	else if (noted->kind == PROFILE_HIT)
		return;
	gather(run, page);
	follow(s, run, noted->task, page);
}

/* --- a run's beginning and end --- */

/* The regions of the last run, by their names. => false: no memory */
static bool
olds_index(struct profile_run *run)
{
	void *memory = own_alloc(OWN_PROFILE, profile_names_bytes(run->old.region_count));

	if (!memory)
		return false;
	profile_names_init(&run->olds, memory, run->old.region_count);
	for (uint32_t i = 0; i < run->old.region_count; i++) {
		uint32_t *number = profile_name_at(&run->olds, &run->old.regions[i]);

		/* Of two with one name, which a file may have, the first. */
		if (*number == 0)
			*number = i + 1;
	}
	return true;
}

static void
run_load(struct foreseen *s, struct profile_run *run)
{
	int error = profile_load(s->daemon, run, &run->file, &run->old);
	unsigned state = PAGER_PROFILE_NEW;

	if (error) {
		stat_add(s->stats, STAT_PROFILES_REFUSED, error != -ENOENT);
		run->file = NULL;
		run->old = (struct profile){ 0 };
	} else {
		state = run->old.rests > 0 ? PAGER_PROFILE_RESTS : PAGER_PROFILE_USED;
		run->order =
		    own_alloc(OWN_PROFILE, (run->old.page_count + 1) * sizeof(run->order[0]));
		run->now =
		    own_alloc(OWN_PROFILE, (run->old.region_count + 1) * sizeof(run->now[0]));
	}
	if (!run->order || !run->now || !olds_index(run)) {
		run->old.region_count = run->old.page_count = 0;
	} else {
		for (uint32_t i = 0; i < run->old.region_count; i++)
			run->now[i] = PROFILE_NONE;
		foresight_init(&run->foresight, &run->old, run->order);
	}
	store_relaxed(&run->state, state);
	store_relaxed(&run->is_followed, state == PAGER_PROFILE_USED);
	if (state == PAGER_PROFILE_USED)
		users_change(s, 1);
	run->is_loaded = true;
}

/* The regions that have pages, and these by their new numbers. => false: no memory */
static bool
profile_of(struct profile_run *run, struct profile *ret)
{
	uint32_t *numbers = own_alloc(
	    OWN_PROFILE, PROFILE_REGIONS_MAX * sizeof(*numbers)); /* by place, from 1 on */

	ret->regions = own_alloc(OWN_PROFILE, PROFILE_REGIONS_MAX * sizeof(ret->regions[0]));
	ret->region_count = 0;
	ret->pages = run->pages;
	ret->page_count = run->page_count;
	for (uint32_t i = 0; numbers && ret->regions && i < run->page_count; i++) {
		struct profile_page *page = &run->pages[i];

		if (numbers[page->region] == 0) {
			ret->regions[ret->region_count] = run->places[page->region].name;
			numbers[page->region] = ++ret->region_count;
		}
		page->region = numbers[page->region] - 1;
	}
	if (numbers)
		own_free(OWN_PROFILE, numbers);
	return numbers && ret->regions;
}

static void
run_write(struct daemon *d, struct profile_run *run)
{
	struct profile profile = { 0 };
	struct foresight_kept kept;
	bool is_there = true;

	if (!run->is_loaded ||
	    !foresight_keep(&run->old, run->page_count, run->judge.has_ended, &kept))
		return;
	if (kept.with_pages)
		is_there = profile_of(run, &profile);
	profile.strikes = kept.strikes;
	profile.rests = kept.rests;
	if (is_there)
		(void)profile_save(d, run, &profile);
	if (profile.regions)
		own_free(OWN_PROFILE, profile.regions);
}

/* What it has counted is the group's from then on: who looks meanwhile sees it once. */
static void
run_unlist_locked(struct profiles *p, struct profile_run *run)
{
	struct profile_run **at = &p->runs;

	lock_assert_held(&p->lock);
	while (*at != run) {
		CHECK(*at);
		at = &(*at)->next;
	}
	*at = run->next;
	for (int i = 0; i < PROFILED_COUNT; i++)
		fetch_add_relaxed(&run->group->profiled[i], load_relaxed(&run->counted[i]));
}

static void
run_end(struct foreseen *s, struct profile_run *run)
{
	struct daemon *d = s->daemon;
	void *owned[] = { run->file, run->order, run->now, run->pages, run->places, run->program,
		run->counts.slots, run->olds.slots, run->spans.spans, run };

	outstanding_end(s, run);
	if (load_relaxed(&run->state) == PAGER_PROFILE_USED)
		users_change(s, -1);
	run_write(d, run);
	lock_acquire(&d->profiles->lock);
	run_unlist_locked(d->profiles, run);
	lock_release(&d->profiles->lock);
	group_put(d, run->group);
	for (size_t i = 0; i < ARRAY_LEN(owned); i++)
		if (owned[i])
			own_free(OWN_PROFILE, owned[i]);
	stat_add(s->stats, STAT_PROFILE_RUNS_OVER, 1);
}

/* --- the thread --- */

/* => notes that were taken out */
static unsigned
notes_out_locked(struct profiles *p, struct profile_note *notes)
{
	unsigned count = 0;

	lock_assert_held(&p->lock);
	while (count < NOTES_AT_ONCE && p->noted_out != p->noted_in)
		notes[count++] = p->notes[p->noted_out++ % PROFILE_RING];
	return count;
}

static struct profile_run *
run_to_load_locked(struct profiles *p)
{
	struct profile_run *run = p->runs;

	lock_assert_held(&p->lock);
	while (run && run->is_loaded)
		run = run->next;
	return run;
}

/* A run that has ended; it stays in the list until it has been written. all: each has. => NULL:
 * there is none */
static struct profile_run *
run_ended_locked(struct profiles *p, bool all)
{
	struct profile_run *run = p->runs;

	lock_assert_held(&p->lock);
	while (run && !run->has_ended && !all)
		run = run->next;
	return run;
}

static void *
foreseen_main(void *argument)
{
	struct foreseen *s = argument;
	struct profiles *p = s->daemon->profiles;
	struct profile_note notes[NOTES_AT_ONCE];

	own_thread("foreseen");
	watch_begin(&s->watch);
	watch_on_duty(&s->watch, LANE_COMMON);
	lock_acquire(&p->lock);
	for (;;) {
		struct profile_run *load = run_to_load_locked(p), *ended = NULL;
		unsigned count = load ? 0 : notes_out_locked(p, notes);

		if (!load && count == 0)
			ended = run_ended_locked(p, p->stopping);
		if (!load && count == 0 && !ended) {
			if (p->stopping)
				break;
			p->is_waiting = true;
			cond_wait(&p->noted, &p->lock);
			continue;
		}
		lock_release(&p->lock);
		if (load)
			run_load(s, load);
		for (unsigned i = 0; i < count; i++) {
			note_take(s, &notes[i]);
			task_put(notes[i].task);
		}
		if (ended)
			run_end(s, ended);
		pulse_beat(&s->daemon->pulse);
		lock_acquire(&p->lock);
	}
	lock_release(&p->lock);
	return NULL;
}

/* Nobody stands by, as for willneed: while a client delays it no other thread waits, and the
 * watcher ends such a client. */
static void
relieve(struct daemon *d, struct watch *watch)
{
	CHECK(watch == &d->foreseen->watch);
}

int
foreseen_start(struct daemon *d)
{
	struct foreseen *s = calloc(1, sizeof(*s));
	int error;

	CHECK(!d->foreseen && d->profiles);
	if (!s)
		return -ENOMEM;
	d->foreseen = s;
	s->daemon = d;
	s->stats = stats_shard(&d->stats, shard_index_extra(d, SHARD_FORESEEN));
	watch_add(d, &s->watch, relieve);
	error = -pthread_create(&s->thread, NULL, foreseen_main, s);
	s->is_running = error == 0;
	return error;
}

void
foreseen_stop(struct daemon *d)
{
	struct profiles *p = d->profiles;

	lock_acquire(&p->lock);
	p->stopping = true;
	cond_signal(&p->noted);
	lock_release(&p->lock);
	pthread_join(d->foreseen->thread, NULL);
	d->foreseen->is_running = false;
}

void
foreseen_fini(struct daemon *d)
{
	CHECK(!d->foreseen || !d->foreseen->is_running);
	free(d->foreseen);
	d->foreseen = NULL;
}
