/* SPDX-License-Identifier: MIT
 *
 * Taking mappings away for ageing, so that the next touch is seen as a soft fault. This is best
 * effort by design: a page that keeps its mapping only looks unreferenced. There are two ways. The
 * client's agent gets a message, and drops the mappings of a whole batch with one call, for which
 * pageout does not wait. Where the agent does not keep up, the daemon calls MADV_PAGEOUT on the
 * client: on a machine without system swap shared memory loses its page-table entries by it, and
 * stays in the memfd.
 *
 * MADV_PAGEOUT passes over a page that some processor has taken off the LRU lists for the moment,
 * and each processor keeps up to 15 of the pages that it put back last. zap_now, which must not
 * miss a page, looks at the client's page tables and tries again from the daemon's other
 * processors.
 *
 * Runs on: pageout workers and jobs; zap_now also on fault servers. Allocates nothing but in
 * zap_init.
 */
#include "pmap/zap.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/watch.h"
#include "daemon.h"
#include "pmap/pagemap.h"
#include "vm/task.h"
#include "vm/vm_mapping.h"

static bool
system_swap_is_on(void)
{
	FILE *swaps = fopen("/proc/swaps", "re");
	char line[256];
	unsigned lines = 0;

	if (!swaps)
		return false;
	while (fgets(line, sizeof(line), swaps))
		lines++;
	fclose(swaps);
	return lines > 1;
}

void
zap_init(struct daemon *d)
{
	if (!system_swap_is_on())
		return;
	log_warning("the system has swap: the kernel may page out what pagerd keeps resident; "
		    "consider swapoff. "
		    "Ageing goes through the clients' agents");
	store_relaxed(&d->zap_agent, 1);
}

/* The processors on which a client faults so often that direct servers read its faults, one for
 * each processor. */
static uint64_t
hot_processors(struct daemon *d, struct task *task)
{
	CHECK_OBJ(task, TASK_MAGIC);
	return d->server_count == d->cpus.count && load_acquire(&task->affinity.is_direct)
		   ? cpus_mask(&d->cpus, load_relaxed(&task->affinity.polling))
		   : 0;
}

/* => whether the agent took the message. */
static bool
zap_by_agent(struct daemon *d, struct task *task, const struct iovec *ranges, unsigned count)
{
	struct pager_agent_message message = {
		.op = PAGER_AGENT_ZAP, .count = count, .value = hot_processors(d, task)
	};
	size_t bytes =
	    offsetof(struct pager_agent_message, ranges) + count * sizeof(message.ranges[0]);

	CHECK(count > 0 && count <= ARRAY_LEN(message.ranges));
	for (unsigned i = 0; i < count; i++)
		message.ranges[i] =
		    (struct pager_agent_range){ (uint64_t)(uintptr_t)ranges[i].iov_base,
			    ranges[i].iov_len };
	/* If the socket is full, the agent does not keep up. The daemon does not wait for it. */
	return send(task->agent, &message, bytes, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)bytes;
}

/* Takes the mappings of ranges away, in one of the two ways. now: by MADV_PAGEOUT, where that may
 * be used. */
static void
zap_ranges(
    struct daemon *d, struct task *task, const struct iovec *ranges, unsigned count, bool now)
{
	unsigned done = 0;

	locks_assert_none();
	CHECK(count <= ZAP_MAX);
	/* A thread of another lane does not wait for the client. Pages that its agent does not take
	 * stay mapped. */
	if (load_acquire(&task->lane) != watch_lane()) {
		zap_by_agent(d, task, ranges, count);
		return;
	}
	if (load_relaxed(&d->zap_agent))
		now = false;
	if (!now && param(d, zap) != 1 && zap_by_agent(d, task, ranges, count))
		return;
	/* With system swap MADV_PAGEOUT would really send the pages there. */
	if ((param(d, zap) == 2 && !now) || load_relaxed(&d->zap_agent))
		return;
	while (done < count) {
		ssize_t advised;
		int error;

		watch_enter(WATCH_ADVICE, -1);
		advised = syscall(SYS_process_madvise, task->pidfd, ranges + done,
		    (size_t)(count - done), MADV_PAGEOUT, 0u);
		error = errno;
		watch_leave();
		if (advised < 0) {
			if (error == EPERM) {
				store_relaxed(&d->zap_agent, 1);
				return;
			}
			/* ENOMEM: that range is not mapped any more. ESRCH: the client is gone. */
			if (error == ESRCH)
				return;
			done++;
			continue;
		}
		/* The call may have done a part: the ranges that it has done are passed over, and
		 * so is the one that stopped it. */
		while (done < count && (size_t)advised >= ranges[done].iov_len) {
			advised -= (ssize_t)ranges[done].iov_len;
			done++;
		}
		if (advised > 0)
			done++;
	}
}

/* Takes away what is still mapped, from each of the daemon's processors in turn. */
static void
zap_everywhere(struct daemon *d, struct task *task, const struct iovec *ranges, unsigned count)
{
	cpu_set_t before, one;
	bool moved = false;

	locks_assert_none();
	if (load_relaxed(&d->zap_agent) || sched_getaffinity(0, sizeof(before), &before) != 0)
		return;
	for (unsigned i = 0; i < count; i++)
		for (unsigned place = 0;
		     place < d->cpus.count &&
		     pagemap_is_present(task, (uintptr_t)ranges[i].iov_base, ranges[i].iov_len);
		     place++) {
			CPU_ZERO(&one);
			CPU_SET(cpus_number(&d->cpus, place), &one);
			if (sched_setaffinity(0, sizeof(one), &one) != 0)
				continue;
			moved = true;
			zap_ranges(d, task, &ranges[i], 1, true);
		}
	if (moved)
		sched_setaffinity(0, sizeof(before), &before);
}

/* Ranges of one task that go with one call. */
struct zap_batch {
	struct task *task; /* with a reference while count is not 0 */
	unsigned count;
	struct iovec ranges[ZAP_MAX];
};

static void
batch_zap(struct daemon *d, struct zap_batch *batch, bool now)
{
	struct task *task = batch->task;

	CHECK(batch->count > 0 && batch->count <= ZAP_MAX);
	CHECK_OBJ(task, TASK_MAGIC);
	watch_client(task_cookie(task));
	zap_ranges(d, task, batch->ranges, batch->count, now);
	if (now)
		zap_everywhere(d, task, batch->ranges, batch->count);
	task_put(task);
	batch->count = 0;
}

static bool
gap_is_stored(struct vm_object *o, uint64_t low, uint64_t high)
{
	bool is_stored;

	CHECK(low < high && high <= o->page_count);
	lock_acquire(&o->lock);
	is_stored = vm_object_all_away(o, low, high);
	lock_release(&o->lock);
	return is_stored;
}

static void
zap_victims(struct daemon *d, const struct victim *v, unsigned count, bool now)
{
	struct zap_batch batch = { .count = 0 };
	uint64_t client = watch_client(0);
	const struct mapper *m;
	struct mapper_walk walk;

	CHECK(count <= ZAP_MAX);
	for (unsigned i = 0; i < count;) {
		struct vm_object *o = v[i].object;
		uint64_t first = v[i].page - o->slot_base, end = first + 1;
		unsigned n = 1;

		CHECK(first < o->page_count);
		/* A range may include stored pages, because they have no mapping to lose. A stored
		 * page that comes back just now may lose the mapping that it gets. */
		for (; i + n < count && v[i + n].object == o; n++) {
			uint64_t page = v[i + n].page - o->slot_base;

			if (page != end &&
			    (now || page - end > VM_GAP_MAX || !gap_is_stored(o, end, page)))
				break;
			end = page + 1;
		}
		if (now)
			mapper_walk_begin(&walk, o, first, end);
		else
			mapper_walk_begin_seen(&walk, o, first, end);
		while ((m = mapper_walk_next(&walk)) != NULL) {
			if (batch.count > 0 && (batch.task != m->task || batch.count == ZAP_MAX))
				batch_zap(d, &batch, now);
			if (batch.count == 0)
				batch.task = task_get(m->task);
			batch.ranges[batch.count++] = (struct iovec){
				(void *)(uintptr_t)(m->base + (m->low << d->page_shift)),
				(size_t)(m->high - m->low) << d->page_shift
			};
		}
		mapper_walk_end(&walk);
		i += n;
	}
	if (batch.count > 0)
		batch_zap(d, &batch, now);
	watch_client(client);
}

void
zap(struct daemon *d, struct stat_shard stats, const struct victim *v, unsigned count)
{
	locks_assert_none();
	zap_victims(d, v, count, false);
	stat_add(stats, STAT_ZAPPED, count);
}

void
zap_now(struct daemon *d, struct stat_shard stats, struct victim *v, unsigned count)
{
	locks_assert_none();
	zap_victims(d, v, count, true);
	for (unsigned i = 0; i < count; i++)
		vm_object_put(v[i].object);
	stat_add(stats, STAT_ZAPPED, count);
}
