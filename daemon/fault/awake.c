/* SPDX-License-Identifier: MIT */
#include "fault/awake.h"

#include <errno.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>

#include "clock.h"

struct awake {
	struct fault_server *server;
	pthread_t thread;
	sem_t wanted;           /* by its server, who has found it asleep */
	_Atomic uint64_t until; /* (A) monotonic ns; 0: no read is under way */
	atomic_bool asleep, stopping;
};

static void
spin(struct awake *a)
{
	uint64_t until;

	/* Not in user mode alone: woken from another processor, the server then sometimes ran only when this thread was through. */
	while ((until = load_relaxed(&a->until)) != 0 && clock_now_ns() < until)
		sched_yield();
}

static void *
awake_main(void *argument)
{
	struct awake *a = argument;
	char name[16];

	snprintf(name, sizeof(name), "awake-%u", a->server->index & 0xffff);
	pthread_setname_np(pthread_self(), name);
	while (!load_acquire(&a->stopping)) {
		spin(a);
		store_release(&a->asleep, true);
		while (sem_wait(&a->wanted) < 0)
			CHECK(errno == EINTR);
	}
	return NULL;
}

/* Not in the way of anybody, or not at all: without SCHED_IDLE there is none. */
static int
start(struct awake *a)
{
	pthread_attr_t attributes;
	int error;

	pthread_attr_init(&attributes);
	pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attributes, SCHED_IDLE);
	error = pthread_create(&a->thread, &attributes, awake_main, a);
	pthread_attr_destroy(&attributes);
	if (!error)
		fault_server_pin(a->server, a->thread);
	return -error;
}

int
awake_start(struct daemon *d)
{
	for (unsigned i = 0; d->swap && i < d->server_count; i++) {
		struct fault_server *server = &d->servers[i];
		struct awake *a = calloc(1, sizeof(*a));

		if (!a)
			return -ENOMEM;
		a->server = server;
		sem_init(&a->wanted, 0, 0);
		if (start(a) != 0) {
			log_info("no threads of idle priority: processors halt while pages are read from disk");
			sem_destroy(&a->wanted);
			free(a);
			return 0;
		}
		server->awake = a;
	}
	return 0;
}

static void
wake(struct awake *a)
{
	if (!exchange_acq_rel(&a->asleep, false))
		return;
	sem_post(&a->wanted);
	stat_add(a->server->stats, STAT_READ_SPINS, 1);
}

void
awake_begin(struct fault_server *server)
{
	uint64_t spin_ns = param(server->daemon, read_spin_us) * 1000u;

	if (!server->awake || spin_ns == 0)
		return;
	store_relaxed(&server->awake->until, clock_now_ns() + spin_ns);
	wake(server->awake);
}

void
awake_end(struct fault_server *server)
{
	if (server->awake)
		store_relaxed(&server->awake->until, 0);
}

void
awake_stop(struct daemon *d)
{
	for (unsigned i = 0; i < d->server_count; i++) {
		struct awake *a = d->servers[i].awake;

		if (!a)
			continue;
		store_release(&a->stopping, true);
		store_relaxed(&a->until, 0);
		sem_post(&a->wanted);
		pthread_join(a->thread, NULL);
	}
}

void
awake_fini(struct daemon *d)
{
	for (unsigned i = 0; i < d->server_count; i++) {
		if (!d->servers[i].awake)
			continue;
		sem_destroy(&d->servers[i].awake->wanted);
		free(d->servers[i].awake);
	}
}
