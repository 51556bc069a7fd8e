/* SPDX-License-Identifier: MIT
 *
 * pagerctl: shows what a running pagerd does, and changes what can be changed. Exit status: 0 done,
 * 1 failed, 2 usage.
 */
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"
#include "standard.h"

static const struct command {
	const char *name, *arguments, *text;
	int arguments_min, arguments_max;
	unsigned accepts; /* CTL_ACCEPTS of those options after UNITS that the command takes */
	int (*run)(struct ctl *ctl, int argc, char **argv);
} commands[] = {
	{ "stat", "", "statistics: all of them, or vm_stat's columns with -i", 0, 0,
	    CTL_ACCEPTS(INTERVAL) | CTL_ACCEPTS(COUNT), cmd_stat },
	{ "top", "", "memory and clients, live on the terminal", 0, 0,
	    CTL_ACCEPTS(INTERVAL) | CTL_ACCEPTS(COUNT) | CTL_ACCEPTS(BATCH) |
		CTL_ACCEPTS(ITERATIONS) | CTL_ACCEPTS(SORT) | CTL_ACCEPTS(FILTER) |
		CTL_ACCEPTS(TREE),
	    cmd_top },
	{ "clients", "", "the clients and their memory", 0, 0, 0, cmd_clients },
	{ "devices", "", "devices, and who maps them", 0, 0, 0, cmd_devices },
	{ "ports", "", "ports, and what is in their queues", 0, 0, 0, cmd_ports },
	{ "map", "CLIENT", "a client's regions", 1, 1, 0, cmd_map },
	{ "footprint", "CLIENT", "a client's ledger", 1, 1,
	    CTL_ACCEPTS(INTERVAL) | CTL_ACCEPTS(COUNT) | CTL_ACCEPTS(EXPLAIN) |
		CTL_ACCEPTS(ENTRIES),
	    cmd_footprint },
	{ "limit", "CLIENT [SIZE|none [KIND|ENTRY [PERCENT [SECONDS]]]]",
	    "the limits of a client, or sets or lifts one", 1, 5, 0, cmd_limit },
	{ "priority", "CLIENT [BAND|none]", "shows or sets a client's jetsam band", 1, 2, 0,
	    cmd_priority },
	{ "events", "", "processes that were ended, and why", 0, 0, 0, cmd_events },
	{ "freeze", "[CLIENT]", "freezes a client's process; or which are frozen", 0, 1, 0,
	    cmd_freeze },
	{ "thaw", "CLIENT", "brings a frozen process's pages back", 1, 1, 0, cmd_thaw },
	{ "release", "CLIENT", "gives a client all its memory, and no pager any more", 1, 1, 0,
	    cmd_release },
	{ "stop", "", "ends pagerd", 0, 0, CTL_ACCEPTS(RELEASE), cmd_stop },
	{ "upgrade", "[BINARY]", "another program takes over; the clients stay", 0, 1,
	    CTL_ACCEPTS(DEADLINE), cmd_upgrade },
	{ "memory", "[SIZE]", "shows or changes how much memory pagerd is to hold", 0, 1, 0,
	    cmd_memory },
	{ "purge", "CLIENT|all", "throws a client's volatile memory away, or everybody's", 1, 1, 0,
	    cmd_purge },
	{ "pressure", "", "memory pressure, and what clients gave back", 0, 0,
	    CTL_ACCEPTS(SIMULATE), cmd_pressure },
	{ "files", "", "mapped files, and those that are stuck", 0, 0, CTL_ACCEPTS(FORGET),
	    cmd_files },
	{ "wired", "", "what is wired and why, and the daemon's own memory", 0, 0, 0, cmd_wired },
	{ "export", "", "all statistics and ledgers, for Prometheus", 0, 0,
	    CTL_ACCEPTS(LISTEN) | CTL_ACCEPTS(OPENMETRICS), cmd_export },
	{ "check", "", "checks every invariant; fails if one does not hold", 0, 0, 0, cmd_check },
	{ "debug", "[fail SPEC|nofail|log LEVEL|show]", "fail points and log level", 0, 2, 0,
	    cmd_debug },
	{ "run", "-- COMMAND [ARGUMENT...]",
	    "runs a program that does not know of pagerd in its memory", 1, INT_MAX,
	    CTL_ACCEPTS(MEMORY) | CTL_ACCEPTS(SWAP_DIR) | CTL_ACCEPTS(LIMIT) |
		CTL_ACCEPTS(PRIORITY) | CTL_ACCEPTS(NAME) | CTL_ACCEPTS(REPORT) |
		CTL_ACCEPTS(PRETEND) | CTL_ACCEPTS(PROFILES),
	    cmd_run },
	{ "record", "-- COMMAND [ARGUMENT...]", "as run, and records its page references", 1,
	    INT_MAX,
	    CTL_ACCEPTS(MEMORY) | CTL_ACCEPTS(SWAP_DIR) | CTL_ACCEPTS(LIMIT) |
		CTL_ACCEPTS(PRIORITY) | CTL_ACCEPTS(NAME) | CTL_ACCEPTS(REPORT) |
		CTL_ACCEPTS(WINDOW) | CTL_ACCEPTS(OUTPUT),
	    cmd_record },
	{ "policy", "[NAME[:param=value,...]|default|none]",
	    "shows or switches the page-out policy", 0, 1, CTL_ACCEPTS(CLIENT), cmd_policy },
	{ "trace", "[start FILE|stop|show]", "records page references", 0, 2,
	    CTL_ACCEPTS(CLIENT) | CTL_ACCEPTS(WINDOW), cmd_trace },
	{ "param", "[list|get NAME|set NAME VALUE]", "the daemon's parameters", 0, 3, 0,
	    cmd_param },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const struct ctl_option_row {
	char letter;
	const char *name, *argument, *text;
} options[] = {
#define OPTION(NAME, letter, name, argument, text) { letter, name, argument, text },
#include "options.h"
};

static const struct command *
command_find(const char *name)
{
	for (size_t i = 0; i < COMMANDS; i++) {
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	}
	return NULL;
}

static bool
option_goes_with(const struct command *command, size_t option)
{
	return option <= CTL_OPT_UNITS || !command || (command->accepts & (1u << option));
}

/* Its argument is in brackets: it may be left out, and else comes in the same word. */
static bool
argument_is_optional(size_t option)
{
	return options[option].argument && options[option].argument[0] == '[';
}

static void
print_help(const struct command *only)
{
	char left[64];

	printf("usage: pagerctl [OPTION...] %s%s%s\n\n", only ? only->name : "COMMAND",
	    only && only->arguments[0] ? " " : "", only ? only->arguments : " [ARGUMENT...]");
	if (!only)
		puts("Commands:");
	for (size_t i = 0; i < COMMANDS; i++) {
		if (only && only != &commands[i])
			continue;
		snprintf(left, sizeof(left), "%s %s", commands[i].name, commands[i].arguments);
		printf("  %-43s %s\n", left, commands[i].text);
	}
	puts("\nA CLIENT is a process id, or s and the number of a session, as s12 (`pagerctl "
	     "clients` shows both).");
	puts("\nOptions:");
	for (size_t i = 0; i < CTL_OPT_COUNT_OF; i++) {
		if (!option_goes_with(only, i))
			continue;
		if (argument_is_optional(i))
			snprintf(left, sizeof(left), "-%c, --%s[=%s", options[i].letter,
			    options[i].name, options[i].argument + 1);
		else
			snprintf(left, sizeof(left), "-%c, --%s%s%s", options[i].letter,
			    options[i].name, options[i].argument ? " " : "",
			    options[i].argument ? options[i].argument : "");
		printf("  %-24s %s\n", left, options[i].text);
	}
}

/* Converts the table of options for getopt_long. */
static void
getopt_tables(char *letters, struct option *longs)
{
	for (size_t i = 0; i < CTL_OPT_COUNT_OF; i++) {
		longs[i] = (struct option){
			.name = options[i].name,
			.has_arg = argument_is_optional(i) ? optional_argument
				   : options[i].argument   ? required_argument
							   : no_argument,
			.val = options[i].letter,
		};
		*letters++ = options[i].letter;
		if (options[i].argument)
			*letters++ = ':';
		if (argument_is_optional(i))
			*letters++ = ':';
	}
	*letters = '\0';
	longs[CTL_OPT_COUNT_OF] = (struct option){ 0 };
}

static enum ctl_option
option_of_letter(int letter)
{
	/* Two options of one letter do not compile. */
	switch (letter) {
#define OPTION(NAME, own, name, argument, text)                                                    \
	case own:                                                                                  \
		return CTL_OPT_##NAME;
#include "options.h"
	default:
		return CTL_OPT_HELP;
	}
}

static bool
parse_unit(const char *text, char *ret_unit)
{
	static const char *const names[] = { "auto", "bytes", "K", "M", "G" };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(text, names[i]) == 0) {
			*ret_unit = "aBKMG"[i];
			return true;
		}
	}
	return false;
}

/* The options of run. => false: it is none of them */
static bool
run_option_take(struct ctl *ctl, enum ctl_option option, const char *value)
{
	switch (option) {
	case CTL_OPT_MEMORY:
		ctl->memory = value;
		return true;
	case CTL_OPT_SWAP_DIR:
		ctl->swap_directory = value;
		return true;
	case CTL_OPT_PROFILES:
		ctl->profiles = value;
		return true;
	case CTL_OPT_LIMIT:
		ctl->limit = value;
		return true;
	case CTL_OPT_PRIORITY:
		ctl->priority = value;
		return true;
	case CTL_OPT_NAME:
		ctl->name = value;
		return true;
	case CTL_OPT_REPORT:
		ctl->report = value ? value : "";
		return true;
	case CTL_OPT_OUTPUT:
		ctl->output = value;
		return true;
	case CTL_OPT_PRETEND:
		ctl->pretend = true;
		return true;
	default:
		return false;
	}
}

/* => false: the value is not valid. */
static bool
option_take(struct ctl *ctl, enum ctl_option option, const char *value)
{
	uint64_t number;
	char *end;

	switch (option) {
	case CTL_OPT_SOCKET:
		ctl->socket = value;
		return true;
	case CTL_OPT_JSON:
		ctl->json = true;
		return true;
	case CTL_OPT_UNITS:
		return parse_unit(value, &ctl->unit);
	case CTL_OPT_INTERVAL:
		ctl->interval = strtod(value, &end);
		return *end == '\0' && end != value && ctl->interval >= 0.01 &&
		       ctl->interval <= 1e6;
	case CTL_OPT_COUNT:
	case CTL_OPT_ITERATIONS:
		return out_parse_number(value, 1, UINT64_MAX, &ctl->count) == 0;
	case CTL_OPT_CLIENT:
		ctl->client_text = value;
		return out_parse_client(value, &ctl->client) == 0;
	case CTL_OPT_LISTEN:
		ctl->listen = value;
		return true;
	case CTL_OPT_OPENMETRICS:
		ctl->openmetrics = true;
		return true;
	case CTL_OPT_RELEASE:
		ctl->release = true;
		return true;
	case CTL_OPT_DEADLINE:
		ctl->deadline = strtod(value, &end);
		return *end == '\0' && end != value && ctl->deadline >= 0.01 &&
		       ctl->deadline <= 3600;
	case CTL_OPT_EXPLAIN:
		ctl->explain = true;
		return true;
	case CTL_OPT_ENTRIES:
		ctl->entries = true;
		return true;
	case CTL_OPT_BATCH:
		ctl->batch = true;
		return true;
	case CTL_OPT_TREE:
		ctl->tree = true;
		return true;
	case CTL_OPT_SORT:
		ctl->sort = value;
		return true;
	case CTL_OPT_FILTER:
		ctl->filter = value;
		return true;
	case CTL_OPT_FORGET:
		return out_parse_number(value, 1, UINT64_MAX, &ctl->forget) == 0;
	case CTL_OPT_SIMULATE:
		ctl->simulate = value;
		return true;
	case CTL_OPT_WINDOW:
		if (out_parse_number(value, 1, UINT32_MAX, &number) < 0)
			return false;
		ctl->window = (uint32_t)number;
		return true;
	default:
		return run_option_take(ctl, option, value);
	}
}

/* Options may stand before and after the command. ret_given: a bit for each option.
 * => CTL_OK or CTL_USAGE, explained. */
static int
parse_options(struct ctl *ctl, int argc, char **argv, unsigned *ret_given)
{
	struct option longs[CTL_OPT_COUNT_OF + 1];
	char letters[3 * CTL_OPT_COUNT_OF + 1];
	unsigned given = 0;
	int letter;

	getopt_tables(letters, longs);
	while ((letter = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		enum ctl_option option;

		if (letter == '?') {
			fputs("`pagerctl --help` lists options\n", stderr);
			return CTL_USAGE;
		}
		option = option_of_letter(letter);
		given |= 1u << option;
		if (option == CTL_OPT_HELP || option == CTL_OPT_VERSION)
			continue;
		if (!option_take(ctl, option, optarg)) {
			fprintf(stderr, "pagerctl: --%s %s cannot be \"%s\": %s\n",
			    options[option].name, options[option].argument, optarg,
			    options[option].text);
			return CTL_USAGE;
		}
	}
	*ret_given = given;
	return CTL_OK;
}

/* => CTL_OK or CTL_USAGE, explained. */
static int
command_check(const struct ctl *ctl, const struct command *command, unsigned given, int argc)
{
	for (size_t i = 0; i < CTL_OPT_COUNT_OF; i++) {
		if ((given & (1u << i)) && !option_goes_with(command, i))
			return ctl_usage(
			    ctl, "--%s is not an option of this command", options[i].name);
	}
	if (argc < command->arguments_min || argc > command->arguments_max)
		return ctl_usage(
		    ctl, "expected: pagerctl %s %s", command->name, command->arguments);
	return CTL_OK;
}

int
main(int argc, char **argv)
{
	struct ctl ctl = { .unit = 'a' };
	const struct command *command = NULL;
	unsigned given = 0;
	int status;

	standard_open("pagerctl");
	status = parse_options(&ctl, argc, argv, &given);
	if (status != CTL_OK)
		return status;
	argc -= optind;
	argv += optind;
	if (given & (1u << CTL_OPT_VERSION)) {
		puts("pagerctl " PAGERD_VERSION);
		return standard_finish("pagerctl", CTL_OK);
	}
	if (argc > 0) {
		command = command_find(argv[0]);
		if (!command) {
			fprintf(stderr,
			    "pagerctl: no command \"%s\"; `pagerctl --help` lists them\n", argv[0]);
			return CTL_USAGE;
		}
	}
	if (given & (1u << CTL_OPT_HELP)) {
		print_help(command);
		return standard_finish("pagerctl", CTL_OK);
	}
	if (!command) {
		fputs("pagerctl: which command? `pagerctl --help` lists them\n", stderr);
		return CTL_USAGE;
	}
	ctl.verb = command->name;
	status = command_check(&ctl, command, given, argc - 1);
	if (status == CTL_OK)
		status = command->run(&ctl, argc - 1, argv + 1);
	return standard_finish("pagerctl", status);
}
