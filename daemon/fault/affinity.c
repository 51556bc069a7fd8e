/* SPDX-License-Identifier: MIT
 *
 * Which servers poll a client. A fault wakes every server that polls: the one on the faulting thread's CPU is cheap, each
 * other one costs an interrupt to its CPU, a switch there and an empty read. So a client is polled only from the CPUs on
 * which its threads were lately seen, found by sampling one fault in AFFINITY_INTERVAL. A thread that moves is served
 * across CPUs until the next sample; a client is never polled by nobody. Runs on: fault servers.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fault/fault.h"

#define AFFINITY_INTERVAL 64u
/* Samples in a period: a CPU that was not seen for one to two periods is given up. */
#define AFFINITY_PERIOD   8u
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
	for (unsigned i = 0; i < d->server_count; i++)
		if (wanted & ~polling & 1ull << i && fault_server_watch(&d->servers[i], s) != 0)
			return;
	for (unsigned i = 0; i < d->server_count; i++)
		if (polling & ~wanted & 1ull << i)
			fault_server_unwatch(&d->servers[i], s);
	store_relaxed(&s->servers_polling, wanted);
}

static void
sample(struct daemon *d, struct session *s, uint32_t thread)
{
	int cpu = thread_cpu(s->pid, thread);

	if (cpu < 0)
		return;
	s->seen[0] |= 1ull << ((unsigned)cpu % d->server_count);
	if (++s->samples >= AFFINITY_PERIOD) {
		apply(d, s, s->seen[0] | s->seen[1]);
		s->seen[1] = s->seen[0];
		s->seen[0] = 0;
		s->samples = 0;
	} else if (s->seen[0] & ~load_relaxed(&s->servers_polling)) {
		/* Seen where nobody listens: at once. */
		apply(d, s, load_relaxed(&s->servers_polling) | s->seen[0]);
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
	fault_server_give_way(server, (polling & (polling - 1)) != 0);
	store_release(&s->affinity_busy, false);
}
