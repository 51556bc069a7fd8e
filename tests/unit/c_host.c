/* SPDX-License-Identifier: MIT
 *
 * The machine's memory, from numbers alone: what its files say, levels, sizes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base.h"
#include "memorystatus/host.h"

#define MIB    (1ull << 20)
#define SECOND 1000000000ull

static void
files_are_read(void **state)
{
	struct host_reading r = { 0 };

	(void)state;
	host_parse_meminfo(
	    "MemTotal:       2048 kB\nMemFree:  1 kB\nMemAvailable:   1024 kB\n", &r);
	assert_int_equal(r.total, 2 * MIB);
	assert_int_equal(r.available, MIB);
	host_parse_pressure("some avg10=1.25 avg60=9.00 avg300=0.00 total=5\n"
			    "full avg10=100.00 avg60=0.00 avg300=0.00 total=1\n",
	    &r);
	assert_int_equal(r.some, 125);
	assert_int_equal(r.full, 10000);
	host_parse_pressure("", &r);
	assert_int_equal(r.some + r.full, 0);
	/* More than there is cannot be available; nonsense is nothing. */
	host_parse_meminfo("MemTotal: 1 kB\nMemAvailable: 99 kB\n", &r);
	assert_int_equal(r.available, 1024);
	host_parse_meminfo("MemTotal: x\n", &r);
	assert_int_equal(r.total, 0);
	host_parse_meminfo("", &r);
	assert_int_equal(r.total, 0);
}

static void
levels(void **state)
{
	static const struct {
		enum pressure now;
		unsigned available; /* of 1000 MiB; low: 100 */
		unsigned some, full;
		bool stalled;
		enum pressure then;
	} rows[] = {
		{ PRESSURE_NORMAL, 101, 0, 0, false, PRESSURE_NORMAL },
		{ PRESSURE_NORMAL, 99, 0, 0, false, PRESSURE_WARNING },
		{ PRESSURE_NORMAL, 49, 0, 0, false, PRESSURE_URGENT },
		{ PRESSURE_NORMAL, 24, 0, 0, false, PRESSURE_CRITICAL },
		{ PRESSURE_WARNING, 114, 0, 0, false, PRESSURE_WARNING },
		{ PRESSURE_WARNING, 116, 0, 0, false, PRESSURE_NORMAL },
		{ PRESSURE_CRITICAL, 28, 0, 0, false, PRESSURE_CRITICAL },
		{ PRESSURE_CRITICAL, 30, 0, 0, false, PRESSURE_URGENT },
		{ PRESSURE_NORMAL, 500, 999, 0, false, PRESSURE_NORMAL },
		{ PRESSURE_NORMAL, 500, 1000, 0, false, PRESSURE_WARNING },
		{ PRESSURE_WARNING, 500, 500, 0, false, PRESSURE_WARNING },
		{ PRESSURE_WARNING, 500, 499, 0, false, PRESSURE_NORMAL },
		{ PRESSURE_NORMAL, 500, 0, 0, true, PRESSURE_WARNING },
		{ PRESSURE_NORMAL, 500, 1000, 1000, false, PRESSURE_CRITICAL },
		{ PRESSURE_CRITICAL, 500, 1000, 500, false, PRESSURE_CRITICAL },
		{ PRESSURE_CRITICAL, 500, 1000, 499, false, PRESSURE_WARNING },
	};

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		struct host_reading r = { .total = 1000 * MIB,
			.available = rows[i].available * MIB,
			.some = rows[i].some,
			.full = rows[i].full,
			.stalled = rows[i].stalled };

		if (host_level(rows[i].now, &r, 100) != rows[i].then)
			fail_msg("row %u: level %d", i, host_level(rows[i].now, &r, 100));
		/* A machine of which nothing is known is not short. */
		r.total = 0;
		assert_int_equal(host_level(rows[i].now, &r, 100), PRESSURE_NORMAL);
	}
}

static uint64_t
size_mib(struct host_sizing *s, unsigned size, unsigned held, unsigned available, uint64_t now_ns)
{
	const struct host_reading r = { .total = 1000 * MIB, .available = available * MIB };
	const struct host_sizes sizes = { size * MIB, held * MIB, 64 * MIB, 256 * MIB };
	const struct host_rules rules = { .low = 100, .calm_ns = 5 * SECOND };
	uint64_t bytes =
	    host_size(s, &sizes, &r, host_level(PRESSURE_NORMAL, &r, 100), &rules, now_ns);

	assert_int_equal(bytes % MIB, 0);
	return bytes / MIB;
}

static void
sizes(void **state)
{
	struct host_sizing s = { 0 };

	(void)state;
	/* What the machine lacks is given of what is held; what is on its way is not asked for
	 * twice. */
	assert_int_equal(size_mib(&s, 256, 200, 70, 1), 170);
	assert_int_equal(size_mib(&s, 170, 190, 80, 2), 170);
	assert_int_equal(size_mib(&s, 170, 170, 100, 3), 170);
	/* No less than the least. */
	assert_int_equal(size_mib(&s, 170, 90, 20, 4), 64);
	assert_int_equal(size_mib(&s, 64, 10, 20, 5), 64);
	/* Between enough and half as much again nothing changes, for ever so long. */
	assert_int_equal(size_mib(&s, 64, 64, 140, 10 * SECOND), 64);
	assert_int_equal(size_mib(&s, 64, 64, 140, 100 * SECOND), 64);
	/* Enough, and for long enough: a sixteenth of the most at a time. */
	assert_int_equal(size_mib(&s, 64, 64, 500, 200 * SECOND), 64);
	assert_int_equal(size_mib(&s, 64, 64, 500, 204 * SECOND), 64);
	assert_int_equal(size_mib(&s, 64, 64, 500, 205 * SECOND), 80);
	assert_int_equal(size_mib(&s, 80, 64, 500, 205 * SECOND + SECOND / 2), 80);
	assert_int_equal(size_mib(&s, 80, 64, 500, 206 * SECOND), 96);
	/* Not more than half of what is left over. */
	assert_int_equal(size_mib(&s, 96, 64, 170, 207 * SECOND), 106);
	assert_int_equal(size_mib(&s, 250, 64, 500, 208 * SECOND), 256);
	/* Short for a moment: the calm begins anew. */
	assert_int_equal(size_mib(&s, 106, 106, 90, 209 * SECOND), 96);
	assert_int_equal(size_mib(&s, 96, 96, 500, 210 * SECOND), 96);
	assert_int_equal(size_mib(&s, 96, 96, 500, 214 * SECOND), 96);
	assert_int_equal(size_mib(&s, 96, 96, 500, 215 * SECOND), 112);
}

static void
stalls_give(void **state)
{
	const struct host_reading r = { .total = 1000 * MIB, .available = 500 * MIB, .some = 1000 };
	const struct host_sizes sizes = { 256 * MIB, 128 * MIB, 64 * MIB, 256 * MIB };
	const struct host_rules rules = { .low = 100, .calm_ns = 5 * SECOND };
	struct host_sizing s = { 0 };

	(void)state;
	assert_int_equal(host_size(&s, &sizes, &r, PRESSURE_WARNING, &rules, 1), 124 * MIB);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_read),
		cmocka_unit_test(levels),
		cmocka_unit_test(sizes),
		cmocka_unit_test(stalls_give),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
