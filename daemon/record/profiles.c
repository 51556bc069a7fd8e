/* SPDX-License-Identifier: MIT
 *
 * Runs whose profiles are gathered, and notes of what comes back. Runs on: the control loop, and
 * fault servers, which allocate nothing here.
 */
#include "record/profiles.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "own.h"
#include "pager/proto.h"
#include "vm/leaves.h"
#include "vm/task.h"
#include "vm/vm_object.h"

/* Where they are kept if nobody has said. => NULL: none are */
static char *
default_directory(void)
{
	const char *state = getenv("STATE_DIRECTORY");
	char path[PATH_MAX];

	/* systemd lists all that the unit names, the first one first. */
	if (!state || state[0] != '/')
		return NULL;
	snprintf(path, sizeof(path), "%.*s/profiles", (int)strcspn(state, ":"), state);
	return strdup(path);
}

int
profiles_create(struct daemon *d)
{
	struct profiles *p = own_alloc(OWN_PROFILE, sizeof(*p));

	CHECK(!d->profiles);
	if (!p)
		return -ENOMEM;
	lock_init(&p->lock, RANK_PROFILES);
	cond_init(&p->noted);
	p->directory = d->options.profile_directory ? strdup(d->options.profile_directory)
						    : default_directory();
	d->profiles = p;
	return 0;
}

void
profiles_destroy(struct daemon *d)
{
	struct profiles *p = d->profiles;

	if (!p)
		return;
	CHECK(!p->runs && p->noted_in == p->noted_out);
	lock_fini(&p->lock);
	cond_fini(&p->noted);
	free(p->directory);
	own_free(OWN_PROFILE, p);
	d->profiles = NULL;
}

/* => whether the thread waits; who has it so wakes it, best without the lock, for which it would
 * only wait again */
static bool
thread_wants_locked(struct profiles *p)
{
	bool wants = p->is_waiting;

	lock_assert_held(&p->lock);
	p->is_waiting = false;
	return wants;
}

static void
thread_wake_locked(struct profiles *p)
{
	lock_assert_held(&p->lock);
	if (thread_wants_locked(p))
		cond_signal(&p->noted);
}

/* => the group's run of that image, or NULL; one that has ended is none any more */
static struct profile_run *
run_find_locked(struct profiles *p, const struct client_group *group, const char *program)
{
	struct profile_run *run = p->runs;

	lock_assert_held(&p->lock);
	while (run && (run->has_ended || run->group != group || strcmp(run->program, program) != 0))
		run = run->next;
	return run;
}

static void
run_free(struct profile_run *run)
{
	void *owned[] = { run->places, run->program, run->counts.slots, run->spans.spans, run };

	for (size_t i = 0; i < ARRAY_LEN(owned); i++)
		if (owned[i])
			own_free(OWN_PROFILE, owned[i]);
}

static struct profile_run *
run_make(struct client_group *group, const char *program)
{
	struct profile_run *run = own_alloc(OWN_PROFILE, sizeof(*run));
	void *counts;

	if (!run)
		return NULL;
	run->places = own_alloc(OWN_PROFILE, PROFILE_REGIONS_MAX * sizeof(run->places[0]));
	run->program = own_alloc(OWN_PROFILE, strlen(program) + 1);
	run->spans.spans = own_alloc(OWN_PROFILE, PROFILE_SPANS_MAX * sizeof(run->spans.spans[0]));
	counts = own_alloc(OWN_PROFILE, profile_names_bytes(PROFILE_REGIONS_MAX));
	if (counts)
		profile_names_init(&run->counts, counts, PROFILE_REGIONS_MAX);
	if (!run->places || !run->program || !run->spans.spans || !counts) {
		run_free(run);
		return NULL;
	}
	strcpy(run->program, program);
	run->uid = group->uid;
	run->group = group;
	return run;
}

int
profiles_begin(struct daemon *d, struct client_group *group)
{
	/* The next worker would not know of them. */
	if (!d->profiles->directory || d->keeper)
		return -EOPNOTSUPP;
	if (group->has_profiles)
		return -EALREADY;
	group->has_profiles = true;
	return 0;
}

/* Runs that have not ended: they stay while the control loop does not say so. => their number */
static unsigned
runs_list(struct profiles *p, struct profile_run **ret)
{
	unsigned count = 0;

	lock_acquire(&p->lock);
	for (struct profile_run *run = p->runs; run; run = run->next) {
		if (run->has_ended)
			continue;
		CHECK(count < PROFILE_RUNS_MAX);
		ret[count++] = run;
	}
	lock_release(&p->lock);
	return count;
}

static uint64_t
gathered(const struct profile_run *run)
{
	return load_relaxed(&run->counted[PROFILED_GATHERED]);
}

static bool
task_has_run(struct daemon *d, uint32_t index, const struct profile_run *run)
{
	struct task *task = task_at(d, index);
	bool has = task && load_acquire(&task->profile.run) == run;

	if (task)
		task_put(task);
	return has;
}

/* Whether no task has it, not even one that a note keeps. */
static bool
run_is_idle(struct daemon *d, const struct profile_run *run)
{
	bool is_idle = true;

	locks_assert_none();
	for (uint32_t i = 0; is_idle && i < d->tasks.room; i++)
		is_idle = !task_has_run(d, i, run);
	return is_idle;
}

/* Makes room for one more run of the user's: of those that have no process any more the one goes
 * that has gathered least. => false: there is none */
static bool
run_room(struct daemon *d, uint32_t uid)
{
	struct profiles *p = d->profiles;
	struct profile_run *runs[PROFILE_RUNS_MAX], *least = NULL;
	unsigned count = runs_list(p, runs), of_user = 0;

	for (unsigned i = 0; i < count; i++)
		of_user += runs[i]->uid == uid;
	if (count < PROFILE_RUNS_MAX && of_user < PROFILE_RUNS_USER_MAX)
		return true;
	for (unsigned i = 0; i < count; i++)
		if ((of_user < PROFILE_RUNS_USER_MAX || runs[i]->uid == uid) &&
		    run_is_idle(d, runs[i]) && (!least || gathered(runs[i]) < gathered(least)))
			least = runs[i];
	if (!least)
		return false;
	lock_acquire(&p->lock);
	least->has_ended = true;
	thread_wake_locked(p);
	lock_release(&p->lock);
	return true;
}

static struct profile_run *
run_begin(struct daemon *d, struct client_group *group, const char *program)
{
	struct profiles *p = d->profiles;
	struct profile_run *run;

	if (!run_room(d, group->uid))
		return NULL;
	run = run_make(group_get(d, group), program);
	if (!run) {
		group_put(d, group);
		return NULL;
	}
	lock_acquire(&p->lock);
	run->next = p->runs;
	p->runs = run;
	thread_wake_locked(p);
	lock_release(&p->lock);
	stat_add(stats_shard(&d->stats, shard_index_extra(d, SHARD_CONTROL)), STAT_PROFILE_RUNS, 1);
	return run;
}

/* The file that the process runs. => false: nobody knows, or its path is too long */
static bool
image_of(const struct task *task, char *path, size_t size)
{
	char link[32];
	ssize_t got;

	snprintf(link, sizeof(link), "/proc/%d/exe", (int)task->pid);
	got = readlink(link, path, size);
	if (got <= 0 || (size_t)got >= size || path[0] != '/')
		return false;
	path[got] = '\0';
	return true;
}

static void
run_enter(struct task *task, struct profile_run *run)
{
	task->profile.process = fetch_add_relaxed(&run->processes, 1);
	store_release(&task->profile.run, run);
}

void
profile_join(struct daemon *d, struct task *task, struct client_group *group)
{
	struct profiles *p = d->profiles;
	char program[PROFILE_PROGRAM_MAX];
	struct profile_run *run;

	if (!group->has_profiles || !image_of(task, program, sizeof(program)))
		return;
	lock_acquire(&p->lock);
	run = run_find_locked(p, group, program);
	lock_release(&p->lock);
	/* Only this loop lets it end. */
	if (!run)
		run = run_begin(d, group, program);
	if (run)
		run_enter(task, run);
}

void
profile_inherit(struct task *child, const struct task *parent)
{
	struct profile_run *run = load_acquire(&parent->profile.run);

	/* It stays while the parent does. */
	if (run)
		run_enter(child, run);
}

void
profile_allocated(struct task *task, uint64_t address, uint64_t bytes)
{
	struct profile_run *run = load_acquire(&task->profile.run);
	struct profile_region name;
	uint32_t count;

	if (likely(!run))
		return;
	count = load_relaxed(&run->place_count);
	if (count == PROFILE_REGIONS_MAX || task->profile.process >= PROFILE_REGIONS_MAX)
		return;
	name = (struct profile_region){ .process = task->profile.process,
		.pages = bytes >> task->daemon->page_shift };
	name.nth = (*profile_name_at(&run->counts, &name))++;
	run->places[count] =
	    (struct profile_place){ .start = address, .name = name, .old = PROFILE_NONE };
	store_release(&run->place_count, count + 1);
}

void
profiles_hasten(struct daemon *d)
{
	struct profiles *p = d->profiles;

	lock_acquire(&p->lock);
	if (p->noted_in != p->noted_out)
		thread_wake_locked(p);
	lock_release(&p->lock);
}

bool
profiles_sweep(struct daemon *d)
{
	struct profiles *p = d->profiles;
	bool are_idle;

	lock_acquire(&p->lock);
	are_idle = p->noted_in != p->noted_out;
	if (are_idle)
		thread_wake_locked(p);
	for (struct profile_run *run = p->runs; run; run = run->next) {
		uint32_t now, ever;

		if (run->has_ended)
			continue;
		lock_release(&p->lock);
		/* Only this loop begins runs, and only runs that have ended go. */
		group_counts(d, run->group, &now, &ever);
		lock_acquire(&p->lock);
		are_idle |= now == 0;
		if (now > 0 || !pidfd_has_ended(run->group->pidfd))
			continue;
		run->has_ended = true;
		thread_wake_locked(p);
	}
	lock_release(&p->lock);
	return are_idle;
}

static void
show_add(struct pager_rep_profile *sum, const atomic_ullong *counted)
{
	sum->gathered += load_relaxed(&counted[PROFILED_GATHERED]);
	sum->refills += load_relaxed(&counted[PROFILED_REFILLS]);
	sum->brought += load_relaxed(&counted[PROFILED_BROUGHT]);
	sum->hits += load_relaxed(&counted[PROFILED_HITS]);
	sum->wasted += load_relaxed(&counted[PROFILED_WASTED]);
}

/* Times that it came back to a page. */
static uint64_t
returns(const struct profile_run *run)
{
	return load_relaxed(&run->counted[PROFILED_REFILLS]) +
	       load_relaxed(&run->counted[PROFILED_HITS]);
}

int
profile_show(
    struct daemon *d, const struct client_group *group, uint32_t nth, struct pager_rep_profile *ret)
{
	struct profiles *p = d->profiles;
	const struct profile_run *named = NULL;
	uint32_t count = 0;

	*ret = (struct pager_rep_profile){ .state = PAGER_PROFILE_NEW };
	if (!group->has_profiles)
		return -ENOENT;
	if (nth == 0)
		show_add(ret, group->profiled);
	lock_acquire(&p->lock);
	for (const struct profile_run *run = p->runs; run; run = run->next) {
		if (run->group != group || (++count != nth && nth != 0))
			continue;
		show_add(ret, run->counted);
		if (!named || returns(run) > returns(named))
			named = run;
	}
	if (named) {
		ret->state = load_relaxed(&named->state);
		snprintf(ret->program, sizeof(ret->program), "%s", named->program);
	}
	lock_release(&p->lock);
	return nth == 0 || named ? 0 : -ENOENT;
}

void
profile_note_add(struct daemon *d, struct task *task, uint64_t address, enum profile_note_kind kind)
{
	const struct profile_run *run = load_acquire(&task->profile.run);
	struct profiles *p = d->profiles;
	bool is_followed = load_relaxed(&run->is_followed), wakes = false;

	lock_acquire(&p->lock);
	if (p->noted_in - p->noted_out < PROFILE_RING) {
		p->notes[p->noted_in++ % PROFILE_RING] =
		    (struct profile_note){ task_get(task), address, kind };
		if ((is_followed && kind == PROFILE_REFILL) ||
		    p->noted_in - p->noted_out >=
			(is_followed ? PROFILE_NOTES_SOON : PROFILE_NOTES_LATE))
			wakes = thread_wants_locked(p);
	} else {
		fetch_add_relaxed(&p->dropped, 1);
	}
	lock_release(&p->lock);
	if (wakes)
		cond_signal(&p->noted);
}
