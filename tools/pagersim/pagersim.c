/* SPDX-License-Identifier: MIT
 *
 * pagersim: replays reference traces through pagerd's page-out policies.
 */
#include "pagersim.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "policy.h"
#include "standard.h"
#include "text.h"

static const struct {
	const char *name, *help;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "replay", "run policies over a trace and count", cmd_replay },
	{ "generate", "write a synthetic trace", cmd_generate },
	{ "convert", "write a trace in another format", cmd_convert },
	{ "policies", "list policies and their parameters", cmd_policies },
};

int
error_print(int error, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int length;

	progress_end();
	va_start(ap, fmt);
	length = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (length < 0)
		text = NULL;
	else
		text_clean(text); /* names of files, and what is in them */
	fprintf(stderr, "pagersim: %s\n", text != NULL ? text : "not enough memory for a message");
	free(text);
	return error;
}

/* Written by the main thread only. */
static struct {
	struct timespec start;
	bool running, shown;
} progress;

void
progress_update(const char *what, uint64_t done, uint64_t total)
{
	enum { WIDTH = 40 };
	struct timespec now;
	double elapsed, part = total > 0 && done <= total ? (double)done / (double)total : 0;
	int filled = (int)(part * WIDTH);

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (!progress.running)
		progress.start = now;
	progress.running = true;
	elapsed = (double)(now.tv_sec - progress.start.tv_sec) +
		  (double)(now.tv_nsec - progress.start.tv_nsec) / 1e9;
	if (elapsed < 0.5 || !isatty(STDERR_FILENO))
		return;
	progress.shown = true;
	if (total > 0)
		fprintf(stderr, "\r%s [%.*s%*s] %3.0f %%  %.0f s ", what, filled,
		    "########################################", WIDTH - filled, "", part * 100,
		    elapsed);
	else
		fprintf(stderr, "\r%s %" PRIu64 " bytes  %.0f s ", what, done, elapsed);
}

void
progress_end(void)
{
	if (progress.shown)
		fputs("\r\033[K", stderr);
	progress.running = progress.shown = false;
}

int
cmd_policies(int argc, char **argv)
{
	if (argc != 1) {
		fputs("usage: pagersim policies\n", stderr);
		return EXIT_USAGE;
	}
	for (unsigned i = 0; policy_at(i) != NULL; i++) {
		const struct pol_ops *ops = policy_at(i);

		printf("%-12s %s\n", ops->name, ops->help);
		for (const char *p = ops->params; *p != '\0';) {
			size_t length = strcspn(p, ";");

			printf("%12s   %.*s\n", "", (int)length, p);
			p += length;
			p += strspn(p, "; ");
		}
	}
	return 0;
}

static void
usage(FILE *out)
{
	fputs("usage: pagersim COMMAND ...\n", out);
	for (size_t i = 0; i < ARRAY_LEN(commands); i++)
		fprintf(out, "  %-10s %s\n", commands[i].name, commands[i].help);
	fputs("`pagersim COMMAND --help` tells the options; see pagersim(1).\n", out);
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
