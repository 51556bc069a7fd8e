/* SPDX-License-Identifier: MIT
 *
 * pagerctl top: what keys do.
 */
#include "d_top.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

static struct top_ui ui;
#define ROWS_SHOWN 3

static enum top_do
press(int key)
{
	enum top_do what = top_ui_key(&ui, key, rows, row_count, ROWS_SHOWN, 10);

	if (what == TOP_DO_ROWS)
		make(&ui.view, false);
	top_ui_follow(&ui, rows, row_count, ROWS_SHOWN);
	return what;
}

/* => what the last key has done */
static enum top_do
type(const char *keys)
{
	enum top_do what = TOP_DO_DRAW;

	for (; *keys; keys++)
		what = press(*keys);
	return what;
}

static const char *
last_line(void)
{
	static char line[TOP_LINE];

	top_ui_line(&ui, line, sizeof(line));
	return line;
}

static int
five(void **state)
{
	static const char *const names[] = { "a", "b", "c", "d", "e" };

	empty(state);
	for (unsigned i = 0; i < 5; i++)
		client(i + 1, 10 + i, 0, 0, 50 - i, names[i]);
	ui = (struct top_ui){ .view = { .sort = TOP_FOOTPRINT }, .interval = 1 };
	make(&ui.view, false);
	top_ui_follow(&ui, rows, row_count, ROWS_SHOWN);
	return 0;
}

static void
moving(void **state)
{
	(void)state;
	press(TOP_KEY_UP);
	assert_int_equal(ui.selected, 0);
	press(TOP_KEY_PAGE_DOWN);
	assert_int_equal(ui.selected, 3);
	assert_int_equal(ui.first, 1);
	press(TOP_KEY_PAGE_DOWN);
	assert_int_equal(ui.selected, 4);
	press(TOP_KEY_DOWN);
	assert_int_equal(ui.selected, 4);
	/* The chosen client stays chosen wherever it goes. */
	clients[1][4].ledger[PAGER_LEDGER_PHYS_FOOTPRINT] = 1000;
	make(&ui.view, false);
	top_ui_follow(&ui, rows, row_count, ROWS_SHOWN);
	assert_int_equal(ui.selected, 0);
	assert_int_equal(ui.first, 0);
	assert_int_equal(rows[ui.selected].pid, 14);
	/* It ends: one of those that are left is chosen; and when none is left, none. */
	samples[1].count = 4;
	press(TOP_KEY_END);
	make(&ui.view, false);
	top_ui_follow(&ui, rows, row_count, ROWS_SHOWN);
	assert_int_equal(ui.selected, 3);
	samples[1].count = 0;
	make(&ui.view, false);
	top_ui_follow(&ui, rows, row_count, ROWS_SHOWN);
	assert_int_equal(type("l"), TOP_DO_DRAW);
	assert_string_equal(last_line(), "choose a client first");
}

static void
viewing(void **state)
{
	(void)state;
	assert_int_equal(type("<"), TOP_DO_ROWS);
	assert_int_equal(ui.view.sort, TOP_FOOTPRINT - 1);
	assert_int_equal(type(">>"), TOP_DO_ROWS);
	assert_int_equal(ui.view.sort, TOP_FOOTPRINT + 1);
	assert_int_equal(type("sfood"), TOP_DO_DRAW);
	press(TOP_KEY_BACKSPACE);
	assert_string_equal(last_line(), "sort by: foo");
	assert_int_equal(press(TOP_KEY_ENTER), TOP_DO_DRAW); /* no such column: asked again */
	assert_non_null(strstr(last_line(), "no column \"foo\""));
	assert_int_equal(press(TOP_KEY_ESCAPE), TOP_DO_DRAW);
	type("spid\n");
	assert_int_equal(ui.view.sort, TOP_PID);
	type("r/c\n");
	assert_string_equal(order(), "12");
	assert_int_equal(type("/"), TOP_DO_DRAW);
	assert_string_equal(ui.input, "c"); /* to be changed */
	press(TOP_KEY_BACKSPACE);
	type("\n");
	assert_int_equal(row_count, 5);
	type("d0\n");
	assert_non_null(strstr(last_line(), "\"0\" is no number of seconds"));
	press(TOP_KEY_BACKSPACE);
	assert_int_equal(type("0.5\n"), TOP_DO_SAMPLE);
	assert_true(ui.interval == 0.5);
	/* An answer that is too long ends where there is no place for more. */
	type("/");
	for (unsigned i = 0; i < 200; i++)
		type("x");
	assert_int_equal(strlen(ui.input), sizeof(ui.input) - 1);
	press(TOP_KEY_ESCAPE);
	assert_string_equal(ui.view.filter, "");
	/* Help and back; the size of the terminal changes meanwhile. */
	type("h");
	press(TOP_KEY_OTHER);
	assert_int_equal(ui.page, TOP_HELP);
	type("q");
	assert_int_equal(ui.page, TOP_LIST);
	assert_int_equal(type("q"), TOP_DO_QUIT);
}

static void
actions(void **state)
{
	(void)state;
	press(TOP_KEY_DOWN);
	/* A limit: nonsense is explained and asked for again; then the user must be sure. */
	type("lmuch\n");
	assert_non_null(strstr(last_line(), "\"much\" is not a size"));
	for (unsigned i = 0; i < 4; i++)
		press(TOP_KEY_BACKSPACE);
	assert_int_equal(type("64M\n"), TOP_DO_DRAW);
	assert_string_equal(last_line(), "limit process 11 (b) to 64M of resident memory? (y/n)");
	press(TOP_KEY_OTHER); /* the terminal's size changes: no answer */
	assert_int_equal(press(TOP_KEY_ENTER), TOP_DO_DRAW); /* not y */
	assert_string_equal(last_line(), "nothing was done");
	type("l64M\n");
	/* The rows change places between question and answer: it stays what it was. */
	clients[1][4].ledger[PAGER_LEDGER_PHYS_FOOTPRINT] = 1000;
	samples[1].clients[1].session_id = 77;
	make(&ui.view, false);
	top_ui_follow(&ui, rows, row_count, ROWS_SHOWN);
	assert_int_equal(type("y"), TOP_DO_ACT);
	assert_int_equal(ui.action.act, TOP_ACT_LIMIT);
	assert_int_equal(ui.action.session, 2);
	assert_int_equal(ui.action.pid, 11);
	assert_int_equal(ui.action.bytes, 64 << 20);
	assert_int_equal(type("lnone\ny"), TOP_DO_ACT);
	assert_int_equal(ui.action.bytes, 0);
	assert_int_equal(type("pidle\ny"), TOP_DO_ACT);
	assert_int_equal(ui.action.act, TOP_ACT_BAND);
	assert_int_equal(ui.action.band, 0);
	type("p11\n");
	assert_non_null(strstr(last_line(), "\"11\" is no band"));
	press(TOP_KEY_ESCAPE);
	assert_int_equal(type("pnone\ny"), TOP_DO_ACT);
	assert_int_equal(ui.action.band, PAGER_WIRE_BAND_NONE);
	assert_int_equal(type("fy"), TOP_DO_ACT);
	assert_int_equal(ui.action.act, TOP_ACT_FREEZE);
	assert_int_equal(type("uy"), TOP_DO_ACT);
	assert_int_equal(ui.action.act, TOP_ACT_THAW);
	assert_int_equal(type("k\ny"), TOP_DO_ACT);
	assert_int_equal(ui.action.act, TOP_ACT_KILL);
	assert_int_equal(ui.action.signal, SIGTERM);
	type("k");
	for (unsigned i = 0; i < strlen("TERM"); i++)
		press(TOP_KEY_BACKSPACE);
	assert_int_equal(type("sigkill\ny"), TOP_DO_ACT);
	assert_int_equal(ui.action.signal, SIGKILL);
	assert_int_equal(type("fn"), TOP_DO_DRAW);
}

/* A client's regions: what is done there is done to it, and to nobody if it has ended. */
static void
regions(void **state)
{
	(void)state;
	assert_int_equal(type("\n"), TOP_DO_REGIONS);
	assert_int_equal(ui.shown, 1);
	press(TOP_KEY_END);
	assert_int_equal(ui.first_region, 7);
	/* There are fewer now; none at all; a place on the screen more than there are. */
	top_ui_regions(&ui, ROWS_SHOWN + 2, ROWS_SHOWN);
	assert_int_equal(ui.first_region, 2);
	top_ui_regions(&ui, ROWS_SHOWN, ROWS_SHOWN);
	assert_int_equal(ui.first_region, 0);
	press(TOP_KEY_HOME);
	assert_int_equal(ui.first_region, 0);
	assert_int_equal(type("h"), TOP_DO_DRAW);
	type("x");
	assert_int_equal(ui.page, TOP_REGIONS);
	assert_int_equal(type("fy"), TOP_DO_ACT);
	assert_int_equal(ui.action.session, 1);
	clients[1][0].session_id = 99;
	make(&ui.view, false);
	top_ui_follow(&ui, rows, row_count, ROWS_SHOWN);
	assert_int_equal(type("f"), TOP_DO_DRAW);
	assert_string_equal(last_line(), "choose a client first");
	assert_int_equal(type("q"), TOP_DO_DRAW);
	assert_int_equal(ui.page, TOP_LIST);
	/* The row of a user has neither. */
	type("t");
	press(TOP_KEY_HOME);
	assert_int_equal(type("\n"), TOP_DO_DRAW);
	assert_string_equal(last_line(), "choose a client first");
	type("k");
	assert_string_equal(last_line(), "choose a client first");
	/* Also in the midst of a question. */
	type("/");
	assert_int_equal(press(TOP_KEY_GONE), TOP_DO_QUIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(moving, five, drop),
		cmocka_unit_test_setup_teardown(viewing, five, drop),
		cmocka_unit_test_setup_teardown(actions, five, drop),
		cmocka_unit_test_setup_teardown(regions, five, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
