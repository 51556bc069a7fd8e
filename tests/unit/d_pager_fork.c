/* SPDX-License-Identifier: MIT
 *
 * libpager and fork(2): what a child has, and what it has not. Built a second time, _Fork cannot be
 * patched, and handlers of pthread_atfork(3) do all (WITHOUT_PATCH).
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "d_test.h"
#include "pager_priv.h"
#ifdef WITHOUT_PATCH
#include "patch.h"
#endif

#define PAGE  FAKE_PAGE_SIZE
#define PAGES 8

#ifdef WITHOUT_PATCH
static atomic_uint refused;

int __wrap_patch(patch_function *function, patch_function *instead, patch_function **ret_original);

int
__wrap_patch(patch_function *function, patch_function *instead, patch_function **ret_original)
{
	(void)function, (void)instead, (void)ret_original;
	atomic_fetch_add(&refused, 1);
	return -EOPNOTSUPP;
}

static void
patch_is_refused(void **state)
{
	(void)state;
	assert_int_equal(atomic_load(&refused), 1);
}
#endif

static int
child_status(pid_t child)
{
	int status;

	assert_true(child > 0);
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* Descriptors of rings (anchor.h): one for all connections, once the process has forked. */
static unsigned
rings_open(void)
{
	static const char ring[] = "anon_inode:[io_uring]";
	char path[32], target[sizeof(ring)];
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target));
		count += n == sizeof(ring) - 1 && memcmp(target, ring, (size_t)n) == 0;
	}
	return count;
}

static unsigned
rings_mapped(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned count = 0;
	char line[512];

	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps))
		count += strstr(line, "[io_uring]") != NULL;
	fclose(maps);
	return count;
}

/* Descriptors of anything else. */
static unsigned
fds_of_others(const struct d_fixture *d)
{
	unsigned rings = rings_open();

	assert_true(rings <= 1);
	return fds_settled(d) - rings;
}

/* Memory with a byte of each page's own. */
static unsigned char *
memory_of(struct pager *p)
{
	unsigned char *a;
	void *v;

	assert_int_equal(pager_allocate(p, PAGES * PAGE, 0, &v), 0);
	a = v;
	for (unsigned i = 0; i < PAGES; i++)
		a[i * PAGE] = (unsigned char)(10 + i);
	return a;
}

static bool
memory_is(const unsigned char *a, unsigned first)
{
	for (unsigned i = 0; i < PAGES; i++)
		if (((volatile const unsigned char *)a)[i * PAGE] != first + i)
			return false;
	return true;
}

/* Whether every call says that there is no connection. */
static bool
calls_refuse(struct pager *p, void *a)
{
	struct pager_statistics stat;
	void *v;

	return pager_allocate(p, PAGE, 0, &v) == -ENOTCONN &&
	       pager_statistics(p, &stat) == -ENOTCONN &&
	       pager_deallocate(p, a, PAGE) == -ENOTCONN && pager_wire(p, a, PAGE) == -ENOTCONN &&
	       pager_disconnect(p) == 0;
}

/* A child that touches `a` gets that signal. */
static void
touch_raises(const unsigned char *a, int expected)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		signal(expected, SIG_DFL);
		_exit(*(volatile const unsigned char *)a);
	}
	status = child_status(child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == expected);
}

/* --- what it has --- */

/* TSan cannot start threads after the fork of a threaded process. */
static int
calls_of_child(struct pager *p, unsigned char *a)
{
#ifndef __SANITIZE_THREAD__
	struct pager_statistics stat;
	unsigned char *more;
	void *v;

	if (pager_statistics(p, &stat) != 0 || pager_allocate(p, PAGES * PAGE, 0, &v) != 0)
		return 3;
	more = v;
	if (more < a + PAGES * PAGE && more + PAGES * PAGE > a)
		return 4;
	memset(more, 7, PAGES * PAGE);
	if (pager_deallocate(p, a, PAGE) != 0 || pager_deallocate(p, more, PAGES * PAGE) != 0)
		return 5;
	if (pager_disconnect(p) != 0)
		return 6;
#endif
	return 0;
}

static void
inherits(void **state)
{
	struct d_fixture *d = *state;
	unsigned char *a = memory_of(d->pager), *gap = memory_of(d->pager),
		      *b = memory_of(d->pager);
	unsigned fds;
	pid_t child, grandchild;

	/* Two regions: the child is told one, and asks for the other. */
	assert_int_equal(pager_deallocate(d->pager, gap, PAGES * PAGE), 0);
	fds = fds_of_others(d);
	child = fork();
	if (child == 0) {
		if (!memory_is(a, 10) || !memory_is(b, 10))
			_exit(1);
		a[0]++;
		grandchild = fork();
		if (grandchild == 0)
			_exit(a[0] == 11 && a[PAGE] == 11 ? 0 : 1);
		if (child_status(grandchild) != 0)
			_exit(2);
		_exit(calls_of_child(d->pager, a));
	}
	assert_int_equal(child_status(child), 0);
	assert_true(memory_is(a, 10));
	WAIT_UNTIL(fake_sessions(d->fake) == 1);
	assert_int_equal(fds_of_others(d), fds);
	assert_int_equal(fake_strays(d->fake), 0);
	assert_int_equal(fake_range_errors(d->fake), 0);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_FORK_BEGIN), 2);
	/* END of both, and MAP of both. */
	assert_true(fake_requests(d->fake, PAGER_MSG_FORK_STEP) >= 4);
	assert_int_equal(pager_deallocate(d->pager, a, PAGES * PAGE), 0);
	assert_int_equal(pager_deallocate(d->pager, b, PAGES * PAGE), 0);
}

#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__) &&      \
    !defined(WITHOUT_PATCH)
static atomic_bool parked, leave;

static void *
thread_of_managed_stack(void *argument)
{
	(void)argument;
	atomic_store(&parked, true);
	while (!atomic_load(&leave))
		sched_yield();
	return NULL;
}

/* libc puts the stacks of the threads that are gone in order before any handler of
 * pthread_atfork(3) runs. */
static void
before_handlers(void **state)
{
	struct d_fixture *d = *state;
	const size_t bytes = 256 << 10;
	pthread_attr_t attributes;
	pthread_t thread;
	pid_t child;
	void *stack;

	assert_int_equal(pager_allocate(d->pager, bytes, 0, &stack), 0);
	pthread_attr_init(&attributes);
	assert_int_equal(pthread_attr_setstack(&attributes, stack, bytes), 0);
	assert_int_equal(pthread_create(&thread, &attributes, thread_of_managed_stack, NULL), 0);
	WAIT_UNTIL(atomic_load(&parked));
	child = fork();
	if (child == 0)
		_exit(0);
	assert_int_equal(child_status(child), 0);
	atomic_store(&leave, true);
	pthread_join(thread, NULL);
	pthread_attr_destroy(&attributes);
}
#else
/* A sanitizer has threads' stacks in its own hands; and handlers are too late. */
static void
before_handlers(void **state)
{
	(void)state;
	skip();
}
#endif

/* --- what it has not --- */

static void
nothing(void **state)
{
	struct d_fixture *d = *state;
	struct pager_options options = { .size = sizeof(options), .flags = PAGER_NO_INHERIT };
	struct pager_statistics stat;
	unsigned char *a;
	struct pager *p;
	pid_t child;

	assert_int_equal(pager_connect(fake_socket(d->fake), &options, &p), 0);
	a = memory_of(p);
	child = fork();
	if (child == 0)
		_exit(!calls_refuse(p, a));
	assert_int_equal(child_status(child), 0);
	touch_raises(a, SIGSEGV);
	/* The parent has felt nothing. */
	assert_int_equal(pager_statistics(p, &stat), 0);
	assert_true(memory_is(a, 10));
	WAIT_UNTIL(fake_sessions(d->fake) == 2);
	assert_int_equal(fake_strays(d->fake), 0);
	assert_int_equal(pager_disconnect(p), 0);
}

/* The daemon refuses, or its answers to the child fail: the child is there, its memory SIGBUS. */
static void
bare(void **state)
{
	static const enum pager_msg_type types[] = { PAGER_MSG_FORK_BEGIN, PAGER_MSG_FORK_CHILD };
	struct d_fixture *d = *state;
	unsigned char *a = memory_of(d->pager);
	unsigned fds = fds_of_others(d);
	pid_t child;

	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		fake_fail_next(d->fake, types[i], -EDQUOT);
		touch_raises(a, SIGBUS);
		fake_fail_next(d->fake, types[i], -EDQUOT);
		child = fork();
		if (child == 0)
			_exit(!calls_refuse(d->pager, a));
		assert_int_equal(child_status(child), 0);
	}
	assert_true(memory_is(a, 10));
	WAIT_UNTIL(fake_sessions(d->fake) == 1);
	assert_int_equal(fds_of_others(d), fds);
}

/* Trap 17 of the design notes on shared objects: to a child of clone(2) nothing belongs, and it
 * must not use the parent's socket. */
static void
trap_17_raw_clone(void **state)
{
	struct d_fixture *d = *state;
	unsigned char *a = memory_of(d->pager);
	struct pager_statistics stat;
	pid_t child = (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);

	if (child == 0) {
		/* It may connect for itself, and fork. */
		struct pager *own;
		bool good = calls_refuse(d->pager, a) &&
			    pager_connect(fake_socket(d->fake), NULL, &own) == 0;
		unsigned char *b = good ? memory_of(own) : NULL;
		pid_t grandchild = good ? fork() : 0;

		if (grandchild == 0)
			_exit(!good || !memory_is(b, 10));
		_exit(child_status(grandchild) != 0 || pager_disconnect(own) != 0);
	}
	assert_int_equal(child_status(child), 0);
	WAIT_UNTIL(fake_sessions(d->fake) == 1);
	assert_int_equal(pager_statistics(d->pager, &stat), 0);
	assert_true(memory_is(a, 10));
	assert_int_equal(fake_sessions(d->fake), 1);
}

/* As in a signal handler that has interrupted a call. */
static void
inside_a_call(void **state)
{
	struct d_fixture *d = *state;
	unsigned char *a = memory_of(d->pager);
	pid_t child;

	pthread_mutex_lock(&d->pager->chan.lock);
	child = fork();
	if (child == 0)
		_exit(!calls_refuse(d->pager, a));
	pthread_mutex_unlock(&d->pager->chan.lock);
	assert_int_equal(child_status(child), 0);
	pthread_mutex_lock(&d->pager->space_lock);
	child = fork();
	if (child == 0)
		_exit(!calls_refuse(d->pager, a));
	pthread_mutex_unlock(&d->pager->space_lock);
	assert_int_equal(child_status(child), 0);
	assert_true(memory_is(a, 10));
	WAIT_UNTIL(fake_sessions(d->fake) == 1);
}

/* --- what keeps a child's userfaultfd open --- */

/* A child that waits until the pipe is closed. */
static pid_t
child_that_waits(int ends[2])
{
	pid_t child;
	char byte;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	child = fork();
	if (child == 0) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) != 0);
	}
	assert_true(child > 0);
	close(ends[0]);
	return child;
}

/* Lets the other process go, and says something when it has ended and its memory has gone. */
static pid_t
child_that_tells(pid_t other, int hold, int to)
{
	struct pollfd poll_fd = { .fd = (int)syscall(SYS_pidfd_open, other, 0), .events = POLLIN };
	pid_t child;

	assert_true(poll_fd.fd >= 0);
	child = fork();
	if (child == 0) {
		close(hold);
		while (poll(&poll_fd, 1, -1) < 0)
			continue;
		usleep(200000);
		_exit(write(to, "x", 1) != 1);
	}
	close(poll_fd.fd);
	return child;
}

/* However often it forks, a process has one ring for its next children, and none when it has no
 * connection. One that goes interrupts nobody. */
static void
rings_are_few(void **state)
{
	struct d_fixture *d = *state;
	int ends[2], told[2], epoll = epoll_create1(EPOLL_CLOEXEC);
	pid_t first = child_that_waits(ends), teller;
	struct epoll_event event = { .events = EPOLLIN };

	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, told[0], &event), 0);
	for (unsigned n = 0; n < 20; n++) {
		pid_t child = fork();

		/* It has what its parent made, and makes none as long as it does not fork. */
		if (child == 0)
			_exit(rings_open() != 0 || rings_mapped() > 1);
		assert_int_equal(child_status(child), 0);
		assert_true(rings_open() <= 1 && rings_mapped() <= 1);
	}
	teller = child_that_tells(first, ends[1], told[1]);
	close(ends[1]);
	/* The ring that the first child had is not the parent's any more. */
	assert_int_equal(epoll_wait(epoll, &event, 1, -1), 1);
	assert_int_equal(child_status(first), 0);
	assert_int_equal(child_status(teller), 0);
	close(told[0]);
	close(told[1]);
	close(epoll);
	WAIT_UNTIL(fake_sessions(d->fake) == 1);
	assert_int_equal(pager_disconnect(d->pager), 0);
	d->pager = NULL;
	assert_int_equal(rings_open() + rings_mapped(), 0);
}

#define WITH_DAEMON(name) cmocka_unit_test_setup_teardown(name, d_setup, d_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DAEMON(inherits),
		WITH_DAEMON(before_handlers),
		WITH_DAEMON(nothing),
		WITH_DAEMON(bare),
		WITH_DAEMON(trap_17_raw_clone),
		WITH_DAEMON(inside_a_call),
		WITH_DAEMON(rings_are_few),
#ifdef WITHOUT_PATCH
		WITH_DAEMON(patch_is_refused),
#endif
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
