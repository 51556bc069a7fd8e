/* SPDX-License-Identifier: MIT
 *
 * How far processes are with being frozen. Allocates nothing.
 */
#include "memorystatus/freeze.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "daemon.h"
#include "vm/task.h"

void
freezes_create(struct daemon *d)
{
	lock_init(&d->memorystatus.freezes.lock, RANK_JOBS);
}

void
freezes_destroy(struct daemon *d)
{
	lock_fini(&d->memorystatus.freezes.lock);
}

/* A client of the process that says its name and user, with a reference; NULL: it has ended. */
static struct task *
task_of(struct daemon *d, const struct process *process)
{
	struct task *task;
	uint32_t cursor = 0;

	while ((task = task_next(d, &cursor)) != NULL && task->bill.process != process)
		task_put(task);
	return task;
}

static void
event_add(struct daemon *d, struct process *process, struct task *task, enum freeze_event what,
    uint64_t pages)
{
	struct freezes *f = &d->memorystatus.freezes;
	struct pager_wire_freeze_event *e;
	struct timespec now;

	locks_assert_none();
	clock_gettime(CLOCK_REALTIME, &now);
	lock_acquire(&f->lock);
	e = &f->events[++f->last % FREEZE_EVENTS_KEPT];
	*e = (struct pager_wire_freeze_event){
		.number = f->last,
		.time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
		.what = what,
		.pid = (uint32_t)process_pid(process),
		.uid = task ? task->uid : 0,
		.bytes = pages << d->page_shift,
	};
	snprintf(e->name, sizeof(e->name), "%.31s", task ? task->name : "");
	lock_release(&f->lock);
}

/* => whether the state was `from`, and is `to` */
static bool
change(struct process *process, unsigned from, unsigned to)
{
	CHECK(from < FREEZE_STATE_COUNT && to < FREEZE_STATE_COUNT);
	return cas_acq_rel(&process->freeze.state, &from, to);
}

bool
freeze_want(struct process *process, bool chosen)
{
	if (!change(process, FREEZE_NONE, FREEZE_WANTED))
		return false;
	store_relaxed(&process->freeze.is_chosen, chosen);
	return true;
}

bool
freeze_thaw_want(struct process *process)
{
	if (change(process, FREEZE_WANTED, FREEZE_NONE))
		return true;
	return change(process, FREEZE_FROZEN, FREEZE_THAW_WANTED) ||
	       change(process, FREEZE_RUNS, FREEZE_THAW_WANTED);
}

struct process *
freeze_take(struct daemon *d, bool *ret_thaws)
{
	struct process *process;

	while ((process = process_freezing(d, FREEZE_THAW_WANTED)) != NULL) {
		*ret_thaws = true;
		if (change(process, FREEZE_THAW_WANTED, FREEZE_THAW_RUNS))
			return process;
		process_put(d, process);
	}
	while ((process = process_freezing(d, FREEZE_WANTED)) != NULL) {
		*ret_thaws = false;
		if (change(process, FREEZE_WANTED, FREEZE_RUNS))
			return process;
		process_put(d, process);
	}
	return NULL;
}

void
freeze_taken_end(struct daemon *d, struct process *process, const struct freeze_tally *tally)
{
	struct stat_shard stats = stats_shard(&d->stats, shard_index_extra(d, SHARD_CONTROL));
	struct process_freeze *f = &process->freeze;
	struct task *task = task_of(d, process);

	if (change(process, FREEZE_THAW_RUNS, FREEZE_NONE)) {
		stat_add(stats, STAT_THAWS, 1);
		event_add(d, process, task, FREEZE_EVENT_THAWED, tally->out);
	} else {
		store_relaxed(&f->out, tally->out);
		store_relaxed(&f->gathered, tally->gathered);
		store_relaxed(&f->shared, tally->shared);
		store_relaxed(&f->held, tally->held);
		store_relaxed(&f->since_ns, clock_now_ns());
		fetch_add_relaxed(&f->times, 1);
		stat_add(stats, STAT_FREEZES, 1);
		if (load_relaxed(&f->is_chosen))
			fetch_add_relaxed(
			    &d->memorystatus.freezes.chosen_pages, tally->out + tally->gathered);
		event_add(d, process, task,
		    load_relaxed(&f->is_chosen) ? FREEZE_EVENT_CHOSEN : FREEZE_EVENT_FROZEN,
		    tally->out + tally->gathered);
		/* Unless it is to be thawed by now. */
		(void)change(process, FREEZE_RUNS, FREEZE_FROZEN);
	}
	if (task)
		task_put(task);
}

void
freeze_touch_slow(struct task *task)
{
	struct process *process = task->bill.process;
	struct daemon *d = task->daemon;

	if (!change(process, FREEZE_FROZEN, FREEZE_NONE))
		return;
	fetch_add_relaxed(&process->freeze.thaws, 1);
	fetch_add_relaxed(&d->memorystatus.freezes.touched, 1);
	event_add(d, process, task, FREEZE_EVENT_TOUCHED, 0);
}

unsigned
freeze_events_after(struct daemon *d, uint64_t after, bool all, uint32_t uid,
    struct pager_wire_freeze_event *ret, unsigned room, uint64_t *ret_last)
{
	struct freezes *f = &d->memorystatus.freezes;
	unsigned count = 0;

	lock_acquire(&f->lock);
	*ret_last = f->last;
	if (f->last > FREEZE_EVENTS_KEPT && after < f->last - FREEZE_EVENTS_KEPT)
		after = f->last - FREEZE_EVENTS_KEPT;
	while (after < f->last && count < room) {
		const struct pager_wire_freeze_event *e = &f->events[++after % FREEZE_EVENTS_KEPT];

		if (all || e->uid == uid)
			ret[count++] = *e;
	}
	lock_release(&f->lock);
	return count;
}
