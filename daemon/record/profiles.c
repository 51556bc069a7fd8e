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

static void
thread_wake_locked(struct profiles *p)
{
	lock_assert_held(&p->lock);
	if (p->is_waiting)
		cond_signal(&p->noted);
	p->is_waiting = false;
}

/* => the group's run, or NULL */
static struct profile_run *
run_find_locked(struct profiles *p, const struct client_group *group)
{
	struct profile_run *run = p->runs;

	lock_assert_held(&p->lock);
	while (run && run->group != group)
		run = run->next;
	return run;
}

static void
run_free(struct profile_run *run)
{
	own_free(OWN_PROFILE, run->places);
	own_free(OWN_PROFILE, run->program);
	own_free(OWN_PROFILE, run);
}

static struct profile_run *
run_make(struct client_group *group, const char *program)
{
	struct profile_run *run = own_alloc(OWN_PROFILE, sizeof(*run));

	if (!run)
		return NULL;
	run->places = own_alloc(OWN_PROFILE, PROFILE_REGIONS_MAX * sizeof(run->places[0]));
	run->program = own_alloc(OWN_PROFILE, strlen(program) + 1);
	if (!run->places || !run->program) {
		run_free(run);
		return NULL;
	}
	strcpy(run->program, program);
	run->uid = group->uid;
	run->group = group;
	return run;
}

/* => 0, or why there cannot be one more */
static int
run_may_locked(struct profiles *p, const struct client_group *group)
{
	unsigned of_user = 0;

	lock_assert_held(&p->lock);
	if (run_find_locked(p, group))
		return -EALREADY;
	for (const struct profile_run *run = p->runs; run; run = run->next)
		of_user += run->uid == group->uid;
	return p->run_count >= PROFILE_RUNS_MAX || of_user >= PROFILE_RUNS_USER_MAX ? -EDQUOT : 0;
}

int
profile_run_begin(struct daemon *d, struct client_group *group, const char *program)
{
	struct profiles *p = d->profiles;
	struct profile_run *run;
	int error;

	CHECK(strlen(program) < PROFILE_PROGRAM_MAX);
	/* The next worker would not know of it. */
	if (!p->directory || d->keeper)
		return -EOPNOTSUPP;
	run = run_make(group, program);
	if (!run)
		return -ENOMEM;
	lock_acquire(&p->lock);
	error = run_may_locked(p, group);
	if (!error) {
		run->next = p->runs;
		p->runs = run;
		p->run_count++;
		thread_wake_locked(p);
	}
	lock_release(&p->lock);
	if (error)
		run_free(run);
	else
		group_get(d, group);
	return error;
}

void
profile_join(struct daemon *d, struct task *task, struct client_group *group, uint32_t process)
{
	struct profiles *p = d->profiles;
	struct profile_run *run;

	if (!p->directory)
		return;
	lock_acquire(&p->lock);
	run = run_find_locked(p, group);
	/* The group had no client and no launcher any more: the run is about to go. */
	if (run && run->has_ended)
		run = NULL;
	lock_release(&p->lock);
	/* It stays as long as the group has a client. */
	task->profile.process = process;
	store_release(&task->profile.run, run);
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
	if (count == PROFILE_REGIONS_MAX)
		return;
	name = (struct profile_region){ .process = task->profile.process,
		.pages = bytes >> task->daemon->page_shift };
	for (uint32_t i = 0; i < count; i++)
		name.nth += run->places[i].name.process == name.process &&
			    run->places[i].name.pages == name.pages;
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

int
profile_show(struct daemon *d, const struct client_group *group, struct pager_rep_profile *ret)
{
	struct profiles *p = d->profiles;
	const struct profile_run *run;

	lock_acquire(&p->lock);
	run = run_find_locked(p, group);
	if (run) {
		ret->state = load_relaxed(&run->state);
		ret->gathered = load_relaxed(&run->gathered);
		ret->refills = load_relaxed(&run->refills);
		ret->brought = load_relaxed(&run->brought);
		ret->hits = load_relaxed(&run->hits);
		ret->wasted = load_relaxed(&run->wasted);
	}
	lock_release(&p->lock);
	return run ? 0 : -ENOENT;
}

void
profile_note_add(struct daemon *d, struct task *task, uint64_t address, enum profile_note_kind kind)
{
	const struct profile_run *run = load_acquire(&task->profile.run);
	struct profiles *p = d->profiles;
	bool is_followed = load_relaxed(&run->is_followed);

	lock_acquire(&p->lock);
	if (p->noted_in - p->noted_out < PROFILE_RING) {
		p->notes[p->noted_in++ % PROFILE_RING] =
		    (struct profile_note){ task_get(task), address, kind };
		if ((is_followed && kind == PROFILE_REFILL) ||
		    p->noted_in - p->noted_out >=
			(is_followed ? PROFILE_NOTES_SOON : PROFILE_NOTES_LATE))
			thread_wake_locked(p);
	} else {
		fetch_add_relaxed(&p->dropped, 1);
	}
	lock_release(&p->lock);
}
