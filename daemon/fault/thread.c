/* SPDX-License-Identifier: MIT
 *
 * Threads that answer faults: how they run among the machine's threads, and how they answer
 * messages. Runs on: fault servers, direct servers.
 */
#include "fault/thread.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "clock.h"
#include "fault/affinity.h"
#include "fault/dispatch.h"
#include "own.h"
#include "threads.h"

static void
client_has_moved(struct task *task)
{
	CHECK_OBJ(task, TASK_MAGIC);
	store_relaxed(&task->has_moved, true);
	log_notice_limited(
	    "process %d has moved paged memory with mremap(2): what is away there is SIGBUS",
	    (int)task->pid);
}

void
fault_server_answer(
    struct fault_server *server, struct task *task, const struct uffd_fault *faults, unsigned count)
{
	uint64_t now = clock_now_ns();

	locks_assert_none();
	CHECK(count > 0);
	store_relaxed(&(server->seat ? server->seat : server->home)->fault_ns, now);
	for (unsigned i = 0; i < count; i++) {
		struct fault fault = {
			.task = task,
			.address = faults[i].address,
			.flags = faults[i].flags,
			.thread = faults[i].thread,
			.start_ns = now,
		};

		if (fault.flags & UFFD_FAULT_MOVED)
			client_has_moved(task);
		else
			fault_dispatch(server, &fault);
	}
	affinity_note(server, task, faults[count - 1].thread, count);
}

/* While a server waits for a time slice its client stands still; and a server that is preempted by
 * the client that it has just woken costs two more switches a fault. Real-time priority would have
 * the same effect, and is slower on a quiet machine (doc/performance.md). Without privilege the
 * call is refused, and the server runs as it is. */
static void
run_first(void)
{
	thread_nice_set(-15);
}

/* glibc registers each thread for restartable sequences, and so the kernel tells it its CPU after
 * each switch: two writes to user memory that a fault server has no use for. Only locks ask for the
 * CPU, and lock_on_cpu answers them. */
static void
rseq_leave(void)
{
	enum { REGISTERED_BYTES = 32 }; /* whatever part of it glibc uses (__rseq_size) */
	char *area = (char *)__builtin_thread_pointer() + __rseq_offset;

	/* The call fails where the thread was never registered (glibc.pthread.rseq=0). */
	if (__rseq_size > 0)
		syscall(SYS_rseq, area, REGISTERED_BYTES, RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
}

/* The call fails where the CPU has been taken from the daemon since the start: then the server
 * roams. */
static void
stay_on_cpu(struct fault_server *server)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(server->cpu, &cpus);
	if (pthread_setaffinity_np(pthread_self(), sizeof(cpus), &cpus) != 0)
		return;
	rseq_leave();
	lock_on_cpu((int)server->cpu);
}

void
fault_server_begin(struct fault_server *server, const char *name)
{
	char title[16]; /* the longest that Linux takes */

	CHECK_OBJ(server, FAULT_SERVER_MAGIC);
	CHECK((server->seat != NULL) != (server->home != NULL));
	stay_on_cpu(server);
	snprintf(title, sizeof(title), "%.7s-%u", name,
	    (server->seat ? server->seat->index : server->home->index) & 0xffff);
	pthread_setname_np(pthread_self(), title);
	run_first();
	watch_begin(&server->watch);
	store_release(&server->tid, (pid_t)syscall(SYS_gettid));
}

int
fault_server_create(struct daemon *d, struct fault_server *server, unsigned index,
    bool (*defer)(struct fault_server *server, const struct fault *fault))
{
	size_t bounce = (size_t)FAULT_CLUSTER_MAX << d->page_shift;
	/* Servers of side lanes and stand-bys, which are seldom used, get memory at first use. */
	int populate = index < 2 * d->server_count ? MAP_POPULATE : 0;

	CHECK(index < fault_thread_count(d));
	server->magic = FAULT_SERVER_MAGIC;
	server->daemon = d;
	server->index = index;
	server->defer = defer;
	server->cpu = cpus_number(&d->cpus, index % d->server_count);
	server->duty.number = DUTY_NONE;
	server->stats = stats_shard(&d->stats, shard_index_server(d, index));
	server->bounce = mmap(
	    NULL, bounce, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | populate, -1, 0);
	if (server->bounce == MAP_FAILED)
		return -ENOMEM;
	own_area(OWN_BOUNCE, server->bounce, bounce);
	return 0;
}

int
fault_server_start(struct fault_server *server, void *(*run)(void *))
{
	CHECK_OBJ(server, FAULT_SERVER_MAGIC);
	return pthread_create(&server->thread, NULL, run, server) != 0 ? -EAGAIN : 0;
}
