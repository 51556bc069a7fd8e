/* SPDX-License-Identifier: MIT
 *
 * `pagerbench compare`: pairs of runs, one with the kernel's means (or a floor), one with pagerd,
 * in alternation, so that what happens to the machine meanwhile happens to both. Against plain
 * memory a touch is so short that the machine's own wandering would be all that is seen: there both
 * are one run, and alternate in slices.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "compare_rows.h"
#include "compare_run.h"
#include "options.h"
#include "pattern.h"
#include "peer.h"
#include "plot.h"
#include "report.h"
#include "spread.h"
#include "ticks.h"
#include "workload.h"

#define OOM_RETRIES       10u
#define ROWS_MAX          (2 * MAX_SCENARIOS)
#define FLOOR_SAMPLES_MAX 64

struct compare {
	struct options options; /* a copy: pool_fd is set in it */
	struct pool pool;
	struct peer peer;
	struct floors floors; /* medians so far */
	struct row_result rows[ROWS_MAX];
	unsigned row_count;
	bool stopped;
};

/* One comparison at a time. The name vanishes with the last process that holds it, the guardian
 * included. */
static int
only_one(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0pagerbench-compare"};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		fputs("pagerbench: another comparison is running (or putting things back)\n",
		      stderr);
		close(fd);
		return -EBUSY;
	}
	return 0; /* held until the end */
}

/* The rows that were asked for, with what the options say in place of the table's. */
static int
rows_choose(struct compare *c)
{
	const struct options *o = &c->options;
	double ratio = o->working_set_bytes
			   ? (double)o->working_set_bytes / (double)o->memory_bytes
			   : o->ratio;

	for (unsigned i = 0; i < o->scenario_count; i++)
		if (!scenario_find(o->scenarios[i])) {
			fprintf(stderr, "pagerbench: no scenario '%s' (see 'pagerbench list')\n",
				o->scenarios[i]);
			return -EINVAL;
		}
	for (unsigned i = 0; i < compare_row_count; i++) {
		struct row row = compare_rows[i];
		bool wanted = o->scenario_count == 0, seen = false;

		for (unsigned j = 0; j < o->scenario_count; j++)
			wanted |= strcmp(o->scenarios[j], row.scenario) == 0;
		if (o->threads && row.threads != o->threads) {
			row.threads = o->threads;
			memset(row.targets, 0, sizeof(row.targets));
		}
		if (ratio > 0 && row.ratio != ratio) {
			row.ratio = ratio;
			memset(row.targets, 0, sizeof(row.targets));
		}
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

/* One floor's share of a pair, as a sample that pagerd's can be divided by. */
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

/* What goes to disk is to be compared with the slower of disk and LZ4, the latter on the processors that
 * there are. Where the client fills meanwhile it is what is evicted that counts, on the processors that it left. */
static void
to_disk_finish(struct compare *c, bool fill, struct sample *floor, struct sample *pagerd)
{
	double cores = (double)sysconf(_SC_NPROCESSORS_ONLN) - (fill ? pagerd->cpu_client_share : 0);
	double disk = c->floors.write_bytes_per_s * c->pool.compression_ratio;
	double lz4 = (cores > 0.1 ? cores : 0.1) * UNIT_BYTES * 1e9 / c->floors.compress_page_all_ns;

	floor->figure[FIGURE_PER_PAGE] = UNIT_BYTES * 1e9 / (disk < lz4 ? disk : lz4);
	if (fill)
		pagerd->figure[FIGURE_PER_PAGE] =
		    pagerd->swap_out_rate > 0 ? UNIT_BYTES * 1e9 / pagerd->swap_out_rate : 0;
}

/* The kernel's side of a pair, again when the OOM killer took it. */
static enum run_outcome
kernel_sample(struct compare *c, struct row_result *r, struct sample *s, uint64_t *ret_pool_bytes)
{
	struct run_request request = {.options = &c->options,
				      .row = &r->row,
				      .plain = true,
				      .peer = &c->peer,
				      .memory_bytes = c->options.memory_bytes};
	uint64_t swap_bytes =
	    (uint64_t)((double)c->options.memory_bytes * r->row.ratio) * 2 + ((uint64_t)64 << 20);
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
			"pagerbench: the OOM killer ended the kernel's run of %s; once more\n",
			r->row.scenario);
	}
	if (outcome != RUN_DONE)
		return outcome == RUN_OOM ? RUN_FAILED : outcome;
	sample_from_json(s, run);
	json_object_put(run);
	return outcome;
}

/* plain: the other side of the pair, when it is measured in the same run; else NULL. */
static enum run_outcome
pagerd_sample(struct compare *c, struct row_result *r, struct sample *s, struct sample *plain,
	      uint64_t memory_bytes)
{
	struct run_request request = {.options = &c->options,
				      .row = &r->row,
				      .beside_plain = plain,
				      .memory_bytes = (memory_bytes + 65535) & ~(uint64_t)65535,
				      .directory = c->peer.journal->directory};
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

static enum run_outcome
pair_run(struct compare *c, struct row_result *r, unsigned i)
{
	struct sample *a = &r->a[i], *b = &r->b[i];
	uint64_t pool_bytes = 0;
	enum run_outcome outcome = RUN_DONE;

	if (r->row.against == AGAINST_FLOOR)
		outcome = floor_sample(c, &r->row, a) ? RUN_FAILED : RUN_DONE;
	else if (r->row.against == AGAINST_KERNEL && c->peer.kind != PEER_NONE)
		outcome = kernel_sample(c, r, a, &pool_bytes);
	if (outcome == RUN_DONE)
		outcome = pagerd_sample(c, r, b, r->row.against == AGAINST_PLAIN ? a : NULL,
					c->options.memory_bytes + pool_bytes);
	if (outcome == RUN_DONE && strcmp(r->row.scenario, "swap-out") == 0)
		to_disk_finish(c, false, a, b);
	else if (outcome == RUN_DONE && strcmp(r->row.scenario, "fill-to-disk") == 0)
		to_disk_finish(c, true, a, b);
	return outcome;
}

static void
row_judge(struct row_result *r)
{
	for (unsigned i = 0; i < r->pairs; i++) {
		/* What the daemon does after a fault would fall into the other side's slices. */
		if (r->row.against == AGAINST_PLAIN && r->b[i].faults > 1e-6 * r->b[i].touches)
			r->doubt = "not everything fitted";
		if (strcmp(r->row.scenario, "soft-fault") == 0 &&
		    r->b[i].soft_faults < 0.9 * r->b[i].touches)
			r->doubt = "most touches were not soft faults";
		if (strcmp(r->row.scenario, "swap-in") == 0 && r->b[i].touches < 100)
			r->doubt = "hardly a page was on disk";
		/* But for the compressor's share, a twentieth of memory. */
		if (strcmp(r->row.scenario, "swap-out") == 0 &&
		    r->b[i].bytes_written * r->b[i].data_ratio < 0.7 * r->b[i].touches * UNIT_BYTES)
			r->doubt = "most pages were not written to disk";
	}
}

static int
row_run(struct compare *c, struct row_result *r)
{
	unsigned pairs = c->options.pairs;

	r->a = calloc(pairs, sizeof(*r->a));
	r->b = calloc(pairs, sizeof(*r->b));
	if (!r->a || !r->b)
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
			r->row.scenario, r->row.threads, r->row.threads == 1 ? "" : "s", i + 1,
			pairs);
	}
	row_judge(r);
	return 0;
}

/* Those that no row has measured yet. */
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
		for (unsigned j = 0; j < r->pairs; j++)
			failed |= r->a[j].bad_pages + r->b[j].bad_pages +
				      r->b[j].check_failures >
				  0;
		for (unsigned j = 0; j < TARGETS_MAX; j++)
			missed |= r->row.targets[j].at_most > 0 &&
				  !row_target_met(r, &r->row.targets[j], &ratio);
	}
	return failed ? EXIT_FAILURE : missed && c->options.strict ? 3 : EXIT_SUCCESS;
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
		fprintf(stderr, "pagerbench: stopped by signal %d, putting everything back\n",
			run_signal());
		return 128 + run_signal();
	}
	floors_complete(c);
	results_print(c);
	if (c->options.plot && plot_write(c->options.plot, c->rows, c->row_count))
		return EXIT_FAILURE;
	return results_judge(c);
}

int
compare_command(const struct options *o)
{
	struct compare *c = calloc(1, sizeof(*c));
	int page_cluster = o->page_cluster >= 0 ? o->page_cluster : o->peer == PEER_ZRAM ? 0 : -1;
	int status = EXIT_FAILURE, error;

	if (!c)
		return EXIT_FAILURE;
	c->options = *o;
	error = rows_choose(c);
	if (error) {
		free(c);
		return 2;
	}
	run_signals_block();
	error = only_one();
	if (!error)
		error = peer_create(&c->peer, o->peer, page_cluster, o->directory);
	if (!error) {
		error = pool_create(&c->pool, o->data, POOL_PAGES_DEFAULT, o->seed);
		if (!error) {
			c->options.pool_fd = c->pool.fd;
			fprintf(
			    stderr,
			    "pagerbench: data of this machine's files, LZ4 makes %.2f:1 of it\n",
			    c->pool.compression_ratio);
			status = compare_rows_run(c);
			pool_close(&c->pool);
		}
		peer_destroy(&c->peer);
	}
	for (unsigned i = 0; i < c->row_count; i++) {
		free(c->rows[i].a);
		free(c->rows[i].b);
	}
	free(c);
	return status;
}
