/* SPDX-License-Identifier: MIT
 *
 * Programs that work behind libpager's back: no descriptor left, all descriptors closed and their
 * numbers used again, managed addresses unmapped and mapped again, memory moved.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "d_test.h"
#include "mapping.h"
#include "pager_priv.h"

#define PAGE FAKE_PAGE_SIZE

/* Leaves no number free below the limit, which must stay above the number of descriptors that
 * the fake daemon polls. */
#define FDS_MANY 64
static void
fds_use_up(void)
{
	struct rlimit limit;
	int highest = FDS_MANY, lowest_free = 0;

	for (int fd = 0; fd < 1024; fd++)
		if (fcntl(fd, F_GETFD) >= 0 && fd > highest)
			highest = fd;
	/* No gaps: then the limit alone decides. */
	while (lowest_free >= 0 && lowest_free < highest)
		lowest_free = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)(lowest_free > highest ? lowest_free : highest) + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void
fds_allow(rlim_t most)
{
	struct rlimit limit;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = most;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* There is no number for the reply's descriptor: the call says so, and the daemon gets the range
 * back. */
static void
allocate_without_a_descriptor(void **state)
{
	struct d_fixture *d = *state;
	struct pager_statistics stat;
	unsigned char *a;
	void *v, *none = NULL;

	assert_int_equal(pager_allocate(d->pager, 8 * PAGE, 0, &v), 0);
	a = v;
	memset(a, 6, 8 * PAGE);
	fds_use_up();
	for (int i = 0; i < 3; i++)
		assert_int_equal(
		    pager_allocate(d->pager, (i == 2 ? 20000 : 1) * PAGE, 0, &none), -EMFILE);
	assert_null(none);
	assert_int_equal(fake_allocated_bytes(d->fake), 8 * PAGE);
	assert_int_equal(pager_statistics(d->pager, &stat), 0);
	/* Calls that need no new descriptor go on. */
	assert_int_equal(pager_wire(d->pager, a, 8 * PAGE), 0);
	assert_int_equal(pager_deallocate(d->pager, a, PAGE), 0);
	fds_allow(1024);
	assert_int_equal(pager_allocate(d->pager, PAGE, 0, &v), 0);
	assert_ptr_equal(v, a); /* nothing was lost of the addresses either */
	assert_int_equal(a[0], 0);
	for (size_t i = PAGE; i < 8 * PAGE; i++)
		assert_int_equal(a[i], 6);
	assert_int_equal(atomic_load(&d->died), 0);
	assert_int_equal(fake_range_errors(d->fake), 0);
}

/* As by closefrom(3): the program's descriptors of the connection are closed, and their numbers
 * soon belong to other files. Memory still works, calls return an error, and libpager neither
 * writes to the other files nor closes them. */
static void
descriptors_closed(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	struct pager_agent_range range;
	struct pager_statistics stat;
	unsigned char *a;
	unsigned seen;
	int other[2], chan_fd = p->chan.fd, uffd = p->uffd;
	char byte;
	void *v, *none = NULL;

	assert_int_equal(pager_allocate(p, 16 * PAGE, 0, &v), 0);
	a = v;
	memset(a, 3, 8 * PAGE);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, other), 0);
	assert_int_equal(dup2(other[0], chan_fd), chan_fd);
	assert_int_equal(dup2(other[0], uffd), uffd);

	assert_int_equal(pager_statistics(p, &stat), -EBADF);
	assert_int_equal(pager_allocate(p, PAGE, 0, &none), -EBADF);
	assert_int_equal(pager_deallocate(p, a, PAGE), -EBADF);
	assert_int_equal(pager_wire(p, a, PAGE), -EBADF);
	assert_int_equal(pager_behavior(p, a, PAGE, PAGER_BEHAVIOR_FREE), -EBADF);
	assert_null(none);
	/* Faults are served, the agent works, the session lives. */
	seen = fake_minor(d->fake);
	range = (struct pager_agent_range){ (uintptr_t)a, 2 * PAGE };
	fake_agent_zap(d->fake, &range, 1);
	WAIT_UNTIL(((volatile unsigned char *)a)[PAGE] == 3 && fake_minor(d->fake) > seen);
	for (size_t i = 0; i < 16 * PAGE; i++)
		assert_int_equal(a[i], i < 8 * PAGE ? 3 : 0);
	assert_int_equal(fake_sessions(d->fake), 1);
	assert_int_equal(atomic_load(&d->died), 0);
	/* The daemon dies, and with it its descriptor of the userfaultfd: there is another one
	 * still. */
	fake_kill(d->fake);
	WAIT_UNTIL(atomic_load(&d->died) == 1);
	assert_true(mapping_is_watched(a));
	assert_int_equal(pager_disconnect(p), 0);
	d->pager = NULL;
	assert_int_equal(recv(other[1], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN); /* nothing was written, and it is open */
	assert_int_equal(close(chan_fd), 0);
	assert_int_equal(close(uffd), 0);
	close(other[0]);
	close(other[1]);
}

/* The keeper's descriptor table holds none of the program's: a pipe that the program closes has
 * no writer. */
static void
nothing_else_is_kept(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p;
	int fds[2];
	char byte;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(pager_connect(fake_socket(d->fake), NULL, &p), 0);
	close(fds[1]);
	assert_int_equal(read(fds[0], &byte, 1), 0);
	close(fds[0]);
	assert_int_equal(pager_disconnect(p), 0);
}

static unsigned char *
put_own(void *address, size_t bytes, unsigned char value)
{
	void *own;

	assert_int_equal(munmap(address, bytes), 0);
	own = mmap(address, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_ptr_equal(own, address);
	memset(own, value, bytes);
	return own;
}

static bool
is_all(const unsigned char *memory, size_t bytes, unsigned char value)
{
	for (size_t i = 0; i < bytes; i++)
		if (memory[i] != value)
			return false;
	return true;
}

/* Memory of the program's own in the place of managed memory: not dropped by the agent, not hidden
 * or unmapped by pager_deallocate, not given out again, not unmapped at the end. */
static void
own_memory_in_the_place(void **state)
{
	struct d_fixture *d = *state;
	struct pager_agent_range ranges[3];
	unsigned char *a, *own, *large, *large_own;
	unsigned seen = fake_minor(d->fake);
	void *v;

	assert_int_equal(pager_allocate(d->pager, 64 * PAGE, 0, &v), 0);
	a = v;
	assert_int_equal(pager_allocate(d->pager, 80u << 20, 0, &v), 0);
	large = v;
	memset(a, 7, 64 * PAGE);
	own = put_own(a + 10 * PAGE, 3 * PAGE, 42);
	munmap(a + 30 * PAGE, 10 * PAGE); /* and a hole */
	large_own = put_own(large + (16u << 20), 5 * PAGE, 43);
	ranges[0] = (struct pager_agent_range){ (uintptr_t)own, PAGE };
	ranges[1] = (struct pager_agent_range){ (uintptr_t)a + 8 * PAGE, 8 * PAGE }; /* partly */
	ranges[2] = (struct pager_agent_range){ (uintptr_t)a, PAGE };
	fake_agent_zap(d->fake, ranges, 3);
	WAIT_UNTIL(((volatile unsigned char *)a)[0] == 7 && fake_minor(d->fake) > seen);
	assert_true(is_all(own, 3 * PAGE, 42));

	assert_int_equal(pager_deallocate(d->pager, a, 64 * PAGE), 0);
	assert_int_equal(pager_deallocate(d->pager, large, 80u << 20), 0);
	assert_int_equal(fake_allocated_bytes(d->fake), 0);
	assert_true(is_all(own, 3 * PAGE, 42));
	assert_true(is_all(large_own, 5 * PAGE, 43));
	own[0] = 42; /* and it is still writable */
	/* All other addresses are given out again. */
	for (int i = 0; i < 61; i++) {
		assert_int_equal(pager_allocate(d->pager, PAGE, 0, &v), 0);
		assert_true((unsigned char *)v < own || (unsigned char *)v >= own + 3 * PAGE);
		assert_true((unsigned char *)v < a + 64 * PAGE);
		assert_int_equal(*(unsigned char *)v, 0);
	}
	/* Given back twice: with munmap(2) as well, and used for something else. */
	assert_int_equal(pager_deallocate(d->pager, a, 8 * PAGE), 0);
	put_own(a + 2 * PAGE, PAGE, 44);
	for (int i = 0; i < 7; i++)
		assert_int_equal(pager_allocate(d->pager, PAGE, 0, &v), 0);
	assert_true(is_all(a + 2 * PAGE, PAGE, 44));
	assert_int_equal(fake_range_errors(d->fake), 0);
	assert_int_equal(fake_strays(d->fake), 0);
	assert_int_equal(pager_disconnect(d->pager), 0);
	d->pager = NULL;
	assert_true(is_all(own, 3 * PAGE, 42));
	assert_true(is_all(large_own, 5 * PAGE, 43));
	assert_true(is_all(a + 2 * PAGE, PAGE, 44));
	munmap(own, 3 * PAGE);
	munmap(large_own, 5 * PAGE);
	munmap(a + 2 * PAGE, PAGE);
}

/* The daemon refuses: the program's own memory in the range is not touched by that either. */
static void
own_memory_and_a_refusal(void **state)
{
	struct d_fixture *d = *state;
	unsigned char *a, *own;
	void *v;

	assert_int_equal(pager_allocate(d->pager, 16 * PAGE, 0, &v), 0);
	a = v;
	memset(a, 7, 16 * PAGE);
	own = put_own(a + 4 * PAGE, PAGE, 42);
	assert_int_equal(mprotect(own, PAGE, PROT_READ), 0);
	fake_fail_next(d->fake, PAGER_MSG_DEALLOCATE, -ENOMEM);
	assert_int_equal(pager_deallocate(d->pager, a, 16 * PAGE), -ENOMEM);
	assert_true(
	    is_all(a, 4 * PAGE, 7) && is_all(own, PAGE, 42) && is_all(a + 5 * PAGE, 11 * PAGE, 7));
	a[0] = 8;
	assert_int_equal(pager_deallocate(d->pager, a, 16 * PAGE), 0);
	assert_true(is_all(own, PAGE, 42));
	munmap(own, PAGE);
}

struct noted {
	pthread_mutex_t lock;
	unsigned died;
	bool can_write;
};

static void
note_event(void *context, enum pager_event event, uint64_t value)
{
	struct noted *n = context;
	int fds[2];

	(void)value;
	pthread_mutex_lock(&n->lock);
	/* The function sees the program's descriptors. */
	n->can_write = pipe2(fds, O_CLOEXEC) == 0 && write(fds[1], "x", 1) == 1 &&
		       fcntl(STDERR_FILENO, F_GETFD) >= 0;
	close(fds[0]);
	close(fds[1]);
	n->died += event == PAGER_EVENT_DAEMON_DIED;
	pthread_mutex_unlock(&n->lock);
}

static unsigned
died(struct noted *n)
{
	unsigned count;

	pthread_mutex_lock(&n->lock);
	count = n->died;
	pthread_mutex_unlock(&n->lock);
	return count;
}

static void
events_see_descriptors(void **state)
{
	struct d_fixture *d = *state;
	struct noted noted = { .lock = PTHREAD_MUTEX_INITIALIZER };
	struct pager_options options = {
		.size = sizeof(options), .event = note_event, .event_context = &noted
	};
	struct pager *p;

	assert_int_equal(pager_connect(fake_socket(d->fake), &options, &p), 0);
	fake_kill(d->fake);
	WAIT_UNTIL(died(&noted) == 1);
	assert_true(noted.can_write);
	assert_int_equal(pager_disconnect(p), 0);
}

#define WITH_DAEMON(name) cmocka_unit_test_setup_teardown(name, d_setup, d_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DAEMON(allocate_without_a_descriptor),
		WITH_DAEMON(descriptors_closed),
		WITH_DAEMON(nothing_else_is_kept),
		WITH_DAEMON(own_memory_in_the_place),
		WITH_DAEMON(own_memory_and_a_refusal),
		WITH_DAEMON(events_see_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
