/* SPDX-License-Identifier: MIT
 *
 * `pagerbench compare`: pairs of runs, one of the peer (the kernel, a floor, or another build of
 * pagerd), one of pagerd. They alternate, so that disturbances of the machine affect both. A touch
 * of plain memory is so short that changes in the machine's speed would hide every difference:
 * there both sides are one run, and alternate in slices. Two builds cannot be one run, so there
 * each build is measured as a multiple of the plain memory beside it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "builds.h"
#include "compare_rows.h"
#include "compare_run.h"
#include "options.h"
#include "pattern.h"
#include "peer.h"
#include "process.h"
#include "compare_plot.h"
#include "report.h"
#include "scenario.h"
#include "signals.h"
#include "spread.h"
#include "ticks.h"

#define OOM_RETRIES 10u
#define ROWS_MAX    (2 * MAX_SCENARIOS)

struct compare {
	struct options options; /* a copy, in which pool_fd is set */
	struct pool pool;
	double compression_ratio; /* of the pool's pages, by LZ4 */
	struct peer peer;
	struct build build;   /* with PEER_PAGERD: the other build */
	struct floors floors; /* the last measured values; 0: not measured yet */
	struct row_result rows[ROWS_MAX];
	unsigned row_count;
	bool stopped;
};

/* A name is that of a scenario, and stands for its variants as well, as "file-random" stands for
 * "file-random-default". */
static bool
row_is_named(const struct row *row, const char *name)
{
	size_t length = strlen(name);

	return strncmp(row->scenario, name, length) == 0 &&
	       (row->scenario[length] == '\0' || row->scenario[length] == '-');
}

/* Selects the rows that were asked for; options replace the table's values. */
static int
rows_choose(struct compare *c)
{
	const struct options *o = &c->options;

	for (unsigned i = 0; i < o->scenario_count; i++)
		if (!scenario_find(o->scenarios[i])) {
			fprintf(stderr, "pagerbench: no scenario '%s' (see 'pagerbench list')\n",
			    o->scenarios[i]);
			return -EINVAL;
		}
	for (unsigned i = 0; i < compare_row_count; i++) {
		struct row row = compare_rows[i];
		bool wanted = o->scenario_count == 0, seen = false, changed;
		double ratio = o->ratio;

		for (unsigned j = 0; j < o->scenario_count; j++)
			wanted |= row_is_named(&row, o->scenarios[j]);
		if (o->memory_given || !row.memory_bytes)
			row.memory_bytes = o->memory_bytes;
		if (o->working_set_bytes)
			ratio = (double)o->working_set_bytes / (double)row.memory_bytes;
		changed =
		    (o->threads && row.threads != o->threads) || (ratio > 0 && row.ratio != ratio);
		row.threads = o->threads ? o->threads : row.threads;
		row.ratio = ratio > 0 ? ratio : row.ratio;
		if (o->peer == PEER_PAGERD)
			row_targets_limit(&row, o->limit);
		else if (changed)
			memset(row.targets, 0, sizeof(row.targets));
		for (unsigned j = 0; j < c->row_count; j++) {
			const struct row *other = &c->rows[j].row;

			seen |= strcmp(other->scenario, row.scenario) == 0 &&
				other->threads == row.threads;
		}
		if (wanted && !seen)
			c->rows[c->row_count++].row = row;
	}
	return 0;
}

/* Measures the floor of a row, as the peer's sample of a pair. */
static int
floor_sample(struct compare *c, const struct row *row, struct sample *s)
{
	struct floors *f = &c->floors;
	const char *directory = c->peer.journal->directory;
	int error;

	if (strcmp(row->scenario, "soft-fault") == 0) {
		error = floor_echo(&f->echo_p50_ns);
		s->figure[FIGURE_P50] = f->echo_p50_ns;
	} else if (strcmp(row->scenario, "swap-in") == 0) {
		error = floor_read(directory, &f->read_p50_ns);
		s->figure[FIGURE_P50] = f->read_p50_ns;
	} else {
		error = floor_write(directory, &f->write_bytes_per_s);
		if (!error)
			error = floor_lz4(&c->pool, &f->compress_page_ns, &f->decompress_page_ns);
		if (!error)
			error = floor_lz4_all(&c->pool, &f->compress_page_all_ns);
	}
	if (error)
		fprintf(stderr, "pagerbench: cannot measure the floor of %s: %s\n", row->scenario,
		    strerror(-error));
	return error;
}

/* A fill is judged by the time per page evicted while it runs. */
static void
evicted_per_page(struct sample *s)
{
	s->figure[FIGURE_PER_PAGE] = s->swap_out_rate > 0 ? UNIT_BYTES * 1e9 / s->swap_out_rate : 0;
}

/* The floor of pages that go to disk is the slower of the disk and of LZ4 on all processors. While
 * the client fills, evicted pages count, on the processor time that the client leaves. */
static void
to_disk_finish(struct compare *c, bool fill, struct sample *floor, struct sample *pagerd)
{
	double cores =
	    (double)sysconf(_SC_NPROCESSORS_ONLN) - (fill ? pagerd->cpu_client_share : 0);
	double disk = c->floors.write_bytes_per_s * c->compression_ratio;
	double lz4 =
	    (cores > 0.1 ? cores : 0.1) * UNIT_BYTES * 1e9 / c->floors.compress_page_all_ns;

	floor->figure[FIGURE_PER_PAGE] = UNIT_BYTES * 1e9 / (disk < lz4 ? disk : lz4);
	if (fill)
		evicted_per_page(pagerd);
}

/* Pages that the disk is still to bring cannot be reclaimed: as many as the kernel reads ahead have
 * to fit beside everything else in the cgroup. */
static void
oom_explain(const struct compare *c, const struct row *row)
{
	char path[64], text[32] = "an unknown number of";
	struct stat st;

	if (row->against != AGAINST_MMAP) {
		fprintf(stderr,
		    "pagerbench: the kernel cannot run %s in %" PRIu64 " KiB: give --memory more\n",
		    row->scenario, row->memory_bytes >> 10);
		return;
	}
	if (!stat(c->peer.journal->directory, &st)) {
		snprintf(path, sizeof(path), "/sys/class/bdi/%u:%u/read_ahead_kb", major(st.st_dev),
		    minor(st.st_dev));
		if (file_read(path, text, sizeof(text)))
			strcpy(text, "an unknown number of");
	}
	fprintf(stderr,
	    "pagerbench: the kernel cannot run %s in %" PRIu64 " KiB, as it reads %s KiB at a time "
	    "around a fault in %s (read_ahead_kb): give --memory several times as much\n",
	    row->scenario, row->memory_bytes >> 10, text, c->peer.journal->directory);
}

/* The kernel's side of a pair; run again if the OOM killer ended it. */
static enum run_outcome
kernel_sample(struct compare *c, struct row_result *r, struct sample *s, uint64_t *ret_pool_bytes)
{
	struct run_request request = { .options = &c->options,
		.row = &r->row,
		.plain = true,
		.journal = c->peer.journal,
		.memory_bytes = r->row.memory_bytes,
		.directory = c->peer.journal->directory };
	uint64_t swap_bytes =
	    r->row.against == AGAINST_MMAP
		? 0
		: (uint64_t)((double)r->row.memory_bytes * r->row.ratio) * 2 + ((uint64_t)64 << 20);
	enum run_outcome outcome = RUN_FAILED;
	json_object *run = NULL;

	for (unsigned i = 0; i < OOM_RETRIES; i++) {
		if (peer_begin(&c->peer, swap_bytes))
			return RUN_FAILED;
		outcome = run_once(&request, &run);
		*ret_pool_bytes = peer_pool_max_bytes(&c->peer);
		s->pool_ratio = peer_pool_ratio(&c->peer);
		if (peer_end(&c->peer))
			outcome = RUN_FAILED;
		if (outcome != RUN_OOM)
			break;
		r->oom_kills++;
		fprintf(stderr,
		    "pagerbench: the OOM killer ended the kernel's run of %s; running it again\n",
		    r->row.scenario);
	}
	if (outcome == RUN_OOM)
		oom_explain(c, &r->row);
	if (outcome != RUN_DONE)
		return outcome == RUN_OOM ? RUN_FAILED : outcome;
	sample_from_json(s, run);
	json_object_put(run);
	return outcome;
}

/* build: NULL: this one. plain: the sample of plain memory from the same run; NULL: not measured.
 */
static enum run_outcome
pagerd_sample(struct compare *c, const struct row *row, const struct build *build, struct sample *s,
    struct sample *plain, uint64_t memory_bytes)
{
	struct run_request request = { .options = &c->options,
		.row = row,
		.build = build,
		.beside_plain = plain,
		.memory_bytes = (memory_bytes + 65535) & ~(uint64_t)65535,
		.directory = c->peer.journal->directory };
	json_object *run = NULL, *beside = NULL;
	enum run_outcome outcome = run_once(&request, &run);

	if (outcome == RUN_DONE) {
		sample_from_json(s, run);
		json_object_object_get_ex(run, "beside", &beside);
		if (plain)
			sample_from_json(plain, beside);
		json_object_put(run);
	}
	return outcome;
}

/* Runs both builds, and the other build a second time. */
static enum run_outcome
builds_run(struct compare *c, struct row_result *r, unsigned i)
{
	struct sample *const samples[] = { [BUILD_OTHER] = &r->a[i],
		[BUILD_THIS] = &r->b[i],
		[BUILD_OTHER_AGAIN] = &r->again[i] };
	bool beside = r->row.against == AGAINST_PLAIN;
	enum run_outcome outcome = RUN_DONE;

	for (unsigned k = 0; k < BUILD_RUNS && outcome == RUN_DONE; k++) {
		enum build_run which = build_order(i, k);
		struct sample *s = samples[which], plain = { .touches = 0 };

		outcome = pagerd_sample(c, &r->row, which == BUILD_THIS ? NULL : &c->build, s,
		    beside ? &plain : NULL, r->row.memory_bytes);
		if (outcome == RUN_DONE && beside) {
			sample_divide(s, &plain);
			s->bad_pages += plain.bad_pages;
		}
		if (outcome == RUN_DONE && strcmp(r->row.scenario, "fill-to-disk") == 0)
			evicted_per_page(s);
	}
	return outcome;
}

static enum run_outcome
pair_run(struct compare *c, struct row_result *r, unsigned i)
{
	struct sample *a = &r->a[i], *b = &r->b[i];
	uint64_t pool_bytes = 0;
	enum run_outcome outcome = RUN_DONE;

	if (r->again)
		return builds_run(c, r, i);
	if (r->row.against == AGAINST_FLOOR)
		outcome = floor_sample(c, &r->row, a) ? RUN_FAILED : RUN_DONE;
	else if (r->row.against != AGAINST_PLAIN && c->peer.kind != PEER_NONE)
		outcome = kernel_sample(c, r, a, &pool_bytes);
	if (outcome == RUN_DONE)
		outcome = pagerd_sample(c, &r->row, NULL, b,
		    r->row.against == AGAINST_PLAIN ? a : NULL, r->row.memory_bytes + pool_bytes);
	if (outcome == RUN_DONE && strcmp(r->row.scenario, "swap-out") == 0)
		to_disk_finish(c, false, a, b);
	else if (outcome == RUN_DONE && strcmp(r->row.scenario, "fill-to-disk") == 0)
		to_disk_finish(c, true, a, b);
	return outcome;
}

/* => why a run did not measure what the row is about; NULL: it did. */
static const char *
sample_doubt(const struct row *row, const struct sample *s)
{
	/* The daemon's work after a fault would fall into the other side's slices. */
	if (row->against == AGAINST_PLAIN && s->faults > 1e-6 * s->touches)
		return "not everything fitted into memory";
	if (strcmp(row->scenario, "soft-fault") == 0 && s->soft_faults < 0.9 * s->touches)
		return "most touches were not soft faults";
	/* It would have the memory twice. */
	if (row->against == AGAINST_MMAP && s->file_cached_bytes > 0.05 * s->memory_bytes)
		return "the page cache held the file as well";
	if (strcmp(row->scenario, "swap-in") == 0 && s->touches < 100)
		return "almost no page was on disk";
	/* The compressor keeps only a twentieth of memory. */
	if (strcmp(row->scenario, "swap-out") == 0 &&
	    s->bytes_written * s->data_ratio < 0.7 * s->touches * UNIT_BYTES)
		return "most pages were not written to disk";
	return NULL;
}

static void
row_judge(struct row_result *r)
{
	const struct sample *const sides[] = { r->b, r->again ? r->a : NULL, r->again };

	for (unsigned side = 0; side < sizeof(sides) / sizeof(sides[0]); side++)
		for (unsigned i = 0; sides[side] && i < r->pairs; i++) {
			const char *doubt = sample_doubt(&r->row, &sides[side][i]);

			if (doubt)
				r->doubt = doubt;
		}
}

static int
row_run(struct compare *c, struct row_result *r)
{
	unsigned pairs = c->options.pairs;

	r->a = calloc(pairs, sizeof(*r->a));
	r->b = calloc(pairs, sizeof(*r->b));
	if (c->options.peer == PEER_PAGERD)
		r->again = calloc(pairs, sizeof(*r->again));
	if (!r->a || !r->b || (c->options.peer == PEER_PAGERD && !r->again))
		return -ENOMEM;
	for (unsigned i = 0; i < pairs; i++) {
		enum run_outcome outcome = pair_run(c, r, i);

		if (outcome != RUN_DONE) {
			r->failed = true;
			c->stopped = outcome == RUN_STOPPED;
			break;
		}
		r->pairs++;
		fprintf(stderr, "pagerbench: %s, %u thread%s, pair %u of %u done\n",
		    r->row.scenario, r->row.threads, r->row.threads == 1 ? "" : "s", i + 1, pairs);
	}
	row_judge(r);
	return 0;
}

/* Measures the floors that no row has measured. */
static void
floors_complete(struct compare *c)
{
	struct floors *f = &c->floors;
	const char *directory = c->peer.journal->directory;
	int error = 0;

	if (f->echo_p50_ns <= 0)
		error = floor_echo(&f->echo_p50_ns);
	if (error)
		fprintf(stderr, "pagerbench: no userfaultfd echo: %s\n", strerror(-error));
	error = 0;
	if (f->read_p50_ns <= 0)
		error = floor_read(directory, &f->read_p50_ns);
	if (!error && f->write_bytes_per_s <= 0)
		error = floor_write(directory, &f->write_bytes_per_s);
	if (error)
		fprintf(stderr, "pagerbench: cannot measure the disk in %s: %s\n", directory,
		    strerror(-error));
	if (f->compress_page_ns <= 0)
		floor_lz4(&c->pool, &f->compress_page_ns, &f->decompress_page_ns);
	if (f->compress_page_all_ns <= 0)
		floor_lz4_all(&c->pool, &f->compress_page_all_ns);
	floor_plain(c->options.memory_bytes, &f->plain_touch_ns, &f->plain_first_touch_ns);
}

static void
results_print(struct compare *c)
{
	json_object *list;

	if (!c->options.json) {
		if (c->options.peer != PEER_PAGERD)
			floors_print(&c->floors);
		return;
	}
	list = json_object_new_array();
	for (unsigned i = 0; i < c->row_count; i++)
		json_object_array_add(list, row_json(&c->rows[i], &c->options, &c->floors));
	json_print(list);
	json_object_put(list);
}

/* => the exit status. */
static int
results_judge(const struct compare *c)
{
	bool failed = false, missed = false;
	double ratio;

	for (unsigned i = 0; i < c->row_count; i++) {
		const struct row_result *r = &c->rows[i];

		failed |= r->failed || r->pairs == 0;
		failed |= row_bad_pages(r) + row_check_failures(r) > 0;
		for (unsigned j = 0; j < TARGETS_MAX; j++)
			missed |= r->row.targets[j].at_most > 0 &&
				  !row_target_met(r, &r->row.targets[j], &ratio);
	}
	/* A user who sets a limit wants an error when it is exceeded. */
	if (failed || (missed && c->options.limit > 0))
		return EXIT_FAILURE;
	return missed && c->options.strict ? 3 : EXIT_SUCCESS;
}

static int
compare_rows_run(struct compare *c)
{
	for (unsigned i = 0; i < c->row_count && !c->stopped; i++) {
		struct row_result *r = &c->rows[i];

		if (row_run(c, r))
			return EXIT_FAILURE;
		if (!c->options.json && r->pairs)
			row_print(r);
	}
	if (c->stopped) {
		fprintf(stderr, "pagerbench: stopped by signal %d, restoring the system\n",
		    signals_received());
		return 128 + signals_received();
	}
	if (c->options.peer != PEER_PAGERD)
		floors_complete(c);
	results_print(c);
	if (c->options.plot && plot_write(c->options.plot, c->rows, c->row_count))
		return EXIT_FAILURE;
	return results_judge(c);
}

/* Refuses options that do not fit the peer, or whose error would otherwise come after an hour.
 * => 0 or -EINVAL. */
static int
options_check(const struct compare *c)
{
	const struct options *o = &c->options;
	bool targets = false;

	for (unsigned i = 0; i < c->row_count; i++)
		for (unsigned j = 0; j < TARGETS_MAX; j++)
			targets |= c->rows[i].row.targets[j].at_most > 0;
	if (o->limit > 0 && o->peer != PEER_PAGERD) {
		fputs("pagerbench: --limit is for two builds (--peer pagerd=PATH); with other "
		      "peers each row has targets of its own\n",
		    stderr);
		return -EINVAL;
	}
	if (o->plot && !targets) {
		fputs("pagerbench: no row has a target, so --plot has nothing to draw", stderr);
		fputs(o->peer == PEER_PAGERD ? " (--limit sets one)\n" : "\n", stderr);
		return -EINVAL;
	}
	return 0;
}

/* Has the other build run something short, so that a build that cannot be measured is reported at
 * once, and not as a failed row. */
static int
build_begin(struct compare *c)
{
	const struct row row = { .scenario = "random-read",
		.threads = 1,
		.ratio = 0.5,
		.memory_bytes = c->options.memory_bytes };
	struct options options = c->options;
	struct run_request request = { .options = &options,
		.row = &row,
		.build = &c->build,
		.memory_bytes = options.memory_bytes,
		.directory = c->peer.journal->directory };
	json_object *run = NULL;

	options.seconds = 0.01;
	fprintf(stderr, "pagerbench: the other build is %s, driven by %s\n", c->build.daemon,
	    c->build.bench[0] ? c->build.bench
			      : "this program (there is no pagerbench beside it), "
				"so both must speak the same protocol");
	if (run_once(&request, &run) != RUN_DONE) {
		if (!signals_received())
			fputs("pagerbench: the other build cannot be measured: it does not work "
			      "here, or is too old or too new to run like this one\n",
			    stderr);
		return -EPROTO;
	}
	json_object_put(run);
	return 0;
}

int
compare_command(const struct options *o)
{
	struct compare *c = calloc(1, sizeof(*c));
	int page_cluster = o->page_cluster >= 0 ? o->page_cluster : o->peer == PEER_ZRAM ? 0 : -1;
	int status = EXIT_FAILURE, error;
	bool swap = false;

	if (!c)
		return EXIT_FAILURE;
	c->options = *o;
	error = rows_choose(c);
	for (unsigned i = 0; i < c->row_count; i++)
		swap |= c->rows[i].row.against != AGAINST_MMAP;
	if (!error)
		error = options_check(c);
	if (!error && o->peer == PEER_PAGERD)
		error = build_find(o->peer_path, &c->build);
	if (error) {
		free(c);
		return 2;
	}
	signals_block();
	error = peer_only_one();
	if (!error)
		error = peer_create(&c->peer, o->peer, swap, page_cluster, o->directory);
	if (!error) {
		error = pool_create(&c->pool, o->data, POOL_PAGES_DEFAULT, o->seed);
		if (!error) {
			c->options.pool_fd = c->pool.fd;
			c->compression_ratio = page_compression_ratio(&c->pool);
			fprintf(stderr,
			    "pagerbench: data from this machine's files, LZ4 compresses it "
			    "%.2f:1\n",
			    c->compression_ratio);
			if (o->peer == PEER_PAGERD)
				error = build_begin(c);
			if (!error)
				status = compare_rows_run(c);
			else if (signals_received())
				status = 128 + signals_received();
			pool_close(&c->pool);
		}
		peer_destroy(&c->peer);
	}
	for (unsigned i = 0; i < c->row_count; i++) {
		free(c->rows[i].a);
		free(c->rows[i].b);
		free(c->rows[i].again);
	}
	free(c);
	return status;
}
