/* SPDX-License-Identifier: MIT
 *
 * pagerbench: the subcommand table.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "options.h"
#include "scenario.h"
#include "standard.h"
#include "ticks.h"

static const struct {
	const char *name;
	int (*run)(const struct options *);
} commands[] = {
	{ "list", list_command },
	{ "run", run_command },
	{ "compare", compare_command },
	{ "check", check_command },
	{ "--check", check_command },
	{ "policies", policies_command },
	{ "shared", shared_command },
	{ "ool", ool_command },
	{ "greedy", greedy_command },
	{ "halve", halve_command },
	{ "fork", fork_command },
	{ "first-write", first_write_command },
	{ "ledger", ledger_command },
	{ "takeover", takeover_command },
	{ "programs", programs_command },
};

int
list_command(const struct options *o)
{
	(void)o;
	printf("%-14s %5s %7s %6s  %s\n", "SCENARIO", "RATIO", "SECONDS", "WRITES", "WHAT");
	for (const struct scenario *s = scenarios; s->name; s++)
		printf("%-14s %5.1f %7.0f %5u%%  %s\n", s->name, s->ratio, s->seconds,
		    s->write_percent, s->text);
	return EXIT_SUCCESS;
}

static int
run(int argc, char **argv)
{
	struct options options;
	int parsed;

	if (argc < 2) {
		options_usage();
		return 2;
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "help") == 0) {
		options_usage();
		return EXIT_SUCCESS;
	}
	if (strcmp(argv[1], "--version") == 0) {
		puts("pagerbench " PAGERD_VERSION);
		return EXIT_SUCCESS;
	}
	options_init(&options);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0) {
			parsed = options_parse(&options, argc - 1, argv + 1);
			if (parsed)
				return parsed < 0 ? 2 : EXIT_SUCCESS;
			ticks_init();
			return commands[i].run(&options);
		}
	fprintf(stderr, "pagerbench: no subcommand '%s' (try --help)\n", argv[1]);
	return 2;
}

int
main(int argc, char **argv)
{
	standard_open("pagerbench");
	return standard_finish("pagerbench", run(argc, argv));
}
