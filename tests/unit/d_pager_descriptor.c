/* SPDX-License-Identifier: MIT
 *
 * libpager's memory descriptors: what reaches the daemon, what does not, and what becomes of
 * descriptors and memory.
 */
#include <errno.h>
#include <sys/mman.h>

#include "d_test.h"

enum { PAGES = 7, BYTES = PAGES * FAKE_PAGE_SIZE, PIECE = 2 * FAKE_PAGE_SIZE };

static unsigned char *
memory(struct d_fixture *d)
{
	void *base;

	/* Where a piece begins is known, and which of them are of the other object. */
	assert_int_equal(pager_allocate(d->pager, BYTES, PAGER_ALLOC_ALIGNED(16), &base), 0);
	return base;
}

static struct pager_memory_descriptor *
make(struct d_fixture *d, unsigned char *base, size_t size, enum pager_direction direction)
{
	struct pager_memory_descriptor *md = NULL;

	assert_int_equal(pager_memory_descriptor_create(d->pager, base, size, direction, &md), 0);
	assert_non_null(md);
	return md;
}

/* What cannot be right is refused here, and leaves results alone. */
static void
arguments(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	unsigned char *base = memory(d);
	struct pager_memory_descriptor *md = NULL;
	const struct pager_memory_piece *pieces = NULL;
	size_t count = 5;

	assert_int_equal(
	    pager_memory_descriptor_create(NULL, base, 1, PAGER_DIRECTION_IN, &md), -EINVAL);
	assert_int_equal(
	    pager_memory_descriptor_create(p, base, 0, PAGER_DIRECTION_IN, &md), -EINVAL);
	assert_int_equal(
	    pager_memory_descriptor_create(p, base + 1, 1, PAGER_DIRECTION_IN, &md), -EINVAL);
	assert_int_equal(
	    pager_memory_descriptor_create(p, base, BYTES + 1, PAGER_DIRECTION_IN, &md), -EINVAL);
	assert_int_equal(
	    pager_memory_descriptor_create(p, base, 1, (enum pager_direction)0, &md), -EINVAL);
	assert_int_equal(
	    pager_memory_descriptor_create(p, base, 1, (enum pager_direction)4, &md), -EINVAL);
	assert_int_equal(
	    pager_memory_descriptor_create(p, base, 1, PAGER_DIRECTION_IN, NULL), -EINVAL);
	assert_null(md);
	assert_int_equal(pager_memory_descriptor_prepare(NULL, &pieces, &count), -EINVAL);
	assert_int_equal(pager_memory_descriptor_complete(NULL), -EINVAL);
	assert_int_equal(pager_memory_descriptor_release(NULL), 0);
	md = make(d, base, BYTES, PAGER_DIRECTION_INOUT);
	assert_int_equal(pager_memory_descriptor_prepare(md, NULL, &count), -EINVAL);
	assert_int_equal(pager_memory_descriptor_prepare(md, &pieces, NULL), -EINVAL);
	assert_int_equal(pager_memory_descriptor_complete(md), -EINVAL);
	/* It says nothing to the daemon before it is prepared. */
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_DESCRIPTOR), 0);
	assert_int_equal(count, 5);
	assert_null(pieces);
	assert_int_equal(pager_memory_descriptor_release(md), 0);
}

/* Pieces in the order of addresses, a file of each object once, and the ends of both. */
static void
pieces_and_files(void **state)
{
	static const enum pager_direction directions[] = { PAGER_DIRECTION_IN, PAGER_DIRECTION_OUT,
		PAGER_DIRECTION_INOUT };
	struct d_fixture *d = *state;
	unsigned char *base = memory(d);

	for (unsigned i = 0; i < sizeof(directions) / sizeof(directions[0]); i++) {
		struct pager_memory_descriptor *md = make(d, base, BYTES - 1, directions[i]);
		int protection =
		    directions[i] & PAGER_DIRECTION_IN ? PROT_READ | PROT_WRITE : PROT_READ;
		unsigned before = fds_settled(d), files = 0;
		const struct pager_memory_piece *pieces, *again;
		struct pager_req_descriptor asked;
		uint64_t at = 0;
		size_t count;

		assert_int_equal(pager_memory_descriptor_prepare(md, &pieces, &count), 0);
		assert_int_equal(count, (PAGES + 1) / 2);
		for (size_t k = 0; k < count; k++) {
			assert_int_equal(pieces[k].size, k == count - 1 ? FAKE_PAGE_SIZE : PIECE);
			assert_int_equal(pieces[k].offset, ((uintptr_t)base + at) % (1ull << 34));
			assert_int_equal(pieces[k].protection, protection);
			assert_true(fcntl(pieces[k].fd, F_GETFD) & FD_CLOEXEC);
			files |= 1u << (pieces[k].fd == pieces[0].fd);
			at += pieces[k].size;
		}
		assert_int_equal(files, 3);
		assert_int_equal(fds_settled(d), before + 2);
		asked = fake_descriptor_asked(d->fake);
		assert_int_equal(asked.op, PAGER_DESCRIPTOR_PIECE);
		assert_int_equal(asked.direction, directions[i]);
		assert_int_equal(asked.size, FAKE_PAGE_SIZE);
		/* One that is prepared stays as it is. */
		again = NULL;
		assert_int_equal(pager_memory_descriptor_prepare(md, &again, &count), -EALREADY);
		assert_null(again);
		assert_int_equal(pager_memory_descriptor_release(md), -EBUSY);
		fake_fail_next(d->fake, PAGER_MSG_DESCRIPTOR, -EBUSY);
		assert_int_equal(pager_memory_descriptor_complete(md), -EBUSY);
		assert_int_equal(pager_memory_descriptor_release(md), -EBUSY);
		assert_int_equal(fds_settled(d), before + 2);
		/* The program has closed one of the files, and has another under its number. */
		assert_true(dup2(STDERR_FILENO, pieces[0].fd) >= 0);
		files = (unsigned)pieces[0].fd;
		assert_int_equal(pager_memory_descriptor_complete(md), 0);
		assert_int_equal(fds_settled(d), before + 1);
		close((int)files);
		assert_int_equal(fake_descriptor_asked(d->fake).op, PAGER_DESCRIPTOR_COMPLETE);
		assert_int_equal(fake_descriptor_asked(d->fake).address, (uintptr_t)base);
		assert_int_equal(fake_descriptor_asked(d->fake).size, BYTES);
		assert_int_equal(pager_memory_descriptor_complete(md), -EINVAL);
		assert_int_equal(pager_memory_descriptor_release(md), 0);
	}
	/* Every page was touched, with the access that was asked for. */
	assert_true(fake_missing(d->fake) >= PAGES);
	assert_int_equal(fake_strays(d->fake), 0);
}

/* Whatever goes wrong, what was pinned is unpinned, and no file is left open. */
static void
failures(void **state)
{
	struct d_fixture *d = *state;
	unsigned char *base = memory(d);
	struct pager_memory_descriptor *md = make(d, base, BYTES, PAGER_DIRECTION_OUT);
	unsigned before = fds_settled(d), completed = 0;
	const struct pager_memory_piece *pieces = NULL;
	size_t count;

	/* Refused: there is nothing to undo. */
	fake_fail_next(d->fake, PAGER_MSG_DESCRIPTOR, -EAGAIN);
	assert_int_equal(pager_memory_descriptor_prepare(md, &pieces, &count), -EAGAIN);
	assert_int_equal(fake_descriptor_ops(d->fake, PAGER_DESCRIPTOR_COMPLETE), completed);
	/* A piece that is none, or more than was asked for. */
	for (unsigned number = 1; number <= 3; number++) {
		static const uint64_t sizes[] = { 0, BYTES + FAKE_PAGE_SIZE, UINT64_MAX };

		fake_descriptor_spoil(d->fake, number, sizes[number - 1]);
		assert_int_equal(pager_memory_descriptor_prepare(md, &pieces, &count), -EPROTO);
		assert_int_equal(
		    fake_descriptor_ops(d->fake, PAGER_DESCRIPTOR_COMPLETE), ++completed);
		assert_int_equal(fds_settled(d), before);
	}
	assert_null(pieces);
	assert_int_equal(pager_memory_descriptor_complete(md), -EINVAL);
	/* It can be prepared after all that. */
	assert_int_equal(pager_memory_descriptor_prepare(md, &pieces, &count), 0);
	assert_int_equal(count, (PAGES + 1) / 2);
	/* Without a daemon nothing is pinned any more. */
	fake_kill(d->fake);
	assert_int_equal(pager_memory_descriptor_complete(md), -ENOTCONN);
	assert_int_equal(pager_memory_descriptor_prepare(md, &pieces, &count), -ENOTCONN);
	assert_int_equal(pager_memory_descriptor_release(md), 0);
}

/* A range that has been given back is the daemon's to refuse; no page of it is touched. */
static void
given_back(void **state)
{
	struct d_fixture *d = *state;
	unsigned char *base = memory(d);
	struct pager_memory_descriptor *md = make(d, base, BYTES, PAGER_DIRECTION_IN);
	const struct pager_memory_piece *pieces = NULL;
	size_t count;

	assert_int_equal(pager_deallocate(d->pager, base, BYTES), 0);
	fake_fail_next(d->fake, PAGER_MSG_DESCRIPTOR, -EINVAL);
	assert_int_equal(pager_memory_descriptor_prepare(md, &pieces, &count), -EINVAL);
	/* And where the daemon does not: nothing can be brought in there. */
	assert_int_equal(pager_memory_descriptor_prepare(md, &pieces, &count), -ENOMEM);
	assert_int_equal(fake_descriptor_ops(d->fake, PAGER_DESCRIPTOR_COMPLETE), 1);
	assert_int_equal(fake_missing(d->fake) + fake_strays(d->fake), 0);
	assert_null(pieces);
	assert_int_equal(pager_memory_descriptor_release(md), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(arguments, d_setup, d_teardown),
		cmocka_unit_test_setup_teardown(pieces_and_files, d_setup, d_teardown),
		cmocka_unit_test_setup_teardown(failures, d_setup, d_teardown),
		cmocka_unit_test_setup_teardown(given_back, d_setup, d_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
