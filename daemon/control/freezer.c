/* SPDX-License-Identifier: MIT */
#include "control/freezer.h"

#include <errno.h>
#include <stdlib.h>

#include "control/jobs.h"
#include "control/loop_thread.h"
#include "memorystatus/freeze.h"
#include "region/freeze.h"
#include "region/prefetch.h"

/* A field without a letter belongs to the job while it is under way. */
struct freezer {
	struct daemon *daemon; /* (C) */
	struct job job;
	bool is_under_way;              /* (L) */
	void (*ended)(struct daemon *); /* (L) NULL: it goes on */
	struct process *process;        /* with a reference */
	bool thaws;
	uint32_t cursor;   /* of its tasks */
	struct task *task; /* the one that it is at, with a reference; NULL: the next one */
	uint64_t at;       /* address */
	struct freeze_tally tally;
};

/* The process's next task. => false: there is none */
static bool
task_take(struct freezer *f)
{
	struct task *task;

	while ((task = task_next(f->daemon, &f->cursor)) != NULL) {
		if (task->bill.process == f->process) {
			f->task = task;
			f->at = f->daemon->page_bytes;
			return true;
		}
		task_put(task);
	}
	return false;
}

/* A piece of a task. */
static void
run(struct job *job, const struct jobs_place *place)
{
	struct freezer *f = container_of(job, struct freezer, job);
	const uint64_t page = f->daemon->page_bytes;
	struct range range;

	locks_assert_none();
	/* The next task's first piece is for a thread of its lane, too. */
	if (!f->task) {
		job->again = task_take(f);
		job->task = f->task;
		return;
	}
	CHECK(range_init(&range, f->task, page, VM_ADDRESS_MAX - page) == 0);
	range.at = f->at;
	range.stats = place->stats;
	range.place = place->number;
	if (task_is_dead(f->task))
		range.at = range.end;
	else if (f->thaws)
		f->tally.out += region_prefetch(&range);
	else
		region_freeze(&range, &f->tally);
	watch_client(0);
	f->at = range.at;
	job->again = true;
	if (!range_is_done(&range))
		return;
	job->task = NULL;
	task_put(f->task);
	f->task = NULL;
}

/* While a process is frozen the workers keep what they fill for it apart open. */
static void
freezes_count(struct daemon *d, int more)
{
	struct worker_calls *calls = &d->pageq.calls;

	pageq_lock(d);
	d->pageq.evictions.freezes += (unsigned)more;
	if (more < 0) {
		if (calls->first_asleep)
			cond_signal(&calls->pageout_wanted);
		cond_broadcast(&calls->help_wanted);
		for (unsigned i = 0; i < SIDE_LANES; i++)
			cond_broadcast(&d->pageq.side[i].wanted);
	}
	pageq_unlock(d);
}

static void
done(struct job *job)
{
	struct freezer *f = container_of(job, struct freezer, job);
	struct daemon *d = f->daemon;

	loop_assert(d);
	CHECK(f->is_under_way && !f->task);
	f->is_under_way = false;
	if (!f->thaws)
		freezes_count(d, -1);
	freeze_taken_end(d, f->process, &f->tally);
	process_put(d, f->process);
	f->process = NULL;
	if (f->ended)
		f->ended(d);
	else
		freezer_look(d);
}

void
freezer_look(struct daemon *d)
{
	struct freezer *f = d->freezer;

	loop_assert(d);
	if (f->is_under_way || f->ended)
		return;
	f->process = freeze_take(d, &f->thaws);
	if (!f->process)
		return;
	f->is_under_way = true;
	f->cursor = 0;
	f->tally = (struct freeze_tally){ 0 };
	if (!f->thaws)
		freezes_count(d, 1);
	f->job = (struct job){ .run = run, .done = done };
	list_init(&f->job.node);
	jobs_submit(d, &f->job);
}

void
freezer_end(struct daemon *d, void (*ended)(struct daemon *d))
{
	struct freezer *f = d->freezer;

	loop_assert(d);
	CHECK(!f->ended);
	f->ended = ended;
	if (!f->is_under_way)
		ended(d);
}

int
freezer_create(struct daemon *d)
{
	CHECK(!d->freezer);
	d->freezer = calloc(1, sizeof(*d->freezer));
	if (!d->freezer)
		return -ENOMEM;
	d->freezer->daemon = d;
	return 0;
}

void
freezer_destroy(struct daemon *d)
{
	CHECK(!d->freezer || !d->freezer->is_under_way);
	free(d->freezer);
	d->freezer = NULL;
}
