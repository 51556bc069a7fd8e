/* SPDX-License-Identifier: MIT
 *
 * Which servers poll a client. A fault wakes every server that polls: the one on the faulting
 * thread's CPU is cheap, each other one costs an interrupt to its CPU, a switch there and an empty
 * read. So a client is polled only from the CPUs on which its threads were often seen lately, found
 * by sampling one fault in INTERVAL_MIN, and ever fewer while nothing changes. A thread that moves
 * is served across CPUs until the next sample; a client is never polled by nobody. Here is also
 * decided who is read by direct servers (fault/direct.h). Runs on: fault servers, direct servers.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "fault/direct.h"
#include "fault/fault.h"

/* A sample takes 10 us, as much as a fault. */
#define INTERVAL_MIN 32u
#define INTERVAL_MAX 256u
/* Samples in a period; at its end the older ones lose half of their weight. */
#define AFFINITY_PERIOD 8u
/* Samples in a row for direct servers. */
#define DIRECT_SAMPLES 4u
/* Where a larger share of the faults than one in this needs the disk, direct servers would only be
 * in the way. */
#define DIRECT_SWAPINS 8u
/* A CPU on which less than this share of the faults happens is not polled from: waking its server
 * for all the others costs more than serving those few across CPUs. */
#define AFFINITY_SHARE 4u
/* More servers than this: the mask would not do. Then every server polls every client. */
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

static void
apply(struct daemon *d, struct session *s, uint64_t wanted)
{
	uint64_t polling = load_relaxed(&s->servers_polling);

	/* First those that join, then those that leave: somebody always polls. */
	for (unsigned i = 0; i < d->server_count; i++) {
		if (!(wanted & ~polling & 1ull << i))
			continue;
		if (fault_seat_watch(&d->seats[i], s) != 0)
			return;
		/* Its end takes it from all servers; what came after that is ours to take back. */
		if (session_is_dead(s)) {
			fault_seat_unwatch(&d->seats[i], s);
			return;
		}
	}
	for (unsigned i = 0; i < d->server_count; i++)
		if (polling & ~wanted & 1ull << i) {
			fault_seat_unwatch(&d->seats[i], s);
			fault_server_give_way(fault_seat_server(d, i), false);
		}
	store_relaxed(&s->servers_polling, wanted);
}

/* => the servers of the CPUs that were seen often; all weights are halved */
static uint64_t
often_seen(struct session *s, unsigned servers)
{
	unsigned total = 0;
	uint64_t often = 0;

	for (unsigned i = 0; i < servers; i++)
		total += s->seen[i];
	for (unsigned i = 0; i < servers; i++) {
		if (s->seen[i] > 0 && s->seen[i] * AFFINITY_SHARE >= total)
			often |= 1ull << i;
		s->seen[i] /= 2;
	}
	return often ? often : load_relaxed(&s->servers_polling);
}

/* Looks at the faults since the last sample. */
static bool
is_fit_for_direct(struct daemon *d, struct session *s)
{
	uint64_t now = clock_now_ns(), elapsed = now - s->sampled_ns, interval = s->sample_interval;
	uint64_t swapins = (uint64_t)load_relaxed(&s->ledger.entries[PAGER_LEDGER_SWAPINS]);
	uint64_t rate = param(d, direct_faults), swapped_in = swapins - s->sampled_swapins;
	bool is_often = rate > 0 && elapsed < interval * 1000000000u / rate;

	s->sampled_ns = now;
	s->sampled_swapins = swapins;
	return is_often && !s->direct_refused && swapped_in * DIRECT_SWAPINS <= interval;
}

/* Who reads the client from now on. */
static void
assign(struct fault_server *server, struct session *s, uint64_t wanted, bool direct)
{
	struct daemon *d = server->daemon;

	if (direct && load_relaxed(&s->servers_polling) == wanted && load_acquire(&s->is_direct))
		return;
	if (direct && direct_set(server, s, wanted))
		return;
	if (load_acquire(&s->is_direct)) {
		direct_leave(d, s, server->stats);
		s->busy_samples = 0;
	} else {
		apply(d, s, wanted);
	}
}

static void
sample(struct fault_server *server, struct session *s, uint32_t thread)
{
	struct daemon *d = server->daemon;
	bool is_direct = load_acquire(&s->is_direct);
	int cpu = thread_cpu(s->pid, thread);
	uint64_t polling = load_relaxed(&s->servers_polling), wanted = polling;
	bool period_ends;

	/* Threads that cannot be found (another namespace of processes) would take all direct
	 * servers. */
	s->busy_samples = is_fit_for_direct(d, s) && cpu >= 0 ? s->busy_samples + 1 : 0;
	if (cpu >= 0) {
		unsigned at = (unsigned)cpu % d->server_count;

		s->seen[at]++;
		wanted |= 1ull << at; /* seen where nobody listens: at once */
	}
	period_ends = ++s->samples >= AFFINITY_PERIOD;
	if (period_ends) {
		wanted = often_seen(s, d->server_count);
		s->samples = 0;
	}
	/* A direct client stays so while it is fit; another one begins at the end of a period, when
	 * it is known where it runs. */
	if (is_direct || period_ends || wanted != polling)
		assign(server, s, wanted,
		    is_direct ? s->busy_samples > 0
			      : period_ends && s->busy_samples >= DIRECT_SAMPLES);
	if (wanted != polling)
		s->sample_interval = INTERVAL_MIN;
	else if (period_ends)
		s->sample_interval = (unsigned)min_u64(2 * s->sample_interval, INTERVAL_MAX);
}

/* The one of a pair that reads the client. */
static struct fault_server *
reader(struct daemon *d, struct session *s, unsigned i)
{
	return load_acquire(&s->is_direct) ? &d->servers[d->server_count + i]
					   : fault_seat_server(d, i);
}

void
affinity_note(struct fault_server *server, struct session *s, uint32_t thread, unsigned faults)
{
	struct daemon *d = server->daemon;
	unsigned left = load_relaxed(&s->faults_to_sample);
	uint64_t polling;

	if (left > faults) {
		/* Lost updates only move the next sample. */
		store_relaxed(&s->faults_to_sample, left - faults);
		return;
	}
	store_relaxed(&s->faults_to_sample, INTERVAL_MIN);
	if (d->server_count > AFFINITY_SERVERS_MAX || exchange_acq_rel(&s->affinity_busy, true))
		return;
	s->sample_interval = (unsigned)max_u64(s->sample_interval, INTERVAL_MIN);
	/* In a side lane one server polls it, and nothing is chosen. */
	if (!session_is_dead(s) && load_acquire(&s->lane) == LANE_COMMON)
		sample(server, s, thread);
	store_relaxed(&s->faults_to_sample, s->sample_interval);
	polling = load_relaxed(&s->servers_polling);
	for (unsigned i = 0; i < d->server_count; i++)
		if (polling & 1ull << i)
			fault_server_give_way(reader(d, s, i), (polling & (polling - 1)) != 0);
	store_release(&s->affinity_busy, false);
}
