/* SPDX-License-Identifier: MIT
 *
 * libpager's kinds of allocation, and the attributes of ranges: after each call, also a refused
 * one, the kernel's mapping and the daemon's books say the same.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "d_test.h"

#define PAGE FAKE_PAGE_SIZE
#define RW   (PROT_READ | PROT_WRITE)

/* The next madvise of this thread fails. */
static _Thread_local bool madvise_fails;

int __real_madvise(void *address, size_t size, int advice);
int __wrap_madvise(void *address, size_t size, int advice);
int
__wrap_madvise(void *address, size_t size, int advice)
{
	if (madvise_fails) {
		madvise_fails = false;
		errno = ENOMEM;
		return -1;
	}
	return __real_madvise(address, size, advice);
}

/* --- what the kernel lets a thread do --- */

static sigjmp_buf back;

static void
on_fault(int signal)
{
	siglongjmp(back, signal);
}

/* Reads the byte, or writes it without changing it. => 0 or the signal */
static int
touch(volatile char *byte, bool write)
{
	struct sigaction action = { .sa_handler = on_fault }, old;
	int signal;

	sigaction(SIGSEGV, &action, &old);
	signal = sigsetjmp(back, 1);
	if (signal == 0) {
		char value = *byte;

		if (write)
			*byte = value;
	}
	sigaction(SIGSEGV, &old, NULL);
	return signal;
}

/* Each page of `count` from a on can be used as the protection says, and the page before and the
 * page behind for everything. */
static void
check_mapping(char *a, size_t first, size_t count, int protection)
{
	for (size_t i = first - 1; i <= first + count; i++) {
		int may = i < first || i == first + count ? RW : protection;

		assert_int_equal(touch(a + i * PAGE, false), may & PROT_READ ? 0 : SIGSEGV);
		assert_int_equal(touch(a + i * PAGE, true), may & PROT_WRITE ? 0 : SIGSEGV);
	}
}

static uint32_t
protection_of(struct pager *p, const void *address)
{
	struct pager_region_info info;

	assert_int_equal(pager_region(p, address, &info), 0);
	return info.protection;
}

static void
protect(void **state)
{
	static const int protections[] = { PROT_READ, PROT_NONE, RW, PROT_READ, RW, PROT_NONE,
		PROT_READ };
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	char *a;
	void *v;

	assert_int_equal(pager_allocate(p, 10 * PAGE, 0, &v), 0);
	a = v;
	for (size_t i = 0; i < 10; i++)
		a[i * PAGE] = (char)(i + 1);
	for (size_t i = 0; i < sizeof(protections) / sizeof(protections[0]); i++) {
		assert_int_equal(pager_protect(p, a + 3 * PAGE, 4 * PAGE, protections[i]), 0);
		assert_int_equal(protection_of(p, a + 3 * PAGE), protections[i]);
		check_mapping(a, 3, 4, protections[i]);
	}
	/* The daemon refuses: the mapping is as it was. */
	fake_fail_next(d->fake, PAGER_MSG_PROTECT, -EACCES);
	assert_int_equal(pager_protect(p, a + 3 * PAGE, 4 * PAGE, RW), -EACCES);
	check_mapping(a, 3, 4, PROT_READ);
	/* The kernel refuses: the daemon is not asked. */
	madvise_fails = true;
	assert_int_equal(pager_protect(p, a + 3 * PAGE, 4 * PAGE, RW), -ENOMEM);
	assert_int_equal(protection_of(p, a + 3 * PAGE), PROT_READ);
	check_mapping(a, 3, 4, PROT_READ);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_PROTECT), 8);
	/* The daemon keeps what was to be given back: with its protection. */
	fake_fail_next(d->fake, PAGER_MSG_DEALLOCATE, -ENOMEM);
	assert_int_equal(pager_deallocate(p, a + 2 * PAGE, 6 * PAGE), -ENOMEM);
	check_mapping(a, 3, 4, PROT_READ);
	/* A maximum: what is left of the protection comes from the daemon. */
	assert_int_equal(pager_protect(p, a + 3 * PAGE, 4 * PAGE, RW), 0);
	assert_int_equal(
	    pager_protect(p, a + 3 * PAGE, 4 * PAGE, PROT_READ | PAGER_PROT_MAXIMUM), 0);
	check_mapping(a, 3, 4, PROT_READ);
	for (size_t i = 0; i < 10; i++)
		assert_int_equal(a[i * PAGE], i + 1);
	/* Wiring reads what may only be read. */
	assert_int_equal(pager_wire(p, a, 10 * PAGE), 0);
	assert_int_equal(pager_deallocate(p, a, 10 * PAGE), 0);
	assert_int_equal(fake_strays(d->fake), 0);
	assert_int_equal(fake_range_errors(d->fake), 0);
}

/* What the program has mapped in the place of managed memory keeps its own protection. */
static void
protect_leaves_foreign_mappings(void **state)
{
	struct d_fixture *d = *state;
	char *a, *own;
	void *v;

	assert_int_equal(pager_allocate(d->pager, 10 * PAGE, 0, &v), 0);
	a = v;
	own = mmap(a + 4 * PAGE, PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	assert_ptr_equal(own, a + 4 * PAGE);
	assert_int_equal(pager_protect(d->pager, a, 10 * PAGE, PROT_READ), 0);
	assert_int_equal(touch(a + 3 * PAGE, true), SIGSEGV);
	assert_int_equal(touch(own, true), 0);
	assert_int_equal(touch(a + 5 * PAGE, true), SIGSEGV);
	assert_int_equal(pager_deallocate(d->pager, a, 10 * PAGE), 0);
	assert_int_equal(touch(own, true), 0);
	munmap(own, PAGE);
}

static void
arguments(void **state)
{
	static const unsigned bad[] = { 128, 1u << 23, PAGER_ALLOC_ALIGNED(47),
		PAGER_ALLOC_ALIGNED(255), PAGER_ALLOC_FIXED | PAGER_ALLOC_ALIGNED(13) };
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	char *a, *own = malloc(PAGE);
	void *v;

	assert_int_equal(pager_allocate(p, 4 * PAGE, 0, &v), 0);
	a = v;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(pager_allocate(p, PAGE, bad[i], &v), -EINVAL);
	v = NULL;
	assert_int_equal(pager_allocate(p, PAGE, PAGER_ALLOC_FIXED, &v), -EINVAL);
	v = a + 1;
	assert_int_equal(pager_allocate(p, PAGE, PAGER_ALLOC_FIXED, &v), -EINVAL);
	v = (void *)(UINTPTR_MAX - PAGE + 1);
	assert_int_equal(pager_allocate(p, PAGE, PAGER_ALLOC_FIXED, &v), -ENOMEM);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_ALLOCATE), 1);
	assert_int_equal(pager_protect(p, a, PAGE, 8), -EINVAL);
	assert_int_equal(pager_protect(p, a, PAGE, PAGER_PROT_MAXIMUM << 1), -EINVAL);
	assert_int_equal(pager_protect(p, a, PAGE, -1), -EINVAL);
	assert_int_equal(pager_protect(p, a, 0, PROT_READ), -EINVAL);
	assert_int_equal(pager_protect(p, a, 5 * PAGE, PROT_READ), -EINVAL);
	assert_int_equal(pager_protect(p, own, PAGE, PROT_READ), -EINVAL);
	assert_int_equal(pager_inherit(p, a, PAGE, 3), -EINVAL);
	assert_int_equal(pager_inherit(p, a + 1, PAGE, PAGER_INHERIT_NONE), -EINVAL);
	assert_int_equal(pager_tag(p, a, PAGE, PAGER_TAG_MAX + 1), -EINVAL);
	assert_int_equal(pager_tag(p, own, PAGE, 1), -EINVAL);
	assert_int_equal(pager_tag(NULL, a, PAGE, 1), -EINVAL);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_PROTECT), 0);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_INHERIT), 0);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_TAG), 0);
	assert_int_equal(pager_inherit(p, a, 4 * PAGE, PAGER_INHERIT_NONE), 0);
	assert_int_equal(pager_tag(p, a, 4 * PAGE, PAGER_TAG_MAX), 0);
	free(own);
}

static int
fixed(struct pager *p, char *at, size_t size)
{
	void *v = at;
	int r = pager_allocate(p, size, PAGER_ALLOC_FIXED, &v);

	assert_ptr_equal(v, at);
	return r;
}

static void
fixed_addresses(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	char *around, *hole, *a;
	void *v;

	/* Outside of all windows, between mappings of the program. */
	around = mmap(NULL, 30 * PAGE, RW, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	hole = around + 10 * PAGE;
	hole[10 * PAGE] = 7;
	munmap(hole, 10 * PAGE);
	assert_int_equal(fixed(p, hole, 11 * PAGE), -EEXIST); /* the eleventh is the program's */
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_ALLOCATE), 0);
	assert_int_equal(fixed(p, hole, 10 * PAGE), 0);
	memset(hole, 1, 10 * PAGE);
	assert_int_equal(fixed(p, hole, 10 * PAGE), -EEXIST);
	assert_int_equal(fixed(p, hole + 9 * PAGE, PAGE), -EEXIST);
	assert_int_equal(hole[10 * PAGE], 7);
	assert_int_equal(pager_deallocate(p, hole + 2 * PAGE, 4 * PAGE), 0);
	assert_int_equal(touch(hole + 2 * PAGE, false), SIGSEGV);
	assert_int_equal(fixed(p, hole + 3 * PAGE, 2 * PAGE), 0);
	assert_int_equal(hole[3 * PAGE], 0);
	assert_int_equal(pager_deallocate(p, hole + 3 * PAGE, 2 * PAGE), 0);
	/* Refused by the daemon: the addresses are free as before. */
	fake_fail_next(d->fake, PAGER_MSG_ALLOCATE, -ENOMEM);
	assert_int_equal(fixed(p, hole + 2 * PAGE, 4 * PAGE), -ENOMEM);
	assert_int_equal(fixed(p, hole + 2 * PAGE, 4 * PAGE), 0);
	assert_int_equal(pager_deallocate(p, hole, 10 * PAGE), 0);
	munmap(around, 30 * PAGE);
	/* In a window of the library's. */
	assert_int_equal(pager_allocate(p, 10 * PAGE, 0, &v), 0);
	a = v;
	assert_int_equal(fixed(p, a + 4 * PAGE, PAGE), -EEXIST);
	assert_int_equal(pager_deallocate(p, a + 4 * PAGE, 2 * PAGE), 0);
	assert_int_equal(fixed(p, a + 4 * PAGE, 3 * PAGE), -EEXIST);
	assert_int_equal(fixed(p, a + 5 * PAGE, PAGE), 0);
	assert_int_equal(fixed(p, a + 100 * PAGE, PAGE), 0); /* far behind the last one */
	a[100 * PAGE] = 1;
	assert_int_equal(pager_allocate(p, PAGE, 0, &v), 0);
	assert_ptr_equal(v, a + 4 * PAGE);
	/* From within a window to beyond it. */
	assert_int_equal(fixed(p, a + 101 * PAGE, (size_t)1 << 30), -EEXIST);
	assert_int_equal(fake_strays(d->fake), 0);
	assert_int_equal(fake_range_errors(d->fake), 0);
}

static void
aligned_addresses(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	char *first, *last;
	void *v;

	assert_int_equal(pager_allocate(p, PAGE, 0, &v), 0);
	first = v;
	for (unsigned log2 = 1; log2 <= 28; log2++) {
		assert_int_equal(pager_allocate(p, PAGE, PAGER_ALLOC_ALIGNED(log2), &v), 0);
		assert_int_equal((uintptr_t)v & ((1ull << log2) - 1), 0);
		*(char *)v = (char)log2;
	}
	assert_int_equal(pager_allocate(p, (size_t)65 << 20, PAGER_ALLOC_ALIGNED(30), &v), 0);
	assert_int_equal((uintptr_t)v & ((1ull << 30) - 1), 0);
	last = v;
	last[(64 << 20)] = 1;
	assert_int_equal(pager_deallocate(p, last, (size_t)65 << 20), 0);
	/* What was passed over is used by others. */
	assert_int_equal(pager_allocate(p, 2 * PAGE, 0, &v), 0);
	assert_true((char *)v > first && (char *)v < first + 64 * PAGE);
	assert_int_equal(fake_range_errors(d->fake), 0);
}

static void
wired_or_nothing(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	unsigned requests;
	void *v = NULL;
	char *a;

	assert_int_equal(pager_allocate(p, 16 * PAGE, PAGER_ALLOC_WIRED, &v), 0);
	assert_int_equal(fake_missing(d->fake), 16);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_WIRE), 1);
	a = v;
	a[15 * PAGE] = 1;
	assert_int_equal(fake_missing(d->fake) + fake_minor(d->fake), 16);
	/* The limit on wired memory. */
	fake_fail_next(d->fake, PAGER_MSG_WIRE, -EAGAIN);
	v = NULL;
	assert_int_equal(pager_allocate(p, 4 * PAGE, PAGER_ALLOC_WIRED, &v), -EAGAIN);
	assert_null(v);
	assert_int_equal(fake_allocated_bytes(d->fake), 16 * PAGE);
	assert_int_equal(touch(a + 16 * PAGE, false), SIGSEGV);
	/* The daemon does not take it back at once: it is asked again. */
	requests = fake_requests(d->fake, PAGER_MSG_DEALLOCATE);
	fake_fail_next(d->fake, PAGER_MSG_WIRE, -EAGAIN);
	fake_fail_next(d->fake, PAGER_MSG_DEALLOCATE, -ENOMEM);
	assert_int_equal(pager_allocate(p, 4 * PAGE, PAGER_ALLOC_WIRED, &v), -EAGAIN);
	assert_int_equal(fake_allocated_bytes(d->fake), 20 * PAGE);
	assert_int_equal(pager_allocate(p, PAGE, 0, &v), 0);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_DEALLOCATE), requests + 2);
	assert_int_equal(fake_allocated_bytes(d->fake), 17 * PAGE);
	assert_int_equal(fake_strays(d->fake), 0);
}

#define WITH_DAEMON(name) cmocka_unit_test_setup_teardown(name, d_setup, d_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_DAEMON(protect),
		WITH_DAEMON(protect_leaves_foreign_mappings),
		WITH_DAEMON(arguments),
		WITH_DAEMON(fixed_addresses),
		WITH_DAEMON(aligned_addresses),
		WITH_DAEMON(wired_or_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
