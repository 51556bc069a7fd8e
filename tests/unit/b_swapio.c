/* SPDX-License-Identifier: MIT
 *
 * Channels in a world that works: round trips, depth, descriptors, generations, files that come and
 * go, threads.
 */
#include "b_swapio.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

/* --- round trips --------------------------------------------------------------------- */

struct pending {
	struct swap_slot slot;
	size_t offset, length;
	char *buffer;
};

/* Takes at least one completion and checks the bytes read; the cookie is an index of `pending`. */
static void
read_reap(struct swap_channel *ch, struct pending *pending, uint64_t *in_use)
{
	struct swap_completion done[DEPTH];

	assert_int_equal(swap_channel_wait(ch), 0);
	unsigned n = swap_channel_reap(ch, done, DEPTH);
	assert_true(n >= 1);
	for (unsigned i = 0; i < n; i++) {
		struct pending *p = &pending[done[i].cookie];

		assert_true(*in_use >> done[i].cookie & 1);
		*in_use &= ~(1ull << done[i].cookie);
		assert_int_equal(done[i].result, 0);
		assert_int_equal(pattern_wrong(p->buffer, p->slot, p->offset, p->length), 0);
		swap_channel_buffer_put(ch, p->buffer);
	}
}

static void
test_round_trip(void **state)
{
	struct fixture *f = *state;
	struct swap_slot slots[3 * FILE_SLOTS];
	struct pending pending[DEPTH];
	uint64_t seed = 99, in_use = 0, bytes = 0;
	enum { READS = 200 };

	for (unsigned i = 0; i < ARRAY_LEN(slots); i++)
		slots[i] = store(f->s, f->ch);
	for (int i = 0; i < READS; i++) {
		struct pending p = { .slot = slots[test_random(&seed) % ARRAY_LEN(slots)] };

		while ((p.buffer = swap_channel_buffer_get(f->ch)) == NULL)
			read_reap(f->ch, pending, &in_use);
		p.offset = test_random(&seed) % (SLOT_BYTES / 512) * 512;
		p.length = (1 + test_random(&seed) % ((SLOT_BYTES - p.offset) / 512)) * 512;
		unsigned cookie = (unsigned)__builtin_ctzll(~in_use);
		assert_true(cookie < DEPTH);
		pending[cookie] = p;
		in_use |= 1ull << cookie;
		bytes += p.length;
		memset(p.buffer, 0, p.length);
		assert_int_equal(swap_channel_submit(f->ch, SWAP_READ, p.slot, p.offset, p.length,
				     p.buffer, cookie),
		    0);
		if (test_random(&seed) % 2)
			assert_int_equal(swap_channel_flush(f->ch), 0);
	}
	while (in_use)
		read_reap(f->ch, pending, &in_use);
	assert_int_equal(swap_channel_wait(f->ch), -ENODATA);

	struct swap_stats stats = stats_of(f->s);
	assert_int_equal(stats.uses_io_uring, !variant->force_sync);
	assert_int_equal(stats.traffic.reads, READS);
	assert_int_equal(stats.traffic.read_bytes, bytes);
	assert_int_equal(stats.traffic.writes, ARRAY_LEN(slots));
	assert_int_equal(stats.traffic.write_bytes, ARRAY_LEN(slots) * SLOT_BYTES);
	assert_int_equal(stats.traffic.read_errors + stats.traffic.write_errors, 0);
	assert_int_equal(stats.files, 3);
	assert_swap_valid(f->s);
}

/* A slot written in pieces from places within one buffer, all at once. */
static void
test_pieces_of_a_buffer(void **state)
{
	struct fixture *f = *state;
	struct swap_slot slot = reserve(f->s);
	char *buffer = swap_channel_buffer_get(f->ch);
	struct swap_completion done[DEPTH];
	unsigned count = 0;
	const size_t piece = SLOT_BYTES / DEPTH;

	pattern_fill(buffer, slot, 0, SLOT_BYTES);
	for (unsigned i = 0; i < DEPTH; i++)
		assert_int_equal(swap_channel_submit(f->ch, SWAP_WRITE, slot, i * piece, piece,
				     buffer + i * piece, i),
		    0);
	while (count < DEPTH) {
		assert_int_equal(swap_channel_wait(f->ch), 0);
		unsigned n = swap_channel_reap(f->ch, done, 1);
		assert_int_equal(n, 1);
		assert_int_equal(done[0].result, 0);
		count += n;
	}
	swap_commit(f->s, slot);
	swap_channel_buffer_put(f->ch, buffer);
	assert_stored(f->ch, slot);
}

static void
test_descriptor(void **state)
{
	struct fixture *f = *state;
	struct swap_slot slot = store(f->s, f->ch);
	char *buffer = swap_channel_buffer_get(f->ch);
	struct swap_completion done;

	assert_false(is_readable(f->ch, 0));
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(swap_channel_submit(f->ch, SWAP_READ, slot, 0, 512, buffer, i), 0);
	/* Nothing starts before the flush. */
	assert_false(is_readable(f->ch, 0));
	assert_int_equal(swap_channel_reap(f->ch, &done, 1), 0);
	assert_int_equal(swap_channel_flush(f->ch), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(is_readable(f->ch, -1));
		/* A wait does not take completions away from a poll. */
		assert_int_equal(swap_channel_wait(f->ch), 0);
		assert_true(is_readable(f->ch, 0));
		assert_int_equal(swap_channel_reap(f->ch, &done, 1), 1);
	}
	assert_false(is_readable(f->ch, 0));
	assert_int_equal(swap_channel_reap(f->ch, &done, 1), 0);
	swap_channel_buffer_put(f->ch, buffer);
}

/* --- refusals ------------------------------------------------------------------------ */

static void
test_depth(void **state)
{
	struct fixture *f = *state;
	struct swap_slot slot = store(f->s, f->ch);
	char *buffers[DEPTH];
	struct swap_completion done[DEPTH + 1];
	unsigned count = 0;

	for (unsigned i = 0; i < DEPTH; i++) {
		buffers[i] = swap_channel_buffer_get(f->ch);
		assert_non_null(buffers[i]);
		assert_int_equal((uintptr_t)buffers[i] % 4096, 0);
		for (unsigned k = 0; k < i; k++)
			assert_true(buffers[i] - buffers[k] >= SLOT_BYTES ||
				    buffers[k] - buffers[i] >= SLOT_BYTES);
	}
	assert_null(swap_channel_buffer_get(f->ch));
	for (unsigned i = 0; i < DEPTH; i++)
		assert_int_equal(
		    swap_channel_submit(f->ch, SWAP_READ, slot, 0, 512, buffers[0], i), 0);
	assert_int_equal(
	    swap_channel_submit(f->ch, SWAP_READ, slot, 0, 512, buffers[1], 9), -EAGAIN);
	/* Completed is not enough, it must have been taken. */
	assert_int_equal(swap_channel_wait(f->ch), 0);
	assert_int_equal(
	    swap_channel_submit(f->ch, SWAP_READ, slot, 0, 512, buffers[1], 9), -EAGAIN);
	assert_int_equal(swap_channel_reap(f->ch, done, 1), 1);
	assert_int_equal(swap_channel_submit(f->ch, SWAP_READ, slot, 0, 512, buffers[1], 9), 0);
	while (count < DEPTH) {
		assert_int_equal(swap_channel_wait(f->ch), 0);
		count += swap_channel_reap(f->ch, done, DEPTH + 1);
	}
	assert_int_equal(count, DEPTH);
	for (unsigned i = 0; i < DEPTH; i++)
		swap_channel_buffer_put(f->ch, buffers[i]);
}

static void
test_bad_arguments(void **state)
{
	struct fixture *f = *state;
	struct swap_slot valid = store(f->s, f->ch), reserved = reserve(f->s);
	char *b = swap_channel_buffer_get(f->ch), *other = swap_channel_buffer_get(f->ch);
	struct {
		int direction;
		struct swap_slot slot;
		size_t offset, length;
		void *buffer;
		int error;
	} rows[] = {
		{ SWAP_READ, valid, 256, 512, b, -EINVAL },
		{ SWAP_READ, valid, 0, 100, b, -EINVAL },
		{ SWAP_READ, valid, 0, 0, b, -EINVAL },
		{ SWAP_READ, valid, 512, SLOT_BYTES, b, -EINVAL },
		{ SWAP_READ, valid, SLOT_BYTES, 512, b, -EINVAL },
		{ SWAP_READ, valid, SIZE_MAX - 511, 1024, b, -EINVAL },
		{ SWAP_READ, valid, 0, 512, b + 1, -EINVAL },
		{ SWAP_READ, valid, 0, SLOT_BYTES, b + 512, -EINVAL },
		{ SWAP_READ, valid, 0, 512, NULL, -EINVAL },
		{ SWAP_READ, valid, 0, 512, other, -EINVAL }, /* put back below */
		{ SWAP_READ, valid, 0, 512, rows, -EINVAL },
		{ SWAP_READ, reserved, 0, 512, b, -EINVAL },
		{ SWAP_WRITE, valid, 0, 512, b, -EINVAL },
		{ 2, valid, 0, 512, b, -EINVAL },
		{ SWAP_READ, { 0 }, 0, 512, b, -ESTALE },
		{ SWAP_READ, { UINT64_MAX }, 0, 512, b, -ESTALE },
		{ SWAP_READ, { valid.v + (1ull << 32) }, 0, 512, b, -ESTALE },
		{ SWAP_READ, { valid.v + (1ull << 20) }, 0, 512, b, -ESTALE },
	};

	swap_channel_buffer_put(f->ch, other);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		if (swap_channel_submit(f->ch, rows[i].direction, rows[i].slot, rows[i].offset,
			rows[i].length, rows[i].buffer, 0) != rows[i].error)
			fail_msg("row %zu", i);
	/* None of them took anything. */
	assert_int_equal(swap_channel_wait(f->ch), -ENODATA);
	swap_channel_buffer_put(f->ch, b);
	assert_stored(f->ch, valid);
	swap_release(f->s, reserved);
	assert_swap_valid(f->s);
}

/* A write of memory that is not the channel's. */
static void
test_from_elsewhere(void **state)
{
	struct fixture *f = *state;
	struct swap_slot slot = reserve(f->s);
	char *b = swap_channel_buffer_get(f->ch), *from = aligned_alloc(4096, SLOT_BYTES);
	struct swap_completion done;

	assert_non_null(from);
	for (size_t i = 0; i < SLOT_BYTES; i++)
		from[i] = (char)(i * 7 + i / 512);
	assert_int_equal(swap_channel_submit_from(f->ch, slot, SLOT_BYTES, NULL, 5), -EINVAL);
	assert_int_equal(swap_channel_submit_from(f->ch, slot, 512, from + 512, 5), -EINVAL);
	assert_int_equal(swap_channel_submit_from(f->ch, slot, 512, b, 5), -EINVAL);
	assert_int_equal(swap_channel_submit_from(f->ch, slot, SLOT_BYTES + 512, from, 5), -EINVAL);
	assert_int_equal(swap_channel_submit_from(f->ch, slot, SLOT_BYTES, from, 5), 0);
	assert_int_equal(swap_channel_wait(f->ch), 0);
	assert_int_equal(swap_channel_reap(f->ch, &done, 1), 1);
	assert_int_equal(done.cookie, 5);
	assert_int_equal(done.result, 0);
	swap_commit(f->s, slot);
	assert_int_equal(swap_channel_submit_from(f->ch, slot, SLOT_BYTES, from, 5), -EINVAL);
	assert_int_equal(transfer(f->ch, SWAP_READ, slot, 0, SLOT_BYTES, b), 0);
	assert_memory_equal(b, from, SLOT_BYTES);
	swap_channel_buffer_put(f->ch, b);
	free(from);
	swap_release(f->s, slot);
	assert_swap_valid(f->s);
}

static void
test_stale_slot(void **state)
{
	struct fixture *f = *state;
	struct swap_slot slot = store(f->s, f->ch), again;
	char *b = swap_channel_buffer_get(f->ch);

	swap_release(f->s, slot);
	assert_int_equal(transfer(f->ch, SWAP_READ, slot, 0, 512, b), -ESTALE);
	again = reserve(f->s);
	assert_int_equal(place_of(again), place_of(slot));
	assert_int_equal(transfer(f->ch, SWAP_READ, slot, 0, 512, b), -ESTALE);
	assert_int_equal(transfer(f->ch, SWAP_WRITE, slot, 0, 512, b), -ESTALE);
	assert_int_equal(transfer(f->ch, SWAP_WRITE, again, 0, 512, b), 0);
	swap_channel_buffer_put(f->ch, b);
}

/* A slot released with I/O in flight is out of reach, but not free. */
static void
test_release_in_flight(void **state)
{
	struct fixture *f = *state;
	struct swap_slot slots[FILE_SLOTS], late;
	char *b = swap_channel_buffer_get(f->ch);
	struct swap_completion done;

	for (unsigned i = 0; i < FILE_SLOTS; i++)
		slots[i] = reserve(f->s);
	assert_int_equal(swap_channel_submit(f->ch, SWAP_WRITE, slots[1], 0, 512, b, 1), 0);
	assert_int_equal(swap_channel_submit(f->ch, SWAP_WRITE, slots[1], 512, 512, b, 2), 0);
	swap_release(f->s, slots[1]);
	assert_int_equal(swap_channel_submit(f->ch, SWAP_WRITE, slots[1], 0, 512, b, 3), -ESTALE);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(swap_reserve(f->s, &late), -ENOSPC);
		assert_int_equal(stats_of(f->s).slots_used, FILE_SLOTS);
		assert_swap_valid(f->s);
		assert_int_equal(swap_channel_wait(f->ch), 0);
		assert_int_equal(swap_channel_reap(f->ch, &done, 1), 1);
		assert_int_equal(done.result, 0);
	}
	assert_int_equal(swap_reserve(f->s, &late), 0);
	assert_int_equal(place_of(late), place_of(slots[1]));
	assert_true(late.v != slots[1].v);
	slots[1] = late;

	/* A file with such a slot is not deleted, though it should go. (Since a write has
	 * succeeded another file may be made at once.) */
	swap_commit(f->s, slots[0]);
	assert_int_equal(swap_channel_submit(f->ch, SWAP_WRITE, late, 0, 512, b, 1), 0);
	swap_mark_error(f->s, late, -EIO);
	for (unsigned i = 0; i < FILE_SLOTS; i++)
		swap_release(f->s, slots[i]);
	assert_int_equal(stats_of(f->s).slots_used, 1);
	assert_int_equal(balance(f->s), SWAP_BALANCE_CREATED);
	assert_int_not_equal(balance(f->s), SWAP_BALANCE_DELETED);
	assert_int_equal(swap_channel_wait(f->ch), 0);
	assert_int_equal(swap_channel_reap(f->ch, &done, 1), 1);
	assert_int_equal(balance(f->s), SWAP_BALANCE_DELETED);
	assert_swap_valid(f->s);
	swap_channel_buffer_put(f->ch, b);
}

/* --- files come and go --------------------------------------------------------------- */

/* A new file in a deleted one's place is the one that is used, although the ring knew the old one.
 */
static void
test_file_replaced(void **state)
{
	struct fixture *f = *state;
	struct swap_slot first[FILE_SLOTS], second = { 0 };
	char path[400], *b = swap_channel_buffer_get(f->ch);

	for (int round = 0; round < 3; round++) {
		for (unsigned i = 0; i < FILE_SLOTS; i++)
			first[i] = reserve(f->s);
		assert_int_equal(file_of(first[0]), 0);
		pattern_fill(b, first[1], 0, SLOT_BYTES);
		assert_int_equal(transfer(f->ch, SWAP_WRITE, first[1], 0, SLOT_BYTES, b), 0);

		/* Reads the file itself, not through the channel. */
		data_path(f->path, path);
		int fd = open(path, O_RDONLY);
		char *contents = malloc(SLOT_BYTES);
		assert_int_equal(pread(fd, contents, SLOT_BYTES, SLOT_BYTES), SLOT_BYTES);
		assert_int_equal(pattern_wrong(contents, first[1], 0, SLOT_BYTES), 0);
		free(contents);
		close(fd);

		/* The file goes; the error makes it. */
		swap_commit(f->s, first[2]);
		swap_mark_error(f->s, first[0], -EIO);
		for (unsigned i = 0; i < FILE_SLOTS; i++)
			swap_release(f->s, first[i]);
		assert_int_equal(balance(f->s), SWAP_BALANCE_DELETED);
		assert_int_equal(directory_count(f->path, ""), 1);
		assert_int_equal(swap_reserve(f->s, &second), -ENOSPC);
		assert_int_equal(transfer(f->ch, SWAP_WRITE, first[1], 0, 512, b), -ESTALE);
	}
	swap_channel_buffer_put(f->ch, b);
}

/* A daemon killed with I/O in flight: its files are recognized as having no owner at once. */
static void
test_killed_in_flight(void **state)
{
	struct fixture *f = *state;
	int ready[2];
	char byte;

	/* The twin's helper would make this a fork with threads, which sanitizers dislike. */
	swap_channel_destroy(f->ch);
	f->ch = NULL;
	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	if (child == 0) {
		struct swap *s = NULL;
		struct swap_channel *ch = NULL;

		if (swap_create(&f->config, &s, NULL) != 0 ||
		    swap_channel_create(s, DEPTH, SLOT_BYTES, &ch) != 0)
			_exit(1);
		for (unsigned i = 0; i < DEPTH; i++) {
			void *b = swap_channel_buffer_get(ch);
			memset(b, 1, SLOT_BYTES);
			swap_channel_submit(ch, SWAP_WRITE, reserve(s), 0, SLOT_BYTES, b, 0);
		}
		if (swap_channel_flush(ch) != 0 || write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	assert_int_equal(directory_count(f->path, ""), 3);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	struct swap *s = NULL;
	assert_int_equal(swap_create(&f->config, &s, NULL), 0);
	assert_int_equal(directory_count(f->path, ""), 2);
	swap_destroy(s);
}

/* --- several channels, and their end ------------------------------------------------- */

static void
test_destroy_in_flight(void **state)
{
	struct fixture *f = *state;
	struct swap_channel *ch = NULL;
	struct swap_slot slots[8];

	assert_int_equal(swap_channel_create(f->s, 8, SLOT_BYTES, &ch), 0);
	for (unsigned i = 0; i < 8; i++) {
		void *b = swap_channel_buffer_get(ch);

		slots[i] = reserve(f->s);
		pattern_fill(b, slots[i], 0, SLOT_BYTES);
		assert_int_equal(
		    swap_channel_submit(ch, SWAP_WRITE, slots[i], 0, SLOT_BYTES, b, i), 0);
		/* The last three are never flushed, one is released. */
		if (i == 4)
			assert_int_equal(swap_channel_flush(ch), 0);
	}
	swap_release(f->s, slots[0]);
	swap_channel_destroy(ch);
	assert_int_equal(stats_of(f->s).traffic.writes, 8);
	assert_int_equal(stats_of(f->s).slots_used, 7);
	for (unsigned i = 1; i < 8; i++) {
		swap_commit(f->s, slots[i]);
		assert_stored(f->ch, slots[i]);
	}
	swap_channel_destroy(NULL);
}

enum { MEMBERS = 3, ROUNDS = 120, MEMBER_SLOTS = 6 };

struct member {
	struct swap *s;
	uint64_t seed;
	pthread_t thread;
	atomic_int *running;
	unsigned wrong;
};

/* As store() and assert_stored(), but in a thread of its own nothing may fail by a long jump. */
static int
member_transfer(struct swap_channel *ch, int direction, struct swap_slot slot, void *buffer)
{
	struct swap_completion done;
	int error = swap_channel_submit(ch, direction, slot, 0, SLOT_BYTES, buffer, slot.v);

	if (error)
		return error;
	if (swap_channel_wait(ch) != 0 || swap_channel_reap(ch, &done, 1) != 1 ||
	    done.cookie != slot.v)
		return -EPROTO;
	return done.result;
}

static void *
member_main(void *arg)
{
	struct member *m = arg;
	struct swap_channel *ch = NULL;
	struct swap_slot held[MEMBER_SLOTS];
	unsigned count = 0;

	if (swap_channel_create(m->s, 2, SLOT_BYTES, &ch) != 0) {
		m->wrong++;
		atomic_fetch_sub(m->running, 1);
		return NULL;
	}
	void *b = swap_channel_buffer_get(ch);
	for (int i = 0; i < ROUNDS; i++) {
		unsigned op = (unsigned)(test_random(&m->seed) % 3);
		unsigned pick = count ? (unsigned)(test_random(&m->seed) % count) : 0;

		if (op == 0 && count < MEMBER_SLOTS && swap_reserve(m->s, &held[count]) == 0) {
			pattern_fill(b, held[count], 0, SLOT_BYTES);
			m->wrong += member_transfer(ch, SWAP_WRITE, held[count], b) != 0;
			swap_commit(m->s, held[count++]);
		} else if (count && op == 1) {
			m->wrong += member_transfer(
					ch, SWAP_READ, held[pick], memset(b, 0, SLOT_BYTES)) != 0;
			m->wrong += pattern_wrong(b, held[pick], 0, SLOT_BYTES) != 0;
		} else if (count && (op == 2 || swap_slot_is_draining(m->s, held[pick]))) {
			swap_release(m->s, held[pick]);
			held[pick] = held[--count];
		}
	}
	for (unsigned i = 0; i < count; i++) {
		m->wrong += member_transfer(ch, SWAP_READ, held[i], memset(b, 0, SLOT_BYTES)) != 0;
		m->wrong += pattern_wrong(b, held[i], 0, SLOT_BYTES) != 0;
		swap_release(m->s, held[i]);
	}
	swap_channel_destroy(ch);
	atomic_fetch_sub(m->running, 1);
	return NULL;
}

static void
test_channels_at_once(void **state)
{
	struct fixture *f = *state;
	struct member members[MEMBERS];
	atomic_int running = MEMBERS;

	/* So that the first to reserve finds room, however threads are scheduled. */
	assert_int_equal(balance(f->s), SWAP_BALANCE_CREATED);
	for (unsigned i = 0; i < MEMBERS; i++) {
		members[i] = (struct member){ .s = f->s, .seed = i + 77, .running = &running };
		assert_int_equal(
		    pthread_create(&members[i].thread, NULL, member_main, &members[i]), 0);
	}
	while (atomic_load(&running) > 0) {
		(void)balance(f->s);
		assert_swap_valid(f->s);
	}
	for (unsigned i = 0; i < MEMBERS; i++) {
		assert_int_equal(pthread_join(members[i].thread, NULL), 0);
		assert_int_equal(members[i].wrong, 0);
	}
	assert_true(stats_of(f->s).traffic.writes > 0 && stats_of(f->s).traffic.reads > 0);
	assert_int_equal(stats_of(f->s).slots_used, 0);
}

static void
test_channel_refused(void **state)
{
	struct fixture *f = *state;
	struct swap_channel *ch = (void *)0x10;

	assert_int_equal(swap_channel_create(f->s, 0, SLOT_BYTES, &ch), -EINVAL);
	assert_int_equal(swap_channel_create(f->s, 1u << 20, SLOT_BYTES, &ch), -EINVAL);
	assert_int_equal(swap_channel_create(f->s, 1, 0, &ch), -EINVAL);
	assert_ptr_equal(ch, (void *)0x10);
	/* Buffers need not be whole units of alignment. */
	assert_int_equal(swap_channel_create(f->s, 2, 512, &ch), 0);
	swap_channel_destroy(ch);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		VARIANT_TEST(test_round_trip),
		VARIANT_TEST(test_pieces_of_a_buffer),
		VARIANT_TEST(test_descriptor),
		VARIANT_TEST(test_depth),
		VARIANT_TEST(test_bad_arguments),
		VARIANT_TEST(test_from_elsewhere),
		VARIANT_TEST(test_stale_slot),
		VARIANT_TEST(test_release_in_flight),
		VARIANT_TEST(test_file_replaced),
		VARIANT_TEST(test_killed_in_flight),
		VARIANT_TEST(test_destroy_in_flight),
		VARIANT_TEST(test_channels_at_once),
		VARIANT_TEST(test_channel_refused),
	};

	return RUN_VARIANTS(tests);
}
