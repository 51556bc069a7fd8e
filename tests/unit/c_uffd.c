/* SPDX-License-Identifier: MIT
 *
 * What userfaultfd calls do with the kernel's answers (pmap/uffd.c). The kernel is the test.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include <linux/fs.h>
#include <linux/userfaultfd.h>

#include "base.h"
#include "lock.h"
#include "pager/uffd_compat.h"
#include "panics.h"
#include "pmap/uffd.h"

enum { UFFD = 1000, MEMFD = 1001, PAGE = 4096, ROOM = 256, TRIES = 64, PUNCH_TRIES = 8 };
#define AT 0x700000000000ull

/* Of fallocate, among the numbers of ioctl requests. */
#define PUNCH 1ul

struct answer {
	int error;     /* errno, or 0 */
	int64_t bytes; /* done, in the argument's result field; with neither: all of them */
};

struct made {
	unsigned long request;
	uint64_t address, bytes, mode;
};

static struct {
	struct answer answers[ROOM];
	unsigned answer_count, answered;
	struct answer otherwise; /* to calls behind the last of answers[] */
	struct made made[ROOM];
	unsigned made_count;
	int flags; /* of the memfd */
} kernel;

int __wrap_ioctl(int fd, unsigned long request, void *argument);
int __wrap_fallocate64(int fd, int mode, off_t offset, off_t bytes);

static void
note(unsigned long request, uint64_t address, uint64_t bytes, uint64_t mode)
{
	assert_true(kernel.made_count < ROOM);
	kernel.made[kernel.made_count++] = (struct made){ request, address, bytes, mode };
}

static int
answer(int64_t bytes, int64_t *result)
{
	struct answer a = kernel.answered < kernel.answer_count ? kernel.answers[kernel.answered++]
								: kernel.otherwise;

	if (result)
		*result = a.error || a.bytes ? a.bytes : bytes;
	errno = a.error;
	return a.error ? -1 : 0;
}

int
__wrap_ioctl(int fd, unsigned long request, void *argument)
{
	struct uffdio_copy *copy = argument;
	struct uffdio_zeropage *zero = argument;
	struct uffdio_continue *more = argument;
	struct uffdio_poison *poison = argument;
	struct uffdio_writeprotect *wp = argument;
	struct uffdio_range *range = argument;

	assert_int_equal(
	    fd, request == FS_IOC_GETFLAGS || request == FS_IOC_SETFLAGS ? MEMFD : UFFD);
	switch (request) {
	case UFFDIO_COPY:
		note(request, copy->dst, copy->len, copy->mode);
		return answer((int64_t)copy->len, (int64_t *)&copy->copy);
	case UFFDIO_ZEROPAGE:
		note(request, zero->range.start, zero->range.len, zero->mode);
		return answer((int64_t)zero->range.len, (int64_t *)&zero->zeropage);
	case UFFDIO_CONTINUE:
		note(request, more->range.start, more->range.len, more->mode);
		return answer((int64_t)more->range.len, (int64_t *)&more->mapped);
	case UFFDIO_POISON:
		note(request, poison->range.start, poison->range.len, poison->mode);
		return answer((int64_t)poison->range.len, (int64_t *)&poison->updated);
	case UFFDIO_WRITEPROTECT:
		note(request, wp->range.start, wp->range.len, wp->mode);
		return answer(0, NULL);
	case UFFDIO_WAKE:
		note(request, range->start, range->len, 0);
		errno = ESRCH; /* nobody looks */
		return -1;
	case FS_IOC_GETFLAGS:
		*(int *)argument = kernel.flags;
		return 0;
	case FS_IOC_SETFLAGS:
		kernel.flags = *(int *)argument;
		return 0;
	default:
		fail_msg("request %lx", request);
		return -1;
	}
}

int
__wrap_fallocate64(int fd, int mode, off_t offset, off_t bytes)
{
	assert_int_equal(fd, MEMFD);
	note(PUNCH, (uint64_t)offset, (uint64_t)bytes, (uint64_t)mode);
	if (kernel.flags & (FS_IMMUTABLE_FL | FS_APPEND_FL)) {
		errno = EPERM;
		return -1;
	}
	return answer(0, NULL);
}

static int
start(void **state)
{
	(void)state;
	memset(&kernel, 0, sizeof(kernel));
	return 0;
}

static void
answers(int error, int64_t bytes)
{
	kernel.answers[kernel.answer_count++] = (struct answer){ error, bytes };
}

/* From now on the kernel knows nothing of what was. */
static void
again(void)
{
	(void)start(NULL);
}

/* Call i was that one, for pages [page, page + pages). */
static void
made(unsigned i, unsigned long request, uint64_t page, uint64_t pages)
{
	assert_true(i < kernel.made_count);
	assert_int_equal(kernel.made[i].request, request);
	assert_int_equal(kernel.made[i].address, AT + page * PAGE);
	assert_int_equal(kernel.made[i].bytes, pages * PAGE);
}

/* --- filling --- */

static int
copy(uint64_t pages, size_t *ret_done)
{
	static char source[8 * PAGE];

	return uffd_copy(UFFD, AT, source, pages * PAGE, UFFD_MODE_WP, ret_done);
}

static void
filled_at_once(void **state)
{
	size_t done;
	(void)state;

	assert_int_equal(copy(4, &done), 0);
	assert_int_equal(done, 4 * PAGE);
	assert_int_equal(kernel.made_count, 1);
	made(0, UFFDIO_COPY, 0, 4);
	assert_int_equal(kernel.made[0].mode, UFFDIO_COPY_MODE_WP);
	assert_int_equal(uffd_zeropage(UFFD, AT, 2 * PAGE, 0, &done), 0);
	assert_int_equal(done, 2 * PAGE);
	made(1, UFFDIO_ZEROPAGE, 0, 2);
}

/* What is in place is not done again, and an error says how far it came. */
static void
filled_in_parts(void **state)
{
	size_t done;
	(void)state;

	answers(EAGAIN, PAGE);
	answers(EAGAIN, -EAGAIN);
	answers(0, 2 * PAGE);
	assert_int_equal(copy(4, &done), 0);
	assert_int_equal(done, 4 * PAGE);
	assert_int_equal(kernel.made_count, 4);
	made(0, UFFDIO_COPY, 0, 4);
	made(1, UFFDIO_COPY, 1, 3);
	made(2, UFFDIO_COPY, 1, 3);
	made(3, UFFDIO_COPY, 3, 1);
	again();
	answers(EAGAIN, PAGE);
	answers(EEXIST, -EEXIST);
	assert_int_equal(uffd_zeropage(UFFD, AT, 4 * PAGE, 0, &done), -EEXIST);
	assert_int_equal(done, PAGE);
	assert_int_equal(kernel.made_count, 2);
}

static void
filling_fails(void **state)
{
	static const int errors[] = { EEXIST, ENOENT, ESRCH, ENOMEM };
	size_t done;
	(void)state;

	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		again();
		answers(errors[i], -errors[i]);
		assert_int_equal(copy(2, &done), -errors[i]);
		assert_int_equal(done, 0);
		/* Here only errno says so. */
		answers(errors[i], 0);
		assert_int_equal(uffd_zeropage(UFFD, AT, PAGE, 0, &done), -errors[i]);
		assert_int_equal(done, 0);
		assert_int_equal(kernel.made_count, 2);
	}
}

/* An address space that changes all the time holds no thread without end. */
static void
tries_are_bounded(void **state)
{
	uint64_t before = uffd_retries();
	size_t done;
	(void)state;

	kernel.otherwise = (struct answer){ EAGAIN, -EAGAIN };
	assert_int_equal(copy(1, &done), -EAGAIN);
	assert_int_equal(uffd_zeropage(UFFD, AT, PAGE, 0, &done), -EAGAIN);
	assert_int_equal(uffd_continue(UFFD, AT, PAGE, 0), -EAGAIN);
	assert_int_equal(kernel.made_count, 3 * TRIES);
	kernel.made_count = 0;
	assert_int_equal(uffd_protect(UFFD, AT, PAGE, 0), -EAGAIN);
	assert_int_equal(uffd_poison(UFFD, AT, PAGE, 0), -EAGAIN);
	assert_int_equal(kernel.made_count, 2 * TRIES + 1); /* one wakes */
	assert_int_equal(uffd_retries() - before, 5 * TRIES);
}

/* Jobs wait until it has changed: no client is told EAGAIN. */
static void
patience(void **state)
{
	uint64_t before = uffd_retries();
	size_t done;
	(void)state;

	for (unsigned i = 0; i < TRIES; i++)
		answers(EAGAIN, 0);
	assert_int_equal(uffd_protect(UFFD, AT, PAGE, UFFD_MODE_PATIENT), 0);
	for (unsigned i = 0; i < TRIES; i++)
		answers(EAGAIN, -EAGAIN);
	assert_int_equal(uffd_zeropage(UFFD, AT, PAGE, UFFD_MODE_PATIENT, &done), 0);
	assert_int_equal(done, PAGE);
	assert_int_equal(kernel.made_count, 2 * TRIES + 2);
	assert_int_equal(uffd_retries() - before, 2 * TRIES);
	/* Another error ends it. */
	answers(EAGAIN, 0);
	answers(ESRCH, 0);
	assert_int_equal(uffd_protect(UFFD, AT, PAGE, UFFD_MODE_PATIENT), -ESRCH);
}

/* --- mapping --- */

/* A page that is mapped already is passed over, and its threads are woken after all. */
static void
mapped_already(void **state)
{
	(void)state;

	for (int mode = 0; mode <= UFFD_MODE_DONTWAKE; mode += UFFD_MODE_DONTWAKE) {
		again();
		answers(EAGAIN, PAGE);
		answers(EEXIST, -EEXIST);
		assert_int_equal(uffd_continue(UFFD, AT, 4 * PAGE, mode), 0);
		made(0, UFFDIO_CONTINUE, 0, 4);
		made(1, UFFDIO_CONTINUE, 1, 3);
		made(2, UFFDIO_CONTINUE, 2, 2);
		if (mode == 0)
			made(3, UFFDIO_WAKE, 0, 4);
		assert_int_equal(kernel.made_count, mode == 0 ? 4 : 3);
	}
}

static void
several_mappings(void **state)
{
	(void)state;

	answers(ENOENT, -ENOENT);
	answers(ENOENT, -ENOENT);
	answers(0, 0);
	answers(ENOENT, -ENOENT);
	assert_int_equal(uffd_continue(UFFD, AT, 3 * PAGE, 0), 0);
	assert_int_equal(kernel.made_count, 4);
	for (unsigned i = 0; i < 3; i++)
		made(1 + i, UFFDIO_CONTINUE, i, 1);
	/* None of it is mapped. */
	again();
	kernel.otherwise = (struct answer){ ENOENT, -ENOENT };
	assert_int_equal(uffd_continue(UFFD, AT, 3 * PAGE, 0), -ENOENT);
	assert_int_equal(kernel.made_count, 4);
	/* One page is not asked about twice. */
	again();
	answers(ENOENT, -ENOENT);
	assert_int_equal(uffd_continue(UFFD, AT, PAGE, 0), -ENOENT);
	assert_int_equal(kernel.made_count, 1);
	/* The process is gone: so is the rest. */
	again();
	answers(ENOENT, -ENOENT);
	answers(ESRCH, -ESRCH);
	assert_int_equal(uffd_continue(UFFD, AT, 3 * PAGE, 0), -ESRCH);
	assert_int_equal(kernel.made_count, 2);
	again();
	answers(EFAULT, -EFAULT);
	assert_int_equal(uffd_continue(UFFD, AT, 3 * PAGE, 0), -EFAULT);
	assert_int_equal(kernel.made_count, 1);
}

/* --- write protection --- */

static void
protecting_parts(void **state)
{
	(void)state;

	answers(EAGAIN, 0);
	assert_int_equal(uffd_protect(UFFD, AT, 3 * PAGE, 0), 0);
	assert_int_equal(kernel.made_count, 2);
	made(1, UFFDIO_WRITEPROTECT, 0, 3);
	assert_int_equal(kernel.made[1].mode, UFFDIO_WRITEPROTECT_MODE_WP);
	assert_int_equal(uffd_unprotect(UFFD, AT, PAGE), 0);
	assert_int_equal(kernel.made[2].mode, 0);
	/* The kernel has stopped at a part that is not registered: the others are done by
	 * themselves. */
	again();
	answers(ENOENT, 0);
	answers(0, 0);
	answers(ENOENT, 0);
	answers(0, 0);
	assert_int_equal(uffd_protect(UFFD, AT, 3 * PAGE, 0), 0);
	assert_int_equal(kernel.made_count, 4);
	for (unsigned i = 0; i < 3; i++)
		made(1 + i, UFFDIO_WRITEPROTECT, i, 1);
	again();
	answers(ENOENT, 0);
	answers(ESRCH, 0);
	assert_int_equal(uffd_protect(UFFD, AT, 3 * PAGE, 0), -ESRCH);
	assert_int_equal(kernel.made_count, 2);
}

/* --- poison --- */

static void
poison_beside_pages(void **state)
{
	(void)state;

	/* A page that is mapped stays readable. */
	answers(EEXIST, -EEXIST);
	assert_int_equal(uffd_poison(UFFD, AT, 2 * PAGE, 0), 0);
	assert_int_equal(kernel.made_count, 3);
	made(0, UFFDIO_POISON, 0, 1);
	made(1, UFFDIO_POISON, 1, 1);
	made(2, UFFDIO_WAKE, 0, 2);
	/* A marker goes, where nobody else can map; what is there then stays. */
	for (int still = 0; still < 2; still++) {
		again();
		answers(EEXIST, -EEXIST);
		answers(0, 0);
		if (still)
			answers(EEXIST, -EEXIST);
		assert_int_equal(uffd_poison(UFFD, AT, PAGE, UFFD_MODE_HELD), 0);
		assert_int_equal(kernel.made_count, 4);
		made(0, UFFDIO_POISON, 0, 1);
		made(1, UFFDIO_WRITEPROTECT, 0, 1);
		assert_int_equal(kernel.made[1].mode, 0);
		made(2, UFFDIO_POISON, 0, 1);
		made(3, UFFDIO_WAKE, 0, 1);
	}
}

static void
poison_fails(void **state)
{
	(void)state;

	/* A part without a mapping does not keep the rest from it. */
	answers(ENOENT, -ENOENT);
	assert_int_equal(uffd_poison(UFFD, AT, 2 * PAGE, 0), 0);
	made(1, UFFDIO_POISON, 1, 1);
	made(2, UFFDIO_WAKE, 0, 2);
	again();
	answers(ESRCH, -ESRCH);
	assert_int_equal(uffd_poison(UFFD, AT, 2 * PAGE, 0), -ESRCH);
	assert_int_equal(kernel.made_count, 2);
	made(1, UFFDIO_WAKE, 0, 2);
}

/* --- the memfd --- */

static void
punching(void **state)
{
	(void)state;

	answers(EINTR, 0);
	answers(EINTR, 0);
	assert_int_equal(uffd_punch(MEMFD, AT, 2 * PAGE), 0);
	assert_int_equal(kernel.made_count, 3);
	made(2, PUNCH, 0, 2);
	again();
	kernel.otherwise.error = EINTR;
	assert_int_equal(uffd_punch(MEMFD, AT, PAGE), -EINTR);
	assert_int_equal(kernel.made_count, PUNCH_TRIES);
	/* Root has made the file immutable: it is so no more. */
	again();
	kernel.flags = FS_IMMUTABLE_FL | FS_NOATIME_FL;
	assert_int_equal(uffd_punch(MEMFD, AT, PAGE), 0);
	assert_int_equal(kernel.made_count, 2);
	assert_int_equal(kernel.flags, FS_NOATIME_FL);
	/* It is another EPERM. */
	again();
	answers(EPERM, 0);
	assert_int_equal(uffd_punch(MEMFD, AT, PAGE), -EPERM);
	assert_int_equal(kernel.made_count, 1);
}

/* --- what is not allowed --- */

static void
part_of_a_page(void *argument)
{
	(void)argument;
	uffd_wake(UFFD, AT + 8, PAGE);
}

static void
nothing_at_all(void *argument)
{
	(void)argument;
	(void)uffd_protect(UFFD, AT, 0, 0);
}

static void
with_a_lock(void *argument)
{
	struct lock lock;

	(void)argument;
	lock_init(&lock, RANK_PAGEQ);
	lock_acquire(&lock);
	(void)uffd_protect(UFFD, AT, PAGE, 0);
}

static void
contracts(void **state)
{
	(void)state;

	assert_true(panics(part_of_a_page, NULL, "HW_PAGE"));
	assert_true(panics(nothing_at_all, NULL, "bytes > 0"));
	if (DEBUG_LEVEL >= 1)
		assert_true(panics(with_a_lock, NULL, "PAGEQ is held"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(filled_at_once, start),
		cmocka_unit_test_setup(filled_in_parts, start),
		cmocka_unit_test_setup(filling_fails, start),
		cmocka_unit_test_setup(tries_are_bounded, start),
		cmocka_unit_test_setup(patience, start),
		cmocka_unit_test_setup(mapped_already, start),
		cmocka_unit_test_setup(several_mappings, start),
		cmocka_unit_test_setup(protecting_parts, start),
		cmocka_unit_test_setup(poison_beside_pages, start),
		cmocka_unit_test_setup(poison_fails, start),
		cmocka_unit_test_setup(punching, start),
		cmocka_unit_test_setup(contracts, start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
