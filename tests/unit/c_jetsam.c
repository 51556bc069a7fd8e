/* SPDX-License-Identifier: MIT
 *
 * Jetsam: the choice from numbers alone, and the ring of events.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base.h"
#include "memorystatus/events.h"
#include "memorystatus/jetsam.h"

#define SECOND 1000000000ull
#define NOW    (1000 * SECOND)

static struct jetsam_input
input(unsigned available)
{
	return (struct jetsam_input){ .now_ns = NOW,
		.available = available,
		.notices_are_out = true,
		.limits = pressure_limits_of(1u << 30) };
}

static struct jetsam_process
in_band(int band, uint64_t moved, uint64_t footprint)
{
	return (struct jetsam_process){ .band = band,
		.may_be_ended = true,
		.moved = moved,
		.footprint = footprint,
		.since_ns = NOW - SECOND };
}

/* Ends one after the other. => how many; `order` has their indices */
static size_t
end_all(struct jetsam_process *p, size_t count, const struct jetsam_input *in, size_t *order)
{
	size_t n = 0;

	while (jetsam_choose(p, count, in, &order[n]) != JETSAM_NONE)
		p[order[n++]].may_be_ended = false;
	return n;
}

/* Bands from the lowest; within a band who has been in it longest, in the foreground the largest.
 */
static void
test_order(void **state)
{
	struct jetsam_process p[] = { in_band(BAND_IMPORTANT, 1, 10),
		in_band(BAND_FOREGROUND, 2, 10), in_band(BAND_FOREGROUND, 3, 30),
		in_band(BAND_IDLE, 9, 1), in_band(BAND_IDLE, 4, 1), in_band(BAND_INTERNAL, 5, 100),
		in_band(BAND_AGING1, 6, 1), in_band(BAND_BACKGROUND, 7, 1),
		in_band(BAND_BACKGROUND, 8, 99) };
	static const size_t expected[] = { 4, 3, 6, 7, 8, 2, 1, 0 };
	struct jetsam_input in = input(10);
	size_t order[ARRAY_LEN(p) + 1];

	(void)state;
	assert_int_equal(end_all(p, ARRAY_LEN(p), &in, order), ARRAY_LEN(expected));
	assert_memory_equal(order, expected, sizeof(expected));
}

/* Which cause holds at which number, and whom it concerns. */
static void
test_causes(void **state)
{
	static const struct {
		unsigned available;
		bool squeezed, idle, soft;
		uint64_t idle_seconds;
		enum jetsam_cause cause;
		size_t chosen;
		uint64_t short_seconds;
	} rows[] = {
		{ 149, false, true, false, 10, JETSAM_SUSTAINED_PRESSURE, 1, 600 },
		{ 149, false, true, false, 10, JETSAM_NONE, 0, 599 },
		{ 149, false, false, false, 10, JETSAM_NONE, 0, 600 },
		{ 149, false, true, true, 10, JETSAM_HIGHWATER, 2, 600 },
		{ 149, false, true, false, 300, JETSAM_LONG_IDLE_EXIT, 1, 600 },
		{ 1000, false, true, true, 1000, JETSAM_NONE, 0, 0 },
		{ 199, false, true, true, 10, JETSAM_NONE, 0, 0 },
		{ 199, false, true, true, 300, JETSAM_LONG_IDLE_EXIT, 1, 0 },
		{ 149, false, true, true, 10, JETSAM_HIGHWATER, 2, 0 },
		{ 149, false, true, false, 10, JETSAM_NONE, 0, 0 },
		{ 99, false, true, false, 10, JETSAM_IDLE_EXIT, 1, 0 },
		{ 99, false, false, false, 10, JETSAM_NONE, 0, 0 },
		{ 49, false, true, true, 10, JETSAM_HIGHWATER, 2, 0 },
		{ 49, false, true, false, 10, JETSAM_VM_PAGE_SHORTAGE, 1, 0 },
		{ 49, false, false, false, 10, JETSAM_VM_PAGE_SHORTAGE, 0, 0 },
		{ 500, true, true, false, 10, JETSAM_COMPRESSOR_SPACE_SHORTAGE, 1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct jetsam_process p[] = { in_band(BAND_BACKGROUND, 1, 1),
			in_band(rows[i].idle ? BAND_IDLE : BAND_MAIL, 2, 1),
			in_band(BAND_IMPORTANT, 3, 1) };
		struct jetsam_input in = input(rows[i].available);
		size_t chosen = 0;

		p[1].since_ns = NOW - rows[i].idle_seconds * SECOND;
		p[2].is_over_soft = rows[i].soft;
		in.is_squeezed = rows[i].squeezed;
		if (rows[i].short_seconds)
			in.short_ns = NOW - rows[i].short_seconds * SECOND;
		assert_int_equal(jetsam_choose(p, ARRAY_LEN(p), &in, &chosen), rows[i].cause);
		assert_int_equal(chosen, rows[i].chosen);
	}
}

/* What keeps anybody from being ended. */
static void
test_restraint(void **state)
{
	struct jetsam_process p[] = { in_band(BAND_IDLE, 1, 1), in_band(BAND_BACKGROUND, 2, 1) };
	struct jetsam_input in = input(0);
	size_t chosen;

	(void)state;
	in.volatile_pages = 1;
	assert_int_equal(jetsam_choose(p, 2, &in, &chosen), JETSAM_NONE);
	in.volatile_pages = 0;
	in.notices_are_out = false;
	assert_int_equal(jetsam_choose(p, 2, &in, &chosen), JETSAM_NONE);
	in.notices_are_out = true;
	/* What one gives back may be enough; but it is not waited for without end, and not chosen
	 * again. */
	p[0].is_dying = true;
	p[0].dying_ns = NOW - DYING_NS + 1;
	assert_int_equal(jetsam_choose(p, 2, &in, &chosen), JETSAM_NONE);
	assert_true(jetsam_can_help(p, 1, NOW));
	p[0].dying_ns = NOW - DYING_NS;
	assert_int_equal(jetsam_choose(p, 2, &in, &chosen), JETSAM_VM_PAGE_SHORTAGE);
	assert_int_equal(chosen, 1);
	assert_int_equal(jetsam_choose(p, 1, &in, &chosen), JETSAM_NONE);
	assert_false(jetsam_can_help(p, 1, NOW));
	assert_true(jetsam_can_help(p, 2, NOW));
	p[1].band = BAND_INTERNAL;
	assert_false(jetsam_can_help(p, 2, NOW));
}

/* A process that becomes idle is spared for a while. */
static void
test_aging(void **state)
{
	(void)state;
	assert_int_equal(
	    jetsam_band_now(BAND_IDLE, NOW, NOW + 9 * SECOND, 10 * SECOND), BAND_AGING1);
	assert_int_equal(
	    jetsam_band_now(BAND_IDLE, NOW, NOW + 10 * SECOND, 10 * SECOND), BAND_IDLE);
	assert_int_equal(jetsam_band_now(BAND_MAIL, NOW, NOW, 10 * SECOND), BAND_MAIL);
	assert_string_equal(jetsam_band_name(BAND_AUDIO), "audio");
	assert_null(jetsam_band_name(1));
	assert_string_equal(jetsam_cause_name(JETSAM_IDLE_EXIT), "idle-exit");
}

/* What an ended process had comes back when it is gone: passes of the writer are waited for. */
static void
test_settling(void **state)
{
	struct jetsam_settle s = { 0 };

	(void)state;
	assert_false(jetsam_settles(&s, false, 5, 5, true));
	/* While it dies jetsam_choose waits by itself. */
	assert_false(jetsam_settles(&s, true, 6, 6, true));
	assert_true(jetsam_settles(&s, false, 100, 100, false));
	assert_true(jetsam_settles(&s, false, 107, 107, false));
	assert_false(jetsam_settles(&s, false, 108, 108, false));
	assert_false(jetsam_settles(&s, false, 108, 108, true));
	/* For longer, while compaction still makes frames; but not without end. */
	assert_false(jetsam_settles(&s, true, 200, 200, true));
	assert_true(jetsam_settles(&s, false, 200, 200, true));
	assert_true(jetsam_settles(&s, false, 263, 263, true));
	assert_false(jetsam_settles(&s, false, 264, 264, true));
	/* Another one meanwhile: it begins anew. The number wraps. */
	assert_false(jetsam_settles(&s, true, UINT32_MAX - 1, UINT32_MAX - 1, false));
	assert_true(jetsam_settles(&s, false, UINT32_MAX, UINT32_MAX, false));
	assert_true(jetsam_settles(&s, true, 1, 1, false));
	assert_true(jetsam_settles(&s, false, 3, 3, false));
	assert_true(jetsam_settles(&s, false, 10, 10, false));
	assert_false(jetsam_settles(&s, false, 11, 11, false));
	/* The look that sees that it has ended, or one after it, has taken long: what it has
	 * measured before does not count. */
	assert_false(jetsam_settles(&s, true, 20, 20, false));
	assert_true(jetsam_settles(&s, false, 20, 30, false));
	assert_true(jetsam_settles(&s, false, 37, 45, false));
	assert_false(jetsam_settles(&s, false, 38, 45, false));
}

static void
test_events(void **state)
{
	static struct pager_wire_event event, got;
	struct events e = { 0 };
	uint64_t last;

	(void)state;
	assert_int_equal(events_create(&e), 0);
	assert_false(events_after(&e, 0, &got, &last));
	for (uint32_t i = 1; i <= EVENTS_KEPT + 3; i++) {
		event.pid = i;
		events_add(&e, &event);
	}
	/* The oldest have gone. */
	assert_true(events_after(&e, 0, &got, &last));
	assert_int_equal(got.number, 4);
	assert_int_equal(got.pid, 4);
	assert_int_equal(last, EVENTS_KEPT + 3);
	assert_true(events_after(&e, last - 1, &got, &last));
	assert_int_equal(got.pid, EVENTS_KEPT + 3);
	assert_false(events_after(&e, last, &got, &last));
	assert_false(events_after(&e, UINT64_MAX, &got, &last));
	events_destroy(&e);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_causes),
		cmocka_unit_test(test_restraint),
		cmocka_unit_test(test_aging),
		cmocka_unit_test(test_settling),
		cmocka_unit_test(test_events),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
