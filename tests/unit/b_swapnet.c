/* SPDX-License-Identifier: MIT
 *
 * Swap on an NBD server and on a block device, beside a directory: round trips, servers that fail,
 * stop, die and come back, priorities, and what is given back.
 */
#include "b_swapnet.h"

#include <stdatomic.h>

#include "../loop.h"
#include "failpt.h"

static atomic_ullong fake_now_ns;

static uint64_t
fake_clock(void)
{
	return atomic_load(&fake_now_ns);
}

/* --- servers ------------------------------------------------------------------------------- */

/* Two backends at once, the server first; then what the server was given goes back to its disk. */
static void
test_round_trip(void **state)
{
	struct fixture *f = *state;
	struct swap_slot slots[DISK_BYTES / SLOT_BYTES + FILE_SLOTS];
	struct swap_backend_stats b;
	struct stat before, after;
	unsigned on_server = 0;

	swap_start(f, 2);
	for (unsigned i = 0; i < ARRAY_LEN(slots); i++) {
		slots[i] = reserve(f->s);
		assert_int_equal(write_slot(f, slots[i]), 0);
		/* The first MiB is nobody's, and no file fits into the rest of the last one. */
		on_server += kind_of(f, slots[i]) == SWAP_NBD;
		assert_int_equal(kind_of(f, slots[i]) == SWAP_NBD, on_server == i + 1);
	}
	assert_int_equal(on_server, (DISK_BYTES - (1u << 20)) / SLOT_BYTES);
	for (unsigned i = 0; i < ARRAY_LEN(slots); i++)
		require_stored(f, slots[i]);
	assert_true(swap_backend_stats(f->s, 0, &b));
	assert_int_equal(b.config.kind, SWAP_NBD);
	assert_int_equal(b.of.slots_used, on_server);
	assert_int_equal(b.of.traffic.writes, on_server);
	assert_true(swap_backend_stats(f->s, 1, &b));
	assert_string_equal(b.config.where, f->path);
	assert_int_equal(b.of.traffic.reads, ARRAY_LEN(slots) - on_server);
	assert_false(swap_backend_stats(f->s, 2, &b));
	assert_int_equal(stat(f->disk, &before), 0);
	swap_end(f);
	assert_int_equal(stat(f->disk, &after), 0);
	assert_true(before.st_blocks * 512 >= on_server * SLOT_BYTES);
	assert_int_equal(after.st_blocks, 0);
}

/* What fails on the server is marked there: the directory goes on, and what lies elsewhere is read.
 */
static void
test_errors(void **state)
{
	struct fixture *f = *state;
	struct swap_slot held, failed, other;
	void *buffer;

	swap_start(f, 2);
	held = reserve(f->s);
	assert_int_equal(write_slot(f, held), 0);
	failed = reserve(f->s);
	int fd = open(f->errors, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(write_slot(f, failed), -EIO);
	swap_release(f->s, failed);
	buffer = submit(f, SWAP_READ, held, 0, 4096);
	assert_int_equal(reap(f), -EIO);
	swap_channel_buffer_put(f->ch, buffer);
	/* Another file is tried there, since writes to this one have succeeded; then none. */
	other = reserve(f->s);
	assert_int_equal(kind_of(f, other), SWAP_NBD);
	assert_int_equal(write_slot(f, other), -EIO);
	swap_release(f->s, other);
	other = reserve(f->s);
	assert_int_equal(kind_of(f, other), SWAP_DIRECTORY);
	assert_int_equal(write_slot(f, other), 0);
	require_stored(f, other);
	assert_int_equal(unlink(f->errors), 0);
	require_stored(f, held);
	swap_end(f);
}

/* A server that is stopped delays its own transfers, and no other's. */
static void
test_stopped(void **state)
{
	struct fixture *f = *state;
	struct swap_slot held, other, late;
	void *buffer, *written;
	struct swap_completion done;

	atomic_store(&fake_now_ns, SECOND);
	clock_inject(fake_clock);
	swap_start(f, 2);
	held = reserve(f->s);
	assert_int_equal(write_slot(f, held), 0);
	late = reserve(f->s);
	assert_int_equal(kind_of(f, late), SWAP_NBD);
	nbdkit_stop(&f->server);
	buffer = submit(f, SWAP_READ, held, 0, SLOT_BYTES);
	written = submit(f, SWAP_WRITE, late, 0, SLOT_BYTES);
	assert_false(swap_slot_is_stalled(f->s, held));
	atomic_fetch_add(&fake_now_ns, 2 * SECOND);
	assert_true(swap_slot_is_stalled(f->s, held));
	assert_true(stats_of(f->s).slots_free == 0);
	assert_true(swap_has_free(f->s));
	other = reserve(f->s);
	assert_int_equal(kind_of(f, other), SWAP_DIRECTORY);
	assert_int_equal(write_slot(f, other), 0);
	require_stored(f, other);
	assert_int_equal(swap_channel_reap(f->ch, &done, 1), 0);
	kill(f->server.pid, SIGCONT);
	assert_int_equal(reap(f), 0);
	assert_int_equal(reap(f), 0);
	check_read(f, buffer, held, 0, SLOT_BYTES);
	swap_channel_buffer_put(f->ch, written);
	swap_commit(f->s, late);
	assert_false(swap_slot_is_stalled(f->s, held));
	require_stored(f, late);
	late = reserve(f->s);
	assert_int_equal(kind_of(f, late), SWAP_NBD);
	swap_end(f);
}

/* A server dies with transfers under way: they are asked again when it is back. Where a write was
 * lost nothing is written any more. */
static void
test_killed(void **state)
{
	struct fixture *f = *state;
	struct swap_slot held, lost, next;
	struct swap_stats before;
	void *buffer, *written;

	swap_start(f, 1);
	held = reserve(f->s);
	assert_int_equal(write_slot(f, held), 0);
	lost = reserve(f->s);
	nbdkit_stop(&f->server);
	buffer = submit(f, SWAP_READ, held, 512, 8192);
	written = submit(f, SWAP_WRITE, lost, 0, SLOT_BYTES);
	/* Until the thread has sent it, it is not lost with the connection. */
	usleep(20000);
	nbdkit_kill(&f->server);
	server_start(f);
	assert_int_equal(reap(f), 0);
	assert_int_equal(reap(f), 0);
	check_read(f, buffer, held, 512, 8192);
	swap_channel_buffer_put(f->ch, written);
	swap_commit(f->s, lost);
	require_stored(f, lost);
	before = stats_of(f->s);
	swap_release(f->s, lost);
	assert_int_equal(stats_of(f->s).slots_suspect, 1);
	assert_int_equal(stats_of(f->s).slots_free, before.slots_free);
	for (unsigned i = 0; i < before.slots_free; i++) {
		next = reserve(f->s);
		assert_int_not_equal(place_of(next), place_of(lost));
	}
	swap_end(f);
}

/* No answer for too long is an error, and a dead server's too. */
static void
test_timeout(void **state)
{
	struct fixture *f = *state;
	struct swap_slot held;
	void *buffer, *waker;

	atomic_store(&fake_now_ns, SECOND);
	clock_inject(fake_clock);
	f->config.server_timeout_ns = 30 * SECOND;
	swap_start(f, 1);
	held = reserve(f->s);
	assert_int_equal(write_slot(f, held), 0);
	nbdkit_stop(&f->server);
	buffer = submit(f, SWAP_READ, held, 0, 4096);
	atomic_fetch_add(&fake_now_ns, 31 * SECOND);
	/* The thread looks at the time when there is something new. */
	waker = submit(f, SWAP_READ, held, 0, 512);
	assert_int_equal(reap(f), -ETIMEDOUT);
	swap_channel_buffer_put(f->ch, buffer);
	nbdkit_kill(&f->server);
	atomic_fetch_add(&fake_now_ns, 31 * SECOND);
	buffer = submit(f, SWAP_READ, held, 0, 4096);
	assert_int_equal(reap(f), -ETIMEDOUT);
	swap_channel_buffer_put(f->ch, waker);
	server_start(f);
	atomic_fetch_add(&fake_now_ns, 2 * SECOND);
	assert_int_equal(reap(f), 0);
	check_read(f, buffer, held, 0, 4096);
	require_stored(f, held);
	swap_end(f);
}

/* Fail points act on what a server answers as on what a disk does, encrypted or not. */
static void
fail_points(struct fixture *f, bool encrypt)
{
	struct swap_slot slot, other;
	char *buffer;

	f->config.backends[0].encrypt = encrypt;
	swap_start(f, 1);
	slot = reserve(f->s);
	assert_int_equal(failpt_arm("SWAP_WRITE_SHORT:0:2,SWAP_READ_SHORT:0:2"), 0);
	assert_int_equal(write_slot(f, slot), 0);
	require_stored(f, slot);
	failpt_disarm_all();
	require_stored(f, slot);
	assert_int_equal(failpt_arm("SWAP_READ_EIO:0:1"), 0);
	buffer = submit(f, SWAP_READ, slot, 0, 4096);
	assert_int_equal(reap(f), -EIO);
	swap_channel_buffer_put(f->ch, buffer);
	require_stored(f, slot);
	assert_int_equal(failpt_arm("SWAP_WRITE_ENOSPC:0:1"), 0);
	other = reserve(f->s);
	assert_int_equal(write_slot(f, other), -ENOSPC);
	swap_release(f->s, other);
	assert_int_equal(stats_of(f->s).traffic.damaged, 0);
	assert_int_equal(failpt_arm("SWAP_READ_BITFLIP:0:1"), 0);
	buffer = submit(f, SWAP_READ, slot, 0, SLOT_BYTES);
	assert_int_equal(reap(f), 0);
	swap_channel_buffer_put(f->ch, buffer);
	assert_int_equal(stats_of(f->s).traffic.damaged, encrypt);
	require_stored(f, slot);
	failpt_disarm_all();
	swap_end(f);
}

static void
test_fail_points(void **state)
{
	fail_points(*state, false);
	fail_points(*state, true);
}

static void
test_refused(void **state)
{
	struct fixture *f = *state;
	struct swap_fault fault;
	char uri[] = "nbd+unix:///?socket=/nonexistent";

	f->config.backends[0].where = uri;
	assert_true(swap_create(&f->config, &f->s, &fault) < 0);
	assert_ptr_equal(fault.where, uri);
	assert_true(strstr(fault.why, "connect") != NULL);
	f->config.backends[0].where = f->server.uri;
	f->config.slot_bytes = DISK_BYTES;
	f->config.file_bytes = DISK_BYTES;
	assert_int_equal(swap_create(&f->config, &f->s, &fault), -EINVAL);
	assert_true(strstr(fault.why, "too small") != NULL);
}

/* --- devices ---------------------------------------------------------------------------- */

static void
test_device(void **state)
{
	struct fixture *f = *state;
	struct swap_slot slots[2 * FILE_SLOTS + 1];
	struct swap_fault fault;
	struct swap *other;
	struct stat before, after;
	char path[64];

	int fd = open(f->disk, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, 5000), 1);
	int loop = loop_make(f->disk, path);
	if (loop < 0) {
		close(fd);
		skip();
	}
	f->config.backends[0] = (struct swap_backend_config){ .kind = SWAP_DEVICE, .where = path };
	f->config.backend_count = 1;
	/* A file system's mark, say. */
	assert_int_equal(swap_create(&f->config, &f->s, &fault), -EEXIST);
	close(loop);
	assert_int_equal(pwrite(fd, "", 1, 5000), 1);
	loop = loop_make(f->disk, path);
	assert_true(loop >= 0);
	f->config.backends[0].where = f->disk;
	assert_int_equal(swap_create(&f->config, &f->s, &fault), -ENOTBLK);
	f->config.backends[0].where = path;
	swap_start(f, 1);
	assert_int_equal(swap_create(&f->config, &other, &fault), -EBUSY);
	for (unsigned i = 0; i < ARRAY_LEN(slots); i++) {
		slots[i] = reserve(f->s);
		assert_int_equal(write_slot(f, slots[i]), 0);
	}
	for (unsigned i = 0; i < ARRAY_LEN(slots); i++)
		require_stored(f, slots[i]);
	assert_int_equal(stats_of(f->s).files_buffered, 0);
	assert_int_equal(fstat(fd, &before), 0);
	swap_end(f);
	assert_int_equal(fstat(fd, &after), 0);
	assert_true(after.st_blocks < before.st_blocks - (long)(2 * FILE_SLOTS * SLOT_BYTES / 512));
	/* It is swap's already. */
	swap_start(f, 1);
	swap_end(f);
	close(loop);
	close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_stopped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timeout, setup, teardown),
		cmocka_unit_test_setup_teardown(test_fail_points, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_device, setup, teardown),
	};

	return cmocka_run_group_tests_name("swap on servers and devices", tests, NULL, NULL);
}
