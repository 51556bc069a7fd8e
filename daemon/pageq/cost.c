/* SPDX-License-Identifier: MIT
 *
 * What a major fault costs, in soft faults: measured from counters, told to the policies that want
 * to know (tune). Runs on: the control loop's timer.
 */
#include <stdio.h>
#include <string.h>

#include "pageq/pageq.h"
#include "pageq/pageq_priv.h"

/* Message, wake-up and the switches, which each fault has beside what its server does (the
 * userfaultfd echo of doc/performance.md). Without it a soft fault would seem to cost next to
 * nothing. */
#define DELIVERY_NS 7000u
/* Fewer are chance. */
#define SOFT_LEAST    200u
#define REFILLS_LEAST 200u
#define COST_MAX      16u

bool
pageq_cost_measure(const struct fault_times *t, uint32_t now, uint32_t *ret_cost)
{
	uint64_t soft, major, tenths, away;
	uint32_t cost;

	if (t->soft < SOFT_LEAST || t->refills < REFILLS_LEAST || t->pages < t->refills)
		return false;
	soft = t->soft_ns / t->soft + DELIVERY_NS;
	/* The policy counts pages: a fault that brings its neighbours costs each of them less. */
	major = (t->refill_ns + t->refills * DELIVERY_NS) / t->pages;
	tenths = 10 * major / soft;
	cost = (uint32_t)min_u64(max_u64((tenths + 5) / 10, 1), COST_MAX);
	away = tenths > 10u * now ? tenths - 10u * now : 10u * now - tenths;
	/* Clearly: a quarter, and not what rounding alone turns over. */
	if (now != 0 && (cost == now || away < 7 || 4 * away < 10u * now))
		return false;
	*ret_cost = cost;
	return true;
}

static struct fault_times
read_times(const struct daemon *d)
{
	return (struct fault_times){
		.soft = stats_counter(&d->stats, STAT_SOFT_FAULTS),
		.soft_ns = stats_counter(&d->stats, STAT_SOFT_FAULT_NS),
		.refills = stats_counter(&d->stats, STAT_REFILLS),
		.refill_ns = stats_counter(&d->stats, STAT_REFILL_NS),
		.pages = stats_counter(&d->stats, STAT_DECOMPRESSIONS) +
			 stats_counter(&d->stats, STAT_SWAPINS),
	};
}

void
pageq_cost_refresh(struct daemon *d)
{
	struct pageq *q = &d->pageq;
	struct fault_times now = read_times(d), since = {
		.soft = now.soft - q->cost_since.soft,
		.soft_ns = now.soft_ns - q->cost_since.soft_ns,
		.refills = now.refills - q->cost_since.refills,
		.refill_ns = now.refill_ns - q->cost_since.refill_ns,
		.pages = now.pages - q->cost_since.pages,
	};

	/* Few faults: they are kept until there are more. */
	if (since.soft >= SOFT_LEAST && since.refills >= REFILLS_LEAST) {
		pageq_cost_measure(&since, q->cost, &q->cost);
		q->cost_since = now;
	}
	/* To the letter of pagersim: with the cost that the policy has. */
	if (q->cost == 0 || param(d, resident_frames))
		return;
	pageq_lock(d);
	page_policy_tune(q->policy, q->cost);
	for (uint32_t i = 0; q->own_policies > 0 && i < d->tasks.room; i++)
		if (q->task_policies[i])
			page_policy_tune(q->task_policies[i], q->cost);
	pageq_unlock(d);
}
