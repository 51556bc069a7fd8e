/* SPDX-License-Identifier: MIT
 *
 * libpager while the kernel refuses: the n-th system call of a scenario fails, for each n until
 * none does; then the same with all that follow in the same library call failing too. After each
 * call exactly the memory that the program believes to have is there, with its content, and the
 * daemon's records agree.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "d_test.h"

#define PAGE  FAKE_PAGE_SIZE
#define LARGE ((size_t)64 << 20)

static struct {
	atomic_bool armed; /* a call of the library is under way */
	atomic_bool go_on; /* all later system calls in the same library call fail as well */
	atomic_bool
	    full;        /* nothing is mapped any more: the process has more mappings than it may */
	atomic_int left; /* system calls until the one that fails */
	atomic_uint failed; /* in this scenario */
	atomic_int stolen; /* a descriptor that another file takes when a thread is made; 0: none */
	pid_t main;
} fault;

/* Only the library's: the fake daemon lives in this process. */
static bool
is_librarys(void)
{
	char name[16] = "";

	if (gettid() == fault.main)
		return true;
	prctl(PR_GET_NAME, name);
	return strncmp(name, "pager-", 6) == 0;
}

static bool
fails(int error)
{
	int left;

	if (!atomic_load(&fault.armed) || !is_librarys())
		return false;
	left = atomic_fetch_sub(&fault.left, 1);
	if (left > 0 || (left < 0 && !(atomic_load(&fault.go_on) && atomic_load(&fault.failed))))
		return false;
	atomic_fetch_add(&fault.failed, 1);
	errno = error;
	return true;
}

void *__real_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *
__wrap_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (atomic_load(&fault.full) && is_librarys()) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return fails(ENOMEM) ? MAP_FAILED
			     : __real_mmap64(address, size, protection, flags, fd, offset);
}

int __real_munmap(void *address, size_t size);
int __wrap_munmap(void *address, size_t size);
int
__wrap_munmap(void *address, size_t size)
{
	return fails(ENOMEM) ? -1 : __real_munmap(address, size);
}

int __real_mprotect(void *address, size_t size, int protection);
int __wrap_mprotect(void *address, size_t size, int protection);
int
__wrap_mprotect(void *address, size_t size, int protection)
{
	return fails(ENOMEM) ? -1 : __real_mprotect(address, size, protection);
}

int __real_madvise(void *address, size_t size, int advice);
int __wrap_madvise(void *address, size_t size, int advice);
int
__wrap_madvise(void *address, size_t size, int advice)
{
	return fails(EAGAIN) ? -1 : __real_madvise(address, size, advice);
}

int __real_ioctl(int fd, unsigned long request, void *argument);
int __wrap_ioctl(int fd, unsigned long request, void *argument);
int
__wrap_ioctl(int fd, unsigned long request, void *argument)
{
	return fails(ENOMEM) ? -1 : __real_ioctl(fd, request, argument);
}

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int
__wrap_socket(int domain, int type, int protocol)
{
	return fails(EMFILE) ? -1 : __real_socket(domain, type, protocol);
}

int __real_eventfd(unsigned value, int flags);
int __wrap_eventfd(unsigned value, int flags);
int
__wrap_eventfd(unsigned value, int flags)
{
	return fails(EMFILE) ? -1 : __real_eventfd(value, flags);
}

int __real_pthread_create(
    pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);
int __wrap_pthread_create(
    pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);
int
__wrap_pthread_create(
    pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
	int stolen = atomic_exchange(&fault.stolen, 0), other;

	if (stolen > 0) {
		other = __real_eventfd(0, EFD_CLOEXEC);
		dup2(other, stolen);
		close(other);
	}
	return fails(EAGAIN) ? EAGAIN : __real_pthread_create(thread, attributes, run, argument);
}

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long
__wrap_syscall(long number, ...)
{
	va_list list;
	long a[6];

	va_start(list, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(list, long);
	va_end(list);
	return (number == SYS_close_range || number == SYS_ioctl) && fails(ENOMEM)
		   ? -1
		   : __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

/* A call of the library, during which the chosen system calls fail. */
#define CALL(call)                                                                                 \
	({                                                                                         \
		int call_result;                                                                   \
		atomic_store(&fault.armed, true);                                                  \
		call_result = (call);                                                              \
		atomic_store(&fault.armed, false);                                                 \
		call_result;                                                                       \
	})

#define PIECES 6
struct scenario {
	struct d_fixture *d;
	struct {
		unsigned char *memory;
		size_t bytes;
	} pieces[PIECES];
	uint64_t others; /* bytes that the daemon knows besides: owed */
};

static bool
is_written(const unsigned char *memory, size_t bytes, unsigned char value)
{
	for (size_t i = 0; i<bytes; i += bytes> LARGE / 2 ? LARGE / 16 : 1)
		if (memory[i] != value)
			return false;
	return true;
}

static void
write_piece(unsigned char *memory, size_t bytes, unsigned char value)
{
	for (size_t i = 0; i<bytes; i += bytes> LARGE / 2 ? LARGE / 16 : 1)
		memory[i] = value;
}

/* The program and the daemon agree on the memory, and its content is unchanged. */
static void
look(struct scenario *s)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < PIECES; i++) {
		if (!s->pieces[i].memory)
			continue;
		bytes += s->pieces[i].bytes;
		assert_true(
		    is_written(s->pieces[i].memory, s->pieces[i].bytes, (unsigned char)(i + 1)));
		write_piece(s->pieces[i].memory, s->pieces[i].bytes, (unsigned char)(i + 1));
	}
	assert_int_equal(fake_allocated_bytes(s->d->fake), bytes + s->others);
}

static void
get(struct scenario *s, unsigned i, size_t bytes)
{
	void *v = NULL;
	int r = CALL(pager_allocate(s->d->pager, bytes, 0, &v));

	s->others = 0; /* settled first */
	if (r < 0) {
		assert_true(r == -ENOMEM || r == -EAGAIN);
		assert_null(v);
		look(s);
		r = pager_allocate(s->d->pager, bytes, 0, &v); /* now it can */
	}
	assert_int_equal(r, 0);
	s->pieces[i].memory = v;
	s->pieces[i].bytes = bytes;
	assert_true(is_written(v, bytes, 0));
	write_piece(v, bytes, (unsigned char)(i + 1));
	look(s);
}

/* The first bytes of a piece. */
static void
put(struct scenario *s, unsigned i, size_t bytes, int refusal)
{
	unsigned char *memory = s->pieces[i].memory;
	int r;

	if (refusal)
		fake_fail_next(s->d->fake, PAGER_MSG_DEALLOCATE, refusal);
	r = CALL(pager_deallocate(s->d->pager, memory, bytes));
	s->others = 0;
	fake_fail_next(s->d->fake, PAGER_MSG_DEALLOCATE, 0); /* if it has not come that far */
	if (r == -ENOMEM) {
		look(s);
		r = pager_deallocate(s->d->pager, memory, bytes);
	} else if (r == -EIO) { /* could not be opened again: out of reach, and to be told to the
				   daemon yet */
		s->others = bytes;
		r = 0;
	}
	assert_int_equal(r, 0);
	s->pieces[i].memory = bytes < s->pieces[i].bytes ? memory + bytes : NULL;
	s->pieces[i].bytes -= bytes;
	look(s);
}

static void
play(struct scenario *s)
{
	get(s, 0, 4 * PAGE);
	get(s, 1, PAGE);
	get(s, 2, LARGE);
	put(s, 0, PAGE, 0); /* parts a region */
	get(s, 3, PAGE);
	put(s, 0, PAGE, -ENOMEM);
	put(s, 2, LARGE, 0);
	get(s, 4, 2 * PAGE);
	put(s, 1, PAGE, 0);
	for (unsigned i = 0; i < PIECES; i++)
		if (s->pieces[i].memory)
			put(s, i, s->pieces[i].bytes, 0);
	get(s, 5, PAGE);
	put(s, 5, PAGE, 0);
	assert_int_equal(s->others, 0);
	assert_int_equal(fake_allocated_bytes(s->d->fake), 0);
	assert_int_equal(fake_range_errors(s->d->fake), 0);
	assert_int_equal(fake_strays(s->d->fake), 0);
}

static void
sweep(bool go_on)
{
	unsigned n = 0;

	for (;; n++) {
		struct scenario s = { 0 };
		void *fixture;

		assert_int_equal(d_setup(&fixture), 0);
		s.d = fixture;
		atomic_store(&fault.go_on, go_on);
		atomic_store(&fault.failed, 0);
		atomic_store(&fault.left, (int)n);
		play(&s);
		assert_int_equal(d_teardown(&fixture), 0);
		if (atomic_load(&fault.failed) == 0)
			break;
	}
	print_message("%u system calls\n", n);
	assert_true(n > 30);
}

static void
one_call_fails(void **state)
{
	sweep(false);
}

static void
all_further_calls_fail(void **state)
{
	sweep(true);
}

/* A process above vm.max_map_count can map nothing but can unmap: freed memory must reduce its
 * number of mappings. */
static void
over_the_limit(void **state)
{
	struct d_fixture *d = *state;
	unsigned char vec, *a;
	void *v, *none = NULL;

	assert_int_equal(pager_allocate(d->pager, 9 * PAGE, 0, &v), 0);
	a = v;
	memset(a, 5, 9 * PAGE);
	for (size_t i = 1; i < 9; i += 2)
		assert_int_equal(pager_deallocate(d->pager, a + i * PAGE, PAGE), 0);
	atomic_store(&fault.full, true);
	assert_int_equal(pager_allocate(d->pager, PAGE, 0, &none), -ENOMEM);
	assert_int_equal(pager_allocate(d->pager, LARGE, 0, &none), -ENOMEM);
	assert_int_equal(fake_allocated_bytes(d->fake), 5 * PAGE);
	for (size_t i = 0; i < 8; i += 2) {
		assert_int_equal(pager_deallocate(d->pager, a + i * PAGE, PAGE), 0);
		assert_int_equal(mincore(a + i * PAGE, PAGE, &vec), -1); /* one mapping less */
	}
	atomic_store(&fault.full, false);
	assert_int_equal(fake_allocated_bytes(d->fake), PAGE);
	assert_int_equal(a[8 * PAGE], 5);
	/* The addresses are anybody's now, and not given out. */
	for (int i = 0; i < 20; i++) {
		assert_int_equal(pager_allocate(d->pager, PAGE, 0, &v), 0);
		assert_int_equal(*(unsigned char *)v, 0);
		for (size_t k = 0; k < 8; k += 2)
			assert_ptr_not_equal(v, a + k * PAGE);
	}
	assert_int_equal(fake_range_errors(d->fake), 0);
}

static void
connect_fails(void **state)
{
	struct d_fixture *d = *state;
	struct pager_options options = {
		.size = sizeof(options), .event = d_event, .event_context = d
	};
	unsigned n = 0, before = fds_settled(d);
	int r = -1;

	for (atomic_store(&fault.go_on, false); r < 0; n++) {
		struct pager *p = NULL;
		void *v;

		atomic_store(&fault.failed, 0);
		atomic_store(&fault.left, (int)n);
		r = CALL(pager_connect(fake_socket(d->fake), &options, &p));
		assert_true(r == 0 || r == -ENOMEM || r == -EMFILE);
		assert_true((r == 0) == (p != NULL));
		if (r == 0 && atomic_load(&fault.failed) > 0)
			r = -1; /* it did without */
		if (p) {
			assert_int_equal(pager_allocate(p, PAGE, 0, &v), 0);
			assert_int_equal(*(char *)v, 0);
			assert_int_equal(pager_disconnect(p), 0);
		}
		WAIT_UNTIL(fake_sessions(d->fake) == 1);
		WAIT_UNTIL(fds_open() == before); /* no descriptor is left behind */
	}
	print_message("%u system calls\n", n);
	assert_true(n > 6);
	assert_int_equal(atomic_load(&d->died), 0);
}

/* The program closes the connection's socket and opens a file of its own in its place, before
 * the keeper has its table: the keeper neither keeps that file open nor takes it for the daemon. */
static void
connect_is_robbed(void **state)
{
	struct d_fixture *d = *state;
	unsigned before = fds_settled(d);
	struct pager *p = NULL;
	int next = dup(0);

	close(next);
	atomic_store(&fault.stolen, next); /* the socket gets it: the lowest that is free */
	assert_int_equal(pager_connect(fake_socket(d->fake), NULL, &p), -EBADF);
	assert_null(p);
	assert_int_equal(atomic_load(&fault.stolen), 0);
	WAIT_UNTIL(fake_sessions(d->fake) == 1);
	assert_int_equal(close(next), 0);
	WAIT_UNTIL(fds_open() == before); /* no descriptor is left behind */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_call_fails),
		cmocka_unit_test(all_further_calls_fail),
		cmocka_unit_test_setup_teardown(over_the_limit, d_setup, d_teardown),
		cmocka_unit_test_setup_teardown(connect_fails, d_setup, d_teardown),
		cmocka_unit_test_setup_teardown(connect_is_robbed, d_setup, d_teardown),
	};

	fault.main = gettid();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
