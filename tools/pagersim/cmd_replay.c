/* SPDX-License-Identifier: MIT
 *
 * pagersim replay: parses the options, runs the policies, reports.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands.h"
#include "message.h"
#include "pol_load.h"
#include "report.h"
#include "text.h"

static const char replay_usage[] =
    "usage: pagersim replay TRACE --policy A[:param=value,...],B,... --frames "
    "N[%],FROM..TO/COUNT,...\n"
    "  -p, --policy LIST       policies, `default` (pagerd's), `all`, or ./file.so; see\n"
    "                          `pagersim policies`\n"
    "  -f, --frames LIST       sizes in pages, in percent of the trace's pages, or COUNT sizes\n"
    "                          FROM..TO\n"
    "  -m, --model MODEL       textbook: every reference is seen (default); pager: only\n"
    "                          faults are\n"
    "  -w, --window W[%]       pager model: mapped pages, or percent of the frames (default 25%)\n"
    "      --json, --tsv       print JSON or TSV instead of the table\n"
    "      --plot FILE.svg     also draw the curves, with gnuplot\n"
    "  -j, --jobs N            threads (default: one for each processor)\n"
    "      --seed N            for policies that use random numbers (default 1)\n"
    "      --format F          text, hex, lackey, oracle or pagerd (default: guessed)\n"
    "      --page-size BYTES   of traces with addresses (default 4096)\n"
    "      --instructions      lackey: count instruction fetches too\n"
    "      --collapse          runs of references to one page count once\n"
    "      --no-baseline       do not run min and fifo in addition\n"
    "      --no-one-pass       simulate each size even where one pass gives the curve\n"
    "      --check             let each policy check itself after each event (slow)\n";

enum {
	OPT_JSON = 256,
	OPT_TSV,
	OPT_PLOT,
	OPT_SEED,
	OPT_FORMAT,
	OPT_PAGE_SIZE,
	OPT_INSTRUCTIONS,
	OPT_COLLAPSE,
	OPT_NO_BASELINE,
	OPT_NO_ONE_PASS,
	OPT_CHECK,
	OPT_HELP,
};

static const struct option replay_options[] = {
	{ "policy", required_argument, NULL, 'p' },
	{ "frames", required_argument, NULL, 'f' },
	{ "model", required_argument, NULL, 'm' },
	{ "window", required_argument, NULL, 'w' },
	{ "jobs", required_argument, NULL, 'j' },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "tsv", no_argument, NULL, OPT_TSV },
	{ "plot", required_argument, NULL, OPT_PLOT },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "format", required_argument, NULL, OPT_FORMAT },
	{ "page-size", required_argument, NULL, OPT_PAGE_SIZE },
	{ "instructions", no_argument, NULL, OPT_INSTRUCTIONS },
	{ "collapse", no_argument, NULL, OPT_COLLAPSE },
	{ "no-baseline", no_argument, NULL, OPT_NO_BASELINE },
	{ "no-one-pass", no_argument, NULL, OPT_NO_ONE_PASS },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

struct replay_args {
	const char *policies, *frames, *plot;
	enum { OUT_TABLE, OUT_TSV, OUT_JSON } output;
	struct trace_options trace;
};

/* Parses digits up to the end or to one of the characters `stop`. => the character after them, or
 * NULL. */
static const char *
parse_count(const char *text, const char *stop, uint64_t max, uint64_t *ret)
{
	char *end;
	unsigned long long v;

	if (text[0] < '0' || text[0] > '9')
		return NULL;
	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno != 0 || v > max || (*end != '\0' && strchr(stop, *end) == NULL))
		return NULL;
	*ret = v;
	return end;
}

/* The name or path before the colon of `text`. => ops, or NULL and the error printed. */
static const struct pol_ops *
policy_of(const char *text)
{
	char *name = strndup(text, strcspn(text, ":")), why[256];
	const struct pol_ops *ops = NULL;

	if (name == NULL)
		error_print(-ENOMEM, "not enough memory");
	else if (strchr(name, '/') == NULL)
		ops = policy_find(name);
	else if (policy_load(name, &ops, why, sizeof(why)) != 0)
		error_print(-ENOENT, "%s", why);
	if (name != NULL && strchr(name, '/') == NULL && ops == NULL)
		error_print(-ENOENT, "no policy is called \"%s\" (see: pagersim policies)", name);
	free(name);
	return ops;
}

static int
replay_add_policy(struct replay *r, const char *given, size_t length)
{
	struct replay_policy *p, *larger = realloc(r->policies, (r->nall + 1) * sizeof(*larger));
	const char *colon;

	if (larger == NULL)
		return -ENOMEM;
	r->policies = larger;
	p = &r->policies[r->nall];
	*p = (struct replay_policy){ .label = strndup(given, length) };
	if (p->label == NULL)
		return -ENOMEM;
	r->nall++;
	p->text = strdup(policy_expand(p->label));
	if (p->text == NULL)
		return -ENOMEM;
	colon = strchr(p->text, ':');
	p->params = colon != NULL ? colon + 1 : NULL;
	p->ops = policy_of(p->text);
	text_clean(p->label);
	return p->ops != NULL ? 0 : -ENOENT;
}

/* Commas separate both policies and parameters, as in "a:x=1,y=2,b": a part with '=' and without
 * ':' is a parameter of the policy before it. */
static int
replay_parse_policies(struct replay *r, const char *list)
{
	int error = 0;

	if (strcmp(list, "all") == 0) {
		for (unsigned i = 0; error == 0 && policy_at(i) != NULL; i++)
			error =
			    replay_add_policy(r, policy_at(i)->name, strlen(policy_at(i)->name));
		return error;
	}
	while (error == 0 && *list != '\0') {
		size_t length = strcspn(list, ",");

		for (;;) {
			const char *more = list + length + 1;
			size_t key = list[length] == ',' ? strcspn(more, ",:=") : 0;

			if (key == 0 || more[key] != '=')
				break;
			length += 1 + strcspn(more, ",");
		}
		error = replay_add_policy(r, list, length);
		list += length + (list[length] == ',');
	}
	return error;
}

static int
replay_add_frames(struct replay *r, uint64_t frames)
{
	uint32_t *larger = realloc(r->frames, (r->nframes + 1) * sizeof(*larger));

	if (larger == NULL)
		return -ENOMEM;
	r->frames = larger;
	r->frames[r->nframes++] = frames > 0 ? (uint32_t)frames : 1;
	return 0;
}

/* Parses "N" or "N%". => the character after it, or NULL. */
static const char *
replay_parse_size(const struct replay *r, const char *text, uint64_t *ret)
{
	const char *p = parse_count(text, ",%./", UINT32_MAX, ret);

	if (p == NULL || *p != '%')
		return p;
	*ret = *ret * r->trace->npages / 100;
	return *ret <= UINT32_MAX ? p + 1 : NULL;
}

static int
replay_parse_frames(struct replay *r, const char *list)
{
	const char *p = list;
	int error = 0;

	while (error == 0 && p != NULL && *p != '\0') {
		uint64_t from, to, count;

		p = replay_parse_size(r, p, &from);
		if (p == NULL || strncmp(p, "..", 2) != 0) {
			if (p != NULL)
				error = replay_add_frames(r, from);
		} else {
			p = replay_parse_size(r, p + 2, &to);
			p = p != NULL && *p == '/' ? parse_count(p + 1, ",", 100000, &count) : NULL;
			if (p == NULL || count < 2 || to < from)
				p = NULL;
			for (uint64_t i = 0; p != NULL && error == 0 && i < count; i++)
				error = replay_add_frames(r, from + (to - from) * i / (count - 1));
		}
		if (p != NULL && *p == ',')
			p++;
		else if (p != NULL && *p != '\0')
			p = NULL;
	}
	if (error == 0 && (p == NULL || r->nframes == 0))
		error = error_print(-EINVAL,
		    "--frames %s: expected N, N%% or FROM..TO/COUNT, at most %" PRIu32
		    " frames (the trace has %" PRIu32 " pages)",
		    list, UINT32_MAX, r->trace->npages);
	return error;
}

static int
replay_set_baseline(struct replay *r)
{
	int error = 0;

	r->npolicies = r->nall;
	for (int pass = 0; pass < 2 && error == 0; pass++) {
		const char *name = pass == 0 ? "min" : "fifo";
		int *index = pass == 0 ? &r->min : &r->fifo;

		*index = -1;
		for (unsigned i = 0; i < r->npolicies && *index < 0; i++)
			if (strcmp(r->policies[i].label, name) == 0)
				*index = (int)i;
		if (*index < 0 && r->baseline) {
			*index = (int)r->nall;
			error = replay_add_policy(r, name, strlen(name));
		}
	}
	return error;
}

static int
replay_option(struct replay *r, struct replay_args *args, int option, const char *value)
{
	const char *end = "";
	uint64_t n = 0;

	switch (option) {
	case 'p':
		args->policies = value;
		break;
	case 'f':
		args->frames = value;
		break;
	case 'm':
		if (strcmp(value, "textbook") != 0 && strcmp(value, "pager") != 0)
			return error_print(-EINVAL, "--model %s: textbook or pager", value);
		r->model = value[0] == 't' ? SIM_TEXTBOOK : SIM_PAGER;
		break;
	case 'w':
		end = parse_count(value, "%", UINT32_MAX, &n);
		r->window = (uint32_t)n;
		r->window_percent = end != NULL && *end == '%';
		break;
	case 'j':
		end = parse_count(value, "", 1024, &n);
		r->jobs = n > 0 ? (unsigned)n : 1;
		break;
	case OPT_JSON:
		args->output = OUT_JSON;
		break;
	case OPT_TSV:
		args->output = OUT_TSV;
		break;
	case OPT_PLOT:
		args->plot = value;
		break;
	case OPT_SEED:
		end = parse_count(value, "", UINT64_MAX, &r->seed);
		break;
	case OPT_FORMAT:
		args->trace.format = value;
		if (!trace_format_known(value))
			return error_print(
			    -EINVAL, "--format %s: text, hex, lackey, oracle or pagerd", value);
		break;
	case OPT_PAGE_SIZE:
		return trace_page_size_parse(value, &args->trace.page_size);
	case OPT_INSTRUCTIONS:
		args->trace.instructions = true;
		break;
	case OPT_COLLAPSE:
		args->trace.collapse = true;
		break;
	case OPT_NO_BASELINE:
		r->baseline = false;
		break;
	case OPT_NO_ONE_PASS:
		r->one_pass = false;
		break;
	case OPT_CHECK:
		r->check = true;
		break;
	default:
		return -EINVAL;
	}
	return end != NULL ? 0 : error_print(-EINVAL, "\"%s\" is not a valid number", value);
}

static int
replay_output(const struct replay *r, const struct replay_args *args)
{
	int error = 0;

	if (args->output == OUT_JSON)
		error = report_json(r, stdout);
	else if (args->output == OUT_TSV)
		report_tsv(r, stdout);
	else
		report_table(r, stdout);
	if (error == 0 && fflush(stdout) != 0)
		error = error_print(-errno, "standard output: %s", strerror(errno));
	if (error == 0 && args->plot != NULL)
		error = report_plot(r, args->plot);
	return error;
}

/* The picture must not replace the trace. */
static int
replay_check_plot(const struct replay *r, const char *plot)
{
	struct stat trace, picture;

	if (plot == NULL || stat(plot, &picture) != 0 ||
	    (strcmp(r->path, "-") == 0 ? fstat(STDIN_FILENO, &trace) : stat(r->path, &trace)) !=
		0 ||
	    trace.st_dev != picture.st_dev || trace.st_ino != picture.st_ino)
		return 0;
	return error_print(-EINVAL, "--plot %s: that is the trace", plot);
}

static int
replay_all(struct replay *r, const struct replay_args *args)
{
	int error = replay_parse_policies(r, args->policies);

	if (error == 0)
		error = replay_check_plot(r, args->plot);
	if (error == 0)
		error = trace_load(r->trace, r->path, &args->trace);
	if (error == 0)
		error = replay_parse_frames(r, args->frames);
	if (error == 0)
		error = replay_set_baseline(r);
	if (error != 0)
		return error;
	if (r->trace->dropped > 0)
		fprintf(stderr,
		    "pagersim: %s: the recorder lost %llu records, so the counts are approximate\n",
		    r->path, (unsigned long long)r->trace->dropped);
	r->cells = calloc((size_t)r->nall * r->nframes, sizeof(*r->cells));
	if (r->cells == NULL || trace_link(r->trace) != 0)
		return error_print(-ENOMEM, "not enough memory");
	error = replay_run(r);
	return error != 0 ? error : replay_output(r, args);
}

int
cmd_replay(int argc, char **argv)
{
	struct trace trace;
	struct replay r = {
		.trace = &trace,
		.window = 25,
		.window_percent = true,
		.one_pass = true,
		.baseline = true,
		.seed = 1,
		.jobs = (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
	};
	struct replay_args args = { .trace.page_size = 4096 };
	int option, error;

	while ((option = getopt_long(argc, argv, "p:f:m:w:j:", replay_options, NULL)) != -1) {
		if (option == OPT_HELP) {
			fputs(replay_usage, stdout);
			return 0;
		}
		if (replay_option(&r, &args, option, optarg) != 0)
			return EXIT_USAGE;
	}
	if (optind + 1 != argc || args.policies == NULL || args.frames == NULL) {
		fputs(replay_usage, stderr);
		return EXIT_USAGE;
	}
	r.path = argv[optind];
	r.title = strdup(r.path);
	if (r.title == NULL) {
		error_print(-ENOMEM, "not enough memory");
		return EXIT_FAILED;
	}
	text_clean(r.title);
	trace_init(&trace);
	error = replay_all(&r, &args);
	for (unsigned i = 0; i < r.nall; i++) {
		free(r.policies[i].label);
		free(r.policies[i].text);
	}
	free(r.policies);
	free(r.title);
	free(r.frames);
	free(r.cells);
	trace_fini(&trace);
	return error == 0 ? 0 : EXIT_FAILED;
}
