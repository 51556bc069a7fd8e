/* SPDX-License-Identifier: MIT
 *
 * Frames against the queues' gauges, the free list and the policies, under the locks of tasks and
 * queues. Runs on: jobs.
 */
#include "audit/audit_priv.h"
#include "pageq/page_policy.h"
#include "pageq/pageq.h"

static bool
state_is_policys(enum page_state state)
{
	return state == PAGE_ACTIVE || state == PAGE_INACTIVE || state == PAGE_LAUNDRY ||
	       state == PAGE_CLEANING;
}

static void
check_policy(struct report *r, const struct page_policy *policy, int pid)
{
	const char *wrong = policy->ops->check(policy->memory);
	struct pol_stats stats = { 0 };

	CHECK(policy->ops && policy->memory);
	verify(r, wrong == NULL, "policy %s of process %d (0: the daemon's): %s", policy->text, pid,
	    wrong);
	verify(r, policy->resident == policy->counted,
	    "policy %s of process %d: told of %u resident pages of %u", policy->text, pid,
	    policy->resident, policy->counted);
	policy->ops->stats(policy->memory, &stats);
	/* A policy from outside need not count. */
	verify(r, stats.resident == 0 || stats.resident == policy->resident,
	    "policy %s of process %d: counts %llu resident pages of %u", policy->text, pid,
	    (unsigned long long)stats.resident, policy->resident);
}

/* The daemon's policy and those of clients: each page on the queues is known to the policy of its
 * owner. => T held, too */
static void
check_policies_locked(struct daemon *d, struct report *r)
{
	const struct policies *policies = &d->pageq.policies;
	unsigned own = 0;

	lock_assert_held(&d->tasks.lock);
	pageq_assert_held(d);
	policies->common->counted = 0;
	for (uint32_t i = 0; i < d->tasks.room; i++)
		if (policies->own[i])
			policies->own[i]->counted = 0;
	for (uint32_t f = 0; f < d->frames.count; f++) {
		const struct vm_page *p = &d->frames.pages[f];
		const struct vm_object *o;

		if (!state_is_policys(page_word_state(load_relaxed(&p->word))))
			continue;
		o = d->objects.objects[p->object];
		policies_of(policies, vm_object_policy_task(o))->counted++;
	}
	check_policy(r, policies->common, 0);
	for (uint32_t i = 0; i < d->tasks.room; i++) {
		const struct task *task = d->tasks.tasks[i];

		if (!policies->own[i])
			continue;
		own++;
		check_policy(r, policies->own[i], task ? (int)task->pid : -1);
		verify(
		    r, task != NULL, "the policy %s belongs to no client", policies->own[i]->text);
	}
	verify(r, own == policies->own_count,
	    "%u clients have a policy of their own, the count says %u", own, policies->own_count);
}

/* Dirty pages of files that count, as frames say. => false: one is in transit; no lock held */
static bool
dirty_count(const struct daemon *d, uint32_t *ret)
{
	locks_assert_none();
	*ret = 0;
	for (uint32_t f = 0; f < d->frames.count; f++) {
		uint32_t word = load_acquire(&d->frames.pages[f].word);

		if (word & PAGE_BUSY)
			return false;
		*ret += (word & PAGE_PAYER_MASK) != 0 && !page_word_is_shown(word) &&
			page_word_state(word) != PAGE_WIRED;
	}
	return true;
}

/* Looks in a row that must find the same difference. */
#define DIRTY_LOOKS 8u

/* Pages and their count change together, but under no lock: they are read until the count has stood
 * still meanwhile. */
static void
check_dirty(struct daemon *d, struct report *r)
{
	uint32_t pages = 0, said = 0;

	locks_assert_none();
	for (unsigned i = 0; i < DIRTY_LOOKS; i++) {
		said = load_acquire(&d->dirty.pages);
		if (!dirty_count(d, &pages) || load_acquire(&d->dirty.pages) != said ||
		    pages == said)
			return;
	}
	verify(r, false, "%u pages of files are dirty, the count says %u", pages, said);
}

void
check_frames(struct daemon *d, struct report *r)
{
	static const struct {
		uint32_t state;
		enum stat_index gauge;
	} gauges[] = {
#define STAT_FRAMES_NONE                                STAT_COUNT
#define PAGE_STATE(NAME, letter, resident, queue, text) { PAGE_##NAME, STAT_FRAMES_##queue },
#include "tbl/page_state.h"
		{ FRAME_FREE, STAT_FRAMES_FREE },
		{ FRAME_COMPRESSOR, STAT_FRAMES_COMPRESSOR },
	};
	long long counts[STAT_COUNT + 1] = { 0 }, sum = 0, pages = 0;
	uint32_t free_listed = 0, listed = 0, retired = 0;

	locks_assert_none();
	lock_acquire(&d->tasks.lock);
	pageq_lock(d);
	for (uint32_t f = 0; f < d->frames.count; f++) {
		enum page_state state = page_word_state(load_relaxed(&d->frames.pages[f].word));

		for (size_t i = 0; i < ARRAY_LEN(gauges); i++)
			if (gauges[i].state == state)
				counts[gauges[i].gauge]++;
		retired +=
		    frame_word_state(load_relaxed(&d->frames.pages[f].word)) == FRAME_RETIRED;
		if (page_state_is_resident(state)) {
			pages++;
			listed += (load_relaxed(&d->frames.pages[f].word) & PAGE_LISTED) != 0;
		}
	}
	for (uint32_t f = d->frames.free_head; f != FRAME_NONE && free_listed <= d->frames.count;
	     f = d->frames.pages[f].next)
		free_listed++;
	for (int i = STAT_FRAMES_FREE; i <= STAT_FRAMES_COMPRESSOR; i++) {
		sum += stats_level(d, (enum stat_index)i);
		verify(r, counts[i] == stats_level(d, (enum stat_index)i),
		    "queue gauge %d says %lld, frames say %lld", i,
		    stats_level(d, (enum stat_index)i), counts[i]);
	}
	verify(r, sum == stats_level(d, STAT_FRAMES_TOTAL), "queues sum to %lld of %lld frames",
	    sum, stats_level(d, STAT_FRAMES_TOTAL));
	verify(r,
	    retired == d->frames.retired &&
		sum + retired == (long long)load_relaxed(&d->frames.count),
	    "%u rows are retired, the count says %u; with %lld frames the table has %u", retired,
	    d->frames.retired, sum, load_relaxed(&d->frames.count));
	verify(r, free_listed == load_relaxed(&d->frames.free_count),
	    "the free list has %u frames, its count says %u", free_listed,
	    load_relaxed(&d->frames.free_count));
	verify(r, listed == load_relaxed(&d->frames.listed),
	    "%u pages are marked as in a page list, the count says %u", listed,
	    load_relaxed(&d->frames.listed));
	verify(r,
	    pages == stats_level(d, STAT_PAGES_INTERNAL) + stats_level(d, STAT_PAGES_REUSABLE) +
			 stats_level(d, STAT_PAGES_EXTERNAL) + stats_level(d, STAT_PAGES_DEVICE),
	    "%lld resident pages, the gauges say %lld anonymous and %lld reusable ones, %lld of "
	    "files and %lld of devices",
	    pages, stats_level(d, STAT_PAGES_INTERNAL), stats_level(d, STAT_PAGES_REUSABLE),
	    stats_level(d, STAT_PAGES_EXTERNAL), stats_level(d, STAT_PAGES_DEVICE));
	check_policies_locked(d, r);
	pageq_unlock(d);
	lock_release(&d->tasks.lock);
	check_dirty(d, r);
}
