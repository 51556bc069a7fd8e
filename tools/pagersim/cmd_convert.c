/* SPDX-License-Identifier: MIT
 *
 * pagersim convert: writes a trace of any readable format in another one.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "message.h"
#include "trace.h"
#include "trace_write.h"

static const char convert_usage[] =
    "usage: pagersim convert TRACE --to text|hex|pagerd [-o FILE]\n"
    "      --to FORMAT         text: page numbers; hex: address R|W; pagerd: the daemon's "
    "recording\n"
    "  -o, --output FILE       default: standard output\n"
    "      --format F          of TRACE: text, hex, lackey, oracle or pagerd (default: guessed)\n"
    "      --page-size BYTES   of addresses (default 4096)\n"
    "      --instructions      lackey: count instruction fetches too\n"
    "      --collapse          runs of references to one page become one\n";

static const struct option convert_options[] = {
	{ "to", required_argument, NULL, 't' },
	{ "output", required_argument, NULL, 'o' },
	{ "format", required_argument, NULL, 'f' },
	{ "page-size", required_argument, NULL, 's' },
	{ "instructions", no_argument, NULL, 'i' },
	{ "collapse", no_argument, NULL, 'c' },
	{ "help", no_argument, NULL, 'h' },
	{ NULL, 0, NULL, 0 },
};

/* A page's first reference becomes a major fault, its others soft faults, as a pager with a frame
 * for each page and without a window of mapped pages would record them. */
static int
convert_events(const struct trace *trace, struct trace_writer *w)
{
	uint8_t *resident = calloc(trace->npages, 1);
	int error = resident == NULL ? error_print(-ENOMEM, "not enough memory") : 0;

	for (size_t i = 0; i < trace->count && error == 0; i++) {
		uint32_t page = trace->events[i] >> TRACE_SHIFT;
		bool forget = trace->events[i] & TRACE_FORGET;
		unsigned kind = resident[page] ? PAGER_TRACE_SOFT : PAGER_TRACE_MAJOR;
		uint64_t id = trace->ids[page];

		error = trace_writer_put(w, id >> 36, id & ((UINT64_C(1) << 36) - 1),
		    forget ? PAGER_TRACE_FORGET : kind, trace->events[i] & TRACE_WRITE);
		resident[page] = !forget;
		if ((i & 0xfffff) == 0)
			progress_update("writing", i, trace->count);
	}
	progress_end();
	free(resident);
	return error;
}

static int
convert(const char *from, const char *to, enum trace_write_format format,
    const struct trace_options *options)
{
	struct trace trace;
	struct trace_writer w;
	int error, closed;

	trace_init(&trace);
	error = trace_load(&trace, from, options);
	if (error == 0) {
		uint32_t page_size = trace.page_size != 0 ? trace.page_size : options->page_size;

		error = trace_writer_open(&w, to, format, page_size, trace.window);
		if (error == 0)
			error = convert_events(&trace, &w);
		closed = trace_writer_close(&w, error == 0);
		error = error != 0 ? error : closed;
	}
	trace_fini(&trace);
	return error;
}

int
cmd_convert(int argc, char **argv)
{
	struct trace_options options = { .page_size = 4096 };
	enum trace_write_format format = TRACE_WRITE_TEXT;
	const char *output = NULL, *to = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "o:", convert_options, NULL)) != -1) {
		switch (option) {
		case 't':
			to = optarg;
			break;
		case 'o':
			output = optarg;
			break;
		case 'f':
			options.format = optarg;
			if (!trace_format_known(optarg)) {
				error_print(
				    0, "--format %s: text, hex, lackey, oracle or pagerd", optarg);
				return EXIT_USAGE;
			}
			break;
		case 's':
			if (trace_page_size_parse(optarg, &options.page_size) != 0)
				return EXIT_USAGE;
			break;
		case 'i':
			options.instructions = true;
			break;
		case 'c':
			options.collapse = true;
			break;
		case 'h':
			fputs(convert_usage, stdout);
			return 0;
		default:
			return EXIT_USAGE;
		}
	}
	if (optind + 1 != argc || to == NULL) {
		fputs(convert_usage, stderr);
		return EXIT_USAGE;
	}
	if (trace_write_format(to, &format) != 0)
		return EXIT_USAGE;
	return convert(argv[optind], output, format, &options) == 0 ? 0 : EXIT_FAILED;
}
