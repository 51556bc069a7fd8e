/* SPDX-License-Identifier: MIT
 *
 * The arithmetic of the benchmark: histogram, spread, permutations, page patterns, cgroup files,
 * JSON.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "builds.h"
#include "cgroup.h"
#include "compare_rows.h"
#include "histogram.h"
#include "pattern.h"
#include "process.h"
#include "report.h"
#include "rng.h"
#include "spread.h"
#include "ticks.h"
#include "workload.h"

static void
near(double value, double expected, double share)
{
	if (fabs(value - expected) > fabs(expected) * share)
		fail_msg("%g should be about %g", value, expected);
}

static void
histogram_percentiles(void **state)
{
	struct histogram *h = test_calloc(1, sizeof(*h)), *other = test_calloc(1, sizeof(*h));

	(void)state;
	assert_int_equal(histogram_percentile(h, 0.5), 0);
	for (uint64_t i = 1; i <= 100000; i++)
		histogram_record(i % 2 ? h : other, i * 10);
	histogram_merge(h, other);
	assert_int_equal(h->count, 100000);
	assert_int_equal(h->max_ns, 1000000);
	near(histogram_mean(h), 500005, 1e-9);
	near((double)histogram_percentile(h, 0.5), 500000, 0.016);
	near((double)histogram_percentile(h, 0.99), 990000, 0.016);
	near((double)histogram_percentile(h, 0.999), 999000, 0.016);
	assert_true(histogram_percentile(h, 1.0) <= h->max_ns);
	test_free(h);
	test_free(other);
}

static void
histogram_small_and_huge(void **state)
{
	struct histogram *h = test_calloc(1, sizeof(*h));

	(void)state;
	for (uint64_t ns = 0; ns < 100; ns++)
		histogram_record(h, ns);
	assert_int_equal(histogram_percentile(h, 0.01), 0);
	assert_int_equal(histogram_percentile(h, 0.5), 49);
	assert_int_equal(histogram_percentile(h, 1.0), 99);
	histogram_record(h, UINT64_MAX / 2);
	assert_int_equal(h->max_ns, UINT64_MAX / 2);
	/* Buckets are in order and without gaps. */
	for (uint64_t ns = 1; ns < 1000000; ns++)
		assert_in_range(histogram_index(ns) - histogram_index(ns - 1), 0, 1);
	test_free(h);
}

static void
spreads(void **state)
{
	const double odd[] = { 5, 1, 3 }, even[] = { 4, 1, 2, 3 }, a[] = { 1, 2, 0 },
		     b[] = { 2, 0, 1 };
	double ratios[3];
	struct spread s = spread_of(odd, 3);

	(void)state;
	assert_true(s.min == 1 && s.median == 3 && s.max == 5);
	s = spread_of(even, 4);
	assert_true(s.min == 1 && s.median == 2.5 && s.max == 4);
	s = spread_of(NULL, 0);
	assert_true(s.min == 0 && s.median == 0 && s.max == 0);
	/* A pair counts only if both sides were measured. */
	assert_int_equal(ratios_of(a, b, 3, ratios), 1);
	assert_true(ratios[0] == 0.5);
}

static void
permutations(void **state)
{
	static const uint64_t sizes[] = { 1, 2, 3, 100, 1024, 5000 };

	(void)state;
	for (size_t s = 0; s < sizeof(sizes) / sizeof(sizes[0]); s++) {
		unsigned char *seen = test_calloc(sizes[s], 1);

		for (uint64_t i = 0; i < sizes[s]; i++) {
			uint64_t to = permute(i, sizes[s], 42);

			assert_true(to < sizes[s]);
			assert_int_equal(seen[to], 0);
			seen[to] = 1;
		}
		test_free(seen);
	}
}

static void
zipf_shape(void **state)
{
	struct rng r = { 1 };
	struct zipf z;
	unsigned first = 0, total = 200000;

	(void)state;
	zipf_init(&z, 10000, 0.99);
	for (unsigned i = 0; i < total; i++) {
		uint64_t rank = zipf_next(&z, &r);

		assert_true(rank < 10000);
		first += rank == 0;
	}
	near((double)first / total, 1.0 / z.zeta_n, 0.05);
}

static void
patterns_tell_bad_pages(void **state)
{
	char unit[UNIT_BYTES], other[UNIT_BYTES];
	struct pool pool;

	(void)state;
	assert_int_equal(pool_create(&pool, POOL_HALF, 64, 1), 0);
	page_fill(unit, 7, 99, 3, &pool);
	assert_true(page_check(unit, 7, 99, 3));
	assert_true(page_verify(unit, 7, 99, 3, &pool));
	assert_false(page_check(unit, 8, 99, 3));
	assert_false(page_check(unit, 7, 98, 3));
	assert_false(page_check(unit, 7, 99, 4));
	page_set_generation(unit, 4);
	assert_true(page_verify(unit, 7, 99, 4, &pool));
	/* Torn: the second half has another generation. */
	page_fill(other, 7, 99, 5, &pool);
	memcpy(other, unit, UNIT_BYTES / 2);
	assert_true(page_check(other, 7, 99, 4));
	assert_false(page_verify(other, 7, 99, 4, &pool));
	/* One byte of the content. */
	unit[UNIT_BYTES / 2] ^= 1;
	assert_false(page_verify(unit, 7, 99, 4, &pool));
	memset(unit, 0, sizeof(unit));
	assert_false(page_check(unit, 7, 0, 0));
	pool_close(&pool);
}

static void
pool_is_half_compressible(void **state)
{
	struct pool pool;

	(void)state;
	assert_int_equal(pool_create(&pool, POOL_HALF, 1024, 5), 0);
	near(page_compression_ratio(&pool), 2.0, 0.1);
	pool_close(&pool);
}

/* Two backends on the heap, for workload_run. `told` is their letters in the order in which their
 * counts were read, which happens before and after each slice. The second one loses a page. */
struct told_memory {
	char letter;
	char *base;
};
static char told[64];

static int
told_open(const char *socket, void **ret_state)
{
	struct told_memory *m = test_calloc(1, sizeof(*m));

	m->letter = *socket;
	*ret_state = m;
	return 0;
}

static int
told_allocate(void *state, size_t bytes, unsigned flags, void **ret_addr)
{
	struct told_memory *m = state;

	(void)flags;
	m->base = *ret_addr = test_calloc(1, bytes);
	return 0;
}

static int
told_deallocate(void *state, void *addr, size_t bytes)
{
	(void)state;
	(void)bytes;
	test_free(addr);
	return 0;
}

static int
told_counts(void *state, struct fault_counts *ret)
{
	struct told_memory *m = state;
	size_t length = strlen(told);

	if (length + 1 < sizeof(told))
		told[length] = m->letter;
	if (m->letter == 'b')
		memset(m->base + 7 * UNIT_BYTES, 0, sizeof(uint64_t));
	*ret = (struct fault_counts){ .minor = length };
	return 0;
}

static pid_t
told_daemon_pid(void *state)
{
	(void)state;
	return 0;
}

static void
told_close(void *state)
{
	test_free(state);
}

static void
slices_alternate(void **state)
{
	static const struct backend_ops ops = { .name = "told",
		.open = told_open,
		.close = told_close,
		.allocate = told_allocate,
		.deallocate = told_deallocate,
		.counts = told_counts,
		.daemon_pid = told_daemon_pid };
	struct workload_result *results = test_calloc(2, sizeof(*results));
	struct pool pool;
	struct workload_config configs[2] = { { .scenario = scenario_find("fits"),
	    .ops = &ops,
	    .socket = "a",
	    .pool = &pool,
	    .units = 64,
	    .threads = 1,
	    .seconds = 0.1,
	    .seed = 3 } };

	(void)state;
	ticks_init();
	assert_int_equal(pool_create(&pool, POOL_HALF, 64, 5), 0);
	configs[1] = configs[0];
	configs[1].socket = "b";
	assert_int_equal(workload_run(configs, 2, results), 0);
	/* Four turns: each side comes first twice, and no slice lies within another. */
	assert_string_equal(told, "aabb"
				  "bbaa"
				  "aabb"
				  "bbaa");
	for (unsigned i = 0; i < 2; i++) {
		assert_true(results[i].touches > 0);
		assert_int_equal(results[i].touch.count * WORKLOAD_BATCH, results[i].touches);
		assert_int_equal(results[i].counts.minor, 4);
	}
	/* Only the backend that lost a page has a bad one. */
	assert_int_equal(results[0].bad_pages, 0);
	assert_int_equal(results[1].bad_pages, 1);
	/* Equal work: exactly this number of touches on each side, in any number of slices. */
	configs[0].touches = configs[1].touches = 8 * 1024 * 1024;
	configs[0].seconds = configs[1].seconds = 60;
	assert_int_equal(workload_run(configs, 2, results), 0);
	assert_int_equal(results[0].touches, 8 * 1024 * 1024);
	assert_int_equal(results[1].touches, 8 * 1024 * 1024);
	configs[0].scenario = configs[1].scenario = scenario_find("first-touch");
	assert_int_equal(workload_run(configs, 2, results), -EINVAL);
	pool_close(&pool);
	test_free(results);
}

static void
put(const char *directory, const char *file, const char *text)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void
has(const char *directory, const char *file, const char *expected)
{
	char path[300], text[256];

	snprintf(path, sizeof(path), "%s/%s", directory, file);
	assert_int_equal(file_read(path, text, sizeof(text)), 0);
	text[strlen(expected)] = '\0'; /* the rest of the longer text is still in the file */
	assert_string_equal(text, expected);
}

static void
cgroup_version_2(void **state)
{
	char directory[] = "/tmp/pagerbench-test.XXXXXX", mounts[300], line[600];
	struct cgroup_root root = { 0 };
	uint64_t usage = 0;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(mounts, sizeof(mounts), "%s/mounts", directory);
	snprintf(line, sizeof(line), "none %s cgroup2 rw 0 0\n", directory);
	put(directory, "mounts", line);
	put(directory, "cgroup.controllers", "cpuset memoryless io\n");
	assert_int_equal(cgroup_find(mounts, &root), -2 /* ENOENT */);
	put(directory, "cgroup.controllers", "cpuset io memory pids\n");
	assert_int_equal(cgroup_find(mounts, &root), 0);
	assert_int_equal(root.version, 2);
	assert_string_equal(root.path, directory);
	put(directory, "cgroup.subtree_control", "cpu memory\n");
	assert_false(cgroup_needs_subtree(&root));
	put(directory, "cgroup.subtree_control", "cpu\n");
	assert_true(cgroup_needs_subtree(&root));
	assert_int_equal(cgroup_set_subtree(&root, true), 0);
	has(directory, "cgroup.subtree_control", "+memory");
	put(directory, "memory.max", "max\n");
	put(directory, "memory.swap.max", "0\n");
	put(directory, "memory.current", "123456\n");
	put(directory, "memory.events",
	    "low 0\nhigh 0\nmax 5\noom 2\noom_kill 3\noom_group_kill 0\n");
	assert_int_equal(cgroup_limit(&root, directory, 33554432), 0);
	has(directory, "memory.max", "33554432");
	has(directory, "memory.swap.max", "max");
	assert_int_equal(cgroup_usage(&root, directory, &usage), 0);
	assert_int_equal(usage, 123456);
	assert_int_equal(cgroup_oom_kills(&root, directory), 3);
	directory_remove(directory);
	assert_int_equal(access(directory, F_OK), -1);
}

static void
cgroup_version_1(void **state)
{
	char directory[] = "/tmp/pagerbench-test.XXXXXX", mounts[300], line[600];
	struct cgroup_root root = { 0 };

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(mounts, sizeof(mounts), "%s/mounts", directory);
	snprintf(line, sizeof(line),
	    "cgroup /x cgroup rw,relatime,cpu 0 0\ncgroup %s cgroup rw,memory 0 0\n", directory);
	put(directory, "mounts", line);
	assert_int_equal(cgroup_find(mounts, &root), 0);
	assert_int_equal(root.version, 1);
	assert_false(cgroup_needs_subtree(&root));
	put(directory, "memory.limit_in_bytes", "9223372036854771712\n");
	put(directory, "memory.swappiness", "60\n");
	put(directory, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
	assert_int_equal(cgroup_limit(&root, directory, 4096), 0);
	has(directory, "memory.limit_in_bytes", "4096");
	has(directory, "memory.swappiness", "100");
	assert_int_equal(cgroup_oom_kills(&root, directory), 2);
	directory_remove(directory);
}

static void
rows_as_json(void **state)
{
	struct sample a[2] = { 0 }, b[2] = { 0 };
	struct row_result r = { .row = compare_rows[0], .pairs = 2, .a = a, .b = b };
	struct options options;
	struct floors floors = { .echo_p50_ns = 5000 };
	json_object *o;
	double ratio;

	(void)state;
	options_init(&options);
	for (unsigned i = 0; i < 2; i++) {
		a[i].figure[FIGURE_MEAN] = 1000;
		b[i].figure[FIGURE_MEAN] = i ? 600 : 800;
	}
	assert_true(row_target_met(&r, &r.row.targets[0], &ratio));
	near(ratio, 0.7, 1e-9);
	/* A figure that was not measured meets no target. */
	assert_false(row_target_met(&r, &r.row.targets[1], &ratio));
	r.doubt = "a test";
	assert_false(row_target_met(&r, &r.row.targets[0], &ratio));
	o = row_json(&r, &options, &floors);
	assert_true(json_lookup(o, "ratio.mean_ns.min", 0) == 0.6);
	assert_true(json_lookup(o, "ratio.mean_ns.median", 0) == 0.7);
	assert_true(json_lookup(o, "ratio.mean_ns.max", 0) == 0.8);
	assert_true(json_lookup(o, "pairs", 0) == 2);
	assert_true(json_lookup(o, "threads", 0) == 1);
	assert_true(json_lookup(o, "floors.userfaultfd_echo_p50_ns", 0) == 5000);
	assert_true(json_lookup(o, "no.such.thing", -1) == -1);
	assert_null(json_number(NAN, 1));
	assert_null(json_number(INFINITY, 1));
	json_object_put(o);
}

static void
builds_take_turns(void **state)
{
	unsigned places[BUILD_RUNS][BUILD_RUNS] = { { 0 } },
		 behind[BUILD_RUNS][BUILD_RUNS] = { { 0 } };

	(void)state;
	for (unsigned round = 0; round < 12; round++)
		for (unsigned k = 0; k < BUILD_RUNS; k++) {
			places[build_order(round, k)][k]++;
			if (k)
				behind[build_order(round, k)][build_order(round, k - 1)]++;
		}
	for (unsigned i = 0; i < BUILD_RUNS; i++)
		for (unsigned k = 0; k < BUILD_RUNS; k++) {
			assert_int_equal(places[i][k], 4);
			assert_int_equal(behind[i][k], i == k ? 0 : 4);
		}
}

static void
builds_have_noise(void **state)
{
	struct sample a[3] = { 0 }, b[3] = { 0 }, again[3] = { 0 }, by = { 0 };
	struct row_result r = {
		.row = compare_rows[0], .pairs = 3, .a = a, .b = b, .again = again
	};
	struct options options;
	struct floors floors = { 0 };
	json_object *o, *target;
	double ratio;

	(void)state;
	options_init(&options);
	options.peer = PEER_PAGERD;
	row_targets_limit(&r.row, 1.03);
	assert_true(r.row.targets[0].at_most == 1.03 && r.row.targets[1].at_most == 1.03);
	for (unsigned i = 0; i < 3; i++) {
		a[i].figure[FIGURE_MEAN] = 1000;
		b[i].figure[FIGURE_MEAN] = 1050;
		again[i].figure[FIGURE_MEAN] = 980 + 20 * i;
		again[i].bad_pages = 1;
		a[i].check_failures = 1;
	}
	assert_false(row_target_met(&r, &r.row.targets[0], &ratio));
	near(ratio, 1.05, 1e-9);
	o = row_json(&r, &options, &floors);
	assert_true(json_lookup(o, "noise.mean_ns.min", 0) == 0.98);
	assert_true(json_lookup(o, "noise.mean_ns.max", 0) == 1.02);
	assert_true(json_lookup(o, "bad_pages", 0) == 3);
	assert_true(json_lookup(o, "check_failures", 0) == 3);
	assert_false(json_object_object_get_ex(o, "floors", NULL));
	target = json_object_array_get_idx(json_object_object_get(o, "targets"), 0);
	assert_false(json_object_get_boolean(json_object_object_get(target, "within_noise")));
	json_object_put(o);
	/* The other build differs from itself by as much, in either direction. */
	again[0].figure[FIGURE_MEAN] = 950;
	o = row_json(&r, &options, &floors);
	target = json_object_array_get_idx(json_object_object_get(o, "targets"), 0);
	assert_true(json_object_get_boolean(json_object_object_get(target, "within_noise")));
	json_object_put(o);
	/* A row's first figure has the limit as its target even if the table has none. */
	for (unsigned i = 0; i < compare_row_count; i++) {
		struct row row = compare_rows[i];

		row_targets_limit(&row, 1.5);
		assert_true(row.targets[0].at_most == 1.5);
		row_targets_limit(&row, 0);
		assert_true(row.targets[0].at_most == 0);
	}
	by.figure[FIGURE_MEAN] = 500;
	sample_divide(&b[0], &by);
	near(b[0].figure[FIGURE_MEAN], 2.1, 1e-9);
	assert_true(b[0].figure[FIGURE_P50] == 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(histogram_percentiles),
		cmocka_unit_test(histogram_small_and_huge),
		cmocka_unit_test(spreads),
		cmocka_unit_test(permutations),
		cmocka_unit_test(zipf_shape),
		cmocka_unit_test(patterns_tell_bad_pages),
		cmocka_unit_test(pool_is_half_compressible),
		cmocka_unit_test(slices_alternate),
		cmocka_unit_test(cgroup_version_2),
		cmocka_unit_test(cgroup_version_1),
		cmocka_unit_test(rows_as_json),
		cmocka_unit_test(builds_take_turns),
		cmocka_unit_test(builds_have_noise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
