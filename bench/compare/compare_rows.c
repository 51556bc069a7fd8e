/* SPDX-License-Identifier: MIT */
#include "compare_rows.h"

#include <stdio.h>
#include <stdlib.h>

#include "base.h"
#include "report.h"
#include "spread.h"

const char *const figure_names[FIGURES_COUNT] = { "mean_ns", "p50_ns", "p99_ns", "p999_ns",
	"max_ns", "per_page_ns", "cpu_s" };

/* Large enough that a scan's read-ahead is a small part of it. */
#define FILE_MEMORY (256u << 20)

/* clang-format off */
const struct row compare_rows[] = {
	{ "random-read", 1, 2.0, 0, AGAINST_KERNEL, false,
	    { { FIGURE_MEAN, 0.85, 0 }, { FIGURE_P99, 0.10, 0 }, { FIGURE_CPU, 1.5, 0 } } },
	{ "random-write", 1, 2.0, 0, AGAINST_KERNEL, false,
	    { { FIGURE_MEAN, 0.95, 0 }, { FIGURE_P99, 0.10, 0 } } },
	{ "random-read", 2, 2.0, 0, AGAINST_KERNEL, false,
	    { { FIGURE_MEAN, 1.05, 0 }, { FIGURE_P99, 0.15, 0 } } },
	{ "zipf", 1, 4.0, 0, AGAINST_KERNEL, false, { { FIGURE_MEAN, 0.80, 0 }, { FIGURE_P99, 0.15, 0 } } },
	{ "scan", 1, 2.0, 0, AGAINST_KERNEL, false, { { FIGURE_PER_PAGE, 0.45, 0 } } },
	{ "first-touch", 1, 2.0, 0, AGAINST_KERNEL, false, { { FIGURE_PER_PAGE, 0.70, 0 } } },
	{ "fits", 1, 0.8, 0, AGAINST_PLAIN, true, { { FIGURE_MEAN, 1.02, 0 } } },
	{ "stall", 1, 4.0, 0, AGAINST_KERNEL, false, { { FIGURE_MAX, 0.10, 5e6 } } },
	{ "soft-fault", 1, 0.5, 0, AGAINST_FLOOR, true, { { FIGURE_P50, 1.25, 0 } } },
	{ "swap-in", 1, 4.0, 0, AGAINST_FLOOR, false, { { FIGURE_P50, 1.35, 0 } } },
	{ "swap-out", 1, 0.75, 0, AGAINST_FLOOR, false, { { FIGURE_PER_PAGE, 1.25, 0 } } },
	{ "fill-to-disk", 1, 6.0, 0, AGAINST_FLOOR, false, { { FIGURE_PER_PAGE, 0, 0 } } },
	{ "file-scan", 1, 4.0, FILE_MEMORY, AGAINST_MMAP, false, { { FIGURE_PER_PAGE, 1.5, 0 } } },
	{ "file-random", 1, 4.0, FILE_MEMORY, AGAINST_MMAP, false,
	    { { FIGURE_MEAN, 1.1, 0 }, { FIGURE_P99, 1.1, 0 } } },
	{ "file-random-default", 1, 4.0, FILE_MEMORY, AGAINST_MMAP, false, { { FIGURE_MEAN, 0.1, 0 } } },
	{ "file-write", 1, 4.0, FILE_MEMORY, AGAINST_MMAP, false, { { FIGURE_PER_PAGE, 1.1, 0 } } },
};
/* clang-format on */
const unsigned compare_row_count = ARRAY_LEN(compare_rows);

void
sample_from_json(struct sample *s, json_object *run)
{
	double wall = json_lookup(run, "seconds", 0);

	s->touches = json_lookup(run, "touches", 0);
	for (unsigned i = 0; i < FIGURES_COUNT; i++)
		s->figure[i] = json_lookup(run, figure_names[i], 0);
	s->cpu_seconds = s->figure[FIGURE_CPU];
	/* Runs have equal length, not equal work. */
	if (s->touches > 0)
		s->figure[FIGURE_CPU] *= 1e6 / s->touches;
	s->bad_pages = json_lookup(run, "bad_pages", 0);
	s->check_failures = json_lookup(run, "check_failures", 0);
	s->memory_bytes = json_lookup(run, "memory_bytes", 0);
	s->faults = json_lookup(run, "faults.faults", 0);
	s->soft_faults = json_lookup(run, "faults.soft_faults", 0);
	s->bytes_written = json_lookup(run, "bytes_written", 0);
	s->swap_out_rate = json_lookup(run, "swap_out_bytes_per_s", 0);
	s->file_cached_bytes = json_lookup(run, "file_cached_bytes", 0);
	s->data_ratio = json_lookup(run, "compression_ratio", 1);
	s->cpu_client_share = wall > 0 ? json_lookup(run, "cpu_client_s", 0) / wall : 0;
}

void
sample_divide(struct sample *s, const struct sample *by)
{
	for (unsigned i = 0; i < FIGURES_COUNT; i++)
		s->figure[i] = by->figure[i] > 0 ? s->figure[i] / by->figure[i] : 0;
}

void
row_targets_limit(struct row *row, double limit)
{
	for (unsigned i = 0; i < TARGETS_MAX; i++)
		if (i == 0 || row->targets[i].at_most > 0)
			row->targets[i].at_most = limit;
}

static void
column(const struct sample *samples, unsigned count, enum figure figure, double *ret)
{
	for (unsigned i = 0; i < count; i++)
		ret[i] = samples[i].figure[figure];
}

struct figure_spread {
	struct spread a, b, ratio;
	size_t ratios;
};

/* The spreads of samples a, of samples b, and of b / a. */
static struct figure_spread
figure_between(
    const struct row_result *r, const struct sample *a, const struct sample *b, enum figure figure)
{
	struct figure_spread f = { .ratios = 0 };
	double *v = calloc(3 * (size_t)r->pairs + 1, sizeof(*v));

	if (!v)
		return f;
	column(a, r->pairs, figure, v);
	column(b, r->pairs, figure, v + r->pairs);
	f.a = spread_of(v, r->pairs);
	f.b = spread_of(v + r->pairs, r->pairs);
	f.ratios = ratios_of(v + r->pairs, v, r->pairs, v + 2 * r->pairs);
	f.ratio = spread_of(v + 2 * r->pairs, f.ratios);
	free(v);
	return f;
}

static struct figure_spread
figure_of(const struct row_result *r, enum figure figure)
{
	return figure_between(r, r->a, r->b, figure);
}

/* The other build's second runs over its first runs. */
static struct figure_spread
noise_of(const struct row_result *r, enum figure figure)
{
	return figure_between(r, r->a, r->again, figure);
}

/* Whether the other build differed from itself in some pair as much as the two builds differ. */
static bool
noise_explains(const struct row_result *r, enum figure figure, double ratio)
{
	struct figure_spread noise;

	if (!r->again)
		return false;
	noise = noise_of(r, figure);
	return noise.ratios && (noise.ratio.max >= ratio || 1 / noise.ratio.min >= ratio);
}

bool
row_target_met(const struct row_result *r, const struct target *t, double *ret_ratio)
{
	struct figure_spread f = figure_of(r, t->figure);

	*ret_ratio = f.ratio.median;
	if (r->failed || r->doubt || f.ratios == 0)
		return false;
	return f.ratio.median <= t->at_most || (t->or_ns > 0 && f.b.median <= t->or_ns);
}

static const struct target *
target_of(const struct row_result *r, enum figure figure)
{
	for (unsigned i = 0; i < TARGETS_MAX; i++)
		if (r->row.targets[i].at_most > 0 && r->row.targets[i].figure == figure)
			return &r->row.targets[i];
	return NULL;
}

/* Prints a line of the table, without the end of the line. */
static void
figure_print(const char *name, const struct figure_spread *f, int digits)
{
	printf("  %-12s %12.*f %12.*f", name, digits, f->a.median, digits, f->b.median);
	if (f->ratios)
		printf("   %7.3f %7.3f %7.3f", f->ratio.min, f->ratio.median, f->ratio.max);
}

static void
row_print_figure(const struct row_result *r, enum figure figure)
{
	const char *unit = figure == FIGURE_CPU ? "cpu_s/1M" : figure_names[figure];
	struct figure_spread f = figure_of(r, figure);
	const struct target *t = target_of(r, figure);
	int digits = f.b.median < 100 ? 3 : 0;
	double ratio;

	if (f.a.max <= 0 && f.b.max <= 0)
		return;
	figure_print(unit, &f, digits);
	if (t && f.ratios) {
		bool met = row_target_met(r, t, &ratio);

		printf("  %.2f%s %s%s", t->at_most, t->or_ns > 0 ? " or 5 ms" : "",
		    met ? "met" : "MISSED",
		    !met && noise_explains(r, figure, ratio) ? ", A/A as far" : "");
	}
	putchar('\n');
	if (r->again) {
		f = noise_of(r, figure);
		figure_print("  A/A", &f, digits);
		putchar('\n');
	}
}

void
row_print(const struct row_result *r)
{
	static const char *const names[] = { [AGAINST_KERNEL] = "kernel",
		[AGAINST_PLAIN] = "plain",
		[AGAINST_FLOOR] = "floor",
		[AGAINST_MMAP] = "mmap" };

	printf("%s, %u thread%s, working set %.1f x memory, %u pair%s%s%s\n", r->row.scenario,
	    r->row.threads, r->row.threads == 1 ? "" : "s", r->row.ratio, r->pairs,
	    r->pairs == 1 ? "" : "s", r->failed ? ", NOT FINISHED" : "", r->oom_kills ? "" : ":");
	if (r->oom_kills)
		printf("  the OOM killer ended the kernel's run %u times\n", r->oom_kills);
	if (r->doubt)
		printf("  do not trust this: %s\n", r->doubt);
	if (r->again && r->row.against == AGAINST_PLAIN)
		puts("  figures are multiples of plain memory's, measured in slices of the same "
		     "run");
	printf("  %-12s %12s %12s   %7s %7s %7s  %s\n", "",
	    r->again ? "other build" : names[r->row.against], r->again ? "this build" : "pagerd",
	    "min", "median", "max", "at most");
	for (unsigned i = 0; i < FIGURES_COUNT; i++)
		row_print_figure(r, (enum figure)i);
	fflush(stdout);
}

static json_object *
spread_json(const struct spread *s, int digits)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "min", json_number(s->min, digits));
	json_object_object_add(o, "median", json_number(s->median, digits));
	json_object_object_add(o, "max", json_number(s->max, digits));
	return o;
}

static json_object *
floors_json(const struct floors *f)
{
	json_object *o = json_object_new_object();

	json_object_object_add(o, "userfaultfd_echo_p50_ns", json_number(f->echo_p50_ns, 0));
	json_object_object_add(o, "disk_read_4k_p50_ns", json_number(f->read_p50_ns, 0));
	json_object_object_add(
	    o, "disk_write_256k_bytes_per_s", json_number(f->write_bytes_per_s, 0));
	json_object_object_add(o, "lz4_compress_page_ns", json_number(f->compress_page_ns, 0));
	json_object_object_add(
	    o, "lz4_compress_page_all_ns", json_number(f->compress_page_all_ns, 0));
	json_object_object_add(o, "lz4_decompress_page_ns", json_number(f->decompress_page_ns, 0));
	json_object_object_add(o, "plain_touch_ns", json_number(f->plain_touch_ns, 2));
	json_object_object_add(o, "plain_first_touch_ns", json_number(f->plain_first_touch_ns, 0));
	return o;
}

static json_object *
targets_json(const struct row_result *r)
{
	json_object *list = json_object_new_array();

	for (unsigned i = 0; i < TARGETS_MAX; i++) {
		const struct target *t = &r->row.targets[i];
		json_object *o;
		double ratio;

		if (t->at_most <= 0)
			continue;
		o = json_object_new_object();
		json_object_object_add(
		    o, "figure", json_object_new_string(figure_names[t->figure]));
		json_object_object_add(o, "at_most", json_number(t->at_most, 2));
		if (t->or_ns > 0)
			json_object_object_add(o, "or_ns", json_number(t->or_ns, 0));
		json_object_object_add(
		    o, "met", json_object_new_boolean(row_target_met(r, t, &ratio)));
		if (r->again)
			json_object_object_add(o, "within_noise",
			    json_object_new_boolean(noise_explains(r, t->figure, ratio)));
		json_object_array_add(list, o);
	}
	return list;
}

/* Adds the spreads of each figure, for the sides that have it. */
static void
figures_json(json_object *out, const struct row_result *r)
{
	json_object *ratio = json_object_new_object(), *noise = json_object_new_object();
	json_object *a = json_object_new_object(), *b = json_object_new_object();

	for (unsigned i = 0; i < FIGURES_COUNT; i++) {
		struct figure_spread f = figure_of(r, (enum figure)i);

		if (f.ratios)
			json_object_object_add(ratio, figure_names[i], spread_json(&f.ratio, 4));
		if (f.a.max > 0)
			json_object_object_add(a, figure_names[i], spread_json(&f.a, 3));
		if (f.b.max > 0)
			json_object_object_add(b, figure_names[i], spread_json(&f.b, 3));
		if (!r->again)
			continue;
		f = noise_of(r, (enum figure)i);
		if (f.ratios)
			json_object_object_add(noise, figure_names[i], spread_json(&f.ratio, 4));
	}
	json_object_object_add(out, "ratio", ratio);
	if (r->again)
		json_object_object_add(out, "noise", noise);
	else
		json_object_put(noise);
	json_object_object_add(out, "peer", a);
	json_object_object_add(out, "pagerd", b);
}

double
row_bad_pages(const struct row_result *r)
{
	double bad = 0;

	for (unsigned i = 0; i < r->pairs; i++)
		bad +=
		    r->a[i].bad_pages + r->b[i].bad_pages + (r->again ? r->again[i].bad_pages : 0);
	return bad;
}

double
row_check_failures(const struct row_result *r)
{
	double failures = 0;

	for (unsigned i = 0; i < r->pairs; i++)
		failures += r->a[i].check_failures + r->b[i].check_failures +
			    (r->again ? r->again[i].check_failures : 0);
	return failures;
}

static const char *
against_name(const struct row_result *r, const struct options *o)
{
	if (o->peer == PEER_PAGERD)
		return peer_names[PEER_PAGERD];
	switch (r->row.against) {
	case AGAINST_PLAIN:
		return "plain";
	case AGAINST_FLOOR:
		return "floor";
	case AGAINST_MMAP:
		return o->peer == PEER_NONE ? peer_names[PEER_NONE] : "mmap";
	default:
		return peer_names[o->peer];
	}
}

json_object *
row_json(const struct row_result *r, const struct options *o, const struct floors *floors)
{
	json_object *out = json_object_new_object();

	json_object_object_add(out, "scenario", json_object_new_string(r->row.scenario));
	json_object_object_add(out, "threads", json_object_new_int((int)r->row.threads));
	json_object_object_add(out, "pairs", json_object_new_int((int)r->pairs));
	json_object_object_add(out, "against", json_object_new_string(against_name(r, o)));
	if (o->peer == PEER_PAGERD)
		json_object_object_add(
		    out, "beside_plain", json_object_new_boolean(r->row.against == AGAINST_PLAIN));
	json_object_object_add(out, "working_set_ratio", json_number(r->row.ratio, 2));
	json_object_object_add(out, "memory_bytes", json_object_new_uint64(r->row.memory_bytes));
	json_object_object_add(
	    out, "pagerd_memory_bytes", json_number(r->pairs ? r->b[0].memory_bytes : 0, 0));
	json_object_object_add(
	    out, "page_size", json_object_new_string(o->page_size ? o->page_size : "4K"));
	json_object_object_add(
	    out, "compression_ratio", json_number(r->pairs ? r->b[0].data_ratio : 0, 3));
	json_object_object_add(out, "bad_pages", json_number(row_bad_pages(r), 0));
	json_object_object_add(out, "check_failures", json_number(row_check_failures(r), 0));
	json_object_object_add(out, "oom_kills", json_object_new_int((int)r->oom_kills));
	json_object_object_add(out, "finished", json_object_new_boolean(!r->failed));
	if (r->doubt)
		json_object_object_add(out, "doubt", json_object_new_string(r->doubt));
	figures_json(out, r);
	json_object_object_add(out, "targets", targets_json(r));
	/* The floors are the same for two builds, and are not measured for them. */
	if (o->peer != PEER_PAGERD)
		json_object_object_add(out, "floors", floors_json(floors));
	return out;
}

void
floors_print(const struct floors *f)
{
	printf("floors: userfaultfd echo p50 %.0f ns; disk read 4 KiB p50 %.0f ns, write 256 KiB "
	       "%.0f MB/s; LZ4 compresses a page in %.0f ns (on all processors at once in %.0f), "
	       "decompresses it in %.0f; plain memory %.1f ns a touch, %.0f a first touch\n",
	    f->echo_p50_ns, f->read_p50_ns, f->write_bytes_per_s / 1e6, f->compress_page_ns,
	    f->compress_page_all_ns, f->decompress_page_ns, f->plain_touch_ns,
	    f->plain_first_touch_ns);
	fflush(stdout);
}
