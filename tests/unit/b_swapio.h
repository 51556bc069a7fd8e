/* SPDX-License-Identifier: MIT
 *
 * Shared by the tests of channels. Each test runs with io_uring and with its twin, on disk and on
 * /dev/shm.
 */
#ifndef B_SWAPIO_H
#define B_SWAPIO_H

#include "b_swap.h"

#include <errno.h>
#include <poll.h>

#include "base.h"
#include "failpt.h"

#define SLOT_BYTES (64u << 10)
#define FILE_SLOTS 6u
#define DEPTH      4u

struct variant {
	const char *name, *directory;
	bool force_sync;
};
static struct variant variants[] = {
	{ "io_uring on disk", DISK_DIRECTORY, false },
	{ "io_uring on shm", SHM_DIRECTORY, false },
	{ "twin on disk", DISK_DIRECTORY, true },
	{ "twin on shm", SHM_DIRECTORY, true },
};

struct fixture {
	char base[64], path[80];
	struct swap_config config;
	struct swap *s;
	struct swap_channel *ch;
};

static struct variant *variant; /* that runs now */

static inline int
setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	directory_init(variant->directory, f->base, f->path);
	f->config = (struct swap_config){ .backends[0].where = f->path,
		.backend_count = 1,
		.slot_bytes = SLOT_BYTES,
		.file_bytes = FILE_SLOTS * SLOT_BYTES,
		.low_free_slots = 2,
		.high_free_slots = 4,
		.force_sync = variant->force_sync };
	assert_int_equal(swap_create(&f->config, &f->s, NULL), 0);
	assert_int_equal(swap_channel_create(f->s, DEPTH, SLOT_BYTES, &f->ch), 0);
	*state = f;
	return 0;
}

static inline int
teardown(void **state)
{
	struct fixture *f = *state;

	failpt_disarm_all();
	swap_channel_destroy(f->ch);
	swap_destroy(f->s);
	directory_fini(f->base, f->path);
	free(f);
	return 0;
}

static inline enum swap_balance
balance(struct swap *s)
{
	unsigned file;
	struct swap_fault fault;

	return swap_balance(s, &file, &fault);
}

static inline struct swap_slot
reserve(struct swap *s)
{
	struct swap_slot slot = { 0 };

	while (swap_reserve(s, &slot) != 0)
		assert_int_equal(balance(s), SWAP_BALANCE_CREATED);
	return slot;
}

/* Each word of a slot's contents names slot, generation and place. */
static inline uint64_t
pattern_word(struct swap_slot slot, size_t offset)
{
	uint64_t seed = slot.v * 31 + offset;

	return test_random(&seed);
}

static inline void
pattern_fill(void *buffer, struct swap_slot slot, size_t offset, size_t length)
{
	for (size_t i = 0; i < length; i += 8) {
		uint64_t word = pattern_word(slot, offset + i);

		memcpy((char *)buffer + i, &word, 8);
	}
}

/* => the number of wrong bits. */
static inline unsigned
pattern_wrong(const void *buffer, struct swap_slot slot, size_t offset, size_t length)
{
	unsigned wrong = 0;

	for (size_t i = 0; i < length; i += 8) {
		uint64_t word;

		memcpy(&word, (const char *)buffer + i, 8);
		wrong += (unsigned)__builtin_popcountll(word ^ pattern_word(slot, offset + i));
	}
	return wrong;
}

/* Submits one and waits for it. => its result. */
static inline int
transfer(struct swap_channel *ch, int direction, struct swap_slot slot, size_t offset,
    size_t length, void *buffer)
{
	struct swap_completion done[2];

	int error = swap_channel_submit(ch, direction, slot, offset, length, buffer, 4711);
	if (error)
		return error;
	assert_int_equal(swap_channel_wait(ch), 0);
	assert_int_equal(swap_channel_reap(ch, done, 2), 1);
	assert_int_equal(done[0].cookie, 4711);
	return done[0].result;
}

/* A slot written with its pattern and committed. */
static inline struct swap_slot
store(struct swap *s, struct swap_channel *ch)
{
	struct swap_slot slot = reserve(s);
	void *buffer = swap_channel_buffer_get(ch);

	assert_non_null(buffer);
	pattern_fill(buffer, slot, 0, SLOT_BYTES);
	assert_int_equal(transfer(ch, SWAP_WRITE, slot, 0, SLOT_BYTES, buffer), 0);
	swap_commit(s, slot);
	swap_channel_buffer_put(ch, buffer);
	return slot;
}

static inline void
assert_stored(struct swap_channel *ch, struct swap_slot slot)
{
	void *buffer = swap_channel_buffer_get(ch);

	assert_non_null(buffer);
	memset(buffer, 0, SLOT_BYTES);
	assert_int_equal(transfer(ch, SWAP_READ, slot, 0, SLOT_BYTES, buffer), 0);
	assert_int_equal(pattern_wrong(buffer, slot, 0, SLOT_BYTES), 0);
	swap_channel_buffer_put(ch, buffer);
}

static inline bool
is_readable(struct swap_channel *ch, int timeout_ms)
{
	struct pollfd p = { .fd = swap_channel_fd(ch), .events = POLLIN };
	int n;

	do
		n = poll(&p, 1, timeout_ms);
	while (n < 0 && errno == EINTR);
	assert_true(n == 0 || p.revents == POLLIN);
	return n == 1;
}

/* The path of the only data file. */
static inline void
data_path(const char *directory, char path[400])
{
	DIR *stream = opendir(directory);

	path[0] = '\0';
	for (struct dirent *d; (d = readdir(stream)) != NULL;)
		if (d->d_name[0] != '.' && !strstr(d->d_name, ".lock"))
			snprintf(path, 400, "%s/%s", directory, d->d_name);
	closedir(stream);
	assert_true(path[0] != '\0');
}

/* => the exit status of a program that runs `tests` in each variant. */
#define RUN_VARIANTS(tests)                                                                        \
	({                                                                                         \
		int failed_ = 0;                                                                   \
		for (size_t i_ = 0; i_ < ARRAY_LEN(variants); i_++) {                              \
			variant = &variants[i_];                                                   \
			failed_ += cmocka_run_group_tests_name(variant->name, tests, NULL, NULL);  \
		}                                                                                  \
		failed_ != 0;                                                                      \
	})
#define VARIANT_TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif
