/* SPDX-License-Identifier: MIT
 *
 * pagersim: replays reference traces through pagerd's page-out policies.
 */
#include "commands.h"

#include <stdio.h>
#include <string.h>

#include "base.h"
#include "standard.h"

static const struct {
	const char *name, *help;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "replay", "run policies over a trace and count", cmd_replay },
	{ "generate", "write a synthetic trace", cmd_generate },
	{ "convert", "write a trace in another format", cmd_convert },
	{ "policies", "list policies and their parameters", cmd_policies },
};

static void
usage(FILE *out)
{
	fputs("usage: pagersim COMMAND ...\n", out);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	fputs("`pagersim COMMAND --help` lists its options; see pagersim(1).\n", out);
}

static int
run(int argc, char **argv)
{
	if (argc >= 2 && strcmp(argv[1], "--version") == 0) {
		puts("pagersim " PAGERD_VERSION);
		return 0;
	}
	if (argc >= 2 && strcmp(argv[1], "--help") == 0) {
		usage(stdout);
		return 0;
	}
	for (size_t i = 0; argc >= 2 && i < ARRAY_LEN(commands); i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	usage(stderr);
	return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
	standard_open("pagersim");
	return standard_finish("pagersim", run(argc, argv));
}
