/* SPDX-License-Identifier: MIT
 *
 * pagersim generate: writes a synthetic trace.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "generate.h"
#include "message.h"
#include "trace_write.h"

static const char generate_usage[] =
    "usage: pagersim generate KIND [options]\n"
    "  -n, --pages N           number of pages (default 10000)\n"
    "  -r, --references N      length (default 1000000; write-once: the number of pages)\n"
    "  -s, --seed N            default 1\n"
    "      --writes PERCENT    share of references that write (default 0; write-once: 100)\n"
    "      --hot N             scan+hot: pages in the hot set (default a tenth)\n"
    "      --hot-percent P     scan+hot: share of references to the hot set (default 80)\n"
    "      --phases N          phase: number of working sets (default 10)\n"
    "      --theta T           zipf: exponent (default 0.9)\n"
    "      --to FORMAT         text (default), hex (keeps writes) or pagerd (keeps writes)\n"
    "  -o, --output FILE       default: standard output\n"
    "kinds:\n";

enum { OPT_WRITES = 256, OPT_HOT, OPT_HOT_PERCENT, OPT_PHASES, OPT_THETA, OPT_TO, OPT_HELP };

static const struct option generate_options[] = {
	{ "pages", required_argument, NULL, 'n' },
	{ "references", required_argument, NULL, 'r' },
	{ "seed", required_argument, NULL, 's' },
	{ "output", required_argument, NULL, 'o' },
	{ "writes", required_argument, NULL, OPT_WRITES },
	{ "hot", required_argument, NULL, OPT_HOT },
	{ "hot-percent", required_argument, NULL, OPT_HOT_PERCENT },
	{ "phases", required_argument, NULL, OPT_PHASES },
	{ "theta", required_argument, NULL, OPT_THETA },
	{ "to", required_argument, NULL, OPT_TO },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static void
print_usage(FILE *out)
{
	fputs(generate_usage, out);
	for (unsigned i = 0; generator_at(i) != NULL; i++)
		fprintf(out, "  %-12s %s\n", generator_at(i)->name, generator_at(i)->help);
}

static int
parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno != 0 || *end != '\0' || text[0] < '0' || text[0] > '9' || v < min || v > max)
		return error_print(-EINVAL, "\"%s\" is not a number from %llu to %llu", text,
		    (unsigned long long)min, (unsigned long long)max);
	*ret = v;
	return 0;
}

static int
parse_double(const char *text, double max, double *ret)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end != '\0' || !(v >= 0 && v <= max))
		return error_print(-EINVAL, "\"%s\" is not a number from 0 to %g", text, max);
	*ret = v;
	return 0;
}

static int
generate_option(struct generate_params *p, int option, const char *value)
{
	const uint64_t pages_max = UINT64_C(1) << 27, references_max = UINT32_MAX - 1;

	switch (option) {
	case 'n':
		return parse_u64(value, 1, pages_max, &p->pages);
	case 'r':
		return parse_u64(value, 1, references_max, &p->references);
	case 's':
		return parse_u64(value, 0, UINT64_MAX, &p->seed);
	case OPT_WRITES:
		return parse_double(value, 100, &p->writes);
	case OPT_HOT:
		return parse_u64(value, 1, pages_max, &p->hot);
	case OPT_HOT_PERCENT:
		return parse_double(value, 100, &p->hot_percent);
	case OPT_PHASES:
		return parse_u64(value, 1, pages_max, &p->phases);
	case OPT_THETA:
		return parse_double(value, 10, &p->theta);
	default:
		return -EINVAL;
	}
}

static int
generate(const struct generator *g, const struct generate_params *p, struct trace_writer *w)
{
	uint64_t rng = p->seed, write_rng = p->seed + UINT64_C(0x5851f42d4c957f2d);
	void *table = g->prepare != NULL ? g->prepare(p, &rng) : NULL;
	uint8_t *resident = calloc(p->pages + p->hot, 1);
	int error = 0;

	if (resident == NULL || (g->prepare != NULL && table == NULL))
		error = error_print(
		    -ENOMEM, "not enough memory for %llu pages", (unsigned long long)p->pages);
	for (uint64_t i = 0; i < p->references && error == 0; i++) {
		uint64_t page = g->page(p, &rng, table, i);
		bool write = generate_unit(&write_rng) * 100 < p->writes;

		error = trace_writer_put(
		    w, 0, page, resident[page] ? PAGER_TRACE_SOFT : PAGER_TRACE_MAJOR, write);
		resident[page] = 1;
		if ((i & 0xfffff) == 0)
			progress_update("writing", i, p->references);
	}
	progress_end();
	free(table);
	free(resident);
	return error;
}

static void
fill_defaults(const struct generator *g, struct generate_params *p)
{
	if (p->pages == 0)
		p->pages = 10000;
	if (strcmp(g->name, "write-once") == 0) {
		p->references = p->pages;
		p->writes = p->writes < 0 ? 100 : p->writes;
	}
	if (p->references == 0)
		p->references = 1000000;
	if (p->writes < 0)
		p->writes = 0;
	if (p->hot == 0)
		p->hot = p->pages / 10 > 0 ? p->pages / 10 : 1;
	if (p->hot > p->pages)
		p->hot = p->pages;
	if (p->phases > p->pages)
		p->phases = p->pages;
}

int
cmd_generate(int argc, char **argv)
{
	struct generate_params params = {
		.seed = 1, .hot_percent = 80, .phases = 10, .theta = 0.9, .writes = -1
	};
	enum trace_write_format format = TRACE_WRITE_TEXT;
	const struct generator *generator;
	const char *output = NULL;
	struct trace_writer writer;
	int option, error, closed;

	while ((option = getopt_long(argc, argv, "n:r:s:o:", generate_options, NULL)) != -1) {
		if (option == OPT_HELP) {
			print_usage(stdout);
			return 0;
		}
		if (option == 'o')
			output = optarg;
		else if (option == OPT_TO ? trace_write_format(optarg, &format) != 0
					  : generate_option(&params, option, optarg) != 0)
			return EXIT_USAGE;
	}
	generator = optind + 1 == argc ? generator_find(argv[optind]) : NULL;
	if (generator == NULL) {
		print_usage(stderr);
		return EXIT_USAGE;
	}
	fill_defaults(generator, &params);
	error = trace_writer_open(&writer, output, format, 4096, 0);
	if (error == 0)
		error = generate(generator, &params, &writer);
	closed = trace_writer_close(&writer, error == 0);
	return error == 0 && closed == 0 ? 0 : EXIT_FAILED;
}
