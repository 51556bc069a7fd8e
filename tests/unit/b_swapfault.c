/* SPDX-License-Identifier: MIT
 *
 * Channels in a world that fails: fail points, and calls wrapped by the linker
 * (tests/unit/meson.build) that are refused.
 */
#include "b_swapio.h"

#include <stdatomic.h>

/* --- calls that can be refused ------------------------------------------------------- */

static int refuse_ring, refuse_registration, refuse_direct;
static atomic_int interruptions;

struct io_uring;
int __wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int __real_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags);
int __wrap_io_uring_register_buffers(struct io_uring *ring, const void *iov, unsigned n);
int __real_io_uring_register_buffers(struct io_uring *ring, const void *iov, unsigned n);
int __wrap_io_uring_register_files_sparse(struct io_uring *ring, unsigned n);
int __real_io_uring_register_files_sparse(struct io_uring *ring, unsigned n);
int __wrap_io_uring_register_files(struct io_uring *ring, const int *files, unsigned n);
int __real_io_uring_register_files(struct io_uring *ring, const int *files, unsigned n);
int __wrap_io_uring_register_files_update(
    struct io_uring *ring, unsigned off, int *files, unsigned n);
int __real_io_uring_register_files_update(
    struct io_uring *ring, unsigned off, int *files, unsigned n);
int __wrap_fcntl64(int fd, int cmd, long arg);
int __real_fcntl64(int fd, int cmd, long arg);
int __wrap_io_uring_submit(struct io_uring *ring);
int __real_io_uring_submit(struct io_uring *ring);
int __wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned n);
int __real_io_uring_submit_and_wait(struct io_uring *ring, unsigned n);
ssize_t __wrap_pread64(int fd, void *buffer, size_t bytes, off_t offset);
ssize_t __real_pread64(int fd, void *buffer, size_t bytes, off_t offset);

int
__wrap_io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
	return refuse_ring ? refuse_ring : __real_io_uring_queue_init(entries, ring, flags);
}

enum { REFUSE_BUFFERS = 1, REFUSE_SPARSE = 2, REFUSE_FILES = 4, REFUSE_UPDATE = 8 };

int
__wrap_io_uring_register_buffers(struct io_uring *ring, const void *iov, unsigned n)
{
	return refuse_registration & REFUSE_BUFFERS
		   ? -ENOMEM
		   : __real_io_uring_register_buffers(ring, iov, n);
}

int
__wrap_io_uring_register_files_sparse(struct io_uring *ring, unsigned n)
{
	return refuse_registration & REFUSE_SPARSE ? -EINVAL
						   : __real_io_uring_register_files_sparse(ring, n);
}

int
__wrap_io_uring_register_files(struct io_uring *ring, const int *files, unsigned n)
{
	return refuse_registration & REFUSE_FILES ? -EMFILE
						  : __real_io_uring_register_files(ring, files, n);
}

int
__wrap_io_uring_register_files_update(struct io_uring *ring, unsigned off, int *files, unsigned n)
{
	if (refuse_registration & REFUSE_UPDATE)
		return -EBADF;
	return __real_io_uring_register_files_update(ring, off, files, n);
}

int
__wrap_fcntl64(int fd, int cmd, long arg)
{
	if (refuse_direct && cmd == F_SETFL && (arg & O_DIRECT)) {
		errno = EINVAL;
		return -1;
	}
	return __real_fcntl64(fd, cmd, arg);
}

static bool
interrupted(void)
{
	if (atomic_load(&interruptions) <= 0)
		return false;
	atomic_fetch_sub(&interruptions, 1);
	return true;
}

int
__wrap_io_uring_submit(struct io_uring *ring)
{
	return interrupted() ? -EAGAIN : __real_io_uring_submit(ring);
}

int
__wrap_io_uring_submit_and_wait(struct io_uring *ring, unsigned n)
{
	return interrupted() ? -EINTR : __real_io_uring_submit_and_wait(ring, n);
}

/* A file whose reads do not come back, and how many have been begun. */
static atomic_int hung_fd = -1;
static atomic_uint hung;

ssize_t
__wrap_pread64(int fd, void *buffer, size_t bytes, off_t offset)
{
	if (interrupted()) {
		errno = EINTR;
		return -1;
	}
	if (fd == load_acquire(&hung_fd)) {
		fetch_add_acq_rel(&hung, 1);
		while (load_acquire(&hung_fd) == fd)
			usleep(1000);
	}
	return __real_pread64(fd, buffer, bytes, offset);
}

/* --- failures ------------------------------------------------------------------------ */

static const struct {
	const char *spec;
	enum fail_point point;
	int direction;
	size_t length;
	int result;
	unsigned wrong_bits, hits;
} failures[] = {
	{ "SWAP_READ_EIO:0", FAIL_SWAP_READ_EIO, SWAP_READ, SLOT_BYTES, -EIO, 0, 1 },
	{ "SWAP_WRITE_EIO:0", FAIL_SWAP_WRITE_EIO, SWAP_WRITE, SLOT_BYTES, -EIO, 0, 1 },
	{ "SWAP_WRITE_ENOSPC:0", FAIL_SWAP_WRITE_ENOSPC, SWAP_WRITE, SLOT_BYTES, -ENOSPC, 0, 1 },
	{ "SWAP_READ_SHORT:0", FAIL_SWAP_READ_SHORT, SWAP_READ, SLOT_BYTES, 0, 0, 1 },
	{ "SWAP_WRITE_SHORT:0", FAIL_SWAP_WRITE_SHORT, SWAP_WRITE, SLOT_BYTES, 0, 0, 1 },
	{ "SWAP_READ_SHORT:0:3", FAIL_SWAP_READ_SHORT, SWAP_READ, 4096 + 512, 0, 0, 3 },
	{ "SWAP_WRITE_SHORT:0:3", FAIL_SWAP_WRITE_SHORT, SWAP_WRITE, 4096 + 512, 0, 0, 3 },
	/* 4096: 2048, 1024, 512, then half a sector is none. */
	{ "SWAP_READ_SHORT:0:0", FAIL_SWAP_READ_SHORT, SWAP_READ, 4096, -EIO, 0, 4 },
	{ "SWAP_WRITE_SHORT:0:0", FAIL_SWAP_WRITE_SHORT, SWAP_WRITE, 4096, -EIO, 0, 4 },
	{ "SWAP_WRITE_SHORT:0:1", FAIL_SWAP_WRITE_SHORT, SWAP_WRITE, 512, -EIO, 0, 1 },
	{ "SWAP_READ_BITFLIP:0", FAIL_SWAP_READ_BITFLIP, SWAP_READ, SLOT_BYTES, 0, 1, 1 },
	/* An error in the middle of a transfer. */
	{ "SWAP_READ_SHORT:0,SWAP_READ_EIO:1", FAIL_SWAP_READ_EIO, SWAP_READ, SLOT_BYTES, -EIO, 0,
	    1 },
};

static void
test_failures(void **state)
{
	struct fixture *f = *state;

	if (!FAIL_POINTS)
		skip();
	for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
		bool write = failures[i].direction == SWAP_WRITE;
		size_t length = failures[i].length;
		struct swap_slot slot = write ? reserve(f->s) : store(f->s, f->ch);
		struct swap_stats before = stats_of(f->s), after;
		uint64_t hits = failpt_count(failures[i].point);
		char *b = swap_channel_buffer_get(f->ch);

		if (write)
			pattern_fill(b, slot, 0, length);
		else
			memset(b, 0, length);
		assert_int_equal(failpt_arm(failures[i].spec), 0);
		int result = transfer(f->ch, failures[i].direction, slot, 0, length, b);
		failpt_disarm_all();
		after = stats_of(f->s);
		if (result != failures[i].result)
			fail_msg("%s: result %d", failures[i].spec, result);
		assert_int_equal(failpt_count(failures[i].point) - hits, failures[i].hits);
		if (result == 0) {
			if (write)
				swap_commit(f->s, slot);
			if (write)
				assert_int_equal(transfer(f->ch, SWAP_READ, slot, 0, length,
						     memset(b, 0, length)),
				    0);
			assert_int_equal(pattern_wrong(b, slot, 0, length), failures[i].wrong_bits);
		}
		assert_int_equal(
		    after.traffic.write_errors - before.traffic.write_errors, write && result != 0);
		assert_int_equal(
		    after.traffic.read_errors - before.traffic.read_errors, !write && result != 0);
		assert_int_equal(
		    after.traffic.writes - before.traffic.writes, write && result == 0);
		assert_int_equal(after.traffic.write_bytes - before.traffic.write_bytes,
		    write && result == 0 ? length : 0);
		/* Nothing stays wrong. */
		swap_release(f->s, slot);
		swap_channel_buffer_put(f->ch, b);
		assert_stored(f->ch, store(f->s, f->ch));
	}
	assert_swap_valid(f->s);
}

/* Each transfer of a mixed load in turn is short. */
static void
test_short_everywhere(void **state)
{
	struct fixture *f = *state;

	if (!FAIL_POINTS)
		skip();
	for (unsigned after = 0; after < 12; after++) {
		char spec[80];
		struct swap_slot slots[DEPTH];

		snprintf(spec, sizeof(spec), "SWAP_WRITE_SHORT:%u:2,SWAP_READ_SHORT:%u:2",
		    after % 4, after);
		assert_int_equal(failpt_arm(spec), 0);
		for (unsigned i = 0; i < DEPTH; i++)
			slots[i] = store(f->s, f->ch);
		for (unsigned i = 0; i < 3 * DEPTH; i++)
			assert_stored(f->ch, slots[i % DEPTH]);
		failpt_disarm_all();
		for (unsigned i = 0; i < DEPTH; i++)
			swap_release(f->s, slots[i]);
	}
	assert_int_equal(
	    stats_of(f->s).traffic.read_errors + stats_of(f->s).traffic.write_errors, 0);
}

/* A short transfer in flight with others, polled, in any order of completion. */
static void
test_short_polled(void **state)
{
	struct fixture *f = *state;
	struct swap_slot slot = store(f->s, f->ch);
	char *buffers[DEPTH];
	struct swap_completion done[DEPTH];
	unsigned count = 0, seen = 0;

	if (FAIL_POINTS)
		assert_int_equal(failpt_arm("SWAP_READ_SHORT:1:2"), 0);
	for (unsigned i = 0; i < DEPTH; i++) {
		buffers[i] = memset(swap_channel_buffer_get(f->ch), 0, SLOT_BYTES);
		assert_int_equal(
		    swap_channel_submit(f->ch, SWAP_READ, slot, 0, SLOT_BYTES, buffers[i], i), 0);
	}
	assert_int_equal(swap_channel_flush(f->ch), 0);
	while (count < DEPTH) {
		assert_true(is_readable(f->ch, -1));
		unsigned n = swap_channel_reap(f->ch, done, 1);
		if (n == 0)
			continue;
		assert_int_equal(done[0].result, 0);
		assert_int_equal(pattern_wrong(buffers[done[0].cookie], slot, 0, SLOT_BYTES), 0);
		seen |= 1u << done[0].cookie;
		count++;
	}
	assert_int_equal(seen, (1u << DEPTH) - 1);
	for (unsigned i = 0; i < DEPTH; i++)
		swap_channel_buffer_put(f->ch, buffers[i]);
}

/* The kernel's own short read: the file ends in the middle of the slot. */
static void
test_file_cut_short(void **state)
{
	struct fixture *f = *state;
	struct swap_slot slot = store(f->s, f->ch);
	char path[400], *b = swap_channel_buffer_get(f->ch);

	data_path(f->path, path);
	assert_int_equal(truncate(path, SLOT_BYTES / 2), 0);
	assert_int_equal(transfer(f->ch, SWAP_READ, slot, 0, SLOT_BYTES / 2, b), 0);
	assert_int_equal(pattern_wrong(b, slot, 0, SLOT_BYTES / 2), 0);
	assert_int_equal(transfer(f->ch, SWAP_READ, slot, 0, SLOT_BYTES, b), -EIO);
	swap_channel_buffer_put(f->ch, b);
}

/* --- refusals of the system --------------------------------------------------------- */

static void
test_ring_refused(void **state)
{
	struct fixture *f = *state;
	const int errors[] = { -ENOSYS, -EPERM, -ENOMEM };

	for (size_t i = 0; i < ARRAY_LEN(errors); i++) {
		struct swap *s = NULL;
		struct swap_channel *ch = NULL;

		assert_int_equal(swap_create(&f->config, &s, NULL), 0);
		refuse_ring = errors[i];
		assert_int_equal(swap_channel_create(s, DEPTH, SLOT_BYTES, &ch), 0);
		refuse_ring = 0;
		assert_false(stats_of(s).uses_io_uring);
		assert_stored(ch, store(s, ch));
		swap_channel_destroy(ch);
		swap_destroy(s);
	}
	/* Too many files open would stop the twin too: that is told. */
	struct swap_channel *ch = NULL;
	refuse_ring = -EMFILE;
	int error = swap_channel_create(f->s, DEPTH, SLOT_BYTES, &ch);
	refuse_ring = 0;
	assert_int_equal(error, variant->force_sync ? 0 : -EMFILE);
	swap_channel_destroy(ch);
	assert_int_equal(stats_of(f->s).uses_io_uring, !variant->force_sync);
}

static void
test_registration_refused(void **state)
{
	struct fixture *f = *state;
	const int refusals[] = { REFUSE_BUFFERS, REFUSE_SPARSE, REFUSE_SPARSE | REFUSE_FILES,
		REFUSE_UPDATE, REFUSE_BUFFERS | REFUSE_SPARSE | REFUSE_FILES };

	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		struct swap_channel *ch = NULL;
		struct swap_slot slot;

		refuse_registration = refusals[i];
		assert_int_equal(swap_channel_create(f->s, DEPTH, SLOT_BYTES, &ch), 0);
		slot = store(f->s, ch);
		assert_stored(ch, slot);
		assert_stored(f->ch, slot);
		refuse_registration = 0;
		swap_channel_destroy(ch);
	}
}

static void
test_direct_refused(void **state)
{
	struct fixture *f = *state;

	refuse_direct = 1;
	struct swap_slot slot = store(f->s, f->ch);
	refuse_direct = 0;
	assert_int_equal(stats_of(f->s).files_buffered, 1);
	assert_stored(f->ch, slot);
}

/* Temporary refusals of the kernel are tried again, a bounded number of times. */
static void
test_interrupted(void **state)
{
	struct fixture *f = *state;
	struct swap_slot slot = store(f->s, f->ch);
	char *b = swap_channel_buffer_get(f->ch);

	atomic_store(&interruptions, 3);
	assert_stored(f->ch, slot);
	assert_int_equal(atomic_load(&interruptions), 0);
	atomic_store(&interruptions, 1000);
	if (variant->force_sync) {
		assert_int_equal(transfer(f->ch, SWAP_READ, slot, 0, 512, b), -EINTR);
	} else {
		struct swap_completion done;

		/* A request that flush could not start is started by wait. */
		assert_int_equal(swap_channel_submit(f->ch, SWAP_READ, slot, 0, 512, b, 1), 0);
		assert_int_equal(swap_channel_flush(f->ch), -EAGAIN);
		assert_int_equal(swap_channel_reap(f->ch, &done, 1), 0);
		atomic_store(&interruptions, 2);
		assert_int_equal(swap_channel_wait(f->ch), 0);
		assert_int_equal(swap_channel_reap(f->ch, &done, 1), 1);
		assert_int_equal(done.result, 0);
	}
	atomic_store(&interruptions, 0);
	assert_stored(f->ch, slot);
	swap_channel_buffer_put(f->ch, b);
}

/* The next completion. => its cookie */
static uint64_t
completion(struct swap_channel *ch)
{
	struct swap_completion done;

	while (swap_channel_reap(ch, &done, 1) == 0)
		assert_int_equal(swap_channel_wait(ch), 0);
	assert_int_equal(done.result, 0);
	return done.cookie;
}

/* Reads of a file do not come back: swap and other files go on beside them. */
static void
test_hung_file(void **state)
{
	enum { HUNG = DEPTH - 1 };
	struct fixture *f = *state;
	struct swap_slot slot;
	char *buffers[DEPTH];
	uint64_t seen = 0;
	FILE *files[2];

	/* The ring hands such requests to threads of the kernel. */
	if (!variant->force_sync)
		return;
	slot = store(f->s, f->ch);
	for (unsigned i = 0; i < 2; i++) {
		files[i] = tmpfile();
		assert_true(files[i] && ftruncate(fileno(files[i]), 4096) == 0);
	}
	for (unsigned i = 0; i < DEPTH; i++)
		buffers[i] = swap_channel_buffer_get(f->ch);
	store_release(&hung, 0);
	store_release(&hung_fd, fileno(files[0]));
	for (unsigned i = 0; i < HUNG; i++)
		assert_int_equal(swap_channel_submit_file(
				     f->ch, SWAP_READ, fileno(files[0]), 0, 512, buffers[i], i),
		    0);
	assert_int_equal(swap_channel_flush(f->ch), 0);
	while (load_acquire(&hung) < HUNG)
		usleep(1000);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(
		    swap_channel_submit(f->ch, SWAP_READ, slot, 0, 512, buffers[HUNG], 100), 0);
		assert_int_equal(completion(f->ch), 100);
		assert_int_equal(swap_channel_submit_file(f->ch, SWAP_READ, fileno(files[1]), 0,
				     512, buffers[HUNG], 101),
		    0);
		assert_int_equal(completion(f->ch), 101);
	}
	store_release(&hung_fd, -1);
	for (unsigned i = 0; i < HUNG; i++)
		seen |= 1ull << completion(f->ch);
	assert_int_equal(seen, (1u << HUNG) - 1);
	for (unsigned i = 0; i < DEPTH; i++)
		swap_channel_buffer_put(f->ch, buffers[i]);
	fclose(files[0]);
	fclose(files[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		VARIANT_TEST(test_failures),
		VARIANT_TEST(test_short_everywhere),
		VARIANT_TEST(test_short_polled),
		VARIANT_TEST(test_file_cut_short),
		VARIANT_TEST(test_ring_refused),
		VARIANT_TEST(test_registration_refused),
		VARIANT_TEST(test_direct_refused),
		VARIANT_TEST(test_interrupted),
		VARIANT_TEST(test_hung_file),
	};

	return RUN_VARIANTS(tests);
}
