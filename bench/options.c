/* SPDX-License-Identifier: MIT */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "size.h"

enum {
	OPT_MEMORY = 256,
	OPT_RATIO,
	OPT_THREADS,
	OPT_SECONDS,
	OPT_SEED,
	OPT_PAGE_SIZE,
	OPT_SOCKET,
	OPT_BACKEND,
	OPT_BESIDE_PLAIN,
	OPT_JSON,
	OPT_DATA,
	OPT_TOUCHES,
	OPT_WRITE_PERCENT,
	OPT_PIN,
	OPT_DIR,
	OPT_DAEMON,
	OPT_DAEMON_CONFIG,
	OPT_TIMEOUT,
	OPT_WORKING_SET,
	OPT_POOL_FD,
	OPT_GATE_FD,
	OPT_PEER,
	OPT_PAIRS,
	OPT_LIMIT,
	OPT_PAGE_CLUSTER,
	OPT_PLOT,
	OPT_STRICT,
	OPT_WORKLOADS,
	OPT_POLICIES,
	OPT_FRACTIONS,
	OPT_REPEAT,
	OPT_WINDOW,
	OPT_TSV,
	OPT_MARKDOWN,
	OPT_SCALE,
	OPT_KILLS,
	OPT_HELP,
};

static const struct option long_options[] = {
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "ratio", required_argument, NULL, OPT_RATIO },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "seconds", required_argument, NULL, OPT_SECONDS },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "page-size", required_argument, NULL, OPT_PAGE_SIZE },
	{ "socket", required_argument, NULL, OPT_SOCKET },
	{ "backend", required_argument, NULL, OPT_BACKEND },
	{ "beside-plain", no_argument, NULL, OPT_BESIDE_PLAIN },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "data", required_argument, NULL, OPT_DATA },
	{ "touches", required_argument, NULL, OPT_TOUCHES },
	{ "write-percent", required_argument, NULL, OPT_WRITE_PERCENT },
	{ "pin", no_argument, NULL, OPT_PIN },
	{ "dir", required_argument, NULL, OPT_DIR },
	{ "daemon", required_argument, NULL, OPT_DAEMON },
	{ "daemon-config", required_argument, NULL, OPT_DAEMON_CONFIG },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "working-set", required_argument, NULL, OPT_WORKING_SET },
	{ "pool-fd", required_argument, NULL, OPT_POOL_FD },
	{ "gate-fd", required_argument, NULL, OPT_GATE_FD },
	{ "peer", required_argument, NULL, OPT_PEER },
	{ "pairs", required_argument, NULL, OPT_PAIRS },
	{ "limit", required_argument, NULL, OPT_LIMIT },
	{ "page-cluster", required_argument, NULL, OPT_PAGE_CLUSTER },
	{ "plot", required_argument, NULL, OPT_PLOT },
	{ "strict", no_argument, NULL, OPT_STRICT },
	{ "workloads", required_argument, NULL, OPT_WORKLOADS },
	{ "policies", required_argument, NULL, OPT_POLICIES },
	{ "fractions", required_argument, NULL, OPT_FRACTIONS },
	{ "repeat", required_argument, NULL, OPT_REPEAT },
	{ "window", required_argument, NULL, OPT_WINDOW },
	{ "tsv", required_argument, NULL, OPT_TSV },
	{ "markdown", required_argument, NULL, OPT_MARKDOWN },
	{ "scale", required_argument, NULL, OPT_SCALE },
	{ "kills", required_argument, NULL, OPT_KILLS },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

const char *const peer_names[] = {
	[PEER_NONE] = "none",
	[PEER_ZRAM] = "kernel-zram",
	[PEER_SWAPFILE] = "kernel-swapfile",
	[PEER_PAGERD] = "pagerd",
	NULL,
};

void
options_usage(void)
{
	fputs(
	    "usage: pagerbench list\n"
	    "       pagerbench run SCENARIO [OPTION]...\n"
	    "       pagerbench compare [SCENARIO...] [OPTION]...\n"
	    "       pagerbench policies [OPTION]...\n"
	    "       pagerbench shared [OPTION]...\n"
	    "       pagerbench ool [OPTION]...\n"
	    "       pagerbench greedy [OPTION]...\n"
	    "       pagerbench halve [OPTION]...\n"
	    "       pagerbench fork [OPTION]...\n"
	    "       pagerbench first-write [OPTION]...\n"
	    "       pagerbench ledger [OPTION]...\n"
	    "       pagerbench takeover [OPTION]...\n"
	    "       pagerbench programs [PROGRAM...] [OPTION]...\n"
	    "       pagerbench --check\n"
	    "\n"
	    "run and compare:\n"
	    "  --memory SIZE         memory to page in (128M; compare: 256M for files)\n"
	    "  --ratio R             working set / memory (the scenario's)\n"
	    "  --working-set SIZE    instead of --ratio\n"
	    "  --threads N           threads that touch (1)\n"
	    "  --seconds S           length of the measured part (the scenario's)\n"
	    "  --touches N           end after N touches at the latest\n"
	    "  --seed N              of all random numbers (1)\n"
	    "  --write-percent N     share of touches that write (the scenario's)\n"
	    "  --page-size SIZE      of the daemon: 4K, 16K or 64K\n"
	    "  --data half|real|random  content of files, chosen so that LZ4 halves it, or any;\n"
	    "                        or random bytes (half; for file scenarios random)\n"
	    "  --pin                 thread i on processor i\n"
	    "  --dir DIR             where swap files and mapped files go (/var/tmp)\n"
	    "  --daemon FILE         the pagerd to start ($PAGERD, beside this program, PATH)\n"
	    "  --daemon-config TEXT  more lines for its configuration file\n"
	    "  --json                one JSON value on standard output\n"
	    "run:\n"
	    "  --backend pagerd|plain  the source of the memory (pagerd)\n"
	    "  --beside-plain        run on plain memory too, in short slices in turn\n"
	    "  --socket PATH         use a running daemon; otherwise one is started\n"
	    "  --timeout S           give up after S seconds, with a started daemon\n"
	    "compare (needs root, except with pagerd= and none):\n"
	    "  --peer kernel-zram|kernel-swapfile|none|pagerd=PATH  what to compare with\n"
	    "                        (kernel-zram); PATH: the directory or the pagerd of another\n"
	    "                        build\n"
	    "  --limit R             with pagerd=: exit status 1 if a row's ratio is above R\n"
	    "  --pairs N             pairs of runs (5)\n"
	    "  --page-cluster N      vm.page-cluster for the kernel's runs (0; swap file:\n"
	    "                        unchanged)\n"
	    "  --plot FILE.svg       draw the ratios with gnuplot\n"
	    "  --strict              exit status 3 if a target is missed\n"
	    "policies (--working-set 16M, --touches 8 for each page, --write-percent 20):\n"
	    "  --workloads LIST      from random, zipf, scan, loop, phase (all but the last)\n"
	    "  --policies LIST       NAME[:PARAM=VALUE,...],... or all; the others are compared\n"
	    "                        with the first (mach2q,fifo,lru,clock,2q,arc,s3fifo,sieve)\n"
	    "  --fractions LIST      resident pages, percent of the working set (100,90,75,50,25)\n"
	    "  --repeat N            blocks of runs (3)\n"
	    "  --window N            pages that stay mapped while recording (32)\n"
	    "  --tsv FILE            a line for each run\n"
	    "  --markdown FILE       the tables, as on standard output\n"
	    "  --plot FILE.svg       draw miss ratios over sizes, and soft against major faults\n"
	    "takeover (--ratio 4, --threads 2; --strict as above):\n"
	    "  --kills N             how often the worker is killed (50)\n"
	    "programs (needs root, except with --peer none and pagerd=; --pairs, --plot, "
	    "--strict,\n"
	    "--json and --seed as above):\n"
	    "  --fractions LIST      memory, percent of the program's own peak (100,75,50,25)\n"
	    "  --scale R             size of what they work on; 1 is the full size (1)\n",
	    stdout);
}

void
options_init(struct options *o)
{
	memset(o, 0, sizeof(*o));
	o->memory_bytes = (uint64_t)128 << 20;
	o->threads = 0;
	o->seed = 1;
	o->write_percent = -1;
	o->directory = "/var/tmp";
	o->pool_fd = o->gate_fd = -1;
	o->peer = PEER_ZRAM;
	o->pairs = 5;
	o->page_cluster = -1;
	o->workloads = "random,zipf,scan,loop";
	o->fractions = "100,90,75,50,25";
	o->repeat = 3;
	o->scale = 1;
	o->window = 32;
}

static int
parse_number(const char *text, double least, double most, double *ret)
{
	char *end;
	double v = strtod(text, &end);

	if (end == text || *end || !(v >= least && v <= most))
		return -EINVAL;
	*ret = v;
	return 0;
}

static int
parse_choice(const char *text, const char *const *names)
{
	for (int i = 0; names[i]; i++)
		if (strcmp(text, names[i]) == 0)
			return i;
	return -EINVAL;
}

static int
take_number(struct options *o, int option, const char *text)
{
	double v = 0;
	int error = parse_number(text, 0, 1e18, &v);

	if (error)
		return error;
	switch (option) {
	case OPT_RATIO:
		o->ratio = v;
		return v > 0.01 && v <= 1000 ? 0 : -EINVAL;
	case OPT_THREADS:
		o->threads = (unsigned)v;
		return v >= 1 && v <= 256 ? 0 : -EINVAL;
	case OPT_SECONDS:
		o->seconds = v;
		return v > 0 && v <= 86400 ? 0 : -EINVAL;
	case OPT_SEED:
		o->seed = (uint64_t)v;
		return 0;
	case OPT_TOUCHES:
		o->touches = (uint64_t)v;
		return 0;
	case OPT_WRITE_PERCENT:
		o->write_percent = (int)v;
		return v <= 100 ? 0 : -EINVAL;
	case OPT_TIMEOUT:
		o->timeout_s = v;
		return v <= 1e6 ? 0 : -EINVAL;
	case OPT_POOL_FD:
		o->pool_fd = (int)v;
		return v < 1024 ? 0 : -EINVAL;
	case OPT_GATE_FD:
		o->gate_fd = (int)v;
		return v < 1024 ? 0 : -EINVAL;
	case OPT_SCALE:
		o->scale = v;
		return v >= 0.001 && v <= 100 ? 0 : -EINVAL;
	case OPT_KILLS:
		o->kills = (unsigned)v;
		return v >= 1 && v <= 100000 ? 0 : -EINVAL;
	case OPT_LIMIT:
		o->limit = v;
		return v > 0 ? 0 : -EINVAL;
	case OPT_PAIRS:
		o->pairs = (unsigned)v;
		return v >= 1 && v <= 1000 ? 0 : -EINVAL;
	case OPT_REPEAT:
		o->repeat = (unsigned)v;
		return v >= 1 && v <= 1000 ? 0 : -EINVAL;
	case OPT_WINDOW:
		o->window = (unsigned)v;
		return v >= 4 && v <= 65536 ? 0 : -EINVAL;
	case OPT_PAGE_CLUSTER:
		o->page_cluster = (int)v;
		return v <= 10 ? 0 : -EINVAL;
	default:
		return -EINVAL;
	}
}

static int
take_peer(struct options *o, const char *text)
{
	static const char build[] = "pagerd=";
	int choice;

	if (strncmp(text, build, strlen(build)) == 0 && text[strlen(build)]) {
		o->peer = PEER_PAGERD;
		o->peer_path = text + strlen(build);
		return 0;
	}
	choice = parse_choice(text, peer_names);
	/* "pagerd" needs the other build's path. */
	if (choice < 0 || choice == PEER_PAGERD)
		return -EINVAL;
	o->peer = (enum peer_kind)choice;
	return 0;
}

static int
take(struct options *o, int option, const char *text)
{
	static const char *const sizes[] = { "4K", "16K", "64K", NULL };
	static const char *const backends[] = { "pagerd", "plain", NULL };
	int choice;

	switch (option) {
	case OPT_MEMORY:
		o->memory_given = true;
		return size_parse(text, &o->memory_bytes) || o->memory_bytes < (1u << 20) ? -EINVAL
											  : 0;
	case OPT_WORKING_SET:
		return size_parse(text, &o->working_set_bytes);
	case OPT_PAGE_SIZE:
		o->page_size = text;
		return parse_choice(text, sizes) < 0 ? -EINVAL : 0;
	case OPT_BACKEND:
		choice = parse_choice(text, backends);
		o->plain = choice == 1;
		return choice < 0 ? choice : 0;
	case OPT_DATA:
		choice = parse_choice(text, pool_data_names);
		if (choice >= 0)
			o->data = (enum pool_data)choice;
		return choice < 0 ? choice : 0;
	case OPT_PEER:
		return take_peer(o, text);
	case OPT_SOCKET:
		o->socket = text;
		return 0;
	case OPT_DIR:
		o->directory = text;
		return 0;
	case OPT_DAEMON:
		o->daemon = text;
		return 0;
	case OPT_DAEMON_CONFIG:
		o->daemon_config = text;
		return 0;
	case OPT_PLOT:
		o->plot = text;
		return 0;
	case OPT_WORKLOADS:
		o->workloads = text;
		return 0;
	case OPT_POLICIES:
		o->policies = text;
		return 0;
	case OPT_FRACTIONS:
		o->fractions = text;
		o->fractions_given = true;
		return 0;
	case OPT_TSV:
		o->tsv = text;
		return 0;
	case OPT_MARKDOWN:
		o->markdown = text;
		return 0;
	case OPT_JSON:
		o->json = true;
		return 0;
	case OPT_PIN:
		o->pin = true;
		return 0;
	case OPT_BESIDE_PLAIN:
		o->beside_plain = true;
		return 0;
	case OPT_STRICT:
		o->strict = true;
		return 0;
	default:
		return take_number(o, option, text);
	}
}

int
options_parse(struct options *o, int argc, char **argv)
{
	int option, index = 0;

	optind = 1;
	while ((option = getopt_long(argc, argv, "", long_options, &index)) != -1) {
		if (option == OPT_HELP) {
			options_usage();
			return 1;
		}
		if (option == '?')
			return -EINVAL;
		if (take(o, option, optarg)) {
			fprintf(stderr, "pagerbench: --%s cannot be '%s'\n",
			    long_options[index].name, optarg);
			return -EINVAL;
		}
	}
	for (; optind < argc; optind++) {
		if (o->scenario_count == MAX_SCENARIOS) {
			fputs("pagerbench: too many scenarios\n", stderr);
			return -EINVAL;
		}
		o->scenarios[o->scenario_count++] = argv[optind];
	}
	return 0;
}
