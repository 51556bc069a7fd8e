/* SPDX-License-Identifier: MIT
 *
 * The daemon's small tables: ledgers, parameters, the statistics segment, runs of slots, free
 * frames.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "c_unit.h"
#include "panics.h"
#include "pagers/store.h"

/* --- ledger --- */

/* `count` pages move. */
static void
post(struct ledger *l, unsigned count, enum ledger_class from, enum ledger_class to)
{
	while (count-- > 0)
		ledger_post(l, from, to, 1);
}

static void
test_ledger(void **state)
{
	struct ledger l = { 0 };

	(void)state;
	assert_true(ledger_is_zero(&l));
	post(&l, 3, LEDGER_CLASS_NONE, LEDGER_CLASS_INTERNAL);
	post(&l, 2, LEDGER_CLASS_NONE, LEDGER_CLASS_INTERNAL_WIRED);
	post(&l, 2, LEDGER_CLASS_INTERNAL, LEDGER_CLASS_INTERNAL_COMPRESSED);
	assert_int_equal(ledger_pages(&l, PAGER_LEDGER_INTERNAL), 3);
	assert_int_equal(ledger_pages(&l, PAGER_LEDGER_PHYS_MEM), 3);
	assert_int_equal(ledger_pages(&l, PAGER_LEDGER_INTERNAL_COMPRESSED), 2);
	assert_int_equal(ledger_pages(&l, PAGER_LEDGER_WIRED_MEM), 2);
	assert_int_equal(ledger_pages(&l, PAGER_LEDGER_PHYS_FOOTPRINT), 5);
	assert_int_equal(load_relaxed(&l.entries[PAGER_LEDGER_PHYS_FOOTPRINT].lifetime_most), 5);
	assert_int_equal(ledger_value(&l, PAGER_LEDGER_INTERNAL, 4096), 3 * 4096);
	post(&l, 1, LEDGER_CLASS_INTERNAL_COMPRESSED, LEDGER_CLASS_INTERNAL);
	post(&l, 1, LEDGER_CLASS_NONE, LEDGER_CLASS_NONE);
	assert_int_equal(load_relaxed(&l.entries[PAGER_LEDGER_PHYS_FOOTPRINT].lifetime_most), 5);
	post(&l, 2, LEDGER_CLASS_INTERNAL, LEDGER_CLASS_NONE);
	post(&l, 1, LEDGER_CLASS_INTERNAL_COMPRESSED, LEDGER_CLASS_NONE);
	post(&l, 2, LEDGER_CLASS_INTERNAL_WIRED, LEDGER_CLASS_NONE);
	assert_true(ledger_is_zero(&l));
	assert_int_equal(load_relaxed(&l.entries[PAGER_LEDGER_PHYS_FOOTPRINT].lifetime_most), 5);
	/* Counts are no balance. */
	ledger_count(&l, PAGER_LEDGER_FAULTS, 7);
	assert_true(ledger_is_zero(&l));
	assert_int_equal(ledger_value(&l, PAGER_LEDGER_FAULTS, 4096), 7);
}

static void
post_below_zero(void *argument)
{
	struct ledger l = { 0 };

	(void)argument;
	ledger_post(&l, LEDGER_CLASS_INTERNAL, LEDGER_CLASS_NONE, 1);
}

static void
test_ledger_below_zero(void **state)
{
	(void)state;
	assert_true(panics(post_below_zero, NULL, "ledger"));
}

/* --- parameters --- */

static void
test_params(void **state)
{
	struct pager_rep_param row;
	struct params params;
	unsigned count = 0;

	(void)state;
	params_init(&params);
	for (; param_describe(&params, count, &row) == 0; count++) {
		uint64_t value = strtoull(row.value, NULL, 10),
			 low = strtoull(row.minimum, NULL, 10),
			 high = strtoull(row.maximum, NULL, 10);
		char text[32];

		assert_true(low <= value && value <= high);
		assert_true(row.text[0] && row.unit[0]);
		assert_int_equal(param_is_live(row.name), row.live);
		assert_int_equal(param_set(&params, row.name, row.minimum), 0);
		assert_int_equal(param_set(&params, row.name, row.maximum), 0);
		if (high < UINT64_MAX) {
			snprintf(text, sizeof(text), "%llu", (unsigned long long)high + 1);
			assert_int_equal(param_set(&params, row.name, text), -ERANGE);
		}
		if (low > 0) {
			snprintf(text, sizeof(text), "%llu", (unsigned long long)low - 1);
			assert_int_equal(param_set(&params, row.name, text), -ERANGE);
		}
		assert_int_equal(param_set(&params, row.name, "much"), -EINVAL);
		assert_int_equal(param_set(&params, row.name, ""), -EINVAL);
		assert_int_equal(param_set(&params, row.name, "-1") < 0, 1);
	}
	assert_true(count > 10);
	assert_int_equal(param_set(&params, "nonsense", "1"), -ENOENT);
	assert_int_equal(param_set(&params, "swap_file_bytes", "64M"), 0);
	assert_int_equal(load_relaxed(&params.swap_file_bytes), 64 << 20);
}

static int
load_text(struct params *params, const char *text, char *message, size_t size)
{
	char path[] = "/tmp/pagerd-params.XXXXXX";
	int fd = mkstemp(path), error;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	error = params_load(params, path, message, size);
	unlink(path);
	return error;
}

static void
test_params_file(void **state)
{
	struct params params;
	char message[512] = "";

	(void)state;
	params_init(&params);
	assert_int_equal(
	    load_text(&params, "# a comment\n\n  pageout_batch = 64  \nfault_cluster=8\n", message,
		sizeof(message)),
	    0);
	assert_int_equal(load_relaxed(&params.pageout_batch), 64);
	assert_int_equal(load_relaxed(&params.fault_cluster), 8);
	assert_int_not_equal(
	    load_text(&params, "pageout_batch = 64\nnonsense = 1\n", message, sizeof(message)), 0);
	assert_non_null(strstr(message, "2")); /* the line */
	assert_int_not_equal(load_text(&params, "pageout_batch\n", message, sizeof(message)), 0);
	assert_int_not_equal(
	    load_text(&params, "pageout_batch = 100000000\n", message, sizeof(message)), 0);
	assert_int_not_equal(
	    params_load(&params, "/nonexistent/file", message, sizeof(message)), 0);
	assert_true(message[0]);
}

/* --- statistics --- */

static const struct shmstat_descriptor *
descriptor_of(const struct shmstat_header *h, const char *name)
{
	const struct shmstat_descriptor *d =
	    (const void *)((const char *)h + h->descriptors_offset);

	for (uint32_t i = 0; i < h->stat_count; i++)
		if (strcmp(d[i].name, name) == 0)
			return &d[i];
	return NULL;
}

static void
test_stats(void **state)
{
	const struct shmstat_header *h;
	struct stat_shard a, b;
	struct unit u;

	(void)state;
	unit_start(&u);
	h = mmap(NULL, u.daemon->stats.bytes, PROT_READ, MAP_SHARED, u.daemon->stats.fd, 0);
	assert_ptr_not_equal(h, MAP_FAILED);
	assert_int_equal(h->magic, SHMSTAT_MAGIC);
	assert_int_equal(h->ready, 1);
	assert_int_equal(h->stat_count, STAT_COUNT);
	assert_int_equal(h->shard_count, u.daemon->stats.shards);
	assert_true(h->shard_stride >= h->stat_count);
	assert_true(h->counters_offset + h->shard_count * h->shard_stride * 8 <= h->segment_bytes);
	assert_int_equal(descriptor_of(h, "total")->kind, SHMSTAT_QUEUE);
	assert_int_equal(descriptor_of(h, "faults")->kind, SHMSTAT_COUNTER);
	assert_int_equal(descriptor_of(h, "sessions")->kind, SHMSTAT_GAUGE);
	/* Counters of two threads add up. */
	a = stats_shard(&u.daemon->stats, 0);
	b = stats_shard(&u.daemon->stats, 1);
	stat_add(a, STAT_FAULTS, 3);
	stat_add(b, STAT_FAULTS, 4);
	assert_int_equal(stats_counter(&u.daemon->stats, STAT_FAULTS), 7);
	assert_int_equal(stats_counter(&u.daemon->stats, STAT_ZERO_FILLS), 0);
	/* Other processes cannot write it. */
	assert_ptr_equal(
	    mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, u.daemon->stats.fd, 0),
	    MAP_FAILED);
	munmap((void *)(uintptr_t)h, u.daemon->stats.bytes);
	unit_stop(&u);
}

struct mover {
	struct unit *unit;
	atomic_bool stop;
};

/* Frames go round and round. */
static void *
mover_main(void *argument)
{
	struct mover *m = argument;
	struct daemon *d = m->unit->daemon;

	while (!load_relaxed(&m->stop)) {
		uint32_t frame;

		pageq_lock(d);
		frame = frame_take_locked(d, FRAME_FIRST);
		d->frames.pages[frame].object = m->unit->object->index;
		store_release(&d->frames.pages[frame].word, FRAME_TAKEN | PAGE_BUSY);
		vm_page_commit(d, m->unit->object, frame, PAGE_ABSENT, PAGE_FILLING);
		vm_page_commit(d, m->unit->object, frame, PAGE_FILLING, PAGE_WIRED);
		frames_credit_compressor_locked(d, 5 * 4096);
		vm_page_commit(d, m->unit->object, frame, PAGE_WIRED, PAGE_ABSENT);
		frames_reclaim_credit_locked(d, 0);
		pageq_unlock(d);
	}
	return NULL;
}

static void
test_sequence(void **state)
{
	struct shmstat_header *h;
	struct mover m = { 0 };
	unsigned good = 0;
	pthread_t thread;
	struct unit u;

	(void)state;
	unit_start(&u);
	m.unit = &u;
	h = u.daemon->stats.header;
	assert_int_equal(pthread_create(&thread, NULL, mover_main, &m), 0);
	while (good < 5000) {
		uint64_t before = load_acquire((_Atomic uint64_t *)&h->sequence);
		long long sum = 0, levels[STAT_COUNT];

		for (int i = STAT_FRAMES_TOTAL; i <= STAT_FRAMES_COMPRESSOR; i++)
			levels[i] = load_relaxed(&u.daemon->stats.levels[i]);
		atomic_thread_fence(memory_order_acquire);
		if (before % 2 || load_relaxed((_Atomic uint64_t *)&h->sequence) != before) {
			/* It may be waiting for this processor in the middle of a change. */
			sched_yield();
			continue;
		}
		for (int i = STAT_FRAMES_FREE; i <= STAT_FRAMES_COMPRESSOR; i++)
			sum += levels[i];
		assert_int_equal(sum, levels[STAT_FRAMES_TOTAL]);
		good++;
	}
	store_relaxed(&m.stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(unit_level(&u, STAT_FRAMES_FREE), UNIT_FRAMES);
	unit_stop(&u);
}

/* --- slots and frames --- */

static void
test_slots(void **state)
{
	enum { RUNS = 32 };
	uint32_t starts[RUNS], start;
	uint64_t counts[RUNS], all;
	struct unit u;

	(void)state;
	unit_start(&u);
	/* The unit's object has UNIT_PAGES of them. */
	all = u.daemon->slots.count - UNIT_PAGES;
	assert_int_not_equal(slots_take(u.daemon, all + 1, &start), 0);
	for (int i = 0; i < RUNS; i++) {
		counts[i] = 1 + (uint64_t)i * 37 % 500;
		assert_int_equal(slots_take(u.daemon, counts[i], &starts[i]), 0);
		for (int k = 0; k < i; k++)
			assert_true(starts[k] + counts[k] <= starts[i] ||
				    starts[i] + counts[i] <= starts[k]);
	}
	for (int i = 0; i < RUNS; i += 2)
		slots_put(u.daemon, starts[i], counts[i]);
	for (int i = 1; i < RUNS; i += 2)
		slots_put(u.daemon, starts[i], counts[i]);
	/* All in one piece again. */
	assert_int_equal(slots_take(u.daemon, all, &start), 0);
	slots_put(u.daemon, start, all);
	unit_stop(&u);
}

static void
test_frames(void **state)
{
	struct daemon *d;
	uint32_t frame, last, squeezed = 0, taken = 0, frames[UNIT_FRAMES];
	size_t credit;
	struct unit u;

	(void)state;
	unit_start(&u);
	d = u.daemon;
	pageq_lock(d);
	while ((frame = frame_take_locked(d, FRAME_FIRST)) != FRAME_NONE) {
		for (uint32_t i = 0; i < taken; i++)
			assert_int_not_equal(frames[i], frame);
		frames[taken++] = frame;
	}
	/* Faults leave the reserve to the compressor, and that leaves the last. */
	assert_int_equal(taken, UNIT_FRAMES - d->frames.reserved);
	assert_int_equal(frames_available(d), 0);
	last = d->frames.last;
	credit = (d->frames.reserved - last) * 4096ull;
	assert_true(last > 0 && last < d->frames.reserved);
	assert_true(frames_credit_compressor_locked(d, credit));
	assert_false(frames_credit_compressor_locked(d, credit + 1));
	assert_int_equal(load_relaxed(&d->frames.free_count), last);
	assert_int_equal(store_compressor_ops.memory_take(d, credit), 0);
	assert_int_equal(store_compressor_ops.memory_take(d, 1), -ENOMEM);
	store_compressor_ops.memory_give(d, credit);
	assert_int_equal(frames_reclaim_credit_locked(d, 0), d->frames.reserved - last);
	/* Squeezed: each use stops at its own floor, and reads at none. */
	store_relaxed(&d->park.squeezed, true);
	while (frame_take_locked(d, FRAME_FIRST) != FRAME_NONE)
		squeezed++;
	while ((frame = frame_take_locked(d, FRAME_WRITE)) != FRAME_NONE)
		frames[taken++] = frame;
	assert_int_equal(squeezed, 0);
	assert_int_equal(load_relaxed(&d->frames.free_count), last / 2);
	assert_false(frames_credit_compressor_locked(d, last * 4096ull));
	assert_int_equal(load_relaxed(&d->frames.free_count), last / 4);
	while ((frame = frame_take_locked(d, FRAME_READ)) != FRAME_NONE)
		frames[taken++] = frame;
	assert_int_equal(load_relaxed(&d->frames.free_count), 0);
	assert_int_equal(frames_reclaim_credit_locked(d, 0), last / 2 - last / 4);
	store_relaxed(&d->park.squeezed, false);
	while (taken > 0)
		frame_put_locked(d, frames[--taken]);
	pageq_unlock(d);
	assert_int_equal(load_relaxed(&d->frames.free_count), UNIT_FRAMES);
	unit_stop(&u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ledger),
		cmocka_unit_test(test_ledger_below_zero),
		cmocka_unit_test(test_params),
		cmocka_unit_test(test_params_file),
		cmocka_unit_test(test_stats),
		cmocka_unit_test(test_sequence),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
