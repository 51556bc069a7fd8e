/* SPDX-License-Identifier: MIT
 *
 * The choice of the servers that read a client's faults. A fault wakes every server that polls the
 * client: the one on the faulting thread's CPU is cheap, each other one costs an interrupt to its
 * CPU, a switch there and an empty read. So a client is polled only from the CPUs on which its
 * threads were often seen lately. They are found by samples: one fault in INTERVAL_MIN, and fewer
 * and fewer while nothing changes. A thread that moves is served across CPUs until the next sample.
 * There is always a server that polls the client. Here it is also decided which clients have direct
 * servers (fault/direct.h). Runs on: fault servers, direct servers.
 */
#include "fault/affinity.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fault/lease.h"
#include "fault/poll.h"

/* Faults from one sample to the next. A sample takes 10 us, as much as a fault. */
#define INTERVAL_MIN 32u
#define INTERVAL_MAX 256u
/* Samples in a period; at its end the older ones lose half of their weight. */
#define AFFINITY_PERIOD 8u
/* A client gets direct servers after this many samples in a row that found it fit for them. */
#define DIRECT_SAMPLES 4u
/* Where more than one fault in this many needs the disk, direct servers would only be in the way.
 */
#define DIRECT_READS 8u
/* A CPU on which fewer than one fault in this many happens is not polled from: waking its server
 * for all the others costs more than serving those few across CPUs. */
#define AFFINITY_SHARE 4u
/* With more servers than the mask has bits every server polls every client. */
#define AFFINITY_SERVERS_MAX 64u

/* The CPU on which a thread last ran: field 39 of its stat line. => -1 unknown */
static int
thread_cpu(pid_t pid, uint32_t thread)
{
	char path[64], line[1024], *at;
	ssize_t length;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/task/%u/stat", (int)pid, thread);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	length = read(fd, line, sizeof(line) - 1);
	close(fd);
	if (length <= 0)
		return -1;
	line[length] = '\0';
	/* The name may hold anything: fields are counted from its closing parenthesis, which ends
	 * field 2. */
	at = strrchr(line, ')');
	for (int field = 2; at && field < 39; field++)
		at = strchr(at + 1, ' ');
	return at ? atoi(at + 1) : -1;
}

/* The servers of the mask poll the task, and no others. */
static void
apply(struct daemon *d, struct task *task, uint64_t wanted)
{
	uint64_t polling = load_relaxed(&task->affinity.polling);

	CHECK(load_relaxed(&task->affinity.busy));
	/* First some join, then the others leave, so that there is always a server that polls. If
	 * one cannot join, none leaves until the next sample. */
	for (unsigned i = 0; i < d->server_count; i++) {
		if (!(wanted & ~polling & fault_seat_bit(i)))
			continue;
		if (fault_seat_watch(&d->seats[i], task) != 0) {
			store_relaxed(&task->affinity.polling, polling);
			return;
		}
		polling |= fault_seat_bit(i);
		/* The task's end takes it from all servers; one that joined after that is taken
		 * back here. */
		if (task_is_dead(task)) {
			fault_seat_unwatch(&d->seats[i], task);
			return;
		}
	}
	for (unsigned i = 0; i < d->server_count; i++)
		if (polling & ~wanted & 1ull << i) {
			fault_seat_unwatch(&d->seats[i], task);
			fault_server_give_way(fault_seat_server(d, i), false);
		}
	store_relaxed(&task->affinity.polling, wanted);
}

/* Ends a period: all weights are halved. => the servers of the CPUs that were seen often */
static uint64_t
often_seen(struct task *task, unsigned servers)
{
	unsigned total = 0;
	uint64_t often = 0;

	CHECK(servers > 0 && servers <= ARRAY_LEN(task->affinity.seen));
	for (unsigned i = 0; i < servers; i++)
		total += task->affinity.seen[i];
	for (unsigned i = 0; i < servers; i++) {
		if (task->affinity.seen[i] > 0 && task->affinity.seen[i] * AFFINITY_SHARE >= total)
			often |= 1ull << i;
		task->affinity.seen[i] /= 2;
	}
	return often ? often : load_relaxed(&task->affinity.polling);
}

/* Pages that a disk had to be asked for, since the task began. */
static uint64_t
pages_read(struct task *task)
{
	uint64_t reads = 0;

	reads += ledger_pages(&task->bill.ledger, PAGER_LEDGER_SWAPINS);
	reads += ledger_pages(&task->bill.ledger, PAGER_LEDGER_FILE_READS);
	return reads;
}

/* Whether the faults since the last sample are so frequent, and so few of them need the disk, that
 * direct servers are worth it. */
static bool
is_fit_for_direct(struct daemon *d, struct task *task)
{
	uint64_t now = clock_now_ns(), elapsed = now - task->affinity.sampled_ns,
		 interval = task->affinity.interval;
	uint64_t reads = pages_read(task);
	uint64_t rate = param(d, direct_faults), read = reads - task->affinity.sampled_reads;
	bool is_often = rate > 0 && elapsed < interval * 1000000000u / rate;

	CHECK(interval >= INTERVAL_MIN && interval <= INTERVAL_MAX);
	task->affinity.sampled_ns = now;
	task->affinity.sampled_reads = reads;
	return is_often && !task->affinity.direct_refused && read * DIRECT_READS <= interval;
}

/* The servers of the mask read the task from here on: direct servers if they are wanted and can be
 * had. */
static void
assign(struct fault_server *server, struct task *task, uint64_t wanted, bool direct)
{
	struct daemon *d = server->daemon;

	CHECK(load_relaxed(&task->affinity.busy));
	if (direct && load_relaxed(&task->affinity.polling) == wanted &&
	    load_acquire(&task->affinity.is_direct))
		return;
	if (direct && direct_set(server, task, wanted))
		return;
	if (load_acquire(&task->affinity.is_direct)) {
		direct_leave(d, task, server->stats);
		task->affinity.busy_samples = 0;
	} else {
		apply(d, task, wanted);
	}
}

static void
sample(struct fault_server *server, struct task *task, uint32_t thread)
{
	struct daemon *d = server->daemon;
	bool is_direct = load_acquire(&task->affinity.is_direct);
	int cpu = thread_cpu(task->pid, thread);
	uint64_t polling = load_relaxed(&task->affinity.polling), wanted = polling;
	bool period_ends;

	CHECK(load_relaxed(&task->affinity.busy));
	/* A client whose threads cannot be found, because it lives in another namespace of
	 * processes, would take all direct servers. */
	task->affinity.busy_samples =
	    is_fit_for_direct(d, task) && cpu >= 0 ? task->affinity.busy_samples + 1 : 0;
	if (cpu >= 0) {
		unsigned at = cpus_place(&d->cpus, (unsigned)cpu) % d->server_count;

		task->affinity.seen[at]++;
		wanted |= 1ull << at; /* at once, if no server polls it from there */
	}
	period_ends = ++task->affinity.samples >= AFFINITY_PERIOD;
	if (period_ends) {
		wanted = often_seen(task, d->server_count);
		task->affinity.samples = 0;
	}
	/* A client that has direct servers keeps them while it is fit. Another one gets them at the
	 * end of a period, when it is known where its threads run. */
	if (is_direct || period_ends || wanted != polling)
		assign(server, task, wanted,
		    is_direct ? task->affinity.busy_samples > 0
			      : period_ends && task->affinity.busy_samples >= DIRECT_SAMPLES);
	if (wanted != polling)
		task->affinity.interval = INTERVAL_MIN;
	else if (period_ends)
		task->affinity.interval =
		    (unsigned)min_u64(2 * task->affinity.interval, INTERVAL_MAX);
}

/* Of seat i's server and its direct server the one that reads the task. */
static struct fault_server *
reader(struct daemon *d, struct task *task, unsigned i)
{
	return load_acquire(&task->affinity.is_direct) ? direct_of(d, i) : fault_seat_server(d, i);
}

void
affinity_note(struct fault_server *server, struct task *task, uint32_t thread, unsigned faults)
{
	struct daemon *d = server->daemon;
	unsigned left = load_relaxed(&task->affinity.faults_to_sample);
	uint64_t polling;

	locks_assert_none();
	CHECK(faults > 0);
	if (left > faults) {
		/* A lost update only moves the next sample. */
		store_relaxed(&task->affinity.faults_to_sample, left - faults);
		return;
	}
	store_relaxed(&task->affinity.faults_to_sample, INTERVAL_MIN);
	if (d->server_count > AFFINITY_SERVERS_MAX || exchange_acq_rel(&task->affinity.busy, true))
		return;
	task->affinity.interval = (unsigned)max_u64(task->affinity.interval, INTERVAL_MIN);
	/* In a side lane one server polls the task, and there is nothing to choose. */
	if (!task_is_dead(task) && load_acquire(&task->lane) == LANE_COMMON)
		sample(server, task, thread);
	store_relaxed(&task->affinity.faults_to_sample, task->affinity.interval);
	polling = load_relaxed(&task->affinity.polling);
	for (unsigned i = 0; i < d->server_count; i++)
		if (polling & 1ull << i)
			fault_server_give_way(reader(d, task, i), (polling & (polling - 1)) != 0);
	store_release(&task->affinity.busy, false);
}
