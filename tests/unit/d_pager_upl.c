/* SPDX-License-Identifier: MIT
 *
 * libpager's calls on page lists: what reaches the daemon, what does not, and what becomes of
 * descriptors and memory.
 */
#include <errno.h>
#include <sys/mman.h>

#include "d_test.h"

enum { PAGES = 5, BYTES = PAGES * FAKE_PAGE_SIZE };

static unsigned char *
memory(struct d_fixture *d)
{
	void *base;

	assert_int_equal(pager_allocate(d->pager, BYTES, 0, &base), 0);
	return base;
}

static unsigned
requests(struct d_fixture *d)
{
	return fake_requests(d->fake, PAGER_MSG_UPL_CREATE) +
	       fake_requests(d->fake, PAGER_MSG_UPL_FINISH);
}

static struct pager_upl_info
info_of(struct pager_upl *u)
{
	struct pager_upl_info info;

	assert_int_equal(pager_upl_info(u, &info), 0);
	return info;
}

/* What cannot be right is refused here, and leaves results alone. */
static void
arguments(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	unsigned char *base = memory(d), byte = 1;
	struct pager_upl *u = NULL;
	uint64_t offset, size;
	int fd = -5;

	assert_int_equal(pager_upl_create(p, base, 0, 0, &u), -EINVAL);
	assert_int_equal(pager_upl_create(p, base + 1, 1, 0, &u), -EINVAL);
	assert_int_equal(pager_upl_create(p, base, 1, 512, &u), -EINVAL);
	assert_int_equal(pager_upl_create(p, base, 1, 0, NULL), -EINVAL);
	assert_int_equal(pager_upl_create(NULL, base, 1, 0, &u), -EINVAL);
	assert_int_equal(pager_upl_destroy(NULL), 0);
	assert_int_equal(pager_upl_commit(NULL, 0, NULL), -EINVAL);
	assert_int_equal(requests(d), 0);
	assert_null(u);
	assert_int_equal(pager_upl_create(p, base, BYTES, PAGER_UPL_COPYOUT_FROM, &u), 0);
	assert_int_equal(pager_upl_info(u, NULL), -EINVAL);
	assert_int_equal(pager_upl_write(u, 0, &byte, 1), -EINVAL);
	assert_int_equal(pager_upl_read(u, BYTES, &byte, 1), -EINVAL);
	assert_int_equal(pager_upl_read(u, BYTES - 1, &byte, 2), -EINVAL);
	assert_int_equal(pager_upl_read(u, UINT64_MAX, &byte, 2), -EINVAL);
	assert_int_equal(pager_upl_piece(u, BYTES, &fd, &offset, &size), -EINVAL);
	assert_int_equal(pager_upl_piece(u, 0, NULL, &offset, &size), -EINVAL);
	assert_int_equal(pager_upl_commit_range(u, 1, FAKE_PAGE_SIZE, 0, NULL), -EINVAL);
	assert_int_equal(pager_upl_commit_range(u, 0, BYTES + FAKE_PAGE_SIZE, 0, NULL), -EINVAL);
	assert_int_equal(pager_upl_abort(u, PAGER_UPL_ABORT_NOTIFY_EMPTY, NULL), -EINVAL);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_UPL_FINISH), 0);
	assert_int_equal(fd, -5);
	assert_int_equal(pager_upl_destroy(u), 0);
}

/* What a list is of, and that its pages are handed back as they were asked to be. */
static void
bodies(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	unsigned char *base = memory(d);
	unsigned fds = fds_settled(d);
	struct pager_req_upl_finish finish;
	uint64_t offset, size, word = 0;
	struct pager_upl *u;
	int fd, empty = -1;

	assert_int_equal(pager_upl_create(p, base, BYTES - 1,
			     PAGER_UPL_RET_ONLY_ABSENT | PAGER_UPL_SET_INTERNAL, &u),
	    0);
	assert_ptr_equal(info_of(u).addr, base);
	assert_int_equal(info_of(u).size_bytes, BYTES);
	assert_int_equal(info_of(u).page_count, PAGES);
	assert_int_equal(info_of(u).pages_held, PAGES);
	for (unsigned i = 0; i < PAGES; i++)
		assert_int_equal(info_of(u).pages[i], PAGER_UPL_PAGE_HELD | PAGER_UPL_PAGE_ABSENT);
	assert_int_equal(fds_settled(d), fds + 1);
	assert_int_equal(pager_upl_write(u, FAKE_PAGE_SIZE, "content", 7), 0);
	assert_int_equal(pager_upl_read(u, FAKE_PAGE_SIZE + 1, &word, 6), 0);
	assert_memory_equal(&word, "ontent", 6);
	assert_int_equal(pager_upl_piece(u, FAKE_PAGE_SIZE + 3, &fd, &offset, &size), 0);
	assert_int_equal(size, 4 * FAKE_PAGE_SIZE - 3);
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(pager_upl_commit_range(u, FAKE_PAGE_SIZE, FAKE_PAGE_SIZE,
			     PAGER_UPL_COMMIT_SET_DIRTY | PAGER_UPL_COMMIT_NOTIFY_EMPTY, &empty),
	    0);
	finish = fake_list_finished(d->fake);
	assert_int_equal(finish.what, PAGER_WIRE_UPL_COMMIT);
	assert_int_equal(finish.offset, FAKE_PAGE_SIZE);
	assert_int_equal(finish.size, FAKE_PAGE_SIZE);
	assert_int_equal(finish.flags, PAGER_UPL_COMMIT_SET_DIRTY | PAGER_UPL_COMMIT_NOTIFY_EMPTY);
	assert_int_equal(info_of(u).pages[1], PAGER_UPL_PAGE_ABSENT);
	assert_int_equal(pager_upl_read(u, FAKE_PAGE_SIZE, &word, 1), -EINVAL);
	assert_int_equal(pager_upl_read(u, 0, &word, FAKE_PAGE_SIZE + 1), -EINVAL);
	assert_int_equal(pager_upl_piece(u, 0, &fd, &offset, &size), 0);
	assert_int_equal(size, FAKE_PAGE_SIZE);
	/* With the last page the list goes, and what it has. */
	assert_int_equal(pager_upl_abort(u, PAGER_UPL_ABORT_FREE_ON_EMPTY, &empty), 0);
	assert_int_equal(empty, 1);
	finish = fake_list_finished(d->fake);
	assert_int_equal(finish.what, PAGER_WIRE_UPL_ABORT);
	assert_int_equal(finish.size, BYTES);
	assert_int_equal(fds_settled(d), fds);
	/* The type alone takes nothing. */
	assert_int_equal(pager_upl_create(p, base, BYTES, PAGER_UPL_QUERY_OBJECT_TYPE, &u), 0);
	assert_int_equal(info_of(u).object_type, PAGER_UPL_PHYS_CONTIG);
	assert_int_equal(fds_settled(d), fds);
	assert_int_equal(pager_upl_commit(u, 0, NULL), -EINVAL);
	assert_int_equal(pager_upl_destroy(u), 0);
}

/* A frame is lacking: a page is touched, which waits for one, and the list asked for again. */
static void
frames_are_waited_for(void **state)
{
	struct d_fixture *d = *state;
	unsigned char *base = memory(d);
	unsigned allocated = fake_requests(d->fake, PAGER_MSG_ALLOCATE);
	uint64_t bytes = fake_allocated_bytes(d->fake);
	struct pager_upl *u = NULL;

	fake_fail_next(d->fake, PAGER_MSG_UPL_CREATE, -ENOBUFS);
	assert_int_equal(pager_upl_create(d->pager, base, BYTES, 0, &u), 0);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_UPL_CREATE), 2);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_ALLOCATE), allocated + 1);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_DEALLOCATE), 1);
	assert_int_equal(fake_missing(d->fake), 1);
	assert_int_equal(fake_allocated_bytes(d->fake), bytes);
	assert_int_equal(pager_upl_destroy(u), 0);
	/* It cannot touch one. */
	u = NULL;
	fake_fail_next(d->fake, PAGER_MSG_UPL_CREATE, -ENOBUFS);
	fake_fail_next(d->fake, PAGER_MSG_ALLOCATE, -ENOMEM);
	assert_int_equal(pager_upl_create(d->pager, base, BYTES, 0, &u), -ENOMEM);
	assert_null(u);
}

/* The range is wired before the list is there, and unwired when it is gone. */
static void
wires_go_with_the_list(void **state)
{
	struct d_fixture *d = *state;
	unsigned char *base = memory(d);
	struct pager_upl *u = NULL;

	fake_fail_next(d->fake, PAGER_MSG_WIRE, -EAGAIN);
	assert_int_equal(
	    pager_upl_create(d->pager, base, BYTES, PAGER_UPL_SET_IO_WIRE, &u), -EAGAIN);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_UNWIRE), 0);
	assert_int_equal(pager_upl_create(d->pager, base, BYTES, PAGER_UPL_SET_IO_WIRE, &u), 0);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_WIRE), 2);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_UNWIRE), 0);
	assert_int_equal(pager_upl_destroy(u), 0);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_UNWIRE), 1);
}

/* The daemon's refusals come through, and leave nothing. */
static void
refusals(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	unsigned char *base = memory(d);
	unsigned fds = fds_settled(d);
	struct pager_upl *u = NULL, *kept;
	unsigned char byte;

	fake_fail_next(d->fake, PAGER_MSG_UPL_CREATE, -EBUSY);
	assert_int_equal(pager_upl_create(p, base, BYTES, 0, &u), -EBUSY);
	assert_null(u);
	assert_int_equal(fds_settled(d), fds);
	assert_int_equal(pager_upl_create(p, base, BYTES, PAGER_UPL_SET_INTERNAL, &kept), 0);
	fake_fail_next(d->fake, PAGER_MSG_UPL_FINISH, -ENOMEM);
	assert_int_equal(pager_upl_commit(kept, 0, NULL), -ENOMEM);
	assert_int_equal(info_of(kept).pages_held, PAGES);
	assert_true(info_of(kept).pages[0] & PAGER_UPL_PAGE_HELD);
	fake_mangle_next(d->fake, PAGER_MSG_UPL_CREATE, FAKE_MANGLE_NO_FD);
	assert_int_equal(pager_upl_create(p, base, BYTES, 0, &u), -EPROTO);
	assert_null(u);
	/* Without the daemon it can be read yet, and be destroyed. */
	assert_int_equal(pager_upl_read(kept, 0, &byte, 1), 0);
	assert_int_equal(pager_upl_commit(kept, 0, NULL), -ENOTCONN);
	assert_int_equal(pager_upl_destroy(kept), -ENOTCONN);
}

/* Whose descriptor the program has closed is not read from, whatever has its number now; what is
 * left at the end goes with the connection. */
static void
descriptors(void **state)
{
	struct d_fixture *d = *state;
	unsigned char *base = memory(d), byte;
	struct pager_upl *u, *left;
	uint64_t offset, size;
	int fd, other;

	assert_int_equal(pager_upl_create(d->pager, base, BYTES, 0, &u), 0);
	assert_int_equal(pager_upl_create(d->pager, base, BYTES, PAGER_UPL_NOBLOCK, &left), 0);
	assert_int_equal(pager_upl_piece(u, 0, &fd, &offset, &size), 0);
	close(fd);
	assert_int_equal(pager_upl_read(u, 0, &byte, 1), -EBADF);
	other = open("/dev/zero", O_RDWR | O_CLOEXEC);
	assert_int_equal(other, fd);
	assert_int_equal(pager_upl_read(u, 0, &byte, 1), -EBADF);
	assert_int_equal(pager_upl_write(u, 0, &byte, 1), -EBADF);
	assert_int_equal(pager_upl_piece(u, 0, &fd, &offset, &size), -EBADF);
	assert_int_equal(pager_upl_destroy(u), 0);
	assert_int_equal(fcntl(other, F_GETFD), FD_CLOEXEC);
	close(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(arguments, d_setup, d_teardown),
		cmocka_unit_test_setup_teardown(bodies, d_setup, d_teardown),
		cmocka_unit_test_setup_teardown(frames_are_waited_for, d_setup, d_teardown),
		cmocka_unit_test_setup_teardown(wires_go_with_the_list, d_setup, d_teardown),
		cmocka_unit_test_setup_teardown(refusals, d_setup, d_teardown),
		cmocka_unit_test_setup_teardown(descriptors, d_setup, d_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
