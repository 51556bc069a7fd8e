/* SPDX-License-Identifier: MIT
 *
 * Counts matter more than times: a difference in time counts only if its interval excludes 1 and
 * the major faults differ in the same direction.
 */
#include "policies_report.h"

#include <errno.h>
#include <json-c/json.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "bootstrap.h"
#include "load.h"
#include "report.h"
#include "spread.h"

#define STEAL_MAX 2.0 /* percent of stolen time; the time of a run with more is not used */

struct cell {
	unsigned load, fraction, policy;
};

static bool
is_of(const struct policy_run *r, const struct cell *c, bool again)
{
	return r->load == c->load && r->fraction == c->fraction && r->policy == c->policy &&
	       r->again == again;
}

static uint64_t
median_of(const struct policies *p, const struct cell *c, size_t offset)
{
	double *v = calloc(p->run_count + 1, sizeof(*v));
	uint64_t median;
	size_t n = 0;

	for (unsigned i = 0; v && i < p->run_count; i++)
		if (is_of(&p->runs[i], c, false))
			v[n++] =
			    (double)*(const uint64_t *)((const char *)&p->runs[i].counts + offset);
	median = v ? (uint64_t)spread_of(v, n).median : 0;
	free(v);
	return median;
}

struct policy_counts
policies_live(const struct policies *p, unsigned load, unsigned fraction, unsigned policy)
{
	struct cell c = { load, fraction, policy };
	struct policy_counts r;

	for (size_t at = 0; at < sizeof(r); at += sizeof(uint64_t))
		*(uint64_t *)((char *)&r + at) = median_of(p, &c, at);
	return r;
}

/* (live - predicted) / predicted of the major faults; 0 where none were predicted. */
static double
prediction_error(const struct policies *p, unsigned load, unsigned fraction, unsigned policy)
{
	double live = (double)policies_live(p, load, fraction, policy).major;
	double predicted = (double)p->predicted[load][fraction][policy].major;

	return predicted > 0 ? (live - predicted) / predicted : 0;
}

/* Time over that of the first policy in the same block. again: for the first policy's second run.
 */
static struct interval
time_ratio(const struct policies *p, const struct cell *c, bool again)
{
	struct cell first = { c->load, c->fraction, 0 };
	double *v = calloc(p->run_count + 1, sizeof(*v));
	struct interval r = { 0, 0, 0 };
	size_t n = 0;

	for (unsigned i = 0; v && i < p->run_count; i++)
		for (unsigned j = 0; j < p->run_count; j++) {
			const struct policy_run *a = &p->runs[i], *b = &p->runs[j];

			if (is_of(a, c, again) && is_of(b, &first, false) && a->block == b->block &&
			    b->seconds > 0 && a->steal <= STEAL_MAX && b->steal <= STEAL_MAX)
				v[n++] = a->seconds / b->seconds;
		}
	if (v)
		r = bootstrap_median(v, n, p->seed);
	free(v);
	return r;
}

static double
x_min(const struct policies *p, const struct cell *c)
{
	double least = (double)p->predicted[c->load][c->fraction][policies_min(p)].major;

	return least > 0 ? (double)policies_live(p, c->load, c->fraction, c->policy).major / least
			 : 0;
}

/* => NAN where FIFO is as good as MIN. */
static double
gap_closed(const struct policies *p, const struct cell *c)
{
	double least = (double)p->predicted[c->load][c->fraction][policies_min(p)].major;
	double fifo = (double)p->predicted[c->load][c->fraction][policies_fifo(p)].major;
	double live = (double)policies_live(p, c->load, c->fraction, c->policy).major;

	return fifo > least ? (fifo - live) / (fifo - least) : NAN;
}

/* Prints "-" where no pair of runs has usable times. */
static void
markdown_interval(const struct interval *t, FILE *f)
{
	if (t->median > 0)
		fprintf(f, " | %.3f [%.3f, %.3f] |\n", t->median, t->low, t->high);
	else
		fputs(" | - |\n", f);
}

static void
markdown_row(const struct policies *p, const struct cell *c, FILE *f)
{
	struct policy_counts live = policies_live(p, c->load, c->fraction, c->policy);
	const struct policy_counts *predicted = &p->predicted[c->load][c->fraction][c->policy];
	struct interval t = time_ratio(p, c, false);
	double gap = gap_closed(p, c);

	fprintf(f,
	    "| %u | %u | %s | %llu | %llu | %+.2f %% | %llu | %llu | %llu | %llu | %llu | %.3f | ",
	    p->fractions[c->fraction], policies_frames(p, c->fraction), p->names[c->policy],
	    (unsigned long long)live.major, (unsigned long long)predicted->major,
	    100 * prediction_error(p, c->load, c->fraction, c->policy),
	    (unsigned long long)live.soft, (unsigned long long)predicted->soft,
	    (unsigned long long)live.written, (unsigned long long)predicted->written,
	    (unsigned long long)live.deactivations, x_min(p, c));
	if (isnan(gap))
		fputs("-", f);
	else
		fprintf(f, "%.3f", gap);
	if (c->policy == 0)
		fputs(" | 1 |\n", f);
	else
		markdown_interval(&t, f);
}

static void
markdown_load(const struct policies *p, unsigned load, FILE *f)
{
	fprintf(f,
	    "\n## %s: %s\n\nRecorded: %llu references, %llu dropped.\n\n"
	    "| %% | frames | policy | major | predicted | error | soft | predicted | written | "
	    "predicted | "
	    "deactivated | x MIN | gap closed | time / %s [95 %%] |\n"
	    "|--:|--:|:--|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|:--|\n",
	    load_name(p->loads[load]), load_text(p->loads[load]),
	    (unsigned long long)p->references[load], (unsigned long long)p->dropped[load],
	    p->names[0]);
	for (unsigned fraction = 0; fraction < p->fraction_count; fraction++) {
		struct cell first = { load, fraction, 0 };
		struct interval aa = time_ratio(p, &first, true);

		for (unsigned policy = 0; policy < p->name_count; policy++)
			markdown_row(p, &(struct cell){ load, fraction, policy }, f);
		fprintf(f, "| %u | %u | min | | %llu | | | | | %llu | | 1 | 1 | |\n",
		    p->fractions[fraction], policies_frames(p, fraction),
		    (unsigned long long)p->predicted[load][fraction][policies_min(p)].major,
		    (unsigned long long)p->predicted[load][fraction][policies_min(p)].written);
		fprintf(f, "| %u | | %s again (noise) | | | | | | | | | | ", p->fractions[fraction],
		    p->names[0]);
		markdown_interval(&aa, f);
	}
}

static void
markdown_agreement(const struct policies *p, FILE *f)
{
	fputs("\n## Agreement of major faults: (live - predicted) / predicted, percent; the worst "
	      "of all sizes\n\n|  |",
	    f);
	for (unsigned load = 0; load < p->load_count; load++)
		fprintf(f, " %s |", load_name(p->loads[load]));
	fputs("\n|:--|", f);
	for (unsigned load = 0; load < p->load_count; load++)
		fputs("--:|", f);
	for (unsigned policy = 0; policy < p->name_count; policy++) {
		fprintf(f, "\n| %s |", p->names[policy]);
		for (unsigned load = 0; load < p->load_count; load++) {
			double worst = 0;

			for (unsigned fraction = 0; fraction < p->fraction_count; fraction++) {
				double e = prediction_error(p, load, fraction, policy);

				worst = fabs(e) > fabs(worst) ? e : worst;
			}
			fprintf(f, " %+.2f |", 100 * worst);
		}
	}
	fputc('\n', f);
}

static unsigned
stolen_runs(const struct policies *p)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->run_count; i++)
		n += p->runs[i].steal > STEAL_MAX;
	return n;
}

void
policies_markdown(const struct policies *p, FILE *f)
{
	struct utsname host;

	uname(&host);
	fprintf(f,
	    "# Page-out policies, live\n\npagerd %s on %s, Linux %s. Working set %llu pages, %llu "
	    "touches after the "
	    "fill, %u %% writes, one thread, seed %llu, %u blocks; recorded with %u pages mapped. "
	    "%u of %u runs "
	    "have no usable time (more than %g %% of processor time stolen).\n",
	    PAGERD_VERSION, host.nodename, host.release, (unsigned long long)p->pages,
	    (unsigned long long)p->touches, p->write_percent, (unsigned long long)p->seed,
	    p->repeat, p->window, stolen_runs(p), p->run_count, STEAL_MAX);
	for (unsigned load = 0; load < p->load_count; load++)
		markdown_load(p, load, f);
	markdown_agreement(p, f);
}

static void
tsv_row(const struct policies *p, FILE *f, const char *kind, const struct policy_run *r,
    const char *policy)
{
	struct utsname host;

	uname(&host);
	fprintf(f,
	    "%s\t%s\t%s\t%llu\t%llu\t%llu\t%u\t%u\t%s\t%u\t%u\t%s\t%s\t%u\t%u\t%llu\t%llu\t%llu\t%"
	    "llu\t%llu\t%llu\t"
	    "%llu\t%.6f\t%.2f\n",
	    host.nodename, host.release, PAGERD_VERSION, (unsigned long long)p->seed,
	    (unsigned long long)p->pages, (unsigned long long)p->touches, p->write_percent,
	    p->window, load_name(p->loads[r->load]), p->fractions[r->fraction],
	    policies_frames(p, r->fraction), policy, kind, r->block, r->order,
	    (unsigned long long)r->counts.major, (unsigned long long)r->counts.soft,
	    (unsigned long long)r->counts.written, (unsigned long long)r->counts.write_faults,
	    (unsigned long long)r->counts.deactivations, (unsigned long long)r->counts.violations,
	    (unsigned long long)r->counts.rescues, r->seconds, r->steal);
}

int
policies_tsv(const struct policies *p, const char *path)
{
	FILE *f = fopen(path, "we");

	if (!f) {
		fprintf(stderr, "pagerbench: %s: %s\n", path, strerror(errno));
		return -errno;
	}
	fputs("host\tkernel\tversion\tseed\tpages\ttouches\twrite_"
	      "percent\twindow\tworkload\tpercent\tframes\tpolicy\tkind\t"
	      "block\torder\tmajor\tsoft\twritten\twrite_"
	      "faults\tdeactivations\tviolations\trescues\tseconds\tsteal\n",
	    f);
	for (unsigned load = 0; load < p->load_count; load++)
		for (unsigned fraction = 0; fraction < p->fraction_count; fraction++)
			for (unsigned i = 0; i <= p->name_count; i++) {
				struct policy_run r = { .load = load,
					.fraction = fraction,
					.counts = p->predicted[load][fraction][i] };

				tsv_row(
				    p, f, "predicted", &r, i < p->name_count ? p->names[i] : "min");
			}
	for (unsigned i = 0; i < p->run_count; i++)
		tsv_row(p, f, p->runs[i].again ? "live-again" : "live", &p->runs[i],
		    p->names[p->runs[i].policy]);
	return fclose(f) ? -errno : 0;
}

static void
add(json_object *to, const char *key, double value)
{
	json_object_object_add(to, key, isnan(value) ? NULL : json_object_new_double(value));
}

static json_object *
json_cell(const struct policies *p, const struct cell *c)
{
	struct policy_counts live = policies_live(p, c->load, c->fraction, c->policy);
	const struct policy_counts *predicted = &p->predicted[c->load][c->fraction][c->policy];
	struct interval t = time_ratio(p, c, c->policy == 0);
	json_object *o = json_object_new_object();

	json_object_object_add(o, "workload", json_object_new_string(load_name(p->loads[c->load])));
	json_object_object_add(o, "policy", json_object_new_string(p->names[c->policy]));
	add(o, "percent", p->fractions[c->fraction]);
	add(o, "frames", policies_frames(p, c->fraction));
	add(o, "major", (double)live.major);
	add(o, "major_predicted", (double)predicted->major);
	add(o, "major_min", (double)p->predicted[c->load][c->fraction][policies_min(p)].major);
	add(o, "error", prediction_error(p, c->load, c->fraction, c->policy));
	add(o, "soft", (double)live.soft);
	add(o, "soft_predicted", (double)predicted->soft);
	add(o, "written", (double)live.written);
	add(o, "written_predicted", (double)predicted->written);
	add(o, "deactivations", (double)live.deactivations);
	add(o, "violations", (double)live.violations);
	add(o, "x_min", x_min(p, c));
	add(o, "gap_closed", gap_closed(p, c));
	/* For the first policy: its second run over its first. */
	add(o, "time_ratio", t.median);
	add(o, "time_ratio_low", t.low);
	add(o, "time_ratio_high", t.high);
	return o;
}

void
policies_json(const struct policies *p)
{
	json_object *root = json_object_new_object(), *rows = json_object_new_array();

	json_object_object_add(root, "version", json_object_new_string(PAGERD_VERSION));
	add(root, "seed", (double)p->seed);
	add(root, "pages", (double)p->pages);
	add(root, "touches", (double)p->touches);
	add(root, "repeat", p->repeat);
	add(root, "window", p->window);
	for (unsigned load = 0; load < p->load_count; load++)
		for (unsigned fraction = 0; fraction < p->fraction_count; fraction++)
			for (unsigned policy = 0; policy < p->name_count; policy++)
				json_object_array_add(
				    rows, json_cell(p, &(struct cell){ load, fraction, policy }));
	json_object_object_add(root, "results", rows);
	json_print(root);
	json_object_put(root);
}
