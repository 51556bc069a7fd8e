/* SPDX-License-Identifier: MIT
 *
 * pagerctl top: rows, their order, the tree, and text.
 */
#include "d_top.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

static const struct ctl ctl = { .unit = 'a' };

static void
rates(void **state)
{
	const struct top_view view = { .sort = TOP_PID, .is_reversed = true };
	struct pager_wire_client *c = client(1, 10, 0, 0, 0, "old");

	(void)state;
	c->ledger[PAGER_LEDGER_FAULTS] = 1500;
	c->ledger[PAGER_LEDGER_DECOMPRESSIONS] = 20;
	c->ledger[PAGER_LEDGER_SWAPINS] = 10;
	c->ledger[PAGER_LEDGER_FILE_READS] = 4;
	c->ledger[PAGER_LEDGER_STALL_SWAP] = 3000000000;
	c->ledger[PAGER_LEDGER_STALL_FRAME] = 1000000000;
	samples[0].count = 1;
	clients[0][0] = *c;
	clients[0][0].ledger[PAGER_LEDGER_FAULTS] = 500;
	clients[0][0].ledger[PAGER_LEDGER_DECOMPRESSIONS] = 0;
	clients[0][0].ledger[PAGER_LEDGER_SWAPINS] = 8;
	clients[0][0].ledger[PAGER_LEDGER_FILE_READS] = 0;
	clients[0][0].ledger[PAGER_LEDGER_STALL_SWAP] = 0;
	clients[0][0].ledger[PAGER_LEDGER_STALL_FRAME] = 0;
	/* Not there before: all that it has is of this interval. */
	client(2, 11, 0, 0, 0, "new")->ledger[PAGER_LEDGER_FAULTS] = 30;
	make(&view, true);
	assert_string_equal(order(), "10 11");
	assert_true(rows[0].faults == 500);
	assert_true(rows[0].swapins == 1);
	assert_true(rows[0].refills == 13);
	assert_true(rows[0].by[TOP_STALL_SWAP] == 150); /* several threads */
	assert_true(rows[0].by[TOP_STALL_FRAME] == 50);
	assert_true(rows[0].stall_percent == 200);
	assert_true(rows[1].faults == 15);
	/* The first picture has none. */
	make(&view, false);
	assert_true(rows[0].faults == 0 && rows[0].stall_percent == 0);
	/* Another process's session has the number now: counters never run backwards. */
	clients[0][0].ledger[PAGER_LEDGER_FAULTS] = 9000;
	make(&view, true);
	assert_true(rows[0].faults == 0);
	/* No time has passed. */
	samples[0].seconds = samples[1].seconds;
	make(&view, true);
	assert_true(rows[0].refills == 0);
}

static void
states(void **state)
{
	const struct top_view view = { .sort = TOP_PID, .is_reversed = true };

	(void)state;
	client(1, 10, 0, 0, 0, "a");
	client(2, 11, 0, 0, 0, "b")->ledger[PAGER_LEDGER_STALL_LIMIT] = 5;
	client(3, 12, 0, 0, 0, "c")->ledger[PAGER_LEDGER_STALL_LIMIT] = 5;
	client(4, 13, 0, 0, 0, "d");
	beside[1][2].freeze = 3;
	beside[1][3].state = 0;
	make(&view, true);
	assert_string_equal(rows[0].state, "sleeps");
	assert_string_equal(rows[1].state, "limit");
	assert_string_equal(rows[2].state, "frozen");
	assert_string_equal(rows[3].state, "-");
	beside[1][3].freeze = 99; /* of a newer daemon */
	make(&view, true);
	assert_string_equal(rows[3].state, "?");
}

static void
sorting(void **state)
{
	struct top_view view = { .sort = TOP_FOOTPRINT };

	(void)state;
	client(1, 10, 0, 0, 5, "beta");
	client(2, 11, 0, 0, 9, "Alpha");
	client(3, 12, 0, 0, 5, "gamma");
	make(&view, false);
	assert_string_equal(order(), "11 10 12");
	view.is_reversed = true;
	make(&view, false); /* the same ones stay in the order of their sessions */
	assert_string_equal(order(), "10 12 11");
	view = (struct top_view){ .sort = TOP_NAME };
	make(&view, false);
	assert_string_equal(order(), "11 10 12");
	/* What is not known comes after what is nothing. */
	view = (struct top_view){ .sort = TOP_SWAPPED };
	beside[1][0].has_swapped = false;
	beside[1][2].swapped = 1;
	make(&view, false);
	assert_string_equal(order(), "12 11 10");
	/* Every key finds its column, and no other does. */
	for (unsigned i = 0; i < TOP_COLUMNS; i++)
		assert_int_equal(top_column_find(top_columns[i].key), i);
	assert_int_equal(top_column_find("nonsense"), TOP_COLUMNS);
}

static void
filtering(void **state)
{
	struct top_view view = { .sort = TOP_PID, .is_reversed = true };
	static const struct {
		const char *filter, *order;
	} cases[] = { { "", "10 11 110" }, { "SORT", "10 110" }, { "eve", "11" }, { "11", "11" },
		{ "1", "" }, { "sleep", "10 11 110" }, { "none of them", "" } };

	(void)state;
	client(1, 10, 0, 0, 0, "sort");
	client(2, 11, 1000, 0, 0, "redis");
	client(3, 110, 0, 0, 0, "resorted");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		strcpy(view.filter, cases[i].filter);
		make(&view, false);
		assert_string_equal(order(), cases[i].order);
	}
}

static void
tree(void **state)
{
	struct top_view view = { .sort = TOP_FOOTPRINT, .is_tree = true };

	(void)state;
	client(1, 10, 0, 0, 1, "shell");
	client(2, 11, 0, 10, 50, "child");
	client(3, 12, 0, 11, 2, "grandchild");
	client(4, 13, 0, 0, 20, "alone");
	client(5, 14, 1000, 11, 60, "of another user");
	make(&view, false);
	/* Users by their sums (73, 60), below them as sorted; another user's child is no child. */
	assert_string_equal(order(), "G 1:13 1:10 2:11 3:12 G 1:14");
	assert_int_equal(rows[0].footprint, 73);
	assert_int_equal(rows[0].members, 4);
	assert_string_equal(rows[0].name, "user root");
	view.is_reversed = true;
	make(&view, false);
	assert_string_equal(order(), "G 1:14 G 1:10 2:11 3:12 1:13");
	/* A parent that is not shown is none. */
	strcpy(view.filter, "child");
	view.is_reversed = false;
	make(&view, false);
	assert_string_equal(order(), "G 1:11 2:12");
	/* The sum of what is unknown is unknown. */
	assert_true(rows[0].has_swapped);
	beside[1][2].has_swapped = false;
	make(&view, false);
	assert_false(rows[0].has_swapped);
	/* Process ids that were used again may go in a circle; nobody is lost. */
	view.filter[0] = '\0';
	beside[1][0].parent = 12;
	make(&view, false);
	assert_string_equal(order(), "G 1:13 1:11 2:12 3:10 G 1:14");
	/* Several sessions of one process. */
	empty(NULL);
	client(1, 10, 0, 10, 1, "one");
	client(2, 10, 0, 10, 2, "two");
	make(&view, false);
	assert_string_equal(order(), "G 1:10 1:10");
}

static void
runs(void **state)
{
	struct top_view view = { .sort = TOP_FOOTPRINT, .is_tree = true };

	(void)state;
	client(1, 10, 0, 0, 90, "shell");
	client(2, 11, 0, 10, 50, "make");
	client(3, 12, 0, 11, 2, "cc1");
	client(4, 13, 0, 0, 20, "sort");
	client(5, 14, 1000, 11, 1, "of another user");
	for (size_t i = 1; i < 5; i++) {
		beside[1][i].group = i == 3 ? 8 : 7;
		strcpy(beside[1][i].group_name, i == 3 ? "" : "build");
	}
	make(&view, false);
	/* Runs below their users by their sums (52, 20), then who is in none. A parent outside of
	 * the run is none. */
	assert_string_equal(order(), "G G 2:11 3:12 G 2:13 1:10 G G 2:14");
	assert_string_equal(rows[1].name, "run build");
	assert_int_equal(rows[1].members, 2);
	assert_int_equal(rows[1].footprint, 52);
	assert_string_equal(rows[4].name, "run 8");
	strcpy(view.filter, "BUILD");
	make(&view, false);
	assert_string_equal(order(), "G G 2:11 3:12 G G 2:14");
	view.is_tree = false;
	make(&view, false);
	assert_string_equal(order(), "11 12 14");
}

static void
text(void **state)
{
	const struct top_view view = { .sort = TOP_FOOTPRINT };
	char line[TOP_LINE], buf[OUT_NUMBER];
	struct pager_wire_client *c = client(1, 4194303, 0, 0, 1023ull << 30, "");

	(void)state;
	memset(c->name, 'n', sizeof(c->name)); /* not ended */
	for (unsigned i = 0; i <= PAGER_LEDGER_WIRED_MEM; i++)
		c->ledger[i] = 1023ull << 30;
	c->ledger[PAGER_LEDGER_FAULTS] = 1999999999;
	c->ledger[PAGER_LEDGER_STALL_FILL] = 99999000000000;
	c->limit_bytes = 1023ull << 30;
	beside[1][0].band = 999;
	beside[1][0].freeze = 4; /* the longest text */
	beside[1][0].user = "m\xc3\xbcller\xc3\xb6\xc3\xb6";
	make(&view, true);
	/* No character of the user's name is cut in two. */
	assert_non_null(
	    strstr(top_text_row(&ctl, &rows[0], TOP_WIDE, line), " m\xc3\xbcller   1023G"));
	/* On 80 characters the largest numbers leave place for some of the name. */
	top_text_row(&ctl, &rows[0], 80, line);
	assert_int_equal(strlen(line), 80);
	assert_string_equal(line,
	    "4194303  1023G  1023G  1023G     0B  1000M  5000k  1023G  999 thaw-w nnnnnnnnnnn");
	top_text_titles(80, TOP_FOOTPRINT, line);
	assert_string_equal(
	    line, "    PID FOOTP*  RESID  COMPR   SWAP  FLT/s STALL%  LIMIT BAND STATE  NAME");
	assert_non_null(strstr(top_text_titles(TOP_WIDE, TOP_NAME, line), "SWIN/s"));
	assert_non_null(strstr(line, " NAME*"));
	for (size_t width = 1; width < 140; width++) {
		assert_true(strlen(top_text_row(&ctl, &rows[0], width, line)) <= width);
		assert_true(strlen(top_text_titles(width, TOP_PID, line)) <= width);
	}
	assert_string_equal(top_text_number(0, buf), "0");
	assert_string_equal(top_text_number(0.44, buf), "0.4");
	assert_string_equal(top_text_number(9.96, buf), "10");
	assert_string_equal(top_text_number(9999.4, buf), "9999");
	assert_string_equal(top_text_number(9999.6, buf), "10.0k");
	assert_string_equal(top_text_number(1234567, buf), "1235k");
	/* A character is not cut in two. */
	strcpy(line, "a\xc3\xa4z");
	assert_string_equal(top_text_cut(line, 2), "a");
	strcpy(line, "a\xc3\xa4z");
	assert_string_equal(top_text_cut(line, 3), "a\xc3\xa4");
	assert_string_equal(top_text_cut(line, 0), "");
}

/* Of all limits the least that holds: those of idle processes only for them. */
static void
limits(void **state)
{
	struct pager_rep_process_limits l = { .band = 180, .limits = { 9, 1, 0, 2 } };
	const struct top_view view = { .sort = TOP_LIMIT };

	(void)state;
	assert_int_equal(top_limit(&l), 9);
	l.hard = 8;
	assert_int_equal(top_limit(&l), 8);
	l.limits[PAGER_WIRE_LIMIT_RESIDENT_ACTIVE] = 6;
	assert_int_equal(top_limit(&l), 6);
	l.band = 0;
	assert_int_equal(top_limit(&l), 1);
	l = (struct pager_rep_process_limits){ .limits = { 9, 0, 7, 0 } };
	assert_int_equal(top_limit(&l), 7);
	l.limits[PAGER_WIRE_LIMIT_RESIDENT_INACTIVE] = 10;
	assert_int_equal(top_limit(&l), 9);
	/* Where they are not told, it is the hard one; and the list goes by what is shown. */
	client(1, 10, 0, 0, 1, "one")->limit_bytes = 5;
	client(2, 11, 0, 0, 1, "two")->limit_bytes = 9;
	beside[1][1].has_limit = true;
	beside[1][1].limit = 3;
	make(&view, false);
	assert_string_equal(order(), "10 11");
	assert_int_equal(rows[1].limit, 3);
}

static void
bar(void **state)
{
	struct top_levels levels = { .queue = { 50, 25, 0, 0, 1, 0, 24 } };
	char letters[128];

	(void)state;
	top_bar(&levels, 20, letters);
	/* What is there is seen, however little it is. */
	assert_string_equal(letters, "AAAAAAAAAIIIIIW.....");
	for (size_t width = 0; width < 100; width++) {
		top_bar(&levels, width, letters);
		assert_int_equal(strlen(letters), width);
	}
	/* A daemon that tells nothing. */
	for (unsigned i = 0; i < TOP_QUEUE_COUNT; i++)
		levels.queue[i] = -1;
	top_bar(&levels, 3, letters);
	assert_string_equal(letters, "   ");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(rates, empty, drop),
		cmocka_unit_test_setup_teardown(states, empty, drop),
		cmocka_unit_test_setup_teardown(sorting, empty, drop),
		cmocka_unit_test_setup_teardown(filtering, empty, drop),
		cmocka_unit_test_setup_teardown(tree, empty, drop),
		cmocka_unit_test_setup_teardown(runs, empty, drop),
		cmocka_unit_test_setup_teardown(text, empty, drop),
		cmocka_unit_test_setup_teardown(limits, empty, drop),
		cmocka_unit_test_setup_teardown(bar, empty, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
