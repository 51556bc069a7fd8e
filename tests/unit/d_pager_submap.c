/* SPDX-License-Identifier: MIT
 *
 * libpager's calls on submaps: what reaches the daemon, what does not, and what becomes of
 * descriptors.
 */
#include <errno.h>
#include <sys/mman.h>

#include "d_test.h"

#define RW (PROT_READ | PROT_WRITE)

static unsigned
requests(struct d_fixture *d)
{
	return fake_requests(d->fake, PAGER_MSG_SUBMAP_CREATE) +
	       fake_requests(d->fake, PAGER_MSG_SUBMAP_CHANGE) +
	       fake_requests(d->fake, PAGER_MSG_SUBMAP_NAME);
}

/* What cannot be right is refused here, and leaves results alone. */
static void
arguments(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	uint64_t offset = 7 * FAKE_PAGE_SIZE + 1;
	int fd = -5, closed = dup(0);

	close(closed);
	assert_int_equal(pager_submap_create(p, 0, 0, &fd), -EINVAL);
	assert_int_equal(pager_submap_create(p, 1, 1, &fd), -EINVAL);
	assert_int_equal(pager_submap_create(p, UINT64_MAX, 0, &fd), -EINVAL);
	assert_int_equal(pager_submap_create(p, 1, 0, NULL), -EINVAL);
	assert_int_equal(pager_submap_name(p, 0, RW, NULL), -EINVAL);
	assert_int_equal(pager_submap_name(p, 0, RW | PROT_EXEC, &fd), -EINVAL);
	assert_int_equal(pager_submap_name(p, -1, RW, &fd), -EINVAL);
	assert_int_equal(pager_submap_name(p, closed, RW, &fd), -EBADF);
	assert_int_equal(pager_submap_allocate(p, 0, NULL, 1, RW, 0), -EINVAL);
	assert_int_equal(pager_submap_allocate(p, 0, &offset, 0, RW, 0), -EINVAL);
	assert_int_equal(pager_submap_allocate(p, 0, &offset, 1, RW | PROT_EXEC, 0), -EINVAL);
	assert_int_equal(pager_submap_allocate(p, 0, &offset, 1, RW, PAGER_ALLOC_FIXED), -EINVAL);
	assert_int_equal(pager_submap_allocate(p, closed, &offset, 1, RW, 0), -EBADF);
	assert_int_equal(pager_submap_deallocate(p, 0, 1, 1), -EINVAL);
	assert_int_equal(pager_submap_deallocate(p, 0, 0, SIZE_MAX), -EINVAL);
	assert_int_equal(pager_submap_protect(p, 0, 0, 1, PROT_EXEC), -EINVAL);
	assert_int_equal(pager_submap_protect(p, 0, 0, 0, RW), -EINVAL);
	assert_int_equal(pager_submap_create(NULL, 1, 0, &fd), -EINVAL);
	assert_int_equal(pager_submap_protect(NULL, 0, 0, 1, RW), -EINVAL);
	assert_int_equal(requests(d), 0);
	assert_int_equal(fd, -5);
	assert_int_equal(offset, 7 * FAKE_PAGE_SIZE + 1);
}

static void
expect_change(struct d_fixture *d, struct pager_req_submap_change want)
{
	struct pager_req_submap_change got = fake_submap_changed(d->fake);

	assert_memory_equal(&got, &want, sizeof(want));
}

/* Sizes are rounded up; flags, tag and alignment are where the protocol has them. */
static void
bodies(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	unsigned fds = fds_settled(d);
	uint64_t offset = 77;
	int fd, less;

	assert_int_equal(pager_submap_create(p, 5 * FAKE_PAGE_SIZE + 1, 0, &fd), 0);
	assert_int_equal(pager_submap_allocate(p, fd, &offset, 1, PROT_READ,
			     PAGER_ALLOC_ALIGNED(20) | PAGER_SUBMAP_TAG(200)),
	    0);
	assert_int_equal(offset, FAKE_PAGE_SIZE);
	expect_change(d, (struct pager_req_submap_change){ .size = FAKE_PAGE_SIZE,
			     .op = PAGER_SUBMAP_ALLOCATE,
			     .protection = PROT_READ,
			     .flags = PAGER_ALLOC_ALIGNED(20),
			     .tag = 200 });
	assert_int_equal(
	    pager_submap_allocate(p, fd, &offset, FAKE_PAGE_SIZE + 1, RW, PAGER_ALLOC_FIXED), 0);
	assert_int_equal(offset, 2 * FAKE_PAGE_SIZE);
	expect_change(d, (struct pager_req_submap_change){ .offset = FAKE_PAGE_SIZE,
			     .size = 2 * FAKE_PAGE_SIZE,
			     .op = PAGER_SUBMAP_ALLOCATE,
			     .protection = RW,
			     .flags = PAGER_ALLOC_FIXED });
	assert_int_equal(
	    pager_submap_protect(p, fd, FAKE_PAGE_SIZE, 1, PROT_NONE | PAGER_PROT_MAXIMUM), 0);
	expect_change(d, (struct pager_req_submap_change){ .offset = FAKE_PAGE_SIZE,
			     .size = FAKE_PAGE_SIZE,
			     .op = PAGER_SUBMAP_PROTECT,
			     .protection = PAGER_PROT_MAXIMUM });
	assert_int_equal(pager_submap_deallocate(p, fd, 0, FAKE_PAGE_SIZE), 0);
	expect_change(d, (struct pager_req_submap_change){
			     .size = FAKE_PAGE_SIZE, .op = PAGER_SUBMAP_DEALLOCATE });
	assert_int_equal(pager_submap_name(p, fd, PROT_READ | PAGER_SUBMAP_CHANGE, &less), 0);
	assert_int_equal(fake_submap_rights(d->fake), PROT_READ | PAGER_SUBMAP_CHANGE);
	assert_true(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(less, F_GETFD) == FD_CLOEXEC);
	close(fd);
	close(less);
	assert_int_equal(fds_settled(d), fds);
}

/* The daemon's refusals come through, and leave nothing. */
static void
refusals(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	uint64_t offset = 77;
	unsigned fds;
	int fd, less = -5;

	assert_int_equal(pager_submap_create(p, 1, 0, &fd), 0);
	fds = fds_settled(d);
	fake_fail_next(d->fake, PAGER_MSG_SUBMAP_CREATE, -ENOMEM);
	assert_int_equal(pager_submap_create(p, 1, 0, &less), -ENOMEM);
	fake_fail_next(d->fake, PAGER_MSG_SUBMAP_CHANGE, -EEXIST);
	assert_int_equal(pager_submap_allocate(p, fd, &offset, 1, RW, 0), -EEXIST);
	assert_int_equal(offset, 77);
	fake_fail_next(d->fake, PAGER_MSG_SUBMAP_NAME, -EACCES);
	assert_int_equal(pager_submap_name(p, fd, RW, &less), -EACCES);
	assert_int_equal(less, -5);
	assert_int_equal(fds_settled(d), fds);
	/* An answer that should bring a descriptor, and does not. */
	fake_mangle_next(d->fake, PAGER_MSG_SUBMAP_NAME, FAKE_MANGLE_NO_FD);
	assert_int_equal(pager_submap_name(p, fd, RW, &less), -EPROTO);
	assert_int_equal(pager_submap_protect(p, fd, 0, 1, RW), -ENOTCONN);
	assert_int_equal(less, -5);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(arguments, d_setup, d_teardown),
		cmocka_unit_test_setup_teardown(bodies, d_setup, d_teardown),
		cmocka_unit_test_setup_teardown(refusals, d_setup, d_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
