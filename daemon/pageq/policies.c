/* SPDX-License-Identifier: MIT
 *
 * The policies in force. Runs on: workers (turn), jobs (text), the control loop (drop), start.
 */
#include "pageq/policies.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon.h"
#include "pageq/page_policy.h"
#include "vm/task.h"

int
policies_create(struct daemon *d, const char *text)
{
	struct policies *p = &d->pageq.policies;
	int error;

	locks_assert_none();
	CHECK(!p->common && p->own_count == 0);
	error = page_policy_create(d, text, &p->common);
	if (error)
		return error;
	p->own = calloc(d->tasks.room, sizeof(*p->own));
	return p->own ? 0 : -ENOMEM;
}

void
policies_destroy(struct daemon *d)
{
	struct policies *p = &d->pageq.policies;

	CHECK(p->own_count == 0);
	page_policy_destroy(p->common);
	free(p->own);
}

struct page_policy *
policies_turn_locked(struct daemon *d)
{
	struct policies *p = &d->pageq.policies;
	uint64_t total, ticket;

	pageq_assert_held(d);
	if (p->own_count == 0)
		return p->common;
	total = p->common->resident;
	for (uint32_t i = 0; i < d->tasks.room; i++)
		if (p->own[i])
			total += p->own[i]->resident;
	if (total == 0)
		return p->common;
	/* A stride that is coprime to most totals walks all shares evenly. */
	p->turn += 2654435761u;
	ticket = (uint64_t)p->turn * total >> 32;
	for (uint32_t i = 0; i < d->tasks.room; i++) {
		struct page_policy *own = p->own[i];

		if (!own)
			continue;
		if (ticket < own->resident)
			return own;
		ticket -= own->resident;
	}
	return p->common;
}

void
policies_text_locked(struct daemon *d, struct task *task, char *text, size_t text_size)
{
	const struct policies *p = &d->pageq.policies;

	pageq_assert_held(d);
	page_policy_describe(task ? policies_of(p, task) : p->common, text, text_size);
}

void
policies_drop(struct daemon *d, struct task *task)
{
	struct policies *p = &d->pageq.policies;
	struct page_policy *old;

	locks_assert_none();
	CHECK(task->index < d->tasks.room && task_is_dead(task));
	pageq_lock(d);
	old = policies_own(p, task);
	if (old) {
		INVARIANT(old->resident == 0);
		p->own[task->index] = NULL;
		p->own_count--;
	}
	pageq_unlock(d);
	page_policy_destroy(old);
}
