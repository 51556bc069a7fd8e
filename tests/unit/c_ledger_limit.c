/* SPDX-License-Identifier: MIT
 *
 * Limits on ledger entries: what is told, once, and again when it was less or the limit was set
 * anew; refills of entries that only grow.
 */
#include "ct.h"

#include "base.h"
#include "core/ledger_limit.h"

#define SECOND 1000000000ull

static void
set(struct ledger_limit *l, uint64_t most, unsigned warn, uint64_t refill_ns)
{
	ledger_limit_set(
	    l, &(struct ledger_limit_wish){ .most = most, .warn = warn, .refill_ns = refill_ns });
}

static void
told_once(void **state)
{
	static const struct {
		uint64_t balance;
		unsigned told;
	} rows[] = {
		{ 0, 0 },
		{ 749, 0 },
		{ 750, 75 },
		{ 751, 0 },
		{ 1000, 0 },
		{ 1001, 100 },
		{ 5000, 0 },
		/* Fallen below the limit, but not below the warning: that is not news. */
		{ 900, 0 },
		{ 1001, 100 },
		{ 749, 0 },
		{ 800, 75 },
	};
	struct ledger_limit l = { 0 };

	(void)state;
	assert_int_equal(ledger_limit_look(&l, 1u << 30, SECOND), 0);
	set(&l, 1000, 75, 0);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(
		    ledger_limit_look(&l, rows[i].balance, (i + 2) * SECOND), rows[i].told);
	/* Set anew, it is told again; lifted, never. */
	set(&l, 1000, 75, 0);
	assert_int_equal(ledger_limit_look(&l, 800, 90 * SECOND), 75);
	set(&l, 0, 0, 0);
	assert_int_equal(ledger_limit_look(&l, UINT64_MAX, 91 * SECOND), 0);
	/* Without a warning only what is more than the limit is told. */
	set(&l, 10, 0, 0);
	assert_int_equal(ledger_limit_look(&l, 10, 92 * SECOND), 0);
	assert_int_equal(ledger_limit_look(&l, 11, 93 * SECOND), 100);
	/* A percentage of a number that is not a multiple of 100, and of the greatest one. */
	set(&l, 3, 50, 0);
	assert_int_equal(ledger_limit_look(&l, 1, 94 * SECOND), 0);
	assert_int_equal(ledger_limit_look(&l, 2, 95 * SECOND), 50);
	set(&l, UINT64_MAX, 100, 0);
	assert_int_equal(ledger_limit_look(&l, UINT64_MAX - 1, 96 * SECOND), 0);
	assert_int_equal(ledger_limit_look(&l, UINT64_MAX, 97 * SECOND), 100);
}

static void
refilled(void **state)
{
	struct ledger_limit l = { 0 };

	(void)state;
	/* What was there before does not count. */
	set(&l, 100, 80, 10 * SECOND);
	assert_int_equal(ledger_limit_look(&l, 5000, SECOND), 0);
	assert_int_equal(ledger_limit_against(&l, 5000), 0);
	assert_int_equal(ledger_limit_look(&l, 5080, 2 * SECOND), 80);
	assert_int_equal(ledger_limit_look(&l, 5250, 3 * SECOND), 100);
	assert_int_equal(ledger_limit_against(&l, 5250), 250);
	assert_int_equal(ledger_limit_look(&l, 5250, 10 * SECOND), 0);
	assert_int_equal(ledger_limit_against(&l, 5250), 250);
	/* A period adds the limit: 150 are still more than that, so it is no news. */
	assert_int_equal(ledger_limit_look(&l, 5250, 11 * SECOND), 0);
	assert_int_equal(ledger_limit_against(&l, 5250), 150);
	/* Two at once; what was not used is not kept, and the clock begins anew. */
	assert_int_equal(ledger_limit_look(&l, 5250, 34 * SECOND), 0);
	assert_int_equal(ledger_limit_against(&l, 5250), 0);
	assert_int_equal(ledger_limit_look(&l, 5351, 43 * SECOND), 100);
	assert_int_equal(ledger_limit_look(&l, 5351, 44 * SECOND), 0);
	assert_int_equal(ledger_limit_against(&l, 5351), 1);
	assert_int_equal(ledger_limit_look(&l, 5431, 45 * SECOND), 80);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told_once),
		cmocka_unit_test(refilled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
