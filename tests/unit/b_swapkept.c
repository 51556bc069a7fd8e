/* SPDX-License-Identifier: MIT
 *
 * Swap that outlives its process. The process before is one of whom nothing is closed: whatever it
 * had under way may go on. What is named is there, what is not is free, and what it may have been
 * writing is used again only when no ring of its is left.
 */
#include "b_swap.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>

#include "../loop.h"
#include "../nbdkit.h"
#include "base.h"
#include "swapmap.h"
#include "swaptables.h"

enum { SLOT_BYTES = 64u << 10, FILE_SLOTS = 8, ROWS = 64 };

/* What the keeper is. */
struct row {
	enum swap_kept kind;
	unsigned id;
	int fd; /* -1: no row */
};

struct fixture {
	struct row rows[ROWS];
	struct swap_keeper keeper;
	struct swap_config config;
	char base[64], path[80], device[64];
	int loop;
};

static struct row *
row_of(struct fixture *f, enum swap_kept kind, unsigned id)
{
	for (unsigned i = 0; i < ROWS; i++)
		if (f->rows[i].fd >= 0 && f->rows[i].kind == kind && f->rows[i].id == id)
			return &f->rows[i];
	return NULL;
}

static int
take(void *ctx, enum swap_kept kind, unsigned id)
{
	struct row *row = row_of(ctx, kind, id);

	return row ? dup(row->fd) : -1;
}

static void
drop(void *ctx, enum swap_kept kind, unsigned id)
{
	struct row *row = row_of(ctx, kind, id);

	if (!row)
		return;
	close(row->fd);
	row->fd = -1;
}

static void
keep(void *ctx, enum swap_kept kind, unsigned id, int fd)
{
	struct fixture *f = ctx;

	drop(f, kind, id);
	for (unsigned i = 0; i < ROWS; i++)
		if (f->rows[i].fd < 0) {
			f->rows[i] = (struct row){ kind, id, dup(fd) };
			return;
		}
	fail_msg("too many descriptors");
}

static int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	directory_init(DISK_DIRECTORY, f->base, f->path);
	for (unsigned i = 0; i < ROWS; i++)
		f->rows[i].fd = -1;
	f->loop = -1;
	f->keeper = (struct swap_keeper){ take, keep, drop, f };
	f->config = (struct swap_config){ .backends[0].where = f->path,
		.backend_count = 1,
		.slot_bytes = SLOT_BYTES,
		.file_bytes = FILE_SLOTS * SLOT_BYTES,
		.low_free_slots = 2,
		.high_free_slots = 4,
		.keeper = &f->keeper };
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	for (unsigned i = 0; i < ROWS; i++)
		if (f->rows[i].fd >= 0)
			close(f->rows[i].fd);
	if (f->loop >= 0)
		close(f->loop);
	directory_fini(f->base, f->path);
	free(f);
	return 0;
}

static struct swap *
swap_begin(struct fixture *f)
{
	struct swap *s = NULL;

	assert_int_equal(swap_create(&f->config, &s, NULL), 0);
	return s;
}

static void
settle(struct swap *s)
{
	struct swap_fault fault;
	unsigned file;

	for (int i = 0; i < 8; i++)
		if (swap_balance(s, &file, &fault) == SWAP_BALANCE_IDLE)
			return;
	fail_msg("swap does not come to rest");
}

static struct swap_slot
reserve(struct swap *s)
{
	struct swap_slot slot = { 0 };

	assert_int_equal(swap_reserve(s, &slot), 0);
	return slot;
}

/* Reads or writes a slot, all of whose words are `word`. => what was read, or -errno */
static int
transfer(struct swap *s, int direction, struct swap_slot slot, uint32_t word)
{
	struct swap_channel *ch = NULL;
	struct swap_completion completion;
	uint32_t *buffer;
	int result;

	assert_int_equal(swap_channel_create(s, 1, SLOT_BYTES, &ch), 0);
	buffer = swap_channel_buffer_get(ch);
	for (size_t i = 0; i < SLOT_BYTES / sizeof(*buffer); i++)
		buffer[i] = direction == SWAP_WRITE ? word : 0;
	result = swap_channel_submit(ch, direction, slot, 0, SLOT_BYTES, buffer, 0);
	if (result == 0) {
		do
			assert_int_equal(swap_channel_wait(ch), 0);
		while (swap_channel_reap(ch, &completion, 1) == 0);
		result = completion.result;
	}
	for (size_t i = 0; result == 0 && i < SLOT_BYTES / sizeof(*buffer); i++)
		assert_int_equal(buffer[i], word);
	swap_channel_buffer_put(ch, buffer);
	swap_channel_destroy(ch);
	return result;
}

static struct swap_slot
stored(struct swap *s, uint32_t word)
{
	struct swap_slot slot = reserve(s);

	assert_int_equal(transfer(s, SWAP_WRITE, slot, word), 0);
	swap_commit(s, slot);
	return slot;
}

/* All free slots are taken for a moment. => whether *ret, one of them, is in that place */
static bool
place_is_had(struct swap *s, struct swap_slot place, struct swap_slot *ret)
{
	struct swap_slot slots[2 * FILE_SLOTS];
	unsigned count = 0;
	bool had = false;

	while (count < 2 * FILE_SLOTS && swap_reserve(s, &slots[count]) == 0) {
		if (place_of(slots[count]) == place_of(place)) {
			had = true;
			*ret = slots[count];
		}
		count++;
	}
	while (count-- > 0)
		swap_release(s, slots[count]);
	return had;
}

/* The last ring of a process has gone. */
static void
rings_end(struct swap *s)
{
	close(s->kept->line);
	s->kept->line = -1;
}

static void
what_is_left(struct fixture *f)
{
	struct swap *first = swap_begin(f), *second, *s;
	struct swap_slot kept, dropped, written, again = { 0 };

	settle(first);
	kept = stored(first, 0x1111);
	dropped = stored(first, 0x2222);
	written = reserve(first);
	/* It has died, and its rings go on; the next one dies at once. */
	second = swap_begin(f);
	s = swap_begin(f);
	assert_false(swap_adopt(s, written));
	assert_true(swap_adopt(s, kept));
	assert_false(swap_adopt(s, kept));
	assert_false(swap_adopt(s, (struct swap_slot){ kept.v + (UINT64_C(1) << 32) }));
	/* A reader may come before all is over. */
	assert_int_equal(transfer(s, SWAP_READ, kept, 0x1111), 0);
	swap_adopt_end(s);
	assert_swap_valid(s);
	assert_int_equal(stats_of(s).slots_used, 1);
	assert_int_equal(stats_of(s).slots_suspect, 1);
	assert_int_equal(transfer(s, SWAP_READ, dropped, 0), -ESTALE);
	assert_true(place_is_had(s, dropped, &again));
	assert_true(again.v >> 32 > dropped.v >> 32);
	assert_false(place_is_had(s, written, &again));
	rings_end(second);
	settle(s);
	assert_false(place_is_had(s, written, &again));
	rings_end(first);
	settle(s);
	assert_true(place_is_had(s, written, &again));
	assert_true(again.v >> 32 > written.v >> 32);
	assert_int_equal(stats_of(s).slots_suspect, 0);
	assert_int_equal(transfer(s, SWAP_READ, kept, 0x1111), 0);
	assert_swap_valid(s);
	swap_release(s, kept);
	swap_destroy(s);
	swap_destroy(second);
	swap_destroy(first);
}

static void
test_files(void **state)
{
	struct fixture *f = *state;

	what_is_left(f);
	assert_int_equal(directory_count(f->path, "pagerd-swap"), 0);
}

/* The keeper had no room for a file's descriptor. */
static void
test_unkept(void **state)
{
	struct fixture *f = *state;
	struct swap *before = swap_begin(f), *s;
	struct swap_slot slot;

	settle(before);
	slot = stored(before, 0x1111);
	drop(f, SWAP_KEPT_FILE, file_of(slot));
	s = swap_begin(f);
	assert_true(swap_adopt(s, slot));
	swap_adopt_end(s);
	assert_int_equal(transfer(s, SWAP_READ, slot, 0x1111), 0);
	assert_non_null(row_of(f, SWAP_KEPT_FILE, file_of(slot)));
	rings_end(before);
	swap_release(s, slot);
	swap_destroy(s);
	swap_destroy(before);
	assert_int_equal(directory_count(f->path, "pagerd-swap"), 0);
}

static void
test_sealed(void **state)
{
	struct fixture *f = *state;

	f->config.backends[0].encrypt = true;
	f->config.file_bytes = FILE_SLOTS * (SLOT_BYTES + 4096u);
	what_is_left(f);
}

static void
test_helpers(void **state)
{
	struct fixture *f = *state;

	f->config.force_sync = true;
	what_is_left(f);
}

static void
test_device(void **state)
{
	struct fixture *f = *state;
	char file[96];
	int fd;

	snprintf(file, sizeof(file), "%s/backing", f->base);
	fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 8 << 20), 0);
	close(fd);
	f->loop = loop_make(file, f->device);
	if (f->loop < 0) {
		print_message("no loop device can be made\n");
		skip();
	}
	f->config.backends[0].kind = SWAP_DEVICE;
	f->config.backends[0].where = f->device;
	what_is_left(f);
}

/* What a process has sent to a server before it died may arrive at any time. The next one does not
 * wait for the server. */
static void
test_server(void **state)
{
	const char *const words[] = { "memory", "8M", NULL };
	struct fixture *f = *state;
	struct swap_slot kept, written, again = { 0 };
	struct nbdkit server;
	struct swap *before, *s;

	if (nbdkit_is_missing()) {
		print_message("nbdkit is not installed\n");
		skip();
	}
	assert_int_equal(nbdkit_start(&server, f->base, words), 0);
	f->config.backends[0].kind = SWAP_NBD;
	f->config.backends[0].where = server.uri;
	before = swap_begin(f);
	settle(before);
	kept = stored(before, 0x1111);
	written = reserve(before);
	nbdkit_stop(&server);
	s = swap_begin(f);
	assert_true(swap_adopt(s, kept));
	swap_adopt_end(s);
	assert_swap_valid(s);
	kill(server.pid, SIGCONT);
	assert_int_equal(transfer(s, SWAP_READ, kept, 0x1111), 0);
	rings_end(before);
	settle(s);
	assert_int_equal(stats_of(s).slots_suspect, 1);
	assert_false(place_is_had(s, written, &again));
	swap_release(s, kept);
	swap_destroy(s);
	swap_destroy(before);
	nbdkit_kill(&server);
}

/* Files that were being made or deleted go, and their handles do not come again. */
static void
test_half_files(void **state)
{
	static const enum swap_file_state states[] = { FILE_CREATING, FILE_DELETING };
	struct fixture *f = *state;
	struct swap *s = swap_begin(f), *before[ARRAY_LEN(states)];
	struct swap_slot slot = { 0 };
	uint64_t generation;

	settle(s);
	for (unsigned i = 0; i < ARRAY_LEN(states); i++) {
		slot = stored(s, 7);
		generation = slot.v >> 32;
		swap_release(s, slot);
		assert_int_equal(directory_count(f->path, "pagerd-swap"), 2);
		store_release(&swap_tables_row(s, file_of(slot))->state, states[i]);
		before[i] = s;
		s = swap_begin(f);
		swap_adopt_end(s);
		rings_end(before[i]);
		/* The lock is left. */
		assert_int_equal(directory_count(f->path, "pagerd-swap"), 1);
		assert_int_equal(stats_of(s).files, 0);
		settle(s);
		slot = reserve(s);
		assert_true(slot.v >> 32 > generation);
		swap_release(s, slot);
	}
	swap_destroy(s);
	for (unsigned i = 0; i < ARRAY_LEN(states); i++)
		swap_destroy(before[i]);
}

/* Of other backends or sizes. */
static void
test_others(void **state)
{
	struct fixture *f = *state;
	struct swap *s = swap_begin(f), *other = NULL;
	struct swap_fault fault;

	f->config.file_bytes *= 2;
	assert_int_equal(swap_create(&f->config, &other, &fault), -EPROTO);
	f->config.file_bytes /= 2;
	f->config.backends[0].where = f->base;
	assert_int_equal(swap_create(&f->config, &other, &fault), -EPROTO);
	f->config.backends[0].where = f->path;
	swap_destroy(s);
}

/* A ring keeps the line for as long as it lives, its process's own end apart. */
static void
test_line(void **state)
{
	struct fixture *f = *state;
	struct swap_channel *ch = NULL;
	struct pollfd line = { 0 };
	int ready[2];
	char byte;
	struct swap *s;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	s = swap_begin(f);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (swap_channel_create(s, 1, SLOT_BYTES, &ch) != 0 ||
		    ch->lanes[LANE_KERNEL].ops != &swapio_uring_ops)
			_exit(1);
		rings_end(s);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	rings_end(s);
	close(ready[1]);
	line.fd = row_of(f, SWAP_KEPT_LINE, 0)->fd;
	if (read(ready[0], &byte, 1) == 1) {
		assert_int_equal(poll(&line, 1, 0), 0);
		kill(pid, SIGKILL);
	} else {
		print_message("io_uring cannot be had\n");
	}
	assert_int_equal(poll(&line, 1, -1), 1);
	assert_true(line.revents & POLLHUP);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(ready[0]);
	swap_destroy(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_unkept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sealed, setup, teardown),
		cmocka_unit_test_setup_teardown(test_helpers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_device, setup, teardown),
		cmocka_unit_test_setup_teardown(test_server, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_others, setup, teardown),
		cmocka_unit_test_setup_teardown(test_line, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
