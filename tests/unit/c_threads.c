/* SPDX-License-Identifier: MIT
 *
 * Whether threads sleep: a thread that spins or waits for a processor does not; a thread that has
 * run between two looks is told from one that has not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <unistd.h>

#include "threads.h"

struct other {
	sem_t go;
	atomic_int id; /* of the thread, 0: not yet */
	atomic_bool spinning, enough, ending;
	pthread_t thread;
};

/* Sleeps until it is told to go, and spins until that is enough. */
static void *
other_main(void *argument)
{
	struct other *o = argument;

	atomic_store(&o->id, gettid());
	while (!atomic_load(&o->ending)) {
		while (sem_wait(&o->go) != 0)
			;
		atomic_store(&o->spinning, true);
		while (!atomic_load(&o->enough))
			;
		atomic_store(&o->spinning, false);
	}
	return NULL;
}

static void
other_start(struct other *o)
{
	sem_init(&o->go, 0, 0);
	atomic_init(&o->id, 0);
	atomic_init(&o->spinning, false);
	atomic_init(&o->enough, false);
	atomic_init(&o->ending, false);
	assert_int_equal(pthread_create(&o->thread, NULL, other_main, o), 0);
	while (atomic_load(&o->id) == 0)
		sched_yield();
}

static void
other_end(struct other *o)
{
	atomic_store(&o->ending, true);
	atomic_store(&o->enough, true);
	sem_post(&o->go);
	pthread_join(o->thread, NULL);
}

/* => the number of all threads but the caller's, all of which will sleep */
static uint64_t
asleep(void)
{
	uint64_t number;

	while ((number = threads_asleep(getpid(), gettid())) == 0)
		sched_yield();
	return number;
}

static void
who_spins_does_not_sleep(void **state)
{
	struct other o;
	uint64_t before;
	(void)state;

	other_start(&o);
	while (!thread_sleeps(getpid(), atomic_load(&o.id)))
		sched_yield();
	before = asleep();
	sem_post(&o.go);
	while (!atomic_load(&o.spinning))
		sched_yield();
	assert_false(thread_sleeps(getpid(), atomic_load(&o.id)));
	assert_int_equal(threads_asleep(getpid(), gettid()), 0);
	atomic_store(&o.enough, true);
	/* It sleeps again, and has run in between. */
	while (atomic_load(&o.spinning) || !thread_sleeps(getpid(), atomic_load(&o.id)))
		sched_yield();
	assert_true(asleep() != before);
	other_end(&o);
}

static void
who_looks_is_left_out(void **state)
{
	struct other o;
	(void)state;

	/* It runs: it looks. */
	assert_false(thread_sleeps(getpid(), gettid()));
	other_start(&o);
	assert_int_equal(threads_asleep(getpid(), 0), 0);
#ifndef __SANITIZE_THREAD__ /* which has a thread of its own that wakes now and then */
	while (!thread_sleeps(getpid(), atomic_load(&o.id)))
		sched_yield();
	assert_true(asleep() == asleep());
#endif
	other_end(&o);
}

static void *
pause_main(void *argument)
{
	_Atomic pid_t *id = argument;

	atomic_store(id, gettid());
	for (;;)
		sleep(1000);
	return NULL;
}

static void
who_pauses_is_not_at_rest(void **state)
{
	_Atomic pid_t id = 0;
	pthread_t thread;
	(void)state;

	assert_int_equal(pthread_create(&thread, NULL, pause_main, &id), 0);
	while (atomic_load(&id) == 0 || !thread_sleeps(getpid(), atomic_load(&id)))
		sched_yield();
#ifndef __SANITIZE_THREAD__ /* see threads.c */
	assert_int_equal(threads_asleep(getpid(), gettid()), 0);
#endif
	pthread_cancel(thread);
	pthread_join(thread, NULL);
}

static bool
count_io_worker(pid_t pid, pid_t thread, void *argument)
{
	*(unsigned *)argument += thread_is_io_worker(pid, thread);
	return true;
}

static void
kernels_threads_are_known(void **state)
{
	unsigned workers = 0;
	struct io_uring_sqe *sqe;
	struct io_uring ring;
	int ends[2];
	char byte;
	(void)state;

	assert_true(threads_each(getpid(), count_io_worker, &workers));
	assert_int_equal(workers, 0);
	assert_int_equal(pipe(ends), 0);
	if (io_uring_queue_init(4, &ring, 0) != 0)
		skip();
	/* It must wait, and so the kernel starts a thread for it. */
	sqe = io_uring_get_sqe(&ring);
	io_uring_prep_read(sqe, ends[0], &byte, 1, 0);
	sqe->flags |= IOSQE_ASYNC;
	assert_int_equal(io_uring_submit(&ring), 1);
	while (workers == 0)
		assert_true(threads_each(getpid(), count_io_worker, &workers));
	assert_int_equal(workers, 1);
	assert_false(thread_is_io_worker(getpid(), gettid()));
	/* A thread that has gone is none. */
	assert_false(thread_is_io_worker(1 << 30, 1 << 30));
	close(ends[1]);
	close(ends[0]);
	io_uring_queue_exit(&ring);
}

static void
nobody_is_there(void **state)
{
	char text[16] = "x";
	(void)state;

	/* No process has a number as high. */
	assert_int_equal(threads_asleep(1 << 30, 0), 0);
	assert_false(thread_sleeps(1 << 30, 1 << 30));
	assert_false(thread_file_read(1 << 30, 1 << 30, "comm", text, sizeof(text)));
	assert_string_equal(text, "");
	assert_true(thread_file_read(getpid(), gettid(), "comm", text, sizeof(text)));
	assert_string_equal(text, "c_threads");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_spins_does_not_sleep),
		cmocka_unit_test(who_looks_is_left_out),
		cmocka_unit_test(who_pauses_is_not_at_rest),
		cmocka_unit_test(kernels_threads_are_known),
		cmocka_unit_test(nobody_is_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
