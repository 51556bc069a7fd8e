/* SPDX-License-Identifier: MIT
 *
 * `pagerbench programs`: programs that do not know of pagerd, under `pagerctl run` with less memory
 * than they need, beside the same in a memory cgroup with zram, or under another build of pagerd.
 * The runs alternate.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "builds.h"
#include "kernel.h"
#include "private_daemon.h"
#include "process.h"
#include "report.h"
#include "results.h"
#include "signals.h"

#define PROGRAM_LEVELS "100,75,50,25"
#define PLENTY         2     /* times its peak: memory of the run in which its coverage is seen */
#define PLAIN_MOST_S   900.0 /* a program that takes as long without pagerd does not work here */
#define SLACK_S        5.0   /* a run of milliseconds may take that */
#define TRUE_PAIRS     12    /* for each of options.pairs */
#define TRUE_NAME      "true"
#define TRUE_MEMORY    (64ull << 20)

struct bench {
	const struct options *options;
	struct peer peer;
	struct build other; /* with PEER_PAGERD */
	char pagerctl[PATH_MAX], other_pagerctl[PATH_MAX + 32];
	struct program_plan plan;
	struct reference reference;
	struct results results;
	unsigned levels[LEVELS_MAX], level_count;
};

/* => 0 or -EINVAL, printed */
static int
levels_parse(struct bench *b, const char *text)
{
	char *copy = strdup(text), *rest, *end;
	int error = copy ? 0 : -ENOMEM;

	for (char *at = copy ? strtok_r(copy, ",", &rest) : NULL; at && !error;
	     at = strtok_r(NULL, ",", &rest)) {
		unsigned long level = strtoul(at, &end, 10);

		if (*end || level < 5 || level > 400 || b->level_count == LEVELS_MAX)
			error = -EINVAL;
		else
			b->levels[b->level_count++] = (unsigned)level;
	}
	free(copy);
	if (error || b->level_count == 0)
		fprintf(stderr,
		    "pagerbench: --fractions cannot be '%s': up to %d percents from 5 to 400\n",
		    text, LEVELS_MAX);
	return b->level_count ? error : -EINVAL;
}

/* --- single runs --- */

static int
run_pagerd(struct bench *b, const struct build *other, uint64_t memory_bytes,
    struct one_request *request, struct cell *c, struct one_result *ret)
{
	struct private_daemon_config config = {
		.program = other ? other->daemon : b->options->daemon,
		.directory = b->plan.directory,
		.memory_bytes = (memory_bytes + 65535) & ~(uint64_t)65535,
		/* As `pagerctl run --memory` has it; another build may not know it. */
		.config_text = other ? NULL : "zero_ahead = 256\n",
		.more_config = b->options->daemon_config,
	};
	struct private_daemon daemon;
	unsigned failures = 0;
	int error = private_daemon_start(&config, &daemon);

	if (error)
		return error;
	request->pagerctl = other ? b->other_pagerctl : b->pagerctl;
	request->socket = daemon.socket;
	error = one_run(request, ret);
	if (!error && !other && c) {
		c->cpu_program_s = ret->cpu_s;
		c->cpu_daemon_s = process_cpu_seconds(daemon.pid);
		error = private_daemon_check(daemon.socket, &failures);
		c->check_failures += failures;
	}
	if (private_daemon_stop(&daemon) && !error)
		error = -EIO;
	return error;
}

static struct one_request
request_of(struct bench *b, double plain_s)
{
	return (struct one_request){ .plan = &b->plan,
		.journal = b->peer.journal,
		.reference = &b->reference,
		.limit_s = plain_s > 0 ? plain_s * SLOW_TIMES + SLACK_S : PLAIN_MOST_S };
}

static void
difference_print(const struct bench *b, const char *side, const struct one_result *r)
{
	fprintf(stderr, "pagerbench: %s %s: output, error or exit status differ (%s %d)\n",
	    b->plan.program->name, side, WIFSIGNALED(r->status) ? "signal" : "status",
	    WIFSIGNALED(r->status) ? WTERMSIG(r->status) : WEXITSTATUS(r->status));
}

/* --- a program before its cells: as it is, and how much of it is managed --- */

static int
reference_open(struct bench *b)
{
	static const char *const names[] = { "stdout", "stderr" };
	char path[400];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", b->plan.directory, names[i]);
		b->reference.fds[i] = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (b->reference.fds[i] < 0)
			return -errno;
	}
	return 0;
}

static void
reference_close(struct bench *b)
{
	for (int i = 0; i < 2; i++)
		if (b->reference.fds[i] >= 0)
			close(b->reference.fds[i]);
	b->reference.fds[0] = b->reference.fds[1] = -1;
}

/* => 0; -ECHILD: it does not do its work, which is said as the reason to skip it */
static int
plain_measure(struct bench *b, struct program_result *p)
{
	double seconds[PLAIN_RUNS];
	int error = 0;

	for (unsigned i = 0; i < PLAIN_RUNS && !error; i++) {
		struct one_request request = request_of(b, 0);
		struct one_result one;

		request.is_first = i == 0;
		request.peak = i == 0 ? &p->plain : NULL;
		error = one_run(&request, &one);
		if (error)
			break;
		if (one.is_slow || !WIFEXITED(one.status) || WEXITSTATUS(one.status) != 0) {
			p->skipped =
			    one.is_slow ? "it does not end on its own" : "it fails on its own";
			return -ECHILD;
		}
		if (!one.is_equal) {
			p->skipped = "its own output differs from run to run";
			return -ECHILD;
		}
		seconds[i] = one.seconds;
	}
	p->output_bytes = b->reference.bytes[0] + b->reference.bytes[1];
	if (!error)
		p->plain_s = spread_of(seconds + 1, PLAIN_RUNS - 1).median;
	return error;
}

static int
coverage_measure(struct bench *b, struct program_result *p)
{
	struct one_request request = request_of(b, p->plain_s * 2);
	struct one_result one;
	int error;

	request.peak = &p->managed;
	request.smaps = true;
	error = run_pagerd(b, NULL, p->plain.bytes * PLENTY, &request, NULL, &one);
	if (!error && !one.is_slow && !one.is_equal)
		difference_print(b, "with plenty of memory", &one);
	return error;
}

/* --- cells --- */

static void
side_note(struct bench *b, const struct one_result *one, const char *side, double *ret_seconds,
    enum side_end *ret_end, bool *ret_differs)
{
	if (one->is_slow) {
		*ret_end = SIDE_SLOW;
	} else if (!one->is_equal) {
		*ret_differs = true;
		*ret_end = SIDE_BROKEN;
		difference_print(b, side, one);
	} else {
		*ret_end = SIDE_ENDED;
		*ret_seconds = one->seconds;
	}
}

static int
cell_peer(
    struct bench *b, const struct program_result *p, struct cell *c, struct kernel_search *search)
{
	struct one_request request = request_of(b, p->plain_s);
	struct one_result one = { .is_equal = true };
	enum side_end end = SIDE_ENDED;
	int error;

	if (b->options->peer == PEER_NONE || c->peer == SIDE_SLOW || c->peer == SIDE_KILLED ||
	    c->peer == SIDE_UNFOUND)
		return 0;
	if (b->options->peer == PEER_PAGERD) {
		error = run_pagerd(b, &b->other, c->memory_bytes, &request, c, &one);
	} else {
		request.in_cgroup = true;
		error = kernel_run(search, &b->peer, &request, c, &end, &one);
		if (!error && (end == SIDE_KILLED || end == SIDE_UNFOUND)) {
			c->peer = end;
			return 0;
		}
	}
	if (!error)
		side_note(
		    b, &one, "under the peer", &c->peer_s[c->pairs], &c->peer, &c->peer_differs);
	return error;
}

static int
cell_pagerd(struct bench *b, const struct program_result *p, struct cell *c)
{
	struct one_request request = request_of(b, p->plain_s);
	struct one_result one;
	int error = run_pagerd(b, NULL, c->memory_bytes, &request, c, &one);

	if (!error)
		side_note(b, &one, "under pagerd", &c->pagerd_s[c->pairs], &c->pagerd, &c->differs);
	return error;
}

static int
cell_plain(struct bench *b, const struct program_result *p, struct cell *c)
{
	struct one_request request = request_of(b, p->plain_s);
	struct one_result one;
	int error = one_run(&request, &one);

	if (!error && !one.is_slow)
		c->plain_s[c->pairs] = one.seconds;
	return error;
}

static int
cell_measure(struct bench *b, struct program_result *p, struct cell *c)
{
	uint64_t extra =
	    p->managed.ordinary_bytes + p->managed.file_copy_bytes + p->plain.table_bytes;
	unsigned pairs = b->options->pairs;
	struct kernel_search search;
	int error = 0;

	c->memory_bytes = p->plain.bytes * c->level / 100;
	c->total_wanted_bytes = c->memory_bytes + extra;
	c->pagerd_s = calloc(pairs, sizeof(double));
	c->peer_s = calloc(pairs, sizeof(double));
	c->plain_s = calloc(pairs, sizeof(double));
	if (!c->pagerd_s || !c->peer_s || !c->plain_s)
		return -ENOMEM;
	kernel_search_begin(&search, c, p->plain.bytes + extra);
	for (unsigned i = 0; i < pairs && !error; i++) {
		bool pagerd_first = i % 2;

		if (c->level >= LEVEL_ENOUGH)
			error = cell_plain(b, p, c);
		if (!error)
			error = pagerd_first ? cell_pagerd(b, p, c) : cell_peer(b, p, c, &search);
		if (!error)
			error = pagerd_first ? cell_peer(b, p, c, &search) : cell_pagerd(b, p, c);
		if (error)
			break;
		c->pairs++;
		fprintf(stderr, "pagerbench: %s, %u %%: pair %u of %u done\n", p->program->name,
		    c->level, i + 1, pairs);
		if (c->pagerd != SIDE_ENDED || c->peer == SIDE_BROKEN)
			break;
	}
	return error;
}

static int
program_cells(struct bench *b, struct program_result *p)
{
	int error = 0;

	for (unsigned i = 0; i < b->level_count && !error; i++) {
		if (b->levels[i] < p->program->least_level)
			continue;
		p->cells[p->cell_count].level = b->levels[i];
		error = cell_measure(b, p, &p->cells[p->cell_count++]);
	}
	return error;
}

/* => 0, also if it is skipped; -EINTR; or another -errno */
static int
program_measure(struct bench *b, const struct program *program)
{
	struct program_result *p = &b->results.programs[b->results.count++];
	int error;

	p->program = program;
	error = program_prepare(program, &b->plan);
	if (error == -ENOENT) {
		p->skipped = "it is not installed";
		return 0;
	}
	if (!error)
		error = reference_open(b);
	if (!error)
		error = plain_measure(b, p);
	if (!error && p->plain.bytes < TRUE_MEMORY / 16) {
		p->skipped = "it needs less than 4 MiB";
		error = -ECHILD;
	}
	if (!error)
		error = coverage_measure(b, p);
	if (!error)
		error = program_cells(b, p);
	reference_close(b);
	return error == -ECHILD && p->skipped ? 0 : error;
}

/* What `run` adds to a program that does nothing. */
static int
true_measure(struct bench *b)
{
	const struct program nothing = { .name = TRUE_NAME };
	struct private_daemon_config config = { .program = b->options->daemon,
		.directory = b->plan.directory,
		.memory_bytes = TRUE_MEMORY };
	unsigned pairs = TRUE_PAIRS * b->options->pairs;
	double *added = calloc(pairs, sizeof(*added));
	struct private_daemon daemon;
	struct one_result with, without;
	int error = added ? reference_open(b) : -ENOMEM;

	b->plan.program = &nothing;
	memset(b->plan.argv, 0, sizeof(b->plan.argv));
	b->plan.argv[0] = "/bin/true";
	if (!error)
		error = private_daemon_start(&config, &daemon);
	if (error) {
		free(added);
		return error;
	}
	for (unsigned i = 0; i < pairs && !error; i++) {
		struct one_request request = request_of(b, 1);

		request.is_first = i == 0;
		error = one_run(&request, &without);
		request.is_first = false;
		request.pagerctl = b->pagerctl;
		request.socket = daemon.socket;
		if (!error)
			error = one_run(&request, &with);
		added[i] = with.seconds - without.seconds;
	}
	private_daemon_stop(&daemon);
	reference_close(b);
	if (!error) {
		b->results.run_adds_s = spread_of(added, pairs).median;
		b->results.run_pairs = pairs;
	}
	free(added);
	return error;
}

/* --- the command --- */

static bool
is_chosen(const struct options *o, const char *name)
{
	for (unsigned i = 0; i < o->scenario_count; i++)
		if (strcmp(o->scenarios[i], name) == 0)
			return true;
	return o->scenario_count == 0;
}

/* => 0 or -EINVAL, printed */
static int
bench_prepare(struct bench *b, const struct options *o)
{
	static const char *const places[] = { "../tools/pagerctl", "pagerctl", NULL };
	const char *found;
	char *slash;

	b->options = o;
	b->reference.fds[0] = b->reference.fds[1] = -1;
	for (unsigned i = 0; i < o->scenario_count; i++)
		if (!program_named(o->scenarios[i]) && strcmp(o->scenarios[i], TRUE_NAME) != 0) {
			fprintf(stderr, "pagerbench: no program '%s'; there are", o->scenarios[i]);
			for (const struct program *p = programs; p->name; p++)
				fprintf(stderr, " %s", p->name);
			fputs(" " TRUE_NAME "\n", stderr);
			return -EINVAL;
		}
	found = program_find("PAGERCTL", places, "pagerctl", b->pagerctl, sizeof(b->pagerctl));
	if (found != b->pagerctl)
		snprintf(b->pagerctl, sizeof(b->pagerctl), "%s", found);
	if (!strchr(b->pagerctl, '/')) {
		fputs("pagerbench: there is no pagerctl beside this program; $PAGERCTL may name "
		      "one\n",
		    stderr);
		return -EINVAL;
	}
	if (o->peer == PEER_PAGERD) {
		if (build_find(o->peer_path, &b->other))
			return -EINVAL;
		snprintf(b->other_pagerctl, sizeof(b->other_pagerctl), "%s", b->other.daemon);
		slash = strrchr(b->other_pagerctl, '/');
		snprintf(slash, sizeof(b->other_pagerctl) - (size_t)(slash - b->other_pagerctl),
		    "/../tools/pagerctl");
		if (access(b->other_pagerctl, X_OK)) {
			fprintf(stderr, "pagerbench: there is no %s: programs need a build tree\n",
			    b->other_pagerctl);
			return -EINVAL;
		}
	}
	return levels_parse(b, o->fractions_given ? o->fractions : PROGRAM_LEVELS);
}

/* => the exit status */
static int
bench_run(struct bench *b)
{
	const struct options *o = b->options;
	struct goal goals[GOALS_MAX];
	bool missed = false;
	int error = 0;

	b->plan.directory = b->peer.journal->directory;
	b->plan.scale = o->scale;
	b->plan.seed = o->seed;
	for (const struct program *p = programs; p->name && !error; p++) {
		if (!is_chosen(o, p->name))
			continue;
		error = program_measure(b, p);
		if (!error && !o->json)
			program_print(&b->results.programs[b->results.count - 1], o);
	}
	if (!error && is_chosen(o, TRUE_NAME))
		error = true_measure(b);
	if (signals_received()) {
		fprintf(stderr, "pagerbench: stopped by signal %d, restoring the system\n",
		    signals_received());
		return 128 + signals_received();
	}
	/* What ended it is not known here if a daemon did not start: that has been printed. */
	if (error && error != -ECHILD)
		fprintf(stderr, "pagerbench: programs: %s\n", strerror(-error));
	programs_report(&b->results, o);
	if (o->plot && programs_plot(&b->results, o->plot))
		return EXIT_FAILURE;
	if (error || results_failed(&b->results))
		return EXIT_FAILURE;
	for (unsigned i = goals_judge(&b->results, o, goals); i > 0; i--)
		missed |= !goals[i - 1].is_met;
	return missed && o->strict ? 3 : EXIT_SUCCESS;
}

int
programs_command(const struct options *o)
{
	struct bench *b = calloc(1, sizeof(*b));
	bool kernel = o->peer == PEER_ZRAM || o->peer == PEER_SWAPFILE;
	int page_cluster = o->page_cluster >= 0 ? o->page_cluster : o->peer == PEER_ZRAM ? 0 : -1;
	int status = EXIT_FAILURE, error;

	if (!b)
		return EXIT_FAILURE;
	if (bench_prepare(b, o)) {
		free(b);
		return 2;
	}
	signals_block();
	error = kernel ? peer_only_one() : 0;
	if (!error)
		error = peer_create(&b->peer, o->peer, kernel, page_cluster, o->directory);
	if (!error) {
		status = bench_run(b);
		reference_close(b);
		peer_destroy(&b->peer);
	}
	for (unsigned i = 0; i < b->results.count; i++)
		for (unsigned k = 0; k < b->results.programs[i].cell_count; k++) {
			free(b->results.programs[i].cells[k].pagerd_s);
			free(b->results.programs[i].cells[k].peer_s);
			free(b->results.programs[i].cells[k].plain_s);
		}
	free(b);
	return status;
}
