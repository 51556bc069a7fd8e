/* SPDX-License-Identifier: MIT
 *
 * libpager over time: many threads, the agent at work, the daemon's death, fork, another user.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "d_test.h"
#include "pager_priv.h"
#include "pager/uffd_compat.h"

#define PAGE    FAKE_PAGE_SIZE
#define THREADS 8

struct worker {
	struct d_fixture *d;
	unsigned seed;
	unsigned bad;
	_Atomic(uint64_t) address; /* of something allocated lately */
	atomic_bool done;
};

static void *
worker_run(void *arg)
{
	struct worker *w = arg;

	for (int round = 0; round < 60; round++) {
		size_t pages = 1 + (size_t)rand_r(&w->seed) % 24,
		       cut = (size_t)rand_r(&w->seed) % pages;
		unsigned char *a;
		void *v;

		if (pager_allocate(w->d->pager, pages * PAGE, 0, &v) != 0) {
			w->bad++;
			break;
		}
		a = v;
		atomic_store(&w->address, (uint64_t)(uintptr_t)a);
		for (size_t i = 0; i < pages; i++) {
			w->bad += a[i * PAGE] != 0;
			a[i * PAGE] = (unsigned char)(i + (size_t)round);
		}
		if (round % 8 == 0)
			w->bad += pager_wire(w->d->pager, a, pages * PAGE) != 0;
		for (size_t i = 0; i < pages; i++)
			w->bad += a[i * PAGE] != (unsigned char)(i + (size_t)round);
		if (cut)
			w->bad += pager_deallocate(w->d->pager, a, cut * PAGE) != 0;
		for (size_t i = cut; i < pages; i++)
			w->bad += a[i * PAGE] != (unsigned char)(i + (size_t)round);
		w->bad += pager_deallocate(w->d->pager, a + cut * PAGE, (pages - cut) * PAGE) != 0;
	}
	atomic_store(&w->done, true);
	return NULL;
}

/* Eight threads allocate, use, cut and give back while the daemon has page-table entries dropped
 * all over, also of addresses that were given back or given to another thread since. */
static void
threads_and_zaps(void **state)
{
	struct d_fixture *d = *state;
	struct worker workers[THREADS] = { 0 };
	pthread_t threads[THREADS];
	unsigned seed = (unsigned)time(NULL);
	bool busy = true;

	printf("seed %u\n", seed);
	for (unsigned i = 0; i < THREADS; i++) {
		workers[i].d = d;
		workers[i].seed = seed + i;
		assert_int_equal(pthread_create(&threads[i], NULL, worker_run, &workers[i]), 0);
	}
	while (busy) {
		struct pager_agent_range ranges[THREADS];

		busy = false;
		for (unsigned i = 0; i < THREADS; i++) {
			ranges[i].address = atomic_load(&workers[i].address);
			ranges[i].size = (1 + (size_t)rand_r(&seed) % 4) * PAGE;
			busy |= !atomic_load(&workers[i].done);
		}
		fake_agent_zap(d->fake, ranges, THREADS);
		usleep(300);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(workers[i].bad, 0);
	}
	assert_int_equal(fake_allocated_bytes(d->fake), 0);
	assert_int_equal(fake_strays(d->fake), 0);
	assert_int_equal(fake_range_errors(d->fake), 0);
	assert_int_equal(fake_malformed(d->fake), 0);
}

/* After a zap, content of the memfd comes back by MINOR faults; other ranges are left alone. */
static void
zap(void **state)
{
	struct d_fixture *d = *state;
	char *own =
	    mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned seen = fake_minor(d->fake);
	struct pager_agent_range ranges[4];
	char *a;
	void *v;

	own[0] = 1;
	assert_int_equal(pager_allocate(d->pager, 8 * PAGE, 0, &v), 0);
	a = v;
	memset(a, 7, 8 * PAGE);
	ranges[0] = (struct pager_agent_range){ (uintptr_t)own, PAGE };   /* never ours */
	ranges[1] = (struct pager_agent_range){ (uintptr_t)a, 2 * PAGE }; /* good */
	ranges[2] =
	    (struct pager_agent_range){ (uintptr_t)a + 6 * PAGE, 3 * PAGE };     /* sticks out */
	ranges[3] = (struct pager_agent_range){ (uintptr_t)a + 4 * PAGE, PAGE }; /* good */
	fake_agent_zap(d->fake, ranges, 4);
	/* Page 4 is the last to go; reading it tells when. */
	WAIT_UNTIL((((volatile char *)a)[4 * PAGE] == 7) && fake_minor(d->fake) == seen + 1);
	for (size_t i = 0; i < 8 * PAGE; i++)
		assert_int_equal(a[i], 7);
	assert_int_equal(fake_minor(d->fake), seen + 3);
	assert_int_equal(own[0], 1);
	munmap(own, 2 * PAGE);
}

/* Without process_madvise (older kernels) ranges are dropped one by one. */
static void
zap_one_by_one(void **state)
{
	struct d_fixture *d = *state;

	d->pager->agent.pidfd = -1; /* the agent sleeps in its poll */
	zap(state);
}

/* Zaps a page of 7s with a mask of processors, and waits for that: the page then comes back by a
 * MINOR fault. => where the agent may run after it */
static cpu_set_t
zapped_with(struct d_fixture *d, char *page, uint64_t processors)
{
	struct pager_agent_message message = {
		.op = PAGER_AGENT_ZAP, .count = 1, .value = processors
	};
	unsigned seen = fake_minor(d->fake);
	cpu_set_t set;

	message.ranges[0] = (struct pager_agent_range){ (uintptr_t)page, PAGE };
	fake_agent_send(d->fake, &message,
	    offsetof(struct pager_agent_message, ranges) + sizeof(message.ranges[0]));
	WAIT_UNTIL(*(volatile char *)page == 7 && fake_minor(d->fake) == seen + 1);
	assert_int_equal(pthread_getaffinity_np(d->pager->agent.thread, sizeof(set), &set), 0);
	return set;
}

/* If threads fault on one processor the agent goes there; if they fault on several it leaves
 * those, as long as one is left. A processor that the program has taken from the agent stays
 * taken. */
static void
agent_chooses_processors(void **state)
{
	struct d_fixture *d = *state;
	cpu_set_t allowed, now, one;
	int first = -1, second = -1, none = -1;
	char *page;
	void *v;

	assert_int_equal(
	    pthread_getaffinity_np(d->pager->agent.thread, sizeof(allowed), &allowed), 0);
	for (int cpu = 63; cpu >= 0; cpu--)
		if (CPU_ISSET(cpu, &allowed)) {
			second = first;
			first = cpu;
		} else {
			none = cpu;
		}
	if (first < 0 || CPU_COUNT(&allowed) < 2)
		skip();
	assert_int_equal(pager_allocate(d->pager, PAGE, 0, &v), 0);
	page = v;
	memset(page, 7, PAGE);
	now = zapped_with(d, page, 0);
	assert_true(CPU_EQUAL(&now, &allowed));
	CPU_ZERO(&one);
	CPU_SET(second, &one);
	now = zapped_with(d, page, UINT64_C(1) << second);
	assert_true(CPU_EQUAL(&now, &one));
	CPU_ZERO(&one);
	CPU_SET(first, &one);
	now = zapped_with(d, page, UINT64_C(1) << first);
	assert_true(CPU_EQUAL(&now, &one));
	/* Several, though it may use no more than one of them. */
	if (none >= 0) {
		now = zapped_with(d, page, UINT64_C(1) << first | UINT64_C(1) << none);
		assert_false(CPU_ISSET(first, &now));
		assert_int_equal(CPU_COUNT(&now), CPU_COUNT(&allowed) - 1);
		CPU_AND(&now, &now, &allowed);
		assert_int_equal(CPU_COUNT(&now), CPU_COUNT(&allowed) - 1);
	}
	/* Nothing would be left. */
	if (CPU_COUNT(&allowed) <= 64) {
		now = zapped_with(d, page, UINT64_MAX);
		assert_true(CPU_EQUAL(&now, &allowed));
	}
	now = zapped_with(d, page, 0);
	assert_true(CPU_EQUAL(&now, &allowed));
	assert_int_equal(pthread_setaffinity_np(d->pager->agent.thread, sizeof(one), &one), 0);
	now = zapped_with(d, page, ~(UINT64_C(1) << first));
	assert_true(CPU_EQUAL(&now, &one));
	now = zapped_with(d, page, UINT64_C(1) << first);
	assert_true(CPU_EQUAL(&now, &one));
}

static void
on_signal(int number)
{
}

static void *
signaller_run(void *arg)
{
	struct worker *w = arg;

	while (!atomic_load(&w->done)) {
		pthread_kill((pthread_t)atomic_load(&w->address), SIGUSR1);
		usleep(20);
	}
	return NULL;
}

/* Signals whose handlers interrupt system calls go unnoticed. */
static void
interrupted(void **state)
{
	struct d_fixture *d = *state;
	struct sigaction action = { .sa_handler = on_signal }; /* no SA_RESTART */
	struct worker w = { .d = d };
	pthread_t thread;
	void *v;

	sigaction(SIGUSR1, &action, NULL);
	atomic_store(&w.address, (uint64_t)pthread_self());
	assert_int_equal(pthread_create(&thread, NULL, signaller_run, &w), 0);
	for (int i = 0; i < 200; i++) {
		struct pager *other;

		assert_int_equal(pager_allocate(d->pager, 3 * PAGE, 0, &v), 0);
		assert_int_equal(pager_wire(d->pager, v, 3 * PAGE), 0);
		assert_int_equal(pager_deallocate(d->pager, v, 3 * PAGE), 0);
		if (i % 20)
			continue;
		assert_int_equal(pager_connect(fake_socket(d->fake), NULL, &other), 0);
		assert_int_equal(pager_disconnect(other), 0);
	}
	atomic_store(&w.done, true);
	pthread_join(thread, NULL);
	signal(SIGUSR1, SIG_DFL);
}

#ifndef __SANITIZE_ADDRESS__ /* gcc's ASan stumbles over any cancelled thread */
static void *
cancelled_run(void *arg)
{
	struct worker *w = arg;
	void *v;

	for (;;) {
		if (pager_allocate(w->d->pager, PAGE, 0, &v) != 0)
			return NULL;
		*(char *)v = 1;
		if (pager_deallocate(w->d->pager, v, PAGE) != 0)
			return NULL;
		atomic_store(&w->address, 1);
		pthread_testcancel();
	}
}

/* A thread that is cancelled leaves no request half done. */
static void
cancelled(void **state)
{
	struct d_fixture *d = *state;
	struct pager_statistics stat;

	for (int i = 0; i < 20; i++) {
		struct worker w = { .d = d };
		pthread_t thread;
		void *result;

		assert_int_equal(pthread_create(&thread, NULL, cancelled_run, &w), 0);
		WAIT_UNTIL(atomic_load(&w.address) == 1);
		pthread_cancel(thread);
		pthread_join(thread, &result);
		assert_ptr_equal(result, PTHREAD_CANCELED);
		assert_int_equal(pager_statistics(d->pager, &stat), 0);
	}
	assert_int_equal(fake_allocated_bytes(d->fake), 0);
}
#endif

struct toucher {
	unsigned char *page;
	unsigned char value;
	atomic_bool done;
};

static void *
toucher_run(void *arg)
{
	struct toucher *t = arg;

	t->value = *(volatile unsigned char *)t->page;
	atomic_store(&t->done, true);
	return NULL;
}

static void
uffd_next_fault(int uffd, uint64_t page)
{
	struct uffd_msg msg;

	WAIT_UNTIL(read(uffd, &msg, sizeof(msg)) == sizeof(msg));
	assert_int_equal(msg.event, UFFD_EVENT_PAGEFAULT);
	assert_int_equal(msg.arg.pagefault.address & ~(uint64_t)(PAGE - 1), page);
}

/* The daemon dies while a thread waits in a fault: the thread goes on waiting until the fault is
 * answered through the descriptor that the library kept. */
static void
daemon_dies(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	struct toucher toucher = { .value = 99 }; /* .value: the thread's own until it is joined */
	struct pager_statistics stat;
	struct uffdio_zeropage zero = { 0 };
	pthread_t thread;
	uint64_t page;
	char *a;
	void *v, *none = NULL;

	assert_int_equal(pager_allocate(p, 4 * PAGE, 0, &v), 0);
	a = v;
	a[0] = 11;
	toucher.page = (unsigned char *)a + 2 * PAGE;
	page = (uint64_t)(uintptr_t)toucher.page;
	fake_hold_faults(d->fake, true);
	assert_int_equal(pthread_create(&thread, NULL, toucher_run, &toucher), 0);
	WAIT_UNTIL(fake_held(d->fake) > 0);
	fake_kill(d->fake);
	WAIT_UNTIL(atomic_load(&d->died) > 0);

	assert_int_equal(pager_statistics(p, &stat), -ENOTCONN);
	assert_int_equal(pager_allocate(p, PAGE, 0, &none), -ENOTCONN);
	assert_int_equal(pager_deallocate(p, a, PAGE), -ENOTCONN);
	assert_int_equal(pager_wire(p, a, PAGE), -ENOTCONN);
	assert_int_equal(a[0], 11); /* present memory can be used */
	assert_false(atomic_load(&toucher.done));
	/* A fault that the daemon had read is raised again by a wake. */
	uffd_next_fault(p->uffd, page);
	zero.range = (struct uffdio_range){ page, PAGE };
	assert_int_equal(ioctl(p->uffd, UFFDIO_WAKE, &zero.range), 0);
	uffd_next_fault(p->uffd, page);
	assert_false(atomic_load(&toucher.done));
	assert_int_equal(ioctl(p->uffd, UFFDIO_ZEROPAGE, &zero), 0);
	pthread_join(thread, NULL);
	assert_int_equal(toucher.value, 0);
	assert_int_equal(atomic_load(&d->died), 1);
}

static void
disconnect_unmaps(void **state)
{
	struct d_fixture *d = *state;
	unsigned char vec;
	void *v, *large;

	assert_int_equal(pager_allocate(d->pager, PAGE, 0, &v), 0);
	assert_int_equal(pager_allocate(d->pager, 80u << 20, 0, &large), 0);
	assert_int_equal(pager_disconnect(d->pager), 0);
	d->pager = NULL;
	assert_int_equal(mincore(v, PAGE, &vec), -1);
	assert_int_equal(mincore(large, PAGE, &vec), -1);
	WAIT_UNTIL(fake_sessions(d->fake) == 0);
	assert_int_equal(atomic_load(&d->died), 0); /* we went, not the daemon */
}

static int
child_status(pid_t child)
{
	int status;

	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* Connects, allocates and checks memory. */
static int
client_program(const char *socket)
{
	struct pager *p;
	unsigned char *a;
	void *v;

	if (pager_connect(socket, NULL, &p) != 0 || pager_allocate(p, 64 * PAGE, 0, &v) != 0)
		return 1;
	a = v;
	for (size_t i = 0; i < 64; i++) {
		if (a[i * PAGE] != 0)
			return 2;
		a[i * PAGE] = (unsigned char)i;
	}
	for (size_t i = 0; i < 64; i++) {
		if (a[i * PAGE] != i)
			return 3;
	}
	return pager_disconnect(p) == 0 ? 0 : 4;
}

/* Nobody (the user) needs no privilege of its own. The child is forked while this process has one
 * thread. */
static void
as_nobody(void **state)
{
	char socket[108] = "";
	struct fake *fake;
	int pipe_fds[2];
	pid_t child;

	assert_int_equal(pipe(pipe_fds), 0);
	child = fork();
	if (child == 0) {
		if (read(pipe_fds[0], socket, sizeof(socket)) <= 0 || setgid(65534) < 0 ||
		    setuid(65534) < 0)
			_exit(9);
		_exit(client_program(socket));
	}
	fake = fake_start();
	if (!fake)
		exit(77);
	strcpy(socket, fake_socket(fake));
	assert_int_equal(write(pipe_fds[1], socket, sizeof(socket)), sizeof(socket));
	assert_int_equal(child_status(child), 0);
	fake_stop(fake);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

/* A child may connect for itself. TSan cannot start threads after the fork of a threaded process.
 */
static void
fork_child_connects(void **state)
{
#ifndef __SANITIZE_THREAD__
	struct d_fixture *d = *state;
	pid_t child = fork();

	if (child == 0)
		_exit(client_program(fake_socket(d->fake)));
	assert_int_equal(child_status(child), 0);
	WAIT_UNTIL(fake_sessions(d->fake) == 1);
#endif
}

#define WITH_DAEMON(name) cmocka_unit_test_setup_teardown(name, d_setup, d_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_nobody),
		WITH_DAEMON(threads_and_zaps),
		WITH_DAEMON(zap),
		WITH_DAEMON(zap_one_by_one),
		WITH_DAEMON(agent_chooses_processors),
		WITH_DAEMON(interrupted),
#ifndef __SANITIZE_ADDRESS__
		WITH_DAEMON(cancelled),
#endif
		WITH_DAEMON(daemon_dies),
		WITH_DAEMON(disconnect_unmaps),
		WITH_DAEMON(fork_child_connects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
