/* SPDX-License-Identifier: MIT
 *
 * Encrypted swap, on a server whose disk the test can read and alter: nothing of the content is to
 * be seen, whatever is altered, moved or put back is found, and costs no other block.
 */
#include "b_swapnet.h"

/* Writes two slots of a server that is encrypted, and gives their places on the disk. */
static void
sealed_start(struct fixture *f, struct swap_slot slots[2], off_t places[2])
{
	const off_t stride = (SLOT_BYTES + 4079) / 4080 * 4096;

	f->config.backends[0].encrypt = true;
	swap_start(f, 1);
	for (unsigned i = 0; i < 2; i++) {
		slots[i] = reserve(f->s);
		assert_int_equal(write_slot(f, slots[i]), 0);
		places[i] = (1 << 20) + (off_t)(slots[i].v & 0xfffff) * stride;
	}
}

/* Reads a slot whose block at `block` is not what was written: it reads as zeroes, and all others
 * as they are. */
static void
require_damaged(struct fixture *f, struct swap_slot slot, unsigned block)
{
	static char expected[SLOT_BYTES];
	uint64_t before = stats_of(f->s).traffic.damaged;
	size_t from = block * 4080ul, length = min_u64(4080, SLOT_BYTES - from);
	char *buffer = submit(f, SWAP_READ, slot, 0, SLOT_BYTES);

	assert_int_equal(reap(f), 0);
	fill((uint64_t *)expected, slot, 0, SLOT_BYTES);
	memset(expected + from, 0, length);
	assert_memory_equal(buffer, expected, SLOT_BYTES);
	swap_channel_buffer_put(f->ch, buffer);
	assert_int_equal(stats_of(f->s).traffic.damaged, before + 1);
}

/* One bit is altered, a block moved within a slot, one from another slot, and one put back that the
 * same place had before: each is found, and costs that block alone. */
static void
test_sealed(void **state)
{
	struct fixture *f = *state;
	static char disk[DISK_BYTES];
	struct swap_slot slots[2], again;
	char block[4096], good[4096], *buffer;
	off_t places[2];

	sealed_start(f, slots, places);
	int fd = open(f->disk, O_RDWR | O_CLOEXEC);
	for (unsigned i = 0; i < 2; i++) {
		require_stored(f, slots[i]);
		/* Nothing of the content is to be seen. */
		buffer = swap_channel_buffer_get(f->ch);
		fill((uint64_t *)buffer, slots[i], 0, SLOT_BYTES);
		assert_int_equal(pread(fd, disk, sizeof(disk), 0), sizeof(disk));
		assert_null(memmem(disk, sizeof(disk), buffer, 16));
		assert_null(memmem(disk, sizeof(disk), buffer + SLOT_BYTES - 16, 16));
		swap_channel_buffer_put(f->ch, buffer);
	}
	assert_int_equal(pread(fd, good, 4096, places[0] + 3 * 4096), 4096);
	for (unsigned bit = 0; bit < 4096 * 8; bit += 4095) {
		memcpy(block, good, 4096);
		block[bit / 8] ^= (char)(1 << (bit % 8));
		assert_int_equal(pwrite(fd, block, 4096, places[0] + 3 * 4096), 4096);
		require_damaged(f, slots[0], 3);
	}
	assert_int_equal(pread(fd, block, 4096, places[0] + 4 * 4096), 4096);
	assert_int_equal(pwrite(fd, block, 4096, places[0] + 3 * 4096), 4096);
	require_damaged(f, slots[0], 3);
	assert_int_equal(pread(fd, block, 4096, places[1] + 3 * 4096), 4096);
	assert_int_equal(pwrite(fd, block, 4096, places[0] + 3 * 4096), 4096);
	require_damaged(f, slots[0], 3);
	assert_int_equal(pwrite(fd, good, 4096, places[0] + 3 * 4096), 4096);
	require_stored(f, slots[0]);
	/* The last block has less than others. */
	assert_int_equal(pwrite(fd, good, 4096, places[0] + 16 * 4096), 4096);
	require_damaged(f, slots[0], 16);
	swap_release(f->s, slots[0]);
	again = reserve(f->s);
	assert_int_equal(place_of(again), place_of(slots[0]));
	assert_int_equal(write_slot(f, again), 0);
	require_stored(f, again);
	assert_int_equal(pwrite(fd, good, 4096, places[0] + 3 * 4096), 4096);
	require_damaged(f, again, 3);
	close(fd);
	swap_end(f);
}

/* No nonce is used twice: a use of a slot is written once, and from its beginning. */
static void
test_sealed_once(void **state)
{
	struct fixture *f = *state;
	struct swap_slot slots[2], slot;
	off_t places[2];
	char *buffer;

	sealed_start(f, slots, places);
	slot = reserve(f->s);
	buffer = swap_channel_buffer_get(f->ch);
	memset(buffer, 1, SLOT_BYTES);
	assert_int_equal(
	    swap_channel_submit(f->ch, SWAP_WRITE, slot, 4096, 4096, buffer, 1), -EINVAL);
	assert_int_equal(swap_channel_submit(f->ch, SWAP_WRITE, slot, 0, SLOT_BYTES, buffer, 1), 0);
	assert_int_equal(reap(f), 0);
	assert_int_equal(
	    swap_channel_submit(f->ch, SWAP_WRITE, slot, 0, SLOT_BYTES, buffer, 1), -EINVAL);
	swap_channel_buffer_put(f->ch, buffer);
	swap_release(f->s, slot);
	swap_end(f);
}

/* A key from a file: what one life has written another cannot read as its own, although the file is
 * the same. */
static void
test_key(void **state)
{
	struct fixture *f = *state;
	struct swap_slot slots[2];
	struct swap_fault fault;
	char block[4096], key[100];
	off_t places[2];

	snprintf(key, sizeof(key), "%s/key", f->base);
	f->config.key_file = key;
	f->config.backends[0].encrypt = true;
	assert_int_equal(swap_create(&f->config, &f->s, &fault), -ENOENT);
	assert_null(fault.where);
	assert_true(strstr(fault.why, key) != NULL);
	int fd = open(key, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "0123456789abcdef0123456789abcde", 31), 31);
	assert_int_equal(swap_create(&f->config, &f->s, &fault), -EINVAL);
	assert_true(strstr(fault.why, "32 bytes") != NULL);
	assert_int_equal(write(fd, "f", 1), 1);
	close(fd);
	sealed_start(f, slots, places);
	require_stored(f, slots[0]);
	fd = open(f->disk, O_RDWR | O_CLOEXEC);
	assert_int_equal(pread(fd, block, 4096, places[0]), 4096);
	swap_end(f);
	sealed_start(f, slots, places);
	require_stored(f, slots[0]);
	assert_int_equal(pwrite(fd, block, 4096, places[0]), 4096);
	require_damaged(f, slots[0], 0);
	close(fd);
	swap_end(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_sealed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sealed_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_key, setup, teardown),
	};

	return cmocka_run_group_tests_name("encrypted swap", tests, NULL, NULL);
}
