/* SPDX-License-Identifier: MIT
 *
 * Clients' ledgers against each other and the daemon's gauges, under the locks of tasks and queues.
 * Runs on: jobs.
 */
#include "audit/audit_priv.h"
#include "vm/ledger_walk.h"
#include "vm/process.h"
#include "vm/task.h"

static long long
processes_resident(struct daemon *d)
{
	long long sum = 0;

	pageq_assert_held(d);
	lock_acquire(&d->processes.lock);
	for (const struct process *process = d->processes.list; process; process = process->next)
		sum += load_relaxed(&((struct process *)(uintptr_t)process)->resident);
	lock_release(&d->processes.lock);
	return sum;
}

/* Entries whose sums over clients equal gauges. */
static const struct {
	enum pager_ledger_entry entry;
	enum stat_index gauge;
	const char *what;
} sums[] = {
	{ PAGER_LEDGER_INTERNAL, STAT_PAGES_INTERNAL, "resident anonymous" },
	{ PAGER_LEDGER_EXTERNAL, STAT_PAGES_EXTERNAL, "resident file" },
	{ PAGER_LEDGER_REUSABLE, STAT_PAGES_REUSABLE, "reusable" },
	{ PAGER_LEDGER_INTERNAL_COMPRESSED, STAT_PAGES_COMPRESSED, "compressed" },
	{ PAGER_LEDGER_PURGEABLE_VOLATILE, STAT_PAGES_VOLATILE, "volatile" },
	{ PAGER_LEDGER_PURGEABLE_VOLATILE_COMPRESSED, STAT_PAGES_VOLATILE_COMPRESSED,
	    "compressed volatile" },
	{ PAGER_LEDGER_IOKIT_MAPPED, STAT_PAGES_IOKIT_MAPPED, "mapped device" },
};

static long long
pages(const struct ledger *l, enum pager_ledger_entry entry)
{
	return (long long)ledger_pages(l, entry);
}

/* The equations of tbl/ledger.h. => PAGEQ held */
static void
check_ledger(struct daemon *d, struct report *r, const struct task *task)
{
	const struct ledger *l = &task->bill.ledger;
	long long footprint =
	    pages(l, PAGER_LEDGER_INTERNAL) - pages(l, PAGER_LEDGER_ALTERNATE_ACCOUNTING) +
	    pages(l, PAGER_LEDGER_INTERNAL_COMPRESSED) -
	    pages(l, PAGER_LEDGER_ALTERNATE_ACCOUNTING_COMPRESSED) +
	    pages(l, PAGER_LEDGER_IOKIT_MAPPED) + pages(l, PAGER_LEDGER_PURGEABLE_NONVOLATILE) +
	    pages(l, PAGER_LEDGER_PURGEABLE_NONVOLATILE_COMPRESSED) +
	    pages(l, PAGER_LEDGER_TAGGED_FOOTPRINT) +
	    pages(l, PAGER_LEDGER_TAGGED_FOOTPRINT_COMPRESSED);

	pageq_assert_held(d);
	verify(r, footprint == pages(l, PAGER_LEDGER_PHYS_FOOTPRINT),
	    "process %d: footprint is %lld pages, the sum of its terms %lld", (int)task->pid,
	    pages(l, PAGER_LEDGER_PHYS_FOOTPRINT), footprint);
	verify(r,
	    pages(l, PAGER_LEDGER_PHYS_MEM) == pages(l, PAGER_LEDGER_INTERNAL) +
						   pages(l, PAGER_LEDGER_EXTERNAL) +
						   pages(l, PAGER_LEDGER_REUSABLE),
	    "process %d: phys_mem is not internal + external + reusable", (int)task->pid);
	for (int i = 0; i < PAGER_LEDGER_COUNT; i++) {
		struct ledger_entry *e = &((struct ledger *)(uintptr_t)l)->entries[i];
		long long balance = load_relaxed(&e->balance),
			  most = load_relaxed(&e->lifetime_most);

		verify(r,
		    !ledger_is_pages((enum pager_ledger_entry)i) ||
			(balance <= load_relaxed(&e->interval_most) &&
			    load_relaxed(&e->interval_most) <= most &&
			    most <= load_relaxed(&e->credit)),
		    "process %d: entry %d of its ledger: balance %lld, most %lld of %lld credited",
		    (int)task->pid, i, balance, most, load_relaxed(&e->credit));
	}
}

/* Each client's bill is what the objects that it pays for have posted; these are compared with
 * their pages one by one (check_objects.c). */
static void
check_bills(struct daemon *d, struct report *r)
{
	struct task *task;
	uint32_t cursor = 0;

	locks_assert_none();
	while ((task = task_next(d, &cursor)) != NULL) {
		enum pager_ledger_entry entry;
		struct class_pages walked;
		long long billed = 0;

		pageq_lock(d);
		task_walk_locked(task, &walked);
		entry = task_differs_locked(task, &walked);
		if (entry < PAGER_LEDGER_COUNT)
			billed = pages(&task->bill.ledger, entry);
		pageq_unlock(d);
		verify(r, entry == PAGER_LEDGER_COUNT,
		    "process %d: entry %d of its ledger has %lld pages, its objects have others",
		    (int)task->pid, (int)entry, billed);
		task_put(task);
	}
}

/* Sums of ledgers equal the gauges: sessions cannot appear in between with pages, since both locks
 * are held. */
void
check_ledgers(struct daemon *d, struct report *r)
{
	long long billed[ARRAY_LEN(sums)] = { 0 }, wired = 0, resident = 0;

	locks_assert_none();
	lock_acquire(&d->tasks.lock);
	pageq_lock(d);
	for (uint32_t n = 0; n < d->tasks.room; n++) {
		const struct task *task = d->tasks.tasks[n];

		if (!task)
			continue;
		for (size_t i = 0; i < ARRAY_LEN(sums); i++)
			billed[i] += pages(&task->bill.ledger, sums[i].entry);
		wired += pages(&task->bill.ledger, PAGER_LEDGER_WIRED_MEM);
		resident += pages(&task->bill.ledger, PAGER_LEDGER_PHYS_MEM);
		check_ledger(d, r, task);
	}
	for (size_t i = 0; i < ARRAY_LEN(sums); i++)
		verify(r, billed[i] == stats_level(d, sums[i].gauge),
		    "clients are billed %lld %s pages, the gauge says %lld", billed[i],
		    sums[i].what, stats_level(d, sums[i].gauge));
	verify(r, resident == processes_resident(d),
	    "processes have %lld resident pages, clients are billed %lld", processes_resident(d),
	    resident);
	verify(r, wired + stats_level(d, STAT_PAGES_DEVICE) == stats_level(d, STAT_FRAMES_WIRED),
	    "clients are billed %lld wired pages, devices have %lld, the gauge says %lld", wired,
	    stats_level(d, STAT_PAGES_DEVICE), stats_level(d, STAT_FRAMES_WIRED));
	pageq_unlock(d);
	lock_release(&d->tasks.lock);
	check_bills(d, r);
}
