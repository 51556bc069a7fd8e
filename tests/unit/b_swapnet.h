/* SPDX-License-Identifier: MIT
 *
 * Shared by the tests of swap on a server: an nbdkit with a disk of its own, whose error filter
 * fails everything while a file exists, and a directory beside it.
 */
#ifndef B_SWAPNET_H
#define B_SWAPNET_H

#include "b_swap.h"

#include <errno.h>
#include <fcntl.h>

#include "../nbdkit.h"
#include "base.h"
#include "clock.h"

#define SLOT_BYTES (64u << 10)
#define FILE_SLOTS 8u
#define DEPTH      8u
#define SECOND     1000000000ull
#define DISK_BYTES (8u << 20)

struct fixture {
	char base[64], path[80], disk[100], errors[100];
	struct nbdkit server;
	struct swap_config config;
	struct swap *s;
	struct swap_channel *ch;
};

static inline void
server_start(struct fixture *f)
{
	char file[120], errors[140];
	const char *words[] = { "--filter=error", "file", file, "error=EIO", "error-rate=100%",
		errors, NULL };

	snprintf(file, sizeof(file), "%s", f->disk);
	snprintf(errors, sizeof(errors), "error-file=%s", f->errors);
	assert_int_equal(nbdkit_start(&f->server, f->base, words), 0);
}

static inline int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (nbdkit_is_missing())
		skip();
	directory_init(SHM_DIRECTORY, f->base, f->path);
	snprintf(f->disk, sizeof(f->disk), "%s/disk", f->base);
	snprintf(f->errors, sizeof(f->errors), "%s/errors", f->base);
	int fd = open(f->disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, DISK_BYTES), 0);
	close(fd);
	server_start(f);
	f->config =
	    (struct swap_config){ .backends = { { .kind = SWAP_NBD, .where = f->server.uri },
				      { .where = f->path, .priority = -1 } },
		    .backend_count = 1,
		    .slot_bytes = SLOT_BYTES,
		    .file_bytes = FILE_SLOTS * SLOT_BYTES,
		    .low_free_slots = 1,
		    .high_free_slots = FILE_SLOTS };
	*state = f;
	return 0;
}

static inline void
swap_start(struct fixture *f, unsigned backends)
{
	f->config.backend_count = backends;
	assert_int_equal(swap_create(&f->config, &f->s, NULL), 0);
	assert_int_equal(swap_channel_create(f->s, DEPTH, SLOT_BYTES, &f->ch), 0);
}

static inline void
swap_end(struct fixture *f)
{
	assert_swap_valid(f->s);
	swap_channel_destroy(f->ch);
	swap_destroy(f->s);
	f->s = NULL;
}

static inline int
teardown(void **state)
{
	struct fixture *f = *state;

	clock_inject(NULL);
	if (f->server.pid)
		nbdkit_kill(&f->server);
	directory_fini(f->base, f->path);
	free(f);
	return 0;
}

static inline struct swap_slot
reserve(struct swap *s)
{
	struct swap_slot slot = { 0 };
	struct swap_fault fault;
	unsigned file;

	while (swap_reserve(s, &slot) != 0) {
		enum swap_balance outcome = swap_balance(s, &file, &fault);

		/* A file in which a write failed is deleted when it is empty. */
		assert_true(outcome == SWAP_BALANCE_CREATED || outcome == SWAP_BALANCE_DELETED);
	}
	return slot;
}

static inline enum swap_kind
kind_of(struct fixture *f, struct swap_slot slot)
{
	enum swap_kind kind;

	(void)swap_slot_backend(f->s, slot, &kind);
	return kind;
}

static inline void
fill(uint64_t *words, struct swap_slot slot, size_t offset, size_t length)
{
	for (size_t i = 0; i < length / 8; i++) {
		uint64_t seed = slot.v * 31 + offset + i * 8;

		words[i] = test_random(&seed);
	}
}

static inline void *
submit(struct fixture *f, int direction, struct swap_slot slot, size_t offset, size_t length)
{
	void *buffer = swap_channel_buffer_get(f->ch);

	assert_non_null(buffer);
	if (direction == SWAP_WRITE)
		fill(buffer, slot, offset, length);
	assert_int_equal(
	    swap_channel_submit(f->ch, direction, slot, offset, length, buffer, slot.v), 0);
	assert_int_equal(swap_channel_flush(f->ch), 0);
	return buffer;
}

/* Waits for one, of any slot. */
static inline int
reap(struct fixture *f)
{
	struct swap_completion done;

	while (swap_channel_reap(f->ch, &done, 1) == 0)
		assert_int_equal(swap_channel_wait(f->ch), 0);
	return done.result;
}

static inline int
write_slot(struct fixture *f, struct swap_slot slot)
{
	void *buffer = submit(f, SWAP_WRITE, slot, 0, SLOT_BYTES);
	int result = reap(f);

	swap_channel_buffer_put(f->ch, buffer);
	if (result)
		swap_mark_error(f->s, slot, result);
	else
		swap_commit(f->s, slot);
	return result;
}

static inline void
check_read(struct fixture *f, void *buffer, struct swap_slot slot, size_t offset, size_t length)
{
	static uint64_t expected[SLOT_BYTES / 8];

	fill(expected, slot, offset, length);
	assert_memory_equal(buffer, expected, length);
	swap_channel_buffer_put(f->ch, buffer);
}

static inline void
require_stored(struct fixture *f, struct swap_slot slot)
{
	uint64_t seed = slot.v;
	size_t offset = test_random(&seed) % (SLOT_BYTES / 512) * 512;
	size_t length = (1 + test_random(&seed) % ((SLOT_BYTES - offset) / 512)) * 512;
	void *buffer = submit(f, SWAP_READ, slot, offset, length);

	assert_int_equal(reap(f), 0);
	check_read(f, buffer, slot, offset, length);
}

#endif
