/* SPDX-License-Identifier: MIT
 *
 * What the freezer's policy goes by. Allocates nothing.
 */
#include "memorystatus/freeze_look.h"

#include "daemon.h"
#include "memorystatus/freeze_policy.h"
#include "vm/process.h"
#include "vm/task.h"

#define DAY_NS (24ull * 3600u * 1000000000u)

/* Faults of all tasks of the process so far; those of tasks that have ended are forgotten. */
static uint64_t
faults_of(struct memorystatus *s, const struct process *process)
{
	uint64_t faults = 0;

	for (size_t i = 0; i < s->count; i++)
		if (s->tasks[i]->bill.process == process)
			faults += ledger_value(&s->tasks[i]->bill.ledger, PAGER_LEDGER_FAULTS, 1);
	return faults;
}

static struct freeze_candidate
candidate_of(struct memorystatus *s, size_t i, uint64_t now_ns)
{
	struct process *process = s->processes[i];
	struct process_freeze *f = &process->freeze;
	uint64_t faults = faults_of(s, process);
	long long resident = load_relaxed(&process->resident);

	if (faults != f->faults_seen || f->quiet_since_ns == 0) {
		f->faults_seen = faults;
		f->quiet_since_ns = now_ns;
	}
	return (struct freeze_candidate){
		.band = s->choices[i].band,
		.is_dying = s->choices[i].is_dying,
		.is_free = load_acquire(&f->state) == FREEZE_NONE,
		.thaws = load_relaxed(&f->thaws),
		.pages = resident > 0 ? (uint64_t)resident : 0,
		.quiet_since_ns = f->quiet_since_ns,
	};
}

/* Pages that may still go today. A day begins with the first look, and what was not used of it is
 * lost. */
static uint64_t
budget_left(struct daemon *d, uint64_t now_ns)
{
	struct freezes *f = &d->memorystatus.freezes;
	uint64_t day = param(d, freeze_day_bytes) >> d->page_shift;
	uint64_t spent = load_relaxed(&f->chosen_pages);

	if (f->day_ns == 0 || now_ns - f->day_ns >= DAY_NS) {
		f->day_ns = now_ns;
		f->spent_before = spent;
	}
	spent -= f->spent_before;
	return spent < day ? day - spent : 0;
}

void
freeze_look(struct daemon *d, const struct space *space, uint64_t now_ns)
{
	struct memorystatus *s = &d->memorystatus;
	struct freeze_input in = { .now_ns = now_ns };
	struct freeze_rules rules = {
		.below = (unsigned)param(d, freeze_below_permille),
		.most = (unsigned)param(d, freeze_most),
		.least = param(d, freeze_least_bytes) >> d->page_shift,
		.quiet_ns = param(d, freeze_quiet_seconds) * 1000000000u,
	};
	size_t chosen;

	locks_assert_none();
	if (!param(d, freeze))
		return;
	rules.budget = budget_left(d, now_ns);
	in.left = space->movable > 0
		      ? (unsigned)((space->free_above + space->files) * 1000 / space->movable)
		      : 0;
	for (size_t i = 0; i < s->process_count; i++) {
		s->candidates[i] = candidate_of(s, i, now_ns);
		in.frozen += !s->candidates[i].is_free;
	}
	if (freeze_choose(s->candidates, s->process_count, &rules, &in, &chosen))
		(void)freeze_want(s->processes[chosen], true);
}
