/* SPDX-License-Identifier: MIT
 *
 * The cost of a major fault. Runs on: the control loop's timer.
 */
#include "pageq/cost.h"

#include "daemon.h"
#include "pageq/page_policy.h"

/* What a fault takes beside its server's work, in nanoseconds: the message, the wake-up and the
 * context switches (the userfaultfd echo of doc/performance.md). Without it a soft fault would seem
 * to cost next to nothing. */
#define DELIVERY_NS 7000u
/* Faults of each kind without which a measurement would be chance. */
#define SOFT_LEAST    200u
#define REFILLS_LEAST 200u
/* The highest cost that policies are told. */
#define COST_MAX 16u

bool
cost_measure(const struct fault_times *t, uint32_t measured, uint32_t *ret_cost)
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
	away = tenths > 10u * measured ? tenths - 10u * measured : 10u * measured - tenths;
	/* It differs clearly when it is a quarter away, and further than rounding alone could take
	 * it. */
	if (measured != 0 && (cost == measured || away < 7 || 4 * away < 10u * measured))
		return false;
	CHECK(cost >= 1 && cost <= COST_MAX);
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
cost_refresh(struct daemon *d)
{
	struct fault_cost *c = &d->pageq.cost;
	const struct policies *p = &d->pageq.policies;
	struct fault_times now = read_times(d), since = {
		.soft = now.soft - c->since.soft,
		.soft_ns = now.soft_ns - c->since.soft_ns,
		.refills = now.refills - c->since.refills,
		.refill_ns = now.refill_ns - c->since.refill_ns,
		.pages = now.pages - c->since.pages,
	};

	CHECK(pthread_equal(pthread_self(), d->loop_thread));
	/* Few faults are kept until there are more. */
	if (since.soft >= SOFT_LEAST && since.refills >= REFILLS_LEAST) {
		cost_measure(&since, c->measured, &c->measured);
		c->since = now;
	}
	/* pagersim, whose letter resident_frames follows, leaves a policy the cost that it has. */
	if (c->measured == 0 || param(d, resident_frames))
		return;
	pageq_lock(d);
	page_policy_tune(p->common, c->measured);
	for (uint32_t i = 0; p->own_count > 0 && i < d->tasks.room; i++)
		if (p->own[i])
			page_policy_tune(p->own[i], c->measured);
	pageq_unlock(d);
}
