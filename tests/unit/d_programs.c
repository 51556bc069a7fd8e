/* SPDX-License-Identifier: MIT
 *
 * Each program, started with closed standard streams or with a full disk behind them. argv: pagerd,
 * pagerctl, pagersim, pagerbench.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "d_command.h"

enum { PAGERD, PAGERCTL, PAGERSIM, PAGERBENCH, PROGRAMS };

static const char *programs[PROGRAMS];
static const struct {
	int program;
	const char *arguments;
} rows[] = {
	{ PAGERD, "--help" },
	{ PAGERD, "--version" },
	{ PAGERCTL, "--help" },
	{ PAGERCTL, "--version" },
	{ PAGERSIM, "--help" },
	{ PAGERSIM, "--version" },
	{ PAGERSIM, "policies" },
	{ PAGERSIM, "generate --help" },
	{ PAGERSIM, "generate zipf --pages 100 --references 5000" },
	{ PAGERBENCH, "--help" },
	{ PAGERBENCH, "--version" },
	{ PAGERBENCH, "list" },
	{ PAGERBENCH, "run --help" },
};
static char output[1 << 20];

/* => exit status; `output` has the text of standard error */
static int
run(size_t row, const char *redirections)
{
	char command[1024];

	snprintf(command, sizeof(command), "{ %s %s %s; } 2>&1 >/dev/null",
	    programs[rows[row].program], rows[row].arguments, redirections);
	return command_run(command, output, sizeof(output));
}

static void
lost_output_is_told(void **state)
{
	static const char *const lost[] = { ">/dev/full", ">&-", "<&- >&-" };

	(void)state;
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++)
		for (size_t i = 0; i < sizeof(lost) / sizeof(lost[0]); i++) {
			int status = run(row, lost[i]);

			if (status != 1 || !strstr(output, "output"))
				fail_msg("%s %s %s: status %d, \"%s\"", programs[rows[row].program],
				    rows[row].arguments, lost[i], status, output);
		}
}

/* A program works without the streams that it does not need. */
static void
other_streams_are_not_needed(void **state)
{
	static const char *const closed[] = { "<&-", "2>&-", "<&- 2>&-", "2>/dev/full" };

	(void)state;
	for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++)
		for (size_t i = 0; i < sizeof(closed) / sizeof(closed[0]); i++) {
			int status = run(row, closed[i]);

			if (status != 0)
				fail_msg("%s %s %s: status %d", programs[rows[row].program],
				    rows[row].arguments, closed[i], status);
		}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lost_output_is_told),
		cmocka_unit_test(other_streams_are_not_needed),
	};

	if (argc != 1 + PROGRAMS)
		return 77;
	for (int i = 0; i < PROGRAMS; i++)
		programs[i] = argv[1 + i];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
