/* SPDX-License-Identifier: MIT
 *
 * Clients' ledgers against each other and the daemon's gauges, under the locks of tasks and queues.
 * Runs on: jobs.
 */
#include "audit/audit_priv.h"
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

/* Sums of ledgers equal the gauges: sessions cannot appear in between with pages, since both locks
 * are held. */
void
check_ledgers(struct daemon *d, struct report *r)
{
	long long internal = 0, external = 0, compressed = 0, wired = 0, mapped = 0;

	locks_assert_none();
	lock_acquire(&d->tasks.lock);
	pageq_lock(d);
	for (uint32_t i = 0; i < d->tasks.room; i++) {
		struct task *task = d->tasks.tasks[i];
		long long in, out, devices;

		if (!task)
			continue;
		in = (long long)ledger_pages(&task->bill.ledger, PAGER_LEDGER_INTERNAL);
		out = (long long)ledger_pages(&task->bill.ledger, PAGER_LEDGER_INTERNAL_COMPRESSED);
		devices = (long long)ledger_pages(&task->bill.ledger, PAGER_LEDGER_IOKIT_MAPPED);
		mapped += devices;
		internal += in;
		external += (long long)ledger_pages(&task->bill.ledger, PAGER_LEDGER_EXTERNAL);
		compressed += out;
		wired += (long long)ledger_pages(&task->bill.ledger, PAGER_LEDGER_WIRED_MEM);
		verify(r,
		    in + out + devices ==
			(long long)ledger_pages(&task->bill.ledger, PAGER_LEDGER_PHYS_FOOTPRINT),
		    "process %d: footprint is not internal + internal_compressed + "
		    "iokit_mapped",
		    (int)task->pid);
	}
	verify(r, internal == stats_level(d, STAT_PAGES_INTERNAL),
	    "clients are billed %lld resident pages, the gauge says %lld", internal,
	    stats_level(d, STAT_PAGES_INTERNAL));
	verify(r, external == stats_level(d, STAT_PAGES_EXTERNAL),
	    "clients are billed %lld resident pages of files, the gauge says %lld", external,
	    stats_level(d, STAT_PAGES_EXTERNAL));
	verify(r, internal + external == processes_resident(d),
	    "processes have %lld resident pages, clients are billed %lld", processes_resident(d),
	    internal + external);
	verify(r, compressed == stats_level(d, STAT_PAGES_COMPRESSED),
	    "clients are billed %lld compressed pages, the gauge says %lld", compressed,
	    stats_level(d, STAT_PAGES_COMPRESSED));
	verify(r, wired + stats_level(d, STAT_PAGES_DEVICE) == stats_level(d, STAT_FRAMES_WIRED),
	    "clients are billed %lld wired pages, devices have %lld, the gauge says %lld", wired,
	    stats_level(d, STAT_PAGES_DEVICE), stats_level(d, STAT_FRAMES_WIRED));
	verify(r, mapped == stats_level(d, STAT_PAGES_IOKIT_MAPPED),
	    "clients are billed %lld mapped pages of devices, the gauge says %lld", mapped,
	    stats_level(d, STAT_PAGES_IOKIT_MAPPED));
	pageq_unlock(d);
	lock_release(&d->tasks.lock);
}
