/* SPDX-License-Identifier: MIT
 *
 * Which servers poll a client. A fault wakes every server that polls: the one on the faulting thread's CPU is cheap, each
 * other one costs an interrupt to its CPU, a switch there and an empty read. So a client is polled only from the CPUs on
 * which its threads were often seen lately, found by sampling one fault in AFFINITY_INTERVAL. A thread that moves is served
 * across CPUs until the next sample; a client is never polled by nobody. Runs on: fault servers.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault/fault.h"

#define AFFINITY_INTERVAL 32u
/* Samples in a period; at its end the older ones lose half of their weight. */
#define AFFINITY_PERIOD   8u
/* A CPU on which less than this share of the faults happens is not polled from: waking its server for all the others costs
 * more than serving those few across CPUs. */
#define AFFINITY_SHARE    4u
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
	/* The name may hold anything: fields are counted from its closing parenthesis, which ends field 2. */
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
		if (fault_server_watch(&d->servers[i], s) != 0)
			return;
		/* Its end takes it from all servers; what came after that is ours to take back. */
		if (session_is_dead(s)) {
			fault_server_unwatch(&d->servers[i], s);
			return;
		}
	}
	for (unsigned i = 0; i < d->server_count; i++)
		if (polling & ~wanted & 1ull << i) {
			fault_server_unwatch(&d->servers[i], s);
			fault_server_give_way(&d->servers[i], false);
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

static void
sample(struct daemon *d, struct session *s, uint32_t thread)
{
	int cpu = thread_cpu(s->pid, thread);
	unsigned at;

	if (cpu < 0)
		return;
	at = (unsigned)cpu % d->server_count;
	s->seen[at]++;
	if (++s->samples >= AFFINITY_PERIOD) {
		apply(d, s, often_seen(s, d->server_count));
		s->samples = 0;
	} else if (1ull << at & ~load_relaxed(&s->servers_polling)) {
		/* Seen where nobody listens: at once. */
		apply(d, s, load_relaxed(&s->servers_polling) | 1ull << at);
	}
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
	store_relaxed(&s->faults_to_sample, AFFINITY_INTERVAL);
	if (d->server_count < 2 || d->server_count > AFFINITY_SERVERS_MAX || exchange_acq_rel(&s->affinity_busy, true))
		return;
	if (!session_is_dead(s))
		sample(d, s, thread);
	polling = load_relaxed(&s->servers_polling);
	for (unsigned i = 0; i < d->server_count; i++)
		if (polling & 1ull << i)
			fault_server_give_way(&d->servers[i], (polling & (polling - 1)) != 0);
	store_release(&s->affinity_busy, false);
}
