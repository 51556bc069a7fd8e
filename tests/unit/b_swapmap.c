/* SPDX-License-Identifier: MIT
 *
 * Slots and generations, by one thread and by several. No I/O on slots.
 */
#include "swap_fixture.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base.h"
#include "panics.h"

/* --- start and stop ------------------------------------------------------------------ */

static void
test_config_refused(void **state)
{
	struct fixture *f = *state;
	struct swap *s = (void *)0x10;
	struct swap_config bad[8];

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		bad[i] = f->config;
	bad[0].slot_bytes = 0;
	bad[1].slot_bytes = 4096 + 512;
	bad[2].file_bytes = SLOT_BYTES - 1;
	bad[3].low_free_slots = 11;
	bad[4].file_bytes = (uint64_t)SLOT_BYTES << 21;
	bad[5].file_bytes = 0;
	bad[6].backend_count = 0;
	bad[7].backend_count = SWAP_BACKENDS_MAX + 1;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(swap_create(&bad[i], &s, NULL), -EINVAL);
	assert_int_equal(swap_file_bytes_min(&f->config), FILE_SLOTS * SLOT_BYTES);
	f->config.max_bytes = FILE_SLOTS * SLOT_BYTES - 1;
	assert_int_equal(swap_create(&f->config, &s, NULL), -ERANGE);
	f->config.max_bytes = 1;
	assert_int_equal(swap_create(&f->config, &s, NULL), -ERANGE);
	assert_ptr_equal(s, (void *)0x10);
	assert_int_equal(access(f->path, F_OK), -1);
}

static void
test_directory_errors(void **state)
{
	struct fixture *f = *state;
	struct swap *s = NULL;
	char path[128];

	snprintf(path, sizeof(path), "%s/missing/swap", f->base);
	f->config.backends[0].where = path;
	assert_int_equal(swap_create(&f->config, &s, NULL), -ENOENT);

	snprintf(path, sizeof(path), "%s/file", f->base);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(swap_create(&f->config, &s, NULL), -ENOTDIR);
	assert_null(s);
}

static void
test_modes_and_clean_stop(void **state)
{
	struct fixture *f = *state;
	mode_t mask = umask(0);
	struct swap *s = swap_start(f);
	struct stat st;

	assert_int_equal(balance(s), SWAP_BALANCE_CREATED);
	umask(mask);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(directory_count(f->path, ""), 2);
	DIR *stream = opendir(f->path);
	for (struct dirent *d; (d = readdir(stream)) != NULL;) {
		if (d->d_name[0] == '.')
			continue;
		assert_int_equal(fstatat(dirfd(stream), d->d_name, &st, 0), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
		if (!strstr(d->d_name, ".lock")) {
			assert_int_equal(st.st_size, FILE_SLOTS * SLOT_BYTES);
			/* Really allocated. */
			assert_true(st.st_blocks * 512 >= FILE_SLOTS * SLOT_BYTES);
		}
	}
	closedir(stream);
	/* Slots in use go too. */
	swap_commit(s, reserve(s));
	(void)reserve(s);
	swap_destroy(s);
	assert_int_equal(directory_count(f->path, ""), 0);
	swap_destroy(NULL);
}

/* --- slots --------------------------------------------------------------------------- */

static void
test_all_slots_once(void **state)
{
	struct fixture *f = *state;
	struct swap *s = swap_start(f);
	struct swap_slot slot = { 7 }, first = { 0 };
	bool seen[FILE_SLOTS] = { false };

	assert_int_equal(swap_reserve(s, &slot), -ENOSPC);
	assert_int_equal(balance(s), SWAP_BALANCE_CREATED);
	for (unsigned i = 0; i < FILE_SLOTS; i++) {
		slot = reserve(s);
		if (i == 0)
			first = slot;
		assert_true(place_of(slot) < FILE_SLOTS && !seen[place_of(slot)]);
		seen[place_of(slot)] = true;
	}
	assert_int_equal(swap_reserve(s, &slot), -ENOSPC);
	assert_swap_valid(s);

	/* The next use of a place has another handle. */
	swap_release(s, first);
	slot = reserve(s);
	assert_int_equal(place_of(slot), place_of(first));
	assert_true(slot.v != first.v);
	/* Late news of the first use do not touch the second. */
	swap_mark_error(s, first, -EIO);
	assert_int_equal(stats_of(s).files_failed, 0);
	assert_false(swap_slot_is_draining(s, first));
	assert_false(swap_slot_is_draining(s, (struct swap_slot){ 0 }));
	assert_false(swap_slot_is_draining(s, (struct swap_slot){ UINT64_MAX }));
	swap_destroy(s);
}

/* Handles stay different over a file's deletion and the next one in its place. */
static void
test_generation_over_files(void **state)
{
	struct fixture *f = *state;
	struct swap_slot seen[64];
	unsigned count = 0;

	f->config.low_free_slots = 1;
	f->config.high_free_slots = 1;
	struct swap *s = swap_start(f);
	for (int round = 0; round < 4; round++) {
		struct swap_slot now[2 * FILE_SLOTS];

		while (balance(s) != SWAP_BALANCE_IDLE)
			;
		for (unsigned i = 0; i < 2 * FILE_SLOTS; i++) {
			if (i == FILE_SLOTS)
				assert_int_equal(balance(s), SWAP_BALANCE_CREATED);
			now[i] = reserve(s);
			if (file_of(now[i]) != 1)
				continue;
			for (unsigned k = 0; k < count; k++)
				assert_true(seen[k].v != now[i].v);
			seen[count++] = now[i];
		}
		for (unsigned i = 0; i < 2 * FILE_SLOTS; i++)
			swap_release(s, now[i]);
		assert_int_equal(balance(s), SWAP_BALANCE_DELETED);
	}
	assert_int_equal(stats_of(s).files_deleted, 4);
	assert_int_equal(count, 4 * FILE_SLOTS);
	swap_destroy(s);
}

enum model_state { MODEL_FREE, MODEL_RESERVED, MODEL_VALID };

/* Random use of a growing and shrinking swap, compared with a list of the slots held. */
static void
run_oracle(struct fixture *f, uint64_t seed)
{
	enum { HELD_MAX = 300, STEPS = 8000 };
	struct {
		struct swap_slot slot;
		enum model_state state;
	} held[HELD_MAX];
	unsigned count = 0, failures = 0;
	uint64_t start = seed;
	struct swap *s = swap_start(f);

	for (int step = 0; step < STEPS; step++) {
		/* Fuller for a while, then emptier. */
		unsigned op = (unsigned)(test_random(&seed) % 16),
			 grow = (step / 1000) % 2 ? 5 : 11;
		unsigned pick = count ? (unsigned)(test_random(&seed) % count) : 0;

		/* Slots of a draining file go first, as the caller of swap_balance is asked to see
		 * to. */
		for (unsigned i = 0; op % 2 == 0 && i < count; i++)
			if (swap_slot_is_draining(s, held[i].slot))
				pick = i;
		fake_now_ns += 10000000;
		if (op == 15) {
			(void)balance(s);
		} else if (op == 14 && count && held[pick].state == MODEL_RESERVED) {
			/* It could not be written. */
			swap_mark_error(
			    s, held[pick].slot, test_random(&seed) % 2 ? -EIO : -ENOSPC);
			swap_release(s, held[pick].slot);
			held[pick] = held[--count];
			failures++;
		} else if (op < grow && count < HELD_MAX) {
			struct swap_slot slot = { 0 };
			uint64_t free_before = stats_of(s).slots_free;
			int error = swap_reserve(s, &slot);

			assert_int_equal(error, free_before == 0 ? -ENOSPC : 0);
			if (error)
				continue;
			assert_false(swap_slot_is_draining(s, slot));
			for (unsigned i = 0; i < count; i++)
				assert_int_not_equal(place_of(held[i].slot), place_of(slot));
			held[count].slot = slot;
			held[count++].state = MODEL_RESERVED;
		} else if (count && op % 2 && held[pick].state == MODEL_RESERVED) {
			swap_commit(s, held[pick].slot);
			held[pick].state = MODEL_VALID;
		} else if (count) {
			swap_release(s, held[pick].slot);
			held[pick] = held[--count];
		}
		if (stats_of(s).slots_used != count)
			fail_msg("seed %llu step %d: %llu used, %u held", (unsigned long long)start,
			    step, (unsigned long long)stats_of(s).slots_used, count);
		if (step % 16 == 0)
			assert_swap_valid(s);
	}
	struct swap_stats stats = stats_of(s);
	/* The run was not trivial. */
	if (stats.files_created < 3 || stats.files_deleted == 0 || failures < 20)
		fail_msg("seed %llu: %llu files made, %llu deleted", (unsigned long long)start,
		    (unsigned long long)stats.files_created,
		    (unsigned long long)stats.files_deleted);
	assert_int_equal(stats.files, stats.files_created - stats.files_deleted);
	assert_int_equal(directory_count(f->path, ""), stats.files + 1);
	swap_destroy(s);
	assert_int_equal(directory_count(f->path, ""), 0);
}

static void
test_oracle(void **state)
{
	struct fixture *f = *state;

	for (uint64_t seed = 1; seed <= 8; seed++) {
		/* Also with bitmaps of more than one word, the last one not full. */
		f->config.file_bytes = (seed % 2 ? FILE_SLOTS : 70) * SLOT_BYTES;
		run_oracle(f, seed);
	}
}

static void
misuse_commit_twice(void *argument)
{
	struct swap_slot slot = reserve(argument);

	swap_commit(argument, slot);
	swap_commit(argument, slot);
}

static void
misuse_release_twice(void *argument)
{
	struct swap_slot slot = reserve(argument);

	swap_release(argument, slot);
	swap_release(argument, slot);
}

static void
misuse_commit_none(void *argument)
{
	swap_commit(argument, (struct swap_slot){ 0 });
}

static void
test_misuse_panics(void **state)
{
	static const struct {
		void (*body)(void *argument);
		const char *text;
	} misuses[] = { { misuse_commit_twice, "committed, but it is not reserved" },
		{ misuse_release_twice, "released, but its use is over" },
		{ misuse_commit_none, "committed, but it is not reserved" } };
	struct swap *s = swap_start(*state);

	assert_int_equal(balance(s), SWAP_BALANCE_CREATED);
	for (size_t i = 0; i < ARRAY_LEN(misuses); i++)
		assert_true(panics(misuses[i].body, s, misuses[i].text));
	swap_destroy(s);
}

/* --- threads ------------------------------------------------------------------------- */

enum { THREADS = 3, PLACES = 4096, ROUNDS = 20000 };

struct crowd {
	struct swap *s;
	atomic_int owner[PLACES]; /* of (file, slot): at most one */
	atomic_int running;
};

struct member {
	struct crowd *crowd;
	uint64_t seed;
	pthread_t thread;
};

static unsigned
place_index(struct swap_slot slot)
{
	return file_of(slot) * FILE_SLOTS + (place_of(slot) & 0xfffff);
}

static void *
member_main(void *arg)
{
	struct member *m = arg;
	struct crowd *crowd = m->crowd;
	struct swap_slot held[24];
	unsigned count = 0;
	uintptr_t wrong = 0;

	for (int i = 0; i < ROUNDS; i++) {
		if (count < ARRAY_LEN(held) && test_random(&m->seed) % 2) {
			if (swap_reserve(crowd->s, &held[count]) != 0)
				continue;
			wrong += atomic_fetch_add(&crowd->owner[place_index(held[count])], 1) != 0;
			if (test_random(&m->seed) % 2)
				swap_commit(crowd->s, held[count]);
			count++;
		} else if (count) {
			unsigned pick = (unsigned)(test_random(&m->seed) % count);

			wrong += atomic_fetch_sub(&crowd->owner[place_index(held[pick])], 1) != 1;
			swap_release(crowd->s, held[pick]);
			held[pick] = held[--count];
		}
	}
	while (count-- > 0) {
		wrong += atomic_fetch_sub(&crowd->owner[place_index(held[count])], 1) != 1;
		swap_release(crowd->s, held[count]);
	}
	atomic_fetch_sub(&crowd->running, 1);
	return (void *)wrong;
}

static void
test_threads(void **state)
{
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	struct member members[THREADS];

	crowd->s = swap_start(*state);
	atomic_store(&crowd->running, THREADS);
	for (unsigned i = 0; i < THREADS; i++) {
		members[i] = (struct member){ .crowd = crowd, .seed = i + 1 };
		assert_int_equal(
		    pthread_create(&members[i].thread, NULL, member_main, &members[i]), 0);
	}
	while (atomic_load(&crowd->running) > 0) {
		(void)balance(crowd->s);
		assert_swap_valid(crowd->s);
	}
	for (unsigned i = 0; i < THREADS; i++) {
		void *wrong;

		assert_int_equal(pthread_join(members[i].thread, &wrong), 0);
		assert_null(wrong);
	}
	assert_int_equal(stats_of(crowd->s).slots_used, 0);
	assert_swap_valid(crowd->s);
	swap_destroy(crowd->s);
	free(crowd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_config_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_directory_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(test_modes_and_clean_stop, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_slots_once, setup, teardown),
		cmocka_unit_test_setup_teardown(test_generation_over_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_oracle, setup, teardown),
		cmocka_unit_test_setup_teardown(test_misuse_panics, setup, teardown),
		cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
