/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <stdio.h>

#include "report.h"
#include "results.h"

static const char *const end_names[] = {
	[SIDE_NONE] = "not run",
	[SIDE_ENDED] = "ended",
	[SIDE_SLOW] = "slow",
	[SIDE_KILLED] = "killed",
	[SIDE_UNFOUND] = "no limit found",
	[SIDE_BROKEN] = "broken",
};

static double
median_of(const double *values, unsigned count)
{
	double kept[256];
	unsigned n = 0;

	for (unsigned i = 0; i < count && n < 256; i++)
		if (values[i] > 0)
			kept[n++] = values[i];
	return spread_of(kept, n).median;
}

static void
side_print(const double *seconds, unsigned pairs, enum side_end end)
{
	double median = median_of(seconds, pairs);

	if (median > 0 && end == SIDE_ENDED)
		printf(" %9.2f s", median);
	else
		printf(" %11s", end_names[end]);
}

static void
cell_print(const struct program_result *p, const struct cell *c, const struct options *o)
{
	struct spread plain = cell_plain_ratio(p, c), peer;
	unsigned count;

	printf("  %3u %% %5" PRIu64 " MiB ", c->level, c->memory_bytes >> 20);
	side_print(c->pagerd_s, c->pairs, c->pagerd);
	if (plain.median > 0)
		printf("  %6.2f x plain", plain.median);
	else
		printf("  %14s", c->pagerd == SIDE_SLOW ? "> 10 x plain" : "");
	if (o->peer != PEER_NONE)
		side_print(c->peer_s, c->pairs, c->peer);
	peer = cell_ratio(c, &count);
	if (count)
		printf("  %.2f (%.2f-%.2f)", peer.median, peer.min, peer.max);
	if (c->kills)
		printf("  killed %u", c->kills);
	printf("  %s\n", c->differs                ? "DIFFERS"
			 : c->check_failures       ? "CHECK FAILED"
			 : c->pagerd == SIDE_ENDED ? "equal"
						   : "");
}

void
program_print(const struct program_result *p, const struct options *o)
{
	if (p->skipped) {
		printf("%s: skipped: %s (Debian: %s)\n", p->program->name, p->skipped,
		    p->program->package);
		return;
	}
	printf("%s: %s%s; plain %.2f s, peak %" PRIu64
	       " MiB, managed %.1f %% (copies of files %" PRIu64 " MiB), output %" PRIu64
	       " bytes\n",
	    p->program->name, p->program->text, o->scale != 1 ? " (at full size)" : "", p->plain_s,
	    p->plain.bytes >> 20, 100 * peak_coverage(&p->managed),
	    p->managed.file_copy_bytes >> 20, p->output_bytes);
	printf("  memory            pagerd                %s\n",
	    o->peer == PEER_NONE     ? ""
	    : o->peer == PEER_PAGERD ? "  other build  pagerd / other"
				     : "       kernel  pagerd / kernel");
	for (unsigned i = 0; i < p->cell_count; i++)
		cell_print(p, &p->cells[i], o);
	fflush(stdout);
}

static json_object *
times_json(const double *seconds, unsigned pairs)
{
	json_object *list = json_object_new_array();

	for (unsigned i = 0; i < pairs; i++)
		json_object_array_add(list, seconds[i] > 0 ? json_number(seconds[i], 4) : NULL);
	return list;
}

static json_object *
spread_json(struct spread s)
{
	json_object *j = json_object_new_object();

	json_object_object_add(j, "min", json_number(s.min, 4));
	json_object_object_add(j, "median", json_number(s.median, 4));
	json_object_object_add(j, "max", json_number(s.max, 4));
	return j;
}

static json_object *
cell_json(const struct program_result *p, const struct cell *c, const struct options *o)
{
	json_object *j = json_object_new_object(), *pagerd = json_object_new_object(),
		    *peer = json_object_new_object();
	struct spread ratio;
	unsigned count;

	json_object_object_add(j, "level", json_object_new_int((int)c->level));
	json_object_object_add(j, "memory_bytes", json_object_new_uint64(c->memory_bytes));
	json_object_object_add(j, "pairs", json_object_new_int((int)c->pairs));
	json_object_object_add(j, "output_equal", json_object_new_boolean(!c->differs));
	json_object_object_add(j, "check_failures", json_object_new_int((int)c->check_failures));
	json_object_object_add(pagerd, "end", json_object_new_string(end_names[c->pagerd]));
	json_object_object_add(pagerd, "seconds", times_json(c->pagerd_s, c->pairs));
	json_object_object_add(pagerd, "cpu_program_s", json_number(c->cpu_program_s, 3));
	json_object_object_add(pagerd, "cpu_daemon_s", json_number(c->cpu_daemon_s, 3));
	json_object_object_add(j, "pagerd", pagerd);
	if (c->level >= LEVEL_ENOUGH)
		json_object_object_add(j, "plain_seconds", times_json(c->plain_s, c->pairs));
	json_object_object_add(j, "ratio_plain", spread_json(cell_plain_ratio(p, c)));
	if (o->peer == PEER_NONE) {
		json_object_put(peer);
		return j;
	}
	json_object_object_add(peer, "end", json_object_new_string(end_names[c->peer]));
	json_object_object_add(peer, "seconds", times_json(c->peer_s, c->pairs));
	json_object_object_add(peer, "output_equal", json_object_new_boolean(!c->peer_differs));
	if (o->peer != PEER_PAGERD) {
		json_object_object_add(
		    peer, "total_wanted_bytes", json_object_new_uint64(c->total_wanted_bytes));
		json_object_object_add(peer, "total_bytes", json_object_new_uint64(c->total_bytes));
		json_object_object_add(peer, "limit_bytes", json_object_new_uint64(c->limit_bytes));
		json_object_object_add(peer, "kills", json_object_new_int((int)c->kills));
		json_object_object_add(peer, "searched", json_object_new_int((int)c->searched));
	}
	json_object_object_add(j, "peer", peer);
	ratio = cell_ratio(c, &count);
	if (count)
		json_object_object_add(j, "ratio_peer", spread_json(ratio));
	return j;
}

static json_object *
program_json(const struct program_result *p, const struct options *o)
{
	json_object *j = json_object_new_object(), *cells = json_object_new_array();

	json_object_object_add(j, "program", json_object_new_string(p->program->name));
	json_object_object_add(j, "package", json_object_new_string(p->program->package));
	json_object_object_add(
	    j, "skipped", p->skipped ? json_object_new_string(p->skipped) : NULL);
	if (!p->skipped) {
		json_object_object_add(j, "plain_s", json_number(p->plain_s, 4));
		json_object_object_add(j, "peak_bytes", json_object_new_uint64(p->plain.bytes));
		json_object_object_add(
		    j, "table_bytes", json_object_new_uint64(p->plain.table_bytes));
		json_object_object_add(
		    j, "managed_bytes", json_object_new_uint64(p->managed.managed_bytes));
		json_object_object_add(
		    j, "ordinary_bytes", json_object_new_uint64(p->managed.ordinary_bytes));
		json_object_object_add(
		    j, "file_copy_bytes", json_object_new_uint64(p->managed.file_copy_bytes));
		json_object_object_add(j, "coverage", json_number(peak_coverage(&p->managed), 4));
		json_object_object_add(j, "output_bytes", json_object_new_uint64(p->output_bytes));
	}
	for (unsigned i = 0; i < p->cell_count; i++)
		json_object_array_add(cells, cell_json(p, &p->cells[i], o));
	json_object_object_add(j, "cells", cells);
	return j;
}

static json_object *
goals_json(const struct goal *goals, unsigned count)
{
	json_object *list = json_object_new_array();

	for (unsigned i = 0; i < count; i++) {
		json_object *j = json_object_new_object();

		json_object_object_add(j, "text", json_object_new_string(goals[i].text));
		json_object_object_add(j, "value", json_number(goals[i].value, 4));
		json_object_object_add(
		    j, goals[i].at_least ? "at_least" : "at_most", json_number(goals[i].limit, 4));
		json_object_object_add(j, "met", json_object_new_boolean(goals[i].is_met));
		json_object_array_add(list, j);
	}
	return list;
}

static unsigned
levels_of(const struct results *r, unsigned *ret)
{
	unsigned count = 0, k;

	for (unsigned i = 0; i < r->count; i++)
		for (unsigned c = 0; c < r->programs[i].cell_count; c++) {
			for (k = 0; k < count && ret[k] != r->programs[i].cells[c].level; k++)
				;
			if (k == count && count < LEVELS_MAX)
				ret[count++] = r->programs[i].cells[c].level;
		}
	return count;
}

static json_object *
levels_json(const struct results *r)
{
	json_object *list = json_object_new_array();
	unsigned levels[LEVELS_MAX], count = levels_of(r, levels);

	for (unsigned i = 0; i < count; i++) {
		json_object *j = json_object_new_object();
		struct level_summary s;

		level_summarize(r, levels[i], &s);
		json_object_object_add(j, "level", json_object_new_int((int)s.level));
		json_object_object_add(j, "cells", json_object_new_int((int)s.cells));
		json_object_object_add(j, "peer_mean", json_number(s.peer_mean, 4));
		json_object_object_add(j, "peer_worst", json_number(s.peer_worst, 4));
		json_object_object_add(j, "plain_mean", json_number(s.plain_mean, 4));
		json_object_object_add(j, "plain_worst", json_number(s.plain_worst, 4));
		json_object_object_add(j, "slow", json_object_new_int((int)s.slow));
		json_object_object_add(j, "kills", json_object_new_int((int)s.kills));
		json_object_object_add(j, "killed", json_object_new_int((int)s.killed));
		json_object_array_add(list, j);
	}
	return list;
}

static void
levels_print(const struct results *r, const struct options *o)
{
	unsigned levels[LEVELS_MAX], count = levels_of(r, levels);
	struct level_summary s;

	for (unsigned i = 0; i < count; i++) {
		level_summarize(r, levels[i], &s);
		printf("at %3u %%:", s.level);
		if (o->peer != PEER_NONE)
			printf(" geometric mean of %u cells pagerd / %s %.2f, greatest %.2f;",
			    s.cells, o->peer == PEER_PAGERD ? "other" : "kernel", s.peer_mean,
			    s.peer_worst);
		printf(" pagerd / plain %.2f, greatest %.2f; slow %u", s.plain_mean, s.plain_worst,
		    s.slow);
		if (o->peer == PEER_ZRAM || o->peer == PEER_SWAPFILE)
			printf("; runs of the kernel's killed %u, cells %u", s.kills, s.killed);
		putchar('\n');
	}
}

void
programs_report(const struct results *r, const struct options *o)
{
	struct goal goals[GOALS_MAX];
	unsigned count = goals_judge(r, o, goals);

	if (o->json) {
		json_object *all = json_object_new_object(), *list = json_object_new_array();

		for (unsigned i = 0; i < r->count; i++)
			json_object_array_add(list, program_json(&r->programs[i], o));
		json_object_object_add(all, "scale", json_number(o->scale, 4));
		json_object_object_add(all, "programs", list);
		json_object_object_add(all, "levels", levels_json(r));
		if (r->run_pairs)
			json_object_object_add(
			    all, "run_adds_ms", json_number(r->run_adds_s * 1e3, 4));
		json_object_object_add(all, "targets", goals_json(goals, count));
		json_print(all);
		json_object_put(all);
		return;
	}
	levels_print(r, o);
	if (r->run_pairs)
		printf("run adds %.3f ms to true (median of %u pairs)\n", r->run_adds_s * 1e3,
		    r->run_pairs);
	if (o->scale != 1)
		return;
	for (unsigned i = 0; i < count; i++)
		printf("%-6s %s: %.3f, must be at %s %.2f\n", goals[i].is_met ? "met" : "MISSED",
		    goals[i].text, goals[i].value, goals[i].at_least ? "least" : "most",
		    goals[i].limit);
}
