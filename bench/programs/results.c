/* SPDX-License-Identifier: MIT */
#include "results.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct spread
cell_ratio(const struct cell *c, unsigned *ret_count)
{
	double *values = calloc(c->pairs + 1, sizeof(*values));
	struct spread s = { 0, 0, 0 };
	size_t count = values ? ratios_of(c->pagerd_s, c->peer_s, c->pairs, values) : 0;

	if (count)
		s = spread_of(values, count);
	free(values);
	*ret_count = (unsigned)count;
	return s;
}

struct spread
cell_plain_ratio(const struct program_result *p, const struct cell *c)
{
	double *values = calloc(c->pairs + 1, sizeof(*values));
	struct spread s = { 0, 0, 0 };
	size_t count = 0;

	for (unsigned i = 0; values && i < c->pairs; i++) {
		double plain = c->plain_s[i] > 0 ? c->plain_s[i] : p->plain_s;

		if (c->pagerd_s[i] > 0 && plain > 0)
			values[count++] = c->pagerd_s[i] / plain;
	}
	if (count)
		s = spread_of(values, count);
	free(values);
	return s;
}

static void
cell_add(
    const struct program_result *p, const struct cell *c, struct level_summary *s, double logs[2])
{
	unsigned pairs;
	double peer = cell_ratio(c, &pairs).median, plain = cell_plain_ratio(p, c).median;

	s->slow += c->pagerd == SIDE_SLOW;
	s->kills += c->kills;
	s->killed += c->peer == SIDE_KILLED && pairs == 0;
	if (pairs > 0 && peer > 0) {
		s->cells++;
		logs[0] += log(peer);
		s->peer_worst = fmax(s->peer_worst, peer);
	}
	if (plain > 0) {
		s->plain_cells++;
		logs[1] += log(plain);
		s->plain_worst = fmax(s->plain_worst, plain);
		if (p->plain_s >= LONG_RUN_S)
			s->long_worst = fmax(s->long_worst, plain);
	}
}

void
level_summarize(const struct results *r, unsigned level, struct level_summary *ret)
{
	double logs[2] = { 0, 0 };

	*ret = (struct level_summary){ .level = level };
	for (unsigned i = 0; i < r->count; i++)
		for (unsigned k = 0; k < r->programs[i].cell_count; k++)
			if (r->programs[i].cells[k].level == level)
				cell_add(&r->programs[i], &r->programs[i].cells[k], ret, logs);
	ret->peer_mean = ret->cells ? exp(logs[0] / ret->cells) : 0;
	ret->plain_mean = ret->plain_cells ? exp(logs[1] / ret->plain_cells) : 0;
}

static void
goal_add(struct goal *goals, unsigned *count, struct goal goal)
{
	if (goal.value <= 0 || *count == GOALS_MAX)
		return;
	goal.is_met = goal.at_least ? goal.value >= goal.limit : goal.value <= goal.limit;
	goals[(*count)++] = goal;
}

unsigned
goals_judge(const struct results *r, const struct options *o, struct goal *ret)
{
	static const struct {
		unsigned level;
		double mean;
	} means[] = { { 75, 0.85 }, { 50, 0.9 } };
	const bool kernel = o->peer == PEER_ZRAM;
	struct level_summary s;
	unsigned count = 0;
	struct goal g;

	for (unsigned i = 0; kernel && i < sizeof(means) / sizeof(means[0]); i++) {
		level_summarize(r, means[i].level, &s);
		g = (struct goal){ .value = s.peer_mean, .limit = means[i].mean };
		snprintf(g.text, sizeof(g.text), "geometric mean pagerd / kernel at %u %%",
		    means[i].level);
		goal_add(ret, &count, g);
		g = (struct goal){ .value = s.peer_worst, .limit = 1.3 };
		snprintf(
		    g.text, sizeof(g.text), "greatest pagerd / kernel at %u %%", means[i].level);
		goal_add(ret, &count, g);
	}
	level_summarize(r, LEVEL_ENOUGH, &s);
	goal_add(ret, &count,
	    (struct goal){ "geometric mean of plain at 100 %", s.plain_mean, 1.05, false, false });
	goal_add(ret, &count,
	    (struct goal){ "greatest of plain at 100 %", s.plain_worst, 1.15, false, false });
	goal_add(ret, &count,
	    (struct goal){ "greatest of plain at 100 %, runs of 5 s and more", s.long_worst, 1.03,
		false, false });
	if (r->run_pairs)
		goal_add(ret, &count,
		    (struct goal){ "milliseconds that run adds to true",
			fmax(r->run_adds_s * 1e3, 1e-6), 0.15, false, false });
	for (unsigned i = 0; i < r->count; i++) {
		g = (struct goal){ .value = peak_coverage(&r->programs[i].managed),
			.limit = COVERAGE_LEAST,
			.at_least = true };
		snprintf(g.text, sizeof(g.text), "share of %s's memory that is managed",
		    r->programs[i].program->name);
		goal_add(ret, &count, g);
	}
	return count;
}

bool
results_failed(const struct results *r)
{
	for (unsigned i = 0; i < r->count; i++)
		for (unsigned k = 0; k < r->programs[i].cell_count; k++) {
			const struct cell *c = &r->programs[i].cells[k];

			if (c->differs || c->check_failures || c->pagerd == SIDE_BROKEN ||
			    c->peer == SIDE_BROKEN)
				return true;
		}
	return false;
}
