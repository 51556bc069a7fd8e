/* SPDX-License-Identifier: MIT
 *
 * pagerbench programs: the search of the kernel's limit, and what enters a mean.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>

#include "kernel.h"
#include "results.h"

static void
near(double value, double expected, double share)
{
	if (fabs(value - expected) > fabs(expected) * share)
		fail_msg("%g should be about %g", value, expected);
}

/* A kernel whose pool compresses to 1 / ratio, and that kills below a limit. => the runs until one
 * has the total; 0: none in 20 */
static unsigned
kernel_searched(double ratio, uint64_t needs, uint64_t wanted, uint64_t kill_below, unsigned *kills)
{
	struct cell cell = { .total_wanted_bytes = wanted };
	struct kernel_search s;
	double total;

	*kills = 0;
	kernel_search_begin(&s, &cell, needs);
	for (unsigned runs = 1; runs <= 20; runs++) {
		assert_true(s.limit_bytes <= wanted);
		if (s.limit_bytes < kill_below) {
			uint64_t before = s.limit_bytes;

			kernel_search_killed(&s, wanted);
			assert_true(s.limit_bytes > before || before == wanted);
			(*kills)++;
			continue;
		}
		total = (double)s.limit_bytes + (double)(needs - s.limit_bytes) / ratio;
		if (fabs(total - (double)wanted) <= TOTAL_WITHIN * (double)wanted)
			return runs;
		kernel_search_ended(&s, wanted, (uint64_t)total);
	}
	return 0;
}

static void
kernel_gets_its_total(void **state)
{
	const uint64_t mib = 1 << 20, needs = 400 * mib;
	unsigned kills, runs;

	(void)state;
	for (double ratio = 2; ratio < 6; ratio += 0.5)
		for (uint64_t wanted = 260 * mib; wanted <= 400 * mib; wanted += 20 * mib) {
			runs = kernel_searched(ratio, needs, wanted, 0, &kills);
			assert_true(runs >= 1 && runs <= 8 && kills == 0);
		}
	/* It is killed with the limit that begins, and not with one a little larger. */
	runs = kernel_searched(3, needs, 300 * mib, 251 * mib, &kills);
	assert_true(runs >= 2 && runs <= 8 && kills >= 1);
	/* The limit that gives its total is one with which it is killed. */
	assert_int_equal(kernel_searched(3, needs, 300 * mib, 290 * mib, &kills), 0);
	assert_true(kills >= 1);
}

static void
killed_runs_are_no_average(void **state)
{
	static struct results r;
	double fast[] = { 1, 1, 1 }, slow[] = { 2, 2, 2 }, none[3] = { 0 };
	const struct cell cells[] = {
		{ .level = 75,
		    .pairs = 3,
		    .pagerd_s = fast,
		    .peer_s = slow,
		    .plain_s = none,
		    .pagerd = SIDE_ENDED,
		    .peer = SIDE_ENDED,
		    .kills = 2 },
		{ .level = 75,
		    .pairs = 3,
		    .pagerd_s = slow,
		    .peer_s = none,
		    .plain_s = none,
		    .pagerd = SIDE_ENDED,
		    .peer = SIDE_KILLED,
		    .kills = 5 },
		{ .level = 75,
		    .pairs = 2,
		    .pagerd_s = slow,
		    .peer_s = fast,
		    .plain_s = none,
		    .pagerd = SIDE_ENDED,
		    .peer = SIDE_ENDED },
		{ .level = 75,
		    .pairs = 1,
		    .pagerd_s = none,
		    .peer_s = fast,
		    .plain_s = none,
		    .pagerd = SIDE_SLOW,
		    .peer = SIDE_ENDED },
	};
	struct options options = { .peer = PEER_ZRAM };
	struct goal goals[GOALS_MAX];
	struct level_summary s;

	(void)state;
	r.count = 4;
	for (unsigned i = 0; i < r.count; i++) {
		r.programs[i] = (struct program_result){
			.program = &programs[i], .plain_s = 0.5, .cell_count = 1
		};
		r.programs[i].cells[0] = cells[i];
	}
	level_summarize(&r, 75, &s);
	assert_int_equal(s.cells, 2);
	near(s.peer_mean, 1, 1e-9);
	near(s.peer_worst, 2, 1e-9);
	assert_int_equal(s.kills, 7);
	assert_int_equal(s.killed, 1);
	assert_int_equal(s.slow, 1);
	near(s.plain_mean, cbrt(32), 1e-9);
	assert_false(results_failed(&r));
	/* The mean is above 0.85 and the worst above 1.3. */
	assert_int_equal(goals_judge(&r, &options, goals), 2);
	assert_false(goals[0].is_met || goals[1].is_met);
	r.programs[3].cells[0].differs = true;
	assert_true(results_failed(&r));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernel_gets_its_total),
		cmocka_unit_test(killed_runs_are_no_average),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
